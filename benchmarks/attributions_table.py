"""All methods on the same held-out pictures whose answer is known: truth, deletion and insertion.

    python dev.py run benchmarks.attributions_table drawings
    python dev.py run benchmarks.attributions_table digits --data FOLDER --model FOLDER --classifier FILE
    python dev.py run benchmarks.attributions_table photographs --data FOLDER --model FOLDER

The diffusion model's maps and the classifier's attributions are the pack's own. What is done with a map's sign and how far it is
blurred is chosen for each method on other pictures than those that are reported. Every picture's record is kept, so that a run
that was stopped goes on; `--minutes` stops it, and the tables are written once all pictures are measured. For digits, how many
verdicts of both are right is written as well. On the photographs a mark is planted that the classifier has learned and the
diffusion model has never seen, see ground_truth/marks.py.

The digits are scikit-learn's: `--digits FOLDER` writes them as pictures for `training.own` and ends.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..tools.environment import ROOT
from ..training.finished import Model
from ..training.intervals import COVERAGE, Interval, share
from ..training.own_pictures import classifier, reading
from ..training.own_pictures import verdicts as diffusion
from ..training.own_pictures.pictures import PictureSet
from ..training.own_pictures.subjects import Subject as Trained
from ..training.own_pictures.subjects import finished
from .ground_truth import marks, subjects
from .ground_truth.all_methods import FINISHES, METHODS, NAMES, OURS, measure
from .ground_truth.records import recorded
from .quoted.classifiers import AGREEMENT
from .statistics import DRAWS
from .tables import Table

WORK, RESULTS = ROOT / "output" / "attributions_table", ROOT / "benchmarks" / "results"
START_STEPS = 300  # of the classifier of photographs that all with a mark begin with
MEASURES = {  # and whether more is better
    "AUROC": True,
    "IoU": True,
    "deletion, classifier": False,
    "insertion, classifier": True,
    "deletion, diffusion": False,
    "insertion, diffusion": True,
}
Record = dict[str, Any]
ENDS = [50 * (1 - COVERAGE), 50 * (1 + COVERAGE)]


def main() -> None:
    options = parser().parse_args()
    if options.digits:
        print(f"written: {subjects.write_digits(options.digits)}")
        return
    records, missing = collect(subjects_of(options), WORK / options.kind, options.minutes)
    if missing:
        print(f"{missing} pictures are still to be measured: the same command goes on.")
        return
    for table in (make(options.kind, records) for make in (methods, leads, answers)):
        table.among_others(RESULTS).write_csv(RESULTS)
        print(table.markdown())
    if options.kind == "digits":
        table = verdicts(options.model, classifier.read(options.classifier), options.data)
        table.among_others(RESULTS).write_csv(RESULTS)
        print(table.markdown())


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("kind", nargs="?", choices=("drawings", "digits", "photographs"), default="drawings")
    made.add_argument("--model", type=Path, default=ROOT / "bundled" / "model", help="the diffusion model's folder")
    made.add_argument("--classifier", type=Path, default=ROOT / "bundled" / "classifiers" / "drawings.safetensors")
    made.add_argument("--data", type=Path, help="the folder of pictures that both were trained on")
    made.add_argument("--pictures", type=int, default=30, help="to report on (%(default)s)")
    made.add_argument("--choice", type=int, default=12, help="other pictures, to choose by (%(default)s)")
    made.add_argument("--minutes", type=float, default=60, help="after which no picture is begun (%(default)s)")
    made.add_argument("--digits", type=Path, help="write scikit-learn's digits into this folder, and nothing else")
    return made


def subjects_of(options: argparse.Namespace) -> list[subjects.Subject]:
    """The pictures, and who is asked about them."""
    model, counts = Model(options.model), (options.pictures, options.choice)
    if options.kind == "photographs":
        data = marks.read(options.data, model.size, START_STEPS, marks.WORK / "photos")
        return subjects.marked(data, model, *counts)
    known = classifier.read(options.classifier)
    if options.kind == "drawings":
        return [subjects.drawings(model, known, *counts)]
    return [subjects.digits(options.data, model, known, *counts)]


def collect(asked: Sequence[subjects.Subject], folder: Path, minutes: float) -> tuple[list[Record], int]:
    """A record of every picture, as far as the time reaches, and how many pictures are missing."""
    begun, records = time.monotonic(), []
    every = [(subject, key, one) for subject, key in [(each, each.key) for each in asked] for one in subject.pictures]
    for subject, key, one in tqdm(every, "measuring", unit="picture"):
        if time.monotonic() - begun > 60 * minutes:
            break
        make = partial(measure, subject, one)
        records.append(recorded(folder / f"{one.split}_{one.name}.json", f"{key} {one.seed}", make))
    return records, len(every) - len(records)


# ------------------------------------------------------------------------------------------------------------------ the tables


def finishes(records: Sequence[Record]) -> dict[str, str]:
    """Of each method the finish with the largest mean of AUROC and IoU over the pictures to choose by."""
    chosen = [record["truth"] for record in records if record["split"] == "choice"]
    return {name: max(FINISHES, key=lambda finish: np.mean([each[name][finish] for each in chosen])) for name in NAMES}


def values(records: Sequence[Record]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """MEASURES of each map on the pictures to report on, [N,6] by name, and how much each picture counts in each, [N,6].

    In an area a picture counts by the nats that covering all of it takes away: where these are few, the area is mostly noise.
    """
    finish, reported = finishes(records), [record for record in records if record["split"] == "report"]

    def row(record: Record, name: str) -> list[float]:
        found = record["areas"]
        return [*record["truth"][name][finish[name]], *found["classifier"][name], *found["diffusion"][name]]

    def counts(record: Record) -> list[float]:
        scales = [abs(record["areas"][who]["whole"] - record["areas"][who]["nothing"]) for who in ("classifier", "diffusion")]
        return [1, 1, scales[0], scales[0], scales[1], scales[1]]

    found = {name: np.array([row(record, name) for record in reported], float) for name in NAMES}
    return found, np.array([counts(record) for record in reported])


def weighted(found: np.ndarray, weights: np.ndarray) -> list[Interval]:
    """Means of values [N,K] by weights [N,K], with bootstrap intervals over the pictures; NaN counts as not measured."""
    known = ~np.isnan(found)
    summed, weight = np.where(known, found, 0) * weights, known * weights
    count = len(found)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    with np.errstate(invalid="ignore"):
        means, low, high = summed.sum(0) / weight.sum(0), *np.nanpercentile(drawn @ summed / (drawn @ weight), ENDS, axis=0)
    return [Interval(*map(float, three)) for three in zip(means, low, high, strict=True)]


def methods(data: str, records: Sequence[Record]) -> Table:
    """Every map's measures with intervals over pictures, and its rank correlation with our best map."""
    (found, weights), finish, ours = values(records), finishes(records), best_of_ours(records)
    agreements = [record["agreement"] for record in records if record["split"] == "report"]
    weights = np.column_stack([weights, np.ones(len(weights))])
    rows: list[list[Any]] = []
    for name in NAMES:
        every = np.column_stack([found[name], [each[name][ours] for each in agreements]])
        rows.append([data, name, len(weights), finish[name], *weighted(every, weights)])
    head = ["data", "map", "pictures", "finish", *MEASURES, AGREEMENT]
    note = (
        "95 % bootstrap intervals over pictures. Areas: the whole picture is 1, the covered one 0; less deletion, more insertion."
    )
    return Table("attributions", f"Methods on {data}", head, rows, note)


def leads(data: str, records: Sequence[Record]) -> Table:
    """By how much our best map is ahead of the best attribution on each measure: more is better in every column."""
    found, weights = values(records)
    ours = best_of_ours(records)
    rows: list[list[Any]] = []
    for place, (measure_name, more) in enumerate(MEASURES.items()):
        sign = 1 if more else -1
        means = {name: weighted(found[name], weights)[place].value for name in METHODS}
        rival = max(METHODS, key=lambda name, means=means, sign=sign: sign * means[name])
        lead = weighted(sign * (found[ours] - found[rival]), weights)[place]
        rows.append([data, measure_name, ours, rival, verdict_on(lead), lead])
    return Table(
        "attributions_leads", f"Our best map on {data}", ["data", "measure", "ours", "best attribution", "says", "lead"], rows
    )


def answers(data: str, records: Sequence[Record]) -> Table:
    """How often the label that is explained is what each prefers for the whole picture."""
    reported = [record["areas"] for record in records if record["split"] == "report"]
    asked = {"classifier": "classifier", "diffusion model": "diffusion"}
    rows = [
        [data, who, len(reported), share(np.array([one[key]["whole"] > 0 for one in reported]))] for who, key in asked.items()
    ]
    head = ["data", "of the", "pictures", "for the label"]
    return Table("attributions_answers", f"Answers to {data}", head, rows, "95 % exact intervals.")


def verdict_on(lead: Interval) -> str:
    """What a lead with its interval says."""
    return "ahead" if lead.low > 0 else "behind" if lead.high < 0 else "not apart"


def best_of_ours(records: Sequence[Record]) -> str:
    """The reading that finds the truth best on the pictures to choose by."""
    finish, chosen = finishes(records), [record["truth"] for record in records if record["split"] == "choice"]
    return max(OURS, key=lambda name: np.mean([each[name][finish[name]] for each in chosen]))


# ---------------------------------------------------------------------------------------------------------------- the verdicts


def verdicts(model: Path, known: classifier.Classifier, data: Path) -> Table:
    """How many held-out digits each calls by their own class: out of all ten, and out of two.

    The former of the diffusion model are those that its training has judged; all others are asked here, and kept.
    """
    found = reading.read(data)
    held_out = PictureSet(found.held_out, Model(model).size)
    pictures, labels = held_out.stack()
    logits = classifier.logits(known, pictures).numpy()
    with np.load(model.with_name(f"{model.name}_training") / "scores.npz") as stored:
        right = {"all": stored["even"].argmax(1) == stored["labels"]}
    asked = finished(model)
    for pair in tqdm(subjects.DIGIT_PAIRS, "verdicts", unit="pair"):
        numbers = [found.classes.index(name) for name in pair]
        own = [index for index, label in enumerate(labels.tolist()) if label in numbers]
        file = WORK / "digits" / f"verdicts_{'_'.join(pair)}.json"
        key = repr((str(model), len(own)))
        made = recorded(file, key, lambda pair=pair, own=own: {"called": called(asked, held_out, own, pair)})
        right["/".join(pair)] = np.array(numbers)[made["called"]] == labels[own].numpy()
    rows = []
    for name, of_diffusion in right.items():
        numbers = [found.classes.index(each) for each in name.split("/")] if "/" in name else list(range(len(found.classes)))
        own = np.isin(labels.numpy(), numbers)
        of_classifier = np.array(numbers)[logits[own][:, numbers].argmax(1)] == labels.numpy()[own]
        for who, each in (("diffusion model", of_diffusion), ("classifier", of_classifier)):
            rows.append(["digits", name, who, len(each), share(each)])
    return Table("own_verdicts", "Verdicts on held-out digits", ["data", "classes", "of the", "pictures", "right"], rows)


def called(subject: Trained, held_out: PictureSet, indices: Sequence[int], pair: tuple[str, str]) -> list[int]:
    """Which of two classes the diffusion model finds likelier for each picture: 0 or 1."""
    parts = diffusion.score(subject, subject.networks, held_out, indices, pair)
    return diffusion.together(list(parts)).predicted.tolist()
