"""From a map to a heatmap: the scale of its colours."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..wording import format_value, say
from .map import Map
from .reliability import Reliability, keep_reliable
from .scalar import ROUNDING_PER_STEP

Show = Literal["both", "positive", "negative"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Heatmap(Map):
    """A map with the scale of its colours."""

    limits: Tensor
    """[B] the value of the full colour: the scale is -limit ... limit, or 0 ... limit if unsigned; 0 means "no difference"."""
    show: Show = "both"
    """Which of the signs is shown."""

    @property
    def level_range(self) -> tuple[float, float]:
        """The lowest and the highest level that is shown."""
        return (-1.0 if self.signed and self.show != "positive" else 0.0), (0.0 if self.show == "negative" else 1.0)

    @property
    def levels(self) -> Tensor:
        """value / limit, clipped to what is shown, of the shape of values; 0 everywhere where the limit is 0."""
        limits = self.limits[:, None, None]
        return torch.where(limits > 0, self.values / limits, 0.0).clamp(*self.level_range)

    def note(self, image: int) -> str:
        """What to say about an image with nothing to show, "" for all others."""
        if any(self.doubts[image : image + 1]):
            return self.doubts[image]
        values = self.values[image]
        if not values.any():
            return say("no_weight" if any(self.weightless[image : image + 1]) else "no_difference")
        if self.limits[image] == 0:
            return say("same_everywhere", value=format_value(float(values.mean())))
        return ""


def make_heatmap(
    map: Map,
    *,
    percentile: float = 99.5,
    scale: float = 0.0,
    shared: bool = True,
    reliability: Reliability = "all",
    threshold: float = 3.0,
) -> Heatmap:
    """A map with a colour scale around 0.

    percentile: the percentage of |values| that lies within the automatic scale, 50 to 100.
    scale: a fixed limit above 0, or 0 for the automatic one.
    shared: one automatic scale for all images of the batch, else one for each.
    reliability: which of the values are shown, see `keep_reliable`.

    Raises:
        ValueError: no standard error although one is needed, a percentile, scale or threshold out of range.
    """
    kept = keep_reliable(map, reliability, threshold)
    limits = colour_limits(kept.values, kept.floor, percentile, scale, shared)
    return Heatmap(limits=limits, **{field.name: getattr(kept, field.name) for field in fields(Map)})


def colour_limits(values: Tensor, floor: float, percentile: float, scale: float, shared: bool) -> Tensor:
    """The limit of each image's colour scale, [B]: the given scale, or see `automatic_limit`.

    Raises:
        ValueError: a percentile outside 50 to 100, a scale that is negative or not finite.
    """
    if not 50 <= percentile <= 100:
        raise ValueError(f"The percentile is {percentile:g}; expected 50 to 100.")
    if not 0 <= scale < float("inf"):
        raise ValueError(f"The scale is {scale:g}; expected the value of the full colour, above 0, or 0 for the automatic scale.")
    if scale > 0:
        return torch.full((len(values),), float(scale))
    if shared:
        return torch.tensor(automatic_limit(values, floor, percentile)).expand(len(values))
    return torch.tensor([automatic_limit(image, floor, percentile) for image in values])


def automatic_limit(values: Tensor, floor: float, percentile: float) -> float:
    """The percentile of |values|: their maximum where nearly all of them are 0, and 0 if all are the same."""
    magnitudes = values.abs()
    largest = magnitudes.max().item()
    if (values.max() - values.min()).item() <= max(floor, ROUNDING_PER_STEP * largest):
        return 0.0
    limit = float(np.percentile(magnitudes.numpy(), percentile))  # torch.quantile refuses more than 16 million values
    return limit if limit > floor else largest


def show_only(heatmap: Heatmap, show: Show) -> Heatmap:
    """The same heatmap, on the same scale, with both or one of its signs shown.

    Raises:
        ValueError: an unknown sign, or the negative side of an unsigned heatmap.
    """
    if show not in get_args(Show):
        raise ValueError(f"The sign is {show!r}; expected one of {', '.join(get_args(Show))}.")
    if show == "negative" and not heatmap.signed:
        raise ValueError("The sign is 'negative', but this heatmap has no values below 0. Choose 'both', or a signed scalar.")
    return replace(heatmap, show=show)
