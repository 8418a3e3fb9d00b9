"""The inputs that say how a heatmap looks: the fields of `Appearance` and of `Scaling`."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..maths.method.placing import Interpolation
from ..maths.method.reliability import Reliability
from ..maths.pictures.colours import AUTOMATIC, DIVERGING, SEQUENTIAL
from ..maths.pictures.overlay import Background

ADVANCED = ("percentile", "background", "interpolation")
"""Inputs that hardly anybody changes."""


def image() -> io.Image.Input:
    return io.Image.Input(
        "image",
        tooltip="The picture that was encoded; for a batch, its pictures in order, or one for all. "
        "Another size is fine, another shape is refused.",
    )


def colour_map() -> io.Combo.Input:
    return io.Combo.Input(
        "colour_map",
        options=[AUTOMATIC, *DIVERGING, *SEQUENTIAL],
        default=AUTOMATIC,
        tooltip="automatic: RdBu_r for signed maps, plasma for unsigned ones. Colour-blind readers can read all of them. "
        f"Signed maps take {', '.join(DIVERGING)}; unsigned ones {', '.join(SEQUENTIAL)}.",
    )


def percentile() -> io.Float.Input:
    return io.Float.Input(
        "percentile",
        default=99.5,
        min=50.0,
        max=100.0,
        step=0.1,
        tooltip="The automatic scale ends where this percentage of the values lies within it: lower shows weak differences "
        "stronger, 100 ends at the largest value.",
    )


def opacity() -> io.Float.Input:
    return io.Float.Input(
        "opacity",
        default=0.8,
        min=0.0,
        max=1.0,
        step=0.05,
        tooltip="How much the full colour covers the picture: 0 not at all, 1 entirely. It fades with the value, down to clear "
        "at 0.",
    )


def background() -> io.Combo.Input:
    return io.Combo.Input(
        "background",
        options=list(get_args(Background)),
        default="grey",
        tooltip="grey: the picture without its colours, lighter or darker, so that the map stands out. photo: as it is.",
    )


def interpolation() -> io.Combo.Input:
    return io.Combo.Input(
        "interpolation",
        options=list(get_args(Interpolation)),
        default="smooth",
        tooltip="smooth: blended between latent cells. cells: each cell as it is, which shows how coarse the map is.",
    )


def reliability() -> io.Combo.Input:
    return io.Combo.Input(
        "reliability",
        options=list(get_args(Reliability)),
        default="all",
        optional=True,
        tooltip="all: every cell. reliable only: cells beyond the threshold, the others clear. standard errors: each value "
        "divided by its standard error. With the last two, a map stays clear, and says so, where independent noise samples "
        "agree no more often than chance. They need 2 samples or more, 4 or more in antithetic pairs, and 7 comparisons of "
        "samples, step by step.",
    )


def threshold() -> io.Float.Input:
    return io.Float.Input(
        "threshold",
        default=3.0,
        min=0.1,
        max=100.0,
        step=0.1,
        optional=True,
        tooltip="From how many standard errors on a cell is called reliable. At 3 noise alone passes in about 3 cells of 1000, "
        "in more with few samples; the legend says in how many at most.",
    )
