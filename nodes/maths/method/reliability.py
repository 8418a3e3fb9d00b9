"""Which values of a map are more than noise: the values beside their standard errors, and beside what chance gives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from scipy import stats
from torch import Tensor

from ..wording import format_value, say
from .map import Map

Reliability = Literal["all", "reliable only", "standard errors"]

CONFIDENCE = 0.99  # in how many of the maps of nothing but noise no more cells are reliable than are put down to chance


@dataclass(frozen=True, eq=False)
class Significance:
    """The values of B maps in standard errors, and how many of them noise alone would take beyond a threshold."""

    ratios: Tensor
    """[B,h,w] value / standard error."""
    threshold: float
    """How many standard errors a value has to exceed to be called reliable."""
    chance: Tensor | None
    """[B] the probability that noise alone takes a cell beyond the threshold; None for magnitudes, which are above 0 anyway."""
    noun: str
    """What the maps show, in a word."""

    @property
    def reliable(self) -> Tensor:
        """[B,h,w] which cells are beyond the threshold."""
        return self.ratios.abs() > self.threshold

    @property
    def counts(self) -> Tensor:
        """[B] how many cells of each map are."""
        return self.reliable.sum(dim=(1, 2))

    @property
    def cells(self) -> int:
        """How many cells a map has."""
        return self.ratios[0].numel()

    @property
    def found(self) -> Tensor:
        """[B] whether more cells are reliable than in 99 of 100 maps of nothing but noise (binomial: errors of different cells
        are taken as independent)."""
        if self.chance is None:
            return self.counts > 0
        return self.counts > torch.from_numpy(stats.binom.ppf(CONFIDENCE, self.cells, self.chance.numpy()))

    def shown(self, values: Tensor, reliability: Reliability) -> Tensor:
        """What of the values is shown, [B,h,w]: 0 everywhere in a map that is no more than noise, "all" excepted."""
        if reliability == "all":
            return values
        shown = self.ratios if reliability == "standard errors" else torch.where(self.reliable, values, 0.0)
        return torch.where(self.found[:, None, None], shown, 0.0)

    def words(self, image: int) -> str:
        """How many cells of a map are reliable, or that it holds nothing reliable."""
        chance = ""
        if self.chance is not None:
            expected = round(self.cells * float(self.chance[image]))
            chance = say("chance" if expected else "small_chance", count=expected)
        return say(
            "reliable" if self.found[image] else "not_reliable",
            noun=self.noun,
            threshold=format_value(self.threshold),
            count=int(self.counts[image]),
            cells=self.cells,
            chance=chance,
        )


def keep_reliable(map: Map, reliability: Reliability = "all", threshold: float = 3.0) -> Map:
    """The map with "all" its values, those of cells beyond `threshold` standard errors alone, or its values in standard errors.

    The last two leave an image clear where no more of its cells are beyond than noise has by chance, see `Significance`. Where
    standard errors are known, the map says how many cells are reliable.

    Raises:
        ValueError: an unknown reliability, one that needs a standard error where there is none, or a threshold that is not above
            0.
    """
    check_reliability(map, reliability)
    significance = measure_significance(map, threshold)
    if significance is None:
        return map
    values = significance.shown(map.values, reliability)
    differs = map.values.any(2).any(1)
    doubtful = differs & ~values.any(2).any(1)
    kept = replace(
        map,
        values=values,
        reliability=_reliability_words(significance, differs & ~doubtful),
        doubts=_reliability_words(significance, doubtful),
    )
    if reliability != "standard errors":
        return kept
    return replace(kept, unit=say("in_errors"), floor=0.0, error=torch.ones_like(values))


def measure_significance(map: Map, threshold: float) -> Significance | None:
    """A map in standard errors of at least what rounding makes; None where none is known.

    Raises:
        ValueError: a threshold that is not above 0.
    """
    if not 0 < threshold < math.inf:
        raise ValueError(f"The threshold is {threshold:g}; expected a number of standard errors above 0, 3 for example.")
    if map.error is None:
        return None
    chance = None if map.chance_degrees is None else exceedance(*map.chance_degrees, threshold)
    return Significance(map.values / map.error.clamp(min=map.floor), threshold, chance, map.noun)


def exceedance(above: Tensor, below: Tensor, threshold: float) -> Tensor:
    """The probability that noise alone takes a cell's |value| beyond so many standard errors, [B] float64: see `Map`."""
    return torch.from_numpy(stats.f.sf(threshold**2, above.numpy(), below.numpy()))


def check_reliability(map: Map, reliability: Reliability) -> None:
    """Refuse an unknown reliability, and one that needs a standard error where there is none.

    Raises:
        ValueError: as above.
    """
    if reliability not in get_args(Reliability):
        raise ValueError(f"The reliability is {reliability!r}; expected one of {', '.join(get_args(Reliability))}.")
    if reliability != "all" and map.error is None:
        raise ValueError(f"The reliability {reliability!r} needs a standard error{map.error_missing}")


def _reliability_words(significance: Significance, images: Tensor) -> tuple[str, ...]:
    """What there is to say about those of `images` [B] that are true, "" for the others."""
    return tuple(significance.words(image) if said else "" for image, said in enumerate(images.tolist()))
