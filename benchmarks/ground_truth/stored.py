"""Answers put together again as the pack's own noise predictions, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ...nodes.maths.method.noising import NoisedLatents
from ...nodes.maths.method.prediction import NoisePredictions
from . import answers
from .cases import Case
from .questions import DEEP_SAMPLES, PAIR_OF_SAMPLES, SECOND_PAIR, MaskQuestion, Question, Setting, Spacing

FILES = {2: [PAIR_OF_SAMPLES], 4: [PAIR_OF_SAMPLES, SECOND_PAIR], 16: [PAIR_OF_SAMPLES, DEEP_SAMPLES]}


@dataclass(frozen=True, eq=False)
class Stored:
    """The answers of a setting in a folder; a stale one counts as missing."""

    setting: Setting
    folder: Path

    def read(self, question: Question | MaskQuestion) -> dict[str, Tensor] | None:
        """The answer's tensors, see `Bundled.answer`, or None if it is missing."""
        return answers.read(
            self.folder / question.file, self.setting.key(question, picture_bytes(question.case, self.setting.picture_size))
        )

    def predictions(
        self, case: Case, target: str, contrast: str, samples: int = 2, spacing: Spacing = "time"
    ) -> NoisePredictions | None:
        """A picture's noise predictions under two labels, or None if any is missing; `samples` is a key of FILES."""
        questions = {label: [Question(case, label, part, spacing) for part in FILES[samples]] for label in (target, contrast)}
        found = {label: [self.read(question) for question in asked] for label, asked in questions.items()}
        if any(answer is None for parts in found.values() for answer in parts):
            return None
        whole = replace(questions[target][0], samples=(0, samples))
        sigmas, x0 = self.setting.sigmas(spacing), found[target][0]["x0"]
        noised = NoisedLatents(
            x0=x0[None],
            noise=self.setting.noise(whole),
            sigmas=sigmas,
            alphas=torch.ones_like(sigmas),
            latent_scale=torch.ones(len(x0)),
            latent_shift=torch.zeros(len(x0)),
            antithetic=True,
        )
        joined = [torch.cat([part["predictions"] for part in found[label]])[:, :, None] for label in (target, contrast)]
        return NoisePredictions(noised, *joined, target, contrast)

    def mask(self, case: Case, maps: int, draw: int = 0) -> dict[str, Tensor] | None:
        """DiffEdit's "soft" map and "mask" [h,w], or None if it is missing."""
        return self.read(MaskQuestion(case, maps, draw))


@lru_cache(maxsize=4)
def picture_bytes(case: Case, size: int) -> bytes:
    return case.picture(size).tobytes()


def select(predictions: NoisePredictions, samples: Sequence[int], steps: Sequence[int]) -> NoisePredictions:
    """What would have been predicted with these samples and steps alone."""
    samples, steps, noised = list(samples), list(steps), predictions.noised
    antithetic = len(samples) % 2 == 0 and all(b == a + 1 and a % 2 == 0 for a, b in zip(samples[::2], samples[1::2]))
    chosen = replace(
        noised,
        noise=noised.noise[samples][:, steps],
        sigmas=noised.sigmas[steps],
        alphas=noised.alphas[steps],
        antithetic=antithetic,
    )
    target, contrast = (array[samples][:, steps] for array in (predictions.target, predictions.contrast))
    return replace(predictions, noised=chosen, target=target, contrast=contrast)
