"""Answers about single pictures put together: is there a place where a classifier keeps looking, and the data does not?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..intervals import Interval, share
from .maps import Answer, in_regions

OFTEN = 0.5
"""A region is conspicuous if it is surely the first in more than this share of a class's pictures: real things move about."""
DECISIVE = 0.25
"""And if replacing it changes at least this share of the answers."""


@dataclass(frozen=True)
class Group:
    """All pictures that a classifier calls by one class, and the region in which its map exceeds the data's most often."""

    called: int
    pictures: int
    region: int
    first: Interval
    """In how many of them it is that region, with the exact interval."""
    changed: float
    """The share of answers that change once it shows another picture's, over the pictures whose first region it is."""
    excess: float
    """The classifier's share of mass there minus the data's, the mean over all of them."""

    @property
    def conspicuous(self) -> bool:
        """Whether a person should look at this place."""
        return self.first.low > OFTEN and self.changed >= DECISIVE


def group(answers: Sequence[Answer], regions: int) -> list[Group]:
    """A group for each class that is called, the most conspicuous first."""
    called = sorted({answer.called for answer in answers})
    groups = [_group([answer for answer in answers if answer.called == label], regions) for label in called]
    return sorted(groups, key=lambda one: (one.conspicuous, one.first.value * one.changed), reverse=True)


def _group(answers: list[Answer], regions: int) -> Group:
    places = np.array([answer.region for answer in answers])
    region = int(np.bincount(places, minlength=regions * regions).argmax())
    changed = np.mean([answer.changed for answer in answers if answer.region == region])
    excess = [_excess(answer, region, regions) for answer in answers]
    return Group(answers[0].called, len(answers), region, share(places == region), float(changed), float(np.mean(excess)))


def _excess(answer: Answer, region: int, regions: int) -> float:
    return float((in_regions(answer.classifier_map, regions) - in_regions(answer.data_map, regions))[region])


def region_words(region: int, regions: int) -> str:
    """Where a region lies: row 1, column 4 of 4 × 4."""
    row, column = divmod(region, regions)
    return f"row {row + 1}, column {column + 1} of {regions} × {regions}"
