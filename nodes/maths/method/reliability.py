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

CONFIDENCE = 0.99  # the share of maps of nothing but noise whose estimates agree no more often than they do by chance


@dataclass(frozen=True, eq=False)
class Significance:
    """The values of B maps in standard errors, and whether the maps are more than noise."""

    ratios: Tensor
    """[B,h,w] value / standard error."""
    threshold: float
    """How many standard errors a value must exceed to be called reliable."""
    chance: float
    """The probability, at most, that noise alone takes a cell beyond the threshold."""
    signed: bool
    """Whether a value may be below 0 by more than noise."""
    agreeing: Tensor
    """[B] in how many comparisons two independent estimates of a step's map are alike."""
    compared: Tensor
    """[B] how many such comparisons there are."""
    noun: str
    """What the maps show, in a word."""

    @property
    def reliable(self) -> Tensor:
        """[B,h,w] which cells are beyond the threshold."""
        return (self.ratios.abs() if self.signed else self.ratios) > self.threshold

    @property
    def counts(self) -> Tensor:
        """[B] how many cells of each map are."""
        return self.reliable.sum(dim=(1, 2))

    @property
    def cells(self) -> int:
        """How many cells a map has."""
        return self.ratios[0].numel()

    @property
    def needed(self) -> Tensor:
        """[B] in how many comparisons the estimates must agree, see `agreements_needed`."""
        return torch.tensor([agreements_needed(compared) for compared in self.compared.tolist()])

    @property
    def found(self) -> Tensor:
        """[B] whether independent estimates agree more often than noise does.

        Under noise alone two estimates of a step's map are alike as often as not, whatever the errors of its cells have in common
        with each other: the test assumes only that the estimates are independent.
        """
        return self.agreeing >= self.needed

    def shown(self, values: Tensor, reliability: Reliability) -> Tensor:
        """The values that are shown, [B,h,w]: 0 everywhere in a map that is no more than noise, except with "all"."""
        if reliability == "all":
            return values
        shown = self.ratios if reliability == "standard errors" else torch.where(self.reliable, values, 0.0)
        return torch.where(self.found[:, None, None], shown, 0.0)

    def words(self, image: int) -> str:
        """How many cells of a map are reliable, or that it is no more than noise."""
        if not self.found[image]:
            agreeing, compared, needed = (int(counts[image]) for counts in (self.agreeing, self.compared, self.needed))
            return say("too_few" if needed > compared else "not_reliable", noun=self.noun, agreeing=agreeing, compared=compared)
        expected = math.ceil(self.cells * self.chance)
        return say(
            "reliable",
            threshold=format_value(self.threshold),
            count=int(self.counts[image]),
            cells=self.cells,
            expected=min(expected, self.cells),
        )


def agreements_needed(compared: int, confidence: float = CONFIDENCE) -> int:
    """In how many comparisons estimates must agree: more than in 99 of 100 maps of nothing but noise (sign test)."""
    return int(stats.binom.ppf(confidence, compared, 0.5)) + 1


def keep_reliable(map: Map, reliability: Reliability = "all", threshold: float = 3.0) -> Map:
    """The map with "all" its values, with only those beyond `threshold` standard errors, or with its values in standard errors.

    With the last two, an image that is no more than noise is left clear, see `Significance`. If standard errors are known, the
    map says how many cells are reliable.

    Raises:
        ValueError: an unknown reliability, one that needs a missing standard error, or a threshold that is not above
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
    """A map in standard errors, each at least as large as rounding; None if no standard error is known.

    Raises:
        ValueError: a threshold that is not above 0.
    """
    if not 0 < threshold < math.inf:
        raise ValueError(f"The threshold is {threshold:g}; expected a number of standard errors above 0, 3 for example.")
    if map.error is None:
        return None
    tested = map.values if map.tested is None else map.tested
    none = torch.zeros(len(map.values), dtype=torch.long)
    return Significance(
        ratios=torch.where(map.values == 0, 0.0, tested / map.error.clamp(min=map.floor)),
        threshold=threshold,
        chance=exceedance(map, threshold),
        signed=map.tested is None,
        agreeing=none if map.agreeing is None else map.agreeing,
        compared=none if map.compared is None else map.compared,
        noun=map.noun,
    )


def exceedance(map: Map, threshold: float) -> float:
    """The probability, at most, that noise alone takes a cell beyond so many standard errors.

    Student's t on both sides, with one degree of freedom less than there are estimates: a sum over steps has more, unless one
    step carries all variance. For products of estimates the normal distribution on one side: a sum of terms with random
    signs, over the root of the sum of their squares, exceeds a threshold hardly more often than that (Hoeffding 1963).
    """
    if map.tested is not None:
        return float(stats.norm.sf(threshold))
    return 2 * float(stats.t.sf(threshold, max(1, map.estimates - 1)))


def check_reliability(map: Map, reliability: Reliability) -> None:
    """Refuse an unknown reliability, and one that needs a standard error that the map does not have.

    Raises:
        ValueError: as above.
    """
    if reliability not in get_args(Reliability):
        raise ValueError(f"The reliability is {reliability!r}; expected one of {', '.join(get_args(Reliability))}.")
    if reliability != "all" and map.error is None:
        raise ValueError(f"The reliability {reliability!r} needs a standard error{map.error_missing}")


def _reliability_words(significance: Significance, images: Tensor) -> tuple[str, ...]:
    """What to say about those of `images` [B] that are true, "" for the others."""
    return tuple(significance.words(image) if said else "" for image, said in enumerate(images.tolist()))
