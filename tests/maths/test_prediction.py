"""Collecting predictions with any denoiser: the right latents are asked for, the answers land in their places,
bad ones are named."""

from __future__ import annotations

import math
from dataclasses import replace

import analytic
import pytest
import torch
from sdexplain.nodes.maths.method import prediction
from torch import Tensor


def noised(**options: int) -> analytic.NoisedLatents:
    return analytic.noised_latents(torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1)), **options)


def test_a_denoiser_that_knows_the_image_predicts_the_noise_itself() -> None:
    latents = replace(noised(samples=2, steps=4), x0=noised().x0[:1])
    predictions = prediction.collect_prompt(latents, lambda x, sigma: latents.x0.expand_as(x), chunk=3)
    assert predictions.shape == (2, 4, 1, 4, 3, 5)
    assert torch.allclose(predictions[:, :, 0], latents.noise, atol=1e-3)


def test_every_answer_lands_in_its_place() -> None:
    latents = noised(samples=3, steps=4)

    def level_and_latent(x: Tensor, sigma: Tensor) -> Tensor:
        return x * sigma[:, None, None, None]

    predictions = prediction.collect_prompt(latents, level_and_latent, chunk=5)
    for sample in range(3):
        for step in range(4):
            x, sigma = latents.at(sample, step), latents.sigmas[step]
            assert torch.allclose(predictions[sample, step], (x - x * sigma) / sigma, atol=1e-5)


def test_one_noise_for_all_steps_is_used_at_every_step() -> None:
    latents = noised(samples=2, steps=4, per_step=False)
    asked = []
    prediction.collect_prompt(latents, lambda x, sigma: asked.append(x) or x, chunk=1000)
    every = [latents.at(sample, step) for step in range(4) for sample in range(2)]
    assert torch.equal(asked[0], torch.cat(every))


def test_both_prompts_are_asked_with_the_same_latents() -> None:
    asked = {"target": [], "contrast": []}

    def denoise(x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        asked[prompt].append(x)
        return x

    collected = prediction.collect(noised(steps=4), denoise, chunk=3, target_label="zebra", contrast_label="horse")
    assert (collected.target_label, collected.contrast_label) == ("zebra", "horse")
    assert all(map(torch.equal, asked["target"], asked["contrast"]))
    assert [len(x) for x in asked["target"]] == [3, 3, 2]


def test_a_denoiser_in_half_precision_gives_predictions_in_single() -> None:
    assert prediction.collect_prompt(noised(), lambda x, sigma: x.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_model_that_breaks_down_is_named_with_its_steps(bad: float) -> None:
    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.where(sigma[:, None, None, None] < 0.1, bad, x)

    with pytest.raises(ValueError, match="NaN or infinity between step 8 and step 8 of 10.*--bf16-unet"):
        prediction.collect_prompt(noised(), denoise, chunk=2)


def test_a_model_that_answers_in_another_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"shape \[16, 4, 3, 5\] and answered with \[16, 4, 4, 5\]"):
        prediction.collect_prompt(noised(), lambda x, sigma: torch.zeros(len(x), 4, 4, 5))


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk is 0; expected at least 1"):
        prediction.collect_prompt(noised(), lambda x, sigma: x, chunk=0)


def test_predictions_of_another_shape_than_the_latents_are_refused() -> None:
    latents = noised()
    right, wrong = torch.zeros(1, 10, 2, 4, 3, 5), torch.zeros(1, 10, 1, 4, 3, 5)
    with pytest.raises(
        ValueError, match=r"contrast predictions have shape \[1, 10, 1, 4, 3, 5\]; expected \[1, 10, 2, 4, 3, 5\]"
    ):
        prediction.NoisePredictions(latents, right, wrong, "a", "b")
