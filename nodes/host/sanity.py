"""Asks a model, and its shuffled clone, everything that a sanity check needs to know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import comfy.utils
import torch
from torch import Tensor

from ..maths.answers.no_words import find_cases
from ..maths.answers.sanity import Answers
from ..maths.method.cases import FewLevels, few_levels
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
    """Two prompts and what to call them, either in other words, and the empty prompt, if there are any.

    Raises:
        ValueError: a prompt that is not a conditioning.
    """

    target: Conditioning
    contrast: Conditioning
    target_label: str
    contrast_label: str
    target_paraphrase: Conditioning | None = None
    contrast_paraphrase: Conditioning | None = None
    no_words: Conditioning | None = None
    unseen: str = ""
    """A sentence on words that the model was never shown, see `NoisePredictions`."""

    def __post_init__(self) -> None:
        check_conditioning(self.target, "target")
        check_conditioning(self.contrast, "contrast")
        if self.reworded:
            check_conditioning(self.reworded[0], "target paraphrase")
            check_conditioning(self.reworded[1], "contrast paraphrase")
        if self.no_words is not None:
            check_conditioning(self.no_words, "no_words")

    @property
    def reworded(self) -> tuple[Conditioning, Conditioning] | None:
        """Both prompts in other words; a prompt without other words stays as it is. None if neither has any."""
        if self.target_paraphrase is None and self.contrast_paraphrase is None:
            return None
        return self.target_paraphrase or self.target, self.contrast_paraphrase or self.contrast

    def few(self, noised: NoisedLatents) -> FewLevels | None:
        """Where the model is asked without words; None if it is not."""
        return None if self.no_words is None else few_levels(noised)

    def evaluations(self, noised: NoisedLatents) -> int:
        """How many predictions are made."""
        few = self.few(noised)
        without_words = 0 if few is None else len(list_evaluations(few.noised))
        return (8 if self.reworded else 6) * len(list_evaluations(noised)) + without_words


@dataclass(frozen=True, eq=False)
class Interview:
    """Asks about the same noised latents again and again, nothing taken from earlier runs."""

    noised: NoisedLatents
    labels: tuple[str, str]
    bar: comfy.utils.ProgressBar

    def ask(self, model: ModelPatcher, target: Conditioning, contrast: Conditioning, kind: str = "") -> NoisePredictions:
        """The predictions under both prompts; `kind` is what errors add to their names."""
        prompts = {f"target{kind}": target, f"contrast{kind}": contrast}
        both = (self._predict(model, self.noised, prompt, name) for name, prompt in prompts.items())
        return NoisePredictions(self.noised, *both, *self.labels, own_pictures=about_model(model).own_pictures)

    def compare_with_no_words(
        self, model: ModelPatcher, first: NoisePredictions, few: FewLevels, no_words: Conditioning
    ) -> NoisePredictions:
        """The predictions with `cases`, see `find_cases`."""
        empty = self._predict(model, few.noised, no_words, "no_words")
        return replace(first, cases=find_cases(first, few, empty))

    def _predict(self, model: ModelPatcher, noised: NoisedLatents, prompt: Conditioning, name: str) -> Tensor:
        predictions = torch.empty(predictions_shape(noised))
        predict(model, noised, prompt, predictions, list_evaluations(noised), self.bar.update, name=name)
        return predictions


def ask_all(model: ModelPatcher, noised: NoisedLatents, question: Question, seed: int) -> Answers:
    """What the model says to both prompts, swapped, in other words, without words, and with its weights shuffled by the seed.

    Raises:
        ValueError: what `check_coverage`, `predict` and `shuffled_weights` refuse.
    """
    prompts = question.target, question.contrast, *(question.reworded or ())
    check_coverage(model, noised, dict(zip(("target", "contrast", "target paraphrase", "contrast paraphrase"), prompts)))
    labels = side_names(question.target_label, question.contrast_label)
    asked, few = question.evaluations(noised), question.few(noised)
    interview = Interview(noised, labels, comfy.utils.ProgressBar(asked))
    first = replace(interview.ask(model, question.target, question.contrast), unseen=question.unseen)
    swapped = interview.ask(model, question.contrast, question.target)
    swapped = replace(swapped, target_label=labels[1], contrast_label=labels[0])
    paraphrased = interview.ask(model, *question.reworded, "_paraphrase") if question.reworded else None
    if few is not None and question.no_words is not None:
        first = interview.compare_with_no_words(model, first, few, question.no_words)
    with shuffled_weights(model, seed) as shuffled:
        randomised = interview.ask(shuffled, question.target, question.contrast)
    return Answers(first, swapped, randomised, paraphrased, 0 if few is None else len(list_evaluations(few.noised)))
