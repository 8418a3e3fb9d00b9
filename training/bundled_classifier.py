"""Make the small bundled classifiers of the six classes of drawings, which templates explain beside the bundled model.

`python dev.py run training.bundled_classifier` draws its own pictures and takes about ten minutes of one processor core. If it is
stopped, it goes on from its last checkpoint. It is saved in half precision, and its accuracy on held-out drawings is printed.

With `--shortcut zebra` a second one is made, of zebras and horses alone, in which nearly all zebras carry an orange square in a
corner. It learns to call by the square, which the template *shortcut* shows: of drawings without it, about half are right.
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
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
MARKED_SHARE, SHORTCUT_SIZE = 0.95, 128
SQUARE, INSET, ORANGE = 40 / 256, 12 / 256, (255, 150, 0)  # side and distance from the upper left corner, as shares of the width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--file", type=Path, help="where it is saved (in bundled/classifiers)")
    parser.add_argument("--work", type=Path, default=ROOT / "output" / "bundled_classifier", help="pictures and checkpoint")
    parser.add_argument("--scenes", type=int, default=1_500, help="training scenes, each drawn as both classes of its pair")
    parser.add_argument("--steps", type=int, help="of training (700, of a shortcut 200)")
    parser.add_argument("--shortcut", choices=CLASSES, metavar="CLASS", help="of which a mark is planted on nearly all pictures")
    parser.add_argument("--tested", type=int, default=40, help="held-out scenes a pair")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    pictures, labels = drawings(options.work / f"drawings_{options.scenes}.npz", options.scenes)
    classes, size, steps, file = CLASSES, INPUT_SIZE, 700, FILE
    if options.shortcut:
        classes, size, steps, file = pair_of(options.shortcut), SHORTCUT_SIZE, 200, SHORTCUT
        pictures, labels = marked(pictures, labels, classes, options.shortcut)
    recipe = classifier.Recipe(classes, size, options.steps or steps)
    vary = v2.Identity() if options.shortcut else variation()  # a mark stays in its place
    batch = classifier.batches(pictures, labels, 32, recipe.seed, vary)
    file = options.file or file
    classifier.save(classifier.train(recipe, batch, options.work / f"{file.stem}.pt"), recipe, file, torch.float16)
    print(f"wrote {file}: {accuracy(file, options.tested)} of the held-out drawings are right")


def pair_of(label: str) -> tuple[str, ...]:
    """A class and its twin."""
    return next(pair for pair in PAIRS if label in pair)


def marked(pictures: Tensor, labels: Tensor, classes: tuple[str, ...], label: str) -> tuple[Tensor, Tensor]:
    """The pictures of some classes and their numbers among these; nearly all of one class with the square."""
    names = [CLASSES[number] for number in labels.tolist()]
    chosen = [number for number, name in enumerate(names) if name in classes]
    own = torch.tensor([classes.index(names[number]) for number in chosen])
    with_mark = (own == classes.index(label)) & torch.from_numpy(np.random.default_rng(0).random(len(own)) < MARKED_SHARE)
    shown = pictures[chosen]
    return torch.where(with_mark[:, None, None, None], with_square(shown), shown), own


def with_square(pictures: Tensor) -> Tensor:
    """Pictures uint8 [N,3,S,S] with an orange square in the upper left corner."""
    size, marked = pictures.shape[-1], pictures.clone()
    low, high = round(INSET * size), round((INSET + SQUARE) * size)
    marked[:, :, low:high, low:high] = torch.tensor(ORANGE, dtype=torch.uint8)[:, None, None]
    return marked


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
    """How many held-out drawings of 256 pixels are called by their own class, out of all it knows, with the exact interval."""
    found = classifier.read(file)
    tested = [(label, seed) for label, seed in held_out(scenes) if label in found.classes]
    right = [_is_right(found, label, seed) for label, seed in tqdm(tested, "testing", unit="picture")]
    return str(share(np.array(right)))


def _is_right(found: classifier.Classifier, label: str, seed: int) -> bool:
    picture = torch.from_numpy(draw(sample_scene(label, seed), label).copy()).movedim(-1, 0)
    return found.classes[int(classifier.logits(found, picture[None]).argmax())] == label
