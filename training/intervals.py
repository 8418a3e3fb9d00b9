"""How often something holds, with an exact interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and where it lies with the stated confidence, 95 % where none is."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def percent(self) -> str:
        """The same in words for a person: 54 % (95 % interval 34 % to 73 %)."""
        value, low, high = (f"{100 * number:.0f} %" for number in (self.value, self.low, self.high))
        return f"{value} (95 % interval {low} to {high})"

    def guess(self, choices: int) -> bool:
        """Whether as many would be right by guessing among so many choices."""
        return self.low <= 1 / choices


def share(right: np.ndarray, coverage: float = COVERAGE) -> Interval:
    """How often something holds, with the exact interval of Clopper and Pearson: it has a width even if all are right."""
    result = binomtest(int(np.sum(right)), len(right))
    ends = result.proportion_ci(coverage, method="exact")
    return Interval(float(np.mean(right)), float(ends.low), float(ends.high))
