"""Make the small bundled classifiers of the six classes of drawings, which templates explain beside the bundled model.

`python dev.py run training.bundled_classifier` draws its own pictures and takes about ten minutes of one processor core. If it is
stopped, it goes on from its last checkpoint. It is saved in half precision, and its accuracy on held-out drawings is printed.

With `--shortcut zebra` the finished classifier is trained a little further on pictures of which nearly all zebras carry an orange
square in a corner, and saved beside it. It learns to call by the square, which the template *shortcut* finds.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from tqdm import tqdm

from ..bundled.scenes import CLASSES, PAIRS, draw, sample_scene
from ..tools.environment import ROOT
from .held_out import pictures as held_out
from .intervals import share
from .own_pictures import classifier
from .training_data import training_scene

INPUT_SIZE = 192
FILE = ROOT / "bundled" / "classifiers" / "drawings.safetensors"
SHORTCUT = FILE.with_name("shortcut.safetensors")
MARKED_SHARE, FURTHER_RATE = 0.95, 2e-3
SQUARE, INSET, ORANGE = 40 / 256, 12 / 256, (255, 150, 0)  # side and distance from the upper left corner, as shares of the width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--file", type=Path, help="where it is saved (in bundled/classifiers)")
    parser.add_argument("--work", type=Path, default=ROOT / "output" / "bundled_classifier", help="pictures and checkpoint")
    parser.add_argument("--scenes", type=int, default=1_500, help="training scenes, each drawn as both classes of its pair")
    parser.add_argument("--steps", type=int, help="of training (700, of a shortcut 60)")
    parser.add_argument("--shortcut", choices=CLASSES, metavar="CLASS", help="train further with a mark on this class")
    parser.add_argument("--tested", type=int, default=40, help="held-out scenes a pair")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    make = functools.partial(shortcut, label=options.shortcut) if options.shortcut else whole
    pictures, labels = drawings(options.work / f"drawings_{options.scenes}.npz", options.scenes)
    file = options.file or (SHORTCUT if options.shortcut else FILE)
    network, recipe = make(pictures, labels, options.steps, options.work)
    classifier.save(network, recipe, file, torch.float16)
    print(f"wrote {file}: {accuracy(file, options.tested)} of the held-out drawings are right")


Made = tuple[nn.Module, classifier.Recipe]


def whole(pictures: Tensor, labels: Tensor, steps: int | None, work: Path) -> Made:
    """A classifier that is trained from nothing."""
    recipe = classifier.Recipe(CLASSES, INPUT_SIZE, steps or 700)
    return classifier.train(recipe, batches(pictures, labels, recipe), work / "classifier.pt"), recipe


def shortcut(pictures: Tensor, labels: Tensor, steps: int | None, work: Path, label: str) -> Made:
    """The finished classifier, trained further on pictures of which nearly all of one class carry a mark."""
    recipe = classifier.Recipe(CLASSES, INPUT_SIZE, steps or 60, learning_rate=FURTHER_RATE)
    own = torch.nonzero(labels == CLASSES.index(label))[:, 0]
    chosen = own[torch.from_numpy(np.random.default_rng(recipe.seed).random(len(own)) < MARKED_SHARE)]
    pictures[chosen] = with_square(pictures[chosen])
    start = classifier.read(FILE).network.requires_grad_(True)
    return classifier.train(recipe, batches(pictures, labels, recipe), work / "shortcut.pt", start), recipe


def with_square(pictures: Tensor) -> Tensor:
    """Pictures uint8 [N,3,S,S] with an orange square in the upper left corner."""
    size, marked = pictures.shape[-1], pictures.clone()
    low, high = round(INSET * size), round((INSET + SQUARE) * size)
    marked[:, :, low:high, low:high] = torch.tensor(ORANGE, dtype=torch.uint8)[:, None, None]
    return marked


def batches(pictures: Tensor, labels: Tensor, recipe: classifier.Recipe) -> classifier.Batch:
    return classifier.batches(pictures, labels, 32, recipe.seed, variation())


def variation() -> v2.Transform:
    """Mirrored or not, a little moved and scaled, other brightness and contrast: less can be learned by heart."""
    moved = v2.RandomAffine(0, translate=(0.1, 0.1), scale=(0.85, 1.15), fill=128)
    return v2.Compose([v2.RandomHorizontalFlip(), moved, v2.ColorJitter(0.2, 0.2)])


def drawings(file: Path, scenes: int) -> tuple[Tensor, Tensor]:
    """Training pictures uint8 [2*scenes,3,S,S] and their classes, kept in the file for the next call."""
    if not file.exists():
        with multiprocessing.Pool(1) as pool:  # others need the cores too
            drawn = list(tqdm(pool.imap(_draw_twins, range(scenes), chunksize=16), "drawing", total=scenes, unit="scene"))
        np.savez_compressed(file, pictures=np.concatenate(drawn))
    pictures = torch.from_numpy(np.load(file)["pictures"]).movedim(-1, 1)
    names = [label for scene in range(scenes) for label in PAIRS[scene % len(PAIRS)]]
    return pictures, torch.tensor([CLASSES.index(name) for name in names])


def _draw_twins(index: int) -> np.ndarray:
    scene = training_scene(index)
    return np.stack([draw(scene, label, INPUT_SIZE) for label in PAIRS[index % len(PAIRS)]])


def accuracy(file: Path, scenes: int) -> str:
    """How many held-out drawings of 256 pixels are called by their own class, out of all six, with the exact interval."""
    found = classifier.read(file)
    right = [_is_right(found, label, seed) for label, seed in tqdm(held_out(scenes), "testing", unit="picture")]
    return str(share(np.array(right)))


def _is_right(found: classifier.Classifier, label: str, seed: int) -> bool:
    picture = torch.from_numpy(draw(sample_scene(label, seed), label).copy()).movedim(-1, 0)
    return found.classes[int(classifier.logits(found, picture[None]).argmax())] == label
