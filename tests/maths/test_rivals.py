"""Contests of several labels: right where the answer is known, fair to the best label,
and the same for a batch as for one image."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from analytic import noised_latents
from sdexplain.nodes.maths import wording
from sdexplain.nodes.maths.answers import rivals
from sdexplain.nodes.maths.answers.labels import MOST_LABELS, check_sides, choose, fill_template, split_labels
from sdexplain.nodes.maths.answers.rivals import Contest, look_times, squared_errors
from sdexplain.nodes.maths.method.choices import EVIDENCE_IN_NATS, Scaling
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, in_pairs
from sdexplain.nodes.maths.method.prediction import collect_prompt
from sdexplain.nodes.maths.pictures.overlay import Appearance
from sdexplain.nodes.maths.pictures.rivals_sheet import check_sheet, headline, reading_rule, report, rival_header, rivals_sheet
from sdexplain.nodes.maths.pictures.sheet import Grid, cell_size
from sdexplain.nodes.maths.wording import format_value
from torch import Tensor

SPREAD = 0.8
MEANS = torch.tensor([[0.5, -0.4], [0.3, -0.2], [0.0, 0.4], [-0.5, 0.1]])  # [K,C]
LABELS = ["zebra", "horse", "rat", "taxi"]


def gaussian_predictions(noised: NoisedLatents) -> list[Tensor]:
    """Class c: every latent element ~ N(mean_c, SPREAD^2), each mean its channel's own; D as in METHOD, exploding form."""

    def denoise(mean: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        sigma = sigma[:, None, None, None]
        return (SPREAD**2 * x + sigma**2 * mean[:, None, None]) / (SPREAD**2 + sigma**2)

    return [collect_prompt(noised, lambda x, sigma, mean=mean: denoise(mean, x, sigma)) for mean in MEANS]


def pictures_of(*classes: int, seed: int = 0) -> Tensor:
    """A latent drawn from each of these classes, [B,2,6,5]."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(classes), 2, 6, 5, generator=generator)
    return MEANS[list(classes)][:, :, None, None] + SPREAD * noise


def exact_log_odds(x0: Tensor, first: int, second: int) -> Tensor:
    """log p(x0|first) - log p(x0|second), [B]."""
    far, near = ((x0 - MEANS[label][:, None, None]) ** 2 for label in (second, first))
    return ((far - near) / (2 * SPREAD**2)).sum(dim=(1, 2, 3))


def antithetic(noised: NoisedLatents) -> NoisedLatents:
    return replace(noised, noise=in_pairs(noised.noise), antithetic=True)


def run(contest: Contest, predictions: list[Tensor]) -> Contest:
    while contest.needed() is not None:
        contest.look(predictions)
    return contest


def random_predictions(
    images: int, samples: int, handicaps: list[float], seed: int = 0, steps: int = 5
) -> tuple[NoisedLatents, list[Tensor]]:
    """Labels whose predictions miss the noise at random, by the more the larger their handicap; 16 cells."""
    noised = noised_latents(torch.zeros(images, 1, 4, 4), seed, samples, steps=steps)
    generator = torch.Generator().manual_seed(seed)
    shape = (samples, steps, images, 1, 4, 4)
    noise = noised.noise[:, :, None]
    return noised, [noise + (1 + handicap) * torch.randn(shape, generator=generator) for handicap in handicaps]


# ---------------------------------------------------------------------------------------------------------- a known answer


@pytest.mark.parametrize("label", range(len(MEANS)))
def test_the_log_odds_are_those_of_the_gaussians(label: int) -> None:
    """Between sigma_max and sigma_min the sum is s^2 (1/(s^2 + sigma_min^2) - 1/(s^2 + sigma_max^2)) of them (METHOD)."""
    x0 = pictures_of(label, label)
    noised = antithetic(noised_latents(x0, steps=200))
    contest = run(Contest(noised, LABELS, stop_early=False), gaussian_predictions(noised))
    reach = SPREAD**2 * (1 / (SPREAD**2 + 0.03**2) - 1 / (SPREAD**2 + 14.6**2))
    for other in set(range(len(MEANS))) - {label}:
        exact = exact_log_odds(x0, label, other) * reach
        for image in range(2):
            found = contest.log_odds(label, other, image)
            assert found.mean == pytest.approx(float(exact[image]), rel=1e-3, abs=1e-2)
            assert (
                0 < found.error < 0.01 * abs(found.mean) + 0.05
            )  # of one pair: in it, evidence that is linear in the noise cancels


def test_the_probabilities_are_the_posterior_of_equally_likely_classes() -> None:
    x0 = pictures_of(1)
    noised = antithetic(noised_latents(x0, samples=1, steps=200))
    contest = run(Contest(noised, LABELS), gaussian_predictions(noised))
    exact = torch.stack([exact_log_odds(x0, label, 0)[0] for label in range(4)]).softmax(dim=0)
    for standing in contest.standings(0):
        assert standing.probability == pytest.approx(float(exact[standing.label]), abs=0.01)


def test_a_temperature_divides_the_log_odds_and_without_one_no_probability_is_told() -> None:
    noised = noised_latents(pictures_of(1), samples=4)
    contests = [run(Contest(noised, LABELS, temperature=t), gaussian_predictions(noised)) for t in (1.0, 20.0)]
    plain, careful = ({each.label: each for each in contest.standings(0)} for contest in contests)
    for label in range(4):
        assert plain[label].log_odds == careful[label].log_odds
        ratio = careful[label].probability / careful[1].probability
        assert math.log(ratio) == pytest.approx(careful[label].log_odds / 20)
    assert "robabilit" not in report(contests[0])
    table = report(contests[1]).splitlines()
    assert "probability" in table[2] and all("%" in line for line in table[3:7])
    assert table[-1].endswith("Probabilities at temperature 20.")


def test_where_no_label_fits_there_is_no_probability() -> None:
    noised = noised_latents(pictures_of(1), samples=4)
    contest = run(Contest(noised, LABELS, temperature=20.0), gaussian_predictions(noised))
    for nats, shown in ((-90.0, False), (90.0, True)):
        contest.without = torch.full((len(LABELS), 1), nats), torch.ones(len(LABELS), 1)
        (head,) = (line for line in report(contest).splitlines() if line.startswith("label"))
        assert ("probability" in head) == ("Probabilities at" in report(contest)) == ("winner" in report(contest)) == shown


def test_the_log_odds_are_the_evidence_of_the_two_labels_added_up() -> None:
    noised = noised_latents(pictures_of(0, 2), samples=3, steps=7)
    predictions = gaussian_predictions(noised)
    contest = run(Contest(noised, LABELS, stop_early=False), predictions)
    for image in range(2):
        pair = contest.pair(predictions, 0, 3, image)
        summed = sum_steps(pair, reading="evidence", weighting="information")
        found = contest.log_odds(0, 3, image)
        assert found.mean == pytest.approx(float(summed.total), rel=1e-5)
        assert found.error == pytest.approx(float(summed.total_error), rel=1e-4)


def test_log_odds_add_up_over_three_labels() -> None:
    noised = noised_latents(pictures_of(1), samples=4)
    contest = run(Contest(noised, LABELS, stop_early=False), gaussian_predictions(noised))
    between = {(a, b): contest.log_odds(a, b, 0).mean for a in range(4) for b in range(4)}
    assert between[0, 1] + between[1, 2] == pytest.approx(between[0, 2], abs=1e-9)
    assert between[0, 3] == pytest.approx(-between[3, 0], abs=1e-9)
    assert between[2, 2] == 0


def test_errors_are_sums_of_squares_in_nats() -> None:
    noised = noised_latents(torch.zeros(1, 1, 1, 2), samples=2, steps=3)
    predictions = noised.noise[:, :, None] + torch.tensor([1.0, 2.0])
    errors, blocks = squared_errors(noised, predictions, 1, 2)
    assert errors.shape == (1, 3, 1) and blocks.shape == (1, 3, 1, 2)
    shares = noised.step_shares.double()
    torch.testing.assert_close(errors[0, :, 0], shares * (1 + 4) / 2, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(blocks[0, :, 0], torch.stack([shares / 2, shares * 4 / 2], dim=1), atol=1e-6, rtol=1e-6)


# --------------------------------------------------------------------------------------------------------- who is out, and when


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_label_that_is_as_good_as_the_best_is_seldom_out(confidence: float) -> None:
    """The hardest case, four equal labels: no label may be dropped more often than was allowed."""
    noised, predictions = random_predictions(images=200, samples=16, handicaps=[0, 0, 0, 0])
    contest = run(Contest(noised, LABELS, confidence), predictions)
    allowed = 1 - confidence
    rates = contest.out.double().mean(dim=1)
    assert (rates <= allowed + 3 * math.sqrt(allowed * confidence / 200)).all(), rates
    assert contest.out.any()


# how the variance is spread over the steps, and how much a total's exceeds that of its blocks
STEPS, BLOCKS, RACES = 10, 64, 200
EQUAL, ONE_ALONE = torch.ones(STEPS), torch.cat([torch.full((STEPS - 1,), 0.01 / (STEPS - 1)), torch.tensor([0.99])])
INDEPENDENT, CORRELATED = torch.ones(STEPS), torch.logspace(math.log10(4), 0, STEPS)


def equal_labels(
    count: int, estimates: int, profile: Tensor, ratio: Tensor, sigmas: Tensor | None
) -> tuple[NoisedLatents, Tensor]:
    """Nats of labels of which none is better than another, in blocks that share a part of their noise, [K,R,S,B,P]."""
    generator, steps = torch.Generator().manual_seed(count + estimates), len(profile)
    own = torch.randn(count, estimates, steps, RACES, BLOCKS, generator=generator)
    shared = torch.randn(count, estimates, steps, RACES, 1, generator=generator)
    part, spread = ((ratio - 1) / BLOCKS).sqrt()[:, None, None], profile.sqrt()[:, None, None]
    noised = noised_latents(torch.zeros(1, 1, 8, 8), samples=estimates, steps=steps)
    levels = noised.sigmas if sigmas is None else sigmas
    return replace(noised, x0=noised.x0.expand(RACES, -1, -1, -1), sigmas=levels), spread * (own + part * shared)


@pytest.mark.parametrize("profile", [EQUAL, ONE_ALONE], ids=["all steps alike", "one step carries all"])
@pytest.mark.parametrize("ratio", [INDEPENDENT, CORRELATED], ids=["independent blocks", "correlated blocks"])
@pytest.mark.parametrize("estimates", [1, 2, 4, 8])
@pytest.mark.parametrize("count", [3, 6])
def test_the_best_of_equal_labels_is_out_in_one_race_of_a_hundred_at_most(
    monkeypatch: pytest.MonkeyPatch, count: int, estimates: int, ratio: Tensor, profile: Tensor
) -> None:
    """Any of them may be called the best, so that the mean over the labels counts."""
    contest = race(monkeypatch, count, estimates, profile, ratio)
    assert contest.looks[-1] == estimates and not contest.first_steps
    assert contest.out.double().mean() <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / RACES)


def race(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    estimates: int,
    profile: Tensor,
    ratio: Tensor,
    sigmas: Tensor | None = None,
    confidence: float = 0.99,
) -> Contest:
    """A whole contest of equal labels."""
    noised, nats = equal_labels(count, estimates, profile, ratio, sigmas)

    def errors_of(asked: NoisedLatents, array: Tensor, start: int, end: int) -> tuple[Tensor, Tensor]:
        found = array[start:end][:, asked.asked_steps]
        return found.sum(dim=-1), found

    monkeypatch.setattr(rivals, "squared_errors", errors_of)
    return run(Contest(noised, [str(label) for label in range(count)], confidence), list(nats))


def far_apart(steps: int) -> Tensor:
    """Noise levels whose last one is far from the others, as of a schedule that is even in time."""
    return torch.cat([torch.logspace(math.log10(14.6), math.log10(0.2), steps - 1), torch.tensor([0.03])])


WHERE: dict[str, slice | list[int]] = {
    "all": slice(None),
    "the last one": [-1],
    "the last two": [-2, -1],
    "the last three": [-3, -2, -1],
    "the first two": [0, 1],
    "one within": [7],
    "three within": [6, 7, 8],
}


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
@pytest.mark.parametrize("gap", [False, True], ids=["even levels", "the last level is far away"])
@pytest.mark.parametrize(("count", "confidence"), [(2, 0.99), (6, 0.99), (2, 0.5)])
def test_nor_is_it_by_a_single_sample_whichever_steps_carry_all(
    monkeypatch: pytest.MonkeyPatch, count: int, confidence: float, gap: bool, where: slice | list[int]
) -> None:
    profile = torch.full((15,), 1e-3)
    profile[where] = 1.0
    contest = race(monkeypatch, count, 1, profile, torch.ones(15), far_apart(15) if gap else None, confidence)
    assert contest.tested and not contest.first_steps and contest.needed() is None
    assert "Out: behind with 99 % confidence" in reading_rule(contest)
    assert contest.out.double().mean() <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / (RACES * count))


def test_the_error_of_a_single_sample_is_how_far_its_log_odds_are_from_the_truth() -> None:
    """Predictions miss the noise by 1 and by 1.3 at random: in n cells the mean of all log-odds is n/2 (1.3^2 - 1) a share."""
    noised, predictions = random_predictions(images=400, samples=1, handicaps=[0, 0.3], steps=30)
    contest = run(Contest(noised, LABELS[:2]), predictions)
    truth = 16 / 2 * (1.3**2 - 1) * float(noised.step_shares.sum())
    found = [contest.log_odds(0, 1, image) for image in range(400)]
    squares = torch.tensor([(odds.mean - truth) ** 2 for odds in found])
    told = torch.tensor([odds.error**2 for odds in found])
    assert 0.8 < float(squares.mean() / told.mean()) < 1.25


def test_a_single_sample_rules_out_what_is_far_behind_and_says_where_its_error_is_from() -> None:
    noised, predictions = random_predictions(images=1, samples=1, handicaps=[0, 0.02, 3, 3], steps=30)
    contest = run(Contest(noised, LABELS), predictions)
    assert contest.out[:, 0].tolist() == [False, False, True, True]
    assert all(standing.error is not None for standing in contest.standings(0)[1:])
    words = report(contest)
    assert "not ruled out" in words and "ruled out after 1 sample\n" in words and "from how the steps scatter" in words
    assert rival_header(contest, 0, 3, 0)[1].endswith(" nats, ruled out by 1 sample")


@pytest.mark.parametrize(
    "alone", [None, 1, 6, 17], ids=lambda step: "all steps alike" if step is None else f"step {step} carries all"
)
def test_nor_is_it_after_the_first_steps_of_a_long_schedule(monkeypatch: pytest.MonkeyPatch, alone: int | None) -> None:
    profile = torch.full((20,), 0.01 / 19)
    if alone is None:
        profile.fill_(1.0)
    else:
        profile[alone] = 0.99
    contest = race(monkeypatch, 6, 2, profile, torch.logspace(math.log10(4), 0, 20))
    assert len(contest.first_steps) == 8 and {1, 6, 17} <= set(contest.first_steps)
    assert contest.out.double().mean() <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / RACES)
    assert ((~contest.early).sum(dim=0) >= 2).all(), "the leader and the one next to it are asked at all steps"


def test_labels_far_behind_are_out_after_steps_that_are_spread_over_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    noised, predictions = random_predictions(images=1, samples=4, handicaps=[0, 0.2, 4, 4], steps=20)
    contest = Contest(noised, LABELS)
    first = contest.levels()
    steps = sorted({step for _, step in first[0]})
    assert len(first[0]) == 16 and first.count(first[0]) == 4 and max(b - a for a, b in pairwise([0, *steps, 20])) <= 4
    contest.look(predictions)
    assert contest.early[:, 0].tolist() == [False, False, True, True]
    assert [len(levels) for levels in contest.levels()] == [2 * 20, 2 * 20, 16, 16]
    run(contest, predictions)
    assert [standing.steps for standing in contest.standings(0)] == [20, 20, 8, 8]
    assert contest.pair(predictions, 0, 2, 0).noised.asked_steps == steps
    assert contest.pair(predictions, 0, 1, 0).noised.asked is None
    assert contest.in_common.asked_steps == steps
    whole = run(Contest(noised, LABELS, stop_early=False), predictions)
    for label in (2, 3):  # eight steps stand for the twenty
        assert contest.log_odds(0, label, 0).mean == pytest.approx(whole.log_odds(0, label, 0).mean, rel=0.3)
        summed = sum_steps(contest.pair(predictions, 0, label, 0), 0, None, "evidence", "information")
        found = contest.log_odds(0, label, 0)
        assert found.mean == pytest.approx(summed.total.item(), rel=1e-4)
        assert found.assumed == pytest.approx(summed.assumed.item(), rel=1e-4) and found.assumed > 0
        assert "assumed" not in report(contest), "less than a fifth"
        with monkeypatch.context() as patched:
            patched.setattr(wording, "WORTH_TELLING", 0.05)
            said = f"{format_value(found.assumed)} of them assumed"
            assert f", −{said} " in report(contest) and f" nats, {said}, ruled out" in rival_header(contest, 0, label, 0)[1]
            assert contest.log_odds(0, 1, 0).assumed == 0 and "assumed" not in report(whole)
    assert "ruled out after 2 samples at 8 steps" in report(contest)
    assert Contest(noised, LABELS[:2]).levels() == [[(sample, step) for step in range(20) for sample in range(2)]] * 2


@pytest.mark.parametrize("seed", range(3))
def test_the_class_of_the_highest_posterior_wins_and_the_far_ones_are_out_early(seed: int) -> None:
    x0 = pictures_of(0, 3, seed=seed)
    noised = noised_latents(x0, seed, samples=16, steps=20)
    contest = run(Contest(noised, LABELS), gaussian_predictions(noised))
    exact = torch.stack([exact_log_odds(x0, label, 0) for label in range(4)])
    assert [contest.winner(image) for image in range(2)] == exact.argmax(dim=0).tolist()
    assert contest.out[3, 0] and contest.out[0, 1]
    assert contest.samples[3, 0] < 16


def test_clearly_worse_labels_cost_less_and_close_ones_get_all_samples() -> None:
    noised, predictions = random_predictions(images=1, samples=32, handicaps=[0, 0, 3, 3])
    contest = run(Contest(noised, LABELS, 0.9999), predictions)
    assert contest.samples[:2, 0].tolist() == [32, 32]
    assert contest.out[:, 0].tolist() == [False, False, True, True]
    assert (contest.samples[2:] < 32).all()


def test_without_stopping_early_every_label_gets_all_samples() -> None:
    noised, predictions = random_predictions(images=2, samples=8, handicaps=[0, 2, 4, 8])
    contest = Contest(noised, LABELS, stop_early=False)
    assert contest.needed() == [8] * 4
    contest.look(predictions)
    assert contest.needed() is None
    assert (contest.samples == 8).all()
    assert contest.out[3].all()


def test_when_all_rivals_are_out_the_winner_gets_no_more_samples_either() -> None:
    noised, predictions = random_predictions(images=1, samples=64, handicaps=[0, 50])
    contest = run(Contest(noised, LABELS[:2]), predictions)
    assert contest.out[:, 0].tolist() == [False, True]
    assert contest.samples[0] == contest.samples[1] < 64


@pytest.mark.parametrize(
    ("estimates", "early", "end"),
    [(1, [1], [1]), (2, [2], [2]), (3, [2, 3], [3]), (4, [2, 4], [4]), (9, [2, 4, 8, 9], [9])],
)
def test_labels_are_tested_after_doubled_numbers_of_estimates_and_at_the_end(
    estimates: int, early: list[int], end: list[int]
) -> None:
    assert look_times(estimates, stop_early=True) == early
    assert look_times(estimates, stop_early=False) == end


def test_nobody_is_out_before_there_is_an_error() -> None:
    for single in (noised_latents(pictures_of(0), steps=2), noised_latents(pictures_of(0), per_step=False)):
        noised = single if single.fresh_noise else antithetic(single)
        contest = run(Contest(noised, LABELS, 0.5), gaussian_predictions(noised))
        assert not contest.out.any()
        assert all(standing.error is None for standing in contest.standings(0))
        assert "No standard error" in report(contest)


def test_pairs_are_looked_at_as_a_whole() -> None:
    noised = antithetic(noised_latents(pictures_of(0), samples=4))
    contest = Contest(noised, LABELS)
    assert contest.needed() == [4] * 4
    contest.look(gaussian_predictions(noised))
    assert set(contest.needed() or [4]) <= {4, 8}


def test_noise_that_is_the_same_at_every_step_tells_by_its_sums_alone() -> None:
    noised = noised_latents(pictures_of(0), samples=3, per_step=False)
    predictions = gaussian_predictions(noised)
    contest = run(Contest(noised, LABELS, stop_early=False), predictions)
    sums = (contest.errors[1] - contest.errors[0])[..., 0].sum(dim=1)
    found = contest.log_odds(0, 1, 0)
    assert found.error == pytest.approx(float(sums.std()) / math.sqrt(3))


def test_labels_with_the_same_predictions_tie() -> None:
    noised = noised_latents(pictures_of(0), samples=4)
    one = gaussian_predictions(noised)[0]
    contest = run(Contest(noised, LABELS[:2], 0.5), [one, one])
    assert not contest.out.any()
    assert [(standing.log_odds, standing.probability) for standing in contest.standings(0)] == [(0, 0.5), (0, 0.5)]


def test_a_batch_says_what_single_images_say() -> None:
    noised, predictions = random_predictions(images=12, samples=16, handicaps=[0, 0.3, 0.8, 2])
    together = run(Contest(noised, LABELS, 0.9), predictions)
    for image in range(12):
        single = replace(noised, x0=noised.x0[image : image + 1])
        alone = run(Contest(single, LABELS, 0.9), [array[:, :, image : image + 1] for array in predictions])
        assert alone.standings(0) == together.standings(image)
    assert len(set(together.samples.flatten().tolist())) > 1


@pytest.mark.parametrize(("steps", "unknown"), [(5, math.nan), (20, 1e4)], ids=["5 steps", "20 steps, a part of them first"])
def test_only_what_was_asked_for_is_read(steps: int, unknown: float) -> None:
    """Steps that were not asked may hold anything that is finite, see `part_of`."""
    noised, predictions = random_predictions(images=2, samples=16, handicaps=[0, 1, 4, 4], steps=steps)
    whole = run(Contest(noised, LABELS), predictions)
    contest, partly = Contest(noised, LABELS), [torch.full_like(array, unknown) for array in predictions]
    while (levels := contest.levels()) is not None:
        for label, own in enumerate(levels):
            for level in own:
                partly[label][level] = predictions[label][level]
        contest.look(partly)
    assert any((~(array.abs() < 100)).any() for array in partly)
    assert contest.early.any() == (steps == 20)
    assert ("log-odds are rough" in reading_rule(contest)) == (steps == 20)
    assert [contest.standings(image) for image in range(2)] == [whole.standings(image) for image in range(2)]
    pictures = torch.rand(2, 8, 8, 3)
    for target in range(4):
        sheets = [rivals_sheet(pictures, contest, arrays, [target] * 2) for arrays in (partly, predictions)]
        assert torch.equal(*sheets)
        assert sheets[0].isfinite().all()
    pair = contest.pair(partly, 0, 3)
    assert pair.target.isfinite().all() and pair.contrast.isfinite().all()
    assert pair.noised.samples == max(contest.shared_samples(0, 3, image) for image in range(2))


# --------------------------------------------------------------------------------------------------------------- table, sheet


def test_the_table_has_a_line_for_each_label_of_each_image_with_the_winner_first() -> None:
    noised, predictions = random_predictions(images=2, samples=8, handicaps=[0, 0, 9, 9])
    lines = report(run(Contest(noised, LABELS, 0.999), predictions)).splitlines()
    tables = [lines[place + 3 : place + 7] for place, line in enumerate(lines) if line.startswith("Image ")]
    assert len(tables) == 2
    for table in tables:
        assert table[0].split()[0] in ("zebra", "horse") and table[0].endswith("winner")
        assert table[1].endswith("not ruled out")
        assert {line.split()[0] for line in table} == set(LABELS)
        assert all("ruled out after" in line and "−" in line and "±" in line for line in table[2:])
    assert "is not ruled out" in lines[0]


def test_any_text_is_a_label_of_one_line() -> None:
    noised, predictions = random_predictions(images=1, samples=4, handicaps=[0, 1])
    contest = run(Contest(noised, ["<b>zebra\n| $x_1$\x1b[31m", "horse " * 500]), predictions)
    lines = report(contest).splitlines()
    assert len(lines) == 7
    assert max(map(len, lines[:5])) < 140
    assert rivals_sheet(torch.rand(1, 16, 16, 3), contest, predictions, [0]).isfinite().all()


def test_a_sheet_for_each_image_explains_its_own_target_strongest_rival_first() -> None:
    noised = noised_latents(pictures_of(0, 3), samples=4)
    predictions = gaussian_predictions(noised)
    contest = run(Contest(noised, LABELS), predictions)
    assert contest.rivals(0, image=0) == [1, 2, 3]
    assert contest.rivals(3, image=1)[-1] in (0, 1)
    pictures = torch.rand(2, 48, 40, 3)
    own = rivals_sheet(pictures, contest, predictions, [0, 3])
    assert own.ndim == 4 and len(own) == 2 and own.shape[-1] == 3
    assert 0 <= own.min() and own.max() <= 1
    same = rivals_sheet(pictures, contest, predictions, [0, 0])
    assert not torch.equal(own[1][: len(same[1])], same[1][: len(own[1])])


def test_the_maps_of_a_rival_are_on_the_scale_of_all() -> None:
    """With one strong and one weak rival, the weak one's map is faint: the sheet's legend holds for both."""
    noised = noised_latents(pictures_of(0), samples=4)
    predictions = gaussian_predictions(noised)
    grey = torch.full((1, 48, 40, 3), 0.5)

    def coloured(labels: list[int]) -> float:
        contest = run(Contest(noised, [LABELS[label] for label in labels]), [predictions[label] for label in labels])
        sheet = rivals_sheet(grey, contest, [predictions[label] for label in labels], [0])[0]
        column = sheet[100 : 100 + 300, 20:380]  # within the first map, of the strongest rival
        return float((column.amax(dim=-1) - column.amin(dim=-1)).mean())

    assert coloured([0, 1, 3]) < 0.8 * coloured([0, 1])


@pytest.mark.parametrize("stop_early", [False, True])
def test_rivals_that_differ_by_noise_alone_stay_clear_when_only_what_is_reliable_is_shown(stop_early: bool) -> None:
    """A rival that was out after fewer samples, and so has fewer comparisons, must not stay clear for that."""
    noised = noised_latents(pictures_of(0), samples=8, steps=15)
    zebra, _, _, taxi = gaussian_predictions(noised)
    jittered = zebra + 1e-3 * torch.randn(zebra.shape, generator=torch.Generator().manual_seed(0))
    predictions = [zebra, jittered, taxi]
    contest = run(Contest(noised, ["zebra", "plains zebra", "taxi"], stop_early=stop_early), predictions)
    grey = torch.full((1, 48, 40, 3), 0.5)
    sheet = rivals_sheet(grey, contest, predictions, [0], scaling=Scaling(reliability="reliable only"))[0]
    size = cell_size((48, 40), columns=2)
    grid = Grid(2, size)
    columns = [sheet[400:600, grid.left(place) : grid.left(place) + size[1]] for place in (0, 1)]  # rows within both maps
    left, right = (column.amax(dim=-1) - column.amin(dim=-1) for column in columns)
    clear, coloured = (left, right) if contest.rivals(0, image=0) == [1, 2] else (right, left)
    assert clear.max() == 0
    assert coloured.max() > 0.3


def test_a_reliability_that_the_samples_cannot_tell_is_refused_before_the_model_is_asked() -> None:
    scaling = Scaling(reliability="reliable only")
    enough, few = (Contest(noised_latents(pictures_of(0), samples=samples), LABELS) for samples in (2, 1))
    check_sheet(torch.rand(1, 48, 40, 3), enough, EVIDENCE_IN_NATS, scaling, Appearance())
    with pytest.raises(ValueError, match="needs a standard error"):
        check_sheet(torch.rand(1, 48, 40, 3), few, EVIDENCE_IN_NATS, scaling, Appearance())


def test_the_headline_names_the_rivals_that_may_still_be_right() -> None:
    noised, predictions = random_predictions(images=1, samples=8, handicaps=[0, 0, 0, 40])
    words = headline(run(Contest(noised, LABELS, 0.9999), predictions), 0)
    assert words.startswith("The model prefers “")
    assert words.endswith(" are not ruled out.") and "taxi" not in words


@pytest.mark.parametrize("samples", [1, 2])
def test_what_was_not_tested_is_ahead_and_not_preferred(samples: int) -> None:
    noised, predictions = random_predictions(images=1, samples=samples, handicaps=[0, 9, 9, 9], steps=2)
    if samples == 2:
        noised = replace(noised, noise=torch.cat([noised.noise[:1], -noised.noise[:1]]), antithetic=True)
    contest = run(Contest(noised, LABELS), predictions)
    assert headline(contest, 0).startswith("The label ahead is “") and "prefers" not in report(contest)
    assert "winner" not in report(contest) and "No standard error and no test" in report(contest)


# ------------------------------------------------------------------------------------------------------------------ refusals


def test_labels_are_the_lines_that_are_not_empty() -> None:
    assert split_labels("\n zebra \n\nsports car\r\n") == ["zebra", "sports car"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "number of labels is 0; expected 2 to 20, one in each line"),
        ("zebra\n\n", "number of labels is 1; expected 2"),
        ("\n".join(map(str, range(MOST_LABELS + 1))), "number of labels is 21; expected 2 to 20"),
        ("zebra\nhorse\n zebra", "contain 'zebra' twice. Leave one of them out"),
    ],
)
def test_lists_that_are_no_contest_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        split_labels(text)


def test_the_template_takes_each_label_as_it_is() -> None:
    assert fill_template("a {} by a {}", ["x{}y", "(horse:1.2)"]) == [
        "a x{}y by a x{}y",
        "a (horse:1.2) by a (horse:1.2)",
    ]
    for template in ("", "a photo", "a photo of {label}"):
        with pytest.raises(ValueError, match="expected a prompt with {} where the label goes"):
            fill_template(template, LABELS)


def test_a_target_is_one_of_the_labels_or_left_to_the_winner() -> None:
    assert [choose(name, LABELS, "target") for name in ("", "  ", "zebra", " taxi ")] == [None, None, 0, 3]
    with pytest.raises(ValueError, match="target is 'Zebra'; expected one of the labels zebra, horse, rat, taxi"):
        choose("Zebra", LABELS, "target")
    check_sides(None, None, LABELS)
    check_sides(0, 1, LABELS)
    with pytest.raises(ValueError, match="target and the contrast are both 'rat'"):
        check_sides(2, 2, LABELS)


@pytest.mark.parametrize("confidence", [0.4, 1.0, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="expected 0.5 or more, and less than 1"):
        Contest(noised_latents(pictures_of(0)), LABELS, confidence)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="expected a number above 0"):
        Contest(noised_latents(pictures_of(0)), LABELS, temperature=temperature)
