"""How well a map agrees with a mask: measures of one picture.

A map is a float array [H,W], larger where it claims more, a mask is bool [H,W]. scikit-learn and scipy compute the measures; they
are imported where they are needed, since ComfyUI would otherwise load them with the pack.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np

POINTING_TOLERANCE = 1 / 64  # of the picture's width: 4 px at 256, half a latent cell


@dataclass(frozen=True)
class Scores:
    """Measures of one map against one truth mask; each lies between 0 and 1, chance is 0.5 for the three AUROCs.

    auroc: over the whole picture. inside: over the object's pixels alone. shuffled: negatives are the pixels where other
    pictures have their truth (Tatler et al. 2005), so that a map gets no credit for knowing only where objects tend
    to be. precision: average precision over the whole picture, its chance is the truth's share of it. iou: of the map's k
    largest pixels with the truth's k pixels, equal ones by shares. pointing: is the largest value on the truth? mass: the
    share of the positive values that is on the truth.
    """

    auroc: float
    inside: float
    shuffled: float
    precision: float
    iou: float
    pointing: float
    mass: float

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(field.name for field in fields(Scores))


def score(values: np.ndarray, truth: np.ndarray, silhouette: np.ndarray, others: np.ndarray) -> Scores:
    """Measure `values` [H,W] against `truth` [H,W]; `others` [H,W] counts other pictures' truth masks at each pixel."""
    inside = silhouette | truth
    return Scores(
        auroc=auroc(values, truth),
        inside=auroc(values[inside], truth[inside]),
        shuffled=auroc(values, truth, np.where(truth, 1, others)),
        precision=average_precision(values, truth),
        iou=overlap(largest_share(values, int(truth.sum())), truth),
        pointing=pointing(values, truth, max(1, round(POINTING_TOLERANCE * truth.shape[1]))),
        mass=relevance_mass(values, truth),
    )


def mean_scores(scores: list[Scores]) -> Scores:
    """Average the measures of many pictures."""
    return Scores(*np.mean([astuple(s) for s in scores], axis=0))


def auroc(values: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """How often a pixel of the truth has a larger value than one that is not, ties counting half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth.ravel(), values.ravel(), sample_weight=None if weights is None else weights.ravel()))


def average_precision(values: np.ndarray, truth: np.ndarray) -> float:
    """Precision averaged over the truth's pixels, from the largest value down; the truth's share of the pixels is chance."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth.ravel(), values.ravel()))


def largest_share(values: np.ndarray, count: int) -> np.ndarray:
    """How much each of the values belongs to the `count` largest, count > 0: 1, 0, or for ties at the boundary a share.

    Equal values share the places that are left for them, so that their position does not matter. Values that equal the smallest
    value never belong.
    """
    bound = np.partition(values.ravel(), -count)[-count]
    above, tied = values > bound, (values == bound) & (values > values.min())
    shares: np.ndarray = above + tied * ((count - above.sum()) / max(1, tied.sum()))
    return shares


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest values as a mask, count > 0: of ties at the boundary all or none, whichever comes nearer to the count.

    None of those that equal the smallest value; but all of the largest ones rather than nothing.
    """
    shares = largest_share(values, count)
    found: np.ndarray = shares >= 0.5
    return found if found.any() else shares > 0


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two masks, not both empty; either may be shares in 0 ... 1 of how much a pixel belongs to it.

    sum of min / sum of max, which is the Jaccard index where all shares are 0 or 1 (Ruzicka 1958).
    """
    return float(np.minimum(first, second).sum() / np.maximum(first, second).sum())


def pointing(values: np.ndarray, truth: np.ndarray, tolerance: int) -> float:
    """The pointing game (Zhang et al. 2018): 1 if the largest value lies within `tolerance` pixels of the truth, else 0.

    If several values are the largest, the share of them that lies there.
    """
    return float(grown(truth, tolerance)[values == values.max()].mean())


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask, wider by so many pixels across and down."""
    from scipy import ndimage

    return ndimage.binary_dilation(mask, iterations=pixels) if pixels else mask


def relevance_mass(values: np.ndarray, truth: np.ndarray) -> float:
    """Relevance mass accuracy (Arras et al. 2022): the share of the positive values that is on the truth;
    NaN if none is positive."""
    positive = np.maximum(values, 0).astype(np.float64)
    return float(positive[truth].sum() / positive.sum()) if positive.any() else float("nan")


def rank_correlation(values: np.ndarray, others: np.ndarray) -> float:
    """Spearman's correlation of two arrays that are not constant."""
    from scipy.stats import spearmanr

    return float(spearmanr(values.ravel(), others.ravel()).statistic)
