"""A finished model asked about held-out drawings that neither the training nor any benchmark uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from ..bundled.scenes import PAIRS, draw, sample_scene
from ..nodes.maths.method.noising import NoisedLatents, draw_noise
from ..nodes.maths.method.prediction import collect_prompt
from .training_data import FIRST_HELD_OUT_SEED

FIRST_SCENE = 2 * FIRST_HELD_OUT_SEED  # no benchmark uses these

Picture = tuple[str, int]
"""A label, and the seed of the scene that is drawn as it."""


def pictures(scenes: int) -> list[Picture]:
    """So many scenes a pair, each drawn as both classes."""
    return [(label, FIRST_SCENE + number) for number in range(scenes) for pair in PAIRS for label in pair]


def other_label(label: str) -> str:
    """The other one of its pair."""
    pair = next(pair for pair in PAIRS if label in pair)
    return pair[1 - pair.index(label)]


@dataclass(frozen=True, eq=False)
class Model:
    """A finished pipeline's networks."""

    folder: Path

    @cached_property
    def pipeline(self) -> StableDiffusionPipeline:
        return StableDiffusionPipeline.from_pretrained(
            self.folder, dtype=torch.float32, safety_checker=None, local_files_only=True
        )

    def sigmas(self, timesteps: Sequence[int]) -> Tensor:
        """[S] the noise levels of training timesteps."""
        cumulative = self.pipeline.scheduler.alphas_cumprod[list(timesteps)].float()
        return ((1 - cumulative) / cumulative).sqrt()

    @torch.no_grad()
    def noised(self, picture: Picture, timesteps: Sequence[int], samples: int = 2) -> NoisedLatents:
        """The drawing's noised latents, with fresh noise in every step, in antithetic pairs where their number is even."""
        label, seed = picture
        size = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        drawn = torch.from_numpy(draw(sample_scene(label, seed), label, size).copy())
        return self.noise(self.encode(drawn.permute(2, 0, 1)[None].float() / 127.5 - 1), seed, timesteps, samples)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures [B,3,H,W] in -1..1 to latents."""
        return self.pipeline.vae.encode(pixels).latent_dist.mean * self.pipeline.vae.config.scaling_factor

    def noise(self, x0: Tensor, seed: int, timesteps: Sequence[int], samples: int = 2) -> NoisedLatents:
        """The noised latents of x0 [B,C,h,w], see `noised`."""
        sigmas, paired = self.sigmas(timesteps), samples % 2 == 0
        noise = draw_noise(tuple(x0.shape[1:]), seed, samples, len(sigmas), per_step=True, antithetic=paired)
        channels = torch.ones(x0.shape[1])
        return NoisedLatents(x0, noise, sigmas, torch.ones_like(sigmas), channels, 0 * channels, antithetic=paired)

    @torch.no_grad()
    def predict(self, noised: NoisedLatents, timesteps: Sequence[int], label: str) -> Tensor:
        """Noise predictions [R,S,1,C,h,w] under the prompt "a photo of a" label."""
        states, levels = self.states(label), torch.tensor(timesteps)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            timestep = levels[(noised.sigmas[None] - sigma[:, None]).abs().argmin(1)]
            sigma = sigma.view(-1, 1, 1, 1)
            return x - sigma * self.pipeline.unet(x / (1 + sigma**2).sqrt(), timestep, states.expand(len(x), -1, -1)).sample

        return collect_prompt(noised, denoise)

    @lru_cache(maxsize=16)  # noqa: B019 - a script has one model
    @torch.no_grad()
    def states(self, label: str) -> Tensor:
        """What the text encoder makes of a label's prompt."""
        tokens = self.pipeline.tokenizer(f"a photo of a {label}", padding="max_length", truncation=True, return_tensors="pt")
        return self.pipeline.text_encoder(tokens.input_ids).last_hidden_state
