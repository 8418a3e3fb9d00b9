"""What a picture's map and verdict are worth after so many evaluations of the network, and where `settled` stops.

An evaluation is one noised latent under one prompt. All is measured on stored answers: a shorter run is a part of a longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...nodes.maths.answers import measures
from ...nodes.maths.answers.settled import FEWEST, QUICK, stability
from ...nodes.maths.answers.verdict import judge
from ...nodes.maths.method.order import asking_order, golden_order
from ...nodes.maths.method.prediction import NoisePredictions, part_of
from .cases import Case
from .maps import enlarge
from .measure import Target
from .stored import Stored

COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 25)
"""Steps that are asked, each about an antithetic pair under both prompts: four evaluations."""
EACH = 4
ASKING, LONE, GOLDEN, NOISIEST, DIFFEDIT = (
    "order of asking, pairs",
    "order of asking, lone samples",
    "evenly spread, pairs",
    "noisiest first, pairs",
    "DiffEdit, soft map",
)
DIFFEDIT_MAPS = (2, 5, 10)
EXACT_SAMPLES = 4
QUICK_NAME, SETTLED_NAME, EXACT_NAME = "quick", "settled", "exact"
Measured = tuple[float, ...]
"""Evaluations, AUROC inside the object, IoU, and whether the verdict's sign is right (NaN: there is none). Of a quality also what
its verdict says: the nats, those of exact, and whether the 95 % interval holds exact's, and leaves 0."""


def measure_picture(stored: Stored, case: Case) -> dict[str, list[Measured]] | None:
    """Each way of asking at its numbers of evaluations, and each quality; None if answers are missing."""
    whole = stored.predictions(case, case.label, case.twin, EXACT_SAMPLES)
    if whole is None:
        return None
    target = Target.of(case, np.zeros_like(case.truth(), dtype=float))
    found: dict[str, list[Measured]] = {name: [] for name in (ASKING, LONE, GOLDEN, NOISIEST)}
    for name, part, evaluations in ways(whole):
        found[name].append((evaluations, *worth(target, part)))
    edits = [(maps, stored.mask(case, maps)) for maps in DIFFEDIT_MAPS]
    found[DIFFEDIT] = [
        (4 * maps, *worth_of_map(target, enlarge(edit["soft"])), math.nan) for maps, edit in edits if edit is not None
    ]
    exact = float(judge(whole).log_odds)
    return found | {
        name: [(evaluations, *worth(target, part), *said(part, exact))] for name, part, evaluations in qualities(whole)
    }


def ways(whole: NoisePredictions) -> Iterator[tuple[str, NoisePredictions, int]]:
    """Each order of the steps, cut after COUNTS of them, and what that took."""
    steps = whole.noised.steps
    asking, spread, falling = asking_order(steps), golden_order(steps), list(range(steps))
    orders = {ASKING: (asking, 2), LONE: (asking, 1), GOLDEN: (spread, 2), NOISIEST: (falling, 2)}
    for name, (order, samples) in orders.items():
        for count in COUNTS:
            if count <= steps:
                yield name, part_of(whole, order[:count], samples), 2 * samples * count


def qualities(whole: NoisePredictions) -> Iterator[tuple[str, NoisePredictions, int]]:
    """What the node's three qualities would give."""
    steps = whole.noised.steps
    order = asking_order(steps)
    yield QUICK_NAME, part_of(whole, order[: QUICK // 2], 2), 2 * QUICK
    parts = ((count, part_of(whole, order[:count], 2)) for count in range(min(FEWEST, steps), steps + 1))
    count, part = next((n, part) for n, part in parts if n == steps or stability(part).settled)
    yield SETTLED_NAME, part, EACH * count
    yield EXACT_NAME, whole, 2 * whole.noised.samples * steps


def worth(target: Target, part: NoisePredictions) -> tuple[float, float, float]:
    """Of the map of information, all steps equally weighted, and of the log-odds: their sign must be the label's."""
    found = stability(part)
    return *worth_of_map(target, enlarge(found.map[0])), float(found.log_odds > 0)


def said(part: NoisePredictions, exact: float) -> tuple[float, float, float, float]:
    """The verdict's nats for the right label beside those of exact, whether its interval holds exact's, and leaves 0."""
    verdict = judge(part)
    nats, half_width = float(verdict.log_odds), verdict.half_width
    if half_width is None:
        return nats, exact, math.nan, math.nan
    return nats, exact, float(abs(nats - exact) <= half_width), float(abs(nats) > half_width)


def worth_of_map(target: Target, values: np.ndarray) -> tuple[float, float]:
    """AUROC inside the object, and IoU of as many of the largest pixels as the truth has."""
    overlap = measures.overlap(measures.largest(values, int(target.truth.sum())), target.truth)
    return float(measures.auroc(values[target.inside], target.truth[target.inside])), float(overlap)
