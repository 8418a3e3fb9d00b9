"""Whether an answer has settled: what more steps would still change in the map, and in the verdict.

The steps that were asked are parted into two halves, every second one, that have noise of their own: both are whole answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..method.difference import read_step
from ..method.prediction import NoisePredictions
from .verdict import assumed_parts, judge

Quality = Literal["quick", "settled", "exact"]
QUICK = 6
"""Noised latents of each image that "quick" asks about: with both prompts, 12 evaluations."""
FEWEST = 4
"""Steps that are asked before anything counts as settled. Both limits were chosen on 45 drawn scenes and reported on others."""
AGREEMENT = 0.85
"""How well the map must repeat itself with other steps and other noise, see `Stability.agreement`."""


@dataclass(frozen=True, eq=False)
class Stability:
    """How stable the answer so far is, for each of B images."""

    map: Tensor
    """[B,h,w] where the predictions differ: the information of a mean step, summed over the channels."""
    agreement: Tensor
    """[B] the correlation to be expected between this map and one of as many other steps; NaN for a single step."""
    log_odds: Tensor
    """[B] nats, the verdict's."""
    half_width: Tensor
    """[B] of the verdict's confidence interval; infinite where none is known, as for less than 3 steps."""
    assumed: Tensor
    """[B] how many of the nats stand for the ends of the schedule, at which no step was asked."""
    steps: int
    """How many steps were asked."""

    @property
    def settled(self) -> bool:
        """Whether map and verdict would hardly change, in every image: the verdict's interval leaves 0, and the map repeats."""
        sure = self.log_odds.abs() > self.half_width
        return self.steps >= FEWEST and bool((sure & (self.agreement >= AGREEMENT)).all())


def stability(predictions: NoisePredictions) -> Stability:
    """How stable map and verdict are, from the steps that were asked.

    Raises:
        ValueError: the predictions contain NaN.
    """
    asked, verdict = predictions.noised.asked_steps, judge(predictions)
    information = torch.stack([read_step(predictions, step, "information").mean(dim=0)[:, 0] for step in asked])
    half_width = verdict.half_width
    return Stability(
        map=information.mean(dim=0),
        agreement=agreement(information),
        log_odds=verdict.log_odds,
        half_width=torch.full_like(verdict.log_odds, torch.inf) if half_width is None else half_width,
        assumed=assumed_parts(verdict).sum(dim=0),
        steps=len(asked),
    )


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
