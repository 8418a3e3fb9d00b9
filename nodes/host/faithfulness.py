"""Who is asked about covered pictures: a classifier, and the diffusion model's verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..maths.answers.faithfulness import INPAINTED, Coverer, Covering, Curves, Judge, measure, plain
from ..maths.method.classifier import ANY_OTHER, Classifier, ask, undisturbed
from ..maths.method.difference import sum_steps
from ..maths.method.map import Map
from ..maths.method.noising import NoisedLatents
from ..maths.method.prediction import NoisePredictions, list_evaluations, predictions_shape
from . import schedule
from .attribution import watched
from .inpainting import Painter
from .noise import FRESH, noise_for
from .prediction import Conditioning, predict

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import VAE

SAMPLES = 2
"""Noise samples of each verdict, one antithetic pair: the same for all pictures, so that only what is covered differs."""


@dataclass(frozen=True, eq=False)
class Diffusion:
    """What the diffusion model's verdict takes; all or nothing. What it paints with takes model, vae and no_words alone."""

    model: ModelPatcher | None = None
    vae: VAE | None = None
    target: Conditioning | None = None
    contrast: Conditioning | None = None
    steps: int = 6
    no_words: Conditioning | None = None

    @property
    def given(self) -> bool:
        """Whether the verdict is wanted.

        Raises:
            ValueError: only a part of what it takes is there.
        """
        there = [each is not None for each in (self.model, self.vae, self.target, self.contrast)]
        wanted = any(there if self.no_words is None else there[2:])
        if wanted and not all(there):
            raise ValueError("The diffusion verdict needs model, vae, target and contrast. Connect all four, or none.")
        return wanted

    def painter(self, seed: int, called: Callable[[int], None]) -> Painter:
        """What paints covered places anew.

        Raises:
            ValueError: something that it takes is not connected.
        """
        if self.model is None or self.vae is None or self.no_words is None:
            taken = {"model": self.model, "vae": self.vae, "no_words": self.no_words}
            missing = ", ".join(name for name, given in taken.items() if given is None)
            raise ValueError(
                f"The cover 'inpainted' is painted by the diffusion model, and {missing} is not connected. It takes model, vae "
                "and no_words (CLIP Text Encode with an empty text). Connect them, or choose another cover."
            )
        return Painter(self.model, self.vae, self.no_words, seed, called)


def follow_map(
    classifier: Classifier | None, image: Tensor, map: Map, classes: tuple[str, str], diffusion: Diffusion, covering: Covering
) -> tuple[dict[str, Curves], Coverer]:
    """The curves of everyone who is asked about the map's pictures, by what to call it, and what covered them.

    classes: of the classifier; an empty first one stands for the map's own labels.

    Raises:
        ValueError: nobody to ask, something missing of what paints, and what `ask` and `measure` refuse.
    """
    curves = {}
    paints = covering.cover == INPAINTED
    called = watched((1 + paints) * len(image) * ((1 + covering.random_orders) * 2 * (covering.shares - 1) + 2))
    coverer = diffusion.painter(covering.seed, called) if paints else plain(covering.cover)
    if classifier is not None:
        with torch.inference_mode(False):
            judge = classifier_judge(classifier, map, classes, called)
            with undisturbed(classifier.network), torch.no_grad():
                curves[f"Classifier {classifier.name}"] = measure(image.detach().clone(), map, judge, covering, coverer)
    if diffusion.given:
        curves["Diffusion model"] = measure(image, map, diffusion_judge(diffusion, covering.seed), covering, coverer)
    if not curves:
        raise ValueError("There is nobody to ask: connect a classifier, or model, vae, target and contrast, or both.")
    return curves, coverer


def classifier_judge(classifier: Classifier, map: Map, classes: tuple[str, str], called: Callable[[int], None]) -> Judge:
    """The classifier's log-odds of pictures [n,H,W,3]."""
    target, contrast = classes if classes[0].strip() else (map.target_label, map.contrast_label)
    question = ask(classifier, target, "" if contrast == ANY_OTHER else contrast, called)
    device = classifier.load()
    return lambda pictures: question.margin(classifier.preprocessing.prepare(pictures).to(device)).cpu()


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
