"""Answers that sharpen while one looks, and stop by themselves: what is asked in which order, until when, and what is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import get_args

import comfy.utils
from torch import Tensor

from ..maths.method.noising import NoisedLatents
from ..maths.method.order import Level, known_part, noised_order, smallest_group
from ..maths.method.prediction import NoisePredictions, part_of
from ..maths.method.settled import QUICK, Quality, Stability, stability
from ..maths.pictures.preview import WIDTH, preview

SHARE = 0.03
"""Of a run's time that showing the map may take; what would take more is left out."""


@dataclass(eq=False)
class Progress:
    """The plan of a collection, see `kept.Plan`: shows the map after each round, and knows when it is enough.

    Raises:
        ValueError: an unknown quality.
    """

    noised: NoisedLatents
    labels: tuple[str, str]
    quality: Quality
    clock: Callable[[], float] = perf_counter
    done: int = 0
    """How many of the order are known."""
    settled: bool = False
    """Whether it stopped because map and verdict would hardly change."""
    _started: float = field(init=False)
    _showing: float = 0.0
    """Seconds that showing took so far."""
    _last: float = 0.0
    """Seconds that showing took the last time."""

    def __post_init__(self) -> None:
        if self.quality not in get_args(Quality):
            raise ValueError(f"The quality is {self.quality!r}; expected one of {', '.join(get_args(Quality))}.")
        self._started = self.clock()
        self.patient = self.quality == "exact"
        self.group = self.noised.samples if self.patient else smallest_group(self.noised)
        self.order: list[Level] = noised_order(self.noised, self.group)
        if not self.patient:
            self.order = self.order[: QUICK if self.quality == "quick" else self.noised.steps * self.group]

    def enough(self, done: int, arrays: list[Tensor], bar: comfy.utils.ProgressBar) -> bool:
        """Show what the first `done` of the order say, and whether that is enough."""
        self.done = done
        asks, shows = self.quality == "settled" and done % self.group == 0, self._may_show()
        if not asks and not shows:
            return False
        before = self.clock()
        found = stability(self.part(NoisePredictions(self.noised, arrays[0], arrays[1], *self.labels)))
        if shows:
            self._show(found, bar)
            self._last = self.clock() - before
            self._showing += self._last
        self.settled = asks and self.noised.fresh_noise and found.settled
        return self.settled

    def part(self, predictions: NoisePredictions) -> NoisePredictions:
        """What is known of predictions by now."""
        steps, samples = known_part(self.noised, self.group, self.done)
        return part_of(predictions, steps, samples)

    def words(self) -> str:
        """Where it stopped, "" if everything was asked."""
        steps, samples = known_part(self.noised, self.group, self.done)
        if (len(steps), samples) == (self.noised.steps, self.noised.samples):
            return ""
        why = "Map and verdict have settled" if self.settled else f"That is the most that {self.quality} asks for"
        taken = "one noise sample" if samples == 1 else f"{samples} noise samples"
        return f"Asked at {len(steps)} of {self.noised.steps} steps with {taken}. {why}; exact asks for the rest."

    def _may_show(self) -> bool:
        """Whether showing once more stays within its share of the time; the first map is always shown."""
        return not self._last or self._showing + self._last <= SHARE * (self.clock() - self._started)

    def _show(self, found: Stability, bar: comfy.utils.ProgressBar) -> None:
        bar.update_absolute(bar.current, preview=("JPEG", preview(found, self.labels, self.noised.steps), WIDTH))
