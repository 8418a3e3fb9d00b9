"""A heatmap in colour, laid over its picture where the latent cells lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .heatmap import Heatmap, luminance

Background = Literal["photo", "grey"]
Interpolation = Literal["smooth", "cells"]

AUTOMATIC = "automatic"
# matplotlib's maps that colour-blind readers can tell apart, with words for their ends: (negative, positive), or the most.
DIVERGING = {
    "RdBu_r": ("blue", "red"),
    "PuOr": ("orange", "purple"),
    "BrBG": ("brown", "green"),
    "PRGn": ("purple", "green"),
    "coolwarm": ("blue", "red"),
    "berlin": ("blue", "red"),
    "managua": ("gold", "blue"),
    "vanimo": ("pink", "green"),
}
# The ends of these are so dark that the highest values look like holes in a dark photo: a tenth is cut off at either end.
DARK_ENDS = ("RdBu_r", "PuOr", "BrBG", "PRGn")
SEQUENTIAL = {"inferno": "yellow", "magma": "yellow", "plasma": "yellow", "viridis": "yellow", "cividis": "yellow"}


@dataclass(frozen=True)
class Appearance:
    """How a heatmap is drawn over its picture, the same in its legend.

    Raises:
        ValueError: an unknown background or interpolation, an opacity out of range.
    """

    colour_map: str = AUTOMATIC
    opacity: float = 0.8
    """0 (invisible) ... 1 (the full colour hides the picture)."""
    background: Background = "grey"
    interpolation: Interpolation = "smooth"

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"The opacity is {self.opacity:g}; expected 0 (invisible) to 1 (hides the picture).")
        for name, choices in (("background", Background), ("interpolation", Interpolation)):
            if (chosen := getattr(self, name)) not in get_args(choices):
                raise ValueError(f"The {name} is {chosen!r}; expected one of {', '.join(get_args(choices))}.")


USUAL = Appearance()


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int


def overlay(
    pictures: Tensor,
    heatmap: Heatmap,
    appearance: Appearance = USUAL,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The heatmap over its pictures, [B,H,W,3]: see `blend`.

    pictures: [B,H,W,3 or 4] in 0..1, or one picture for all maps; alpha is left out, as VAE Encode does.
    size: height and width to draw at; None is the picture's own.

    Raises:
        ValueError: pictures that don't belong to the maps, a colour map that does not suit their sign.
    """
    pictures = match_pictures(pictures, len(heatmap.values), heatmap.latent_size)
    levels = place(heatmap, pictures.shape[1:3], appearance.interpolation, size)
    pictures = resize(pictures, size or pictures.shape[1:3])
    if appearance.background == "grey":
        pictures = luminance(pictures)[..., None].expand(-1, -1, -1, 3)
    return blend(pictures, levels, heatmap.signed, appearance)


def blend(pictures: Tensor, levels: Tensor, signed: bool, appearance: Appearance) -> Tensor:
    """picture * (1 - a) + colour * a, [...,3], with a = opacity * |level|, or opacity * level^1.5 for unsigned maps.

    A level of 0 leaves the picture as it is. A magnitude is nowhere 0 where there is noise: the power keeps that from veiling all of
    the picture.
    """
    strength = levels.abs() if signed else levels**1.5
    return torch.lerp(pictures, colours(levels, signed, appearance.colour_map), appearance.opacity * strength[..., None])


def masks(
    heatmap: Heatmap, picture_size: tuple[int, int], interpolation: Interpolation = "smooth"
) -> tuple[Tensor, Tensor]:
    """The positive and the negative part of value / limit, each [B,H,W] in 0..1 at the picture's size."""
    levels = place(heatmap, picture_size, interpolation)
    return levels.clamp(min=0), (-levels).clamp(min=0)


def match_pictures(pictures: Tensor, maps: int, latent_size: tuple[int, int]) -> Tensor:
    """The RGB of pictures [1 or maps,H,W,3 or 4], one for each map, [maps,H,W,3] float32 on the CPU.

    Raises:
        ValueError: no pictures, another number of them, a single pixel or fewer pixels than cells, NaN.
    """
    if pictures.ndim != 4 or pictures.shape[-1] not in (3, 4) or 0 in pictures.shape:
        raise ValueError(
            f"The image has shape {list(pictures.shape)}; expected [images, height, width, 3 or 4]. Connect an IMAGE."
        )
    if len(pictures) not in (1, maps):
        raise ValueError(
            f"There are {len(pictures)} images, but the difference is of {maps}. Connect the {maps} that were encoded, or one for all."
        )
    height, width = pictures.shape[1:3]
    rows, columns = latent_size
    if height * width == 1 or height < rows or width < columns:
        raise ValueError(
            f"The image has {width}×{height} pixels, but the latent has {columns}×{rows} cells; expected more pixels than cells. "
            "Connect the image that was encoded, not a smaller one."
        )
    pictures = pictures[..., :3].to("cpu", torch.float32)
    if not torch.isfinite(pictures).all():
        raise ValueError("The image contains NaN or infinity. Connect the image that was encoded.")
    return pictures.expand(maps, -1, -1, -1)


def covered_box(size: tuple[int, int], latent_size: tuple[int, int], downscale: int) -> Box:
    """The pixels that the latent covers.

    ComfyUI's VAE Encode crops an image at its centre to multiples of the downscale factor. Where that gives the latent's
    size, the crop is what the latent covers; any other latent came from a resized image and covers all of it.
    """
    height, width = size
    if (height // downscale, width // downscale) != tuple(latent_size):
        return Box(0, 0, height, width)
    spare_height, spare_width = height % downscale, width % downscale
    return Box(spare_height // 2, spare_width // 2, height - spare_height, width - spare_width)


def scale_box(box: Box, size: tuple[int, int], new_size: tuple[int, int]) -> Box:
    """The same part of a picture after resizing it from `size` to `new_size`."""
    down, across = new_size[0] / size[0], new_size[1] / size[1]
    top, left = round(box.top * down), round(box.left * across)
    return Box(top, left, round((box.top + box.height) * down) - top, round((box.left + box.width) * across) - left)


def resize(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures [B,H,W,3] at another size, by Lanczos windows; unchanged where they have that size."""
    if tuple(pictures.shape[1:3]) == tuple(size):
        return pictures
    return torch.stack(
        [from_image(to_image(picture).resize(size[::-1], Image.Resampling.LANCZOS)) for picture in pictures]
    )


def from_image(image: Image.Image) -> Tensor:
    """A Pillow picture as [H,W,3] in 0..1."""
    return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 255)


def to_image(picture: Tensor) -> Image.Image:
    """A picture [H,W,3] in 0..1 for Pillow."""
    return Image.fromarray((picture.clamp(0, 1) * 255).round().byte().numpy())


def place(
    heatmap: Heatmap,
    picture_size: tuple[int, int],
    interpolation: Interpolation = "smooth",
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The heatmap's levels where the latent covers the picture, 0 around it, [B,H,W] at `size` or the picture's own.

    "smooth" is bilinear, which never exceeds the cells' own values; "cells" shows each cell as a rectangle.
    """
    height, width = size or picture_size
    box = scale_box(covered_box(picture_size, heatmap.latent_size, heatmap.downscale), picture_size, (height, width))
    options = {"mode": "bilinear", "antialias": True} if interpolation == "smooth" else {"mode": "nearest-exact"}
    levels = F.interpolate(heatmap.levels[:, None], (box.height, box.width), **options)[:, 0]
    return F.pad(levels, (box.left, width - box.left - box.width, box.top, height - box.top - box.height))


def colours(levels: Tensor, signed: bool, colour_map: str = AUTOMATIC) -> Tensor:
    """The colours of levels -1..1 (signed, the middle of the colour map is 0) or 0..1, [...] to [...,3]."""
    table = colour_table(colour_map_name(colour_map, signed))
    positions = (levels + 1) / 2 if signed else levels
    return table[(positions * len(table)).long().clamp(0, len(table) - 1)]


def colour_map_name(colour_map: str, signed: bool) -> str:
    """The name in matplotlib of the chosen map.

    Raises:
        ValueError: a sequential map for a signed heatmap, a diverging one for an unsigned heatmap, or an unknown one.
    """
    if colour_map == AUTOMATIC:
        return "RdBu_r" if signed else "plasma"
    suitable, heatmap, needed = (DIVERGING, "signed", "diverging") if signed else (SEQUENTIAL, "unsigned", "sequential")
    if colour_map not in suitable:
        raise ValueError(
            f"The colour map is {colour_map!r}, but the heatmap is {heatmap} and needs a {needed} one: choose {AUTOMATIC} or one of "
            f"{', '.join(suitable)}."
        )
    return colour_map


def end_colours(colour_map: str, signed: bool) -> tuple[str, str]:
    """Words for the colours of the lowest and the highest end of the scale."""
    name = colour_map_name(colour_map, signed)
    return DIVERGING[name] if signed else ("clear", SEQUENTIAL[name])


@lru_cache(maxsize=16)
def colour_table(name: str) -> Tensor:
    """256 colours of one of matplotlib's maps from end to end, [256,3]."""
    cut = 0.1 if name in DARK_ENDS else 0.0
    return torch.from_numpy(matplotlib.colormaps[name](np.linspace(cut, 1 - cut, 256))[:, :3].astype(np.float32))
