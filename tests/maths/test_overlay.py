"""Colours by hand, and every cell where it belongs on the picture."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
import torch
from heatmaps import a_heatmap
from hypothesis import given
from hypothesis import strategies as st
from sdexplain.nodes.maths.images import luminance, resize
from sdexplain.nodes.maths.method.heatmap import Heatmap
from sdexplain.nodes.maths.method.placing import Box, covered_box, masks, place, scale_box
from sdexplain.nodes.maths.pictures import colours as colour_maps
from sdexplain.nodes.maths.pictures.colours import DIVERGING, SEQUENTIAL, colours
from sdexplain.nodes.maths.pictures.overlay import Appearance, ground, overlay
from torch import Tensor

# Hue in degrees of what people call a colour.
HUES = {
    "red": (340, 372),
    "orange": (20, 45),
    "brown": (25, 45),
    "gold": (36, 52),
    "yellow": (45, 70),
    "green": (90, 180),
    "blue": (190, 260),
    "purple": (260, 310),
    "pink": (290, 350),
}


def random_heatmap(images: int = 1, height: int = 6, width: int = 5, signed: bool = True, seed: int = 0) -> Heatmap:
    values = torch.randn(images, height, width, generator=torch.Generator().manual_seed(seed))
    return a_heatmap(values if signed else values.abs(), signed=signed)


# --------------------------------------------------------------------------------------------------------------- colours


@pytest.mark.parametrize(
    ("level", "signed", "name", "share"),
    [
        (0.0, True, "RdBu_r", 0.5),
        (1.0, True, "RdBu_r", 0.9),
        (-1.0, True, "RdBu_r", 0.1),
        (0.5, True, "RdBu_r", 0.7),
        (1.0, True, "berlin", 1.0),
        (-1.0, True, "coolwarm", 0.0),
        (0.0, False, "plasma", 0.0),
        (0.5, False, "viridis", 0.5),
        (1.0, False, "cividis", 1.0),
    ],
)
def test_a_level_has_its_place_in_matplotlibs_map(level: float, signed: bool, name: str, share: float) -> None:
    """The dark ends of the ColorBrewer maps are left out: a tenth at either end."""
    expected = torch.tensor(matplotlib.colormaps[name](share)[:3])
    assert torch.allclose(colours(torch.tensor([level]), signed, name)[0], expected.float(), atol=0.02)


@pytest.mark.parametrize("name", DIVERGING)
def test_the_opposite_level_has_the_colour_of_the_reversed_map(name: str) -> None:
    levels = torch.linspace(-1, 1, 101)
    table = colour_maps.colour_table(name)
    step = (table[1:] - table[:-1]).abs().max()
    mirrored = table.flip(0)[((levels + 1) / 2 * 256).long().clamp(0, 255)]
    assert torch.allclose(colours(-levels, True, name), mirrored, atol=1.01 * step.item())
    assert (colours(-levels, True, name) - colours(levels, True, name))[0].abs().max() > 0.2


@pytest.mark.parametrize("signed", [True, False])
def test_the_ends_of_every_map_have_the_colour_that_the_legend_names(signed: bool) -> None:
    for name in DIVERGING if signed else SEQUENTIAL:
        words = colour_maps.end_colours(name, signed)
        ends = colours(torch.tensor([-1.0, 1.0]), signed, name)
        for word, end in zip(words, ends.tolist(), strict=True):
            if word != "clear":
                hue = 360 * colorsys.rgb_to_hsv(*end)[0]
                low, high = HUES[word]
                assert low <= hue <= high or low <= hue + 360 <= high, f"{name}: {word} has a hue of {hue:.0f}"


def test_rainbow_maps_are_not_offered() -> None:
    assert not {"jet", "turbo", "hsv", "rainbow", "gist_rainbow"} & {*DIVERGING, *SEQUENTIAL}


def test_automatic_is_a_map_that_suits_the_sign() -> None:
    levels = torch.linspace(0, 1, 9)
    assert torch.equal(colours(levels, True), colours(levels, True, "RdBu_r"))
    assert torch.equal(colours(levels, False), colours(levels, False, "plasma"))


# -------------------------------------------------------------------------------------------------------------- blending


def test_no_difference_leaves_the_photo_as_it_is() -> None:
    photo = torch.rand(1, 48, 40, 3)
    assert torch.equal(overlay(photo, a_heatmap(torch.zeros(1, 6, 5)), Appearance(background="photo")), photo)
    black, white = ground(True)
    grey = overlay(photo, a_heatmap(torch.zeros(1, 6, 5)), Appearance(background="grey"))
    shades = luminance(photo) / luminance(photo).max()
    assert torch.allclose(grey, (white * shades + black * (1 - shades))[..., None].expand(-1, -1, -1, 3))


def test_a_dark_picture_is_as_bright_in_grey_as_a_bright_one() -> None:
    photo, heatmap = torch.rand(1, 48, 40, 3), random_heatmap()
    assert torch.allclose(overlay(0.3 * photo, heatmap), overlay(photo, heatmap), atol=1e-5)
    darker = overlay(0.01 * photo, heatmap, Appearance(opacity=0))
    assert darker.max() < 0.1 * ground(True)[1] + ground(True)[0], "the noise of a black picture is not blown up"


@pytest.mark.parametrize("name", [*DIVERGING, *SEQUENTIAL])
def test_full_colours_are_darker_or_brighter_than_everything_in_the_grey_picture(name: str) -> None:
    signed = name in DIVERGING
    black_to_white = torch.linspace(0, 1, 32)[None, :, None, None].expand(1, 32, 32, 3)
    grey = overlay(black_to_white, a_heatmap(torch.zeros(1, 4, 4), signed=signed), Appearance(name))
    full = luminance(colours(torch.tensor([1.0, -1.0] if signed else [1.0]), signed, name))
    assert (full <= grey.min()).all() or (full >= grey.max()).all()
    assert grey.max() - grey.min() >= 0.5, "the picture can still be made out"
    assert ground(signed, Appearance(name, background="photo")) == (0, 1)


def test_the_full_colour_covers_by_the_opacity() -> None:
    photo = torch.rand(1, 16, 8, 3)
    drawn = overlay(photo, a_heatmap(torch.tensor([[[3.0], [-1.5]]]), limit=3.0), Appearance("PuOr", 0.8, "photo", "cells"))
    full, half = (colours(torch.tensor(level), True, "PuOr") for level in (1.0, -0.5))
    assert torch.allclose(drawn[:, :8], 0.2 * photo[:, :8] + 0.8 * full, atol=1e-6)
    assert torch.allclose(drawn[:, 8:], 0.6 * photo[:, 8:] + 0.4 * half, atol=1e-6)


def test_weak_magnitudes_are_clearer_than_weak_signed_values() -> None:
    photo, values = torch.rand(1, 8, 8, 3), torch.full((1, 1, 1), 0.25)
    drawn = overlay(photo, a_heatmap(values, signed=False), Appearance("viridis", 0.8, "photo"))
    colour = colours(torch.tensor(0.25), False, "viridis")
    assert torch.allclose(drawn, 0.9 * photo + 0.1 * colour, atol=1e-6)  # 0.8 · 0.25^1.5 = 0.1


def test_opacity_zero_hides_the_map_and_one_the_photo() -> None:
    photo, heatmap = torch.rand(1, 48, 40, 3), a_heatmap(torch.ones(1, 6, 5), signed=False)
    assert torch.equal(overlay(photo, heatmap, Appearance(opacity=0, background="photo")), photo)
    assert torch.allclose(overlay(photo, heatmap, Appearance(opacity=1))[0, 0, 0], colours(torch.tensor(1.0), False))


@given(st.integers(0, 10_000), st.booleans())
def test_smooth_values_never_exceed_the_cells(seed: int, signed: bool) -> None:
    heatmap = random_heatmap(signed=signed, seed=seed)
    levels = place(heatmap, (48, 40))
    assert heatmap.levels.min() <= levels.min() and levels.max() <= heatmap.levels.max()


def test_cells_are_shown_as_they_are() -> None:
    heatmap = random_heatmap()
    levels = place(heatmap, (48, 40), "cells")
    assert torch.equal(levels, heatmap.levels.repeat_interleave(8, 1).repeat_interleave(8, 2))


def test_inputs_are_not_changed() -> None:
    photo, heatmap = torch.rand(1, 48, 40, 3), random_heatmap()
    copies = photo.clone(), heatmap.values.clone()
    overlay(photo, heatmap, Appearance(background="photo")).mul_(0)
    overlay(photo, a_heatmap(torch.zeros(1, 6, 5)), Appearance(background="photo")).mul_(0)
    assert torch.equal(photo, copies[0]) and torch.equal(heatmap.values, copies[1])


# ------------------------------------------------------------------------------------------------------------- placement


@pytest.mark.parametrize(
    ("size", "latent", "downscale", "box"),
    [
        ((48, 40), (6, 5), 8, Box(0, 0, 48, 40)),
        ((51, 47), (6, 5), 8, Box(1, 3, 48, 40)),
        ((201, 155), (25, 19), 8, Box(0, 1, 200, 152)),
        ((35, 64), (8, 16), 4, Box(1, 0, 32, 64)),
        ((100, 60), (8, 8), 8, Box(0, 0, 100, 60)),  # was resized before it was encoded
        ((1000, 1000), (64, 64), 8, Box(0, 0, 1000, 1000)),
    ],
)
def test_the_latent_covers_the_centre_that_was_encoded_or_all_of_a_resized_picture(
    size: tuple[int, int], latent: tuple[int, int], downscale: int, box: Box
) -> None:
    assert covered_box(size, latent, downscale) == box


@pytest.mark.parametrize("size", [(48, 40), (51, 47), (201, 155), (55, 63), (8, 8), (15, 9)])
def test_the_box_is_what_comfyuis_vae_encodes(comfy_host: Path, size: tuple[int, int]) -> None:
    from comfy.sd import VAE

    rows, columns = torch.meshgrid(*(torch.arange(length) for length in size), indexing="ij")
    pixels = torch.stack([rows, columns], -1)[None]
    stand_in = SimpleNamespace(crop_input=True, output_channels=2, spacial_compression_encode=lambda: 8)
    cropped = VAE.vae_encode_crop_pixels(stand_in, pixels)[0]
    top, left = cropped[0, 0].tolist()
    assert covered_box(size, (size[0] // 8, size[1] // 8), 8) == Box(top, left, *cropped.shape[:2])


def test_every_cell_lies_on_its_pixels_and_the_margin_is_clear() -> None:
    heatmap = random_heatmap()
    levels = place(heatmap, (51, 47), "cells")[0]
    for row in range(6):
        for column in range(5):
            patch = levels[1 + 8 * row : 9 + 8 * row, 3 + 8 * column : 11 + 8 * column]
            assert (patch == heatmap.levels[0, row, column]).all()
    outside = levels.clone()
    outside[1:49, 3:43] = 0
    assert not outside.any()


def test_a_map_of_pixels_lies_on_the_same_centre() -> None:
    values = torch.rand(1, 48, 40) + 0.1
    heatmap = replace(a_heatmap(values), latent_size=(6, 5))
    levels = place(heatmap, (51, 47))
    assert torch.equal(levels[:, 1:49, 3:43], heatmap.levels)
    assert levels[:, 0].sum() + levels[:, :, :3].sum() + levels[:, :, 43:].sum() == 0


def test_the_box_grows_with_the_picture() -> None:
    assert scale_box(Box(1, 3, 48, 40), (51, 47), (102, 94)) == Box(2, 6, 96, 80)
    assert scale_box(Box(0, 0, 51, 47), (51, 47), (77, 71)) == Box(0, 0, 77, 71)


def test_an_enlarged_picture_without_difference_is_the_resized_photo() -> None:
    photo = torch.rand(2, 20, 10, 3)
    drawn = overlay(photo, a_heatmap(torch.zeros(2, 2, 1)), Appearance(background="photo"), size=(80, 40))
    assert drawn.shape == (2, 80, 40, 3)
    assert torch.equal(drawn, resize(photo, (80, 40)))
    assert (drawn.mean((1, 2)) - photo.mean((1, 2))).abs().max() < 0.02


def test_the_map_is_drawn_at_the_enlarged_size() -> None:
    """Not drawn small and enlarged: cells have sharp edges."""
    drawn = place(random_heatmap(), (48, 40), "cells", (480, 400))
    assert torch.equal(drawn, random_heatmap().levels.repeat_interleave(80, 1).repeat_interleave(80, 2))


# --------------------------------------------------------------------------------------------------- batches, channels


def test_a_batch_equals_single_pictures() -> None:
    photos, heatmap = torch.rand(3, 48, 40, 3), random_heatmap(3)
    together = overlay(photos, heatmap)
    for image in range(3):
        one = replace(heatmap, values=heatmap.values[[image]], limits=heatmap.limits[[image]])
        assert torch.allclose(overlay(photos[[image]], one), together[[image]], atol=1e-6)


def test_one_picture_serves_all_maps() -> None:
    photo, heatmap = torch.rand(1, 48, 40, 3), random_heatmap(3)
    assert torch.equal(overlay(photo, heatmap), overlay(photo.repeat(3, 1, 1, 1), heatmap))


def test_alpha_is_left_out_as_vae_encode_does() -> None:
    photo, heatmap = torch.rand(1, 48, 40, 3), random_heatmap()
    for alpha in (0.0, 0.5, 1.0):
        with_alpha = torch.cat([photo, torch.full((1, 48, 40, 1), alpha)], -1)
        assert torch.equal(overlay(with_alpha, heatmap), overlay(photo, heatmap))


def test_masks_are_the_positive_and_the_negative_part() -> None:
    heatmap = a_heatmap(torch.tensor([[[0.5, -0.25], [2.0, 0.0]]]))
    positive, negative = masks(heatmap, (16, 16), "cells")
    assert positive[0, ::8, ::8].tolist() == [[0.5, 0], [1, 0]]
    assert negative[0, ::8, ::8].tolist() == [[0, 0.25], [0, 0]]
    assert positive.shape == negative.shape == (1, 16, 16)


def test_an_unsigned_heatmap_has_nothing_against() -> None:
    positive, negative = masks(random_heatmap(signed=False), (48, 40))
    assert positive.any() and not negative.any()
    assert 0 <= positive.min() and positive.max() <= 1


# ------------------------------------------------------------------------------------------------------------- bad input

PHOTO = torch.rand(1, 48, 40, 3)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (
            lambda: overlay(torch.rand(2, 48, 40, 3), random_heatmap(3)),
            "There are 2 images, but the difference is of 3",
        ),
        (
            lambda: overlay(torch.rand(2, 48, 40, 3), random_heatmap(1)),
            "There are 2 images, but the difference is of 1",
        ),
        (
            lambda: overlay(torch.rand(1, 1, 1, 3), random_heatmap(1, 1, 1)),
            "has 1×1 pixels, but the latent has 1×1 cells",
        ),
        (lambda: overlay(torch.rand(1, 4, 40, 3), random_heatmap()), "has 40×4 pixels, but the latent has 5×6 cells"),
        (
            lambda: overlay(torch.rand(48, 40, 3), random_heatmap()),
            r"shape \[48, 40, 3\]; expected \[images, height, width",
        ),
        (lambda: overlay(torch.rand(1, 48, 40, 1), random_heatmap()), r"shape \[1, 48, 40, 1\]"),
        (lambda: overlay(torch.full((1, 48, 40, 3), torch.nan), random_heatmap()), "image contains NaN or infinity"),
        (lambda: overlay(PHOTO, random_heatmap(), Appearance(opacity=1.5)), r"opacity is 1.5; expected 0 \(invisible\) to 1"),
        (
            lambda: overlay(PHOTO, random_heatmap(), Appearance(background="red")),
            "background is 'red'; expected one of photo, grey",
        ),
        (
            lambda: overlay(PHOTO, random_heatmap(), Appearance(interpolation="no")),
            "interpolation is 'no'; expected one of smooth",
        ),
        (
            lambda: overlay(PHOTO, random_heatmap(), Appearance("viridis")),
            "colour map is 'viridis', but the heatmap is signed and needs a diverging one: choose automatic or one of RdBu_r",
        ),
        (
            lambda: overlay(PHOTO, random_heatmap(signed=False), Appearance("RdBu_r")),
            "colour map is 'RdBu_r', but the heatmap is unsigned and needs a sequential one: choose automatic or one of inferno",
        ),
        (lambda: overlay(PHOTO, random_heatmap(), Appearance("jet")), "colour map is 'jet'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw()
