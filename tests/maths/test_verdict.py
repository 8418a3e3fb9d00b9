"""The verdict against exact log-odds, sums and errors by hand, and clear words where there is nothing to say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import analytic
import numpy as np
import pytest
import torch
from scipy import stats
from sdexplain.nodes.maths.answers.verdict import Verdict, assumed_parts, headline, judge, preferences, report, schedule_error
from sdexplain.nodes.maths.method.cases import Cases
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.order import asking_order
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect, part_of
from sdexplain.nodes.maths.method.uncertainty import variance_of_total
from sdexplain.nodes.maths.wording import format_with_error
from sdexplain.tools import graphs
from torch import Tensor

if TYPE_CHECKING:
    from sdexplain.tools.client import Client

STEPS = 8
GAUSSIANS = analytic.Gaussians(torch.tensor([0.2, -0.1, 0.0]), torch.tensor([-0.1, 0.1, 0.05]), spread=0.8)


def random_predictions(
    images: int = 2, samples: int = 2, steps: int = STEPS, per_step: bool = True, antithetic: bool = False
) -> NoisePredictions:
    generator = torch.Generator().manual_seed(5)
    noised = analytic.noised_latents(torch.randn(images, 3, 4, 5, generator=generator), 0, samples, steps, per_step)
    if antithetic:
        noise = draw_noise((3, 4, 5), 0, samples, steps, per_step, antithetic=True)
        noised = replace(noised, noise=noise, antithetic=True)
    target, contrast = (torch.randn(samples, steps, images, 3, 4, 5, generator=generator) for _ in range(2))
    return NoisePredictions(noised, target, contrast, "zebra", "horse")


def predictions_saying(nats: list[list[list[float]]], per_step: bool = True) -> NoisePredictions:
    """Predictions whose evidence is `nats`, [R,S,B]: the contrast is right, the target is wrong or the other way round."""
    wanted = torch.tensor(nats)
    samples, steps, images = wanted.shape
    noised = analytic.noised_latents(torch.zeros(images, 1, 1, 1), 0, samples, steps, per_step)
    # half the squared error times the step's share is what a wrong prediction costs
    errors = (2 * wanted.abs() / noised.step_shares[:, None]).sqrt()[..., None, None, None]
    speaks_for = (wanted > 0)[..., None, None, None]
    noise = noised.noise.expand(-1, steps, -1, -1, -1)[:, :, None]
    target, contrast = noise + errors * ~speaks_for, noise + errors * speaks_for
    return NoisePredictions(noised, target, contrast, "zebra", "horse")


def swapped(predictions: NoisePredictions) -> NoisePredictions:
    return replace(
        predictions,
        target=predictions.contrast,
        contrast=predictions.target,
        target_label=predictions.contrast_label,
        contrast_label=predictions.target_label,
    )


# ---------------------------------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("family", analytic.FAMILIES)
def test_the_log_odds_are_the_exact_ones(family: str) -> None:
    x0 = 0.8 * torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    low, high = 0.01, 60.0
    noised = analytic.noised_latents(x0, samples=2, steps=400, reach=(high, low))
    noised = replace(noised, noise=draw_noise((3, 6, 6), 0, 2, 400, True, antithetic=True), antithetic=True)
    if family == "flow":
        noised = analytic.as_flow(noised)
    verdict = judge(collect(noised, analytic.wrapped(GAUSSIANS, family), chunk=400))
    variance = GAUSSIANS.spread**2
    reached = variance * (1 / (variance + low**2) - 1 / (variance + high**2))
    exact = GAUSSIANS.log_odds(x0).sum((1, 2, 3)) * reached
    assert torch.allclose(verdict.log_odds, exact, rtol=0.01)


def test_the_log_odds_and_their_error_are_those_of_the_summed_evidence() -> None:
    for predictions in (random_predictions(samples=3), random_predictions(samples=4, per_step=False, antithetic=True)):
        for start, end in ((0, None), (2, 5), (7, 8)):
            verdict, summed = judge(predictions, start, end), sum_steps(predictions, start, end, "evidence", "information")
            assert torch.allclose(verdict.log_odds, summed.values.mean(0).sum((1, 2, 3)), rtol=1e-4, atol=1e-3)
            assert torch.allclose(verdict.error, summed.total_error, rtol=1e-4)


def test_swapped_prompts_flip_the_sign_and_mirror_the_probability() -> None:
    predictions = random_predictions()
    one, other = judge(predictions, 1, 6, 30.0), judge(swapped(predictions), 1, 6, 30.0)
    assert torch.equal(one.log_odds, -other.log_odds)
    assert torch.equal(one.error, other.error)
    assert torch.allclose(one.probability, 1 - other.probability)
    assert (one.probability > 0.5).equal(one.log_odds > 0)


def test_parts_of_a_range_add_up_to_it() -> None:
    predictions = random_predictions()
    parts = [judge(predictions, start, end).log_odds for start, end in ((0, 3), (3, 4), (4, None))]
    whole = judge(predictions)
    assert torch.allclose(sum(parts), whole.log_odds, atol=1e-3)
    assert torch.allclose(whole.sums[[2, 3, 7]], torch.stack(parts).cumsum(0), atol=1e-3)
    assert torch.allclose(judge(predictions, 3, 7).sums[-1], judge(predictions, 3, 7).log_odds)


def test_a_batch_is_as_many_single_images() -> None:
    predictions = random_predictions(images=3)
    verdict = judge(predictions)
    for image in range(3):
        alone = replace(
            predictions,
            noised=replace(predictions.noised, x0=predictions.noised.x0[image : image + 1]),
            target=predictions.target[:, :, image : image + 1],
            contrast=predictions.contrast[:, :, image : image + 1],
        )
        assert torch.allclose(judge(alone).log_odds[0], verdict.log_odds[image])
        assert headline(judge(alone), 0) == headline(verdict, image)


def test_the_error_of_two_independent_samples_is_half_their_distance() -> None:
    # fresh noise: sqrt(3^2 + 4^2) / 2; the same noise at every step: |7| / 2
    nats = [[[1.0], [10.0]], [[4.0], [14.0]]]
    assert judge(predictions_saying(nats)).error.item() == pytest.approx(2.5, rel=1e-4)
    assert judge(predictions_saying(nats, per_step=False)).error.item() == pytest.approx(3.5, rel=1e-4)
    verdict = judge(predictions_saying(nats))
    assert verdict.step_error[:, 0].tolist() == pytest.approx([1.5, 2.0], rel=1e-4)
    # Student's t for 95 % of the sums of both samples: so few cells tell nothing of the steps' variances
    assert verdict.sums_half_width[:, 0].tolist() == pytest.approx([d * stats.t.ppf(0.975, 1) for d in (1.5, 3.5)], rel=1e-4)
    assert verdict.half_width.item() == pytest.approx(3.5 * stats.t.ppf(0.975, 1), rel=1e-4)


# how the variance is spread over the steps, and how much a total's exceeds that of its blocks
EQUAL, LAST_ALONE = torch.ones(20), torch.cat([torch.full((19,), 0.01 / 19), torch.tensor([0.99])])
ALIKE, FALLING = torch.ones(20), torch.logspace(math.log10(4), 0, 20)


@pytest.mark.parametrize("profile", [EQUAL, LAST_ALONE], ids=["all steps alike", "one step carries all"])
@pytest.mark.parametrize("ratio", [ALIKE, FALLING], ids=["independent blocks", "correlated blocks"])
@pytest.mark.parametrize("estimates", [2, 4])
def test_intervals_hold_the_truth_as_often_as_they_say(estimates: int, ratio: Tensor, profile: Tensor) -> None:
    """Noise alone around 0, in 64 blocks that share a part of it: the part that makes a total vary `ratio` times as much."""
    pictures, steps, blocks = 4000, len(profile), 64
    generator = torch.Generator().manual_seed(estimates)
    own = torch.randn(estimates, steps, pictures, blocks, generator=generator)
    shared = torch.randn(estimates, steps, pictures, 1, generator=generator)
    part = ((ratio - 1) / blocks).sqrt()[None, :, None, None]
    parts = (own + part * shared) * profile.sqrt()[None, :, None, None]
    totals = parts.sum(-1)
    variance, degrees = variance_of_total(totals, parts, antithetic=False, fresh_noise=True)
    reach = torch.from_numpy(stats.t.ppf(0.975, degrees.numpy())) * variance.sqrt()
    missed = (totals.double().sum(1).mean(0).abs() > reach).double().mean()
    # at most 6 %, and 3 standard deviations of a share that was counted 4,000 times
    assert missed < 0.06 + 3 * math.sqrt(0.06 * 0.94 / pictures)


def test_the_exact_log_odds_of_gaussians_lie_within_the_interval_though_pairs_leave_no_noise() -> None:
    """Antithetic pairs cancel all noise of Gaussian classes: what is left is the error of the schedule alone."""
    for steps in (10, 25, 50):
        noised = analytic.noised_latents(0.5 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)), steps=steps)
        noise = draw_noise((3, 8, 8), 0, 4, steps, True, True)
        predictions = collect(replace(noised, noise=noise, antithetic=True), analytic.wrapped(GAUSSIANS, "eps"))
        verdict, partly = judge(predictions), judge(part_of(predictions, asking_order(steps)[:8], 2))
        exact = GAUSSIANS.log_odds(noised.x0).sum()
        assert abs(partly.log_odds.item() - exact) <= partly.half_width.item()
        assert schedule_error(partly).item() < 0.5 * abs(exact)
        assert verdict.error.item() < 1e-3 * abs(exact)
        assert abs(verdict.log_odds.item() - exact) <= verdict.half_width.item()
        assert schedule_error(verdict).item() < 0.2 * abs(exact), "an interval that holds everything says nothing"


def test_the_temperature_divides_the_log_odds_of_the_probability_alone() -> None:
    verdict = judge(predictions_saying([[[4.0]], [[6.0]]]), temperature=2.5)
    assert verdict.log_odds.item() == pytest.approx(5)
    assert verdict.probability.item() == pytest.approx(1 / (1 + math.exp(-2)))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature is .*expected a number above 0"):
        judge(random_predictions(), temperature=temperature)


def test_a_range_outside_of_the_schedule_and_nan_are_refused() -> None:
    predictions = random_predictions()
    with pytest.raises(ValueError, match="goes past the schedule, which has 8 steps"):
        judge(predictions, 4, 9)
    with pytest.raises(ValueError, match="NaN or infinity"):
        judge(replace(predictions, target=predictions.target * math.nan))


def test_a_step_of_pure_noise_neither_weighs_nor_votes() -> None:
    levels = torch.tensor([1.0, 0.8, 0.4, 0.1])
    channels = torch.ones(3)
    noise = draw_noise((3, 4, 4), 0, 2, 4, True)
    noised = NoisedLatents(torch.randn(1, 3, 4, 4), noise, levels, 1 - levels, channels, 0 * channels)
    verdict = judge(collect(noised, analytic.wrapped(GAUSSIANS, "flow")))
    assert verdict.step_evidence[0].item() == 0
    assert verdict.agreeing(0)[1] == 3
    alone = judge(collect(noised, analytic.wrapped(GAUSSIANS, "flow")), 0, 1)
    assert headline(alone, 0).startswith("Pure noise alone") and preferences(alone) == ["pure noise alone"]


# ------------------------------------------------------------------------------------------------------------- in words


def words(nats: list[list[list[float]]], **options: Any) -> str:
    return report(known(judge(predictions_saying(nats), **options)))


def known(verdict: Verdict) -> Verdict:
    """The verdict as if nothing was measured of whether the model knows the pictures, which are single cells of nothing here."""
    return replace(verdict, familiarity=None)


def test_nothing_is_preferred_in_a_picture_that_the_model_does_not_know() -> None:
    nats = [[[0.0], [9.9], [-1.0], [4.0], [0.1]], [[0.0], [10.1], [-1.0], [4.0], [0.1]]]
    verdict = judge(predictions_saying(nats))
    assert known(verdict).decided.tolist() == [True] and verdict.decided.tolist() == [False]
    text = report(verdict)
    assert "No label is preferred, because the model does not know this picture well enough: 13.10 ± 0.10 nats for" in text
    assert "The model does not know this picture: it predicts the noise" in text
    assert preferences(verdict) == ["“zebra” by 13.10 ± 0.10 nats, but the model does not know the picture"]


def test_a_model_that_knows_the_picture_decides_as_before() -> None:
    noised = analytic.noised_latents(0.8 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)), samples=4)
    verdict = judge(collect(noised, analytic.wrapped(GAUSSIANS, "eps")))
    # white noise of the right spread: nothing can do better than smoothing, and the Gaussians' own denoiser is as good
    assert verdict.strange.tolist() == [True]
    smooth = verdict.familiarity
    assert smooth.ratios.item() == pytest.approx(1, abs=0.1)
    better = replace(verdict, familiarity=replace(smooth, ratios=torch.tensor([0.3])))
    assert better.decided.tolist() == known(verdict).decided.tolist()


def test_the_answer_names_the_preferred_label_how_far_and_how_surely() -> None:
    text = words([[[0.0], [9.9], [-1.0], [4.0], [0.1]], [[0.0], [10.1], [-1.0], [4.0], [0.1]]])
    assert "“zebra” against “horse”" in text
    assert "The model prefers “zebra” by 13.10 ± 0.10 nats." in text
    assert "3 of 5 steps agree." in text
    assert "Probability" not in text, "log-odds as they are are far too sure for one"
    assert "Sum over all 5 steps, mean over 2 noise samples; ± is one standard error" in text
    assert "The model prefers “horse” by 3 ± 0 nats." in words([[[-3.0]], [[-3.0]]])


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (68.93, 2.08, "68.9 ± 2.1"),
        (812.3, 14.4, "812 ± 14"),
        (-1.48, 11.2, "−1 ± 11"),
        (1154.31, 4.4, "1154.3 ± 4.4"),
        (0.01234, 0.0031, "0.0123 ± 0.0031"),
        (13.0, 0.99999, "13.0 ± 1.0"),
        (13.0, 1e-5, "13 ± 1e-05"),
        (13.0, 0.0, "13 ± 0"),
        (0.0, 1.5, "0.0 ± 1.5"),
    ],
)
def test_a_value_has_no_more_digits_than_its_error_allows(value: float, error: float, words: str) -> None:
    assert format_with_error(value, error) == words


def test_each_image_of_a_batch_has_a_line() -> None:
    lines = words([[[9.0, -8.0]], [[9.0, -8.0]]]).split("\n")
    assert [line.partition(" by ")[0] for line in lines if line.startswith("Image")] == [
        "Image 1: The model prefers “zebra”",
        "Image 2: The model prefers “horse”",
    ]


@pytest.mark.parametrize(("spread", "undecided"), [(0.15, False), (0.17, True)])
def test_where_the_interval_holds_0_it_is_undecided_and_says_so(spread: float, undecided: bool) -> None:
    # mean 2, standard error `spread`, one degree of freedom: 95 % lie within 12.7 standard errors
    text = words([[[2 + spread]], [[2 - spread]]])
    assert ("Undecided between “zebra” and “horse”: 2.00 ± 0.17 nats" in text) == undecided
    assert "If the 95% interval contains 0, it is undecided." in text
    assert ("The 95% interval is −0.16 to 4.16 nats" in text) == undecided
    assert "1 of 1 steps" not in text, "one step agrees with itself"


@pytest.mark.parametrize("case", ["one step", "two steps of nine", "a pair of one noise"])
def test_where_neither_samples_nor_steps_tell_an_error_the_text_says_what_does(case: str) -> None:
    verdict = known(
        judge(
            {
                "one step": lambda: predictions_saying([[[5.0]]]),
                "two steps of nine": lambda: part_of(predictions_saying([[[5.0]] * 9]), (2, 6), 1),
                "a pair of one noise": lambda: random_predictions(samples=2, per_step=False, antithetic=True),
            }[case]()
        )
    )
    assert verdict.error is verdict.step_error is verdict.half_width is verdict.sums_half_width is None
    text = report(replace(verdict, temperature=13.0))
    assert " is ahead by " in text and not any(word in text for word in ("prefers", "±", "Probability"))
    assert "Uncertainty unknown. Take 4 samples or more at quality exact, or 3 steps or more with fresh noise per step." in text


@pytest.mark.parametrize(
    ("nats", "decided"), [((1, 10, 11, 10, 1), True), ((-9, 12, -8, 9, -6), False)], ids=["alike", "to and fro"]
)
def test_a_single_estimate_is_decided_by_how_its_steps_scatter(nats: tuple[float, ...], decided: bool) -> None:
    predictions = predictions_saying([[[float(value)] for value in nats]])
    verdict = known(judge(predictions))
    text = report(verdict)
    assert verdict.decided.item() == (verdict.log_odds.abs() >= verdict.half_width).item() == decided
    assert ("The model prefers" in text, "Undecided between" in text) == (decided, not decided)
    assert "±" in text and "unknown" not in text
    band = verdict.sums_half_width[:, 0]
    assert (band.diff() > 0).all(), "each step adds its own error"
    assert verdict.half_width.item() == pytest.approx(math.hypot(band[-1].item(), schedule_error(verdict).item()), rel=1e-5)
    torch.testing.assert_close(verdict.error, sum_steps(predictions, 0, None, "evidence", "information").total_error)


@pytest.mark.parametrize("steps", [5, 25])
def test_the_error_of_a_single_sample_is_as_large_as_its_nats_are_wrong(steps: int) -> None:
    """Gaussian classes, whose exact log-odds are known, with the noise of one sample, 150 times."""
    x0 = 0.5 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    noised = (analytic.noised_latents(x0, seed, steps=steps) for seed in range(150))
    verdicts = [judge(collect(each, analytic.wrapped(GAUSSIANS, "eps"))) for each in noised]
    off = torch.cat([verdict.log_odds for verdict in verdicts]) - GAUSSIANS.log_odds(x0).sum()
    told = torch.cat([verdict.error for verdict in verdicts])
    assert 0.85 < told.square().mean().sqrt() / off.square().mean().sqrt() < 1.4
    assert (off.abs() <= torch.cat([verdict.half_width for verdict in verdicts])).double().mean() > 0.9


def test_what_is_assumed_of_ends_that_were_not_asked_is_said_and_may_be_wrong() -> None:
    """3 nats for each unit of log SNR at the asked steps: beyond the first and the last of them e^-0.2 is left of each unit."""
    levels = predictions_saying([[[1.0]] * 6]).noised
    whole = predictions_saying([[[3 * share] for share in levels.step_shares.tolist()]])
    places, asked = levels.log_snr.tolist(), part_of(whole, (1, 2, 3), 1)
    lengths = places[1] - places[0], places[5] - places[3]
    ends = 3 * sum((1 - math.exp(-0.2 * length)) / 0.2 for length in lengths)
    verdict = judge(asked)
    torch.testing.assert_close(assumed_parts(verdict).sum(dim=0), torch.tensor([ends]))
    text = report(known(verdict))
    assert f"{ends:.3g} of these nats are assumed: no step was asked at the ends" in text
    assert f" {ends:.3g} of these nats are assumed" in report(known(judge(swapped(asked)))), "for the horse, then"
    beyond = sum(2 * 3 * math.exp(-0.2 * length) for length in lengths)
    assert verdict.half_width.item() == pytest.approx(math.hypot(ends, beyond), rel=1e-3), "the three steps agree"
    assert not assumed_parts(judge(whole)).any() and "assumed" not in report(known(judge(whole)))
    both_ends = part_of(whole, (0, 2, 5), 1)
    torch.testing.assert_close(assumed_parts(judge(both_ends)), torch.zeros(6, 1))


def test_what_is_assumed_of_one_end_does_not_make_up_for_the_other() -> None:
    """3 nats for each unit of log SNR at the noisy end, as many against it at the clean one: both may be wrong."""
    shares = predictions_saying([[[1.0]] * 6]).noised.step_shares
    turning = predictions_saying([(torch.tensor([3.0, 3.0, 0.0, -3.0, -3.0, -3.0]) * shares)[:, None].tolist()])
    verdict = judge(part_of(turning, (1, 2, 3), 1))
    first, last = assumed_parts(verdict)[1].item(), assumed_parts(verdict)[3].item()
    assert first > 1 and last < -1
    assert verdict.half_width.item() > first - last


def cases(target: float, contrast: float, target_label: str = "zebra", contrast_label: str = "horse") -> Cases:
    return Cases(torch.tensor([target]), torch.tensor([contrast]), None, None, target_label, contrast_label)


def test_no_words_are_said_to_fit_best_against_the_verdict() -> None:
    verdict = known(judge(predictions_saying([[[5.0], [6.0], [5.0]]])))
    assert "“zebra” describes this picture best" in report(replace(verdict, cases=cases(5, 1)))
    assert "describes" not in report(replace(verdict, cases=cases(1, 5)))
    assert "Neither “zebra” nor “horse”" in report(replace(verdict, cases=cases(-50, -20)))


@pytest.mark.parametrize(("nats", "word"), [(0.0, "hardly better"), (50.0, "better"), (-50.0, "worse")])
def test_one_prompt_given_twice_is_compared_with_no_words_once(nats: float, word: str) -> None:
    predictions = random_predictions(images=1)
    verdict = known(judge(replace(predictions, contrast=predictions.target, contrast_label="zebra")))
    text = report(replace(verdict, cases=cases(nats, nats, "zebra", "zebra")))
    assert f"“zebra” describes this picture {word} than no words at all." in text and text.count("describes") == 1


def test_identical_prompts_make_no_difference() -> None:
    predictions = random_predictions()
    verdict = judge(replace(predictions, contrast=predictions.target, contrast_label="zebra"))
    assert verdict.log_odds.tolist() == [0, 0] and verdict.probability.tolist() == [0.5, 0.5]
    assert not verdict.decided.any()
    text = report(verdict)
    assert text.count("No difference: both prompts give the same noise predictions.") == 2
    assert "prefers" not in text and "robability" not in text


def test_a_range_is_named_and_the_temperature_too() -> None:
    text = words([[[9.0], [1.0], [4.0]], [[11.0], [1.2], [4.0]]], start=1, end=3, temperature=2.0)
    assert "steps 1–3 of 3" in text and f"at temperature 2: {1 / (1 + math.exp(-5.1 / 2)):.2%}" in text


@pytest.mark.parametrize("label", ["", " ", "$x_1$", "a\nb\tc", "\\frac{1}{2}", "word " * 500, "x" * 3000, "<b>&amp;"])
def test_labels_are_plain_text_and_never_make_more_lines(label: str) -> None:
    predictions = replace(random_predictions(images=1), target_label=label)
    lines = report(judge(predictions)).split("\n")
    assert len(lines) == 3
    assert len(lines[1]) < 500


# ------------------------------------------------------------------------------------------------------------- the node


@pytest.fixture
def node(comfy_host: Path) -> Any:
    from sdexplain.nodes.verdict import LabelVerdict

    return LabelVerdict


def test_the_node_gives_a_number_and_a_plot_for_each_image(node: Any) -> None:
    predictions = random_predictions(images=3)
    ran = node.execute(predictions, 2, 6, 10.0)
    text, log_odds, errors, probabilities, plots = ran.result
    verdict = judge(predictions, 2, 6, 10.0)
    assert text == report(verdict) == ran.ui["text"][0]
    assert (log_odds, errors) == (verdict.log_odds.tolist(), verdict.error.tolist())
    assert probabilities == verdict.probability.tolist()
    assert plots.shape[0] == 3 and plots.shape[2:] == (1024, 3)
    assert len(ran.ui["images"]) == 3


def test_an_unknown_error_is_not_a_number(node: Any) -> None:
    errors = node.execute(random_predictions(samples=1), 0, 2, 1.0).result[2]
    assert all(map(math.isnan, errors)) and len(errors) == 2


def test_an_end_of_minus_one_is_the_end_of_the_schedule(node: Any) -> None:
    predictions = random_predictions()
    assert node.execute(predictions, 3, -1, 1.0).result[:4] == node.execute(predictions, 3, STEPS, 1.0).result[:4]


def test_an_empty_range_is_refused_before_anything_runs(node: Any) -> None:
    assert node.validate_inputs(0, -1) is True
    assert node.validate_inputs(None, 3) is True
    assert "The range 3-3 is empty" in node.validate_inputs(3, 3)
    assert "The range is -1 to" in node.validate_inputs(-1, 3)


def test_every_input_and_output_has_a_tooltip(node: Any) -> None:
    schema = node.define_schema()
    assert all(len(entry.tooltip) > 20 for entry in schema.inputs + schema.outputs)
    assert schema.is_output_node and schema.category == "SDExplain"


def test_the_bundled_model_prefers_what_is_drawn_and_on_the_twin_its_rival(comfyui: Client) -> None:
    ran = comfyui.run(
        {
            "draw": graphs.node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
            "both": graphs.node("ImageBatch", image1=["draw", 0], image2=["draw", 1]),
            "load": graphs.node("SDExplainLoadDiffusers", folder="bundled model"),
            "encode": graphs.node("VAEEncode", pixels=["both", 0], vae=["load", 2]),
            "noise": graphs.noising("load", 4, samples=2, antithetic=False),
            **graphs.zebra_against_horse("load"),
            "verdict": graphs.node("SDExplainVerdict", predictions=["predict", 0], start=0, end=-1, temperature=1.0),
            "text": graphs.node("PreviewAny", source=["verdict", 0]),
            "number": graphs.node("PreviewAny", source=["verdict", 1]),
        },
        timeout=240,
    )
    text = ran.outputs["verdict"]["text"][0]
    assert ran.outputs["text"]["text"][0] == text
    assert "Image 1: The model prefers “zebra”" in text and "Image 2: The model prefers “horse”" in text
    first, second = map(float, ran.outputs["number"]["text"])
    assert first > 0 > second
    pictures = [np.asarray(comfyui.image(picture).convert("RGB")) for picture in ran.pictures("verdict")]
    assert len(pictures) == 2 and pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()


def test_what_a_verdict_carries_has_the_shapes_it_says() -> None:
    verdict = judge(random_predictions(images=3, samples=4), 2, 6)
    assert isinstance(verdict, Verdict)
    assert (verdict.images, verdict.steps) == (3, STEPS)
    assert verdict.evidence.shape == (4, STEPS, 3)
    assert verdict.step_evidence.shape == verdict.step_error.shape == (STEPS, 3)
    assert verdict.sums.shape == verdict.sums_half_width.shape == (4, 3)
    assert verdict.log_odds.shape == verdict.error.shape == verdict.decided.shape == (3,)


def test_a_fitted_temperature_gives_a_probability_and_without_one_there_is_none() -> None:
    """20 nats at temperature 10: 1 / (1 + e^-2) = 88.08 %. What is typed goes before what was fitted."""
    predictions = predictions_saying([[[20.5]], [[19.5]]])
    assert "Probability" not in report(known(judge(predictions)))
    fitted = replace(predictions, temperature=10.0)
    assert "Probability of “zebra” at temperature 10: 88.08%." in report(known(judge(fitted)))
    assert "at temperature 5: 98.20%." in report(known(judge(fitted, temperature=5.0)))
    assert "Probability" not in report(judge(replace(fitted, unseen="Never shown."))), "there is none where nothing is preferred"
    sure = replace(predictions_saying([[[21.0]], [[19.0]]]), temperature=1.5)
    text = report(known(judge(sure)))
    assert "Undecided" not in text and "Probability" in text
    text = report(known(judge(replace(predictions_saying([[[39.0]], [[1.0]]]), temperature=1.5))))
    assert "Undecided" in text and "Probability" not in text, "over 99.99 % of what is undecided is no answer"
