"""A contest of labels, held with a model: each label's prompt is encoded once, and predicted as long as the contest needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ..maths.answers.rivals import Contest, fill_template
from . import kept
from .prediction import Conditioning

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP


@dataclass(frozen=True, eq=False)
class Rounds:
    """What came of all rounds of a contest."""

    prompts: dict[str, Conditioning]
    """By label."""
    predictions: Sequence[Tensor]
    """Each label's [R,S,B,C,h,w], of which as many samples are there as the contest asked for."""
    effort: kept.Effort
    """What they cost."""


def hold_contest(contest: Contest, model: ModelPatcher, clip: CLIP, template: str, node_id: str) -> Rounds:
    """Predict round by round under every label that is still in, until the contest is decided.

    Raises:
        ValueError: no text encoder, a template without {}, and what `predict` refuses.
    """
    labels = contest.labels
    prompts = [encode(clip, prompt) for prompt in fill_template(template, labels)]
    names = [f"CLIP's {label!r}" for label in labels]
    collection = kept.Collection(model, contest.noised, prompts, node_id, names=names)
    predictions: list[Tensor] = []
    while (samples := contest.needed()) is not None:
        predictions = collection.predict(samples)
        contest.look(predictions)
    return Rounds(dict(zip(labels, prompts, strict=True)), predictions, collection.effort)


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
