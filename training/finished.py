"""A finished model's networks, asked without ComfyUI: what pictures are as latents, and which noise the model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from ..nodes.maths.method.noising import NoisedLatents, draw_noise
from ..nodes.maths.method.prediction import collect_prompt
from .train_vae import to_model_range

PROMPT = "a photo of a {}"


@dataclass(frozen=True, eq=False)
class Model:
    """A finished pipeline's networks, in float32."""

    folder: Path

    @cached_property
    def pipeline(self) -> StableDiffusionPipeline:
        return StableDiffusionPipeline.from_pretrained(
            self.folder, dtype=torch.float32, safety_checker=None, local_files_only=True
        )

    @cached_property
    def size(self) -> int:
        """Width and height of its pictures."""
        return self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor

    def sigmas(self, timesteps: Sequence[int]) -> Tensor:
        """[S] the noise levels of training timesteps."""
        cumulative = self.pipeline.scheduler.alphas_cumprod[list(timesteps)].float()
        return ((1 - cumulative) / cumulative).sqrt()

    def encode_picture(self, picture: np.ndarray) -> Tensor:
        """A picture uint8 [H,W,3] as its latent, [1,C,h,w]."""
        return self.encode(to_model_range(picture[None].copy()))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures [B,3,H,W] in -1..1 to latents."""
        return self.pipeline.vae.encode(pixels).latent_dist.mean * self.pipeline.vae.config.scaling_factor

    def noise(self, x0: Tensor, seed: int, timesteps: Sequence[int], samples: int = 2) -> NoisedLatents:
        """Noised latents of x0 [B,C,h,w], with fresh noise in every step, in antithetic pairs where their number is even."""
        sigmas, paired = self.sigmas(timesteps), samples % 2 == 0
        noise = draw_noise(tuple(x0.shape[1:]), seed, samples, len(sigmas), per_step=True, antithetic=paired)
        channels = torch.ones(x0.shape[1])
        return NoisedLatents(x0, noise, sigmas, torch.ones_like(sigmas), channels, 0 * channels, antithetic=paired)

    @torch.no_grad()
    def predict(self, noised: NoisedLatents, timesteps: Sequence[int] | Tensor, prompt: str, chunk: int = 16) -> Tensor:
        """Noise predictions [R,S,B,C,h,w] under a prompt, `chunk` noised latents in a call of the network."""
        states, levels = self.states(prompt), torch.as_tensor(timesteps)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            timestep = levels[(noised.sigmas[None] - sigma[:, None]).abs().argmin(1)]
            sigma = sigma.view(-1, 1, 1, 1)
            return x - sigma * self.pipeline.unet(x / (1 + sigma**2).sqrt(), timestep, states.expand(len(x), -1, -1)).sample

        return collect_prompt(noised, denoise, chunk=chunk)

    @lru_cache(maxsize=16)  # noqa: B019 - a script has one model
    @torch.no_grad()
    def states(self, prompt: str) -> Tensor:
        """What the text encoder makes of a prompt."""
        tokens = self.pipeline.tokenizer(prompt, padding="max_length", truncation=True, return_tensors="pt")
        return self.pipeline.text_encoder(tokens.input_ids).last_hidden_state
