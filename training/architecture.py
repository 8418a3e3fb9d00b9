"""The bundled model's untrained parts, in diffusers' and transformers' own classes; tests change their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .permissions import as_usual
from .tokenizer import WORDS, build_tokenizer, save_vocabulary

LATENT_CHANNELS = 4
TEXT_WIDTH = 96


def build_vae(
    widths: tuple[int, ...] = (16, 32, 64, 128),
    latent_channels: int = LATENT_CHANNELS,
    layers: int = 1,
    groups: int = 8,
    mid_attention: bool = False,
    scaling_factor: float = 1.0,
) -> AutoencoderKL:
    """Return an untrained VAE; each level but the last halves the picture: four make latent cells of 8 pixels."""
    levels = len(widths)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=widths,
        layers_per_block=layers,
        latent_channels=latent_channels,
        norm_num_groups=groups,
        sample_size=256,
        scaling_factor=scaling_factor,
        force_upcast=False,
        mid_block_add_attention=mid_attention,
    )


def build_unet(
    widths: tuple[int, ...] = (48, 128, 192),
    layers: int | tuple[int, ...] = 1,
    heads: int | tuple[int, ...] = 4,
    groups: int = 16,
    latent_channels: int = LATENT_CHANNELS,
    text_width: int = TEXT_WIDTH,
    linear_projection: bool = False,
    convolutional: int = 1,
) -> UNet2DConditionModel:
    """Return an untrained UNet; its first levels are `convolutional`, the others and the middle attend to the text."""
    attending = len(widths) - convolutional
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=("DownBlock2D",) * convolutional + ("CrossAttnDownBlock2D",) * attending,
        up_block_types=("CrossAttnUpBlock2D",) * attending + ("UpBlock2D",) * convolutional,
        block_out_channels=widths,
        layers_per_block=layers,
        cross_attention_dim=text_width,
        attention_head_dim=heads,  # for these UNets diffusers means the number of heads by it
        norm_num_groups=groups,
        use_linear_projection=linear_projection,
    )


def build_text_encoder(
    tokenizer: CLIPTokenizer, width: int = TEXT_WIDTH, layers: int = 2, heads: int = 4, activation: str = "quick_gelu"
) -> CLIPTextModel:
    """Return an untrained CLIP text encoder for the tokenizer's vocabulary."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=width,
    )
    return CLIPTextModel(config)


def build_scheduler(prediction_type: str = "epsilon", rescale_betas_zero_snr: bool = False) -> DDIMScheduler:
    """Return the noise schedule of Stable Diffusion 1.x."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
        rescale_betas_zero_snr=rescale_betas_zero_snr,
    )


def build_pipeline(
    vae: AutoencoderKL | None = None,
    unet: UNet2DConditionModel | None = None,
    text_encoder: CLIPTextModel | None = None,
    tokenizer: CLIPTokenizer | None = None,
    scheduler: DDIMScheduler | None = None,
) -> StableDiffusionPipeline:
    """Return the pipeline of the given parts; those that are not given are the bundled model's, untrained."""
    tokenizer = tokenizer or build_tokenizer()
    return StableDiffusionPipeline(
        vae=vae or build_vae(),
        text_encoder=text_encoder or build_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=unet or build_unet(),
        scheduler=scheduler or build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_pipeline(
    pipeline: StableDiffusionPipeline, folder: Path, dtype: torch.dtype = torch.float16, words: Sequence[str] | None = WORDS
) -> None:
    """Write the pipeline in diffusers' folder layout, as safetensors, its weights converted in place to the dtype.

    words: those of its tokenizer if that is `build_tokenizer`'s; None if it is another, which writes all its files itself.
    """
    pipeline.to(dtype=dtype).save_pretrained(folder, safe_serialization=True)
    for file in Path(folder).rglob("*.safetensors"):
        as_usual(file)
    if words is not None:
        save_vocabulary(Path(folder) / "tokenizer", words)
