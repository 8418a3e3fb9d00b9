"""Whether an answer has settled: what more steps would still change in the map, and in the verdict.

The steps that were asked are parted into two halves, every second one, that have noise of their own: both are whole answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .difference import read_step
from .prediction import NoisePredictions
from .uncertainty import reach, scatter_of_steps

Quality = Literal["quick", "settled", "exact"]
QUICK = 6
"""Noised latents of each image that "quick" asks about: with both prompts, 12 evaluations."""
FEWEST = 6
"""Steps that are asked before anything counts as settled. Chosen on 45 drawn scenes, reported on others. When the next two were
chosen, most of the others had been seen."""
AGREEMENT = 0.85
"""How well the map must repeat itself with other steps and other noise, see `Stability.agreement`."""
CONFIDENCE = 0.9
"""Of the interval that must leave 0, on either side of it: the sign is then right with 0.95."""


@dataclass(frozen=True, eq=False)
class Stability:
    """How stable the answer so far is, for each of B images."""

    map: Tensor
    """[B,h,w] where the predictions differ: the information of a mean step, summed over the channels."""
    agreement: Tensor
    """[B] the correlation to be expected between this map and one of as many other steps; NaN for a single step."""
    log_odds: Tensor
    """[B] nats, as the verdict has them."""
    half_width: Tensor
    """[B] of their confidence interval, from how far the steps scatter about each other; infinite for less than 3 steps."""
    steps: int
    """How many steps were asked."""

    @property
    def settled(self) -> bool:
        """Whether map and verdict would hardly change, in every image: the verdict's interval leaves 0, and the map repeats."""
        sure = self.log_odds.abs() > self.half_width
        return self.steps >= FEWEST and bool((sure & (self.agreement >= AGREEMENT)).all())


def stability(predictions: NoisePredictions) -> Stability:
    """How stable map and verdict are, from the steps that were asked."""
    noised, asked = predictions.noised, predictions.noised.asked_steps
    information = torch.stack([read_step(predictions, step, "information").mean(dim=0)[:, 0] for step in asked])
    evidence = torch.stack([read_step(predictions, step, "evidence").mean(dim=0).sum((1, 2, 3)) for step in asked])
    log_odds, half_width = _interval(evidence, noised.log_snr[asked], noised.step_shares[asked])
    return Stability(information.mean(dim=0), agreement(information), log_odds, half_width, len(asked))


def agreement(maps: Tensor) -> Tensor:
    """How well a mean of maps [n,B,h,w] would repeat itself, [B]: its halves' correlation r, for its whole length 2 r / (1 + r).

    The formula is that of Spearman (1910) and Brown (1910); halves are every second map. NaN for a single map.
    """
    if len(maps) < 2:
        return torch.full((maps.shape[1],), torch.nan)
    first, second = (half.mean(dim=0).flatten(1) for half in (maps[0::2], maps[1::2]))
    first, second = (half - half.mean(dim=1, keepdim=True) for half in (first, second))
    size = (first.square().sum(dim=1) * second.square().sum(dim=1)).sqrt()
    r = torch.where(size > 0, (first * second).sum(dim=1) / size, 1.0).clamp(min=0)
    return 2 * r / (1 + r)


def _interval(density: Tensor, log_snr: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of densities [n,B] times shares of the log-SNR axis [n], and half the width of its confidence interval."""
    totals = density * shares[:, None]
    scattered = scatter_of_steps(totals[None], shares, log_snr, fresh_noise=True)  # of more steps with the same noise too
    if scattered is None:
        return totals.sum(dim=0), torch.full_like(totals[0], torch.inf)
    variance, degrees = scattered
    return totals.sum(dim=0), reach(variance.sum(dim=0), degrees, (1 + CONFIDENCE) / 2).float()
