"""What the bundled model does not know: photographs, plain, shaded and noisy pictures, latents of a foreign VAE, unseen words.

Shapes: H W picture size (square here), C latent channels, h w latent size.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

PLAIN_KINDS = ("grey", "colour", "gradient", "white noise", "coarse noise")
FOREIGN_KINDS = ("permuted", "doubled", "halved", "flipped", "mixed")

Named = tuple[str, np.ndarray]
"""What a picture is called, and the picture, uint8 [H,W,3]."""


def photographs(folder: Path, count: int, size: int) -> list[Named]:
    """The first photographs of every class of a folder of folders, the classes in turns, enlarged to `size` pixels.

    Raises:
        ValueError: fewer photographs than `count`.
    """
    classes = [sorted(path for path in part.rglob("*") if path.is_file()) for part in sorted(folder.iterdir()) if part.is_dir()]
    turns = [
        path for number in range(max(map(len, classes), default=0)) for path in (part[number : number + 1] for part in classes)
    ]
    files = [file for turn in turns for file in turn][:count]
    if len(files) < count:
        raise ValueError(f"{folder} has {len(files)} photographs in folders of classes; expected {count} or more.")
    return [(f"{file.parent.name}-{file.stem}", _enlarged(file, size)) for file in files]


def _enlarged(file: Path, size: int) -> np.ndarray:
    with Image.open(file) as photo:
        return np.asarray(photo.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def plain_pictures(count: int, size: int, seed: int = 0) -> list[Named]:
    """Pictures without any object, the kinds in turns: one grey, one colour, a gradient, white noise, coarse noise."""
    return [
        (f"{kind.replace(' ', '_')}-{number}", _plain(kind, np.random.default_rng((seed, number)), size))
        for number, kind in ((number, PLAIN_KINDS[number % len(PLAIN_KINDS)]) for number in range(count))
    ]


def _plain(kind: str, rng: np.random.Generator, size: int) -> np.ndarray:
    if kind == "grey":
        return np.full((size, size, 3), rng.integers(256), np.uint8)
    if kind == "colour":
        return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (size, size, 3)).copy()
    if kind == "gradient":
        return _gradient(rng, size)
    noise = Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8))
    if kind == "coarse noise":
        small = noise.resize((size // 8, size // 8), Image.Resampling.NEAREST)
        noise = small.resize((size, size), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(rng.uniform(0, 4)))
    return np.asarray(noise)


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    angle, (first, last) = rng.uniform(0, 2 * np.pi), rng.uniform(0, 255, (2, 3))
    across = np.linspace(-1, 1, size)
    along = np.cos(angle) * across[None, :] + np.sin(angle) * across[:, None]
    share = ((along - along.min()) / np.ptp(along))[..., None]
    return np.round(first + share * (last - first)).astype(np.uint8)


def foreign_latents(latents: list[Tensor], seed: int = 0) -> list[tuple[str, Tensor]]:
    """Latents [C,h,w] as another VAE would give them, the kinds in turns: channels permuted, all values doubled, halved or
    negated, or the channels mixed by a random rotation and scaled between ½ and 2."""
    return [
        (f"{kind}-{number}", _foreign(kind, latent, np.random.default_rng((seed, number))))
        for number, (kind, latent) in enumerate(
            (FOREIGN_KINDS[n % len(FOREIGN_KINDS)], latent) for n, latent in enumerate(latents)
        )
    ]


def _foreign(kind: str, latent: Tensor, rng: np.random.Generator) -> Tensor:
    factors = {"doubled": 2.0, "halved": 0.5, "flipped": -1.0}
    if kind in factors:
        return factors[kind] * latent
    channels = len(latent)
    if kind == "permuted":
        orders = list(permutations(range(channels)))[1:]  # the first leaves all in place
        return latent[list(orders[rng.integers(len(orders))])]
    rotation, _ = np.linalg.qr(rng.normal(size=(channels, channels)))
    mix = rotation * 2 ** rng.uniform(-1, 1, (channels, 1))
    return torch.einsum("kc,chw->khw", torch.from_numpy(mix).to(latent), latent)
