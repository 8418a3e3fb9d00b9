"""What the error and the interval of one pair of samples are worth, at all steps: they come from how the steps scatter."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ...nodes.maths.answers.verdict import judge
from ..ground_truth.cases import Case
from ..ground_truth.stored import Stored, select
from ..statistics import intervals
from ..tables import Cell, Table
from .subjects import Asking

SAMPLES = (4, 16)  # keys of `stored.FILES`: one other pair, and seven
HEAD = ("other pairs", "pictures", "interval holds their mean", "squared z")


def table(asking: Asking, drawn: list[Case]) -> Table:
    """Of the drawings that `benchmarks.truth` asked about with more than one pair of samples."""
    note = (
        "Each pair's 95 % interval, and z: how far the pair is from the mean of the others in the standard errors that it tells, "
        "over sqrt(1 + 1/n) for the error of the n others. The mean of its square is 1 if the told errors are right on average. "
        "Bootstrap over scenes."
    )
    rows = [row for samples in SAMPLES for row in _rows(Stored(asking.setting, asking.truth), drawn, samples)]
    return Table("single_pair", "What the error of one pair of samples is worth", HEAD, rows, note)


def _rows(stored: Stored, drawn: list[Case], samples: int) -> list[list[Cell]]:
    """One line, or none if nothing was asked so often."""
    scenes = defaultdict(list)
    for case in drawn:
        found = measure(stored, case, samples)
        if found is not None:
            scenes[case.pair, case.seed].append(found)  # twins share their noise
    if not scenes:
        return []
    means = np.array([np.mean(pictures, axis=0) for pictures in scenes.values()])
    return [[samples // 2 - 1, sum(map(len, scenes.values())), *intervals([means])]]


def measure(stored: Stored, case: Case, samples: int) -> np.ndarray | None:
    """In which share of the pairs the interval holds the mean of the others, and the mean of z^2, [2]; None if not asked."""
    asked = stored.predictions(case, case.label, case.twin, samples)
    if asked is None:
        return None
    steps = range(asked.noised.steps)
    verdicts = [judge(select(asked, (first, first + 1), steps)) for first in range(0, samples, 2)]
    told = [(each.log_odds, each.error, each.half_width) for each in verdicts]
    nats, errors, half_widths = np.array([[float(value) for value in each] for each in told]).T
    others = len(nats) - 1
    away = nats - (nats.sum() - nats) / others
    return np.array([np.mean(np.abs(away) <= half_widths), np.mean((away / errors) ** 2) / (1 + 1 / others)])
