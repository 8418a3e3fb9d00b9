"""Means with bootstrap intervals over scenes, exact intervals for shares, and the calibration of a verdict.

Shapes: N scenes of a pair, K quantities. A scene is drawn whole: its two pictures are not independent cases.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ..training.intervals import COVERAGE, Interval

DRAWS = 2_000
BINS = 10


def mean_of_pairs(pairs: list[np.ndarray]) -> np.ndarray:
    """The mean over the pairs of the means over their scenes, [N,K] each to [K]; NaN counts as not measured."""
    return np.mean([_mean(values, np.ones((1, len(values))))[0] for values in pairs], axis=0)


def bootstrap(pairs: list[np.ndarray], seed: int = 0) -> np.ndarray:
    """`mean_of_pairs` of scenes drawn anew with replacement, within each pair, [DRAWS,K] (Efron's percentile bootstrap)."""
    rng = np.random.default_rng(seed)
    means = []
    for values in pairs:
        count = len(values)
        means.append(_mean(values, rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)))
    return np.mean(means, axis=0)


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means of values [N,K] in which scene n counts `counts` [draws,N] times, [draws,K]."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return counts @ np.where(known, values, 0) / (counts @ known)


def intervals(pairs: list[np.ndarray]) -> list[Interval]:
    """The mean of each of the K quantities, with its bootstrap interval."""
    drawn = bootstrap(pairs)
    margin = 100 * (1 - COVERAGE) / 2
    ends = np.full((2, drawn.shape[1]), np.nan)
    known = ~np.isnan(drawn).all(axis=0)
    ends[:, known] = np.nanpercentile(drawn[:, known], [margin, 100 - margin], axis=0)
    return [Interval(*map(float, three)) for three in zip(mean_of_pairs(pairs), *ends)]


def reliability(log_odds: np.ndarray, temperature: float = 1.0, bins: int = BINS) -> list[tuple[float, float, int]]:
    """(mean confidence, share right, number) of the verdicts in each bin of confidence from ½ to 1; empty bins are left out."""
    confidence = expit(np.abs(log_odds) / temperature)
    which = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    return [
        (float(confidence[which == n].mean()), float((log_odds[which == n] > 0).mean()), int((which == n).sum()))
        for n in range(bins)
        if (which == n).any()
    ]


def expected_calibration_error(log_odds: np.ndarray, temperature: float = 1.0) -> float:
    """How far confidence is from being right, on average over verdicts (Naeini et al. 2015)."""
    points = reliability(log_odds, temperature)
    return sum(number * abs(confidence - right) for confidence, right, number in points) / len(log_odds)
