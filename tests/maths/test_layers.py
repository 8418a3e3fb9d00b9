"""Where the places of a picture are in what a layer gives."""

from __future__ import annotations

import pytest
import torch
from sdexplain.nodes.maths.method.layers import as_cells

WIDE = (32, 48)


@pytest.mark.parametrize("prefixes", [0, 1, 2, 5])
@pytest.mark.parametrize(("size", "grid"), [(WIDE, (4, 6)), ((48, 32), (6, 4)), ((64, 64), (4, 4)), ((224, 224), (14, 14))])
def test_tokens_of_the_picture_are_laid_in_rows_without_those_before_it(
    size: tuple[int, int], grid: tuple[int, int], prefixes: int
) -> None:
    cells = torch.randn(2, 3, *grid)
    tokens = torch.cat([torch.zeros(2, prefixes, 3), cells.flatten(2).mT], dim=1)
    assert torch.equal(as_cells(tokens, size), cells)


def test_channels_come_first_also_where_they_came_last() -> None:
    cells = torch.randn(2, 7, 4, 6)
    assert torch.equal(as_cells(cells, WIDE), cells)
    assert torch.equal(as_cells(cells.movedim(1, -1), WIDE), cells)


def test_an_output_without_places_has_no_cells() -> None:
    assert as_cells(torch.zeros(2, 7, 1, 1), WIDE) is None
    assert as_cells(torch.zeros(2, 1, 7), WIDE) is None
