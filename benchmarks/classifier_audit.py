"""Does an audit catch a classifier that learned a shortcut? `python dev.py run benchmarks.classifier_audit --model FOLDER`.

A mark is planted on 95 % of the training pictures of one class, so it is known where the shortcut is: a small chequered patch
anywhere, a tint of a corner, or a frame. Each trial trains two classifiers further from the same early start, one on marked
pictures and one on clean ones, and audits both on held-out pictures, of which the class carries the mark as often as in the
training. The diffusion model has never seen a mark.

A trial counts as caught if its classifier learned the mark (it calls most pictures of other classes by this class once they carry
it) and the first place that the audit calls conspicuous is at the mark: for its class, and at least half of it is marked. Any
such place after a clean training is a false alarm. What the diffusion model says is reported beside it. Trials are kept in
output/classifier_audit, so that a run that was stopped goes on; `--minutes` stops it. `--choose` runs trials with other seeds, by
which the limits in training/auditing/transplant.py were chosen.

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
from torch import Tensor, nn
from tqdm import tqdm

from ..tools.environment import ROOT
from ..training.auditing import maps
from ..training.auditing.transplant import FLIPS, Finding, Transplants
from ..training.finished import Model
from ..training.intervals import share
from ..training.own_pictures import classifier, reading
from ..training.own_pictures.denoiser import CHECKPOINT
from ..training.own_pictures.pictures import PictureSet, evenly, variation
from .ground_truth.subjects import write_digits

WORK, RESULTS = ROOT / "output" / "classifier_audit", ROOT / "benchmarks" / "results"
MARKED_SHARE = 0.95
LEARNED = 0.5
INPUT, LAYER = 64, "stage3"  # of which Grad-CAM is
BATCH, FURTHER_RATE = 32, 3e-3
KINDS = ("patch", "tint", "frame")
JUDGED = 400  # held-out pictures at most
MAPPED = 4  # pictures with a learned mark of which both maps are made
FIRST_CHOICE = 1000  # the first trial of those by which limits are chosen


@dataclass(frozen=True)
class Mark:
    """What is planted where."""

    kind: str
    label: int
    top: int
    left: int

    def mask(self, size: int) -> Tensor:
        """Its pixels in a picture, bool [S,S]."""
        found = torch.zeros(size, size, dtype=torch.bool)
        if self.kind == "frame":
            width = frame_width(size)
            found[:] = True
            found[width:-width, width:-width] = False
        else:
            found[self.top : self.top + side(self.kind, size), self.left : self.left + side(self.kind, size)] = True
        return found

    def put(self, pictures: Tensor) -> Tensor:
        """The pictures uint8 [n,3,S,S] with the mark."""
        size = pictures.shape[-1]
        rows, columns = torch.arange(size)[:, None], torch.arange(size)
        square = max(1, size // 8)
        chequered = ((rows - self.top) // square + (columns - self.left) // square) % 2 * 255
        orange = torch.tensor([255, 150, 0])[:, None, None]
        marked = {
            "patch": chequered,
            "tint": (pictures.int() + torch.tensor([120, 0, 0])[:, None, None]).clamp(max=255),
            "frame": orange,
        }
        return torch.where(self.mask(size), marked[self.kind].to(torch.uint8), pictures)


def side(kind: str, size: int) -> int:
    """Of a patch or a tint, in pixels."""
    return size // {"patch": 4, "tint": 3}[kind]


def frame_width(size: int) -> int:
    return max(1, size // 16)


def trial_mark(number: int, classes: int, size: int) -> Mark:
    """The mark of one trial: kinds take turns, class and place are drawn; a tint lies in a corner, a pixel away or not."""
    generator, kind = np.random.default_rng(number), KINDS[number % len(KINDS)]
    label = int(generator.integers(classes))
    if kind == "frame":
        return Mark(kind, label, 0, 0)
    free = size - side(kind, size)
    if kind == "patch":
        return Mark(kind, label, *generator.integers(free + 1, size=2).tolist())
    inset = int(generator.integers(2))
    return Mark(kind, label, *generator.choice([inset, free - inset], 2).tolist())


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
    parser.add_argument("--choose", action="store_true", help="run trials of other seeds, by which limits are chosen")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--start-steps", type=int, default=20, help="training steps of the classifier that all trials begin with")
    parser.add_argument("--steps", type=int, default=80, help="further training steps in each trial")
    parser.add_argument("--minutes", type=float, default=60, help="after which no trial is begun")
    parser.add_argument("--name", default="digits", help="of the pictures, in the tables")
    options = parser.parse_args()
    work = WORK / options.name
    name, begins = (f"{options.name}_choice", FIRST_CHOICE) if options.choose else (options.name, 0)
    work.mkdir(parents=True, exist_ok=True)
    source = options.data or write_digits(work / "pictures")
    begun = time.monotonic()
    data = read(source, options.model, options.start_steps, work)
    file, model = work / f"{name}.jsonl", Model(options.model)
    done = _lines(file)
    for number in tqdm(range(begins, begins + options.trials), "trials"):
        if time.monotonic() - begun > 60 * options.minutes:
            break
        if number not in {row["trial"] for row in done}:
            done += _keep(file, list(trial(number, data, model, options.steps, work)))
    write(name, done)
    if not options.choose:
        write_verdicts(name, options.model)


def read(source: Path, model: Path, steps: int, work: Path) -> Data:
    """The pictures at the diffusion model's size, and the classifier that all trials begin with."""
    found = reading.read(source)
    size = json.loads((model / "unet" / "config.json").read_text())["sample_size"]
    train = PictureSet(found.train, size).stack()
    held_out = PictureSet(found.held_out, size).stack(evenly(found.held_out, JUDGED))
    recipe = classifier.Recipe(found.classes, INPUT, steps)
    batch = classifier.batches(*train, BATCH, 0, variation(size, flip=False))
    return Data(train, held_out, recipe, classifier.train(recipe, batch, work / "start.pt"))


def trial(number: int, data: Data, model: Model, steps: int, work: Path) -> Iterator[dict[str, Any]]:
    """One row for the classifier that was trained on marked pictures, one for that on clean ones."""
    mark = trial_mark(number, len(data.recipe.classes), data.train[0].shape[-1])
    for kind in ("marked", "clean"):
        pictures, labels = planted(data.train, mark, number) if kind == "marked" else data.train
        recipe = classifier.Recipe(data.recipe.classes, INPUT, steps, learning_rate=FURTHER_RATE, seed=number)
        batch = classifier.batches(pictures, labels, BATCH, number + 1, variation(pictures.shape[-1], flip=False))
        checkpoint = work / f"further_{number}.pt"
        checkpoint.unlink(missing_ok=True)
        network = classifier.train(recipe, batch, checkpoint, copy.deepcopy(data.start))
        checkpoint.unlink()
        found = classifier.of(network, recipe, kind)
        yield {"trial": number, "training": kind} | judge(found, kind == "marked", data, mark, model)


def planted(pictures: tuple[Tensor, Tensor], mark: Mark, seed: int) -> tuple[Tensor, Tensor]:
    """The pictures with the mark on its share of the class."""
    shown, labels = pictures[0].clone(), pictures[1]
    own = torch.nonzero(labels == mark.label)[:, 0]
    chosen = own[torch.from_numpy(np.random.default_rng((seed, 7)).random(len(own)) < MARKED_SHARE)]
    shown[chosen] = mark.put(shown[chosen])
    return shown, labels


def judge(found: classifier.Classifier, marked: bool, data: Data, mark: Mark, model: Model) -> dict[str, Any]:
    """What an audit says of a classifier, and what is true of it."""
    shown, labels = planted(data.held_out, mark, 99) if marked else data.held_out
    clean, foreign = data.held_out[0], labels != mark.label
    follows = float((classifier.logits(found, mark.put(clean[foreign])).argmax(1) == mark.label).float().mean())
    test = Transplants(found, shown, labels)
    first = test.find()[0]
    first = test.ask_data(first, model) if first.conspicuous else first
    accuracy = float((classifier.logits(found, clean).argmax(1) == labels).float().mean())
    row = asdict(mark) | {"accuracy": accuracy, "follows the mark": follows} | described(first, mark, shown.shape[-1])
    both = marked and follows > LEARNED
    carrying, auditor = mark.put(clean[~foreign][:MAPPED]), maps.Auditor(found, model, layer=LAYER)
    return row | (maps_at(auditor, carrying, mark) if both else dict.fromkeys(MAPS_AT, ""))


def described(finding: Finding, mark: Mark, size: int) -> dict[str, Any]:
    """An audit's first finding, and whether it is the mark."""
    place, marked = finding.place.mask(size), mark.mask(size)
    return {
        "conspicuous": finding.conspicuous,
        "unknown to data": finding.unknown_to_data,
        "is the mark": finding.called == mark.label and bool((place & marked).sum() >= 0.5 * place.sum()),
        "flips": finding.flips.value,
        "flips low": finding.flips.low,
        "control": float(finding.control.mean()),
        "elsewhere": float(finding.elsewhere.mean()),
        "data": finding.data.value if finding.data else "",
        "data high": finding.data.high if finding.data else "",
        "told before": len(finding.followed) / finding.asked if finding.followed is not None else "",
        "overlap": float((place & marked).sum() / (place | marked).sum()),
        "place": finding.place.words(size),
    }


MAPS_AT = ("classifier's share at the mark", "data's share at the mark", "area")


def maps_at(auditor: maps.Auditor, carrying: Tensor, mark: Mark) -> dict[str, float]:
    """How much of both maps lies at the mark, in pictures that carry it, and how much of the picture it covers."""
    mask = mark.mask(carrying.shape[-1]).numpy()
    answers = [auditor(picture, mark.label, carrying[:0], number) for number, picture in enumerate(carrying)]
    means = [float(np.mean([one[mask].sum() for one in each])) for each in zip(*map(_maps, answers), strict=True)]
    return dict(zip(MAPS_AT, [*means, float(mask.mean())], strict=True))


def _maps(answer: maps.Answer) -> tuple[np.ndarray, np.ndarray]:
    return answer.classifier_map, answer.data_map


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
    found |= {"clean": len(clean), "limit": FLIPS}
    counted = {
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
