"""The bundled model outside ComfyUI: diffusers' networks in float32, asked by this pack's own maths.

Shapes: R noise samples, S steps, B images (one here), C latent channels, h w latent size.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from ..nodes.maths.noising import NoisedLatents
from ..nodes.maths.prediction import collect_prompt
from .questions import Question, Setting

CHUNK = 50  # noised latents in one call of the network


class Bundled:
    """The networks of a setting's model; asks a question at a time."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.pipeline = StableDiffusionPipeline.from_pretrained(
            setting.model, dtype=torch.float32, safety_checker=None, local_files_only=True
        )
        self.pipeline.unet.to(memory_format=torch.channels_last)  # the same answers, a little sooner
        self.size = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        self.states = lru_cache(self._encode_prompt)

    @torch.no_grad()
    def _encode_prompt(self, prompt: str) -> Tensor:
        tokens = self.pipeline.tokenizer(prompt, padding="max_length", truncation=True, return_tensors="pt")
        return self.pipeline.text_encoder(tokens.input_ids).last_hidden_state

    @torch.no_grad()
    def encode(self, picture: np.ndarray) -> Tensor:
        """The latent of a picture uint8 [H,W,3] in model space, [1,C,h,w]."""
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.pipeline.vae.encode(pixels).latent_dist.mean * self.pipeline.vae.config.scaling_factor

    @torch.no_grad()
    def answer(self, question: Question, x0: Tensor) -> Tensor:
        """The noise predictions [R,S,C,h,w] for the picture whose latent is x0 [1,C,h,w]."""
        timesteps, sigmas = self.setting.timesteps(question.spacing), self.setting.sigmas(question.spacing)
        states = self.states(question.prompt)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            timestep = timesteps[(sigmas[None] - sigma[:, None]).abs().argmin(1)]
            sigma = sigma.view(-1, 1, 1, 1)
            prediction = self.pipeline.unet(x / (1 + sigma**2).sqrt(), timestep, states.expand(len(x), -1, -1)).sample
            return x - sigma * prediction

        channels = torch.ones(x0.shape[1])
        noised = NoisedLatents(x0, self.setting.noise(question), sigmas, torch.ones_like(sigmas), channels, 0 * channels)
        return collect_prompt(noised, denoise, chunk=CHUNK)[:, :, 0]
