"""Noise predictions that are kept, so that changing one prompt predicts that prompt alone.

ComfyUI runs a node again as a whole when one of its inputs changes, and forgets its old output before that. So the last
run of every node that asks for predictions stays here: its noised latents, and each prompt's conditioning with its
predictions. A new run takes from the kept runs of the same MODEL object whatever was predicted for the same conditioning
at the same noised latent. Conditionings and noised latents are compared by content, not by name: a prompt that is typed again,
a second node that shares a prompt, more samples and more steps all find what is there, and nothing else is ever found.
A MODEL or a conditioning that was changed in place, instead of a copy of it, is detected by digests, which are taken when
predictions are kept and before they are used again. What a model answers that remembers earlier questions is not kept at all.
A run that is cancelled or fails keeps what was predicted until then, beside the node's last whole run.

Runs are kept only as long as ComfyUI keeps the model. For two prompts they are the arrays that ComfyUI's own cache holds
for the node anyway; those of deleted nodes are held only here. So the oldest runs are dropped if there are
more than `MOST_RUNS`, or if all of them with the new one take more than `MOST_MEMORY` of the machine's memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol, get_args
from weakref import WeakKeyDictionary

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ..maths.method.noising import NoisedLatents, shared_levels
from ..maths.method.order import Level, noised_order
from ..maths.method.prediction import Evaluation, Precision, predictions_shape
from . import fingerprint
from .cost import Say, cost_words, log
from .coverage import check_coverage, check_switched_on
from .patches import names_of_patches
from .prediction import Conditioning, ModelRemembersError, PromptPredictor

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

MOST_RUNS = 16
"""Runs kept for all models together."""
MOST_MEMORY = 1 / 8
"""Of the machine's memory that kept runs may take; the newest run stays however large it is."""


@dataclass(eq=False)
class _Kept:
    """What is known of one prompt's predictions."""

    prompt: Conditioning
    predictions: Tensor
    """[R,S,B,C,h,w] in either precision, filled where `known` says so."""
    known: Tensor
    """[R,S] bool."""
    digest: str = ""
    """Of the prompt's content as it was when this was kept."""

    def add(self, evaluations: list[Evaluation], images: int) -> None:
        """Note what the model has answered; a noised latent is known once it is so for all images."""
        for level, answers in Counter((sample, step) for sample, step, _ in evaluations).items():
            if answers == images:
                self.known[level] = True


@dataclass(eq=False)
class _Run:
    noised: NoisedLatents
    prompts: list[_Kept]
    model_digest: str = ""
    """Of the MODEL as it was when this was kept."""
    number: int = field(default_factory=count().__next__)
    """Rises from run to run."""

    def tensors(self) -> list[Tensor]:
        """What takes memory; some may be other runs' too."""
        return [self.noised.x0, self.noised.noise, *(kept.predictions for kept in self.prompts)]


@dataclass
class Effort:
    """What a collection cost."""

    wanted: int = 0
    """Predictions that were asked for: samples * steps * images, for every prompt."""
    predicted: int = 0
    """How many of them the model was asked for; the others were kept, or the prompts are the same."""
    calls: int = 0
    """Model calls that this took."""
    spared: int = 0
    """Predictions of the noised latents that were not needed, because a label was out before, or the answer had settled."""
    uncovered: float = 0.0
    """The share of the picture that no prompt reaches, by areas and masks; there the predictions mean nothing."""

    def __str__(self) -> str:
        kept = self.wanted - self.predicted
        spared = f" {self.spared} more were not needed." if self.spared else ""
        words = f"Predicted {self.predicted} of {self.wanted} in {self.calls} model calls, {kept} were there already.{spared}"
        if self.uncovered:
            words += (
                f"\n\nNo prompt reaches {100 * self.uncovered:.3g} % of the picture (areas and masks). There the difference is "
                "0, which says nothing; the maps are about the rest."
            )
        return words


_runs: WeakKeyDictionary[ModelPatcher, dict[str, _Run]] = WeakKeyDictionary()


def collect(
    model: ModelPatcher,
    noised: NoisedLatents,
    target: Conditioning,
    contrast: Conditioning,
    node_id: str,
    precision: Precision = "float16",
    plan: Plan | None = None,
    say: Say = log,
) -> tuple[Tensor, Tensor, Effort]:
    """The predictions under both prompts, each [R,S,B,C,h,w], and what they cost; the model is asked only for what is new.

    Prompts of the same content are predicted once and come back as one and the same array, so their difference is zero.
    Without a plan everything is predicted. What that costs is said before it begins.

    Raises:
        ValueError: see `PromptPredictor` and `check_coverage`.
    """
    collection = Collection(model, noised, [target, contrast], node_id, precision, ("target", "contrast"), say)
    if plan is None:
        collection.predict([noised.samples] * 2)
    else:
        collection.ask([plan.order] * 2, plan)
    under_target, under_contrast = collection.arrays
    return under_target, under_contrast, collection.effort


class Plan(Protocol):
    """What to ask at most, and when it is enough."""

    order: list[Level]
    """What to ask about, in this order."""
    group: int
    """How many noise samples of a step are asked about together."""
    patient: bool
    """Whether everything is asked in the end, so that the rounds may be as long as a model call."""

    def enough(self, done: int, arrays: list[Tensor], bar: comfy.utils.ProgressBar) -> bool:
        """Whether the first `done` of the order are enough, of `Collection.arrays`; the bar may show what there is."""


class Collection:
    """The predictions of a node's run under any number of prompts, of which each may need samples of its own number.

    What is kept of earlier runs is looked up once; prompts of the same content share an array. The progress bar is over all
    samples of all prompts. Half precision halves the memory and moves maps a hundred times less than other noise does
    (`benchmarks.precision`). Errors call the prompts by their `names`.

    Raises:
        ValueError: an unknown precision; see also `check_coverage`.
    """

    def __init__(
        self,
        model: ModelPatcher,
        noised: NoisedLatents,
        prompts: Sequence[Conditioning],
        node_id: str,
        precision: Precision = "float16",
        names: Sequence[str] = (),
        say: Say = log,
    ) -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"The precision is {precision!r}; expected one of {', '.join(get_args(Precision))}.")
        names = names or [f"prompt {number}" for number in range(1, len(prompts) + 1)]
        self._uncovered = check_coverage(model, noised, dict(zip(names, prompts, strict=True)))
        self.model, self.noised, self.node_id, self._say = model, noised, node_id, say
        same_as = [next(i for i, other in enumerate(prompts) if same_content(prompt, other)) for prompt in prompts]
        distinct = sorted(set(same_as))
        self._places = [distinct.index(first) for first in same_as]
        self._distinct = range(len(distinct))
        _forget_changed(model)
        self._prompts = [_recall(model, noised, prompts[first], getattr(torch, precision)) for first in distinct]
        self._names = [names[first] for first in distinct]
        self._run = _Run(noised, self._prompts)
        self._asked = [0] * len(prompts)
        self._effort = Effort()
        self._predictors = [
            PromptPredictor(model, noised, kept.prompt, kept.predictions, self._called, name=name)
            for kept, name in zip(self._prompts, self._names, strict=True)
        ]
        missing = sum(int((~kept.known).sum()) for kept in self._prompts) * noised.images
        self._bar = comfy.utils.ProgressBar(missing)

    @property
    def arrays(self) -> list[Tensor]:
        """Each prompt's predictions [R,S,B,C,h,w] as far as they are known; elsewhere they are 0."""
        return [self._prompts[place].predictions for place in self._places]

    @property
    def effort(self) -> Effort:
        """What all calls of `predict` and `ask` cost together."""
        images = self.noised.images
        wanted = sum(self._asked) * images
        spared = len(self._asked) * self.noised.samples * self.noised.steps * images - wanted
        return Effort(wanted, self._effort.predicted, self._effort.calls, spared, self._uncovered)

    def predict(self, samples: Sequence[int]) -> list[Tensor]:
        """Each prompt's predictions [R,S,B,C,h,w], of which the first `samples[prompt]` samples are sure to be there.

        Raises:
            ValueError: see `PromptPredictor`.
        """
        order = noised_order(self.noised, self.noised.samples)
        self.ask([[level for level in order if level[0] < count] for count in samples])
        return self.arrays

    def ask(self, wanted: Sequence[list[Level]], plan: Plan | None = None) -> None:
        """Predict each prompt's `wanted` in their order, all prompts side by side, until the plan says that it is enough.

        Raises:
            ValueError: see `PromptPredictor`.
        """
        _make_room(self._run)
        same = [[levels for levels, own in zip(wanted, self._places, strict=True) if own == place] for place in self._distinct]
        longest = [max(lists, key=len) for lists in same]
        for kept, name, levels in zip(self._prompts, self._names, longest, strict=True):  # before the first call of all rounds
            check_switched_on(self.model, self.noised, kept.prompt, {step for _, step in levels}, name)
        self._say_cost(longest, plan)
        try:
            done = self._ask_in_rounds(longest, plan)
        except ModelRemembersError:
            _runs.pop(self.model, None)
            raise
        except BaseException:  # cancelled, or failed
            self._note()
            if some := [kept for kept in self._prompts if kept.known.any()]:
                _keep(self.model, f"{self.node_id}, stopped", _Run(self.noised, some))
            raise
        self._asked = [max(before, min(done, len(levels))) for before, levels in zip(self._asked, wanted, strict=True)]
        _forget(f"{self.node_id}, stopped")
        _keep(self.model, self.node_id, self._run)

    def _say_cost(self, wanted: list[list[Level]], plan: Plan | None) -> None:
        """Say before the first call how much is asked for at most: what the plan wants; without one, more may follow."""
        missing = self._bar.total
        if plan is not None:
            missing = sum(len(self._missing(kept, levels)) for kept, levels in zip(self._prompts, wanted, strict=True))
        if missing and not self._effort.calls:
            call = min(self._predictors[0].call, missing)
            memory = self.model.model.memory_required([call, *self.noised.x0.shape[1:]])
            self._say(cost_words(self.noised, missing, call, memory), self.node_id)

    def _ask_in_rounds(self, wanted: list[list[Level]], plan: Plan | None) -> int:
        """Ask for the same part of every prompt's list, round by round; returns how long that part is at the end."""
        done, stop = 0, False
        for end in self._rounds(max(wanted, key=len), plan):
            stop = end == max(map(len, wanted))
            for kept, predictor, levels in zip(self._prompts, self._predictors, wanted, strict=True):
                predictor.ask(self._missing(kept, levels[done:end]), last=stop)
                self._note()
            done = end
            if plan is not None and plan.enough(done, self.arrays, self._bar):
                break
        if not stop:
            for predictor in self._predictors:
                predictor.ask([], last=True)
            self._note()
        if self._bar.current < self._bar.total and self._effort.predicted and plan is not None:
            self._bar.update_absolute(self._bar.current, self._bar.current)  # it stopped early: the bar is full all the same
        return done

    def _rounds(self, wanted: list[Level], plan: Plan | None) -> list[int]:
        """Where each round ends. There is one alone if nobody waits for a part, or what is attached counts on whole runs.

        The first is 1 noised latent, so that there is something to see. A patient plan then has 1, 2, 4 and so on that are new,
        up to a model call; after a cancelled run it has the rounds that were left, so that the answer is the same to the last
        bit. Another plan has a group at a time, so that it stops at the same place whatever is known.
        """
        if plan is None or (plan.patient and not all(predictor.bare for predictor in self._predictors)):
            return [len(wanted)]
        if not plan.patient:
            return sorted({1, *range(plan.group, len(wanted), plan.group), len(wanted)})
        new = [place for place, level in enumerate(wanted, 1) if not all(kept.known[level] for kept in self._prompts)]
        call = max(1, self._predictors[0].call // self.noised.images)
        known = len(wanted) - len(new)
        if new == list(range(known + 1, len(wanted) + 1)):
            return [end for end in _growing(len(wanted), call) if end > known] or [len(wanted)]
        return [*(new[end - 1] for end in _growing(len(new), call) if end < len(new)), len(wanted)]

    def _missing(self, kept: _Kept, levels: list[Level]) -> list[Evaluation]:
        """Step by step, so that neighbours share their noise level."""
        missing = sorted((level for level in levels if not kept.known[level]), key=lambda level: level[::-1])
        return [(*level, image) for level in missing for image in range(self.noised.images)]

    def _note(self) -> None:
        """Note what is known by now, and may be kept."""
        for kept, predictor in zip(self._prompts, self._predictors, strict=True):
            kept.add(predictor.answered, self.noised.images)

    def _called(self, count: int) -> None:
        self._effort.predicted += count
        self._effort.calls += 1
        self._bar.update(count)


def forget_all() -> None:
    """Let go of all runs, so that a model is asked for everything again."""
    _runs.clear()


def same_content(first: object, second: object) -> bool:
    """Whether two conditionings hold the same values; things that are not plain data (control nets, hooks) by identity."""
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


def _growing(count: int, most: int) -> list[int]:
    """Where rounds of 1, 1, 2, 4 and so on end, none longer than `most`, until `count` is reached."""
    ends = [0]
    while ends[-1] < count:
        ends.append(min(count, ends[-1] + min(max(1, ends[-1]), most)))
    return ends[1:]


def _recall(model: ModelPatcher, noised: NoisedLatents, prompt: Conditioning, dtype: torch.dtype) -> _Kept:
    """Everything that the kept runs know of a prompt's predictions; an array that has all of them is taken as it is.

    What was kept in float16 is not known in float32, and what would be too large for float16 is not known in that.
    """
    digest = fingerprint.of_conditioning(prompt) if _runs.get(model) else ""
    predictions = torch.zeros(predictions_shape(noised), dtype=dtype)
    known = torch.zeros(predictions.shape[:2], dtype=torch.bool)
    for run in _runs.get(model, {}).values():
        for kept in run.prompts:
            if (
                kept.digest != digest
                or not same_content(prompt, kept.prompt)
                or kept.predictions.dtype not in (dtype, torch.float32)
            ):
                continue
            levels = {own: other for own, other in shared_levels(noised, run.noised).items() if kept.known[other]}
            same_array = kept.predictions.shape == predictions.shape and kept.predictions.dtype == dtype
            if same_array and _is_everything(levels, noised):
                return _Kept(prompt, kept.predictions, kept.known)
            for own, other in levels.items():
                predictions[own] = kept.predictions[other]
                known[own] = bool(torch.isfinite(predictions[own]).all())
    return _Kept(prompt, predictions, known)


def _is_everything(levels: dict[tuple[int, int], tuple[int, int]], noised: NoisedLatents) -> bool:
    return len(levels) == noised.samples * noised.steps and all(level == other for level, other in levels.items())


def _forget_changed(model: ModelPatcher) -> None:
    """Let go of what a model predicted before it was changed in place."""
    if runs := _runs.get(model):
        now = fingerprint.of_model(model)
        for node_id in [node_id for node_id, run in runs.items() if run.model_digest != now]:
            del runs[node_id]


def _forget(node_id: str) -> None:
    for runs in _runs.values():
        runs.pop(node_id, None)


def _keep(model: ModelPatcher, node_id: str, run: _Run) -> None:
    _forget(node_id)
    if not run.model_digest or names_of_patches(model):  # the weights of a bare model do not change while a node runs
        run.model_digest = fingerprint.of_model(model)
    for kept in run.prompts:
        kept.digest = fingerprint.of_conditioning(kept.prompt)
    _runs.setdefault(model, {})[node_id] = run
    _make_room(run)


def _make_room(run: _Run) -> None:
    """Let go of the runs that were made longest ago, until the others and this one are few and small enough."""
    room = comfy.model_management.get_total_memory(torch.device("cpu")) * MOST_MEMORY
    others = [(other.number, node_id, runs) for runs in _runs.values() for node_id, other in runs.items() if other is not run]
    for _, node_id, runs in sorted(others, key=lambda other: other[0]):
        kept = [run, *(other for runs in _runs.values() for other in runs.values() if other is not run)]
        if len(kept) <= MOST_RUNS and bytes_of(tensor for one in kept for tensor in one.tensors()) <= room:
            break
        del runs[node_id]


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """The memory that tensors take; those that share it are counted once."""
    storages = {storage.data_ptr(): storage.nbytes() for storage in (tensor.untyped_storage() for tensor in tensors)}
    return sum(storages.values())
