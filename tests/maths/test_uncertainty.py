"""Standard errors: by hand, and against how far the sums of many seeds really lie apart."""

from __future__ import annotations

from dataclasses import replace

import analytic
import pytest
import torch
from sdexplain.nodes.maths.method.difference import Reading, sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect
from sdexplain.nodes.maths.method.uncertainty import error_of_sum, independent, variance_of_mean
from torch import Tensor

SEEDS = 300
X0 = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(11))


# --------------------------------------------------------------------------------------------------------------- by hand


def test_a_pair_is_one_estimate() -> None:
    values = torch.tensor([1.0, 3.0, 5.0, 9.0])
    assert independent(values, antithetic=True).tolist() == [2.0, 7.0]
    assert torch.equal(independent(values, antithetic=False), values)


def test_the_variance_of_the_mean_is_that_of_the_estimates_over_their_number() -> None:
    values = torch.tensor([1.0, 3.0, 5.0, 9.0])
    # Deviations from the mean 4.5: 12.25 + 2.25 + 0.25 + 20.25 = 35; over N - 1 = 3 and N = 4. Pairs 2 and 7: 12.5 over 2.
    assert variance_of_mean(values, antithetic=False).item() == pytest.approx(35 / 12)
    assert variance_of_mean(values, antithetic=True).item() == pytest.approx(6.25)


@pytest.mark.parametrize(("samples", "antithetic"), [(1, False), (2, True)])
def test_a_single_estimate_has_no_error(samples: int, antithetic: bool) -> None:
    parts = torch.ones(samples, 3, 2)
    assert variance_of_mean(parts, antithetic) is None
    assert error_of_sum(parts, antithetic, fresh_noise=True) is None
    assert error_of_sum(parts, antithetic, fresh_noise=False) is None


def test_steps_with_their_own_noise_add_their_variances_and_steps_with_one_noise_their_values() -> None:
    parts = torch.tensor([[1.0, 4.0], [3.0, 0.0]])
    # Each step: variances 2 and 8 of two values, 1 and 4 of their means. The sums are 5 and 3: variance 2, of the mean 1.
    assert error_of_sum(parts, antithetic=False, fresh_noise=True).item() == pytest.approx(5**0.5)
    assert error_of_sum(parts, antithetic=False, fresh_noise=False).item() == pytest.approx(1.0)


# ------------------------------------------------------------------------------------------------------- over many seeds


def noised(seed: int, samples: int, per_step: bool, antithetic: bool, steps: int = 6) -> NoisedLatents:
    latents = analytic.noised_latents(X0, steps=steps)
    noise = draw_noise(tuple(X0.shape[1:]), seed, samples, steps, per_step, antithetic)
    return replace(latents, noise=noise, antithetic=antithetic)


def predictions(latents: NoisedLatents) -> NoisePredictions:
    """Classes of different spread: the difference is linear in the noise and the evidence quadratic,
    so that a pair's mean varies."""
    target = analytic.Gaussians(torch.tensor([0.5, -0.2]), torch.tensor([0.5, -0.2]), spread=1.2)
    contrast = analytic.Gaussians(torch.tensor([-0.3, 0.1]), torch.tensor([-0.3, 0.1]), spread=0.5)
    models = {name: analytic.wrapped(classes, "eps") for name, classes in [("target", target), ("contrast", contrast)]}
    return collect(latents, lambda x, sigma, prompt: models[prompt](x, sigma, prompt), chunk=64)


def spread_over_seeds(samples: int, per_step: bool, antithetic: bool, reading: Reading) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The variance of the means over the seeds and the mean reported one: of the cells [K,h,w], and of the total [1]."""
    sums = [
        sum_steps(predictions(noised(seed, samples, per_step, antithetic)), 0, None, reading, "information")
        for seed in range(SEEDS)
    ]
    means, totals = torch.stack([part.mean[0] for part in sums]), torch.stack([part.total for part in sums])
    reported = torch.stack([part.variance[0] for part in sums]).mean(0)
    return means.var(0), reported, totals.var(0), torch.stack([part.total_error**2 for part in sums]).mean(0)


@pytest.mark.parametrize("per_step", [True, False], ids=["fresh", "same"])
@pytest.mark.parametrize(
    ("reading", "samples", "antithetic"),
    [("difference", 2, False), ("evidence", 2, False), ("evidence", 4, True)],
    ids=["difference", "evidence", "evidence in pairs"],
)
def test_the_reported_variance_is_that_of_the_means_of_many_seeds(
    reading: Reading, samples: int, antithetic: bool, per_step: bool
) -> None:
    """A variance estimated from 300 means is off by sqrt(2 / 299) = 0.08 of itself, and so is the mean of 300 reported ones of
    one degree of freedom: by 0.12 in all, of which three times are allowed. The cells average that out;
    their variances differ."""
    cells, reported, total, total_reported = spread_over_seeds(samples, per_step, antithetic, reading)
    assert reported.sum().item() == pytest.approx(cells.sum().item(), rel=0.12)
    assert total_reported.item() == pytest.approx(total.item(), rel=0.36)


def test_what_is_linear_in_the_noise_cancels_in_pairs() -> None:
    linear = sum_steps(predictions(noised(0, 4, per_step=True, antithetic=True)))
    assert linear.variance.max() < 1e-10
    assert sum_steps(predictions(noised(0, 4, per_step=True, antithetic=False))).variance.min() > 1e-3


def test_the_error_of_the_total_is_not_made_of_the_cells_own_errors() -> None:
    """Errors that all of 256 cells share add up: taken as independent they would seem 16 times smaller."""
    latents = analytic.noised_latents(torch.zeros(1, 1, 16, 16), samples=8, steps=3)
    shared = torch.randn(8, 3, 1, 1, 1, 1, generator=torch.Generator().manual_seed(2)).expand(8, 3, 1, 1, 16, 16)
    summed = sum_steps(NoisePredictions(latents, shared, torch.zeros_like(shared), "a", "b"))
    assert summed.total_error.item() == pytest.approx(256 * summed.variance[0, 0, 0, 0].sqrt().item(), rel=1e-4)
