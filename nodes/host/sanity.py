"""Asks a model, and its shuffled clone, everything that a sanity check needs to know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import comfy.utils
import torch
from torch import Tensor

from ..maths.answers.sanity import Answers
from ..maths.method.noising import NoisedLatents
from ..maths.method.prediction import NoisePredictions, list_evaluations, predictions_shape, side_names
from .coverage import check_coverage
from .loading.about_model import about_model
from .prediction import Conditioning, check_conditioning, predict
from .randomised import shuffled_weights

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


@dataclass(frozen=True, eq=False)
class Question:
    """Two prompts and what to call them, and either in other words, if there are any.

    Raises:
        ValueError: a prompt that is not a conditioning.
    """

    target: Conditioning
    contrast: Conditioning
    target_label: str
    contrast_label: str
    target_paraphrase: Conditioning | None = None
    contrast_paraphrase: Conditioning | None = None

    def __post_init__(self) -> None:
        check_conditioning(self.target, "target")
        check_conditioning(self.contrast, "contrast")
        if self.reworded:
            check_conditioning(self.reworded[0], "target paraphrase")
            check_conditioning(self.reworded[1], "contrast paraphrase")

    @property
    def reworded(self) -> tuple[Conditioning, Conditioning] | None:
        """Both prompts in other words; a prompt without other words stays as it is. None if neither has any."""
        if self.target_paraphrase is None and self.contrast_paraphrase is None:
            return None
        return self.target_paraphrase or self.target, self.contrast_paraphrase or self.contrast

    @property
    def evaluations(self) -> int:
        """How many predictions are made of each noised latent."""
        return 8 if self.reworded else 6


@dataclass(frozen=True, eq=False)
class Interview:
    """Asks about the same noised latents again and again, nothing taken from earlier runs."""

    noised: NoisedLatents
    labels: tuple[str, str]
    bar: comfy.utils.ProgressBar

    def ask(self, model: ModelPatcher, target: Conditioning, contrast: Conditioning, kind: str = "") -> NoisePredictions:
        """The predictions under both prompts; `kind` is what errors add to their names."""
        both = self._predict(model, target, f"target{kind}"), self._predict(model, contrast, f"contrast{kind}")
        return NoisePredictions(self.noised, *both, *self.labels, own_pictures=about_model(model).own_pictures)

    def _predict(self, model: ModelPatcher, prompt: Conditioning, name: str) -> Tensor:
        predictions = torch.empty(predictions_shape(self.noised))
        predict(model, self.noised, prompt, predictions, list_evaluations(self.noised), self.bar.update, name=name)
        return predictions


def ask_all(model: ModelPatcher, noised: NoisedLatents, question: Question, seed: int) -> Answers:
    """What the model says to both prompts, swapped, and in other words, and with its weights shuffled by the seed.

    Raises:
        ValueError: what `check_coverage`, `predict` and `shuffled_weights` refuse.
    """
    prompts = question.target, question.contrast, *(question.reworded or ())
    check_coverage(model, noised, dict(zip(("target", "contrast", "target paraphrase", "contrast paraphrase"), prompts)))
    labels = side_names(question.target_label, question.contrast_label)
    bar = comfy.utils.ProgressBar(len(list_evaluations(noised)) * question.evaluations)
    ask = Interview(noised, labels, bar).ask
    first = ask(model, question.target, question.contrast)
    swapped = replace(ask(model, question.contrast, question.target), target_label=labels[1], contrast_label=labels[0])
    paraphrased = ask(model, *question.reworded, "_paraphrase") if question.reworded else None
    with shuffled_weights(model, seed) as shuffled:
        randomised = ask(shuffled, question.target, question.contrast)
    return Answers(first, swapped, randomised, paraphrased)
