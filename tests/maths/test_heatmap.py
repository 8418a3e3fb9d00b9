"""Scalar maps, their sign and their scale, by hand; and the node's outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from differences import a_difference, absolute, evidence, random_difference, red_channel
from hypothesis import given
from hypothesis import strategies as st
from sdexplain.nodes.maths.method.difference import NoiseDifference
from sdexplain.nodes.maths.method.heatmap import automatic_limit, make_heatmap, show_only
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.method.scalar import Scalar
from sdexplain.nodes.maths.wording import differing_part, format_value
from torch import Tensor

SIGNED = ("channel mean", "decoded luminance")


# --------------------------------------------------------------------------------------------------------------- numbers


def test_the_channel_norm_is_the_length_of_the_sum() -> None:
    values = torch.zeros(1, 1, 2, 1, 2)
    values[0, 0, :, 0, 1] = torch.tensor([3.0, -4.0])
    heatmap = make_heatmap(read_map(a_difference(values), "channel norm"))
    assert heatmap.values.tolist() == [[[0.0, 5.0]]]
    assert not heatmap.signed


def test_samples_are_averaged_before_the_norm() -> None:
    """Noise of opposite sign cancels; the norm of each sample would not."""
    sample = torch.randn(1, 1, 4, 3, 3)
    opposite = make_heatmap(read_map(a_difference(torch.cat([sample, -sample])), "channel norm"))
    assert not opposite.values.any()
    both = make_heatmap(read_map(a_difference(torch.cat([sample, 3 * sample])), "channel norm"))
    assert torch.allclose(both.values, 2 * sample[0].norm(dim=1))


def test_the_channel_mean_points_to_the_target() -> None:
    """The sum is noise to be taken away: where it is positive, the target's picture has less."""
    values = torch.zeros(1, 1, 4, 1, 2)
    values[0, 0, :, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 2.0])
    heatmap = make_heatmap(read_map(a_difference(values), "channel mean"))
    assert heatmap.values.tolist() == [[[-2.0, 0.0]]]
    assert heatmap.signed
    assert (heatmap.positive, heatmap.negative) == ("higher mean as “zebra”", "lower mean as “zebra”")


def test_the_decoded_luminance_is_what_the_target_adds_to_the_decoded_zero() -> None:
    values = torch.zeros(1, 1, 4, 1, 2)
    values[0, 0, 0, 0, 1] = -0.1
    difference = a_difference(values, latent_scale=torch.tensor([2.0, 1, 1, 1]), latent_shift=torch.tensor([0.7, 1, 1, 1]))
    heatmap = make_heatmap(read_map(difference, "decoded luminance", decode=red_channel))
    assert heatmap.values.shape == (1, 2, 4)
    # 0.1 towards the target, twice that in the VAE's space, and red has 0.2126 of the luminance
    assert heatmap.values[0, 0].tolist() == pytest.approx([0, 0, 0.04252, 0.04252], abs=1e-6)
    assert heatmap.latent_size == (1, 2)
    assert (heatmap.positive, heatmap.negative) == ("brighter as “zebra”", "darker as “zebra”")


def test_all_images_are_decoded_at_once_with_the_zero_latent() -> None:
    seen = []

    def decode(latents: Tensor) -> Tensor:
        seen.append(latents)
        return red_channel(latents)

    difference = random_difference(images=3, latent_shift=torch.full((4,), 0.25))
    make_heatmap(read_map(difference, "decoded luminance", decode=decode))
    assert [len(latents) for latents in seen] == [4]
    assert torch.equal(seen[0][3], torch.full((4, 6, 5), 0.25))
    assert torch.allclose(seen[0][:3], 0.25 - difference.mean)


@pytest.mark.parametrize("scalar", ["channel norm", "channel mean"])
def test_the_absolute_reading_is_the_number_itself(scalar: str) -> None:
    values = torch.rand(2, 3, 4) + 0.1
    heatmap = make_heatmap(read_map(absolute(values), scalar))
    assert torch.equal(heatmap.values, values)
    assert not heatmap.signed
    assert heatmap.quantity == "Sum of each step’s absolute difference"


@pytest.mark.parametrize("scalar", SIGNED)
def test_swapping_the_prompts_mirrors_a_signed_map(scalar: str) -> None:
    there = random_difference()
    back = replace(there, values=-there.values, target_label="horse", contrast_label="zebra")
    first, second = (make_heatmap(read_map(d, scalar, decode=red_channel)) for d in (there, back))
    assert torch.allclose(first.values, -second.values, atol=1e-6)
    assert torch.allclose(first.limits, second.limits)
    assert torch.allclose(first.levels, -second.levels, atol=1e-5)


def test_swapping_the_prompts_leaves_the_norm_as_it_is() -> None:
    there = random_difference()
    first, second = make_heatmap(read_map(there)), make_heatmap(read_map(replace(there, values=-there.values)))
    assert torch.equal(first.values, second.values)


# ----------------------------------------------------------------------------------------------------------------- scale


@pytest.mark.parametrize(("percentile", "limit"), [(50, 500.0), (99.5, 995.0), (100, 1000.0)])
def test_the_limit_is_the_percentile_of_the_magnitudes(percentile: float, limit: float) -> None:
    values = torch.arange(1001.0)
    values[::2] *= -1
    difference = a_difference(-values.view(1, 1, 1, 7, 143))
    heatmap = make_heatmap(read_map(difference, "channel mean"), percentile=percentile)
    assert heatmap.limits.tolist() == pytest.approx([limit])


def test_a_batch_shares_its_scale_unless_each_image_has_its_own() -> None:
    weak = torch.rand(1, 20, 20)
    values = torch.cat([weak, 10 * weak])
    shared, own = (make_heatmap(read_map(absolute(values)), shared=shared, percentile=100) for shared in (True, False))
    assert shared.limits[0] == shared.limits[1] == values.max()
    assert torch.allclose(own.limits, torch.stack([weak.max(), 10 * weak.max()]))
    assert shared.levels[0].max().item() == pytest.approx(0.1)
    assert own.levels[0].max() == 1


@pytest.mark.parametrize("scalar", get_args(Scalar))
def test_a_batch_equals_single_images_on_a_fixed_scale(scalar: str) -> None:
    batch = random_difference(images=3)
    together = make_heatmap(read_map(batch, scalar, decode=red_channel), scale=1.5)
    for image in range(3):
        alone = make_heatmap(read_map(replace(batch, values=batch.values[:, [image]]), scalar, decode=red_channel), scale=1.5)
        assert torch.allclose(alone.levels[0], together.levels[image], atol=1e-6)
    assert together.limits.tolist() == [1.5, 1.5, 1.5]


@given(st.integers(0, 10_000), st.floats(50, 100), st.sampled_from(("channel norm", "channel mean")))
def test_levels_have_the_sign_of_their_values_and_end_at_one(seed: int, percentile: float, scalar: str) -> None:
    heatmap = make_heatmap(read_map(random_difference(seed=seed), scalar), percentile=percentile)
    assert heatmap.levels.abs().max() <= 1
    assert torch.equal(heatmap.levels.sign(), heatmap.values.sign())
    beyond = heatmap.values.abs() >= heatmap.limits[0]
    assert torch.equal(heatmap.levels.abs() == 1, beyond)


def test_values_beyond_the_memory_of_torch_quantile_are_sorted_all_the_same() -> None:
    values = torch.zeros(1, 4100, 4100)
    values[0, 0, 0] = 2.0
    assert automatic_limit(values, 0.0, 99.5) == 2.0


def test_a_map_that_is_zero_nearly_everywhere_keeps_what_it_has() -> None:
    values = torch.zeros(1, 64, 64)
    values[0, 5, 7] = 3.0
    heatmap = make_heatmap(read_map(absolute(values)))
    assert heatmap.limits.tolist() == [3.0]
    assert heatmap.levels[0, 5, 7] == 1
    assert heatmap.note(0) == ""


# --------------------------------------------------------------------------------------------------------- no difference


def test_the_same_prompt_twice_is_no_difference() -> None:
    heatmap = make_heatmap(read_map(a_difference(torch.zeros(2, 2, 4, 5, 5))))
    assert heatmap.limits.tolist() == [0, 0]
    assert not heatmap.levels.any()
    assert heatmap.note(0) == "No difference: both prompts give the same noise predictions."


@pytest.mark.parametrize("value", [2.0, -2.0])
def test_a_constant_map_is_no_difference(value: float) -> None:
    heatmap = make_heatmap(read_map(a_difference(torch.full((1, 1, 4, 5, 5), -value)), "channel mean"))
    assert not heatmap.levels.any()
    assert heatmap.note(0) == f"No difference between places: {value:g} everywhere.".replace("-", "−")


def test_a_single_cell_cannot_differ_between_places() -> None:
    assert make_heatmap(read_map(a_difference(torch.ones(1, 1, 4, 1, 1)))).note(0).startswith("No difference between places")


def test_rounding_is_no_difference_but_the_smallest_effect_of_a_prompt_is() -> None:
    """Predictions of unit variance, computed twice in another order of summing as a model in other chunks does."""
    steps, width = 10, 320
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(steps * 4 * 64, width, generator=generator)
    weights = torch.randn(width, generator=generator) / width**0.5
    one, other = inputs @ weights, (inputs.flip(1) * weights.flip(0)).sum(1)
    rounding = (one - other).view(steps, 4, 8, 8).sum(0)[None, None]
    assert rounding.any()
    heatmap = make_heatmap(read_map(a_difference(rounding)))
    assert not heatmap.levels.any() and heatmap.note(0).startswith("No difference: both prompts")
    small = make_heatmap(read_map(a_difference(1e-4 * torch.randn(1, 1, 4, 8, 8, generator=generator))))
    assert small.levels.max() == 1 and small.note(0) == ""


def test_a_luminance_below_what_a_picture_can_hold_is_no_difference() -> None:
    difference = random_difference()
    faint = replace(difference, values=1e-3 * difference.values)
    assert not make_heatmap(read_map(faint, "decoded luminance", decode=red_channel)).levels.any()


def test_one_image_without_difference_stays_clear_on_the_others_scale() -> None:
    values = torch.rand(2, 6, 6)
    values[0] = 0
    heatmap = make_heatmap(read_map(absolute(values)))
    assert heatmap.limits[0] == heatmap.limits[1] > 0
    assert not heatmap.levels[0].any() and heatmap.levels[1].any()
    assert heatmap.note(0) and not heatmap.note(1)


# ------------------------------------------------------------------------------------------------------------- one sign


def test_one_sign_alone_keeps_the_scale_and_its_own_values() -> None:
    both = make_heatmap(read_map(random_difference(), "channel mean"))
    positive, negative = (show_only(both, sign) for sign in ("positive", "negative"))
    assert torch.equal(positive.levels, both.levels.clamp(min=0))
    assert torch.equal(negative.levels, both.levels.clamp(max=0))
    assert torch.equal(positive.limits, both.limits)
    assert (both.level_range, positive.level_range, negative.level_range) == ((-1, 1), (0, 1), (-1, 0))


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: make_heatmap(read_map(random_difference(), "hue")),
            "scalar is 'hue'; expected one of channel norm, channel mean",
        ),
        (lambda: make_heatmap(read_map(random_difference(), "decoded luminance")), "needs a VAE. Connect the model's"),
        (
            lambda: make_heatmap(read_map(absolute(torch.rand(1, 3, 3)), "decoded luminance", decode=red_channel)),
            "needs the latent of the reading 'difference', but the reading is 'absolute'",
        ),
        (
            lambda: make_heatmap(read_map(random_difference(), "decoded luminance", decode=lambda z: z[None])),
            r"decoded 3 latents to the shape \[1, 3, 4, 6, 5\]; expected \[3, height, width, 3\]",
        ),
        (lambda: make_heatmap(read_map(a_difference(torch.full((1, 1, 4, 2, 2), torch.nan)))), "contains NaN or infinity"),
        (lambda: make_heatmap(read_map(a_difference(torch.full((1, 1, 4, 2, 2), torch.inf)))), "contains NaN or infinity"),
        (lambda: make_heatmap(read_map(random_difference()), percentile=20), "percentile is 20; expected 50 to 100"),
        (lambda: make_heatmap(read_map(random_difference()), percentile=np.nan), "percentile is nan; expected 50 to 100"),
        (lambda: make_heatmap(read_map(random_difference()), scale=-1), "scale is -1; expected the value of the full colour"),
        (lambda: make_heatmap(read_map(random_difference()), scale=np.inf), "scale is inf; expected"),
        (lambda: show_only(make_heatmap(read_map(random_difference())), "negative"), "no values below 0. Choose 'both'"),
        (
            lambda: show_only(make_heatmap(read_map(random_difference())), "left"),
            "sign is 'left'; expected one of both, positive",
        ),
    ],
)
def test_what_makes_no_heatmap_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (-1.5, "−1.5"),
        (0.012345, "0.0123"),
        (0.99996, "1"),
        (123.4, "123"),
        (12345.0, "12300"),
        (2.06e-7, "2.06e−07"),
    ],
)
def test_values_have_three_digits_and_a_true_minus(value: float, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("label", "other", "part"),
    [
        ("zebra", "horse", "zebra"),
        ("a photo of a zebra", "a photo of a horse", "a photo of a zebra"),
        (
            "a photo of a large zebra on a wide green meadow",
            "a photo of a large horse on a wide green meadow",
            "…large zebra on…",
        ),
        ("a zebra on a wide green meadow at noon", "a horse on a wide green meadow at noon", "a zebra on…"),
        ("on a wide green meadow at noon stands a zebra", "on a wide green meadow at noon stands a horse", "…a zebra"),
        ("a striped zebra on a wide green meadow", "a zebra on a wide green meadow", "a striped zebra…"),
        ("the same long words in both of the two labels", "the same long words in both of the two labels", None),
        ("all of these words are in the other one", "all of these words are in the other one too", None),
        ("nothing of these words is in the other", "", None),
        (
            "a zebra with a red hat stands on a wide green meadow under a big old tree",
            "a horse with a red hat stands on a wide green meadow under a big old bush",
            "a zebra with…old tree",
        ),
    ],
)
def test_long_labels_are_cut_to_what_tells_them_apart(label: str, other: str, part: str | None) -> None:
    assert differing_part(label, other) == (part or label)


def test_the_legend_knows_the_steps_and_the_weighting() -> None:
    assert make_heatmap(read_map(random_difference())).source == "Steps 10–20 of 50, noisiest first, equally weighted"
    weighted = make_heatmap(read_map(random_difference(weighting="information")))
    assert weighted.source == "Steps 10–20 of 50, noisiest first, weighted by their share of the log signal-to-noise ratio"


# ---------------------------------------------------------------------------------------------------------------- node


@pytest.fixture
def node(comfy_host: Path) -> Any:
    from sdexplain.nodes.heatmap import HeatmapOverlay

    return HeatmapOverlay


def run(node: Any, image: Tensor, difference: NoiseDifference, **settings: Any) -> Any:
    defaults = {entry.id: entry.default for entry in node.define_schema().inputs if getattr(entry, "default", None) is not None}
    return node.execute(image=image, difference=difference, **{**defaults, **settings})


def test_the_node_gives_overlay_heatmap_masks_and_scale(node: Any) -> None:
    difference = random_difference(images=2)
    output = run(node, torch.rand(2, 48, 40, 3), difference, scalar="channel mean", interpolation="cells")
    overlay, heatmap, mask_for, mask_against, scale = output.result
    assert heatmap.shape == (2, 48, 40, 3)
    assert mask_for.shape == mask_against.shape == (2, 48, 40)
    assert overlay.shape[1] > 512 and overlay.shape[2] == 512, "enlarged, with a legend"
    expected = -difference.mean.mean(1) / scale
    assert torch.allclose(mask_for[:, ::8, ::8] - mask_against[:, ::8, ::8], expected.clamp(-1, 1), atol=1e-6)
    assert len(output.ui.as_dict()["images"]) == 2


def test_the_scale_of_one_heatmap_serves_another(node: Any) -> None:
    strong, image = random_difference(images=1), torch.rand(1, 48, 40, 3)
    weak = replace(strong, values=strong.values / 4)
    scale = run(node, image, strong, percentile=90.0).result[4]
    mask_strong, mask_weak = (run(node, image, d, scale=scale, interpolation="cells").result[2] for d in (strong, weak))
    assert (mask_strong == 1).any()
    assert torch.allclose(mask_weak[mask_strong < 1], mask_strong[mask_strong < 1] / 4, atol=1e-6)


def test_masks_do_not_depend_on_how_it_is_drawn(node: Any) -> None:
    image, difference = torch.rand(1, 48, 40, 3), random_difference(images=1)
    plain = run(node, image, difference, scalar="channel mean").result
    other = run(
        node, image, difference, scalar="channel mean", sign="positive", colour_map="PuOr", opacity=0.1, legend=False
    ).result
    assert torch.equal(plain[2], other[2]) and torch.equal(plain[3], other[3])
    assert other[3].any()
    assert other[0].shape == (1, 48, 40, 3)


def test_the_node_decodes_with_the_vae_that_is_connected(node: Any) -> None:
    class Vae:
        decode = staticmethod(red_channel)

    image, difference = torch.rand(1, 48, 40, 3), random_difference(images=1)
    result = run(node, image, difference, scalar="decoded luminance", vae=Vae(), legend=False).result
    assert result[2].any() and result[3].any()
    with pytest.raises(ValueError, match="needs a VAE"):
        run(node, image, difference, scalar="decoded luminance")


def test_the_masks_follow_what_is_reliable(node: Any) -> None:
    values = torch.tensor([[[[9.0, -8.0, 2.0, -1.0]]]])
    one, nine = torch.ones(1, 1, 1, 4), torch.tensor([9])
    difference = evidence(values, variance=one, agreeing=nine, compared=nine, total_error=torch.ones(1))
    settings = {"interpolation": "cells", "percentile": 100.0}
    every, reliable = (
        torch.stack(run(node, torch.rand(1, 8, 32, 3), difference, reliability=choice, **settings).result[2:4])[:, 0, 4, ::8]
        for choice in ("all", "reliable only")
    )
    assert torch.allclose(every, torch.tensor([[1, 0, 2 / 9, 0], [0, 8 / 9, 0, 1 / 9]]))
    assert torch.allclose(reliable, torch.tensor([[1, 0, 0, 0], [0, 8 / 9, 0, 0]]))


def test_prompts_from_before_there_was_reliability_run_as_they_did(node: Any) -> None:
    image, difference = torch.rand(1, 48, 40, 3), random_difference(images=1)
    inputs = {entry.id: getattr(entry, "default", None) for entry in node.define_schema().inputs if not entry.optional}
    old = node.execute(**{**inputs, "image": image, "difference": difference}).result
    assert torch.equal(old[0], run(node, image, difference, reliability="all", threshold=3.0).result[0])


@pytest.mark.parametrize(("module", "name"), [("heatmap", "HeatmapOverlay"), ("sheet", "StepSheet")])
def test_every_input_and_output_has_a_tooltip(comfy_host: Path, module: str, name: str) -> None:
    from importlib import import_module

    schema = getattr(import_module(f"sdexplain.nodes.{module}"), name).define_schema()
    assert all(entry.tooltip for entry in schema.inputs + schema.outputs)


# -------------------------------------------------------------------------------------------------------------- evidence


def test_evidence_is_signed_for_one_label_and_for_the_other() -> None:
    heatmap = make_heatmap(read_map(evidence(torch.tensor([[[[2.0, -1.0]]]]))))
    assert heatmap.signed
    assert heatmap.values.tolist() == [[[2.0, -1.0]]]
    assert (heatmap.positive, heatmap.negative) == ("speaks for “zebra”", "speaks for “horse”")
    assert heatmap.unit == "nats per latent cell"


def test_evidence_that_is_not_weighted_by_information_is_not_called_nats() -> None:
    heatmap = make_heatmap(read_map(evidence(torch.tensor([[[[2.0, -1.0]]]]), "uniform")))
    assert "nats" not in heatmap.unit + heatmap.totals[0]


def test_the_total_names_the_label_that_it_speaks_for_and_its_standard_error() -> None:
    samples = torch.tensor([[[[1.0, 1.0]], [[-4.0, 1.0]]], [[[3.0, 3.0]], [[-4.0, 1.0]]]])
    difference = evidence(samples, total_error=torch.tensor([2.0, 0.0]))
    assert make_heatmap(read_map(difference)).totals == (
        "Whole picture: 4.0 ± 2.0 nats for “zebra”",
        "Whole picture: 3 ± 0 nats for “horse”",
    )


def test_a_total_without_a_standard_error_says_what_to_do() -> None:
    known, unknown = make_heatmap(read_map(evidence(torch.ones(1, 2, 1, 2), total_error=torch.tensor([0.5, torch.nan])))).totals
    assert known == "Whole picture: 2.00 ± 0.50 nats for “zebra”"
    assert unknown.startswith("Whole picture: 2 nats for “zebra”, standard error unknown.")
    assert unknown.endswith("Take 4 samples or more at quality exact, or 3 steps or more with fresh noise per step.")


def test_other_readings_have_no_total() -> None:
    assert make_heatmap(read_map(random_difference())).totals == ()
