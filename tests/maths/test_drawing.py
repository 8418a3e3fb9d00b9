"""A heatmap as the nodes give it: which signs are seen, and what each of the four pictures is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from heatmaps import a_heatmap
from sdexplain.nodes.maths.method.heatmap import Heatmap
from sdexplain.nodes.maths.pictures.drawing import draw_heatmap
from sdexplain.nodes.maths.pictures.overlay import USUAL, Appearance
from torch import Tensor

GREY = torch.full((1, 16, 16, 3), 0.5)
CELLS = replace(USUAL, interpolation="cells", background="photo")


def halves() -> Heatmap:
    """Left half +1, right half -1, in cells of 8 pixels."""
    return a_heatmap(torch.tensor([[[1.0, -1.0], [1.0, -1.0]]]))


def drawn(show: str = "both", appearance: Appearance = CELLS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return draw_heatmap(GREY, halves(), show, appearance, legend=False)


def test_without_a_legend_all_have_the_pictures_size_and_with_one_the_overlay_is_taller() -> None:
    picture, coloured, positive, negative = drawn()
    assert picture.shape == coloured.shape == (1, 16, 16, 3)
    assert positive.shape == negative.shape == (1, 16, 16)
    with_legend = draw_heatmap(GREY, halves(), "both", CELLS)[0]
    assert with_legend.shape[1] > with_legend.shape[2] > 16


def test_each_mask_is_where_its_sign_is_whichever_are_shown() -> None:
    for show in ("both", "positive", "negative"):
        _, _, positive, negative = drawn(show)
        assert torch.equal(positive[0, :, :8] > 0, torch.ones(16, 8, dtype=bool)) and positive[0, :, 8:].abs().max() == 0
        assert torch.equal(negative, positive.flip(-1))


@pytest.mark.parametrize(("show", "hidden"), [("positive", slice(8, 16)), ("negative", slice(0, 8))])
def test_the_sign_that_is_not_shown_leaves_the_picture_alone(show: str, hidden: slice) -> None:
    picture, coloured, *_ = drawn(show)
    assert torch.allclose(picture[:, :, hidden], GREY[:, :, hidden], atol=0.01)
    assert not torch.allclose(picture, GREY, atol=0.1)
    both = drawn()[1]
    seen = slice(0, 8) if hidden.start else slice(8, 16)
    assert torch.equal(coloured[:, :, seen], both[:, :, seen]) and not torch.equal(coloured[:, :, hidden], both[:, :, hidden])
