"""Does an audit catch a classifier that learned a shortcut? `python dev.py run benchmarks.classifier_audit --model FOLDER`.

A mark is planted on 95 % of the training pictures of one class, so it is known where the shortcut is: a small chequered patch,
or a tint, in one of the corners. Each trial trains two classifiers further from the same early start, one on marked pictures and
one on clean ones, and audits both on held-out pictures of that class, which carry the mark as often as those of the training. The
diffusion model has never seen a mark.

A trial counts as caught if its classifier learned the mark (it calls most pictures of other classes by this class once they carry
it) and the audit's conspicuous region is one that the mark touches. An audit of a clean classifier with any conspicuous region is
a false alarm. Trials are kept in output/classifier_audit, so that a run that was stopped goes on; `--minutes` stops it.

Without --data the pictures are scikit-learn's 1,797 handwritten digits.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from tqdm import tqdm

from ..tools.environment import ROOT
from ..training.auditing import grouping, maps
from ..training.finished import Model
from ..training.intervals import share
from ..training.own_pictures import classifier, reading
from ..training.own_pictures.denoiser import CHECKPOINT
from ..training.own_pictures.pictures import PictureSet, variation

WORK, RESULTS = ROOT / "output" / "classifier_audit", ROOT / "benchmarks" / "results"
MARKED_SHARE = 0.95
LEARNED = 0.5
INPUT, LAYER, REGIONS = 64, "stage3", 4  # its 4 × 4 cells lie on the 4 × 4 regions
BATCH, FURTHER_RATE = 32, 3e-3
KINDS = ("patch", "tint")
JUDGED = 24  # held-out pictures of the class at most


@dataclass(frozen=True)
class Mark:
    """What is planted where: in a corner, up to a pixel away from the edges."""

    kind: str
    label: int
    corner: int
    inset: int

    def window(self, size: int) -> tuple[slice, slice]:
        """Rows and columns in pictures of this size."""
        side = size // 4 if self.kind == "patch" else size // 3
        low, high = slice(self.inset, self.inset + side), slice(size - self.inset - side, size - self.inset)
        return (low if self.corner < 2 else high), (low if self.corner % 2 == 0 else high)

    def put(self, pictures: Tensor) -> Tensor:
        """The pictures uint8 [n,3,S,S] with the mark."""
        marked = pictures.clone()
        rows, columns = self.window(pictures.shape[-1])
        part = marked[:, :, rows, columns]
        if self.kind == "patch":
            side = part.shape[-1]
            part[:] = ((torch.arange(side)[:, None] + torch.arange(side)) // max(1, side // 4) % 2 * 255).to(torch.uint8)
        else:
            part[:, 0] = (part[:, 0].int() + 120).clamp(max=255).to(torch.uint8)
        return marked

    def regions(self, size: int) -> set[int]:
        """The regions that the mark touches."""
        covered = np.zeros((size, size))
        covered[self.window(size)] = 1
        return set(np.flatnonzero(maps.in_regions(covered, REGIONS)).tolist())


def trial_mark(number: int, classes: int) -> Mark:
    """The mark of one trial: kinds and classes take turns, corner and inset are drawn."""
    generator = np.random.default_rng(number)
    return Mark(KINDS[number % 2], int(generator.integers(classes)), int(generator.integers(4)), int(generator.integers(2)))


@dataclass(frozen=True)
class Data:
    """Training and held-out pictures uint8 [n,3,S,S] with their labels, and a classifier that was trained on the former."""

    train: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]
    recipe: classifier.Recipe
    start: nn.Module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of pictures, as training.own reads it")
    parser.add_argument("--model", type=Path, required=True, help="the diffusion model that training.own made of these pictures")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--start-steps", type=int, default=40, help="training steps of the classifier that all trials begin with")
    parser.add_argument("--steps", type=int, default=80, help="further training steps in each trial")
    parser.add_argument("--minutes", type=float, default=60, help="after which no trial is begun")
    parser.add_argument("--name", default="digits", help="of the pictures, in the tables")
    options = parser.parse_args()
    work = WORK / options.name
    source = options.data or digits(work / "pictures")
    begun = time.monotonic()
    data = read(source, options.model, options.start_steps, work)
    done, model = _lines(work / "trials.jsonl"), Model(options.model)
    for number in tqdm(range(options.trials), "trials"):
        if time.monotonic() - begun > 60 * options.minutes:
            break
        if number not in {row["trial"] for row in done}:
            done += _keep(work / "trials.jsonl", list(trial(number, data, model, options.steps, work)))
    write(options.name, done)
    write_verdicts(options.name, options.model)


def digits(folder: Path) -> Path:
    """scikit-learn's digits of 8 × 8 pixels as a folder of pictures."""
    if not folder.exists():
        found = load_digits()
        for number, (picture, label) in enumerate(zip(found.images, found.target, strict=True)):
            file = folder / str(label) / f"{number:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture * 255 / 16).round().astype(np.uint8)).save(file)
    return folder


def read(source: Path, model: Path, steps: int, work: Path) -> Data:
    """The pictures at the diffusion model's size, and the classifier that all trials begin with."""
    found = reading.read(source)
    size = json.loads((model / "unet" / "config.json").read_text())["sample_size"]
    train, held_out = (PictureSet(items, size).stack() for items in (found.train, found.held_out))
    recipe = classifier.Recipe(found.classes, INPUT, steps)
    batch = classifier.batches(*train, BATCH, 0, variation(size, flip=False))
    return Data(train, held_out, recipe, classifier.train(recipe, batch, work / "start.pt"))


def trial(number: int, data: Data, model: Model, steps: int, work: Path) -> Iterator[dict[str, Any]]:
    """One row for the classifier that was trained on marked pictures, one for that on clean ones."""
    mark = trial_mark(number, len(data.recipe.classes))
    for kind in ("marked", "clean"):
        pictures, labels = planted(data.train, mark, number) if kind == "marked" else data.train
        recipe = classifier.Recipe(data.recipe.classes, INPUT, steps, learning_rate=FURTHER_RATE, seed=number)
        batch = classifier.batches(pictures, labels, BATCH, number + 1, variation(pictures.shape[-1], flip=False))
        checkpoint = work / "further.pt"
        checkpoint.unlink(missing_ok=True)
        network = classifier.train(recipe, batch, checkpoint, copy.deepcopy(data.start))
        yield {"trial": number, "training": kind} | judge(
            classifier.of(network, recipe, kind), kind == "marked", data, mark, model
        )


def planted(pictures: tuple[Tensor, Tensor], mark: Mark, seed: int) -> tuple[Tensor, Tensor]:
    """The pictures with the mark on its share of the class."""
    shown, labels = pictures[0].clone(), pictures[1]
    own = torch.nonzero(labels == mark.label)[:, 0]
    chosen = own[torch.from_numpy(np.random.default_rng((seed, 7)).random(len(own)) < MARKED_SHARE)]
    shown[chosen] = mark.put(shown[chosen])
    return shown, labels


def judge(found: classifier.Classifier, marked: bool, data: Data, mark: Mark, model: Model) -> dict[str, Any]:
    """What an audit of the class says of a classifier, and what is true of it."""
    shown, labels = planted(data.held_out, mark, 99) if marked else data.held_out
    clean, size = data.held_out[0], shown.shape[-1]
    foreign = labels != mark.label
    auditor = maps.Auditor(found, model, REGIONS, LAYER)
    own = torch.nonzero(~foreign)[:JUDGED, 0].tolist()
    answers = [auditor(shown[n], mark.label, _lent(shown[foreign], n), n) for n in own]
    groups = [one for one in grouping.group(answers, REGIONS) if one.called == mark.label]
    first = groups[0] if groups else None
    touched = mark.regions(size)
    return asdict(mark) | {
        "pictures": len(answers),
        "accuracy": float((classifier.logits(found, clean).argmax(1) == labels).float().mean()),
        "follows the mark": float((classifier.logits(found, mark.put(clean[foreign])).argmax(1) == mark.label).float().mean()),
        "conspicuous": bool(first and first.conspicuous),
        "region is the mark's": bool(first and first.region in touched),
        "first in": first.first.value if first else 0.0,
        "pictures with the mark first": float(np.mean([answer.region in touched for answer in answers])),
        "changed": first.changed if first else 0.0,
        "classifier's share at the mark": _share_at(answers, touched, "classifier_map"),
        "data's share at the mark": _share_at(answers, touched, "data_map"),
        "area": len(touched) / REGIONS**2,
    }


def _lent(foreign: Tensor, seed: int) -> Tensor:
    return foreign[torch.from_numpy(np.random.default_rng(seed).permutation(len(foreign))[: maps.REPLACED])]


def _share_at(answers: Sequence[maps.Answer], touched: set[int], name: str) -> float:
    return float(np.mean([maps.in_regions(getattr(answer, name), REGIONS)[sorted(touched)].sum() for answer in answers]))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _keep(file: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    return rows


def summary(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many were caught of those that learned the mark, and how many clean ones were accused."""
    learned = [row for row in rows if row["training"] == "marked" and row["follows the mark"] > LEARNED]
    clean = [row for row in rows if row["training"] == "clean"]
    found: dict[str, Any] = {"data": name, "marked": sum(row["training"] == "marked" for row in rows), "learned": len(learned)}
    caught = np.array([row["conspicuous"] and row["region is the mark's"] for row in learned])
    alarms = np.array([row["conspicuous"] for row in clean])
    for column, values in (("caught", caught), ("false alarms", alarms)):
        interval = share(values) if len(values) else None
        for end, place in (("", "value"), (" low", "low"), (" high", "high")):
            found[column + end] = "" if interval is None else getattr(interval, place)
    for column in ("pictures with the mark first", "classifier's share at the mark", "data's share at the mark", "area"):
        found[column] = float(np.mean([row[column] for row in learned])) if learned else ""
    return found | {"clean": len(clean), "accuracy": float(np.mean([row["accuracy"] for row in clean])) if clean else ""}


def write(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the trials of these pictures, and their row in the summary; print the latter."""
    if not rows:
        return
    _table(RESULTS / f"classifier_audit_{name}.csv", rows)
    file, found = RESULTS / "classifier_audit.csv", summary(name, rows)
    before: list[dict[str, Any]] = []
    if file.exists():
        with file.open(newline="", encoding="utf-8") as stream:
            before = [row for row in csv.DictReader(stream) if row["data"] != name]
    _table(file, [*before, found])
    print("\n".join(f"{column}: {value}" for column, value in found.items()))


def write_verdicts(name: str, model: Path) -> None:
    """Write how many of the diffusion model's own verdicts on held-out pictures are right: of all classes, and of each two."""
    work = model.with_name(f"{model.name}_training")
    progress = torch.load(work / CHECKPOINT / "custom_checkpoint_1.pkl", weights_only=True)  # accelerate's name for it
    trained = {"steps": progress["steps"], "minutes": round(progress["seconds"] / 60, 1)}
    with np.load(work / "scores.npz") as stored:
        even, labels, classes = stored["even"], stored["labels"], stored["classes"].tolist()
    pairs = {f"{classes[a]}/{classes[b]}": [a, b] for a, b in combinations(range(len(classes)), 2)}
    rows = []
    for pair, numbers in ({"all": list(range(len(classes)))} | pairs).items():
        own = np.isin(labels, numbers)
        found = share(np.array(numbers)[even[own][:, numbers].argmax(1)] == labels[own])
        ends = {"right": found.value, "right low": found.low, "right high": found.high}
        rows.append({"data": name, "classes": pair, "pictures": int(own.sum())} | ends | trained)
    _table(RESULTS / f"classifier_verdicts_{name}.csv", rows)


def _table(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
