"""The reading "combined": information and smoothed evidence have one scale, and what is combined of them is as said."""

from __future__ import annotations

import math

import analytic
import pytest
import torch
from differences import a_difference
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.method.scalar import combine, scalar_map
from torch import Tensor
from torch.nn import functional


def asked(cells: int = 6, samples: int = 2, steps: int = 6, seed: int = 0) -> NoisePredictions:
    """An exact model of two Gaussian classes about an image that is drawn from the first."""
    gaussians = analytic.Gaussians(torch.tensor([0.7, -0.4]), torch.tensor([-0.3, 0.5]), 0.8)
    generator = torch.Generator().manual_seed(seed)
    x0 = gaussians.target[:, None, None] + 0.8 * torch.randn(1, 2, cells, cells, generator=generator)
    noised = analytic.noised_latents(x0, seed=seed, samples=samples, steps=steps, per_step=True)
    return collect(noised, analytic.wrapped(gaussians, "eps"))


def parts(information: Tensor, evidence: Tensor) -> Tensor:
    return torch.stack([information, evidence])[None]


def test_the_mean_of_the_evidence_for_a_picture_of_the_target_is_the_information() -> None:
    """So the two can be added without any scaling: ½ E|d|² is what the better predictor gains (Kong et al. 2024)."""
    predictions = asked(cells=48, samples=8)
    evidence, information = (sum_steps(predictions, reading=reading).total for reading in ("evidence", "information"))
    assert (evidence / information).item() == pytest.approx(1, abs=0.1)


def test_evidence_that_is_the_same_everywhere_counts_half_whatever_its_sign() -> None:
    information = torch.rand(5, 7)
    for value in (3.0, -3.0):
        torch.testing.assert_close(combine(parts(information, torch.full((5, 7), value)))[0], information + 1.5)


def test_the_evidence_is_smoothed_by_a_bell_of_six_tenths_of_a_cell_before_its_sign_goes() -> None:
    evidence = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    bell = torch.tensor([math.exp(-(x**2) / (2 * 0.6**2)) for x in range(-2, 3)])
    kernel = torch.outer(bell, bell) / bell.sum() ** 2
    padded = functional.pad(evidence[None, None], (2, 2, 2, 2), mode="replicate")
    expected = functional.conv2d(padded, kernel[None, None])[0, 0].abs() / 2
    torch.testing.assert_close(combine(parts(torch.zeros(6, 9), evidence))[0], expected)


def test_signs_that_change_from_cell_to_cell_cancel() -> None:
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = 1.0 - 2.0 * ((rows + columns) % 2)
    assert combine(parts(torch.zeros(8, 8), board))[0, 2:-2, 2:-2].max() < 0.12 / 2


def test_the_map_is_made_of_the_sums_of_both_readings_whatever_the_scalar() -> None:
    predictions = asked()
    both = [sum_steps(predictions, 1, 5, reading, "information").mean[:, 0] for reading in ("information", "evidence")]
    summed = sum_steps(predictions, 1, 5, "combined", "information")
    for scalar in ("channel norm", "channel mean"):
        torch.testing.assert_close(scalar_map(summed, scalar), combine(torch.stack(both, dim=1)))


def test_swapping_the_prompts_leaves_it_as_it_is() -> None:
    there = asked()
    back = NoisePredictions(there.noised, there.contrast, there.target, "horse", "zebra")
    maps = [read_map(sum_steps(predictions, reading="combined")) for predictions in (there, back)]
    torch.testing.assert_close(maps[0].values, maps[1].values)
    assert not maps[0].signed and maps[0].totals == ()


def test_a_single_cell_and_several_images_are_combined_alike() -> None:
    values = torch.tensor([[2.0, -4.0], [1.0, 6.0]]).view(1, 2, 2, 1, 1)
    assert scalar_map(a_difference(values, reading="combined"), "channel norm").flatten().tolist() == [4.0, 4.0]


def test_its_words_name_both_parts_and_their_unit() -> None:
    map = read_map(sum_steps(asked(), reading="combined", weighting="information"))
    assert "Information" in map.quantity and "evidence" in map.quantity and map.unit == "nats per latent cell"
