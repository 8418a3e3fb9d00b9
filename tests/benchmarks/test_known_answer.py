"""Where the exact log-odds are known, the evidence is them."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch
from sdexplain.benchmarks import known_answer
from sdexplain.benchmarks.known_answer import DATA, FAMILIES, Case, Gaussians, Mixture, Mixtures, Row, measure_case

DATA_NAMES = list(DATA)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """At the first seed: 16 samples at most, with and without pairs, at all of the benchmark's steps."""
    noises = [("antithetic pairs", (2, 4, 16)), ("independent", (1, 2, 4, 16))]
    cases = [Case(data, "eps", noise, known_answer.STEPS, 0, counts) for data in DATA for noise, counts in noises]
    return [row for case in cases for row in measure_case(case)]


def found(rows: list[Row], data: str, noise: str, samples: int) -> Row:
    return next(row for row in rows if (row.data, row.noise, row.samples) == (data, noise, samples))


# ---------------------------------------------------------------------------------------------------------- what is exact


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values)


MIXTURE = Mixture(numbers(0.3, 0.7), numbers(-1.0, 0.5), numbers(0.4, 0.8))


def test_a_mixture_of_one_component_is_a_gaussian() -> None:
    one = [Mixture(numbers(1.0), numbers(mean), numbers(0.7)) for mean in (0.4, -0.6)]
    mixtures, gaussians = Mixtures(*one), Gaussians(numbers(0.4), numbers(-0.6), 0.7)
    x, sigma = torch.linspace(-4, 4, 25).view(1, 1, 5, 5), torch.tensor(1.3)
    for prompt in ("target", "contrast"):
        same = mixtures.posterior_mean(x, sigma, prompt), gaussians.posterior_mean(x, sigma, prompt)
        assert torch.allclose(*same, atol=1e-6)
    assert torch.allclose(mixtures.log_odds(x), gaussians.log_odds(x), atol=1e-5)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
def test_the_posterior_mean_is_the_one_that_bayes_rule_gives(sigma: float) -> None:
    grid = torch.linspace(-8, 8, 20001)
    prior = MIXTURE.log_density(grid).exp()
    assert torch.trapezoid(prior, grid).item() == pytest.approx(1, abs=1e-4)
    for x in (-1.5, 0.0, 0.7):
        posterior = prior * (-((x - grid) ** 2) / (2 * sigma**2)).exp()
        expected = torch.trapezoid(posterior * grid, grid) / torch.trapezoid(posterior, grid)
        assert MIXTURE.posterior_mean(torch.tensor(x), torch.tensor(sigma)).item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("data", DATA_NAMES)
def test_drawn_latents_are_the_targets(data: str) -> None:
    """The mean log-odds of what the target draws is the divergence of the classes, which is above 0."""
    classes = DATA[data]
    x0 = classes.draw((1, 1, 200, 200), torch.Generator().manual_seed(0))
    assert x0.mean().item() == pytest.approx(classes.mean("target").item(), abs=0.03)
    grid = torch.linspace(-6, 6, 4001).view(1, 1, 1, -1)
    density = (classes.target.log_density(grid) if isinstance(classes, Mixtures) else gaussian(classes, grid)).exp()
    divergence = torch.trapezoid((density * classes.log_odds(grid)).flatten(), grid.flatten()).item()
    assert classes.log_odds(x0).mean().item() == pytest.approx(divergence, rel=0.05)


def gaussian(classes: Gaussians, x: torch.Tensor) -> torch.Tensor:
    return torch.distributions.Normal(classes.target, classes.spread).log_prob(x)


# ------------------------------------------------------------------------------------------------------- what is measured


@pytest.mark.parametrize("data", DATA_NAMES)
def test_sixteen_samples_in_pairs_give_the_exact_log_odds(rows: list[Row], data: str) -> None:
    row = found(rows, data, "antithetic pairs", 16)
    assert abs(row.total_error) < 0.01
    assert row.correlation >= 0.999
    assert row.additivity <= 1e-4


def test_pairs_make_gaussian_evidence_exact_but_for_the_ends_of_the_schedule(rows: list[Row]) -> None:
    variance, (highest, lowest) = DATA["Gaussian"].spread ** 2, known_answer.REACH
    covered = variance * (1 / (variance + lowest**2) - 1 / (variance + highest**2))
    for samples in (2, 4, 16):
        row = found(rows, "Gaussian", "antithetic pairs", samples)
        assert row.total_error == pytest.approx(covered - 1, abs=1e-5)
        assert row.correlation == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("data", DATA_NAMES)
@pytest.mark.parametrize("samples", [2, 4, 16])
def test_pairs_are_nearer_to_each_elements_log_odds_than_as_many_independent_samples(
    rows: list[Row], data: str, samples: int
) -> None:
    pairs, independent = (found(rows, data, noise, samples) for noise in ("antithetic pairs", "independent"))
    assert pairs.element_error < 0.9 * independent.element_error
    assert pairs.correlation > independent.correlation


def test_independent_errors_fall_with_the_root_of_the_samples(rows: list[Row]) -> None:
    for data in DATA:
        one, sixteen = (found(rows, data, "independent", samples).element_error for samples in (1, 16))
        assert one / sixteen == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("data", DATA_NAMES)
def test_all_families_give_one_answer(rows: list[Row], data: str) -> None:
    cases = [Case(data, family, "antithetic pairs", 30, 0, (4,)) for family in FAMILIES]
    first, *others = (measure_case(case, side=12)[0] for case in cases)
    for row in others:
        assert row.total_error == pytest.approx(first.total_error, abs=1e-3)
        assert row.correlation == pytest.approx(first.correlation, abs=1e-5)


@pytest.mark.parametrize("data", DATA_NAMES)
def test_the_schedules_own_error_is_far_below_the_bound(data: str) -> None:
    for steps in (25, 100):
        row = measure_case(Case(data, "eps", "exact mean", steps, 0, (known_answer.NODES,)), side=16)[0]
        assert abs(row.total_error) < 0.002
        assert row.correlation > 0.99999


def test_fewer_samples_are_the_first_of_more() -> None:
    few, more = (measure_case(Case("mixture", "eps", "independent", 10, 3, counts), 8)[0] for counts in ((2,), (2, 4)))
    assert few == more


# ------------------------------------------------------------------------------------------------------ tables and figure


def test_the_interval_is_students() -> None:
    mean, low, high = known_answer.interval([1.0, 2.0, 3.0])
    reach = 4.302653 / math.sqrt(3)  # t of 2 degrees of freedom, standard deviation 1
    assert (mean, low, high) == pytest.approx((2, 2 - reach, 2 + reach), abs=1e-5)


def test_a_small_run_writes_table_rows_and_figure(tmp_path: Path) -> None:
    rows = known_answer.measure(seed=5, seeds=2, steps=14, side=6, progress=False)
    known_answer.write(tmp_path, rows)
    table = (tmp_path / "known_answer.md").read_text(encoding="utf-8")
    assert all(word in table for word in (*DATA, *FAMILIES, "antithetic pairs", "independent", "exact mean"))
    lines = list(csv.DictReader((tmp_path / "known_answer.csv").open(encoding="utf-8")))
    assert len(lines) == len(rows)
    assert {line["seed"] for line in lines} == {"5", "6"}
    assert (tmp_path / "known_answer.png").read_bytes().startswith(b"\x89PNG")
