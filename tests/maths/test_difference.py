"""Sums over a range of steps against sums by hand, their latent, and clear words for ranges that are none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import analytic
import numpy as np
import pytest
import torch
from sdexplain.nodes.maths.method import difference
from sdexplain.nodes.maths.method.heatmap import make_heatmap
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.wording import SENTENCES

STEPS = 6


@pytest.fixture
def predictions() -> NoisePredictions:
    generator = torch.Generator().manual_seed(3)
    noised = analytic.noised_latents(torch.randn(2, 4, 3, 5, generator=generator), samples=2, steps=STEPS)
    target, contrast = (torch.randn(2, STEPS, 2, 4, 3, 5, generator=generator) for _ in range(2))
    return NoisePredictions(noised, target, contrast, "zebra", "horse")


@pytest.mark.parametrize(("start", "end"), [(0, 6), (2, 3), (1, 5)])
def test_the_difference_is_summed_per_channel(predictions: NoisePredictions, start: int, end: int) -> None:
    summed = difference.sum_steps(predictions, start, end)
    expected = predictions.target[:, start:end].sum(1) - predictions.contrast[:, start:end].sum(1)
    assert torch.allclose(summed.values, expected, atol=1e-5)
    assert summed.signed


def test_the_absolute_reading_sums_each_steps_mean_magnitude(predictions: NoisePredictions) -> None:
    summed = difference.sum_steps(predictions, 1, 4, "absolute")
    expected = (predictions.target - predictions.contrast)[:, 1:4].abs().mean(3, keepdim=True).sum(1)
    assert summed.values.shape == (2, 2, 1, 3, 5)
    assert torch.allclose(summed.values, expected, atol=1e-5)
    assert not summed.signed


def test_opposite_steps_cancel_in_the_difference_but_not_in_the_magnitude(predictions: NoisePredictions) -> None:
    signs = torch.tensor([1.0, -1, 1, -1, 1, -1]).view(1, -1, 1, 1, 1, 1)
    alternating = NoisePredictions(
        predictions.noised, signs.expand_as(predictions.target), torch.zeros_like(predictions.target), "a", "b"
    )
    assert difference.sum_steps(alternating).values.abs().max() == 0
    assert torch.equal(difference.sum_steps(alternating, reading="absolute").values, torch.full((2, 2, 1, 3, 5), 6.0))


def test_information_weights_each_step_by_its_share_of_the_log_snr(predictions: NoisePredictions) -> None:
    summed = difference.sum_steps(predictions, 2, 5, weighting="information")
    d = predictions.target - predictions.contrast
    shares = predictions.noised.step_shares
    assert torch.allclose(summed.values, sum(shares[step] * d[:, step] for step in (2, 3, 4)), atol=1e-4)
    assert shares[2].item() == pytest.approx(
        2 * shares[0].item(), rel=1e-4
    )  # evenly spread levels: the outer steps have half a share


def test_the_sum_knows_where_it_came_from(predictions: NoisePredictions) -> None:
    summed = difference.sum_steps(predictions, 1, None, "absolute", "information")
    assert (summed.start, summed.end, summed.steps, summed.reading, summed.weighting) == (
        1,
        6,
        6,
        "absolute",
        "information",
    )
    assert (summed.target_label, summed.contrast_label, summed.downscale) == ("zebra", "horse", 8)


def test_the_mean_is_over_the_noise_samples(predictions: NoisePredictions) -> None:
    summed = difference.sum_steps(predictions)
    assert torch.allclose(summed.mean, (summed.values[0] + summed.values[1]) / 2)


def test_half_precision_predictions_are_summed_in_single(predictions: NoisePredictions) -> None:
    # 1 + 2^-9 is lost in half precision as soon as it is added to 16.
    ones = torch.ones_like(predictions.target, dtype=torch.float16)
    halves = NoisePredictions(predictions.noised, ones * 1.001953125, ones * 0, "a", "b")
    assert difference.sum_steps(halves).values.max().item() == 6 * 1.001953125


def test_the_latent_speaks_for_the_target_by_default(predictions: NoisePredictions) -> None:
    """The decoded difference is what D_target - D_contrast would be, whose sign is the opposite of the noise's."""
    noised = predictions.noised
    step, sigma = 2, predictions.noised.sigmas[2]
    summed = difference.sum_steps(predictions, step, step + 1)
    denoised = [noised.at(0, step) - sigma * array[0, step] for array in (predictions.target, predictions.contrast)]
    change = (denoised[0] - denoised[1]) / sigma
    latent = difference.latent(
        difference.NoiseDifference(**{**vars(summed), "values": summed.values[:1]}),
        noised.x0,
        "target - contrast",
        "difference alone",
    )
    assert torch.allclose(latent, noised.to_vae(change), atol=1e-3)


def test_the_latent_of_the_other_direction_mirrors_at_the_zero_latent(predictions: NoisePredictions) -> None:
    summed, x0 = difference.sum_steps(predictions), predictions.noised.x0
    one = difference.latent(summed, x0, "target - contrast", "difference alone")
    other = difference.latent(summed, x0, "contrast - target", "difference alone")
    zero = predictions.noised.to_vae(torch.zeros_like(x0))
    assert torch.allclose(one - zero, zero - other, atol=1e-5)


def test_the_latent_added_to_the_image_at_strength_zero_is_the_image(predictions: NoisePredictions) -> None:
    summed, noised = difference.sum_steps(predictions), predictions.noised
    image = difference.latent(summed, noised.x0, "target - contrast", "added to the image", 0.0)
    assert torch.equal(image, noised.to_vae(noised.x0))
    stronger = difference.latent(summed, noised.x0, "target - contrast", "added to the image", 2.0)
    assert torch.allclose(stronger, noised.to_vae(noised.x0 - 2 * summed.mean), atol=1e-5)


# ------------------------------------------------------------------------------------------------------- standard errors


def by_hand(predictions: NoisePredictions, reading: str, start: int, end: int) -> torch.Tensor:
    """[R,S,B,K,h,w] the weighted parts of a sum."""
    weights = predictions.noised.step_shares
    parts = [weights[step] * difference.read_step(predictions, step, reading) for step in range(start, end)]
    return torch.stack(parts, dim=1)


READINGS = pytest.mark.parametrize("reading", difference.get_args(difference.Reading))


SIGNED = pytest.mark.parametrize("reading", difference.SIGNED)
UNSIGNED = pytest.mark.parametrize("reading", ["absolute", "information"])


@SIGNED
def test_with_noise_of_its_own_at_every_step_the_steps_variances_add_up(predictions: NoisePredictions, reading: str) -> None:
    summed = difference.sum_steps(predictions, 1, 5, reading, "information")
    parts = by_hand(predictions, reading, 1, 5)
    assert torch.allclose(summed.variance, parts.var(0).sum(0) / 2, rtol=1e-4)
    totals = parts.sum((3, 4, 5))
    assert torch.allclose(summed.total, totals.mean(0).sum(0), rtol=1e-3, atol=1e-3)
    assert torch.allclose(summed.total_error.square(), totals.var(0).sum(0) / 2, rtol=1e-3)
    # two samples: one comparison in each of four steps, of the maps of all cells and channels
    alike = (parts[0] * parts[1]).sum((2, 3, 4)) > 0
    assert torch.equal(summed.agreeing, alike.sum(0))
    assert summed.compared.tolist() == [4, 4]


@UNSIGNED
@pytest.mark.parametrize("fresh", [True, False])
def test_a_reading_without_a_sign_is_tested_by_products_of_independent_samples(
    predictions: NoisePredictions, reading: str, fresh: bool
) -> None:
    noise = predictions.noised.noise if fresh else predictions.noised.noise[:, :1]
    asked = replace(predictions, noised=replace(predictions.noised, noise=noise))
    summed = difference.sum_steps(asked, 1, 5, reading, "information")
    differences = (asked.target - asked.contrast)[:, 1:5]
    weights = asked.noised.step_shares[1:5].view(4, 1, 1, 1)
    products = weights / 2 * (differences[0] * differences[1]).sum(2)
    assert torch.allclose(summed.tested[:, 0], products.sum(0), rtol=1e-4, atol=1e-6)
    variance = products.square().sum(0) if fresh else products.sum(0).square()
    assert torch.allclose(summed.variance[:, 0], variance, rtol=1e-4, atol=1e-6)


def test_steps_without_weight_are_not_compared(predictions: NoisePredictions) -> None:
    sigmas = predictions.noised.sigmas.clone()
    sigmas[2] = sigmas[1] = sigmas[3]
    level = replace(predictions, noised=replace(predictions.noised, sigmas=sigmas))
    weighted, uniform = (difference.sum_steps(level, 1, 4, "evidence", weighting) for weighting in ("information", "uniform"))
    assert (weighted.compared.tolist(), uniform.compared.tolist()) == ([2, 2], [3, 3])


@SIGNED
def test_with_one_noise_for_the_schedule_the_sums_vary(predictions: NoisePredictions, reading: str) -> None:
    same = replace(predictions, noised=replace(predictions.noised, noise=predictions.noised.noise[:, :1]))
    summed = difference.sum_steps(same, 1, 5, reading, "information")
    parts = by_hand(same, reading, 1, 5).sum(1)
    assert torch.allclose(summed.variance, parts.var(0) / 2, rtol=1e-3, atol=1e-5)
    assert torch.allclose(summed.total_error.square(), parts.sum((2, 3, 4)).var(0) / 2, rtol=1e-3)
    assert summed.agreeing is None, "steps that share one noise say the same thing again"


def scattered(density: np.ndarray, places: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The standard error of sum(shares * density), [n,B] to [B], by lines through each step's neighbours."""
    variances = []
    for step in range(1, len(places) - 1):
        around = [step - 1, step + 1]
        line = np.array([np.interp(places[step], places[around], values[around]) for values in density.T])
        near = np.interp(places[step], places[around], [1.0, 0.0])
        variances.append((density[step] - line) ** 2 / (1 + near**2 + (1 - near) ** 2))
    return np.sqrt(np.sum(shares[:, None] ** 2 * [variances[0], *variances, variances[-1]], axis=0))


@pytest.mark.parametrize("weighting", ["uniform", "information"])
@pytest.mark.parametrize("samples", [1, 2])
def test_a_single_estimate_has_the_error_of_its_total_from_its_steps_and_none_of_a_cell(
    predictions: NoisePredictions, samples: int, weighting: str
) -> None:
    few = single(predictions, samples)
    summed = difference.sum_steps(few, 1, 5, "evidence", weighting)
    weights = difference.step_weights(few.noised, weighting)[1:5].numpy()
    noise, target, contrast = few.noised.noise[:, 1:5, None], few.target[:, 1:5], few.contrast[:, 1:5]
    density = ((noise - contrast) ** 2 - (noise - target) ** 2).sum((3, 4, 5)).mean(0) / 2
    expected = scattered(density.numpy(), few.noised.log_snr[1:5].numpy(), weights)
    np.testing.assert_allclose(summed.total_error, expected, rtol=1e-3)
    assert summed.variance is summed.agreeing is None
    assert difference.sum_steps(few, 1, 3, "evidence", weighting).total_error.isnan().all(), "a line goes through two steps"
    same = replace(few, noised=replace(few.noised, noise=few.noised.noise[:, :1]))
    assert difference.sum_steps(same, 1, 5, "evidence", weighting).total_error.isnan().all(), "one noise scatters with none"


def single(predictions: NoisePredictions, samples: int) -> NoisePredictions:
    """A single independent estimate: one sample, or two of opposite noise."""
    noise = predictions.noised.noise[:1]
    noised = replace(predictions.noised, noise=torch.cat([noise, -noise])[:samples], antithetic=samples == 2)
    return NoisePredictions(noised, predictions.target[:samples], predictions.contrast[:samples], "a", "b")


def test_joined_sums_keep_each_images_own_error(predictions: NoisePredictions) -> None:
    parts = [difference.sum_steps(predictions, start, end, "evidence") for start, end in ((0, 2), (2, 6))]
    joined = difference.join_images(parts)
    assert joined.values.shape == (2, 4, 1, 3, 5)
    assert torch.equal(joined.total, torch.cat([part.total for part in parts]))
    assert joined.compared.tolist() == [2, 2, 4, 4], "two samples are compared once a step"
    for name in ("variance", "agreeing", "total_error"):
        assert torch.equal(getattr(joined, name)[2:], getattr(parts[1], name))
    of_ranges = difference.sum_ranges(single(predictions, 1), [(0, 3), (3, 5)], "evidence", "information")
    assert of_ranges.total_error.isnan().tolist() == [False, False, True, True]


@pytest.mark.parametrize("reading", get_args(difference.Reading))
def test_a_range_of_pure_noise_alone_is_a_map_of_nothing(predictions: NoisePredictions, reading: str) -> None:
    """A flow model at sigma = 1: that step has no share of the log SNR, and nothing beside it."""
    flow = analytic.as_flow(predictions.noised)
    first = torch.eye(STEPS)[0].bool()
    pure = replace(flow, sigmas=flow.sigmas.masked_fill(first, 1.0), alphas=flow.alphas.masked_fill(first, 0.0))
    ranges = difference.sum_ranges(replace(predictions, noised=pure), [(0, 1), (1, STEPS)], reading, "information")
    heatmap = make_heatmap(read_map(ranges))
    assert heatmap.values.flatten(1).any(1).tolist() == [False, False, True, True]
    assert [heatmap.note(image) for image in range(4)] == [SENTENCES["no_weight"]] * 2 + [""] * 2
    same = replace(predictions, contrast=predictions.target, noised=pure)
    whole = make_heatmap(read_map(difference.sum_steps(same, 0, None, reading, "information")))
    assert whole.note(0) == SENTENCES["no_difference"], "where some steps have weight the prompts are what is alike"
    weighed = make_heatmap(read_map(difference.sum_steps(replace(predictions, noised=pure), 0, 1, reading, "uniform")))
    assert weighed.note(0) == ""
    assert ranges.compared.tolist() == [0, 0, STEPS - 1, STEPS - 1]


# ------------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (3, 3, "The range 3-3 is empty: start must be less than end"),
        (4, 2, "The range 4-2 is empty"),
        (-1, 2, "The range is -1 to 2; expected steps from 0"),
        (0, -2, "The range is 0 to -2; expected steps from 0"),
        (0, 7, r"The range 0-7 goes past the schedule, which has 6 steps \(0 to 5\)"),
        (6, None, "The range 6-end goes past the schedule, which has 6 steps"),
        (8, 9, "The range 8-9 goes past the schedule"),
    ],
)
def test_ranges_that_are_none_are_refused(predictions: NoisePredictions, start: int, end: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        difference.sum_steps(predictions, start, end)


def test_unknown_words_are_refused_with_the_known_ones(predictions: NoisePredictions) -> None:
    with pytest.raises(ValueError, match="reading is 'evil'; expected one of difference, absolute"):
        difference.sum_steps(predictions, reading="evil")
    with pytest.raises(ValueError, match="weighting is 'evil'; expected one of uniform, information"):
        difference.sum_steps(predictions, weighting="evil")
    summed, x0 = difference.sum_steps(predictions), predictions.noised.x0
    with pytest.raises(ValueError, match="direction is 'up'; expected one of target - contrast"):
        difference.latent(summed, x0, "up", "difference alone")
    with pytest.raises(ValueError, match="base is 'down'; expected one of difference alone"):
        difference.latent(summed, x0, "target - contrast", "down")


def test_a_sum_without_sign_has_no_latent(predictions: NoisePredictions) -> None:
    with pytest.raises(ValueError, match="'absolute' is not a latent that can be decoded"):
        difference.latent(
            difference.sum_steps(predictions, reading="absolute"),
            predictions.noised.x0,
            "target - contrast",
            "difference alone",
        )


@pytest.mark.parametrize("strength", [math.nan, math.inf])
def test_a_strength_that_is_no_number_is_refused(predictions: NoisePredictions, strength: float) -> None:
    with pytest.raises(ValueError, match="expected a finite factor"):
        difference.latent(
            difference.sum_steps(predictions), predictions.noised.x0, "target - contrast", "difference alone", strength
        )
