"""Two maps, or a map and a mask, meet at one size, and what cannot be measured says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sdexplain.nodes.maths.answers.comparison import (
    Agreement,
    compare_maps,
    compare_with_mask,
    mean_agreement,
    take_sign,
)
from sdexplain.nodes.maths.method.difference import NoiseDifference
from sdexplain.nodes.maths.method.heatmap import make_heatmap
from sdexplain.nodes.maths.method.map import Map
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.pictures.comparison_sheet import BOTH, MAP_ALONE, REFERENCE_ALONE, agreement_sheet, report
from sdexplain.tools import graphs
from torch import Tensor

if TYPE_CHECKING:
    from sdexplain.tools.client import Client

HORSE = "<b>$x^2$ horse"


def a_difference(values: Tensor, reading: str = "evidence", **changes: Any) -> NoiseDifference:
    """values [B,h,w], one number per cell."""
    difference = NoiseDifference(
        values=values[None, :, None].float(),
        reading=reading,
        weighting="uniform",
        start=0,
        end=10,
        steps=10,
        target_label="zebra",
        contrast_label=HORSE,
        latent_scale=torch.ones(4),
        latent_shift=torch.zeros(4),
        total_error=torch.full((len(values),), torch.nan),
    )
    return replace(difference, **changes)


def a_map(values: Tensor, sign: str = "signed") -> Map:
    return take_sign(read_map(a_difference(values)), sign)


def a_random_map(images: int = 1, rows: int = 6, columns: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(images, rows, columns, generator=torch.Generator().manual_seed(seed))


def pixels(cells: Tensor, side: int = 8) -> Tensor:
    """[B,h,w] with each cell as side x side pixels."""
    return cells.repeat_interleave(side, 1).repeat_interleave(side, 2)


def corner(height: int, width: int, rows: int, columns: int) -> Tensor:
    mask = torch.zeros(1, height, width)
    mask[:, :rows, :columns] = 1
    return mask


# -------------------------------------------------------------------------------------------------------- a map and a mask


def test_a_map_that_is_large_on_the_mask_alone_agrees_in_everything() -> None:
    mask = corner(48, 48, 24, 24)
    peak = torch.zeros(1, 6, 6)
    peak[:, :2, :2] = 1  # enlarged, it stays within the mask
    agreement = compare_with_mask(a_map(peak), mask).agreement(0)
    assert (agreement.pointing, agreement.mass) == (1, pytest.approx(1))
    assert agreement.spearman > 0.5 and agreement.auroc > 0.75


def test_the_opposite_map_has_the_opposite_rank_measures() -> None:
    values, mask = a_random_map(), pixels(a_random_map(seed=1) > 0).float()
    one, other = (compare_with_mask(a_map(v), mask).agreement(0) for v in (values, -values))
    assert one.auroc == pytest.approx(1 - other.auroc)
    assert one.spearman == pytest.approx(-other.spearman)


def test_only_the_ranks_of_a_map_matter_for_auroc_precision_iou_and_spearman() -> None:
    values, mask = a_random_map(rows=6, columns=6), pixels(a_random_map(rows=6, columns=6, seed=1) > 0).float()
    one, other = (compare_with_mask(a_map(v), mask).agreement(0) for v in (values, 1000 * values))
    assert astuple(one) == pytest.approx(astuple(other))


def test_pixels_that_the_latent_does_not_cover_do_not_count() -> None:
    # 53 x 44 pixels: VAE Encode took the middle 48 x 40
    values, mask = a_random_map(), pixels(a_random_map(seed=1) > 0).float()
    margin = torch.nn.functional.pad(mask, (2, 2, 2, 3), value=1.0)
    framed = compare_with_mask(a_map(values), margin)
    assert framed.values.shape == (1, 48, 40)
    assert framed.agreement(0) == compare_with_mask(a_map(values), mask).agreement(0)


def test_inside_measures_its_own_places_alone() -> None:
    values, mask = torch.zeros(1, 6, 5), corner(48, 40, 48, 16)
    values[:, :, :2] = 1
    values[:, :, 4] = -5  # far below the rest, and outside
    inside = corner(48, 40, 48, 28)
    comparison = compare_with_mask(a_map(values), mask, inside)
    assert comparison.counted.sum() == 48 * 28
    assert comparison.truth_share(0) == pytest.approx(16 / 28)
    changed = values.clone()
    changed[:, :, 4] = 7  # what lies outside can be anything, but for what it blends into the neighbours
    agreement = compare_with_mask(a_map(values), mask, corner(48, 40, 48, 24)).agreement(0)
    assert agreement.auroc == compare_with_mask(a_map(changed), mask, corner(48, 40, 48, 24)).agreement(0).auroc


def test_a_largest_value_half_a_cell_beside_the_mask_still_points_at_it() -> None:
    peak = torch.zeros(1, 8, 8)
    peak[:, 2, 2] = 1  # its middle is the pixel 20 of each side
    hits = [compare_with_mask(a_map(peak), corner(64, 64, 64, edge)).agreement(0).pointing for edge in (12, 15, 17, 24)]
    assert hits == [0, 0, 1, 1]


def test_the_stated_chance_is_what_random_maps_reach() -> None:
    mask = pixels(corner(16, 16, 8, 8), 1)
    random = torch.rand(300, 16, 16, generator=torch.Generator().manual_seed(0))
    comparison = compare_with_mask(replace(a_map(random), latent_size=(16, 16), downscale=1), mask)
    reached = mean_agreement([comparison.agreement(image) for image in range(300)])
    for value, chance in zip(astuple(reached), astuple(comparison.chance(0)), strict=True):
        assert value == pytest.approx(chance, abs=0.04)


@pytest.mark.parametrize(
    ("values", "mask", "words"),
    [
        (a_random_map(), torch.zeros(1, 48, 40), "Nothing is true: the mask is empty"),
        (a_random_map(), torch.ones(1, 48, 40), "Everything is true: the mask covers all"),
    ],
)
def test_an_empty_or_full_mask_measures_nothing_and_says_why(values: Tensor, mask: Tensor, words: str) -> None:
    comparison = compare_with_mask(a_map(values), mask)
    assert np.isnan(astuple(comparison.agreement(0))).all()
    assert words in report(comparison)
    assert agreement_sheet(comparison).isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.3, -2.0])
def test_a_constant_map_ranks_by_chance_and_points_nowhere(value: float) -> None:
    comparison = compare_with_mask(a_map(torch.full((1, 6, 5), value)), corner(48, 40, 24, 20))
    agreement = comparison.agreement(0)
    assert (agreement.auroc, agreement.precision) == (0.5, pytest.approx(0.25))
    assert np.isnan([agreement.iou, agreement.pointing, agreement.mass, agreement.spearman]).all()
    assert "one value everywhere" in report(comparison)


def test_a_map_without_values_above_0_has_no_mass_and_says_so() -> None:
    comparison = compare_with_mask(a_map(-1 - a_random_map().abs()), corner(48, 40, 24, 20))
    agreement = comparison.agreement(0)
    assert np.isnan(agreement.mass)
    assert np.isfinite([agreement.auroc, agreement.precision, agreement.iou, agreement.pointing, agreement.spearman]).all()
    assert "no values above 0: it has no relevance mass" in report(comparison)
    assert agreement_sheet(comparison).isfinite().all()
    assert compare_with_mask(a_map(a_random_map()), corner(48, 40, 24, 20)).note(0) == ""


def test_an_empty_inside_measures_nothing() -> None:
    comparison = compare_with_mask(a_map(a_random_map()), corner(48, 40, 24, 20), torch.zeros(1, 48, 40))
    assert np.isnan(astuple(comparison.agreement(0))).all()
    assert "mask inside is empty" in report(comparison)


# --------------------------------------------------------------------------------------------------------------- two maps


def test_a_map_agrees_with_itself() -> None:
    comparison = compare_maps(a_map(a_random_map()), a_map(a_random_map()), 0.2)
    agreement = comparison.agreement(0)
    assert (agreement.auroc, agreement.iou, agreement.pointing) == (1, 1, 1)
    assert agreement.precision == pytest.approx(1) and agreement.spearman == pytest.approx(1)
    assert comparison.truth.sum() == 6, "a fifth of 30 cells"


def test_the_iou_of_two_maps_does_not_depend_on_their_order() -> None:
    maps = [a_map(a_random_map(seed=seed)) for seed in (0, 1)]
    one, other = (compare_maps(*pair, 0.2).agreement(0) for pair in (maps, maps[::-1]))
    assert one.iou == other.iou
    assert one.spearman == pytest.approx(other.spearman)


def test_ties_of_two_maps_are_broken_by_nobodys_place() -> None:
    """Turned by half a turn, both maps agree as before, though their ties now stand in another order."""
    maps = [a_random_map(seed=seed).mul(1.2).round() for seed in (2, 3)]
    assert all(len(values.unique()) < 9 for values in maps)
    here, turned = (
        compare_maps(*[a_map(turn(values)) for values in maps], 0.3) for turn in (lambda v: v, lambda v: v.flip(1, 2))
    )
    assert astuple(here.agreement(0)) == pytest.approx(astuple(turned.agreement(0)))
    assert torch.equal(here.truth.flip(1, 2), turned.truth) and torch.equal(here.chosen.flip(1, 2), turned.chosen)


def test_maps_of_two_sizes_meet_at_the_smaller_one() -> None:
    values = a_random_map()
    fine = replace(a_map(pixels(values, 4)), latent_size=(24, 20), downscale=2)
    comparison = compare_maps(a_map(values), fine, 0.2)
    assert comparison.values.shape == (1, 6, 5)
    assert comparison.agreement(0).spearman == pytest.approx(1)


def test_a_place_counts_if_half_of_it_is_inside() -> None:
    comparison = compare_maps(a_map(a_random_map()), a_map(a_random_map(seed=1)), 0.2, corner(48, 40, 48, 12))
    assert comparison.counted[0].all(0).tolist() == [True, True, False, False, False]


def test_a_constant_second_map_is_nothing_to_agree_with() -> None:
    comparison = compare_maps(a_map(a_random_map()), a_map(torch.ones(1, 6, 5)))
    assert "nothing to agree with" in report(comparison)
    assert np.isnan(astuple(comparison.agreement(0))).all()


# ------------------------------------------------------------------------------------------------------- signs and batches


def test_each_sign_takes_its_part_of_a_signed_map() -> None:
    values = torch.tensor([[[-2.0, 0.5], [0.0, 1.0]]])
    heatmap = make_heatmap(read_map(a_difference(values)))
    parts = {
        "magnitude": [2, 0.5, 0, 1],
        "positive": [0, 0.5, 0, 1],
        "negative": [2, 0, 0, 0],
        "signed": [-2, 0.5, 0, 1],
    }
    for sign, expected in parts.items():
        taken = take_sign(heatmap, sign)
        assert taken.values.flatten().tolist() == expected
        assert taken.signed == (sign == "signed")
    assert HORSE in take_sign(heatmap, "negative").positive


def test_a_batch_equals_single_images() -> None:
    values, masks = a_random_map(3), pixels(a_random_map(3, seed=1) > 0.5).float()
    batch = compare_with_mask(a_map(values), masks)
    for image in range(3):
        one = compare_with_mask(a_map(values[image : image + 1]), masks[image : image + 1])
        assert batch.agreement(image) == one.agreement(0)


def test_one_mask_or_one_map_serves_all() -> None:
    values, masks = a_random_map(3), pixels(a_random_map(3, seed=1) > 0.5).float()
    assert compare_with_mask(a_map(values), masks[:1]).images == 3
    assert compare_with_mask(a_map(values[:1]), masks).images == 3
    assert compare_maps(a_map(values[:1]), a_map(values)).images == 3


def test_the_mean_leaves_out_what_has_no_meaning() -> None:
    nan = float("nan")
    mean = mean_agreement([Agreement(0.5, 0.1, nan, nan, nan, nan), Agreement(0.7, 0.3, 0.4, 1, nan, -1)])
    assert astuple(mean)[:4] == pytest.approx((0.6, 0.2, 0.4, 1))
    assert np.isnan(mean.mass) and mean.spearman == -1


@pytest.mark.parametrize(
    ("compare", "words"),
    [
        (lambda: compare_with_mask(a_map(a_random_map(2)), torch.ones(3, 48, 40)), "2 of the map, 3 of the mask"),
        (lambda: compare_with_mask(a_map(a_random_map()), torch.ones(1, 5, 40)), "the map has 5×6 cells"),
        (lambda: compare_with_mask(a_map(a_random_map()), torch.ones(1, 48, 40, 3)), "Connect a MASK"),
        (lambda: compare_with_mask(a_map(a_random_map()), torch.full((1, 48, 40), torch.nan)), "NaN"),
        (
            lambda: compare_with_mask(a_map(a_random_map()), torch.ones(1, 48, 40), torch.ones(1, 48, 41)),
            "masks of one size",
        ),
        (lambda: compare_maps(a_map(a_random_map()), a_map(a_random_map(rows=24))), "not of one picture"),
        (lambda: compare_maps(a_map(a_random_map()), a_map(a_random_map()), share=1.0), "The share is 1"),
        (lambda: a_map(a_random_map(), "upward"), "The sign is 'upward'"),
        (
            lambda: take_sign(make_heatmap(read_map(a_difference(a_random_map().abs(), "absolute"))), "negative"),
            "no values below 0",
        ),
        (
            lambda: agreement_sheet(compare_maps(a_map(a_random_map(2)), a_map(a_random_map(2))), torch.ones(3, 48, 40, 3)),
            "There are 3 images",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(compare: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare()


# ------------------------------------------------------------------------------------------------------ text and picture


def test_the_report_quotes_the_labels_and_names_size_and_sign() -> None:
    heatmap = a_map(a_random_map(2), "positive")
    text = report(compare_with_mask(heatmap, corner(48, 40, 24, 20)))
    assert f"“zebra” vs “{HORSE}”" in text
    assert "Evidence, its positive side" in text
    assert "40×48 places, the map enlarged from 5×6 latent cells" in text
    assert text.count("AUROC") == 3, "two images and their mean"


def has_colour(picture: Tensor, colour: str) -> bool:
    """Whether a picture [H,W,3] has it: painted over white, as no other part of the sheet is."""
    paint = torch.tensor([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    painted = torch.lerp(torch.ones(3), paint, 0.8)
    return bool(((picture - painted).abs().amax(-1) < 2 / 255).any())


@pytest.mark.parametrize("second", ["mask", "map"])
def test_the_picture_paints_agreement_and_both_kinds_of_disagreement(second: str) -> None:
    values = torch.zeros(1, 6, 6)
    values[:, :2, :3] = torch.tensor([1.0, 0.9, 0.8])
    moved = values.roll(1, 2)
    comparison = (
        compare_maps(a_map(values), a_map(moved), 1 / 6)
        if second == "map"
        else compare_with_mask(a_map(values), pixels((moved > 0).float()))
    )
    sheet = agreement_sheet(comparison, torch.ones(1, 48, 48, 3))[0]
    assert all(has_colour(sheet, colour) for colour in (BOTH, REFERENCE_ALONE, MAP_ALONE))


def test_sheets_of_a_batch_have_one_size_though_one_has_a_note() -> None:
    masks = torch.cat([corner(48, 40, 24, 20), torch.zeros(1, 48, 40)])
    sheet = agreement_sheet(compare_with_mask(a_map(a_random_map()), masks), torch.rand(1, 48, 40, 3))
    assert len(sheet) == 2
    assert (sheet[0, -1] == 1).all(), "paper below the shorter one"


def test_inputs_are_not_changed() -> None:
    values, mask, pictures = a_random_map(), corner(48, 40, 24, 20), torch.rand(1, 48, 40, 3)
    kept = [tensor.clone() for tensor in (values, mask, pictures)]
    agreement_sheet(compare_with_mask(a_map(values, "magnitude"), mask), pictures)
    assert all(torch.equal(*pair) for pair in zip((values, mask, pictures), kept, strict=True))


# --------------------------------------------------------------------------------------------------------------- the node


@pytest.fixture
def node(comfy_host: Path) -> Any:
    from sdexplain.nodes.comparison import CompareMaps

    return CompareMaps


def test_the_node_takes_a_mask_or_a_map(node: Any) -> None:
    difference = a_difference(a_random_map(2))
    with_mask = node.execute(difference, corner(48, 40, 24, 20), "channel norm", "signed", 0.1)
    text, picture, *figures = with_mask.result
    expected = compare_with_mask(a_map(a_random_map(2)), corner(48, 40, 24, 20))
    assert figures == pytest.approx(astuple(mean_agreement([expected.agreement(image) for image in range(2)])))
    assert text == report(expected) and len(picture) == 2
    with_map = node.execute(difference, difference, "channel norm", "magnitude", 0.1, torch.rand(1, 48, 40, 3))
    assert with_map.result[2] == 1
    assert len(with_map.ui.as_dict()["images"]) == 2


def test_the_second_input_takes_all_types(node: Any) -> None:
    second = next(entry for entry in node.define_schema().inputs if entry.id == "second")
    assert set(second.get_io_type().split(",")) == {"NOISE_DIFFERENCE", "EXPLANATION_MAP", "MASK"}


def test_every_input_and_output_of_the_node_has_a_tooltip(node: Any) -> None:
    schema = node.define_schema()
    assert all(entry.tooltip for entry in schema.inputs + schema.outputs)


def test_in_a_server_one_input_takes_the_mask_of_a_twin_and_another_sum(comfyui: Client) -> None:
    def summed(start: int, end: int) -> dict[str, Any]:
        choice = {"weighting": "uniform", "latent_direction": "target - contrast", "latent_base": "difference alone"}
        return graphs.node(
            "SDExplainSumDifference",
            predictions=["predict", 0],
            start=start,
            end=end,
            reading="absolute",
            latent_strength=1,
            **choice,
        )

    def compared(second: list[Any]) -> dict[str, Any]:
        settings = {"scalar": "channel norm", "sign": "magnitude", "share": 0.1}
        return graphs.node("SDExplainAgreement", first=["early", 0], second=second, image=["scene", 0], **settings)

    run = comfyui.run(
        {
            "scene": graphs.node("SDExplainExamplePicture", class_name="zebra", seed=1000010, size=256),
            "load": graphs.node("SDExplainLoadDiffusers", folder="bundled model"),
            "encode": graphs.node("VAEEncode", pixels=["scene", 0], vae=["load", 2]),
            "noise": graphs.noising("load", 4),
            **graphs.zebra_against_horse("load"),
            "early": summed(0, 3),
            "late": summed(3, 4),
            "mask": compared(["scene", 2]),
            "map": compared(["late", 0]),
        },
        timeout=120,
    )
    assert len(run.pictures("mask")) == len(run.pictures("map")) == 1
    picture, wider = (comfyui.image(run.pictures(name)[0]) for name in ("mask", "map"))
    assert picture.width < wider.width, "two pictures beside each other, and three"
