"""Nothing takes more memory than what is asked for and one chunk, however many samples, steps and images there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sdexplain.nodes.maths.method.difference import Reading, sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise, in_pairs
from sdexplain.nodes.maths.method.prediction import NoisePredictions, list_evaluations, predict_into, predictions_shape
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CELL = (4, 2, 2)
CHUNK = 16
FLOAT = 4


class Largest(TorchDispatchMode):
    """The bytes of the largest memory that any operation takes anew."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def __torch_dispatch__(self, operation: Callable, types: Any, arguments: Any = (), options: Any = None) -> Any:
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in((arguments, options))}
        made = operation(*arguments, **(options or {}))
        for tensor in tensors_in(made):
            if tensor.untyped_storage().data_ptr() not in given:
                self.taken = max(self.taken, tensor.untyped_storage().nbytes())
        return made


def tensors_in(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def latents(samples: int, steps: int, images: int = 1, shape: tuple[int, int, int] = CELL) -> NoisedLatents:
    noise = draw_noise(shape, 0, samples, steps, per_step=True, antithetic=True)
    levels = torch.logspace(1, -1, steps)
    return NoisedLatents(
        torch.randn(images, *shape), noise, levels, torch.ones(steps), torch.ones(4), torch.zeros(4), antithetic=True
    )


def test_the_watch_sees_what_is_taken_and_not_what_is_looked_at() -> None:
    values = torch.zeros(1000)
    with Largest() as largest:
        values[::2].add_(1)
        assert largest.taken == 0
        values[:10] + 1
        assert largest.taken == 10 * FLOAT
        values.half()
    assert largest.taken == 2000


def test_tens_of_thousands_of_evaluations_take_no_more_than_a_chunk() -> None:
    noised = latents(samples=16, steps=500, images=3)
    evaluations = list_evaluations(noised)
    assert len(evaluations) == 24_000
    predictions = torch.full(predictions_shape(noised), torch.nan, dtype=torch.float16)
    with Largest() as largest:
        for first in range(0, len(evaluations), CHUNK):
            predict_into(predictions, noised, evaluations[first : first + CHUNK], lambda x, sigma: 0.5 * x)
    assert largest.taken <= CHUNK * noised.x0[0].numel() * FLOAT
    assert predictions.isfinite().all()


@pytest.mark.parametrize("antithetic", [True, False])
def test_noise_is_drawn_and_checked_without_a_second_copy(antithetic: bool) -> None:
    def largest_but_one(draw: Callable[[], Tensor]) -> tuple[int, int]:
        with Largest() as largest:
            noise = draw()
        return largest.taken, noise.nbytes

    taken, needed = largest_but_one(lambda: draw_noise(CELL, 0, 64, 100, per_step=True, antithetic=antithetic))
    assert taken == needed
    half = torch.randn(32, 100, *CELL)
    taken, needed = largest_but_one(lambda: in_pairs(half))
    assert taken == needed
    noise = draw_noise(CELL, 0, 64, 100, per_step=True, antithetic=antithetic)
    levels, one = torch.logspace(1, -1, 100), torch.ones(4)
    with Largest() as largest:
        NoisedLatents(torch.zeros(1, *CELL), noise, levels, torch.ones(100), one, one, antithetic=antithetic)
    assert largest.taken < noise.nbytes / 50


@pytest.mark.parametrize("reading", ["difference", "absolute", "information", "evidence", "combined"])
def test_sums_take_a_step_at_a_time_in_single_precision(reading: Reading) -> None:
    def largest(steps: int) -> tuple[int, int]:
        noised = latents(samples=4, steps=steps, images=2, shape=(4, 16, 16))
        arrays = [torch.randn(predictions_shape(noised)).half() for _ in range(2)]
        predictions = NoisePredictions(noised, *arrays, "a", "b")
        with Largest() as watched:
            summed = sum_steps(predictions, reading=reading, weighting="information")
        assert summed.values.dtype == torch.float32
        return watched.taken, predictions.target[:, 0].numel() * FLOAT

    for steps in (20, 200):
        taken, step = largest(steps)
        assert taken == step


def test_sums_of_half_precision_are_those_of_its_values_in_single() -> None:
    noised = latents(samples=4, steps=50)
    half = NoisePredictions(noised, *(torch.randn(predictions_shape(noised)).half() for _ in range(2)), "a", "b")
    single = NoisePredictions(noised, half.target.float(), half.contrast.float(), "a", "b")
    for reading in ("difference", "absolute", "information", "evidence"):
        assert torch.equal(sum_steps(half, reading=reading).values, sum_steps(single, reading=reading).values)
        assert not sum_steps(NoisePredictions(noised, half.target, half.target, "a", "a"), reading=reading).values.any()
    swapped = NoisePredictions(noised, half.contrast, half.target, "b", "a")
    for reading in ("difference", "evidence"):
        whole = sum_steps(half, reading=reading).values
        assert torch.equal(sum_steps(swapped, reading=reading).values, -whole)
        parts = sum_steps(half, 0, 20, reading).values + sum_steps(half, 20, 50, reading).values
        assert (parts - whole).abs().max() <= 1e-6 * whole.abs().max()
