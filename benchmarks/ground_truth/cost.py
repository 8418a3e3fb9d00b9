"""What truth costs: how good and how repeatable a map is for a number of evaluations of the network, and for ways to spend them.

Shapes: S steps, h w latent size. An evaluation is one noised latent under one prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...nodes.maths.answers.measures import auroc, rank_correlation
from ...nodes.maths.method.prediction import NoisePredictions
from .maps import Recipe, enlarge
from .stored import select

STEP_COUNTS = (1, 2, 3, 5, 8, 12)
COST_READINGS = ("sum of magnitudes", "evidence")
INDEPENDENT, PAIRS = "independent noise, all steps", "antithetic pairs, all steps"
EVEN, SPACED = "steps even in time", "steps even in log SNR"
WITHIN = "steps even in time, within the chosen range"
DIFFEDIT = "DiffEdit"


@dataclass(frozen=True)
class Spent:
    """One way to spend evaluations on a picture, and what it gave: AUROCs, and Spearman's correlation with as many others."""

    strategy: str
    reading: str
    evaluations: int
    auroc: float
    inside: float
    halves: float


def evenly(first: int, last: int, count: int) -> list[int]:
    """`count` different steps of first ... last - 1, in the middles of equal parts; all of them if there are not more."""
    count = min(count, last - first)
    return [first + int((n + 0.5) * (last - first) / count) for n in range(count)]


def ways(steps: int, chosen: dict[str, Recipe]) -> Iterator[tuple[str, str, str, list[int], list[list[int]]]]:
    """Strategy, reading, spacing of the predictions, steps (of the log SNR's, their number),
    and two disjoint halves of samples."""
    for reading in COST_READINGS:
        for count in (1, 2, 4, 8):
            singles, pairs = list(range(0, 2 * count, 2)), list(range(2 * count))
            yield INDEPENDENT, reading, "time", list(range(steps)), _halves(singles)
            yield PAIRS, reading, "time", list(range(steps)), _halves(pairs)
        for kind, samples in (("one sample", [0]), ("a pair", [0, 1])):
            halves = _halves(samples)
            for count in (*STEP_COUNTS, steps):
                yield f"{EVEN}, {kind}", reading, "time", evenly(0, steps, count), halves
                yield f"{SPACED}, {kind}", reading, "information", [count], halves
            best = chosen[reading]
            for count in sorted({*STEP_COUNTS, best.end - best.start}):
                if count <= best.end - best.start:
                    yield f"{WITHIN}, {kind}", reading, "time", evenly(best.start, best.end, count), halves


def _halves(samples: list[int]) -> list[list[int]]:
    """The samples, and as many others that are in other pairs."""
    return [samples, [sample + 2 * (max(samples) // 2 + 1) for sample in samples]]


def spend(
    many: NoisePredictions,
    spaced: NoisePredictions,
    mask: Callable[[int, int], Tensor | None],
    chosen: dict[str, Recipe],
    truth: np.ndarray,
    inside: np.ndarray,
) -> list[Spent]:
    """All ways on one picture.

    `many` has 16 samples at the usual steps, `spaced` some at steps even in log SNR; `mask(maps, draw)` is DiffEdit's soft map.
    If there are not enough samples for the other half, `halves` is NaN.
    """
    spent = []

    def add(strategy: str, reading: str, evaluations: int, cells: Tensor, other: Tensor | None) -> None:
        values = enlarge(cells)
        halves = float("nan") if other is None else rank_correlation(cells.numpy(), other.numpy())
        spent.append(Spent(strategy, reading, evaluations, auroc(values, truth), auroc(values[inside], truth[inside]), halves))

    for strategy, reading, spacing, steps, halves in ways(many.noised.steps, chosen):
        predictions = many if spacing == "time" else spaced
        if spacing == "information":
            steps = evenly(0, spaced.noised.steps, steps[0])
        whole = Recipe(reading, 0, len(steps))
        known = [max(half) < predictions.noised.samples for half in halves]
        first, second = (whole.cells(select(predictions, half, steps)) if k else None for half, k in zip(halves, known))
        add(strategy, reading, 2 * len(halves[0]) * len(steps), first, second)
    for maps in (1, 2, 5, 10, 20):
        first, second = mask(maps, 0), mask(maps, 1)
        if first is not None:
            add(DIFFEDIT, "–", 4 * maps, first, second)  # as diffusers runs it
    return spent


def cheapest(curve: Sequence[tuple[int, float]], goal: float) -> int | None:
    """The fewest evaluations of a curve [(evaluations, value), …] that reach the goal, or None."""
    return min((evaluations for evaluations, value in curve if value >= goal), default=None)
