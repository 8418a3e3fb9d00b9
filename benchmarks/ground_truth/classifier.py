"""The classifier that attribution methods explain: a small CNN of the six classes, trained on the diffusion model's pictures.

`python dev.py run benchmarks.ground_truth.classifier` trains it in ten minutes on one processor core, states its accuracy on
held-out scenes and saves it to output/truth/classifier.safetensors. If it is stopped, it goes on from its last checkpoint.

Shapes: B pictures, H W picture size, K = 6 classes in the order of `scenes.CLASSES`.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ...bundled.scenes import CLASSES, PAIRS, draw, sample_scene
from ...tools.environment import ROOT
from ...training import checkpoint
from ...training.training_data import FIRST_HELD_OUT_SEED, TwinPictures, twin_pictures

WEIGHTS = ROOT / "output" / "truth" / "classifier.safetensors"
INPUT_SIZE = 128
SCENES_PER_BATCH = 32
STEPS = 1200
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.02
SAVE_EVERY = 100
# The scenes of its stated accuracy: held out, and far from those on which maps are chosen and reported.
FIRST_TEST_SEED = FIRST_HELD_OUT_SEED + 1_000_000


def convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=False))


class Residual(nn.Module):
    """Two convolutions beside an identity (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convolutions(x)


class Classifier(nn.Module):
    """Pictures [B,3,128,128] in -1..1 to logits [B,6]: a residual network, averaged over its last map of 16 x 16 cells.

    `fine` [B,32,32,32] and `coarse` [B,128,16,16] are the layers whose maps Grad-CAM reads.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(convolution(3, 16, 2), convolution(16, 32, 2), Residual(32))
        self.coarse = nn.Sequential(convolution(32, 64, 2), Residual(64), Residual(64), convolution(64, 128))
        self.head = nn.Linear(128, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.coarse(self.fine(x)).mean((2, 3)))


def as_input(pictures: np.ndarray) -> Tensor:
    """Average pictures uint8 [B,H,W,3] down to the network's input, float32 [B,3,128,128] in -1..1.

    Raises ValueError for pictures that are smaller than the input or of another type.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or min(pictures.shape[1:3]) < INPUT_SIZE:
        raise ValueError(
            f"pictures are {pictures.dtype} {list(pictures.shape)}: expected uint8 [B,H,W,3] of at least {INPUT_SIZE} pixels"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    return functional.interpolate(pixels, (INPUT_SIZE, INPUT_SIZE), mode="area") / 127.5 - 1


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the pictures [B,3,H,W], and vary their contrast and the brightness of each colour a little."""
    count = len(x)
    mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    contrast = 1 + 0.2 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    tint = 0.15 * (torch.rand(count, 3, 1, 1, generator=generator) - 0.5)
    return torch.where(mirrored, x.flip(3), x) * contrast + tint


def draw_batch(pictures: TwinPictures, step: int, seed: int) -> tuple[Tensor, Tensor]:
    """The batch of one step, known from its number alone: both twins of some scenes, and their classes [B]."""
    generator = np.random.default_rng((seed, step))
    scenes = np.sort(generator.choice(len(pictures), min(SCENES_PER_BATCH, len(pictures)), replace=False))
    x = as_input(np.concatenate([pictures.pictures[scene] for scene in scenes]))
    classes = torch.tensor([2 * (scene % len(PAIRS)) + twin for scene in scenes for twin in (0, 1)])
    return augment(x, torch.Generator().manual_seed(int(generator.integers(2**62)))), classes


def train(pictures: TwinPictures, steps: int, work: Path, seed: int = 0) -> Classifier:
    """Train a classifier; the same seed gives the same weights, stopped on the way or not."""
    torch.manual_seed(seed)
    classifier = Classifier().train()
    optimizer = torch.optim.AdamW(classifier.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.15)
    parts = {"classifier": classifier, "optimizer": optimizer, "schedule": schedule}
    done = checkpoint.restore(work, parts)
    right = 1 / len(CLASSES)
    with tqdm(total=steps, initial=done, desc="training the classifier", unit="step") as bar:
        for step in range(done, steps):
            x, classes = draw_batch(pictures, step, seed)
            logits = classifier(x)
            loss = functional.cross_entropy(logits, classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += 0.05 * ((logits.argmax(1) == classes).float().mean().item() - right)
            bar.set_postfix(loss=f"{loss.item():.4f}", right=f"{right:.3f}")
            bar.update()
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
                checkpoint.save(work, parts, step + 1)
    return classifier.eval()


@torch.no_grad()
def logits_of(classifier: Classifier, pictures: np.ndarray) -> np.ndarray:
    """Logits float [B,6] of pictures uint8 [B,H,W,3]."""
    return torch.cat([classifier(x) for x in as_input(pictures).split(32)]).numpy()


def accuracies(classifier: Classifier, scenes: int, first_seed: int = FIRST_TEST_SEED) -> dict[str, float]:
    """How often each class of picture is recognised, out of all six, on `scenes` scenes a pair; "all" is their mean."""
    right = {}
    for pair in PAIRS:
        for label in pair:
            pictures = np.stack([draw(sample_scene(label, first_seed + n), label) for n in range(scenes)])
            right[label] = float((logits_of(classifier, pictures).argmax(1) == CLASSES.index(label)).mean())
    return right | {"all": sum(right.values()) / len(right)}


def save(classifier: Classifier, file: Path, note: dict) -> None:
    """Write the weights, with how they were made in the metadata."""
    beside = file.with_suffix(".part")
    save_file(classifier.state_dict(), beside, {"made": json.dumps(note)})
    os.replace(beside, file)


def load(file: Path = WEIGHTS) -> Classifier:
    """Read a trained classifier, ready to be explained; its parameters need no gradient."""
    if not file.exists():
        raise ValueError(f"there is no classifier in {file}: run python dev.py run benchmarks.ground_truth.classifier first")
    classifier = Classifier()
    classifier.load_state_dict(load_file(file))
    return classifier.eval().requires_grad_(False)


def made(file: Path = WEIGHTS) -> dict:
    """How the classifier of `file` was made: its steps, scenes, seed and accuracies on held-out scenes."""
    with safe_open(file, "pt") as stream:
        return json.loads(stream.metadata()["made"])


def trained(
    pictures_folder: Path, file: Path = WEIGHTS, scenes: int = 10_000, steps: int = STEPS, seed: int = 0, tested: int = 200
) -> Classifier:
    """Return the classifier of `file`, training and testing it first if there is none with these settings."""
    note = {"scenes": scenes, "steps": steps, "seed": seed, "tested": tested}
    if not (file.exists() and made(file).items() >= note.items()):
        file.parent.mkdir(parents=True, exist_ok=True)
        work = file.with_name(f"{file.stem}_{scenes}_{steps}_{seed}.pt")
        classifier = train(twin_pictures(pictures_folder, scenes, 256), steps, work, seed)
        save(classifier, file, note | {"accuracy": accuracies(classifier, tested)})
        work.unlink()
    return load(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--pictures", type=Path, default=ROOT / "output" / "training", help="the training's pictures")
    parser.add_argument("--scenes", type=int, default=10_000, help="twin pairs to train on")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tested", type=int, default=200, help="held-out scenes a pair that the accuracy is stated on")
    options = parser.parse_args()
    trained(options.pictures, WEIGHTS, options.scenes, options.steps, options.seed, options.tested)
    for name, accuracy in made()["accuracy"].items():
        print(f"{name:>12} {accuracy:.4f}")
