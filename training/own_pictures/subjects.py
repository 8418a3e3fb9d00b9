"""What is trained: a new small model, or one from a diffusers folder; in pixels or in a VAE's latents; whole or by a LoRA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTokenizer

from .. import architecture
from ..tokenizer import build_tokenizer, words_of
from ..train_denoiser import TextConditionedUNet
from .pixel_vae import build_pixel_vae

LARGEST_PIXELS = 64  # in pixels; larger pictures need a VAE
TEMPLATES = ("{}", "a {}", "a photo of a {}", "a picture of a {}")
TEXT_WIDTH, TOKENS = 64, 24
PREDICTIONS = ("epsilon", "v_prediction")


@dataclass(frozen=True)
class Subject:
    """A pipeline in float32, the two networks of it that are trained, and the words of its own tokenizer if it is a new one."""

    pipeline: StableDiffusionPipeline
    networks: TextConditionedUNet
    words: tuple[str, ...] | None
    size: int
    """Width and height of its pictures."""

    @property
    def vae(self) -> AutoencoderKL:
        return self.pipeline.vae

    @property
    def tokenizer(self) -> CLIPTokenizer:
        return self.pipeline.tokenizer

    def prompt_ids(self, prompts: Sequence[str]) -> Tensor:
        """Token ids [K,T] of prompts."""
        length = self.tokenizer.model_max_length
        return torch.tensor(self.tokenizer(list(prompts), padding="max_length", truncation=True, max_length=length).input_ids)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures [B,3,S,S] in -1..1 to the UNet's latents, the posterior's mean."""
        latents = self.vae.encode(pictures).latent_dist.mean
        return (latents - (self.vae.config.shift_factor or 0)) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The UNet's latents to pictures [B,3,S,S] in -1..1."""
        return self.vae.decode(latents / self.vae.config.scaling_factor + (self.vae.config.shift_factor or 0)).sample.clamp(-1, 1)


def new(classes: Sequence[str], size: int, mean: Tensor, deviation: Tensor, vae: Path | None = None) -> Subject:
    """A small untrained model for pictures of this size: in pixels, or in the latents of the VAE in a folder.

    Raises:
        ValueError: a size that does not fit, see `_require_size`, or a folder without a VAE.
    """
    own_vae = _open_vae(vae) if vae else build_pixel_vae(size, mean, deviation)
    factor = 2 ** (len(own_vae.config.block_out_channels) - 1)
    cells = size // factor
    widths, convolutional = _widths(cells)
    _require_size(size, factor * 2 ** (len(widths) - 1), vae)
    words = tuple(words_of(TEMPLATES, classes))
    tokenizer = build_tokenizer(words, TOKENS)
    unet = architecture.build_unet(
        widths, latent_channels=own_vae.config.latent_channels, groups=8, text_width=TEXT_WIDTH, convolutional=convolutional
    )
    unet.register_to_config(sample_size=cells)
    text_encoder = architecture.build_text_encoder(tokenizer, width=TEXT_WIDTH)
    pipeline = architecture.build_pipeline(own_vae, unet, text_encoder, tokenizer)
    return Subject(pipeline, _networks(pipeline), words, size)


def _open_vae(folder: Path) -> AutoencoderKL:
    _require_file(folder, "config.json", "of a diffusers VAE, such as bundled/model/vae")
    return AutoencoderKL.from_pretrained(str(folder), local_files_only=True)


def _require_file(folder: Path, name: str, kind: str) -> None:
    """diffusers would look for a folder that is not there on the net."""
    if not (folder / name).is_file():
        raise ValueError(f"{folder} has no {name}; expected the folder {kind}. Check the path.")


def _widths(cells: int) -> tuple[tuple[int, ...], int]:
    """The UNet's widths and how many of its levels are without attention: it comes in where there are 8 × 8 cells or so."""
    if cells <= 20:
        return (32, 64, 96), 2
    return ((16, 64, 128), 2) if cells <= 40 else ((16, 32, 96, 128), 3)


def _require_size(size: int, multiple: int, vae: Path | None) -> None:
    if size > LARGEST_PIXELS and vae is None:
        raise ValueError(
            f"The size is {size}; in pixels up to {LARGEST_PIXELS} can be trained. Choose a smaller --size, or the latents of a "
            "VAE with --vae FOLDER, such as bundled/model/vae."
        )
    if size < multiple or size % multiple:
        raise ValueError(f"The size is {size}; expected a multiple of {multiple}, because the network halves it that often.")


def finished(folder: Path, size: int | None = None) -> Subject:
    """The model of a local diffusers folder, in float32, asked for pictures of its own size or of another.

    Raises:
        ValueError: no such folder, or a model that predicts neither the noise nor v.
    """
    _require_file(folder, "model_index.json", "of a diffusers pipeline, such as one that training.own has made")
    pipeline = StableDiffusionPipeline.from_pretrained(
        str(folder), dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    prediction = pipeline.scheduler.config.prediction_type
    if prediction not in PREDICTIONS:
        raise ValueError(
            f"The model in {folder} predicts {prediction}; expected one of {', '.join(PREDICTIONS)}. Choose another."
        )
    pipeline.vae.eval().requires_grad_(False)
    own = pipeline.unet.config.sample_size * 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    return Subject(pipeline, _networks(pipeline), None, size or own)


def _networks(pipeline: StableDiffusionPipeline) -> TextConditionedUNet:
    if not torch.cuda.is_available():  # the plain attention processor is the faster one for small models on a CPU
        pipeline.unet.set_attn_processor(AttnProcessor())
        pipeline.unet.to(memory_format=torch.channels_last)
    return TextConditionedUNet(pipeline.unet, pipeline.text_encoder)
