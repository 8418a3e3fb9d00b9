"""A classifier of a standard architecture, trained on the same pictures, in the format of `nodes/host/loading/classifier.py`.

Shapes: B pictures, K classes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from ...nodes.maths.method.classifier import Classifier
from ...nodes.maths.method.preprocessing import Preprocessing
from .. import checkpoint
from ..permissions import as_usual
from .progress import BAR, stopped_between_steps, time_left

ARCHITECTURE = "shufflenet_v2_x0_5"  # of torchvision; small enough for a processor core
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SAVE_EVERY = 60.0  # seconds
CALL = 64
SETTLING = 10  # batches

Batch = Callable[[int], tuple[Tensor, Tensor]]
"""From a step's number to pictures float [B,3,S,S] in 0..1 and their classes [B]."""


@dataclass(frozen=True)
class Recipe:
    """Which classifier, and how it is trained."""

    classes: tuple[str, ...]
    input_size: int
    """Every picture is resized to this width and height."""
    steps: int
    minutes: float | None = None
    """At most, those before a stop included; the learning rate then falls with the time, so that it is low at the end."""
    architecture: str = ARCHITECTURE
    library: str = "torchvision"
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    seed: int = 0

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file says of itself."""
        size = [self.input_size, self.input_size]
        return {
            "library": self.library,
            "architecture": self.architecture,
            "classes": list(self.classes),
            "resize": size,
            "input_size": size,
            "interpolation": "bilinear",
            "mean": list(MEAN),
            "std": list(STD),
        }


def build(metadata: dict[str, Any]) -> nn.Module:
    """The untrained network that a file's metadata names.

    Raises:
        ValueError: a library other than torchvision and timm.
    """
    classes = len(metadata["classes"])
    if metadata["library"] == "torchvision":
        import torchvision

        return torchvision.models.get_model(metadata["architecture"], weights=None, num_classes=classes)
    if metadata["library"] == "timm":
        import timm

        return timm.create_model(metadata["architecture"], pretrained=False, num_classes=classes)
    raise ValueError(f"The library is {metadata['library']!r}; expected torchvision or timm.")


def preprocessing(metadata: dict[str, Any]) -> Preprocessing:
    """What is done to pictures before the network gets them."""
    resize = metadata["resize"]
    return Preprocessing(
        resize=resize if isinstance(resize, int) else tuple(resize),
        input_size=tuple(metadata["input_size"]),
        interpolation=metadata["interpolation"],
        mean=tuple(metadata["mean"]),
        std=tuple(metadata["std"]),
    )


@dataclass
class Spent:
    """Seconds of training; kept in its checkpoints."""

    seconds: float = 0.0

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.seconds = state["seconds"]


def train(recipe: Recipe, batch: Batch, work: Path, start: nn.Module | None = None) -> nn.Module:
    """Train, going on from the checkpoint `work` if there is one, or from the weights of `start`; returns it in eval mode.

    The weights that come out are those of the last steps in float32; every step's batch follows from its number alone.
    """
    torch.manual_seed(recipe.seed)
    network = (build(recipe.metadata) if start is None else start).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.steps, pct_start=0.15)
    spent = Spent()
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    parts |= {"spent": spent} if recipe.minutes is not None else {}
    done = checkpoint.restore(work, parts)
    prepare = preprocessing(recipe.metadata).prepare
    saved = time.monotonic()
    begun = saved - spent.seconds
    right = 1 / len(recipe.classes)
    bar = tqdm(total=recipe.steps, initial=done, desc="training the classifier", unit="step", bar_format=BAR)
    with bar, stopped_between_steps() as asked_to_stop:
        for step in range(done, recipe.steps):
            pictures, labels = batch(step)
            logits = network(prepare(pictures.movedim(1, -1)).contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits, labels, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            spent.seconds = time.monotonic() - begun
            gone = 0.0 if recipe.minutes is None else spent.seconds / (60 * recipe.minutes)
            _advance(schedule, max(step + 1, min(round(gone * recipe.steps), recipe.steps)))
            right += 0.05 * ((logits.argmax(1) == labels).float().mean().item() - right)
            left = time_left(step + 1, recipe.steps, spent.seconds, recipe.minutes)
            bar.set_postfix_str(f"loss {loss.item():.3f}, {100 * right:.0f} % of the trained ones right, {left}", refresh=False)
            bar.update()
            late = gone >= 1
            if time.monotonic() - saved > SAVE_EVERY or step + 1 == recipe.steps or late or asked_to_stop():
                checkpoint.save(work, parts, step + 1)
                saved = time.monotonic()
            if asked_to_stop():
                raise KeyboardInterrupt
            if late:
                break
    return network.eval()


def settle(network: nn.Module, recipe: Recipe, batch: Batch) -> nn.Module:
    """Measure anew what batch normalisation takes for the usual, which lags behind a short training; in eval mode again."""
    prepare = preprocessing(recipe.metadata).prepare
    update_bn((prepare(batch(step)[0].movedim(1, -1)) for step in range(SETTLING)), network)
    return network.eval()


def _advance(schedule: torch.optim.lr_scheduler.LRScheduler, place: int) -> None:
    """Bring the learning rate to a step of the schedule."""
    while schedule.last_epoch < place:
        schedule.step()


def batches(pictures: Tensor, labels: Tensor, size: int, seed: int, vary: Callable[[Tensor], Tensor]) -> Batch:
    """Batches of `size` out of pictures uint8 [N,3,S,S], each varied in its own way; known from the step's number alone."""

    def batch(step: int) -> tuple[Tensor, Tensor]:
        generator = np.random.default_rng((seed, step))
        chosen = torch.from_numpy(generator.choice(len(pictures), min(size, len(pictures)), replace=False))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator.integers(2**62)))
            varied = torch.stack([vary(picture) for picture in pictures[chosen]])
        return varied.float() / 255, labels[chosen]

    return batch


def save(network: nn.Module, recipe: Recipe, file: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the weights with what belongs to them, in the format of `nodes/host/loading/classifier.py`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.to(dtype).contiguous() if value.is_floating_point() else value for name, value in network.state_dict().items()
    }
    beside = file.with_suffix(".part")
    save_file(tensors, beside, {"classifier": json.dumps(recipe.metadata)})
    as_usual(beside)
    os.replace(beside, file)


def read(file: Path) -> Classifier:
    """A classifier from such a file, in float32 and eval mode.

    Raises:
        ValueError: a damaged file, one without the entry, or with weights of another architecture.
    """
    try:
        with safe_open(file, "pt") as stream:
            entry = (stream.metadata() or {}).get("classifier")
    except SafetensorError as error:
        raise ValueError(f"{file} is not a whole safetensors file: {error}") from error
    if entry is None:
        raise ValueError(f"{file} does not say which classifier it is: its metadata has no entry 'classifier'.")
    metadata = json.loads(entry)
    network = build(metadata)
    try:
        network.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise ValueError(f"{file} has no weights of {metadata['architecture']}: {error}") from error
    network = network.float().eval().requires_grad_(False)
    return Classifier(network, tuple(metadata["classes"]), preprocessing(metadata), file.stem)


@torch.no_grad()
def logits(classifier: Classifier, pictures: Tensor) -> Tensor:
    """Logits [B,K] of pictures uint8 [B,3,S,S]."""
    prepared = classifier.preprocessing.prepare(pictures.movedim(1, -1).float() / 255)
    return torch.cat(list(_asked(classifier, prepared)))


def _asked(classifier: Classifier, prepared: Tensor) -> Iterator[Tensor]:
    for part in prepared.split(CALL):
        yield classifier.network(part).float()


def of(network: nn.Module, recipe: Recipe, name: str) -> Classifier:
    """A network that was just trained as a classifier to be asked."""
    return Classifier(network.eval(), recipe.classes, preprocessing(recipe.metadata), name)
