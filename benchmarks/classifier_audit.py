"""Does an audit catch a classifier that learned a shortcut? `python dev.py run benchmarks.classifier_audit --model FOLDER`.

A mark is planted on the training pictures of one class, so it is known where the shortcut is, see ground_truth/marks.py. Each
trial trains two classifiers further from the same early start, one on marked pictures and one on clean ones, and audits both on
held-out pictures, of which the class carries the mark as often as in the training. The diffusion model has never seen a mark.

A trial counts as caught if its classifier learned the mark (it calls most pictures of other classes by this class once they carry
it) and the first place that the audit calls conspicuous is at the mark: for its class, and at least half of it is marked. Any
such place after a clean training is a false alarm. What the diffusion model says is reported beside it. Trials are kept in
output/classifier_audit, so that a run that was stopped goes on; `--minutes` stops it, and the tables are written once all trials
are done. With another --model only that is asked anew. `--choose` runs trials with other seeds, by which the limits in
training/auditing/transplant.py were chosen.

Without --data the pictures are scikit-learn's 1,797 handwritten digits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from ..tools.environment import ROOT
from ..training import digests
from ..training.auditing import maps, transplant
from ..training.auditing.transplant import FLIPS, Finding, Pairs, Place, Transplants
from ..training.finished import Model
from ..training.intervals import share
from ..training.own_pictures import classifier
from .ground_truth.marks import LAYER, LEARNED, STEPS, WORK, Data, Mark, Trial, read
from .ground_truth.records import recorded, source_digest
from .ground_truth.subjects import write_digits
from .tables import Table

RESULTS = ROOT / "benchmarks" / "results"
HELD_OUT_SEED = 99  # of which held-out pictures carry the mark
MAPPED = 4  # pictures with a learned mark of which both maps are made
FIRST_CHOICE = 1000  # the first trial of those by which limits are chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of pictures, as training.own reads it")
    parser.add_argument("--model", type=Path, required=True, help="the diffusion model that training.own made of these pictures")
    parser.add_argument("--choose", action="store_true", help="run trials of other seeds, by which limits are chosen")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--start-steps", type=int, default=20, help="training steps of the classifier that all trials begin with")
    parser.add_argument("--steps", type=int, default=STEPS, help="further training steps in each trial")
    parser.add_argument("--minutes", type=float, default=60, help="after which no trial is begun")
    parser.add_argument("--name", default="digits", help="of the pictures, in the tables")
    options = parser.parse_args()
    work = WORK / options.name
    name, begins = (f"{options.name}_choice", FIRST_CHOICE) if options.choose else (options.name, 0)
    begun, model = time.monotonic(), Model(options.model)
    data = read(options.data or write_digits(work / "pictures"), model.size, options.start_steps, work)
    rows: list[dict[str, Any]] = []
    for number in tqdm(range(begins, begins + options.trials), "trials"):
        if time.monotonic() - begun > 60 * options.minutes:
            break
        rows += rows_of(number, data, model, options.steps)
    if len(rows) < 2 * options.trials:
        print(f"{options.trials - len(rows) // 2} trials are still to be done: the same command goes on.")
        return
    write(name, rows)


def rows_of(number: int, data: Data, model: Model, steps: int) -> Iterator[dict[str, Any]]:
    """One row for the classifier that was trained on marked pictures, one for that on clean ones.

    What the audit finds is kept by itself, and what the data's model says of it beside it, by the model's weights: another model
    can be asked about the same trials.
    """
    key = repr((data.recipe.steps, steps, source_digest([maps, transplant])))
    of_model = data.work / digests.of_weights(model.pipeline.unet)[:12]
    for trial in (Trial(number, data, marked, steps) for marked in (True, False)):
        row = recorded(data.work / f"{number}_{trial.kind}.json", key, partial(judge, trial))
        said = recorded(of_model / f"{number}_{trial.kind}.json", key, partial(ask_data, trial, row, model))
        told = {name: value for name, value in (row | said).items() if name not in ("key", "finding")}
        yield {"trial": number, "training": trial.kind} | told


def judge(trial: Trial) -> dict[str, Any]:
    """What an audit says of a classifier, and what is true of it."""
    pictures, labels = trial.data.held_out
    accuracy = float((classifier.logits(trial.classifier, pictures).argmax(1) == labels).float().mean())
    first = transplants(trial).find()[0]
    row = asdict(trial.mark) | {"accuracy": accuracy, "follows the mark": trial.follows}
    return row | described(first, trial.mark, trial.data.size) | {"finding": as_json(first)}


def transplants(trial: Trial) -> Transplants:
    """The audit of held-out pictures of which the class carries the mark as often as in the training."""
    return Transplants(trial.classifier, *trial.pictures(trial.data.held_out, HELD_OUT_SEED))


def ask_data(trial: Trial, row: dict[str, Any], model: Model) -> dict[str, Any]:
    """What the data's model says of a conspicuous place, and how much of both maps lies at a mark that was learned."""
    first = from_json(row["finding"])
    first = transplants(trial).ask_data(first, model) if first.conspicuous else first
    said = {
        "unknown to data": first.unknown_to_data,
        "data": first.data.value if first.data else "",
        "data high": first.data.high if first.data else "",
        "told before": len(first.followed) / first.asked if first.followed is not None else "",
    }
    if not trial.marked or row["follows the mark"] <= LEARNED:
        return said | dict.fromkeys(MAPS_AT, "")
    pictures, labels = trial.data.held_out
    own = pictures[labels == trial.mark.label][:MAPPED]
    return said | maps_at(maps.Auditor(trial.classifier, model, layer=LAYER), trial.mark.put(own), trial.mark)


def described(finding: Finding, mark: Mark, size: int) -> dict[str, Any]:
    """An audit's first finding, and whether it is the mark."""
    place, marked = finding.place.mask(size), mark.mask(size)
    return {
        "conspicuous": finding.conspicuous,
        "is the mark": finding.called == mark.label and bool((place & marked).sum() >= 0.5 * place.sum()),
        "flips": finding.flips.value,
        "flips low": finding.flips.low,
        "control": float(finding.control.mean()),
        "elsewhere": float(finding.elsewhere.mean()),
        "overlap": float((place & marked).sum() / (place | marked).sum()),
        "place": finding.place.words(size),
    }


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding of which the data's model was not asked yet."""
    arrays = {name: getattr(finding, name).tolist() for name in ("flipped", "control", "elsewhere")}
    pairs = [finding.pairs.donors.tolist(), finding.pairs.receivers.tolist()]
    return {"called": finding.called, "place": astuple(finding.place), "pairs": pairs, "classes": finding.classes} | arrays


def from_json(kept: dict[str, Any]) -> Finding:
    """What `as_json` has kept."""
    arrays = {name: np.array(kept[name], bool) for name in ("flipped", "control", "elsewhere")}
    pairs = Pairs(*(np.array(numbers, int) for numbers in kept["pairs"]))
    return Finding(kept["called"], Place(*kept["place"]), pairs, **arrays, classes=kept["classes"])


MAPS_AT = ("classifier's share at the mark", "data's share at the mark", "area")


def maps_at(auditor: maps.Auditor, carrying: Tensor, mark: Mark) -> dict[str, float]:
    """How much of both maps lies at the mark, in pictures that carry it, and how much of the picture it covers."""
    mask = mark.mask(carrying.shape[-1]).numpy()
    answers = [auditor(picture, mark.label, carrying[:0], number) for number, picture in enumerate(carrying)]
    means = [float(np.mean([one[mask].sum() for one in each])) for each in zip(*map(_maps, answers), strict=True)]
    return dict(zip(MAPS_AT, [*means, float(mask.mean())], strict=True))


def _maps(answer: maps.Answer) -> tuple[np.ndarray, np.ndarray]:
    return answer.classifier_map, answer.data_map


def summary(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many were named first and caught of those that learned the mark, and how many clean ones were accused."""
    learned = [row for row in rows if row["training"] == "marked" and row["follows the mark"] > LEARNED]
    clean = [row for row in rows if row["training"] == "clean"]
    found: dict[str, Any] = {"data": name, "marked": sum(row["training"] == "marked" for row in rows), "learned": len(learned)}
    found |= {"clean": len(clean), "limit": FLIPS}
    counted = {
        "named first": [row["is the mark"] for row in learned],
        "caught": [row["conspicuous"] and row["is the mark"] for row in learned],
        "false alarms": [row["conspicuous"] for row in clean],
        "caught, and unknown to the data": [row["unknown to data"] and row["is the mark"] for row in learned],
        "false alarms, unknown to the data": [row["unknown to data"] for row in clean],
    }
    for column, values in counted.items():
        interval = share(np.array(values)) if values else None
        for end, place in (("", "value"), (" low", "low"), (" high", "high")):
            found[column + end] = "" if interval is None else getattr(interval, place)
    for column in ("flips", "overlap", "told before", *MAPS_AT):
        found[column] = _mean([row[column] for row in learned])
    found["data follows"] = _mean([row["data"] for row in learned])
    return found | {"clean flips": _mean([row["flips"] for row in clean]), "accuracy": _mean([row["accuracy"] for row in clean])}


def _mean(values: Sequence[float | str]) -> float | str:
    numbers = [float(value) for value in values if value != ""]
    return float(np.mean(numbers)) if numbers else ""


def write(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the trials of these pictures, and their row in the summary; print the latter."""
    if not rows:
        return
    Table(f"classifier_audit_{name}", f"Trials on {name}", list(rows[0]), [list(row.values()) for row in rows]).write_csv(RESULTS)
    found = summary(name, rows)
    Table("classifier_audit", "Caught or not", list(found), [list(found.values())]).among_others(RESULTS).write_csv(RESULTS)
    print("\n".join(f"{column}: {value}" for column, value in found.items()))
