"""Noise predictions of any size and content, made from a seed."""

from __future__ import annotations

import torch

from ...nodes.maths.method.noising import NoisedLatents, draw_noise
from ...nodes.maths.method.prediction import NoisePredictions


def made_predictions(
    images: int = 1,
    samples: int = 4,
    steps: int = 2,
    channels: int = 4,
    height: int = 8,
    width: int = 8,
    seed: int = 0,
    labels: tuple[str, str] = ("zebra", "horse"),
    spread: float = 0.1,
    antithetic: bool = False,
    fresh_noise: bool = True,
) -> NoisePredictions:
    """Predictions that are the noise and a little more, which differs between the prompts by about `spread`."""
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.randn(images, channels, height, width, generator=generator)
    noise = draw_noise((channels, height, width), seed, samples, steps, fresh_noise, antithetic and samples % 2 == 0)
    sigmas = torch.logspace(1.1, -1.5, steps)
    ones = torch.ones(channels)
    noised = NoisedLatents(x0, noise, sigmas, torch.ones(steps), ones, 0 * ones, 8, antithetic and samples % 2 == 0)
    true = noise.expand(samples, steps, *noise.shape[2:])[:, :, None].expand(samples, steps, *x0.shape)
    target, contrast = (true + spread * torch.randn(true.shape, generator=generator) for _ in range(2))
    return NoisePredictions(noised, target.contiguous(), contrast.contiguous(), *labels)
