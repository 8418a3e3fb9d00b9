"""How two prompts compare with no words at all, from predictions at few noise levels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..method.cases import Cases, FewLevels, compare_with_none
from ..method.order import Level
from ..method.prediction import NoisePredictions
from ..method.reached import reached_cells


def find_cases(predictions: NoisePredictions, few: FewLevels, empty: Tensor) -> Cases | None:
    """How both prompts compare with the empty one, whose predictions [R,S,B,C,h,w] are of the few levels, as far as asked.

    None if one of the prompts says the same as the empty one: it is then no rival of it. Only cells count that the empty prompt
    reaches as well.
    """
    both = few.of(predictions.target), few.of(predictions.contrast)
    asked, steps = few.noised.asked_steps, range(few.noised.steps)
    if any(torch.equal(prompt[:, asked], empty[:, asked].to(prompt.dtype)) for prompt in both):
        return None
    reached = torch.stack([reached_cells(few.noised, both, s) & reached_cells(few.noised, [empty], s) for s in steps])
    (target, target_error), (contrast, contrast_error) = (compare_with_none(few, prompt, empty, reached) for prompt in both)
    labels = predictions.target_label, predictions.contrast_label
    return Cases(target, contrast, target_error, contrast_error, *labels)


@dataclass(eq=False)
class UntilDecided:
    """The plan (`kept.Plan`) of an answer that was not asked to the end: a level at a time, until `Cases.decided`."""

    predictions: NoisePredictions
    few: FewLevels
    cases: Cases | None = None
    """What is known by now; None as well if one of the prompts says the same as the empty one."""
    patient = False

    @property
    def order(self) -> list[Level]:
        """The middle levels first."""
        return self.few.order

    @property
    def group(self) -> int:
        """A level's samples."""
        return self.few.noised.samples

    def enough(self, done: int, arrays: list[Tensor], bar: object = None) -> bool:
        """Whether more than the first `done` of the order would hardly change what is said of any image; shows nothing."""
        if done % self.group:
            return False
        self.cases = find_cases(self.predictions, self.few.first(done // self.group), arrays[0])
        return self.cases is None or bool(self.cases.decided.all())
