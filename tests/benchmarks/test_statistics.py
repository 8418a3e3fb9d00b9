"""Intervals hold what they should, and a temperature that was planted is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sdexplain.benchmarks.ground_truth.choose import temperature_of
from sdexplain.benchmarks.statistics import (
    bootstrap,
    expected_calibration_error,
    intervals,
    mean_of_pairs,
    reliability,
)
from sdexplain.benchmarks.tables import Table
from sdexplain.training.intervals import Interval, share
from sdexplain.training.temperature import fit_temperature, log_loss

NAN = float("nan")


def drawn(*counts: int, quantities: int = 3, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(pair, 1, (count, quantities)) for pair, count in enumerate(counts)]


def test_an_interval_holds_its_mean() -> None:
    pairs = drawn(20, 30, 5)
    for at, mean in zip(intervals(pairs), mean_of_pairs(pairs), strict=True):
        assert at.low < at.value < at.high
        assert at.value == pytest.approx(mean)


def test_pairs_count_alike_however_many_scenes_they_have() -> None:
    assert mean_of_pairs([np.zeros((50, 1)), np.ones((2, 1))]) == pytest.approx([0.5])


def test_what_was_not_measured_does_not_count() -> None:
    values = [np.array([[1.0, NAN], [3.0, 5.0]])]
    assert mean_of_pairs(values) == pytest.approx([2, 5])
    assert intervals(values)[1] == Interval(5, 5, 5)


def test_the_width_is_that_of_the_normal_approximation() -> None:
    (values,) = drawn(400, quantities=1)
    (at,) = intervals([values])
    assert at.high - at.low == pytest.approx(2 * 1.96 * values.std(ddof=1) / 20, rel=0.1)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    held = [at.low <= 0 <= at.high for seed in range(20) for at in intervals(drawn(60, quantities=20, seed=seed))]
    assert 0.90 < np.mean(held) < 0.98


def test_the_same_seed_draws_the_same_scenes() -> None:
    pairs = drawn(9, 9)
    assert np.array_equal(bootstrap(pairs, seed=1), bootstrap(pairs, seed=1))
    assert not np.array_equal(bootstrap(pairs, seed=1), bootstrap(pairs, seed=2))


def test_a_share_is_uncertain_even_where_all_are_right() -> None:
    at = share(np.ones(600, bool))
    assert (at.value, at.high) == (1, 1)
    assert at.low == pytest.approx(0.025 ** (1 / 600))  # all right with a probability of 2.5 %


@pytest.mark.parametrize("temperature", [0.3, 1.0, 20.0])
def test_a_fitted_temperature_calibrates(temperature: float) -> None:
    rng = np.random.default_rng(0)
    true_odds = rng.normal(0, 2, 40_000)
    right = rng.random(true_odds.size) < expit(np.abs(true_odds))
    log_odds = temperature * np.where(right, 1, -1) * np.abs(true_odds)
    found = fit_temperature(log_odds)
    assert expected_calibration_error(log_odds, found) < 0.015
    assert log_loss(log_odds, found) <= log_loss(log_odds) + 1e-9


def test_without_a_wrong_verdict_there_is_no_temperature() -> None:
    assert temperature_of(np.array([0.1, 5.0])) is None and temperature_of(np.array([0.1, 5.0, -1.0])) is not None


def test_reliability_counts_every_verdict_once() -> None:
    log_odds = np.random.default_rng(0).normal(1, 3, 500)
    points = reliability(log_odds)
    assert sum(number for _, _, number in points) == 500
    assert sum(right * number for _, right, number in points) == pytest.approx((log_odds > 0).sum())
    assert all(0.5 <= confidence <= 1 for confidence, _, _ in points)


def test_a_coin_s_log_loss_is_ln_2() -> None:
    assert log_loss(np.zeros(4)) == pytest.approx(np.log(2))


def test_tables_give_an_interval_one_cell_for_people_and_three_for_programs(tmp_path: Path) -> None:
    table = Table("some", "Some", ["map", "score", "n"], [["a", Interval(0.5, 0.25, 0.75), 3], ["b", None, 4]], "A note.")
    assert "| a | 0.500 [0.250, 0.750] | 3 |" in table.markdown()
    table.write_csv(tmp_path)
    lines = (tmp_path / "some.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["map,score,score low,score high,n", "a,0.5,0.25,0.75,3", "b,,,,4"]
