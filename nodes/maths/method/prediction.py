"""Two noise predictions, target and contrast, for every noised latent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from .cases import Cases
from .noising import NoisedLatents, add_noise
from .own_pictures import OwnPictures

Prompt = Literal["target", "contrast"]
Precision = Literal["float32", "float16"]
"""How predictions are kept. A network in half precision that predicts the noise itself loses nothing in float16."""
Evaluation = tuple[int, int, int]
"""One question to a model: (sample, step, image)."""


@dataclass(frozen=True, eq=False)
class NoisePredictions:
    """The noise that the model predicts in each noised latent, once under the target prompt and once under the contrast.

    Both arrays are [R,S,B,C,h,w], float16 or float32 on the CPU; they may be shared with other predictions and are never
    changed. Code that reads them takes one step at a time and computes in float32: see `difference.read_step`.
    """

    noised: NoisedLatents
    """The noised latents that the predictions were made for."""
    target: Tensor
    """[R,S,B,C,h,w] noise predictions under the target prompt."""
    contrast: Tensor
    """[R,S,B,C,h,w] noise predictions under the contrast prompt."""
    target_label: str
    """What to call the target in legends; untrusted text of any length."""
    contrast_label: str
    """What to call the contrast in legends; untrusted text of any length."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    """What made them, if that is known: "model", "target" and "contrast", each a digest that changes with the content."""
    own_pictures: OwnPictures | None = None
    """What the model made of pictures of its own, if that is known: see `familiarity.measure`."""
    unseen: str = ""
    """A sentence on words of the prompts that the model was never shown, which make every answer worthless; "" for none."""
    temperature: float | None = None
    """What log-odds are divided by to be probabilities, as it was fitted for the model; None if it was not."""
    cases: Cases | None = None
    """How both prompts compare with no words at all, if the model was asked without words."""

    def __post_init__(self) -> None:
        expected = predictions_shape(self.noised)
        for name, predictions in (("target", self.target), ("contrast", self.contrast)):
            if predictions.shape != expected:
                raise ValueError(
                    f"The {name} predictions have shape {list(predictions.shape)}; expected {list(expected)} "
                    "(samples, steps, images, channels, height, width) as the noised latents have it."
                )


def part_of(predictions: NoisePredictions, asked: Collection[int], samples: int) -> NoisePredictions:
    """What is known when only these steps were asked, and only the first samples; it shares the arrays.

    At the other steps the arrays may hold anything that is finite: every sum leaves them out.
    """
    noised = predictions.noised.only(asked, samples)
    return replace(predictions, noised=noised, target=predictions.target[:samples], contrast=predictions.contrast[:samples])


def side_names(target_label: str, contrast_label: str) -> tuple[str, str]:
    """What to call both sides: their labels, or what they are where a label is empty."""
    return target_label.strip() or "target", contrast_label.strip() or "contrast"


def predictions_shape(noised: NoisedLatents) -> tuple[int, ...]:
    """The shape of one prompt's predictions, (R, S, B, C, h, w)."""
    return noised.samples, noised.steps, *noised.x0.shape


def collect(
    noised: NoisedLatents,
    denoise: Callable[[Tensor, Tensor, Prompt], Tensor],
    chunk: int = 16,
    target_label: str = "target",
    contrast_label: str = "contrast",
) -> NoisePredictions:
    """Predict the noise in all noised latents under both prompts with any denoiser, in the same chunks.

    `denoise(x, sigma, prompt)` is that of `collect_prompt`, with the prompt that is meant: "target" or "contrast".

    Raises:
        ValueError: see `collect_prompt`.
    """
    target = collect_prompt(noised, lambda x, sigma: denoise(x, sigma, "target"), chunk)
    contrast = collect_prompt(noised, lambda x, sigma: denoise(x, sigma, "contrast"), chunk)
    return NoisePredictions(noised, target, contrast, target_label, contrast_label)


def collect_prompt(noised: NoisedLatents, denoise: Callable[[Tensor, Tensor], Tensor], chunk: int = 16) -> Tensor:
    """Predict the noise in all noised latents under one prompt, `chunk` of them at a time, [R,S,B,C,h,w].

    `denoise(x, sigma)` gets noised latents x [N,C,h,w] in model space and their noise levels sigma [N], and returns D, its
    estimate of x0, [N,C,h,w].

    Raises:
        ValueError: a chunk below 1, or a denoiser that returns another shape, NaN or infinity.
    """
    if chunk < 1:
        raise ValueError(f"The chunk is {chunk}; expected at least 1 noised latent at a time.")
    evaluations = list_evaluations(noised)
    predictions = torch.empty(predictions_shape(noised))
    for first in range(0, len(evaluations), chunk):
        predict_into(predictions, noised, evaluations[first : first + chunk], denoise)
    return predictions


def list_evaluations(noised: NoisedLatents) -> list[Evaluation]:
    """All (sample, step, image) of the noised latents, step by step, so that neighbours mostly share their noise level."""
    return [
        (sample, step, image)
        for step in range(noised.steps)
        for sample in range(noised.samples)
        for image in range(noised.images)
    ]


def predict_into(
    predictions: Tensor,
    noised: NoisedLatents,
    evaluations: Sequence[Evaluation],
    denoise: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Ask the denoiser once for the noised latents of `evaluations` and write its noise predictions to their places.

    `predictions` is [R,S,B,C,h,w] in any precision; `denoise(x [N,C,h,w], sigma [N])` returns D [N,C,h,w], on any device.

    Raises:
        ValueError: the denoiser returned another shape, NaN, infinity, or what is too large for the predictions' precision.
    """
    samples, steps, images = (list(indices) for indices in zip(*evaluations, strict=True))
    sigma, alpha = noised.sigmas[steps], noised.alphas[steps]
    noise_steps = [min(step, noised.noise.shape[1] - 1) for step in steps]
    sigma4, alpha4 = sigma[:, None, None, None], alpha[:, None, None, None]
    x_sigma = add_noise(noised.x0[images], noised.noise[samples, noise_steps], sigma4, alpha4)
    denoised = denoise(x_sigma, sigma).to(device=x_sigma.device, dtype=torch.float32)
    if denoised.shape != x_sigma.shape:
        raise ValueError(
            f"The model was given noised latents of shape {list(x_sigma.shape)} and answered with "
            f"{list(denoised.shape)}; expected the same shape. It does not take latents of this kind or size."
        )
    if not torch.isfinite(denoised).all():
        raise ValueError(
            f"The model predicted NaN or infinity between step {min(steps)} and step {max(steps)} of {noised.steps}. "
            "Run it in a wider number format (start ComfyUI with --bf16-unet or --fp32-unet), or leave those steps out."
        )
    rounded = noise_prediction(x_sigma, denoised, sigma4, alpha4).to(predictions.dtype)
    if not torch.isfinite(rounded).all():
        raise ValueError(
            f"The model's noise predictions between step {min(steps)} and step {max(steps)} are too large for "
            f"{str(rounded.dtype).removeprefix('torch.')} (noise is about 1, its largest number "
            f"{torch.finfo(rounded.dtype).max:g}). Set the precision of Collect Noise Predictions to float32, or leave those "
            "steps out."
        )
    predictions[samples, steps, images] = rounded


def noise_prediction(x_sigma: Tensor, denoised: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """eps_hat = (x_sigma - alpha * D) / sigma, for every model family; sigma and alpha broadcast against x_sigma."""
    return (x_sigma - alpha * denoised) / sigma
