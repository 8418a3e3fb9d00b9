"""Whole contests of Rival Labels on held-out drawings, with every label that the bundled model knows.

What does it save to leave labels out that are clearly behind, and how often is the right one among them? Shapes: R noise samples,
S steps, C latent channels, h w latent size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...bundled.scenes import CLASSES, PAIRS
from ...nodes.maths.answers import rivals
from ...nodes.maths.method import noising
from ...nodes.maths.method.noising import NoisedLatents
from ...nodes.maths.method.order import Level
from ...training.finished import Model
from ...training.intervals import share
from ..ground_truth import records
from ..ground_truth.bundled import CHUNK, Bundled
from ..ground_truth.cases import Case, twins
from ..ground_truth.questions import Question, Setting, prompt_of
from ..ground_truth.stored import Stored
from ..statistics import intervals
from ..tables import Table
from .subjects import Asking

SAMPLES, STORED_SAMPLES = 8, 4
"""In antithetic pairs; of the latter many answers are kept under the drawing's own label and its twin's."""

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Contests:
    """The model that is asked, and where the contests' records are kept."""

    asking: Asking
    folder: Path

    def hold(self, drawn: Sequence[Case]) -> None:
        """A contest about each drawing that has no record yet; stopped, it goes on there."""
        for case in tqdm(drawn, "contests", unit="drawing"):
            records.recorded(self._file(case), self._key, lambda case=case: self._held(case))

    def read(self, case: Case) -> Record | None:
        """The record of a drawing; None if it is missing or stale."""
        return records.read(self._file(case), self._key)

    def _file(self, case: Case) -> Path:
        return self.folder / f"{case.name}.json"

    @cached_property
    def _key(self) -> str:
        return f"{self._setting.fingerprint} {self._setting.steps} {SAMPLES} {CLASSES} {records.source_digest([rivals, noising])}"

    @property
    def _setting(self) -> Setting:
        return self.asking.setting

    @cached_property
    def _model(self) -> Model:
        return Bundled(self._setting).model

    def _held(self, case: Case) -> Record:
        """How many evaluations a contest about a drawing asked for, which labels were left out, and who won."""
        noised = self._noised(case)
        contest = rivals.Contest(noised, CLASSES)
        arrays, known = self._stored(case, noised)
        asked: list[list[Level]] = []
        while (levels := contest.levels()) is not None:
            asked = levels
            for label, array, has, wanted in zip(CLASSES, arrays, known, levels, strict=True):
                self._ask(label, noised, array, has, wanted)
            contest.look(arrays)
        out = [label for label, is_out in zip(CLASSES, contest.out[:, 0].tolist(), strict=True) if is_out]
        return {"evaluations": sum(map(len, asked)), "out": out, "winner": contest.winners[0]}

    def _noised(self, case: Case) -> NoisedLatents:
        x0, sigmas = self._model.encode_picture(case.picture(self._model.size)), self._setting.sigmas()
        noise, channels = self._setting.noise(Question(case, case.label, (0, SAMPLES))), torch.ones(x0.shape[1])
        return NoisedLatents(x0, noise, sigmas, torch.ones_like(sigmas), channels, 0 * channels, antithetic=True)

    def _stored(self, case: Case, noised: NoisedLatents) -> tuple[list[Tensor], list[Tensor]]:
        """Each label's predictions [R,S,1,C,h,w], with the answers that are kept in place, and which these are, bool [R,S]."""
        arrays = [torch.zeros(SAMPLES, noised.steps, *noised.x0.shape) for _ in CLASSES]
        known = [torch.zeros(SAMPLES, noised.steps, dtype=torch.bool) for _ in CLASSES]
        found = Stored(self._setting, self.asking.truth).predictions(case, case.label, case.twin, STORED_SAMPLES)
        for label, answer in ((case.label, found.target), (case.twin, found.contrast)) if found else ():
            arrays[CLASSES.index(label)][:STORED_SAMPLES] = answer
            known[CLASSES.index(label)][:STORED_SAMPLES] = True
        return arrays, known

    def _ask(self, label: str, noised: NoisedLatents, array: Tensor, known: Tensor, wanted: Sequence[Level]) -> None:
        """Fill in what is wanted of a label and not known."""
        missing = [(sample, step) for sample, step in wanted if not known[sample, step]]
        for sample in sorted({sample for sample, _ in missing}):
            steps = [step for at, step in missing if at == sample]
            sigmas, noise = noised.sigmas[steps], noised.noise[sample : sample + 1, steps]
            part = NoisedLatents(noised.x0, noise, sigmas, noised.alphas[steps], noised.latent_scale, noised.latent_shift)
            array[sample, steps] = self._model.predict(part, self._setting.timesteps()[steps], prompt_of(label), CHUNK)[0]
            known[sample, steps] = True


def table(contests: Contests, drawn: Sequence[Case]) -> Table:
    """What the contests that were held come to; of scenes alone of which both drawings are there."""
    found = [(twin, [contests.read(case) for case in twin]) for twin in twins(list(drawn))]
    scenes = [(twin, held) for twin, held in found if None not in held]
    every = [(case, record) for twin, held in scenes for case, record in zip(twin, held, strict=True)]
    steps = contests.asking.setting.steps
    whole = len(CLASSES) * steps * SAMPLES
    counts = {pair: [] for pair in PAIRS}
    for twin, held in scenes:
        counts[twin[0].pair].append([np.mean([record["evaluations"] / whole for record in held])])
    out = np.array([case.label in record["out"] for case, record in every])
    wins = np.array([case.label == record["winner"] for case, record in every])
    ratio = intervals([np.array(values) for values in counts.values()])[0] if all(counts.values()) else None
    shares = [share(each) if len(each) else None for each in (out, wins)]
    head = ("labels", "steps", "samples", "drawings", "÷ evaluations of all", "own label left out", "own label wins")
    note = (
        "Whole contests of Rival Labels with all labels of the bundled model, samples in antithetic pairs. Evaluations with "
        "95 % bootstrap intervals over scenes, shares with their exact 95 % intervals."
    )
    return Table("contests", "Labels that are left out", head, [[len(CLASSES), steps, SAMPLES, len(every), ratio, *shares]], note)
