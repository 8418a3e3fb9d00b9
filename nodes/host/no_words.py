"""Asks a model without words as well, at few noise levels, to see whether labels describe the picture better than none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from ..maths.answers.no_words import UntilDecided, find_cases
from ..maths.method.cases import FewLevels, few_levels
from ..maths.method.prediction import NoisePredictions
from . import kept
from .prediction import Conditioning, check_conditioning
from .schedule import check_same_model

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP


def compare_with_no_words(
    model: ModelPatcher, predictions: NoisePredictions, no_words: Conditioning | None, node_id: str
) -> NoisePredictions:
    """The predictions with `cases`, see `find_cases`; as they are if there is no empty prompt to ask about.

    Raises:
        ValueError: what is not a conditioning, and what `predict` refuses.
    """
    few = few_levels(predictions.noised)
    if no_words is None or few is None:
        return predictions
    check_conditioning(no_words, "no_words")
    if predictions.noised.asked is None:
        cases = find_cases(predictions, few, ask_without_words(model, few, no_words, node_id))
    else:
        plan = UntilDecided(predictions, few)
        collection_without_words(model, few, no_words, node_id).ask([plan.order], plan)
        cases = plan.cases
    return replace(predictions, cases=cases)


def compare_if_asked(
    model: ModelPatcher | None, clip: CLIP | None, predictions: NoisePredictions, node_id: str
) -> NoisePredictions:
    """The same for a node that has the text encoder, and a switch that is on.

    Raises:
        ValueError: a model or a text encoder is missing, or the model is not the predictions'.
    """
    if model is None:
        raise ValueError("ask_no_words is on and the MODEL is missing. Connect the model of the predictions, or switch it off.")
    check_same_model(model, predictions.noised)
    return compare_with_no_words(model, predictions, encode(clip, ""), node_id)


def encode(clip: CLIP | None, text: str) -> Conditioning:
    """A prompt as core's CLIP Text Encode gives it.

    Raises:
        ValueError: no text encoder.
    """
    if clip is None:
        raise ValueError(
            "The CLIP is missing: the file of the model holds no text encoder. Connect one that belongs to it, from CLIPLoader."
        )
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def ask_without_words(model: ModelPatcher, few: FewLevels, no_words: Conditioning, node_id: str) -> Tensor:
    """What the model predicts at the few levels under the empty prompt, [R,S,B,C,h,w]; what is kept is not asked again."""
    return collection_without_words(model, few, no_words, node_id).predict([few.noised.samples])[0]


def collection_without_words(model: ModelPatcher, few: FewLevels, no_words: Conditioning, node_id: str) -> kept.Collection:
    """The predictions under the empty prompt, of which what is kept is there."""
    return kept.Collection(model, few.noised, [no_words], f"{node_id}, no words", names=["no_words"])
