"""How well a map finds the pixels that differ between two twins: measures of one picture, and the trivial maps beside it.

Shapes: H W picture size. Every map is a float array [H,W], larger where it claims more; every mask is bool [H,W].
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

POINTING_TOLERANCE = 1 / 64  # of the picture's width: 4 px at 256, half a latent cell


@dataclass(frozen=True)
class Scores:
    """Measures of one map against one truth mask; each lies between 0 and 1, chance is 0.5 for the three AUROCs.

    auroc: over the whole picture. inside: over the object's pixels alone. shuffled: negatives are the pixels where other
    pictures have their truth (Tatler et al. 2005), which takes the reward from a map that only knows where objects tend
    to be. iou: of the map's k largest pixels with the truth's k pixels. pointing: is the largest value on the truth?
    """

    auroc: float
    inside: float
    shuffled: float
    iou: float
    pointing: float

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(field.name for field in fields(Scores))


def score(values: np.ndarray, truth: np.ndarray, silhouette: np.ndarray, others: np.ndarray) -> Scores:
    """Measure `values` [H,W] against `truth` [H,W]; `others` [H,W] counts other pictures' truth masks at each pixel."""
    inside = silhouette | truth
    elsewhere = np.where(truth, 1, others)
    k = int(truth.sum())
    top = np.zeros(truth.size, bool)
    top[np.argpartition(values.ravel(), -k)[-k:]] = True
    top = top.reshape(truth.shape)
    near = ndimage.binary_dilation(truth, iterations=max(1, round(POINTING_TOLERANCE * truth.shape[1])))
    return Scores(
        auroc=roc_auc_score(truth.ravel(), values.ravel()),
        inside=roc_auc_score(truth[inside], values[inside]),
        shuffled=roc_auc_score(truth.ravel(), values.ravel(), sample_weight=elsewhere.ravel()),
        iou=(top & truth).sum() / (top | truth).sum(),
        pointing=float(near.ravel()[values.argmax()]),
    )


def mean_scores(scores: list[Scores]) -> Scores:
    """Average the measures of many pictures."""
    return Scores(*np.mean([astuple(s) for s in scores], axis=0))


def centre_gaussian(picture: np.ndarray, silhouette: np.ndarray) -> np.ndarray:
    """A map that only knows the middle of the picture: a Gaussian of a quarter of its width."""
    height, width = silhouette.shape
    y, x = np.mgrid[:height, :width]
    return np.exp(-8 * (((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2))


def edge_map(picture: np.ndarray, silhouette: np.ndarray) -> np.ndarray:
    """Sobel edges of the picture's grey, blurred to about a latent cell."""
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float32)
    edges = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))
    return ndimage.gaussian_filter(edges, silhouette.shape[1] / 64)


def whole_object(picture: np.ndarray, silhouette: np.ndarray) -> np.ndarray:
    """The object's silhouette, blurred to about a latent cell so that it has no ties."""
    return ndimage.gaussian_filter(silhouette.astype(np.float32), silhouette.shape[1] / 64)


TRIVIAL_MAPS = {"centre Gaussian": centre_gaussian, "edge map": edge_map, "silhouette of the object": whole_object}
