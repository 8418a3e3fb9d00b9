"""The noise of all samples and steps: drawn from a seed, or asked of one of core's NOISE objects."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ..maths.method.noising import draw_noise, in_pairs

FRESH, SAME = "fresh per step", "same at every step"


def noise_for(latent: Tensor, steps: int, source: Any, samples: int, step_noise: str, paired: bool) -> Tensor:
    """Unit Gaussian noise for latents [B,C,h,w], [R,S,C,h,w], or [R,1,C,h,w] where it is the same at every step.

    source: a seed, or one of core's NOISE objects.

    Raises:
        ValueError: an unknown word for `step_noise`, and what `draw_noise` and `generated_noise` refuse.
    """
    if step_noise not in (FRESH, SAME):
        raise ValueError(f"The noise at each step is {step_noise!r}; expected {FRESH!r} or {SAME!r}.")
    shape, per_step = tuple(latent.shape[1:]), step_noise == FRESH
    if isinstance(source, Integral):
        return draw_noise(shape, source, samples, steps, per_step, paired)
    return generated_noise(source, samples, steps if per_step else 1, shape, paired)


def generated_noise(noise: Any, samples: int, draws: int, shape: tuple[int, int, int], paired: bool) -> Tensor:
    """Noise from one of core's NOISE objects, [R,draws,C,h,w], asked for as one batch of latents; `shape` is (C, h, w).

    Where the samples are `paired`, only the first of each antithetic pair is asked for.

    Raises:
        ValueError: noise of another shape, or none at all (core's DisableNoise).
    """
    asked = samples // 2 if paired else samples
    generated = noise.generate_noise({"samples": torch.zeros(asked * draws, *shape)})
    if generated.shape != (asked * draws, *shape):
        raise ValueError(
            f"The connected noise has shape {list(generated.shape)}; expected {[asked * draws, *shape]} (latents, channels, "
            "height, width). Use core's RandomNoise, or leave noise unconnected."
        )
    if not generated.any():
        raise ValueError(
            "The connected noise is zero everywhere (DisableNoise?), so there would be nothing to predict. Connect "
            "RandomNoise, or leave noise unconnected."
        )
    generated = generated.to(device="cpu", dtype=torch.float32).reshape(asked, draws, *shape)
    return in_pairs(generated) if paired else generated
