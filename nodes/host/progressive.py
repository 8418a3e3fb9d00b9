"""Answers that sharpen while one looks, and stop by themselves: what is asked in which order, until when, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, get_args

import comfy.utils
from torch import Tensor

from ..maths.answers.settled import QUICK, Quality, Stability, stability
from ..maths.method.noising import NoisedLatents
from ..maths.method.order import Level, known_part, noised_order, smallest_group
from ..maths.method.prediction import NoisePredictions, part_of
from ..maths.pictures.preview import WIDTH, preview

if TYPE_CHECKING:
    from .live import Followers

SHARE = 0.03
"""Of a run's time that showing the map may take; what would take more is left out."""
OF_FOLLOWERS = 2 / 3
"""Of that share, what goes to the Explorers that follow the run, where there are some."""
VALUES_PER_SECOND = 1e7
"""About as many numbers are written for an Explorer, until it is known how long that takes; of one core that is not fast."""


@dataclass
class Share:
    """What may be left out, and takes no more than a share of the time."""

    share: float
    clock: Callable[[], float]
    last: float = 0.0
    """Seconds that it took the last time, or is thought to take the first time."""
    _spent: float = 0.0
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def allows(self) -> bool:
        """Whether once more stays within the share; what is thought to take no time comes at once."""
        return not self.last or self._spent + self.last <= self.share * (self.clock() - self._started)

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Measure what is done within."""
        before = self.clock()
        yield
        self.last = self.clock() - before
        self._spent += self.last


@dataclass(eq=False)
class Progress:
    """The plan of a collection, see `kept.Plan`: shows the map after each round, and knows when it is enough.

    Raises:
        ValueError: an unknown quality.
    """

    noised: NoisedLatents
    labels: tuple[str, str]
    quality: Quality
    followers: Followers | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the predictions beforehand, by the fields of `NoisePredictions`: the model's own pictures, for example."""
    clock: Callable[[], float] = perf_counter
    done: int = 0
    """How many of the order are known."""
    settled: bool = False
    """Whether it stopped because map and verdict would hardly change."""

    def __post_init__(self) -> None:
        if self.quality not in get_args(Quality):
            raise ValueError(f"The quality is {self.quality!r}; expected one of {', '.join(get_args(Quality))}.")
        follow = OF_FOLLOWERS if self.followers and self.followers.explorers else 0.0
        self._preview = Share((1 - follow) * SHARE, self.clock)
        values = self.noised.samples * self.noised.steps * self.noised.x0.numel()
        self._live = Share(follow * SHARE, self.clock, values / VALUES_PER_SECOND)
        self.patient = self.quality == "exact"
        self.group = self.noised.samples if self.patient else smallest_group(self.noised)
        self.order: list[Level] = noised_order(self.noised, self.group)
        if not self.patient:
            self.order = self.order[: QUICK if self.quality == "quick" else self.noised.steps * self.group]

    def enough(self, done: int, arrays: list[Tensor], bar: comfy.utils.ProgressBar) -> bool:
        """Show what the first `done` of the order say, and whether that is enough."""
        self.done = done
        asks, shows = self.quality == "settled" and done % self.group == 0, self._preview.allows()
        tells = self._live.share > 0 and done < len(self.order) and self._live.allows()
        if not (asks or shows or tells):
            return False
        known = self.part(NoisePredictions(self.noised, arrays[0], arrays[1], *self.labels, **self.about))
        found = self._show(known, bar) if shows else stability(known)
        if tells and self.followers:
            with self._live.spend():
                self.followers.tell(known, found, *(2 * self.noised.images * count for count in (done, len(self.order))))
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
        settled = "More would hardly change the map, or which prompt is ahead"
        why = settled if self.settled else f"That is the most that {self.quality} asks for"
        taken = "one noise sample" if samples == 1 else f"{samples} noise samples"
        return f"Asked at {len(steps)} of {self.noised.steps} steps with {taken}. {why}; exact asks for the rest."

    def _show(self, known: NoisePredictions, bar: comfy.utils.ProgressBar) -> Stability:
        with self._preview.spend():
            found = stability(known)
            bar.update_absolute(bar.current, preview=("JPEG", preview(found, self.labels, self.noised.steps), WIDTH))
        return found
