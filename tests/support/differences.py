"""Summed differences with values that a test chooses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from sdexplain.nodes.maths.method.difference import NoiseDifference
from torch import Tensor


def a_difference(values: Tensor, **changes: Any) -> NoiseDifference:
    channels, unknown = values.shape[2], torch.full((values.shape[1],), torch.nan)
    difference = NoiseDifference(
        values, "difference", "uniform", 10, 20, 50, "zebra", "horse", torch.ones(channels), torch.zeros(channels), unknown
    )
    return replace(difference, **changes)


def random_difference(images: int = 2, samples: int = 1, seed: int = 0, **changes: Any) -> NoiseDifference:
    generator = torch.Generator().manual_seed(seed)
    return a_difference(torch.randn(samples, images, 4, 6, 5, generator=generator), **changes)


def absolute(values: Tensor) -> NoiseDifference:
    """values [B,h,w] as the reading that has one number per cell."""
    return a_difference(values[None, :, None], reading="absolute")


def red_channel(latents: Tensor) -> Tensor:
    """A decoder: grey, with the first latent channel added to the red, each cell 2×2 pixels."""
    pictures = torch.full((len(latents), *latents.shape[2:], 3), 0.5)
    pictures[..., 0] += latents[:, 0]
    return pictures.repeat_interleave(2, 1).repeat_interleave(2, 2)


def evidence(values: Tensor, weighting: str = "information", **changes: Any) -> NoiseDifference:
    """values [R,B,h,w] in nats per cell."""
    return a_difference(values[:, :, None], reading="evidence", weighting=weighting, **changes)
