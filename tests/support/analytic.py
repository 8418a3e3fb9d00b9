"""The denoiser whose answer is known (`benchmarks.known_answer`), and noised latents to ask it about."""

from __future__ import annotations

import torch
from sdexplain.benchmarks.known_answer import FAMILIES, Gaussians, as_flow, wrapped
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from torch import Tensor

__all__ = ["FAMILIES", "Gaussians", "NoisedLatents", "as_flow", "noised_latents", "wrapped"]


def noised_latents(
    x0: Tensor,
    seed: int = 0,
    samples: int = 1,
    steps: int = 10,
    per_step: bool = True,
    reach: tuple[float, float] = (14.6, 0.03),
) -> NoisedLatents:
    """x0 [B,C,h,w] at levels that are evenly spread in log SNR, in an exploding model's form."""
    channels = x0.shape[1]
    sigmas = torch.logspace(*torch.tensor(reach).log10().tolist(), steps)
    noise = draw_noise(tuple(x0.shape[1:]), seed, samples, steps, per_step)
    return NoisedLatents(x0, noise, sigmas, torch.ones(steps), torch.full((channels,), 5.5), torch.arange(channels) / 8)
