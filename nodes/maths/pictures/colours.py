"""The colour maps of heatmaps, and their colours in words."""

from __future__ import annotations

from functools import lru_cache

import matplotlib
import numpy as np
import torch
from torch import Tensor

AUTOMATIC = "automatic"
# matplotlib's maps that colour-blind readers can read, with words for their ends: (negative, positive), or the most.
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
            f"The colour map is {colour_map!r}, but the heatmap is {heatmap} and needs a {needed} one: choose {AUTOMATIC} or one "
            f"of {', '.join(suitable)}."
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
