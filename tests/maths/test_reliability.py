"""What is more than noise is shown, and noise is called so: by hand, and over many seeds of nothing but noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import analytic
import pytest
import torch
from differences import a_difference, evidence, red_channel
from scipy import stats
from sdexplain.nodes.maths.method.difference import NoiseDifference, Reading, sum_steps
from sdexplain.nodes.maths.method.heatmap import Heatmap, make_heatmap
from sdexplain.nodes.maths.method.noising import draw_noise
from sdexplain.nodes.maths.method.placing import masks
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from sdexplain.nodes.maths.method.reading import read_map, standard_error
from sdexplain.nodes.maths.method.reliability import CONFIDENCE
from sdexplain.nodes.maths.pictures.overlay import Appearance, overlay
from torch import Tensor


def with_error(values: Tensor, error: Tensor, agreeing: int = 20, estimates: int = 1000) -> NoiseDifference:
    """Evidence of one image, values [h,w] with standard errors [h,w], whose estimates agree in so many of 20 comparisons."""
    return evidence(
        values[None, None],
        variance=error.square()[None, None],
        agreeing=torch.tensor([agreeing]),
        compared=torch.tensor([20]),
        estimates=estimates,
        total_error=torch.ones(1),
    )


VALUES = torch.tensor([[5.0, -4.0, 2.0, 0.5]])
ERRORS = torch.tensor([[1.0, 1.0, 1.0, 0.1]])


# --------------------------------------------------------------------------------------------------------------- by hand


def test_all_shows_every_value_and_says_how_many_are_reliable() -> None:
    heatmap = make_heatmap(read_map(with_error(VALUES, ERRORS)))
    assert torch.equal(heatmap.values[0], VALUES)
    assert heatmap.reliability == ("Beyond 3 standard errors: 3 of 4 cells (by chance at most 1)",)


def test_reliable_only_shows_what_exceeds_the_threshold_as_it_is() -> None:
    three, four = (make_heatmap(read_map(with_error(VALUES, ERRORS)), reliability="reliable only", threshold=k) for k in (3, 4))
    assert three.values[0].tolist() == [[5.0, -4.0, 0.0, 0.5]]
    assert four.values[0].tolist() == [[5.0, 0.0, 0.0, 0.5]]
    assert three.unit == "nats per latent cell"


def test_standard_errors_divides_by_them() -> None:
    heatmap = make_heatmap(read_map(with_error(VALUES, ERRORS)), reliability="standard errors", percentile=100)
    assert heatmap.values[0].tolist()[0] == pytest.approx([5.0, -4.0, 2.0, 5.0])
    assert heatmap.unit == "standard errors"
    assert heatmap.limits.tolist() == pytest.approx([5.0])


def test_the_error_of_a_norm_is_what_pure_noise_measures_and_that_of_a_mean_is_a_share_of_it() -> None:
    variance = torch.tensor([1.0, 4.0, 4.0, 16.0]).view(1, 4, 1, 1)
    difference = a_difference(torch.zeros(2, 1, 4, 1, 1), variance=variance)
    assert standard_error(difference, "channel norm").item() == pytest.approx(5.0)
    assert standard_error(difference, "channel mean").item() == pytest.approx(5 / 4)
    assert standard_error(difference, "decoded luminance") is None
    noise = variance.sqrt() * torch.randn(4, 100, 100, generator=torch.Generator().manual_seed(0))
    assert noise.square().sum(1).mean().sqrt().item() == pytest.approx(5.0, rel=0.05)
    assert noise.mean(1).std().item() == pytest.approx(5 / 4, rel=0.05)


def test_few_samples_leave_more_to_chance() -> None:
    by_chance = [
        make_heatmap(read_map(with_error(torch.ones(32, 32), torch.ones(32, 32), estimates=n))).reliability[0]
        for n in (2, 4, 1000)
    ]
    # 1024 * 2 * P(t > 3) for Student's t of 1, 3 and 999 degrees by table: 0.1024, 0.0288, 0.00138
    assert [words[words.index("(") :] for words in by_chance] == [
        "(by chance at most 210)",
        "(by chance at most 60)",
        "(by chance at most 3)",
    ]


@pytest.mark.parametrize(("compared", "needed"), [(7, 7), (10, 10), (20, 16), (40, 28)])
def test_more_agreement_is_asked_than_coins_give_in_one_of_a_hundred_maps(compared: int, needed: int) -> None:
    """By the table of the binomial distribution: P(X >= 16 of 20) = 0.0059, P(X >= 15) = 0.0207."""
    difference = replace(with_error(VALUES, ERRORS, agreeing=needed), compared=torch.tensor([compared]))
    few = replace(difference, agreeing=torch.tensor([needed - 1]))
    assert make_heatmap(read_map(difference), reliability="reliable only").values.any()
    assert not make_heatmap(read_map(few), reliability="reliable only").values.any()


def test_too_few_comparisons_are_said_to_be_so() -> None:
    difference = replace(with_error(VALUES, ERRORS, agreeing=6), compared=torch.tensor([6]))
    note = make_heatmap(read_map(difference), reliability="reliable only").note(0)
    assert note.startswith("No reliable evidence: 6 comparisons of noise samples are too few to tell, 7 are needed.")


# ------------------------------------------------------------------------------------------------------ nothing reliable


@pytest.mark.parametrize("reliability", ["reliable only", "standard errors"])
def test_noise_is_not_stretched(reliability: str) -> None:
    """Whatever its cells exceed: where the samples don't agree, it is not shown."""
    values = torch.zeros(32, 32)
    values[3, 4] = 30
    heatmap = make_heatmap(read_map(with_error(values, torch.ones(32, 32), agreeing=11)), reliability=reliability)
    assert heatmap.note(0) == "No reliable evidence: the noise samples agree in 11 of 20 comparisons, by chance in half of them"
    assert heatmap.reliability == ("",), "not said twice"
    assert heatmap.limits.tolist() == [0]
    picture = torch.rand(1, 64, 64, 3)
    assert torch.equal(overlay(picture, heatmap, Appearance(background="photo")), picture)
    assert not torch.stack(masks(heatmap, (64, 64))).any()


def test_all_shows_noise_and_calls_it_so() -> None:
    noise = with_error(torch.full((32, 32), 0.5).cumsum(0) / 20, torch.ones(32, 32), agreeing=9)
    heatmap = make_heatmap(read_map(noise))
    assert heatmap.levels.any() and not heatmap.note(0)
    assert heatmap.reliability[0].startswith("No reliable evidence: the noise samples agree in 9 of 20 comparisons")


def test_an_image_with_nothing_reliable_stays_clear_beside_one_that_has_something() -> None:
    values = torch.rand(1, 2, 8, 8) + 4
    counts = {"agreeing": torch.tensor([8, 20]), "compared": torch.tensor([20, 20])}
    batch = evidence(values, variance=torch.full((2, 1, 8, 8), 1.0), **counts, estimates=50, total_error=torch.ones(2))
    heatmap = make_heatmap(read_map(batch), reliability="reliable only")
    assert not heatmap.levels[0].any() and heatmap.levels[1].any()
    assert heatmap.note(0).startswith("No reliable evidence") and not heatmap.note(1)
    assert heatmap.reliability[1].startswith("Beyond 3 standard errors")


def test_the_same_prompt_twice_is_no_difference_whatever_is_shown() -> None:
    nothing = with_error(torch.zeros(4, 4), torch.zeros(4, 4))
    for reliability in ("all", "reliable only", "standard errors"):
        heatmap = make_heatmap(read_map(nothing), reliability=reliability)
        assert heatmap.note(0) == "No difference: both prompts give the same noise predictions."
        assert heatmap.reliability == ("",)


def test_what_does_not_vary_at_all_is_reliable() -> None:
    heatmap = make_heatmap(read_map(with_error(VALUES, torch.zeros(1, 4))), reliability="standard errors")
    assert torch.isfinite(heatmap.values).all()
    assert heatmap.values.abs().min() > 1000


# ------------------------------------------------------------------------------------------------------- over many seeds

SIDE, STEPS, SEEDS = 16, 10, 60


@cache
def noise_alone(seed: int, samples: int, per_step: bool, antithetic: bool, signal: float = 0.0) -> NoisePredictions:
    """Both prompts' predictions are off by noise of their own, of other size in each step; `signal` speaks for the target in
    a corner of 16 cells."""
    noised = analytic.noised_latents(torch.zeros(1, 3, SIDE, SIDE), steps=STEPS)
    noise = draw_noise((3, SIDE, SIDE), seed, samples, STEPS, per_step, antithetic)
    noised = replace(noised, noise=noise, antithetic=antithetic)
    generator = torch.Generator().manual_seed(1000 + seed)
    sizes = torch.linspace(0.2, 1.0, STEPS).view(1, STEPS, 1, 1, 1, 1)
    errors = sizes * torch.randn(2, samples, noise.shape[1], 1, 3, SIDE, SIDE, generator=generator)
    target, contrast = noise.unsqueeze(2) + errors
    contrast = contrast.clone()
    contrast[..., :4, :4] *= 1 + signal
    return NoisePredictions(noised, target, contrast, "zebra", "horse")


def drawn(seed: int, reading: Reading, **settings: Any) -> Heatmap:
    difference = sum_steps(noise_alone(seed, **settings), 0, None, reading, "information")
    return make_heatmap(read_map(difference), reliability="reliable only")


def smooth(fields: Tensor, width: float = 3.0) -> Tensor:
    """Fields [...,h,w] blurred on a ring, of the same variance: their cells have errors in common."""
    places = torch.fft.fftfreq(fields.shape[-1])
    damping = torch.exp(-((places[:, None] ** 2 + places**2) * (2 * math.pi * width) ** 2) / 2)
    blurred = torch.fft.ifft2(torch.fft.fft2(fields) * damping).real
    return blurred / damping.square().mean().sqrt()


@cache
def swapped_at_random(seed: int, samples: int, smoothly: bool) -> NoisePredictions:
    """Two prompts that differ by a smooth field of each step's own, swapped by a coin for each sample and step.

    In the whole picture, or by coins that neighbouring cells have in common: no place speaks for either prompt.
    """
    noised = analytic.noised_latents(torch.zeros(1, 3, SIDE, SIDE), seed=seed, samples=samples, steps=STEPS)
    generator = torch.Generator().manual_seed(seed)
    fields, offset = smooth(torch.randn(2, 1, STEPS, 1, 3, SIDE, SIDE, generator=generator))
    coins = torch.randn(samples, STEPS, 1, 1, 1, 1, generator=generator)
    if smoothly:
        coins = smooth(torch.randn(samples, STEPS, 1, 1, SIDE, SIDE, generator=generator))
    sizes = torch.logspace(0, 2, STEPS).view(1, STEPS, 1, 1, 1, 1)  # the last step carries nearly all
    both, half = noised.noise.unsqueeze(2) + 0.1 * sizes * offset, 0.1 * sizes * coins.sign() * fields
    return NoisePredictions(noised, both + half, both - half, "zebra", "horse")


def taken_for_more(maps: list[Heatmap]) -> int:
    return sum(heatmap.note(0) == "" for heatmap in maps)


# a promise that is kept is broken more often than this in one of 1000 runs of so many seeds
MOST_BROKEN = stats.binom.ppf(0.999, SEEDS, 1 - CONFIDENCE)
READINGS = pytest.mark.parametrize("reading", get_args(Reading))


@pytest.mark.parametrize("per_step", [True, False], ids=["fresh", "same"])
@pytest.mark.parametrize(("samples", "antithetic"), [(2, False), (8, True)])
@READINGS
def test_noise_alone_is_called_so_as_often_as_promised(reading: Reading, samples: int, antithetic: bool, per_step: bool) -> None:
    maps = [drawn(seed, reading, samples=samples, antithetic=antithetic, per_step=per_step) for seed in range(SEEDS)]
    assert taken_for_more(maps) <= MOST_BROKEN
    assert all(heatmap.values.any() <= (heatmap.note(0) == "") for heatmap in maps)


@pytest.mark.parametrize("smoothly", [False, True], ids=["whole pictures", "smooth parts"])
@READINGS
def test_prompts_that_are_swapped_at_random_are_called_noise_as_often_as_promised(reading: Reading, smoothly: bool) -> None:
    asked = [swapped_at_random(seed, 2, smoothly) for seed in range(SEEDS)]
    sums = [sum_steps(predictions, 0, None, reading, "information") for predictions in asked]
    assert taken_for_more([make_heatmap(read_map(summed), reliability="reliable only") for summed in sums]) <= MOST_BROKEN


@pytest.mark.parametrize("reading", ["absolute", "information", "combined"])
def test_a_reading_without_a_sign_finds_a_difference_that_its_samples_share(reading: Reading) -> None:
    """The same corner differs in every step, by a field whose sign changes from step to step."""
    for seed in range(10):
        alone = noise_alone(seed, samples=4, per_step=True, antithetic=False)
        signs = torch.randn(1, STEPS, 1, 3, 1, 1, generator=torch.Generator().manual_seed(seed)).sign()
        contrast = alone.contrast.clone()
        contrast[..., :4, :4] += 3 * signs
        difference = sum_steps(replace(alone, contrast=contrast), reading=reading)
        shown = make_heatmap(read_map(difference), reliability="reliable only").values[0] > 0
        assert shown[:4, :4].sum() >= 12
        assert shown.sum() - shown[:4, :4].sum() <= 6


@pytest.mark.parametrize(("samples", "antithetic"), [(4, False), (8, True)])
def test_a_real_signal_is_found_where_it_is(samples: int, antithetic: bool) -> None:
    for seed in range(10):
        heatmap = drawn(seed, "evidence", samples=samples, antithetic=antithetic, per_step=True, signal=4.0)
        assert heatmap.note(0) == ""
        shown = heatmap.values[0] > 0
        assert shown[:4, :4].sum() >= 12
        assert shown.sum() - shown[:4, :4].sum() <= 12, "of 240, 1 or 2 are expected"


# ------------------------------------------------------------------------------------------------------------- bad input


def without_error(samples: int) -> NoiseDifference:
    return a_difference(torch.randn(samples, 1, 4, 3, 3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: make_heatmap(read_map(without_error(2)), reliability="some"), "'some'; expected one of all, reliable only"),
        (
            lambda: make_heatmap(read_map(without_error(1)), reliability="reliable only"),
            "needs a standard error. One noise sample gives a cell none: take 4 samples or more at quality exact, or choose",
        ),
        (
            lambda: make_heatmap(read_map(without_error(2)), reliability="standard errors"),
            "Two samples of opposite noise give a cell none: take 4 samples or more .* or choose the reliability 'all'",
        ),
        (
            lambda: make_heatmap(
                read_map(without_error(4), "decoded luminance", decode=red_channel), reliability="reliable only"
            ),
            "'decoded luminance' does not have. Choose the scalar 'channel norm' or 'channel mean'",
        ),
        (
            lambda: make_heatmap(read_map(with_error(VALUES, ERRORS)), threshold=0),
            "threshold is 0; expected a number of standard",
        ),
        (lambda: make_heatmap(read_map(with_error(VALUES, ERRORS)), threshold=torch.nan), "threshold is nan; expected"),
    ],
)
def test_what_cannot_be_told_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
