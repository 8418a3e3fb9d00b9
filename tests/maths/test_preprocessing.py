"""What a network sees of a picture, held to torchvision; and where its places lie in the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sdexplain.nodes.maths.method.placing import covered_box
from sdexplain.nodes.maths.method.preprocessing import Preprocessing
from torch import Tensor
from torchvision.transforms import v2

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def picture(height: int, width: int) -> Tensor:
    """Smooth, so that a shift of a pixel shows and rounding to 8 bits does not."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([y, x, (x * 9).sin() * (y * 7).cos() / 2 + 0.5], dim=-1)[None]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "input_size"), [(40, (32, 32)), ((32, 48), (32, 48)), ((40, 40), (31, 32))])
@pytest.mark.parametrize("size", [(60, 90), (97, 61), (16, 20), (32, 48)])
def test_a_picture_is_prepared_as_torchvision_does_it(
    interpolation: str, resize: int | tuple[int, int], input_size: tuple[int, int], size: tuple[int, int]
) -> None:
    steps = [
        v2.ToImage(),
        v2.Resize(resize, interpolation=v2.InterpolationMode(interpolation), antialias=True),
        v2.CenterCrop(input_size),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(IMAGENET["mean"], IMAGENET["std"]),
    ]
    eight_bit = Image.fromarray((picture(*size)[0].numpy() * 255).round().astype(np.uint8))
    expected = v2.Compose(steps)(eight_bit)
    found = Preprocessing(resize, input_size, interpolation, **IMAGENET).prepare(picture(*size))[0]
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 0.03  # 8-bit rounding, once before and once after resizing, over std


def test_alpha_is_left_out() -> None:
    plain = picture(8, 8)
    with_alpha = torch.cat([plain, torch.rand(1, 8, 8, 1)], dim=-1)
    seen = Preprocessing((8, 8), (8, 8))
    assert torch.equal(seen.prepare(plain), seen.prepare(with_alpha))


def test_what_was_normalised_comes_back() -> None:
    seen = Preprocessing((8, 8), (8, 8))
    torch.testing.assert_close(seen.denormalise(seen.prepare(picture(8, 8)))[0].movedim(0, -1), picture(8, 8)[0])


@pytest.mark.parametrize("size", [(30, 45), (64, 64), (200, 131), (7, 9), (480, 640)])
@pytest.mark.parametrize("resize", [16, (16, 16)])
def test_a_spot_lies_where_it_is_in_the_picture(size: tuple[int, int], resize: int | tuple[int, int]) -> None:
    """A bright patch of the picture is found again at its place, at any size and shape, from the network's input alone."""
    seen = Preprocessing(resize, (12, 12) if resize == 16 else (16, 16), mean=(0, 0, 0), std=(1, 1, 1))
    height, width = size
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    spot = torch.exp(-((y - 0.55) ** 2 + (x - 0.42) ** 2) / 0.01)
    placed = seen.place(seen.prepare(spot[None, ..., None].expand(-1, -1, -1, 3))[:, 0], size, adds_up=False)[0]
    grid = seen.grid(size)
    assert placed.shape == (grid.rows, grid.columns)
    assert covered_box(size, (grid.rows, grid.columns), grid.pixels) == (0, 0, height, width)
    rows = (torch.arange(grid.rows) + 0.5) / grid.rows
    columns = (torch.arange(grid.columns) + 0.5) / grid.columns
    centre = [float((placed.sum(1) * rows).sum() / placed.sum()), float((placed.sum(0) * columns).sum() / placed.sum())]
    assert centre == pytest.approx([0.55, 0.42], abs=0.02)


@pytest.mark.parametrize("size", [(30, 45), (200, 131), (7, 9)])
def test_sums_stay_where_they_should(size: tuple[int, int]) -> None:
    seen = Preprocessing((16, 16), (16, 16))
    values = torch.zeros(1, 16, 16)
    values[0, 6:10, 5:9] = 2.0
    assert float(seen.place(values, size, adds_up=True).sum()) == pytest.approx(32, rel=0.05)
    assert float(seen.place(torch.ones(1, 16, 16), size, adds_up=False).mean()) == pytest.approx(1)


def test_outside_of_what_the_network_sees_there_is_nothing() -> None:
    seen = Preprocessing(16, (16, 16))
    placed = seen.place(torch.ones(1, 16, 16), (16, 48), adds_up=False)[0]
    assert seen.seen((16, 48)) == (1.0, 1 / 3)
    assert placed[:, 17:31].min() == 1 and not placed[:, :15].any() and not placed[:, 33:].any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resize": 8}, "no more than there is"),
        ({"resize": (16, 0)}, "1 or more"),
        ({"interpolation": "area"}, "interpolation is 'area'"),
        ({"std": (0, 1, 1)}, "above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Preprocessing(**({"resize": (16, 16), "input_size": (16, 16)} | wrong))


@pytest.mark.parametrize("wrong", [torch.zeros(4, 4, 3), torch.zeros(1, 4, 4, 1), torch.full((1, 4, 4, 3), torch.nan)])
def test_what_is_not_a_picture_is_refused(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match="Connect an"):
        Preprocessing((8, 8), (8, 8)).prepare(wrong)
