"""Where a map's cells lie on its picture."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from ..images import Size
from .heatmap import Heatmap

Interpolation = Literal["smooth", "cells"]


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int


def masks(heatmap: Heatmap, picture_size: Size, interpolation: Interpolation = "smooth") -> tuple[Tensor, Tensor]:
    """The positive and the negative part of value / limit, each [B,H,W] in 0..1 at the picture's size."""
    levels = place(heatmap, picture_size, interpolation)
    return levels.clamp(min=0), (-levels).clamp(min=0)


def covered_box(size: Size, latent_size: Size, downscale: int) -> Box:
    """The pixels that the latent covers.

    ComfyUI's VAE Encode crops an image at its centre to multiples of the downscale factor. Where that gives the latent's
    size, the crop is what the latent covers; any other latent came from a resized image and covers all of it.
    """
    height, width = size
    if (height // downscale, width // downscale) != tuple(latent_size):
        return Box(0, 0, height, width)
    spare_height, spare_width = height % downscale, width % downscale
    return Box(spare_height // 2, spare_width // 2, height - spare_height, width - spare_width)


def scale_box(box: Box, size: Size, new_size: Size) -> Box:
    """The same part of a picture after resizing it from `size` to `new_size`."""
    down, across = new_size[0] / size[0], new_size[1] / size[1]
    top, left = round(box.top * down), round(box.left * across)
    return Box(top, left, round((box.top + box.height) * down) - top, round((box.left + box.width) * across) - left)


def place(
    heatmap: Heatmap,
    picture_size: Size,
    interpolation: Interpolation = "smooth",
    size: Size | None = None,
) -> Tensor:
    """The heatmap's levels where the latent covers the picture, 0 around it, [B,H,W] at `size` or the picture's own.

    "smooth" is bilinear, which never exceeds the cells' own values; "cells" shows each cell as a rectangle.
    """
    height, width = size or picture_size
    box = scale_box(covered_box(picture_size, heatmap.latent_size, heatmap.downscale), picture_size, (height, width))
    options = {"mode": "bilinear", "antialias": True} if interpolation == "smooth" else {"mode": "nearest-exact"}
    levels = F.interpolate(heatmap.levels[:, None], (box.height, box.width), **options)[:, 0]
    return F.pad(levels, (box.left, width - box.left - box.width, box.top, height - box.top - box.height))
