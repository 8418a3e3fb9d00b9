"""A heatmap as what the nodes give: overlay, colours alone, and masks."""

from __future__ import annotations

from torch import Tensor

from ..method.heatmap import Heatmap, Show, show_only
from ..method.placing import masks, place
from .colours import colours
from .legend import add_legend, readable_size
from .overlay import USUAL, Appearance, overlay


def draw_heatmap(
    pictures: Tensor, heatmap: Heatmap, show: Show = "both", appearance: Appearance = USUAL, legend: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The overlay [B,H',W',3], the colours alone [B,H,W,3], and the positive and the negative part of the levels, each [B,H,W].

    pictures: [B,H,W,3 or 4]. show: which signs are seen; the masks have both. legend: with it below the overlay, for which small
    pictures are enlarged; without it the overlay has the pictures' size.

    Raises:
        ValueError: what `show_only` and `overlay` refuse.
    """
    height, width = pictures.shape[1:3]
    size, shown = (height, width), show_only(heatmap, show)
    picture = overlay(pictures, shown, appearance, readable_size(*size) if legend else size)
    if legend:
        picture = add_legend(picture, shown, appearance)
    coloured = colours(place(shown, size, appearance.interpolation), shown.signed, appearance.colour_map)
    return picture, coloured, *masks(heatmap, size, appearance.interpolation)
