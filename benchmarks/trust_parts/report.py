"""What the answers and the simulations come to: a table with a share, its exact interval and what is promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import torch
from tqdm import tqdm

from ...nodes.maths.answers.rivals import EARLY, Contest
from ...nodes.maths.method.cases import compare_with_none, few_levels, loses
from ...nodes.maths.method.difference import Reading
from ...nodes.maths.method.familiarity import measure_prompts
from ...nodes.maths.method.own_pictures import OwnPictures
from ...nodes.maths.method.reached import reached_cells
from ...nodes.maths.method.reliability import CONFIDENCE
from ...training.intervals import share
from ..ground_truth.cases import Case
from ..ground_truth.stored import Stored
from ..tables import Cell, Table
from . import chance
from .asking import Answer
from .subjects import UNKNOWN, Asking, Kind

HEAD = ("question", "asked of", "number", "share", "promised")
SAMPLING = {"2 samples": (2, False), "4 samples in pairs": (4, True), "8 samples": (8, False)}
SIZES = {"all steps alike": chance.ALIKE, "one step carries nearly all": chance.LAST_ALONE}
LONG_SIZES = {
    f"{len(chance.LONG_ALIKE)} steps, all alike": chance.LONG_ALIKE,
    f"{len(chance.LONG_ALIKE)} steps, one carries nearly all": chance.LONG_LAST_ALONE,
}

Rows = list[Sequence[Cell]]


@dataclass(frozen=True, eq=False)
class Found:
    """What the model made of one subject."""

    recognition: str
    """See `Familiarity.verdicts`."""
    unfit: bool
    """Whether its own label describes it worse than no words; False where that was not asked."""


def found(answer: Answer, own: OwnPictures) -> Found:
    """Familiarity under the prompts that were asked, and the own label against no words."""
    prompts = [array for name, array in answer.predictions.items() if name != "empty"]
    verdict = measure_prompts(answer.noised, prompts, own).verdicts[0]
    few = few_levels(answer.noised) if "empty" in answer.predictions else None
    if few is None:
        return Found(verdict, False)
    reached = torch.stack([reached_cells(few.noised, prompts, step) for step in few.steps])
    nats, error = compare_with_none(few, few.of(prompts[0]), few.of(answer.predictions["empty"]), reached)
    return Found(verdict, bool(loses(nats, error)[0]))


def table(answers: dict[Kind, list[Answer]], own: OwnPictures, trials: int, asking: Asking, drawn: list[Case]) -> Table:
    """All that was measured."""
    rows = [*of_answers(answers, own), *of_maps(answers["own drawing, asked often"], trials), *of_intervals(trials)]
    note = "Shares with their exact 95 % intervals (Clopper and Pearson)."
    return Table("trust", "Can it be sure and wrong?", HEAD, [*rows, *of_races(trials), *of_first_steps(asking, drawn)], note)


def of_answers(answers: dict[Kind, list[Answer]], own: OwnPictures) -> Rows:
    """Sure answers on what the model does not know, and own drawings that are not recognised."""
    rows: Rows = []
    known: list[bool] = []
    for kind in UNKNOWN:
        sure = [found(answer, own).recognition == "known" for answer in answers[kind]]
        known += [] if kind == "half-scale latent" else sure  # foreign latents have some of half the scale among them
        rows.append(_row("may be sure", f"{kind}s", sure, "≤ 1 %"))
    rows.append(_row("may be sure", "all of these but half-scale latents", known, "≤ 1 %"))
    drawings = [found(answer, own) for answer in answers["own drawing"]]
    rows.append(_row("called unknown", "own drawings", [one.recognition == "not known" for one in drawings], "≤ 1 %"))
    rows.append(_row("called doubtful", "own drawings", [one.recognition == "doubtful" for one in drawings], ""))
    rows.append(_row("own label called unfit", "own drawings", [one.unfit for one in drawings], "≤ 3 %"))
    return rows


def of_maps(often: list[Answer], trials: int) -> Rows:
    """False alarms of each reading under three kinds of nothing but noise."""
    rows: Rows = []
    promised = f"≤ {1 - CONFIDENCE:.0%} + 1 %"
    for reading in get_args(Reading):
        for name, make in (("independent noise", chance.independent_noise), ("smooth swaps", chance.smooth_swaps)):
            alarms = _times(lambda seed, make=make, reading=reading: chance.is_taken_for_more(make(seed, 2), reading), trials)
            rows.append(_row("false alarm", f"{reading}, {name}", alarms, promised))
        nulls = chance.network_nulls(often, trials) if often else iter(())
        alarms = [chance.is_taken_for_more(null, reading) for null in tqdm(nulls, reading, total=trials)]
        rows.append(_row("false alarm", f"{reading}, real network, prompts swapped", alarms, promised))
    return rows


def of_intervals(trials: int) -> Rows:
    """How often 95 % intervals of log-odds contain the truth: exact log-odds of Gaussians, or 0 where nothing is to be found."""
    rows: Rows = []
    for samples, given in SAMPLING.items():
        for name, spreads in (("equal", (1.0, 1.0)), ("unequal", (1.0, 0.9))):
            within = partial(chance.gaussians_within, samples=given[0], antithetic=given[1], spreads=spreads)
            rows.append(_row("interval covers", f"Gaussians of {name} spread, {samples}", _times(within, trials), "≥ 94 %"))
        for steps, sizes in SIZES.items():
            for name, make in (("independent noise", chance.independent_noise), ("smooth swaps", chance.smooth_swaps)):
                within = _times(
                    lambda seed, make=make, given=given, sizes=sizes: chance.has_nothing_within(make(seed, *given, sizes)), trials
                )
                rows.append(_row("interval covers", f"{name}, {steps}, {samples}", within, "≥ 94 %"))
    return rows


def of_races(trials: int) -> Rows:
    """How often Rival Labels drops the best of equal labels."""
    rows: Rows = []
    for labels in (2, 6):
        for samples, (count, antithetic) in SAMPLING.items():
            for steps, sizes in (SIZES | LONG_SIZES if labels > 2 else SIZES).items():
                drops = partial(chance.drops_the_best, labels=labels, samples=count, antithetic=antithetic, sizes=sizes)
                for name, smoothly in (("independent", False), ("smooth", True)):
                    dropped = _times(partial(drops, smoothly=smoothly), trials)
                    rows.append(
                        _row("best label dropped", f"{labels} labels, {name} errors, {steps}, {samples}", dropped, "≤ 1 %")
                    )
    return rows


def of_first_steps(asking: Asking, drawn: list[Case]) -> Rows:
    """What Rival Labels drops after the first steps, of drawings that `benchmarks.truth` asked about with two pairs of samples.

    A race of a drawing's own label, its twin's, and once more its twin's: no rival is closer than the third, which may be out.
    """
    stored, own, rival = Stored(asking.setting, asking.truth), [], []
    for case in drawn:
        found = stored.predictions(case, case.label, case.twin, 4)
        if found is None:
            continue
        contest = Contest(found.noised, [case.label, case.twin, "as close as the twin's"])
        contest.look([found.target, found.contrast, found.contrast])
        own.append(bool(contest.out[0, 0]))
        rival.append(bool(contest.out[2, 0]))
    asked = f"{EARLY} of {asking.setting.steps} steps"
    return [_row("best label dropped early", asked, own, "≤ 1 %"), _row("closest rival dropped early", asked, rival, "")]


def _times(what: Callable[[int], bool], trials: int) -> list[bool]:
    return [what(seed) for seed in range(trials)]


def _row(question: str, asked: str, outcomes: Sequence[bool], promised: str) -> Sequence[Cell]:
    print(f"{question}: {asked}: {share(np.array(outcomes)) if len(outcomes) else 'not asked'}", flush=True)
    return question, asked, len(outcomes), share(np.array(outcomes)) if len(outcomes) else None, promised
