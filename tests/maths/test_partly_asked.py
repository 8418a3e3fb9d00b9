"""Schedules of which the model was asked only some steps: what stands for what, and that every answer says so."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import analytic
import pytest
import torch
from safetensors import torch as files
from sdexplain.nodes.maths.answers.settled import stability
from sdexplain.nodes.maths.answers.verdict import assumed_parts, evidence_of_steps, judge, preferences, report
from sdexplain.nodes.maths.files import archive, explorer
from sdexplain.nodes.maths.method.difference import split_asked, step_weights, sum_ranges, sum_steps
from sdexplain.nodes.maths.method.noising import assumed_shares, step_shares
from sdexplain.nodes.maths.method.order import golden_order
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect, part_of
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.pictures.animation import animate, step_magnitudes
from sdexplain.nodes.maths.pictures.sheet import step_sheet
from sdexplain.nodes.maths.pictures.verdict_plot import plot_verdict
from sdexplain.nodes.maths.wording import WORTH_TELLING, assumed_words, with_assumed
from torch import Tensor

STEPS, ASKED = 20, (2, 5, 11, 17)
READINGS = ("difference", "absolute", "information", "evidence")


@pytest.fixture(scope="module")
def whole() -> NoisePredictions:
    """Of a denoiser that is smooth in the noise level, so that a few steps can stand for all."""
    x0 = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    noised = analytic.noised_latents(x0, samples=2, steps=STEPS)
    denoise = _towards(x0)
    return collect(noised, denoise, target_label="zebra", contrast_label="horse")


def _towards(x0: Tensor):
    """D of Gaussians of spread 1 around x0 and its negative."""

    def denoise(x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        square = sigma.square().view(-1, 1, 1, 1)
        mean = x0 if prompt == "target" else -x0
        return (x + square * mean) / (1 + square)

    return denoise


@pytest.fixture(scope="module")
def part(whole: NoisePredictions) -> NoisePredictions:
    return part_of(whole, ASKED, 2)


@pytest.mark.parametrize("weighting", ["uniform", "information"])
def test_the_asked_steps_stand_for_all(whole: NoisePredictions, part: NoisePredictions, weighting: str) -> None:
    weights = step_weights(part.noised, weighting)
    assert weights.nonzero().flatten().tolist() == list(ASKED)
    ends = [part.noised.log_snr[place] - part.noised.log_snr[to] for place, to in ((2, 0), (-1, 17))]
    less = sum(float(length) - falling(float(length)) for length in ends) if weighting == "information" else 0
    assert weights.sum().item() == pytest.approx(step_weights(whole.noised, weighting).sum().item() - less, rel=1e-4)


def falling(length: float, pieces: int = 10_000) -> float:
    """What counts of so much of the log-SNR axis beyond the asked steps: each unit leaves e^-0.2 of the one before."""
    return sum(math.exp(-0.2 * length * (piece + 0.5) / pieces) for piece in range(pieces)) * length / pieces


def test_every_share_reaches_halfway_to_the_next_asked_step_and_falls_beyond_them() -> None:
    places = torch.arange(11.0)
    shares, ends = step_shares(places, [1, 5, 8]), assumed_shares(places, [1, 5, 8])
    torch.testing.assert_close(shares, torch.tensor([0, 2 + falling(1), 0, 0, 0, 3.5, 0, 0, 1.5 + falling(2), 0, 0]))
    torch.testing.assert_close(ends, torch.tensor([0, falling(1), 0, 0, 0, 0, 0, 0, falling(2), 0, 0]))
    assert not assumed_shares(places).any() and not assumed_shares(places, [0, 4, 10]).any()


def test_pure_noise_has_no_share_even_if_it_was_asked() -> None:
    places = torch.tensor([-torch.inf, 0, 1, 2])
    torch.testing.assert_close(step_shares(places, [0, 2]), torch.tensor([0, 0, 2 * falling(1), 0]))
    assert not assumed_shares(places, [0]).any() and not assumed_shares(torch.zeros(3), [1]).any(), "no axis, no ends"


def test_a_density_that_falls_at_the_clean_end_is_summed_nearer_to_the_truth_than_one_that_goes_on() -> None:
    """As the evidence of pictures does: level to a log SNR of 2, then halved with every 3 more."""
    places = torch.linspace(-5, 7, 241)
    density = torch.where(places < 2, 1.0, 0.5 ** ((places - 2) / 3))
    exact = float((density * step_shares(places)).sum())
    for last in (130, 150, 180):
        asked = list(range(10, last + 1, 10))
        total = float((density * step_shares(places, asked)).sum())
        level = total + float((density * (places[-1] - places[asked[-1]] - assumed_shares(places, asked)))[asked[-1]])
        assert abs(total - exact) < abs(level - exact) / 2


def test_a_few_steps_give_nearly_what_all_give(whole: NoisePredictions) -> None:
    for reading in ("information", "evidence"):
        exact = sum_steps(whole, reading=reading, weighting="information").total
        near = sum_steps(part_of(whole, golden_order(STEPS)[:8], 2), reading=reading, weighting="information").total
        assert torch.allclose(near, exact, rtol=0.15)


@pytest.mark.parametrize("reading", READINGS)
def test_steps_that_were_not_asked_never_count(part: NoisePredictions, reading: str) -> None:
    other = [array.clone() for array in (part.target, part.contrast)]
    for array in other:
        array[:, [step for step in range(STEPS) if step not in ASKED]] = 1e4
    changed = replace(part, target=other[0], contrast=other[1])
    assert torch.equal(sum_steps(changed, reading=reading).values, sum_steps(part, reading=reading).values)
    assert torch.equal(judge(changed).log_odds, judge(part).log_odds)
    pages = [files.load(explorer.parts(each, reading, 0)) for each in (changed, part)]
    assert all(torch.equal(tensor, pages[1][name]) for name, tensor in pages[0].items())


@pytest.mark.parametrize("weighting", ["uniform", "information"])
def test_ranges_add_up(part: NoisePredictions, weighting: str) -> None:
    parts = sum(sum_steps(part, *span, "evidence", weighting).values for span in [(0, 4), (4, 12), (12, STEPS)])
    assert torch.allclose(parts, sum_steps(part, 0, None, "evidence", weighting).values, rtol=1e-5, atol=1e-6)


def test_all_steps_asked_is_the_same_as_before(whole: NoisePredictions) -> None:
    again = part_of(whole, range(STEPS), 2)
    assert again.noised.asked is None
    assert torch.equal(
        sum_steps(again, 3, 9, "evidence", "information").values, sum_steps(whole, 3, 9, "evidence", "information").values
    )


def test_a_range_without_an_asked_step_is_refused(part: NoisePredictions) -> None:
    for answer in (sum_steps, judge):
        with pytest.raises(ValueError, match=r"4 of 20 steps \(2, 5, 11, 17\), but at none of the range 6-11.*exact"):
            answer(part, 6, 11)


@pytest.mark.parametrize("asked", [(), (3, 3), (5, 2), (0, STEPS), (-1, 4)])
def test_other_choices_than_rising_steps_are_refused(whole: NoisePredictions, asked: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="each once"):
        replace(whole.noised, asked=asked)


def test_half_a_pair_is_not_a_pair(whole: NoisePredictions) -> None:
    noise = torch.stack([whole.noised.noise[0], -whole.noised.noise[0]])
    paired = replace(whole.noised, noise=noise, antithetic=True)
    assert paired.only(ASKED, 2).antithetic and not paired.only(ASKED, 1).antithetic


def test_every_answer_says_how_many_steps_were_asked(part: NoisePredictions) -> None:
    assert "first (the model was asked at 4)" in read_map(sum_steps(part, 0, None, "evidence")).source
    assert "first (the model was asked at 2)" in read_map(sum_steps(part, 0, 6, "evidence")).source
    assert "20 steps (the model was asked at 4)" in report(judge(part))
    assert "20 steps (the model was asked at 4)" in archive.describe(part)
    weights = files.load(explorer.overview(part, torch.rand(1, 48, 48, 3)))["weights"]
    assert weights.count_nonzero(dim=1).tolist() == [4, 4], "the Explorer's page counts these"


def test_nothing_says_so_where_all_were_asked(whole: NoisePredictions) -> None:
    words = [read_map(sum_steps(whole)).source, report(judge(whole)), archive.describe(whole)]
    assert not any("asked" in text for text in words)


def test_the_verdict_is_near_that_of_all_steps(whole: NoisePredictions) -> None:
    part = part_of(whole, golden_order(STEPS)[:8], 2)
    assert torch.allclose(judge(part).log_odds, judge(whole).log_odds, rtol=0.15)
    assert torch.equal(evidence_of_steps(part).sum(1) != 0, torch.ones(2, 1, dtype=torch.bool))
    agreeing, counted = judge(part).agreeing(0)
    assert counted == 8 and agreeing == 8


def test_sheets_cut_the_schedule_where_it_was_asked(whole: NoisePredictions, part: NoisePredictions) -> None:
    assert split_asked(part.noised, 2) == [(0, 11), (11, STEPS)]
    assert split_asked(whole.noised, 3) == [(0, 7), (7, 13), (13, STEPS)]
    picture = torch.rand(1, 48, 48, 3)
    assert torch.isfinite(step_sheet(picture, part, 4)).all()
    assert torch.equal(step_sheet(picture, part, 5), step_sheet(picture, part, 4))  # at most a range for each asked step


def test_films_move_from_asked_step_to_asked_step(part: NoisePredictions) -> None:
    assert len(animate(torch.rand(1, 48, 48, 3), part, 3)) == 2
    assert step_magnitudes(part, "evidence", "uniform").nonzero()[:, 0].tolist() == list(ASKED)
    with pytest.raises(ValueError, match=r"5 steps is too long.*4 asked steps out of 20"):
        animate(torch.rand(1, 48, 48, 3), part, 5)


def test_a_verdict_is_plotted(part: NoisePredictions) -> None:
    assert torch.isfinite(plot_verdict(judge(part))).all()


def test_saved_and_loaded_it_is_the_same(part: NoisePredictions, tmp_path: Path) -> None:
    file = tmp_path / "part.safetensors"
    archive.write(file, archive.pack(part))
    loaded = archive.read(file)
    assert loaded.noised.asked == ASKED
    assert torch.equal(sum_steps(loaded, reading="evidence").values, sum_steps(part, reading="evidence").values)


def test_only_files_of_some_steps_need_a_new_version(whole: NoisePredictions, part: NoisePredictions) -> None:
    assert b'"version":"1"' in archive.pack(whole) and b'"version":"2"' in archive.pack(part)


def test_a_settled_verdict_has_an_interval_although_its_samples_give_none(whole: NoisePredictions) -> None:
    one = part_of(whole, golden_order(STEPS)[:8], 1)
    verdict = judge(one)
    assert verdict.error is not None and verdict.half_width is not None and "±" in report(verdict)
    assert (verdict.half_width > verdict.error).all()
    assert torch.isfinite(plot_verdict(verdict)).all()
    assert judge(part_of(whole, (4, 9), 1)).error is None


# ----------------------------------------------------------------------------------------------------- what is assumed is told


def evenly_for_the_target(asked: tuple[int, ...], at_the_ends: tuple[float, float] = (3.0, 3.0)) -> NoisePredictions:
    """3 nats for each unit of log SNR, and other densities before the first and after the last asked step; one cell."""
    noised = analytic.noised_latents(torch.zeros(1, 1, 1, 1), samples=1, steps=STEPS)
    density = torch.full((STEPS,), 3.0)
    density[: asked[0] + 1], density[asked[-1] :] = at_the_ends
    noise = noised.noise[:, :, None]  # [1,S,1,1,1,1]: half the squared error is what a wrong prediction costs
    wrong = (2 * density.abs()).sqrt()[None, :, None, None, None, None]
    speaks_for = (density > 0)[None, :, None, None, None, None]
    return part_of(NoisePredictions(noised, noise + wrong * ~speaks_for, noise + wrong * speaks_for, "zebra", "horse"), asked, 1)


def lengths_of_the_ends(predictions: NoisePredictions) -> tuple[float, float]:
    places, asked = predictions.noised.log_snr.tolist(), predictions.noised.asked_steps
    return places[asked[0]] - places[0], places[-1] - places[asked[-1]]


def told(predictions: NoisePredictions, start: int = 0, end: int | None = None, weighting: str = "information") -> str:
    (total,) = read_map(sum_steps(predictions, start, end, "evidence", weighting)).totals
    return total


def test_the_total_of_a_map_tells_how_much_of_it_is_assumed() -> None:
    """At constant density: the length of both ends, of which each unit counts e^-0.2 of the one before."""
    part = evenly_for_the_target((4, 8, 12))
    nats = 3 * sum(map(falling, lengths_of_the_ends(part)))
    summed = sum_steps(part, 0, None, "evidence", "information")
    assert summed.assumed.item() == pytest.approx(nats, rel=1e-4) and stability(part).assumed.item() == pytest.approx(
        nats, rel=1e-4
    )
    words = f"for “zebra”, {nats:.3g} of them assumed. No step was asked at the ends of the schedule. Quality exact asks there."
    assert told(part).startswith("Whole picture: ") and "±" in told(part) and told(part).endswith(words)
    other = replace(part, target=part.contrast, contrast=part.target, target_label="horse", contrast_label="zebra")
    assert told(other).endswith(words), "for the other side"
    assert told(evenly_for_the_target((4, 12))).partition(" standard error unknown. ")[2].count(". ") == 2


def test_map_contact_sheet_and_verdict_tell_the_same(whole: NoisePredictions) -> None:
    part = part_of(whole, (6, 8, 10, 12), 2)
    for start, end in ((0, None), (0, 9), (9, STEPS), (6, 13)):
        verdict = judge(part, start, end)
        summed = sum_steps(part, start, end, "evidence", "information")
        torch.testing.assert_close(summed.assumed, assumed_parts(verdict).sum(dim=0))
        said = assumed_words(summed.assumed.item(), summed.total.item())
        assert said and f"{said} of these nats are assumed" in report(verdict)
        assert f" nats for “zebra”, {said} of them assumed. " in told(part, start, end)
        assert f" nats, {said} of them assumed" in preferences(verdict)[0]


@pytest.mark.parametrize("reading", ["evidence", "information", "absolute"])
def test_ranges_have_what_is_assumed_of_their_own_steps(part: NoisePredictions, reading: str) -> None:
    spans = [(0, 4), (4, 12), (12, STEPS)]
    joined, whole = sum_ranges(part, spans, reading, "information"), sum_steps(part, 0, None, reading, "information")
    torch.testing.assert_close(joined.assumed.sum(dim=0, keepdim=True), whole.assumed)
    first, middle, last = joined.assumed.tolist()
    assert first > 0 and middle == 0 and last > 0
    assert sum_steps(part, 4, 12, reading, "information").assumed is None
    assert "assumed" not in told(part, 4, 12) + report(judge(part, 4, 12))


def test_the_less_is_asked_the_more_is_assumed() -> None:
    parts = [evenly_for_the_target(asked) for asked in ((0, 9, 19), (1, 9, 18), (4, 9, 14), (8, 9, 10))]
    sums = [sum_steps(each, 0, None, "evidence", "information") for each in parts]
    shares = [0.0 if each.assumed is None else (each.assumed / each.total).item() for each in sums]
    assert shares[0] == 0 and all(less < more for less, more in pairwise(shares))
    for each, share in zip(parts, shares, strict=True):
        assert ("of them assumed" in told(each)) == (share >= WORTH_TELLING)


def test_what_is_assumed_may_speak_against_the_rest() -> None:
    part = evenly_for_the_target((4, 8, 12), (6.0, -5.0))
    first, last = map(falling, lengths_of_the_ends(part))
    nats = 6 * first - 5 * last
    assert nats < 0 < sum_steps(part, 0, None, "evidence", "information").total.item()
    said = f"−{-nats:.3g}"
    assert f"{said} of them assumed" in told(part) and f"{said} of these nats are assumed" in report(judge(part))


@pytest.mark.parametrize("weighting", ["uniform", "information"])
def test_nothing_is_assumed_where_all_steps_were_asked_or_count_alike(
    whole: NoisePredictions, part: NoisePredictions, weighting: str
) -> None:
    for predictions in (whole, part_of(part, (2, 5), 2)) if weighting == "uniform" else (whole,):
        assert sum_steps(predictions, 0, None, "evidence", weighting).assumed is None
        assert "assumed" not in told(predictions, weighting=weighting)
    assert not stability(whole).assumed.any()


def test_little_is_not_told() -> None:
    assert assumed_words(WORTH_TELLING * 50, 50) == assumed_words(10, -50) == "10"
    assert assumed_words(WORTH_TELLING * 50 - 0.1, 50) == assumed_words(0, 50) == assumed_words(0, 0) == ""
    assert with_assumed("50 nats", 29.64, 50) == "50 nats, 29.6 of them assumed" and with_assumed("50 nats", 1, 50) == "50 nats"
