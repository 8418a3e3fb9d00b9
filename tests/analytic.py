"""A denoiser whose answer is known (METHOD: "a case with a known answer"), wrapped as every kind of model predicts.

Class c: every latent element ~ N(mean_c, spread^2), independently. The exact log-odds of an element x0 are
[(x0 - mean_B)^2 - (x0 - mean_A)^2] / (2 spread^2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from sdexplain.nodes.maths.noising import NoisedLatents, draw_noise
from torch import Tensor

FAMILIES = ("eps", "v", "x0", "flow")


@dataclass(frozen=True)
class Gaussians:
    """The two classes; a mean per channel, so that the channels differ."""

    target: Tensor  # [C]
    contrast: Tensor  # [C]
    spread: float

    def swapped(self) -> Gaussians:
        return replace(self, target=self.contrast, contrast=self.target)

    def mean(self, prompt: str) -> Tensor:
        return (self.target if prompt == "target" else self.contrast)[:, None, None]

    def exploding(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """D(x_sigma) = (s^2 x + sigma^2 mean) / (s^2 + sigma^2) for x = x0 + sigma * noise."""
        return (self.spread**2 * x + sigma**2 * self.mean(prompt)) / (self.spread**2 + sigma**2)

    def log_odds(self, x0: Tensor) -> Tensor:
        target, contrast = self.mean("target"), self.mean("contrast")
        return ((x0 - contrast) ** 2 - (x0 - target) ** 2) / (2 * self.spread**2)


def wrapped(gaussians: Gaussians, family: str) -> Callable[[Tensor, Tensor, str], Tensor]:
    """The denoiser by way of what a network of that family gives out, and back to D by the family's own formula."""

    def denoise(x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        sigma = sigma[:, None, None, None]
        if family == "flow":
            # x = (1 - t) x0 + t noise is (1 - t) times the exploding form at sigma = t / (1 - t); pure noise tells nothing.
            clean = torch.where(
                sigma == 1, gaussians.mean(prompt), gaussians.exploding(x / (1 - sigma), sigma / (1 - sigma), prompt)
            )
            velocity = (x - clean) / sigma
            return x - sigma * velocity
        clean = gaussians.exploding(x, sigma, prompt)
        if family == "x0":
            return clean
        eps = (x - clean) / sigma
        if family == "eps":
            return x - sigma * eps
        scale = (1 + sigma**2).rsqrt()
        velocity = scale * eps - sigma * scale * clean
        return scale**2 * x - sigma * scale * velocity

    return denoise


def as_flow(noised: NoisedLatents) -> NoisedLatents:
    """The same images, noise and signal-to-noise ratios as a flow model has them: t = sigma / (1 + sigma)."""
    levels = noised.sigmas / (1 + noised.sigmas)
    return replace(noised, sigmas=levels, alphas=1 - levels)


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
