"""A pipeline as small as its parts allow, with random weights."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionPipeline
from sdexplain.training import architecture
from sdexplain.training.tokenizer import build_tokenizer


def small_pipeline(prediction_type: str = "epsilon") -> StableDiffusionPipeline:
    """The same weights every time."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    return architecture.build_pipeline(
        vae=architecture.build_vae((8, 16), groups=4, scaling_factor=0.7),
        unet=architecture.build_unet((16, 32), heads=2, groups=8, text_width=32),
        text_encoder=architecture.build_text_encoder(tokenizer, width=32, heads=2),
        tokenizer=tokenizer,
        scheduler=architecture.build_scheduler(prediction_type),
    )
