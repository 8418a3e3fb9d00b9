"""A diffusers pipeline folder of any size as ComfyUI's MODEL, CLIP and VAE.

The network is ComfyUI's own. If ComfyUI has no such network, it is diffusers'.
"""

from __future__ import annotations

from pathlib import Path

import comfy.model_patcher
import comfy.sd

from .about_model import attach
from .diffusers_clip import load_clip
from .diffusers_denoiser import is_denoiser, load_denoiser
from .diffusers_files import read_pipeline
from .diffusers_unet import load_unet
from .diffusers_vae import latent_format, load_vae


def load_pipeline(
    path: Path, embedding_directories: list[str]
) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]:
    """Return the pipeline's UNet, text encoder with tokenizer, and VAE, as ComfyUI's own loaders would give them.

    Args:
        path: a folder that `save_pretrained` of a Stable Diffusion 1.x or 2.x pipeline wrote, or of one with a denoiser that
            diffusers runs; only .safetensors weights are read.
        embedding_directories: where the CLIP looks for `embedding:name` in prompts.

    Raises:
        ValueError: no such pipeline, files that are missing, truncated or don't fit, settings that can't be mapped.
    """
    if is_denoiser(path):
        model, clip, vae = load_denoiser(path)
        attach(model, path)
        return model, clip, vae
    folder = read_pipeline(path)
    vae = load_vae(folder)
    model = load_unet(folder, latent_format(folder.vae))
    clip = load_clip(folder, embedding_directories)
    attach(model, path)
    return model, clip, vae
