"""Noise predictions that are kept, so that changing one prompt predicts that prompt alone.

ComfyUI runs a node again as a whole when one of its inputs changes, and forgets its old output before that. So the last
run of every Collect Noise Predictions node stays here: its noised latents, and each prompt's conditioning with its
predictions. A new run takes from the kept runs of the same MODEL object whatever was predicted for the same conditioning
at the same noised latent. Conditionings and noised latents are compared by content, not by name: a prompt that is typed again,
a second node that shares a prompt, more samples and more steps all find what is there, and nothing else is ever found.

Kept are the arrays that ComfyUI's own cache holds for the node anyway, of at most `MOST_RUNS` nodes, and only as long as
ComfyUI keeps the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import comfy.utils
import torch
from torch import Tensor

from ..maths.noising import NoisedLatents, shared_levels
from ..maths.prediction import Evaluation, list_evaluations, predictions_shape
from .prediction import Conditioning, predict

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

MOST_RUNS = 8
"""Runs kept for a model; the one that was made longest ago goes first."""


@dataclass(frozen=True, eq=False)
class _Run:
    noised: NoisedLatents
    prompts: list[tuple[Conditioning, Tensor]]


@dataclass
class Effort:
    """What a collection cost."""

    wanted: int
    """Predictions that were asked for: samples * steps * images * 2 prompts."""
    predicted: int = 0
    """How many of them the model was asked for; the others were kept, or the prompts are the same."""
    calls: int = 0
    """Model calls that this took."""

    def __str__(self) -> str:
        kept = self.wanted - self.predicted
        return f"Predicted {self.predicted} of {self.wanted} in {self.calls} model calls, {kept} were there already."


_runs: WeakKeyDictionary[ModelPatcher, dict[str, _Run]] = WeakKeyDictionary()


def collect(
    model: ModelPatcher, noised: NoisedLatents, target: Conditioning, contrast: Conditioning, node_id: str
) -> tuple[Tensor, Tensor, Effort]:
    """The predictions under both prompts, each [R,S,B,C,h,w], and what they cost; the model is asked only for what is new.

    Prompts of the same content are predicted once and come back as one and the same array, so their difference is zero.

    Raises:
        ValueError: see `predict`.
    """
    prompts = [target] if same_content(target, contrast) else [target, contrast]
    arrays = [_recall(model, noised, prompt) for prompt in prompts]
    effort = Effort(wanted=2 * len(list_evaluations(noised)))
    bar = comfy.utils.ProgressBar(sum(len(missing) for _, missing in arrays))

    def called(count: int) -> None:
        effort.predicted += count
        effort.calls += 1
        bar.update(count)

    for prompt, (predictions, missing) in zip(prompts, arrays, strict=True):
        predict(model, noised, prompt, predictions, missing, called)
    _keep(model, node_id, _Run(noised, [(prompt, array) for prompt, (array, _) in zip(prompts, arrays, strict=True)]))
    return arrays[0][0], arrays[-1][0], effort


def same_content(first: object, second: object) -> bool:
    """Whether two conditionings hold the same values; things that are no plain data (control nets, hooks) by identity."""
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, Tensor):
        return first.device == second.device and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same_content(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same_content, first, second))
    return isinstance(first, (bool, int, float, str)) and first == second


def _recall(model: ModelPatcher, noised: NoisedLatents, prompt: Conditioning) -> tuple[Tensor, list[Evaluation]]:
    predictions = torch.empty(predictions_shape(noised))
    known: set[tuple[int, int]] = set()
    for run in _runs.get(model, {}).values():
        for array in (array for other, array in run.prompts if same_content(prompt, other)):
            levels = shared_levels(noised, run.noised)
            if array.shape == predictions.shape and _is_everything(levels, noised):
                return array, []
            for (sample, step), (other_sample, other_step) in levels.items():
                predictions[sample, step] = array[other_sample, other_step]
            known |= levels.keys()
    return predictions, [evaluation for evaluation in list_evaluations(noised) if evaluation[:2] not in known]


def _is_everything(levels: dict[tuple[int, int], tuple[int, int]], noised: NoisedLatents) -> bool:
    return len(levels) == noised.samples * noised.steps and all(level == other for level, other in levels.items())


def _keep(model: ModelPatcher, node_id: str, run: _Run) -> None:
    for runs in _runs.values():
        runs.pop(node_id, None)
    runs = _runs.setdefault(model, {})
    runs[node_id] = run
    if len(runs) > MOST_RUNS:
        del runs[next(iter(runs))]
