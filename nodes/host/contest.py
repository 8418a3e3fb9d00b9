"""A contest of labels, held with a model: each label's prompt is encoded once, and predicted as long as the contest needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ..maths.answers.labels import fill_template, split_labels
from ..maths.answers.rivals import Contest
from ..maths.method.cases import few_levels
from ..maths.method.noising import NoisedLatents
from . import kept
from .cost import Say, log
from .loading.about_model import about_model
from .no_words import ask_without_words, encode
from .prediction import Conditioning
from .prompt_words import unseen_words
from .schedule import check_same_model

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP


@dataclass(frozen=True)
class Rules:
    """How a contest is held; the names are those of Rival Labels' inputs."""

    stop_early: bool
    confidence: float
    temperature: float = 1.0
    ask_no_words: bool = False


@dataclass(frozen=True, eq=False)
class Rounds:
    """What came of all rounds of a contest."""

    prompts: dict[str, Conditioning]
    """By label."""
    predictions: Sequence[Tensor]
    """Each label's [R,S,B,C,h,w], of which as many samples are there as the contest asked for."""
    effort: kept.Effort
    """What they cost."""


def begin_contest(model: ModelPatcher, noised: NoisedLatents, labels: str, template: str, rules: Rules) -> Contest:
    """A contest of the labels in a text, one in each line, with what is known of the model.

    Raises:
        ValueError: what `split_labels`, `fill_template` and `Contest` refuse, and noised latents of another model.
    """
    check_same_model(model, noised)
    names = split_labels(labels)
    unseen = unseen_words(model, fill_template(template, names))
    about = about_model(model)
    fitted = rules.temperature if rules.temperature != 1 else about.temperature or 1.0
    return Contest(noised, names, rules.confidence, rules.stop_early, fitted, about.own_pictures, unseen)


def hold_contest(
    contest: Contest, model: ModelPatcher, clip: CLIP, template: str, node_id: str, ask_no_words: bool = False, say: Say = log
) -> Rounds:
    """Predict round by round under every label that is still in, until the contest is decided; then without words, if asked to.

    Raises:
        ValueError: no text encoder, a template without {}, and what `predict` refuses.
    """
    labels = contest.labels
    prompts = [encode(clip, prompt) for prompt in fill_template(template, labels)]
    names = [f"CLIP's {label!r}" for label in labels]
    collection = kept.Collection(model, contest.noised, prompts, node_id, names=names, say=say)
    predictions: list[Tensor] = []
    while (levels := contest.levels()) is not None:
        collection.ask(levels)
        predictions = collection.arrays
        contest.look(predictions)
    contest.recognise(predictions)
    if ask_no_words and (few := few_levels(contest.in_common)):
        contest.compare_with_none(predictions, few, ask_without_words(model, few, encode(clip, ""), node_id))
    return Rounds(dict(zip(labels, prompts, strict=True)), predictions, collection.effort)
