"""What two prompts are called if no label is typed: their own words, read from the graph; a CONDITIONING has no words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os.path import commonprefix
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from comfy.sd1_clip import escape_important, token_weights, unescape_important

from ..maths.method.cases import unknown_words, unknown_words_note
from .loading.about_model import about_model

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy_execution.graph import DynamicPrompt

TEXT_INPUTS = ("text", "prompt", "text_g", "text_l", "clip_g", "clip_l", "t5xxl")
"""What nodes that encode a prompt call its text; those with several text encoders have an input for each."""
HELD_INPUTS = ("value", "text", "string", "prompt")
"""What nodes that do nothing but hold a text (PrimitiveString) call it."""
SAME_WORDS = {
    **dict.fromkeys(("FluxGuidance", "ConditioningSetTimestepRange", "ConditioningSetMask"), ("conditioning",)),
    "ConditioningSetProperties": ("cond_NEW",),
    **dict.fromkeys(("ConditioningSetArea", "ConditioningSetAreaPercentage", "ControlNetApply"), ("conditioning",)),
    **dict.fromkeys(("ControlNetApplyAdvanced", "ControlNetApplySD3", "InpaintModelConditioning"), ("positive", "negative")),
}
"""Nodes that pass a conditioning on with its words -> the input that each of their outputs comes from.

Others may change what it says (ConditioningZeroOut, ConditioningCombine): behind them nothing is known.
"""
AT_THE_ENDS = " ,.;:"
"""What may stand between words and the rest of their prompt."""
NO_WORDS = {"target": "no words at all", "contrast": "anything"}
"""What an empty prompt is called. An empty target is hardly ever intended."""

ADDED_INPUTS = ("lora_name", "ckpt_name", "control_net_name")
"""What nodes call the file of what one side may have and the other not: a LoRA, a model, a ControlNet."""


def side_labels(graph: DynamicPrompt, node: str, target_label: str, contrast_label: str) -> tuple[str, str]:
    """The labels that were typed for `node`, and for an empty one what its prompt says; empty if the graph does not show it.

    If both say the same, they are called by the LoRA or the like that only one has: "with detailer" and "without detailer".
    """
    target, contrast = (text and text.strip() for text in prompt_texts(graph, node))
    added = by_additions(graph, node) if target == contrast else None
    found = added or differing_words(target, contrast)
    return target_label.strip() or found[0] or "", contrast_label.strip() or found[1] or ""


def differing_words(target: Any, contrast: Any) -> tuple[Any, Any]:
    """The words of each prompt that the other one lacks, "zebra" of "a photo of a zebra"; links, which are not texts, stay links.

    Commas and the like at their ends are no part of them. Where nothing would be left of a prompt, both are called by all their
    words, and where these are the same, by their side as well.
    """
    if not isinstance(target, str) or not isinstance(contrast, str):
        return target, contrast
    ours, theirs = target.split(), contrast.split()
    head = len(commonprefix([ours, theirs]))
    tail = len(commonprefix([ours[head:][::-1], theirs[head:][::-1]]))
    own, others = (" ".join(words[head : len(words) - tail]) for words in (ours, theirs))
    bare = own.strip(AT_THE_ENDS), others.strip(AT_THE_ENDS)
    if all(bare) and bare[0] != bare[1]:
        return bare
    if own and others:
        return own, others
    if ours == theirs and ours:
        return f"{target.strip()} (target)", f"{contrast.strip()} (contrast)"
    return target.strip() or NO_WORDS["target"], contrast.strip() or NO_WORDS["contrast"]


def by_additions(graph: DynamicPrompt, node: str) -> tuple[str, str] | None:
    """What to call the sides of a node by the files that only one of them comes from; None if there are none."""
    ours, theirs = (additions(graph, node, side) for side in ("target", "contrast"))
    if ours == theirs:
        return None
    own, others = ([name for name in names if name not in rest] for names, rest in ((ours, theirs), (theirs, ours)))
    return with_or_without(own, others), with_or_without(others, own)


def with_or_without(own: list[str], others: list[str]) -> str:
    """What to call a side that has files of its `own`, or lacks what the other side has."""
    return f"with {' and '.join(own)}" if own else f"without {' and '.join(others)}"


def additions(graph: DynamicPrompt, node: str, side: str) -> list[str]:
    """The files that the conditioning at the input `side` of a node comes from, by `ADDED_INPUTS`, without folder and ending."""
    waiting, seen, found = [inputs_of(graph, node).get(side)], set(), set()
    while waiting:
        link = waiting.pop()
        if is_link(link) and str(link[0]) not in seen:
            seen.add(str(link[0]))
            inputs = inputs_of(graph, link[0])
            found |= {inputs[name] for name in ADDED_INPUTS if isinstance(inputs.get(name), str)}
            waiting.extend(inputs.values())
    return sorted(PureWindowsPath(name).stem for name in found)  # which knows both signs between folders


def prompt_texts(graph: DynamicPrompt, node: str) -> list[str | None]:
    """The texts of both prompts of a node, see `prompt_text`."""
    return [prompt_text(graph, node, side) for side in ("target", "contrast")]


def unseen_words(model: ModelPatcher, prompts: Iterable[str | None]) -> str:
    """A sentence on the words of prompts that a model was never shown, "" if there are none or its words are not known."""
    vocabulary = about_model(model).vocabulary
    if vocabulary is None:
        return ""
    return unknown_words_note(unknown_words(" ".join(map(without_weights, filter(None, prompts))), vocabulary))


def without_weights(prompt: str) -> str:
    """What the tokenizer is given of a prompt: of (zebra:1.2) the word alone, read by ComfyUI's own code."""
    parts = token_weights(escape_important(prompt), 1.0)
    return " ".join(unescape_important(text) for text, _ in parts)


def prompt_text(graph: DynamicPrompt, node: str, side: str) -> str | None:
    """The text that was encoded for the conditioning at the input `side` of a node; None if the graph doesn't show it."""
    while True:
        link = inputs_of(graph, node).get(side)
        if not is_link(link) or not graph.has_node(link[0]):
            return None
        node, output = link
        passed_on = SAME_WORDS.get(graph.get_node(node)["class_type"])
        if passed_on is None:
            return encoded_text(graph, node)
        side = passed_on[output] if output < len(passed_on) else ""


def encoded_text(graph: DynamicPrompt, node: str) -> str | None:
    """The text of a node that encodes one; where its encoders get different texts, all of them."""
    inputs = inputs_of(graph, node)
    texts = [typed_text(graph, inputs[name]) for name in TEXT_INPUTS if name in inputs]
    if not texts or None in texts:
        return None
    return ", ".join(dict.fromkeys(text for text in texts if text.strip()))


def typed_text(graph: DynamicPrompt, value: Any) -> str | None:
    """A text as it was typed, also in a node that does nothing but hold it; None if it is computed."""
    while is_link(value):
        held = inputs_of(graph, value[0])
        value = next((held[name] for name in HELD_INPUTS if name in held), None) if len(held) == 1 else None
    return value if isinstance(value, str) else None


def inputs_of(graph: DynamicPrompt, node: str) -> Mapping[str, Any]:
    return graph.get_node(node)["inputs"] if graph.has_node(node) else {}


def is_link(value: Any) -> bool:
    """Whether an input's value is [node id, number of the output]."""
    return isinstance(value, list) and len(value) == 2
