"""The comparison sheet: each map on its own scale, the figures, and where maps part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sdexplain.nodes.maths.method.map import Map
from sdexplain.nodes.maths.pictures.map_sheet import compare_all, map_sheet, parts, report, table_row
from torch import Tensor

PICTURE = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def a_map(values: Tensor, noun: str = "evidence") -> Map:
    rows, columns = values.shape[-2:]
    return Map(
        values=values.reshape(-1, rows, columns),
        signed=True,
        positive="speaks for “cat”",
        negative="speaks for “dog”",
        quantity="Grad-CAM of the log-odds" if noun == "attribution" else "Evidence",
        noun=noun,
        unit="nats",
        source="made up",
        target_label="cat",
        contrast_label="dog",
        latent_size=(rows, columns),
        downscale=64 // rows,
        floor=0.0,
    )


def corner(rows: int, down: int, across: int) -> Tensor:
    values = torch.linspace(-1, 0, rows * rows).view(rows, rows)
    part = rows // 4
    values[down * part : (down + 1) * part, across * part : (across + 1) * part] = 3.0
    return values


def test_where_maps_part_is_where_only_one_has_its_largest_values() -> None:
    """A sixteenth of the picture each, in other corners; the maps have places of different sizes."""
    sheet = compare_all([a_map(corner(8, 0, 0)), a_map(corner(32, 3, 3), "attribution")], share=1 / 16)
    first, second = parts(sheet, (64, 64))
    expected = torch.zeros(64, 64)
    expected[:16, :16] = 1
    assert torch.equal(first[0], expected) and torch.equal(second[0], expected.flip(0, 1))
    same = compare_all([a_map(corner(8, 0, 0)), a_map(corner(32, 0, 0), "attribution")], share=1 / 16)
    assert not any(each.any() for each in parts(same, (64, 64)))
    assert table_row(same.comparisons[0], 0)["IoU"] == "1.000" and table_row(sheet.comparisons[0], 0)["IoU"] == "0.000"
    assert table_row(sheet.comparisons[0], 0)["one alone"] == "12.5%"


def test_a_map_compared_with_itself_and_with_its_negative() -> None:
    values = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    sheet = compare_all([a_map(values), a_map(values), a_map(-values)])
    assert [table_row(each, 0)["Spearman"] for each in sheet.comparisons] == ["1.000", "−1.000"]


def test_names_are_who_made_a_map_or_what_was_given() -> None:
    data, grad = a_map(corner(8, 0, 0)), a_map(corner(8, 1, 1), "attribution")
    assert compare_all([data, grad]).names == ("Diffusion model", "Classifier")
    other = replace(grad, quantity="LayerCAM of the log-odds")
    assert compare_all([data, grad, other]).names == ("Diffusion model", "Grad-CAM", "LayerCAM")
    assert compare_all([data, grad], "a\n\nb ").names == ("a", "b")
    with pytest.raises(ValueError, match="1 names for 2 maps"):
        compare_all([data, grad], "a")
    with pytest.raises(ValueError, match="two or more"):
        compare_all([data])


def test_maps_of_other_labels_are_told_apart() -> None:
    data = a_map(corner(8, 0, 0))
    assert "different labels" in report(compare_all([data, replace(data, target_label="fox")]))
    assert "different labels" not in report(compare_all([data, replace(data, target_label="Cat")]))


@pytest.mark.parametrize("maps", [2, 3, 4])
@pytest.mark.parametrize("size", [(64, 64), (96, 96), (512, 512)])
def test_a_sheet_is_drawn_for_each_picture_whatever_its_size(maps: int, size: tuple[int, int]) -> None:
    picture = torch.nn.functional.interpolate(PICTURE.movedim(-1, 1), size).movedim(1, -1).expand(2, -1, -1, -1)
    each = [a_map(corner(8, number, 0).expand(2, -1, -1), "attribution" if number else "evidence") for number in range(maps)]
    drawn = map_sheet(picture, compare_all(each))
    assert drawn.shape[0] == 2 and drawn.shape[2] >= 512 and bool((drawn == 1).any()) and drawn.min() < 0.2


def test_one_map_serves_for_all_pictures_and_a_constant_one_says_so() -> None:
    batch = a_map(torch.stack([corner(8, 0, 0), corner(8, 1, 1)]))
    constant = a_map(torch.zeros(8, 8), "attribution")
    assert map_sheet(PICTURE.expand(2, -1, -1, -1), compare_all([batch, constant])).shape[0] == 2
    assert "Spearman –" in report(compare_all([batch, constant]))
