"""Cartoon scenes of six classes in three pairs, each drawn from parameters so that its twin and its truth are known.

A scene's parameters depend on its pair and seed, not on the class. Drawn as either class of the pair it
gives two pictures, counterfactual twins, that are the same in every pixel except those of the decisive features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from PIL import Image, ImageDraw

from . import animals, cars, rodents
from .backgrounds import Background, Clutter, paint_background, paint_clutter, sample_background, sample_clutter
from .sketch import Sketch

PAIRS: tuple[tuple[str, str], ...] = (("horse", "zebra"), ("mouse", "rat"), ("sports car", "taxi"))
CLASSES: tuple[str, ...] = tuple(label for pair in PAIRS for label in pair)

SUPERSAMPLING = 2
WIDTH_AT_SCALE_ONE = 0.7
LEAST_TRUTH = 0.022
DIFFERENCE_THRESHOLD = 12
_PAINTERS: tuple[ModuleType, ...] = (animals, rodents, cars)


@dataclass(frozen=True)
class Thing:
    """One object of a scene: its centre in picture widths, scale, direction, turn in degrees and looks."""

    x: float
    y: float
    scale: float
    mirrored: bool
    degrees: float
    look: animals.Equine | rodents.Rodent | cars.Car


@dataclass(frozen=True)
class Scene:
    """All that the twins share; `light` is brightness, and its rise to the right and downwards."""

    pair: tuple[str, str]
    seed: int
    level: float
    things: tuple[Thing, ...]
    background: Background
    clutter: tuple[Clutter, ...]
    light: tuple[float, float, float]


def _pair_index(label: str) -> int:
    for index, pair in enumerate(PAIRS):
        if label in pair:
            return index
    raise ValueError(f"unknown class {label!r}: expected one of {', '.join(CLASSES)}")


def twin_of(label: str) -> str:
    """Return the other class of the pair that `label` belongs to; raises ValueError for an unknown class."""
    first, second = PAIRS[_pair_index(label)]
    return second if label == first else first


def _foot(pair: int, thing: Thing) -> float:
    return thing.y + _PAINTERS[pair].FEET * thing.scale * WIDTH_AT_SCALE_ONE


def _sample_thing(rng: np.random.Generator, pair: int, level: float, count: int) -> Thing:
    scale = 1.0 + level * (rng.uniform(0.6, 1.1) - 1.0)
    if count > 1:
        scale = rng.uniform(0.56, 0.72) if count == 2 else rng.uniform(0.5, 0.6)
    width, height = (WIDTH_AT_SCALE_ONE * scale * part for part in (1.0, 0.85))
    inside = level * np.array([1 - 0.6 * width, 1 - 0.7 * height]) / 2
    x, y = 0.5 + rng.uniform(-1, 1, 2) * inside
    return Thing(
        float(x),
        float(y),
        float(scale),
        bool(rng.integers(2)),
        float(level * rng.uniform(-9, 9)),
        _PAINTERS[pair].sample(rng, level),
    )


def _crowded(things: tuple[Thing, ...]) -> bool:
    pairs = ((a, b) for n, a in enumerate(things) for b in things[:n])
    return any(max(abs(a.x - b.x), 1.2 * abs(a.y - b.y)) < 0.29 * (a.scale + b.scale) for a, b in pairs)


def _sample_things(rng: np.random.Generator, pair: int, level: float) -> tuple[Thing, ...]:
    count = 1 + int(rng.choice(3, p=(1 - 0.35 * level, 0.23 * level, 0.12 * level)))
    for _ in range(30):
        things = tuple(_sample_thing(rng, pair, level, count) for _ in range(count))
        if not _crowded(things):
            return tuple(sorted(things, key=lambda thing: _foot(pair, thing)))
    return things[:1]


def _sample_once(rng: np.random.Generator, pair: int, seed: int, level: float) -> Scene:
    things = _sample_things(rng, pair, level)
    background = sample_background(rng, level, min(_foot(pair, thing) for thing in things) - 0.06)
    light = (1.0 + level * rng.uniform(-0.1, 0.06), level * rng.uniform(-0.14, 0.14), level * rng.uniform(-0.1, 0.1))
    return Scene(PAIRS[pair], seed, level, things, background, sample_clutter(rng, level, background.horizon), light)


def sample_scene(label_or_pair: str | tuple[str, str], seed: int, level: float = 1.0) -> Scene:
    """Draw a scene's parameters from a pair (named by either class) and a seed.

    `level` runs from 0 (one centred object, nothing else) to 1 (all variety). Scenes whose decisive features would
    be nearly cut off are drawn again. Raises ValueError for an unknown class, a negative seed or a level off 0..1.
    """
    pair = _pair_index(label_or_pair if isinstance(label_or_pair, str) else label_or_pair[0])
    if seed < 0:
        raise ValueError(f"seed is {seed}: expected 0 or more")
    if not 0 <= level <= 1:
        raise ValueError(f"level is {level}: expected 0 (easy) to 1 (full variety)")
    rng = np.random.default_rng(np.random.SeedSequence((pair, seed)))
    while True:
        scene = _sample_once(rng, pair, seed, level)
        if truth_mask(scene, 64).mean() >= LEAST_TRUTH:
            return scene


def _paint_things(image: Image.Image, scene: Scene, label: str) -> None:
    width = image.size[0]
    painter = _PAINTERS[PAIRS.index(scene.pair)]
    for thing in scene.things:
        sketch = Sketch(
            image, (thing.x * width, thing.y * width), WIDTH_AT_SCALE_ONE * thing.scale * width, thing.mirrored, thing.degrees
        )
        painter.paint(sketch, thing.look, label)


def _paint_shadows(image: Image.Image, scene: Scene) -> None:
    mask = Image.new("L", image.size)
    pen, width = ImageDraw.Draw(mask), image.size[0]
    for thing in scene.things:
        foot, reach = _foot(PAIRS.index(scene.pair), thing), 0.33 * thing.scale
        pen.ellipse(
            [width * v for v in (thing.x - reach, foot - 0.04 * thing.scale, thing.x + reach, foot + 0.03 * thing.scale)], fill=70
        )
    image.paste((30, 25, 50), mask=mask)


def _lit(pixels: np.ndarray, light: tuple[float, float, float]) -> np.ndarray:
    brightness, rightwards, downwards = light
    ramp = np.linspace(-1, 1, len(pixels), dtype=np.float32)
    factor = brightness + rightwards * ramp[None, :] + downwards * ramp[:, None]
    return np.clip(pixels * factor[..., None].astype(np.float32) + 0.5, 0, 255).astype(np.uint8)


def _check_label(scene: Scene, label: str) -> None:
    if label not in scene.pair:
        raise ValueError(f"class {label!r} cannot be drawn in this scene: expected one of {', '.join(scene.pair)}")


def draw(scene: Scene, label: str, size: int = 256) -> np.ndarray:
    """Return the scene drawn as `label`, uint8 [size,size,3]; raises ValueError for a class of another pair."""
    _check_label(scene, label)
    return _draw(scene, label, size)


def _draw(scene: Scene, label: str, size: int) -> np.ndarray:
    image = Image.new("RGB", (size * SUPERSAMPLING,) * 2)
    paint_background(image, scene.background)
    for thing in scene.clutter:
        paint_clutter(image, thing)
    _paint_shadows(image, scene)
    _paint_things(image, scene, label)
    return _lit(np.asarray(image.reduce(SUPERSAMPLING)), scene.light)


def truth_mask(scene: Scene, size: int = 256) -> np.ndarray:
    """Return the pixels in which the twins differ, bool [size,size]; a few grey levels do not count as a difference."""
    return _differing(*(draw(scene, label, size) for label in scene.pair))


def present_mask(scene: Scene, label: str, size: int = 256) -> np.ndarray:
    """Return the part of the truth where `label` has features of its own, bool [size,size].

    There its picture differs from the object without the features of either class. On the rest of the truth the twin's features
    are absent. Raises ValueError for a class of another pair.
    """
    return truth_mask(scene, size) & _differing(draw(scene, label, size), _draw(scene, "", size))


def clutter_masks(scene: Scene, label: str, size: int = 256) -> list[tuple[str, np.ndarray]]:
    """Return the kind of each thing of the clutter, and the pixels that only it changes, bool [size,size].

    Raises ValueError for a class of another pair.
    """
    picture = draw(scene, label, size)
    without = [replace(scene, clutter=scene.clutter[:n] + scene.clutter[n + 1 :]) for n in range(len(scene.clutter))]
    return [
        (thing.kind, _differing(picture, draw(other, label, size))) for thing, other in zip(scene.clutter, without, strict=True)
    ]


def _differing(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.abs(first.astype(np.int16) - second.astype(np.int16)).max(axis=-1) > DIFFERENCE_THRESHOLD


def _silhouette(scene: Scene, label: str, size: int) -> np.ndarray:
    """Return where the objects hide some of a pixel's background: there, a black and a white background differ by less."""
    over = []
    for colour in ("black", "white"):
        image = Image.new("RGB", (size * SUPERSAMPLING,) * 2, colour)
        _paint_things(image, scene, label)
        over.append(np.asarray(image.reduce(SUPERSAMPLING), dtype=np.int16))
    return np.abs(over[1] - over[0]).min(axis=-1) < 255


def object_mask(scene: Scene, size: int = 256) -> np.ndarray:
    """Return the union of the objects' silhouettes as both classes, bool [size,size]."""
    return _silhouette(scene, scene.pair[0], size) | _silhouette(scene, scene.pair[1], size)
