"""Maps without a model: a real map must be better than these.

Shapes: H W picture size. A picture is uint8 [H,W,3], a silhouette bool [H,W], a map a float array [H,W].
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage


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
