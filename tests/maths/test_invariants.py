"""What must always hold, on the Gaussian denoiser whose answer is known, wrapped as eps, v, x0 and flow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import analytic
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdexplain.nodes.maths.method.difference import NoiseDifference, sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect
from torch import Tensor

READINGS = ("difference", "absolute", "information", "evidence", "combined")
WEIGHTINGS = ("uniform", "information")


@dataclass(frozen=True)
class Case:
    noised: NoisedLatents
    gaussians: analytic.Gaussians
    family: str

    def collect(
        self, noised: NoisedLatents | None = None, gaussians: analytic.Gaussians | None = None, chunk: int = 16
    ) -> NoisePredictions:
        denoise = analytic.wrapped(gaussians or self.gaussians, self.family)
        return collect(noised or self.noised, denoise, chunk)


@st.composite
def cases(draw: st.DrawFn, images: int | None = None) -> Case:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    channels, height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    spread = draw(st.floats(0.3, 2.0))
    target, contrast = torch.randn(2, channels, generator=generator).unbind()
    count = images or draw(st.integers(1, 3))
    noised = analytic.noised_latents(
        spread * torch.randn(count, channels, height, width, generator=generator),
        seed=draw(st.integers(0, 2**64 - 1)),
        samples=draw(st.integers(1, 3)),
        steps=draw(st.integers(2, 8)),
        per_step=draw(st.booleans()),
    )
    family = draw(st.sampled_from(analytic.FAMILIES))
    if family == "flow":
        noised = analytic.as_flow(noised)
    return Case(noised, analytic.Gaussians(target, contrast, spread), family)


readings = st.sampled_from(READINGS)
weightings = st.sampled_from(WEIGHTINGS)
properties = settings(max_examples=40, deadline=None)


def close(first: Tensor, second: Tensor, scale: Tensor) -> bool:
    """Equal up to float32's error on numbers as large as `scale` has."""
    return torch.allclose(first, second, rtol=1e-4, atol=1e-4 * (1 + scale.abs().max().item()))


@properties
@given(cases(), readings, weightings)
def test_the_same_prompt_twice_gives_exactly_zero(case: Case, reading: str, weighting: str) -> None:
    same = replace(case.gaussians, contrast=case.gaussians.target)
    assert not sum_steps(case.collect(gaussians=same), reading=reading, weighting=weighting).values.any()


@properties
@given(cases(), st.sampled_from(["difference", "evidence"]), weightings)
def test_swapping_the_prompts_gives_exactly_the_negative(case: Case, reading: str, weighting: str) -> None:
    there = sum_steps(case.collect(), reading=reading, weighting=weighting).values
    back = sum_steps(case.collect(gaussians=case.gaussians.swapped()), reading=reading, weighting=weighting).values
    assert torch.equal(there, -back)
    assert there.any()


@properties
@given(cases(), st.sampled_from(["absolute", "information"]))
def test_swapping_the_prompts_leaves_the_magnitude_as_it_is(case: Case, reading: str) -> None:
    there = sum_steps(case.collect(), reading=reading).values
    back = sum_steps(case.collect(gaussians=case.gaussians.swapped()), reading=reading).values
    assert torch.equal(there, back)


@properties
@given(cases(), readings, weightings, st.data())
def test_sums_of_neighbouring_ranges_add_up(case: Case, reading: str, weighting: str, data: st.DataObject) -> None:
    start, middle, end = sorted(data.draw(st.lists(st.integers(0, case.noised.steps), min_size=3, max_size=3, unique=True)))
    predictions = case.collect()

    def values(first: int, last: int) -> Tensor:
        return sum_steps(predictions, first, last, reading, weighting).values

    assert close(values(start, middle) + values(middle, end), values(start, end), values(start, end))


@properties
@given(cases(images=2), readings)
def test_a_batch_of_two_images_equals_two_single_runs(case: Case, reading: str) -> None:
    together = sum_steps(case.collect(), reading=reading).values
    alone = [
        sum_steps(case.collect(replace(case.noised, x0=case.noised.x0[image : image + 1])), reading=reading).values
        for image in range(2)
    ]
    assert close(torch.cat(alone, dim=1), together, together)


@properties
@given(cases(), st.integers(1, 100), st.integers(1, 100))
def test_the_chunk_never_changes_a_result(case: Case, first: int, second: int) -> None:
    one, other = case.collect(chunk=first), case.collect(chunk=second)
    assert close(one.target, other.target, one.target)
    assert close(one.contrast, other.contrast, one.contrast)


@properties
@given(cases(), readings, weightings)
def test_every_family_gives_one_answer(case: Case, reading: str, weighting: str) -> None:
    exploding = replace(case.noised, sigmas=case.noised.sigmas / case.noised.alphas, alphas=torch.ones(case.noised.steps))
    answers: list[NoiseDifference] = []
    for family in analytic.FAMILIES:
        noised = analytic.as_flow(exploding) if family == "flow" else exploding
        answers.append(sum_steps(Case(noised, case.gaussians, family).collect(), reading=reading, weighting=weighting))
    assert all(close(answer.values, answers[0].values, answers[0].values) for answer in answers)


@properties
@given(cases())
def test_nothing_that_came_in_is_changed(case: Case) -> None:
    before = {name: tensor.clone() for name, tensor in vars(case.noised).items() if isinstance(tensor, Tensor)}
    predictions = case.collect()
    arrays = predictions.target.clone(), predictions.contrast.clone()
    sum_steps(predictions, reading="absolute", weighting="information")
    assert all(torch.equal(getattr(case.noised, name), tensor) for name, tensor in before.items())
    assert torch.equal(predictions.target, arrays[0])
    assert torch.equal(predictions.contrast, arrays[1])


def test_pure_noise_of_a_flow_model_makes_no_difference() -> None:
    """sigma = 1: alpha is 0, log SNR is -inf, the prediction is x itself, and every sum stays finite."""
    gaussians = analytic.Gaussians(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.5]), spread=0.7)
    noised = analytic.as_flow(analytic.noised_latents(torch.randn(1, 2, 3, 3), steps=5))
    noised = replace(
        noised,
        sigmas=torch.cat([torch.ones(1), noised.sigmas[1:]]),
        alphas=torch.cat([torch.zeros(1), noised.alphas[1:]]),
    )
    predictions = collect(noised, analytic.wrapped(gaussians, "flow"))
    assert torch.equal(predictions.target[0, 0], noised.at(0, 0))
    assert not sum_steps(predictions, 0, 1, weighting="uniform").values.any()
    for weighting in WEIGHTINGS:
        assert torch.isfinite(sum_steps(predictions, weighting=weighting).values).all()


@pytest.mark.parametrize("family", analytic.FAMILIES)
def test_evidence_is_the_exact_log_odds(family: str) -> None:
    """Half the share-weighted difference of squared errors, with pairs of +noise and -noise, is the exact log-odds of each
    cell up to the share that the schedule's ends leave out: s^2 * [1/(s^2 + sigma_min^2) - 1/(s^2 + sigma_max^2)]."""
    gaussians = analytic.Gaussians(torch.tensor([0.8, -0.2, 0.1]), torch.tensor([-0.5, 0.3, 0.2]), spread=0.9)
    x0 = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    noised = analytic.noised_latents(x0, steps=400, reach=(80.0, 0.01))
    noised = replace(noised, noise=torch.cat([noised.noise, -noised.noise]))
    if family == "flow":
        noised = analytic.as_flow(noised)
    predictions = collect(noised, analytic.wrapped(gaussians, family))
    evidence = sum_steps(predictions, reading="evidence", weighting="information").mean
    variance = gaussians.spread**2
    covered = variance * (1 / (variance + 0.01**2) - 1 / (variance + 80.0**2))
    assert torch.allclose(evidence, covered * gaussians.log_odds(x0).sum(1, keepdim=True), atol=0.03)
    assert evidence.sum().item() == pytest.approx(covered * gaussians.log_odds(x0).sum().item(), rel=0.002)


def test_one_antithetic_pair_gives_what_all_noise_would_where_the_data_is_gaussian() -> None:
    """The cross term is odd in the noise, and classes of one spread leave nothing else: each pair has the mean over all noise."""
    gaussians = analytic.Gaussians(torch.tensor([0.8, -0.2]), torch.tensor([-0.5, 0.3]), spread=0.9)
    latents = analytic.noised_latents(torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(5)), steps=12)

    def totals(samples: int, antithetic: bool) -> tuple[float, float]:
        noises = [draw_noise((2, 8, 8), seed, samples, 12, per_step=True, antithetic=antithetic) for seed in (1, 2)]
        noised = [replace(latents, noise=noise, antithetic=antithetic) for noise in noises]
        predictions = [collect(one, analytic.wrapped(gaussians, "eps")) for one in noised]
        sums = [sum_steps(one, reading="evidence", weighting="information") for one in predictions]
        assert antithetic == all(one.variance is None or one.variance.max() < 1e-9 for one in sums)
        return sums[0].total.item(), sums[1].total.item()

    converged, _ = totals(64, antithetic=True)
    assert totals(2, antithetic=True) == pytest.approx((converged, converged), rel=1e-4)
    assert totals(2, antithetic=False) != pytest.approx((converged, converged), rel=0.02)


@properties
@given(cases(images=2), readings)
def test_standard_errors_do_not_depend_on_the_batch(case: Case, reading: str) -> None:
    together = sum_steps(case.collect(), reading=reading)
    alone = sum_steps(case.collect(replace(case.noised, x0=case.noised.x0[1:])), reading=reading)
    assert (together.variance is None) == (case.noised.samples == 1)
    if together.variance is not None:
        assert close(alone.variance[0], together.variance[1], together.variance)
        assert close(alone.total_error[0], together.total_error[1], together.total_error)


@properties
@given(cases(), readings)
def test_swapping_the_prompts_leaves_the_standard_errors_as_they_are(case: Case, reading: str) -> None:
    there = sum_steps(case.collect(), reading=reading)
    back = sum_steps(case.collect(gaussians=case.gaussians.swapped()), reading=reading)
    if there.variance is not None:
        assert torch.equal(there.variance, back.variance)
    if there.variance is not None and reading != "combined":  # which does not add up to a total
        assert torch.equal(there.total_error, back.total_error)
