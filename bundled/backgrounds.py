"""What stands behind the objects of a scene: five kinds of place, and clutter that looks like the objects' features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .rodents import PINK, RING_DARK, RING_LIGHT
from .sketch import Colour, Sketch, box, ellipse, rings, tube

PLACES = ("studio", "meadow", "savanna", "road", "room")
CLUTTER = ("striped post", "checkered box", "pink ball", "ringed pole", "lamp")

_DARK: Colour = (40, 36, 44)
_LIGHT: Colour = (248, 246, 240)
_STUDIO: tuple[Colour, ...] = ((214, 222, 228), (226, 214, 198), (196, 214, 200), (208, 200, 222))
_WALLS: tuple[Colour, ...] = ((226, 206, 176), (184, 206, 208), (214, 190, 186))
_HOUSES: tuple[Colour, ...] = ((214, 142, 112), (230, 206, 152), (168, 180, 196))


@dataclass(frozen=True)
class Background:
    """A kind of place, the height of its horizon (0 top, 1 bottom) and where its details stand."""

    place: str
    horizon: float
    variant: int
    details: tuple[float, ...]


@dataclass(frozen=True)
class Clutter:
    """One thing that stands at (x, foot), both in picture widths, `size` times as large as usual."""

    kind: str
    x: float
    foot: float
    size: float
    lean: float


def sample_background(rng: np.random.Generator, level: float, lowest_horizon: float) -> Background:
    """Draw a place whose horizon lies above `lowest_horizon`; level 0 is always the plain studio."""
    outdoors = rng.random() < 0.85 * level
    place = PLACES[1 + rng.integers(len(PLACES) - 1)] if outdoors else "studio"
    return Background(
        place,
        horizon=float(rng.uniform(0.28, max(0.3, min(0.62, lowest_horizon)))),
        variant=int(rng.integers(12)),
        details=tuple(rng.random(6)),
    )


def sample_clutter(rng: np.random.Generator, level: float, horizon: float) -> tuple[Clutter, ...]:
    """Draw 0 to 3 things (none at level 0) that stand anywhere on the ground."""
    count = int(rng.integers(4) * level + 0.5)
    return tuple(
        Clutter(
            CLUTTER[rng.integers(len(CLUTTER))],
            x=float(rng.uniform(0.03, 0.97)),
            foot=float(rng.uniform(horizon + 0.06, 1.0)),
            size=float(rng.uniform(0.75, 1.15)),
            lean=float(rng.uniform(-8, 8)),
        )
        for _ in range(count)
    )


def _paint_gradient(image: Image.Image, top: float, bottom: float, upper: Colour, lower: Colour) -> None:
    width, height = image.size
    first, last = round(top * height), round(bottom * height)
    if last <= first:
        return
    share = np.linspace(0, 1, last - first)[:, None]
    column = np.asarray(upper) * (1 - share) + np.asarray(lower) * share
    strip = Image.fromarray(np.round(column).astype(np.uint8)[:, None])
    image.paste(strip.resize((width, last - first), Image.Resampling.NEAREST), (0, first))


def _paint_meadow(sketch: Sketch, image: Image.Image, ground: Background) -> None:
    h, d = ground.horizon, ground.details
    _paint_gradient(image, 0, h, (142, 196, 234), (214, 234, 240))
    sketch.fill([ellipse(d[0], h + 0.06, 0.4, 0.16), ellipse(d[1], h + 0.08, 0.5, 0.15)], (128, 178, 122))
    _paint_gradient(image, h, 1, (142, 192, 98), (112, 168, 82))
    cloud = [ellipse(d[2], 0.3 * h, 0.12, 0.035), ellipse(d[2] + 0.06, 0.3 * h - 0.025, 0.07, 0.035)]
    sketch.fill(cloud, (246, 250, 252))


def _paint_savanna(sketch: Sketch, image: Image.Image, ground: Background) -> None:
    h, d = ground.horizon, ground.details
    _paint_gradient(image, 0, h, (250, 204, 140), (252, 232, 190))
    sketch.fill([tube([(d[0], h + 0.01), (d[0] + 0.01, h - 0.14)], (0.014, 0.01))], (120, 92, 62))
    sketch.fill([ellipse(d[0], h - 0.16, 0.13, 0.035), ellipse(d[0] + 0.05, h - 0.185, 0.09, 0.03)], (134, 142, 76))
    _paint_gradient(image, h, 1, (224, 186, 112), (202, 160, 90))
    sketch.fill([ellipse(d[n], h + (1 - h) * d[n + 1], 0.07, 0.012) for n in (1, 3)], (188, 150, 82))


def _paint_road(sketch: Sketch, image: Image.Image, ground: Background) -> None:
    h, d = ground.horizon, ground.details
    _paint_gradient(image, 0, h, (176, 208, 230), (226, 234, 236))
    for n in range(4):
        left, roof = 0.3 * n - 0.14 + 0.06 * d[n], h - 0.13 - 0.1 * d[n]
        sketch.fill([box(left, roof, left + 0.24, h)], _HOUSES[(n + ground.variant) % 3])
        sketch.fill([np.array([(left - 0.02, roof), (left + 0.12, roof - 0.09), (left + 0.26, roof)])], (150, 92, 84))
        sketch.fill(
            [box(left + 0.05, roof + 0.035, left + 0.1, roof + 0.09), box(left + 0.14, roof + 0.035, left + 0.19, roof + 0.09)],
            (236, 240, 232),
        )
    _paint_gradient(image, h, 1, (148, 150, 158), (120, 122, 130))
    sketch.fill([box(0, h, 1, h + 0.03)], (196, 194, 190))
    y = h + 0.55 * (1 - h)
    dashes = [box(0.4 * n - 0.3 + 0.3 * d[4], y, 0.4 * n - 0.1 + 0.3 * d[4], y + 0.02) for n in range(4)]
    sketch.fill(dashes, (224, 222, 212))


def _paint_room(sketch: Sketch, image: Image.Image, ground: Background) -> None:
    h, d = ground.horizon, ground.details
    wall = _WALLS[ground.variant % 3]
    sketch.fill([box(0, 0, 1, h)], wall)
    left = 0.1 + 0.5 * d[0]
    sketch.fill([box(left, h - 0.33, left + 0.24, h - 0.12)], (248, 246, 240))
    sketch.fill([box(left + 0.02, h - 0.31, left + 0.22, h - 0.14)], (178, 208, 226))
    _paint_gradient(image, h, 1, (188, 148, 112), (164, 124, 92))
    sketch.fill([box(0, h - 0.025, 1, h + 0.01)], (246, 240, 230))


def _paint_studio(sketch: Sketch, image: Image.Image, ground: Background) -> None:
    colour = _STUDIO[ground.variant % 4]
    _paint_gradient(image, 0, 1, colour, tuple(round(0.88 * c) for c in colour))


_PAINTERS = {
    "studio": _paint_studio,
    "meadow": _paint_meadow,
    "savanna": _paint_savanna,
    "road": _paint_road,
    "room": _paint_room,
}


def paint_background(image: Image.Image, ground: Background) -> None:
    """Draw the place over the whole picture."""
    _PAINTERS[ground.place](Sketch(image, (0, 0), image.size[0]), image, ground)


def _paint_post(sketch: Sketch) -> None:
    sketch.outlined([box(-0.045, -0.42, 0.045, 0)], _LIGHT)
    sketch.fill([box(-0.045, -0.42 + 0.12 * n, 0.045, -0.36 + 0.12 * n) for n in range(4)], _DARK)


def _paint_box(sketch: Sketch) -> None:
    cell = 0.062
    sketch.outlined([box(-2 * cell, -3 * cell, 2 * cell, 0)], _LIGHT)
    sketch.fill(
        [
            box((c - 2) * cell, (r - 3) * cell, (c - 1) * cell, (r - 2) * cell)
            for r in range(3)
            for c in range(4)
            if (r + c) % 2 == 0
        ],
        _DARK,
    )


def _paint_ball(sketch: Sketch) -> None:
    sketch.outlined([ellipse(0, -0.085, 0.085)], PINK)
    sketch.fill([ellipse(-0.03, -0.115, 0.02)], (255, 200, 214))


def _paint_pole(sketch: Sketch) -> None:
    path, radii = [(0.0, 0.0), (0.03, -0.14), (-0.02, -0.28), (0.02, -0.4)], (0.045, 0.04)
    sketch.outlined([tube(path, radii)], RING_LIGHT, ink=RING_DARK)
    sketch.fill(rings(path, radii, 8), RING_DARK)


def _paint_lamp(sketch: Sketch) -> None:
    sketch.fill([box(-0.014, -0.36, 0.014, 0)], (86, 86, 94))
    sketch.outlined([box(-0.09, -0.45, 0.09, -0.35)], _DARK)
    sketch.fill([box(-0.072, -0.432, 0.072, -0.368)], (255, 226, 84))


_CLUTTER_PAINTERS = {
    "striped post": _paint_post,
    "checkered box": _paint_box,
    "pink ball": _paint_ball,
    "ringed pole": _paint_pole,
    "lamp": _paint_lamp,
}


def paint_clutter(image: Image.Image, thing: Clutter) -> None:
    """Draw one thing on the picture."""
    width = image.size[0]
    sketch = Sketch(image, (thing.x * width, thing.foot * width), thing.size * width, degrees=thing.lean)
    _CLUTTER_PAINTERS[thing.kind](sketch)
