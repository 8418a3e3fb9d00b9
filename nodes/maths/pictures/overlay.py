"""A heatmap in colour, laid over its picture where the latent cells lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..images import Size, luminance, match_pictures, resize
from ..method.heatmap import Heatmap
from ..method.placing import Interpolation, place
from .colours import AUTOMATIC, colour_map_name, colour_table, colours

Background = Literal["photo", "grey"]
LIGHT, DIM = (0.42, 1.0), (0.1, 0.6)
"""The greys that black and white of the picture become, under dark full colours and under bright ones."""

DARKEST = 0.25
"""The brightest place of a grey picture becomes white; a picture that is darker than this is brightened no more than that."""


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


def overlay(
    pictures: Tensor,
    heatmap: Heatmap,
    appearance: Appearance = USUAL,
    size: Size | None = None,
) -> Tensor:
    """The heatmap over its pictures, [B,H,W,3]: see `blend`.

    pictures: [B,H,W,3 or 4] in 0..1, or one picture for all maps; alpha is left out, as VAE Encode does.
    size: height and width to draw at; None is the picture's own.

    Raises:
        ValueError: pictures that don't belong to the maps, a colour map that does not suit their sign.
    """
    pictures = match_pictures(pictures, len(heatmap.values), heatmap.latent_size, heatmap.downscale)
    levels = place(heatmap, pictures.shape[1:3], appearance.interpolation, size)
    pictures = resize(pictures, size or pictures.shape[1:3])
    if appearance.background == "grey":
        black, white = ground(heatmap.signed, appearance)
        grey = luminance(pictures)
        grey = grey / grey.amax((1, 2), keepdim=True).clamp(min=DARKEST)
        pictures = (black + (white - black) * grey)[..., None].expand(-1, -1, -1, 3)
    return blend(pictures, levels, heatmap.signed, appearance)


def ground(signed: bool, appearance: Appearance = USUAL) -> tuple[float, float]:
    """What black and the brightest place of the picture become below the map, so that its full colours stand out everywhere.

    Blue can hardly be seen on black, nor yellow on white. A background "photo" stays as it is: 0 and 1.
    """
    if appearance.background == "photo":
        return 0.0, 1.0
    table = colour_table(colour_map_name(appearance.colour_map, signed))
    full = table[[0, -1]] if signed else table[-1:]
    return LIGHT if luminance(full).mean() < 0.5 else DIM


def blend(pictures: Tensor, levels: Tensor, signed: bool, appearance: Appearance) -> Tensor:
    """picture * (1 - a) + colour * a, [...,3], with a = opacity * |level|, or opacity * level^1.5 for unsigned maps.

    A level of 0 leaves the picture as it is. With noise, a magnitude is 0 nowhere; the power keeps it from covering
    the whole picture.
    """
    strength = levels.abs() if signed else levels**1.5
    return torch.lerp(pictures, colours(levels, signed, appearance.colour_map), appearance.opacity * strength[..., None])
