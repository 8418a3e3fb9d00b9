"""The inputs that say what a map's numbers are; their fields are those of `maths.method.choices.Quantity`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from comfy_api.latest import io

from ..maths.method.difference import Reading, Weighting
from ..maths.method.scalar import Scalar


def reading(default: Reading, tooltip: str) -> io.Combo.Input:
    return io.Combo.Input("reading", options=list(get_args(Reading)), default=default, tooltip=tooltip)


def weighting(default: Weighting, tooltip: str, options: Sequence[Weighting] = get_args(Weighting)) -> io.Combo.Input:
    return io.Combo.Input("weighting", options=list(options), default=default, tooltip=tooltip)


def scalar() -> io.Combo.Input:
    return io.Combo.Input(
        "scalar",
        options=list(get_args(Scalar)),
        default="channel norm",
        tooltip="The one number per place. channel norm: how much, without a sign. channel mean: signed, the mean over the "
        "latent's channels. decoded luminance: signed, brighter or darker as the target; needs the VAE. The sign of these two "
        "is brightness or texture, not for or against a label. The readings absolute, information, evidence and combined "
        "already have one number per place, which both channel scalars show; only evidence is for or against.",
    )
