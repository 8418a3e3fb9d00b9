"""Pictures with a planted mark, and classifiers that were trained on them: it is known where the shortcut is.

A mark is planted on 95 % of the training pictures of one class: a small chequered patch anywhere, a tint of a corner, or a frame.
All classifiers are trained further from the same early start. Shapes: n pictures, S their size.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...tools.environment import ROOT
from ...training.own_pictures import classifier, reading
from ...training.own_pictures.pictures import PictureSet, evenly, variation

WORK = ROOT / "output" / "classifier_audit"
KINDS = ("patch", "tint", "frame")
MARKED_SHARE = 0.95
LEARNED = 0.5
"""A classifier has learned a mark if more than this share of other classes' pictures, carrying it, are called by its class."""
INPUT = 64
LAYER = "stage3"
"""Of Grad-CAM: the last one has 2 × 2 cells."""
STEPS, BATCH, FURTHER_RATE = 80, 32, 3e-3
JUDGED = 400  # held-out pictures at most


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
    work: Path
    """Where the classifiers are kept."""

    @property
    def size(self) -> int:
        """S."""
        return self.train[0].shape[-1]


def read(source: Path, size: int, steps: int, work: Path) -> Data:
    """The pictures at a size, and the classifier with which all begin."""
    found = reading.read(source)
    train = PictureSet(found.train, size).stack()
    held_out = PictureSet(found.held_out, size).stack(evenly(found.held_out, JUDGED))
    recipe = classifier.Recipe(found.classes, INPUT, steps)
    batch = classifier.batches(*train, BATCH, 0, variation(size, flip=False))
    work.mkdir(parents=True, exist_ok=True)
    return Data(train, held_out, recipe, classifier.train(recipe, batch, work / "start.pt"), work)


def planted(pictures: tuple[Tensor, Tensor], mark: Mark, seed: int) -> tuple[Tensor, Tensor]:
    """The pictures with the mark on its share of the class."""
    shown, labels = pictures[0].clone(), pictures[1]
    own = torch.nonzero(labels == mark.label)[:, 0]
    chosen = own[torch.from_numpy(np.random.default_rng((seed, 7)).random(len(own)) < MARKED_SHARE)]
    shown[chosen] = mark.put(shown[chosen])
    return shown, labels


@dataclass(frozen=True, eq=False)
class Trial:
    """A classifier that is trained further on pictures with a mark, or on clean ones."""

    number: int
    data: Data
    marked: bool = True
    steps: int = STEPS

    @property
    def kind(self) -> str:
        """What it is trained on."""
        return "marked" if self.marked else "clean"

    @cached_property
    def mark(self) -> Mark:
        """The trial's mark, that of the clean training as well."""
        return trial_mark(self.number, len(self.data.recipe.classes), self.data.size)

    def pictures(self, of: tuple[Tensor, Tensor], seed: int) -> tuple[Tensor, Tensor]:
        """Pictures and labels as the training has them: with the mark on its share of the class, or clean."""
        return planted(of, self.mark, seed) if self.marked else of

    @cached_property
    def classifier(self) -> classifier.Classifier:
        """Trained once and kept."""
        file = self.data.work / f"{self.number}_{self.kind}_{self.data.recipe.steps}_{self.steps}.safetensors"
        if not file.exists():
            recipe = classifier.Recipe(self.data.recipe.classes, INPUT, self.steps, learning_rate=FURTHER_RATE, seed=self.number)
            vary = variation(self.data.size, flip=False)
            batch = classifier.batches(*self.pictures(self.data.train, self.number), BATCH, self.number + 1, vary)
            checkpoint = file.with_suffix(".pt")
            checkpoint.unlink(missing_ok=True)
            classifier.save(classifier.train(recipe, batch, checkpoint, copy.deepcopy(self.data.start)), recipe, file)
            checkpoint.unlink()
        return classifier.read(file)

    @cached_property
    def follows(self) -> float:
        """The share of other classes' held-out pictures that are called by the mark's class once they carry it."""
        pictures, labels = self.data.held_out
        carrying = self.mark.put(pictures[labels != self.mark.label])
        return float((classifier.logits(self.classifier, carrying).argmax(1) == self.mark.label).float().mean())


def first_learned(kind: str, data: Data) -> Trial:
    """The first trial of a kind of mark whose classifier learned it."""
    trials = (Trial(number, data) for number in count(KINDS.index(kind), len(KINDS)))
    return next(trial for trial in trials if trial.follows > LEARNED)
