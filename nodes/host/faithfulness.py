"""Who is asked about covered pictures: a classifier, and the diffusion model's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..maths.answers.faithfulness import Covering, Curves, Judge, measure
from ..maths.method.classifier import ANY_OTHER, Classifier, ask, undisturbed
from ..maths.method.difference import sum_steps
from ..maths.method.map import Map
from ..maths.method.noising import NoisedLatents
from ..maths.method.prediction import NoisePredictions, list_evaluations, predictions_shape
from . import schedule
from .attribution import watched
from .noise import FRESH, noise_for
from .prediction import Conditioning, predict

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import VAE

SAMPLES = 2
"""Noise samples of each verdict, one antithetic pair: the same for all pictures, so that only what is covered differs."""


@dataclass(frozen=True, eq=False)
class Diffusion:
    """What the diffusion model's verdict takes; all or nothing."""

    model: ModelPatcher | None = None
    vae: VAE | None = None
    target: Conditioning | None = None
    contrast: Conditioning | None = None
    steps: int = 6

    @property
    def given(self) -> bool:
        """Whether the verdict is wanted.

        Raises:
            ValueError: only a part of what it takes is there.
        """
        there = [each is not None for each in (self.model, self.vae, self.target, self.contrast)]
        if any(there) and not all(there):
            raise ValueError("The diffusion verdict needs model, vae, target and contrast. Connect all four, or none.")
        return all(there)


def follow_map(
    classifier: Classifier | None, image: Tensor, map: Map, classes: tuple[str, str], diffusion: Diffusion, covering: Covering
) -> dict[str, Curves]:
    """The curves of everyone who is asked about the map's pictures, by what to call it.

    classes: of the classifier; an empty first one stands for the map's own labels.

    Raises:
        ValueError: nobody to ask, and what `ask` and `measure` refuse.
    """
    curves = {}
    expected = len(image) * ((1 + covering.random_orders) * 2 * (covering.shares - 1) + 2)
    if classifier is not None:
        with torch.inference_mode(False):
            curves[f"Classifier {classifier.name}"] = _ask_classifier(classifier, image, map, classes, covering, expected)
    if diffusion.given:
        curves["Diffusion model"] = measure(image, map, diffusion_judge(diffusion, covering.seed), covering)
    if not curves:
        raise ValueError("There is nobody to ask: connect a classifier, or model, vae, target and contrast, or both.")
    return curves


def _ask_classifier(
    classifier: Classifier, image: Tensor, map: Map, classes: tuple[str, str], covering: Covering, expected: int
) -> Curves:
    target, contrast = classes if classes[0].strip() else (map.target_label, map.contrast_label)
    question = ask(classifier, target, "" if contrast == ANY_OTHER else contrast, watched(expected))
    device = classifier.load()

    def judge(pictures: Tensor) -> Tensor:
        return question.margin(classifier.preprocessing.prepare(pictures).to(device)).cpu()

    with undisturbed(classifier.network), torch.no_grad():
        return measure(image.detach().clone(), map, judge, covering)


def diffusion_judge(diffusion: Diffusion, seed: int) -> Judge:
    """The diffusion model's log-odds of pictures [n,H,W,3], all with the same noise."""
    model, vae = diffusion.model, diffusion.vae

    def judge(pictures: Tensor) -> Tensor:
        x0 = schedule.model_latent(model, vae.encode(pictures))
        sigmas = schedule.scheduled_sigmas(model, "normal", diffusion.steps)
        noise = noise_for(x0, len(sigmas), seed, SAMPLES, FRESH, True)
        space = schedule.latent_space(model).of_noised()
        noised = NoisedLatents(x0, noise, sigmas, schedule.image_factors(model, sigmas), antithetic=True, **space)
        return log_odds(noised, model, diffusion)

    return judge


def log_odds(noised: NoisedLatents, model: ModelPatcher, diffusion: Diffusion) -> Tensor:
    """The evidence for the target, added up, [n] in nats."""
    both = []
    for prompt in (diffusion.target, diffusion.contrast):
        predictions = torch.empty(predictions_shape(noised))
        predict(model, noised, prompt, predictions, list_evaluations(noised))
        both.append(predictions)
    return sum_steps(NoisePredictions(noised, *both, "target", "contrast"), 0, None, "evidence", "information").total
