"""What is more than noise is shown, and noise is called so: by hand, and over many seeds of nothing but noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

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
from sdexplain.nodes.maths.method.reading import chance_degrees, read_map, standard_error
from sdexplain.nodes.maths.method.reliability import CONFIDENCE, exceedance
from sdexplain.nodes.maths.method.scalar import Scalar
from sdexplain.nodes.maths.pictures.overlay import Appearance, overlay
from torch import Tensor


def with_error(values: Tensor, error: Tensor, degrees: float = 1e6) -> NoiseDifference:
    """Evidence of one image, values [h,w] with standard errors [h,w], known as well as from that many degrees of freedom."""
    return evidence(
        values[None, None],
        variance=error.square()[None, None],
        degrees=torch.tensor([degrees]),
        total_error=torch.ones(1),
    )


VALUES = torch.tensor([[5.0, -4.0, 2.0, 0.5]])
ERRORS = torch.tensor([[1.0, 1.0, 1.0, 0.1]])


# --------------------------------------------------------------------------------------------------------------- by hand


def test_all_shows_every_value_and_says_how_many_are_reliable() -> None:
    heatmap = make_heatmap(read_map(with_error(VALUES, ERRORS)))
    assert torch.equal(heatmap.values[0], VALUES)
    assert heatmap.reliability == ("Beyond 3 standard errors: 3 of 4 cells (less than 1 by chance)",)


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


@pytest.mark.parametrize(
    ("channels", "scalar", "probability"),
    [
        ([1.0], "channel norm", lambda k, f: 2 * stats.t.sf(k, f)),
        ([1.0, 1.0, 1.0, 1.0], "channel mean", lambda k, f: 2 * stats.t.sf(k, 4 * f)),
        ([1.0, 1.0, 1.0, 1.0], "channel norm", lambda k, f: stats.f.sf(k**2, 4, 4 * f)),
        ([1.0, 0.0, 0.0, 0.0], "channel norm", lambda k, f: 2 * stats.t.sf(k, f)),
    ],
)
@pytest.mark.parametrize("degrees", [1.0, 30.0])
def test_chance_is_students_or_fishers(
    channels: list[float], scalar: Scalar, probability: Callable[[float, float], float], degrees: float
) -> None:
    variance = torch.tensor(channels).view(1, -1, 1, 1).expand(1, -1, 3, 3)
    difference = a_difference(torch.zeros(2, *variance.shape), variance=variance, degrees=torch.tensor([degrees]))
    for threshold in (1.0, 3.0):
        assert exceedance(*chance_degrees(difference, scalar), threshold).item() == pytest.approx(probability(threshold, degrees))


def test_few_samples_leave_more_to_chance() -> None:
    values, error = torch.zeros(32, 32), torch.ones(32, 32)
    values[0, :4] = 9.0
    by_chance = [make_heatmap(read_map(with_error(values, error, f))).reliability[0] for f in (1.0, 3.0, 1e6)]
    # 1024 * 2 * P(t > 3) for Student's t by table: 0.1024, 0.0288, 0.00135
    assert [words[words.index("(") :] for words in by_chance] == [
        "(about 210 by chance)",
        "(about 59 by chance)",
        "(about 3 by chance)",
    ]


# ------------------------------------------------------------------------------------------------------ nothing reliable


@pytest.mark.parametrize("reliability", ["reliable only", "standard errors"])
def test_noise_is_not_stretched(reliability: str) -> None:
    """One cell of 1024 beyond 3 standard errors is what noise gives: it is not shown."""
    values = torch.zeros(32, 32)
    values[3, 4] = 3.5
    heatmap = make_heatmap(read_map(with_error(values, torch.ones(32, 32))), reliability=reliability)
    assert heatmap.note(0) == "No reliable evidence: beyond 3 standard errors lie 1 of 1024 cells (about 3 by chance)"
    assert heatmap.reliability == ("",), "not said twice"
    assert heatmap.limits.tolist() == [0]
    picture = torch.rand(1, 64, 64, 3)
    assert torch.equal(overlay(picture, heatmap, Appearance(background="photo")), picture)
    assert not torch.stack(masks(heatmap, (64, 64))).any()


def test_all_shows_noise_and_calls_it_so() -> None:
    heatmap = make_heatmap(read_map(with_error(torch.full((32, 32), 0.5).cumsum(0) / 20, torch.ones(32, 32))))
    assert heatmap.levels.any() and not heatmap.note(0)
    assert heatmap.reliability == ("No reliable evidence: beyond 3 standard errors lie 0 of 1024 cells (about 3 by chance)",)


def test_an_image_with_nothing_reliable_stays_clear_beside_one_that_has_something() -> None:
    values = torch.rand(1, 2, 8, 8) + 0.1
    values[0, 1] *= 20
    batch = evidence(values, variance=torch.full((2, 1, 8, 8), 1.0), degrees=torch.full((2,), 50.0), total_error=torch.ones(2))
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


@pytest.mark.parametrize("reading", ["absolute", "information"])
def test_a_magnitude_has_no_chance_to_be_compared_with(reading: Reading) -> None:
    difference = replace(with_error(VALUES.abs(), ERRORS), reading=reading)
    heatmap = make_heatmap(read_map(difference), reliability="reliable only")
    assert heatmap.reliability == ("Beyond 3 standard errors: 3 of 4 cells",)
    faint = make_heatmap(read_map(replace(difference, variance=difference.variance * 1e6)), reliability="reliable only")
    assert faint.note(0).startswith("No reliable ")


# ------------------------------------------------------------------------------------------------------- over many seeds

SIDE, STEPS, SEEDS = 16, 6, 60


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


@pytest.mark.parametrize("per_step", [True, False], ids=["fresh", "same"])
@pytest.mark.parametrize(("samples", "antithetic"), [(2, False), (8, True)])
@pytest.mark.parametrize("reading", ["evidence", "difference"])
def test_noise_alone_is_called_so_as_often_as_promised(reading: Reading, samples: int, antithetic: bool, per_step: bool) -> None:
    maps = [drawn(seed, reading, samples=samples, antithetic=antithetic, per_step=per_step) for seed in range(SEEDS)]
    taken_for_more = sum(heatmap.note(0) == "" for heatmap in maps)
    # a promise that is kept is broken more often than this in one of 1000 runs of so many seeds
    assert taken_for_more <= stats.binom.ppf(0.999, SEEDS, 1 - CONFIDENCE)
    assert all(heatmap.values.any() == (heatmap.note(0) == "") for heatmap in maps)


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
            "needs a standard error. One noise sample has none: take 4 samples or more in Noise Latent Across Schedule",
        ),
        (
            lambda: make_heatmap(read_map(without_error(2)), reliability="standard errors"),
            "One antithetic pair has none: take 4 samples or more .* or choose the reliability 'all'",
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


def test_a_missing_standard_error_is_told_before_anything_is_decoded() -> None:
    def never(latents: Tensor) -> Tensor:
        raise AssertionError("decoded")

    with pytest.raises(ValueError, match="decoded luminance"):
        make_heatmap(read_map(without_error(4), "decoded luminance", decode=never), reliability="reliable only")
