"""From a picture to what a classifier's network sees of it, and back from there to places in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import Size

Interpolation = Literal["bilinear", "bicubic"]
Colour = tuple[float, float, float]


class Grid(NamedTuple):
    """The places of a map: they cover the whole picture."""

    rows: int
    columns: int
    pixels: int
    """Pixels of the picture per place, along one side, about."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a picture before a network gets it, as `torchvision.transforms` names it.

    Raises:
        ValueError: a size below 1, more cut out of the middle than there is, an unknown interpolation, a std that is not above 0.
    """

    resize: int | tuple[int, int]
    """The shorter side's new length, or the new height and width whatever the picture's shape."""
    input_size: tuple[int, int]
    """Height and width that are cut out of the middle."""
    interpolation: Interpolation = "bilinear"
    mean: Colour = (0.485, 0.456, 0.406)
    std: Colour = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        sides = (self.resize, self.resize) if isinstance(self.resize, int) else self.resize
        if len(sides) != 2 or len(self.input_size) != 2 or min(*sides, *self.input_size) < 1:
            raise ValueError(f"The sizes are resize {self.resize} and input_size {self.input_size}; expected pixels, 1 or more.")
        if any(side < cut for side, cut in zip(sides, self.input_size, strict=True)):
            raise ValueError(
                f"The picture is resized to {self.resize}, but {list(self.input_size)} is cut out of the middle; expected no "
                "more than there is. Correct the classifier's preprocessing."
            )
        if self.interpolation not in get_args(Interpolation):
            raise ValueError(
                f"The interpolation is {self.interpolation!r}; expected one of {', '.join(get_args(Interpolation))}."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean is {self.mean} and std {self.std}; expected three numbers each, those of std above 0.")

    def resized(self, size: Size) -> tuple[int, int]:
        """Height and width after resizing a picture of height and width `size`, before the middle is cut out."""
        if not isinstance(self.resize, int):
            return self.resize
        height, width = size
        long = int(self.resize * max(size) / min(size))
        return (self.resize, long) if height <= width else (long, self.resize)

    def prepare(self, pictures: Tensor) -> Tensor:
        """The network's input [B,3,h,w], float32, for pictures [B,H,W,3 or 4] in 0..1; alpha is left out, as VAE Encode does.

        Raises:
            ValueError: what `check_pictures` refuses.
        """
        check_pictures(pictures)
        channels = pictures[..., :3].float().movedim(-1, 1)
        resized = F.interpolate(
            channels, self.resized(pictures.shape[1:3]), mode=self.interpolation, align_corners=False, antialias=True
        )
        top, left = _corner(resized.shape[-2:], self.input_size)
        middle = resized[..., top : top + self.input_size[0], left : left + self.input_size[1]]
        return self.normalise(middle.clamp(0, 1))

    def normalise(self, channels: Tensor) -> Tensor:
        """(value - mean) / std of each colour, [...,3,h,w]."""
        mean, std = (channels.new_tensor(colour)[:, None, None] for colour in (self.mean, self.std))
        return (channels - mean) / std

    def denormalise(self, x: Tensor) -> Tensor:
        """The colours in 0..1 of a network's input [...,3,h,w]."""
        mean, std = (x.new_tensor(colour)[:, None, None] for colour in (self.mean, self.std))
        return x * std + mean

    def seen(self, size: Size) -> tuple[float, float]:
        """The share of a picture's height and of its width that the network sees, the middle of it."""
        height, width = self.resized(size)
        return self.input_size[0] / height, self.input_size[1] / width

    def grid(self, size: Size) -> Grid:
        """The places of a map of a picture of height and width `size`: at least as fine as the network's input."""
        height, width = self.resized(size)
        pixels = max(1, int(min(size[0] / height, size[1] / width)))
        return Grid(-(-size[0] // pixels), -(-size[1] // pixels), pixels)

    def place(self, values: Tensor, size: Size, adds_up: bool) -> Tensor:
        """Values at the network's input [n,h,w] where they lie in a picture of height and width `size`, [n,rows,columns].

        0 where the network does not see the picture. adds_up: the sum over all places stays, not the value of each.
        """
        height, width = self.resized(size)
        top, left = _corner((height, width), self.input_size)
        below, right = height - top - self.input_size[0], width - left - self.input_size[1]
        whole = F.pad(values, (left, right, top, below))
        rows, columns, _ = self.grid(size)
        placed = F.interpolate(whole[:, None], (rows, columns), mode="bilinear", align_corners=False, antialias=True)[:, 0]
        return placed * (height * width / (rows * columns)) if adds_up else placed


def _corner(size: Size, cut: tuple[int, int]) -> tuple[int, int]:
    """Top and left of the middle, as torchvision's CenterCrop rounds them."""
    return round((size[0] - cut[0]) / 2), round((size[1] - cut[1]) / 2)


def check_pictures(pictures: Tensor) -> None:
    """Refuse what is not a batch of pictures.

    Raises:
        ValueError: another shape than [images, height, width, 3 or 4], or NaN.
    """
    if pictures.ndim != 4 or pictures.shape[-1] not in (3, 4) or 0 in pictures.shape:
        raise ValueError(
            f"The image has shape {list(pictures.shape)}; expected [images, height, width, 3 or 4]. Connect an IMAGE."
        )
    if not torch.isfinite(pictures).all():
        raise ValueError("The image contains NaN or infinity. Connect another image.")
