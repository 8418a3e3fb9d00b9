"""How often a settled answer must be asked without words, and whether that it stops early hides that neither label fits."""

from __future__ import annotations

import numpy as np

from ...nodes.maths.answers.no_words import UntilDecided, find_cases
from ...nodes.maths.answers.settled import FEWEST
from ...nodes.maths.method.cases import few_levels
from ...nodes.maths.method.prediction import NoisePredictions
from ...training.intervals import share
from ..statistics import intervals
from ..tables import Cell, Table
from .asking import Answer
from .subjects import PAIRED, Kind

HEAD = ("asked of", "pictures", "evaluations", "asked to the end", "neither fits", "neither fits, but stopped early")


def table(answers: dict[Kind, list[Answer]]) -> Table:
    """A line for labels of which one fits, and one for labels of which none does."""
    rows = [_row(kind, answers[kind]) for kind in PAIRED if answers[kind]]
    note = (
        f"Settled answers of {FEWEST} steps with a pair of noise samples. Evaluations: those without words, until one label is "
        "clear to fit and the other is not. The last column: all of them say that neither fits, where fewer were enough."
    )
    return Table("without_words", "Asked without words", HEAD, rows, note)


def _row(kind: Kind, answers: list[Answer]) -> list[Cell]:
    found = [_measured(answer) for answer in answers]
    evaluations, to_the_end, neither, hidden = np.array(found).T
    (mean,) = intervals([evaluations[:, None]])
    return [f"{kind}", len(found), mean, *(share(flags.astype(bool)) for flags in (to_the_end, neither, hidden))]


def _measured(answer: Answer) -> tuple[int, bool, bool, bool]:
    """Evaluations without words, whether that is all, whether all say that neither fits, and whether fewer hid that."""
    target, contrast, empty = (answer.predictions[name] for name in ("target", "contrast", "empty"))
    predictions = NoisePredictions(answer.noised, target, contrast, answer.subject.target, answer.subject.contrast)
    few = few_levels(answer.noised)
    if few is None:
        raise ValueError("No two of the steps tell whether words fit; take those of settled answers.")
    plan, last = UntilDecided(predictions, few), len(few.order)
    asked = next((done for done in range(1, last) if plan.enough(done, [few.of(empty)])), last)
    every = find_cases(predictions, few, few.of(empty))
    neither = every is not None and bool(every.neither[0])
    return asked, asked == last, neither, neither and asked < last
