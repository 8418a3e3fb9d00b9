"""What nodes attach to a MODEL and runs while it predicts, and whether that gives the same answer twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from torch.utils.hooks import RemovableHandle

GUIDANCE = {
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "denoise_mask_function",
}
"""Model options that act while sampling, on what guidance makes of several predictions, and so never here."""

UNUSED_OPTIONS = {"transformer_options", "disable_cfg1_optimization"} | GUIDANCE
"""Model options that change nothing here, or that are looked at one by one."""

AROUND_GUIDANCE = {"predict_noise"}
"""Kinds of wrappers around guidance: they are never called here."""

BETWEEN_PROMPTS = {"NAGuidance"}
"""Nodes whose patches of the network do nothing unless a call holds a positive and a negative prompt, as none does here."""

COMPILED = "torch.compile"
"""The key of ComfyUI's wrapper for compiled models, whose layers can't be counted."""


def names_of_patches(model: ModelPatcher) -> list[str]:
    """What is attached to a model and may change how it predicts, by the names that people know; empty for a bare model.

    LoRAs and other patches of weights are not among them: those are weights like others.
    """
    options = model.model_options
    others = {key: value for key, value in options.items() if key not in UNUSED_OPTIONS}
    hung = [options.get("transformer_options", {}), others, *model.wrappers.values(), *model.callbacks.values(), model.injections]
    found = [name for part in hung for name in _named("", part)]
    found += [name for name in model.object_patches if name.startswith("diffusion_model")]
    return [name for name in dict.fromkeys(found) if name not in BETWEEN_PROMPTS]


def names_of_guidance(model: ModelPatcher) -> list[str]:
    """What is attached to a model and acts only in sampling."""
    found = [*_named("", {key: value for key, value in model.model_options.items() if key in GUIDANCE})]
    found += [name for kind in AROUND_GUIDANCE for name in _named("", model.wrappers.get(kind, {}))]
    found += [name for name in _named("", model.model_options.get("transformer_options", {})) if name in BETWEEN_PROMPTS]
    return [*dict.fromkeys(found)]


def _named(name: str, value: Any) -> Iterator[str]:
    """The names of everything in nested dicts and lists: of a function what made it, a node's class mostly, else its key."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _named(key if isinstance(key, str) else name, part)
    elif isinstance(value, (list, tuple)) and (not value or any(map(callable, value))):
        for part in value:
            yield from _named(name, part)
    elif value is not None:
        maker, _, within = getattr(value, "__qualname__", "").partition(".")
        yield maker if within and maker != "ModelPatcher" else name or maker or type(value).__name__


class Layers:
    """Counts how many of a network's layers run, so that an answer for which fewer ran than for others is noticed."""

    def __init__(self, network: torch.nn.Module | None) -> None:
        self.network = network
        self._ran: Counter[str] = Counter()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count while this is open."""
        hooks = _before_layers(self.network, lambda *_: self._ran.update(["layer"]))
        if self.network is not None:
            hooks.append(self.network.register_forward_pre_hook(lambda *_: self._ran.update(["network"])))
        with _taken_off(hooks):
            yield

    def take(self) -> float:
        """The layers that ran in each pass through the network since the last time; 0 if no layer ran."""
        share = self._ran["layer"] / max(self._ran["network"], 1)
        self._ran.clear()
        return share


@contextmanager
def interruptible(network: torch.nn.Module | None) -> Iterator[None]:
    """Let a cancelled run stop before the next layer: on a CPU, one call of a large model takes a minute or more."""
    with _taken_off(_before_layers(network, lambda *_: comfy.model_management.throw_exception_if_processing_interrupted())):
        yield


def _before_layers(network: torch.nn.Module | None, act: Callable[..., None]) -> list[RemovableHandle]:
    """What is to happen before each layer of a network runs; nothing for None."""
    if network is None:
        return []
    leaves = [part for part in network.modules() if next(part.children(), None) is None and part is not network]
    return [leaf.register_forward_pre_hook(act) for leaf in leaves]


@contextmanager
def _taken_off(hooks: list[RemovableHandle]) -> Iterator[None]:
    """Take hooks off a network at the end, whatever happens."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def countable(model: ModelPatcher) -> bool:
    """Whether a model's layers may have hooks: they would make a compiled one be compiled again."""
    compiled = any(COMPILED in keyed for keyed in model.wrappers.values())
    return not compiled and not any(name.startswith("diffusion_model") for name in model.object_patches)
