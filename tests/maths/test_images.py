"""A picture that belongs to a map is taken, at any size; one of another shape is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sdexplain.nodes.maths.answers.comparison import check_mask
from sdexplain.nodes.maths.images import check_shape, match_pictures

sides = st.integers(1, 2048)


def match(height: int, width: int, rows: int, columns: int, downscale: int = 8) -> torch.Tensor:
    return match_pictures(torch.rand(1, 1, 1, 3).expand(1, height, width, 3), 1, (rows, columns), downscale)


@given(sides, sides, st.sampled_from([1, 4, 8, 16, 32]), st.integers(1, 4))
def test_whatever_vae_encode_cuts_off_may_be_there(height: int, width: int, downscale: int, larger: int) -> None:
    """The picture that goes into VAE Encode, before its crop to whole cells, and the same one enlarged."""
    rows, columns = height // downscale, width // downscale
    if rows and columns:
        check_shape((larger * height, larger * width), (rows, columns), downscale, "image", "")


@pytest.mark.parametrize(
    ("size", "encoded"),
    [
        ((512, 512), (512, 512)),
        ((1024, 1024), (512, 512)),  # enlarged
        ((96, 128), (384, 512)),  # a thumbnail
        ((767, 1023), (384, 512)),  # resized by a number that leaves a rest
        ((3000, 4000), (384, 512)),  # a camera's picture, encoded small
        ((683, 1024), (704, 1024)),  # resized to multiples of 64
        ((667, 1000), (512, 768)),  # 3 : 2 but for rounding
    ],
)
def test_the_same_shape_at_another_size_is_taken(size: tuple[int, int], encoded: tuple[int, int]) -> None:
    assert match(*size, encoded[0] // 8, encoded[1] // 8).shape == (1, *size, 3)


@pytest.mark.parametrize(
    ("size", "encoded", "words"),
    [
        ((768, 1024), (512, 512), r"has 1024×768 pixels, but 512×512 were encoded \(64×64 latent cells of 8\).* 33% wider"),
        ((1024, 768), (512, 512), "has 768×1024 pixels, but 512×512 were encoded .* 33% taller"),
        ((512, 512), (512, 768), "has 512×512 pixels, but 768×512 were encoded .* 50% taller"),
        ((1080, 1920), (768, 1024), "33% wider"),
        ((512, 560), (512, 512), "9% wider"),  # seven cells at its sides were cropped
    ],
)
def test_another_shape_is_refused_with_both_sizes(size: tuple[int, int], encoded: tuple[int, int], words: str) -> None:
    remedy = ".* Connect the image that goes into VAE Encode: as it is after any cropping or squashing, not before"
    with pytest.raises(ValueError, match=words + remedy):
        match(*size, encoded[0] // 8, encoded[1] // 8)


@given(st.integers(8, 300), st.integers(8, 300), st.floats(1.2, 5), st.booleans(), st.sampled_from([1, 8, 16]))
def test_a_stretch_beyond_a_cell_is_refused_either_way(
    rows: int, columns: int, stretch: float, wide: bool, downscale: int
) -> None:
    """By a fifth and more: the share of a cell in the smallest latent here is an eighth."""
    height, width = rows * downscale * (1 if wide else stretch), columns * downscale * (stretch if wide else 1)
    with pytest.raises(ValueError, match=f"{'wider' if wide else 'taller'}, so the map would not lie on what it explains"):
        check_shape((round(height), round(width)), (rows, columns), downscale, "image", "")


@pytest.mark.parametrize("name", ["mask given as second", "mask inside"])
def test_a_mask_of_another_shape_is_refused_too(name: str) -> None:
    of_map = SimpleNamespace(latent_size=(64, 64), downscale=8)
    check_mask(torch.zeros(1, 515, 519), name, of_map)
    check_mask(torch.zeros(1, 1024, 1024), name, of_map)
    with pytest.raises(ValueError, match=f"The {name} has 1024×768 pixels, but 512×512 were encoded .* picture's own size"):
        check_mask(torch.zeros(1, 768, 1024), name, of_map)
