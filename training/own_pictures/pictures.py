"""Labelled pictures as tensors: one size, kept in memory where they fit, varied a little for training.

Shapes: B pictures, S their width and height.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from .reading import LabelledPicture, load

MOST_KEPT = 1 << 30  # bytes of decoded pictures in memory


class PictureSet(Dataset[tuple[Tensor, int]]):
    """Pictures uint8 [3,S,S] with their labels; the shorter side becomes S pixels and the middle is cut out."""

    def __init__(self, items: Sequence[LabelledPicture], size: int) -> None:
        self.items = items
        self.transform = v2.Compose([v2.PILToTensor(), v2.Resize(size, antialias=True), v2.CenterCrop(size)])
        self.keeps = len(items) * 3 * size * size <= MOST_KEPT
        self.kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = self.kept.get(index)
        if picture is None:
            picture = self.transform(load(self.items[index].file))
            if self.keeps:
                self.kept[index] = picture
        return picture, self.items[index].label

    def stack(self, indices: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """The pictures uint8 [B,3,S,S] and the labels [B] of some indices, or of all."""
        chosen = [self[index] for index in (range(len(self)) if indices is None else indices)]
        return torch.stack([picture for picture, _ in chosen]), torch.tensor([label for _, label in chosen])


def variation(size: int, flip: bool) -> v2.Transform:
    """A shift by up to a sixteenth of the size, and if `flip` a mirror for half of the pictures; by torch's random state."""
    shift = v2.RandomCrop(size, padding=max(1, size // 16), padding_mode="edge")
    return v2.Compose([shift, v2.RandomHorizontalFlip()]) if flip else shift


def varied(pictures: Tensor, transform: v2.Transform) -> Tensor:
    """Each picture of [B,3,S,S] varied in its own way."""
    return torch.stack([transform(picture) for picture in pictures])


def to_model_range(pictures: Tensor) -> Tensor:
    """uint8 [B,3,S,S] to float in -1..1."""
    return pictures.float() / 127.5 - 1


def evenly(items: Sequence[LabelledPicture], count: int) -> list[int]:
    """Indices of up to `count` items, all classes alike as far as they go, always the same ones for the same count."""
    by_class: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        by_class.setdefault(item.label, []).append(index)
    turns = sorted((place, label, index) for label, own in by_class.items() for place, index in enumerate(own))
    return sorted(index for _, _, index in turns[:count])
