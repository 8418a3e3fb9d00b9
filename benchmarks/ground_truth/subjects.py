"""Held-out pictures of three kinds whose answer is known, with the diffusion model and the classifier that are asked about them.

Shapes: S the size of a picture, M the size at which maps are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...bundled.scenes import PAIRS
from ...nodes.maths.answers.faithfulness import Cover
from ...nodes.maths.method.classifier import Classifier
from ...training import digests
from ...training.finished import Model
from ...training.own_pictures import reading
from ...training.own_pictures.classifier import logits
from ...training.own_pictures.pictures import PictureSet
from . import marks
from .cases import Case, cases

TIMESTEPS, JUDGED_AT, SHARES = tuple(range(981, 0, -40)), (701, 501, 301), 4
DIGIT_PAIRS = (("4", "9"), ("3", "8"), ("1", "7"))
NEAREST = 3
"""Pictures of the other class that a digit is held against."""
LEAST_DIFFERENCE = 0.5
"""Of the largest difference: the pixels above it are the truth of a digit."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One held-out picture, both labels, and the pixels that make it the first and not the second."""

    name: str
    split: str
    """"choice" or "report"."""
    picture: np.ndarray
    """uint8 [S,S,3]."""
    own: str
    other: str
    truth: np.ndarray
    """bool [M,M]."""
    seed: int


@dataclass(frozen=True, eq=False)
class Subject:
    """Pictures of one kind, and who is asked about them."""

    model: Model
    classifier: Classifier
    pictures: tuple[Asked, ...]
    timesteps: tuple[int, ...]
    """Of the diffusion model's maps."""
    judged_at: tuple[int, ...]
    """Timesteps of its verdict on covered pictures."""
    shares: int
    """Into which a picture is cut when it is covered."""
    cover: Cover
    """A blurred digit of 16 pixels still reads as itself, and a blurred tint stays one; a blurred drawing does not."""
    layer: str = ""
    """Of Grad-CAM and LayerCAM; "" is the last that keeps space."""

    @property
    def key(self) -> str:
        """What changes if others are asked, or otherwise."""
        asked = digests.of_weights(self.model.pipeline.unet), digests.of_weights(self.classifier.network)
        return repr((asked, self.timesteps, self.judged_at, self.shares, self.cover, self.layer))


def drawings(model: Model, classifier: Classifier, pictures: int, choice: int) -> Subject:
    """Drawn scenes, one picture each; the truth is every pixel that differs from its twin's."""
    asked = [
        _drawing(case, split) for split, count in (("choice", choice), ("report", pictures)) for case in _one_each(split, count)
    ]
    return Subject(model, classifier, tuple(asked), TIMESTEPS, JUDGED_AT, SHARES, "blur")


def _one_each(split: str, count: int) -> list[Case]:
    """`count` pictures of as many scenes; the pairs and the classes take turns."""
    scenes = -(-count // len(PAIRS))
    both = cases(split, scenes, seed=0)
    return [both[2 * scene + (scene // len(PAIRS)) % 2] for scene in range(count)]


def _drawing(case: Case, split: str) -> Asked:
    return Asked(case.name, split, case.picture(256), case.label, case.twin, case.truth(), case.noise_seed)


def digits(source: Path, model: Model, classifier: Classifier, pictures: int, choice: int) -> Subject:
    """Handwritten digits; the truth is where one differs most from the nearest pictures of the other class.

    Nearest are the training pictures with the smallest squared distance.
    """
    found = reading.read(source)
    train, held_out = (PictureSet(items, model.size) for items in (found.train, found.held_out))
    known, labels = train.stack()
    asked = []
    turns = _in_turns(held_out, found.classes)
    for place, (index, own, other) in zip(range(pictures + choice), turns, strict=False):
        picture = held_out[index][0]
        truth = differs_from_nearest(picture, known[labels == found.classes.index(other)])
        split = "choice" if place < choice else "report"
        asked.append(Asked(found.held_out[index].file.stem, split, picture.movedim(0, -1).numpy(), own, other, truth, index))
    return Subject(model, classifier, tuple(asked), TIMESTEPS, JUDGED_AT, SHARES, "mean colour")


def _in_turns(held_out: PictureSet, classes: tuple[str, ...]) -> Iterator[tuple[int, str, str]]:
    """Held-out pictures of the pairs: the pairs and both classes of each take turns."""
    directions = [pair[::way] for pair in DIGIT_PAIRS for way in (1, -1)]
    of_class = {name: [n for n, item in enumerate(held_out.items) if classes[item.label] == name] for name, _ in directions}
    for place in range(max(map(len, of_class.values()))):
        for own, other in directions:
            if place < len(of_class[own]):
                yield of_class[own][place], own, other


def differs_from_nearest(picture: Tensor, others: Tensor) -> np.ndarray:
    """Where a picture [3,S,S] differs from the mean of the nearest of others [n,3,S,S], bool [S,S]."""
    gaps = (others.float() - picture.float()).square().sum((1, 2, 3))
    nearest = others[gaps.topk(min(NEAREST, len(others)), largest=False).indices].float()
    difference = (picture.float() - nearest.mean(0)).abs().mean(0)
    return (difference > LEAST_DIFFERENCE * difference.max()).numpy()


def marked(data: marks.Data, model: Model, pictures: int, choice: int) -> list[Subject]:
    """Photographs with a mark, and for each kind of mark a classifier that learned it; the truth is the mark.

    Each picture is called right by the classifier, and by the mark's class once it carries the mark: so it is the mark that the
    classifier goes by. The diffusion model has never seen a mark. A photograph is asked about with one mark only.
    """
    free = torch.ones(len(data.held_out[0]), dtype=torch.bool)
    found = []
    for trial in (marks.first_learned(kind, data) for kind in marks.KINDS):
        chosen = _turned(trial, free)[: (pictures + choice) // len(marks.KINDS)]
        free[chosen] = False
        splits = ["choice" if place < choice // len(marks.KINDS) else "report" for place in range(len(chosen))]
        asked = tuple(_with_mark(trial, index, split) for index, split in zip(chosen, splits, strict=True))
        found.append(Subject(model, trial.classifier, asked, TIMESTEPS, JUDGED_AT, SHARES, "mean colour", marks.LAYER))
    return found


def _turned(trial: marks.Trial, free: Tensor) -> list[int]:
    """The free held-out pictures that only the mark turns into its class; the other classes take turns."""
    pictures, labels = trial.data.held_out
    before, after = (logits(trial.classifier, each).argmax(1) for each in (pictures, trial.mark.put(pictures)))
    fit = free & (before == labels) & (labels != trial.mark.label) & (after == trial.mark.label)
    of_class = [torch.nonzero(fit & (labels == label))[:, 0].tolist() for label in range(len(trial.data.recipe.classes))]
    return [own[place] for place in range(max(map(len, of_class))) for own in of_class if place < len(own)]


def _with_mark(trial: marks.Trial, index: int, split: str) -> Asked:
    pictures, labels = trial.data.held_out
    picture = trial.mark.put(pictures[index : index + 1])[0].movedim(0, -1).numpy()
    own, other = (trial.data.recipe.classes[label] for label in (trial.mark.label, int(labels[index])))
    return Asked(f"{trial.number}_{index:04}", split, picture, own, other, trial.mark.mask(trial.data.size).numpy(), index)


def write_digits(folder: Path) -> Path:
    """scikit-learn's 1,797 digits of 8 × 8 pixels as a folder of pictures, as `training.own` reads it."""
    from sklearn.datasets import load_digits

    if not folder.exists():
        found = load_digits()
        for number, (picture, label) in enumerate(zip(found.images, found.target, strict=True)):
            file = folder / str(label) / f"{number:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture * 255 / 16).round().astype(np.uint8)).save(file)
    return folder
