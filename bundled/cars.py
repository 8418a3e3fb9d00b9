"""Sports car and taxi: one body and paint; roof light, checker band and square lamp make the taxi, a spoiler,
a plain stripe and a round lamp the sports car."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sketch import Colour, Sketch, box, curve, ellipse, mixed, tube

PAINTS: tuple[Colour, ...] = (
    (206, 48, 44),
    (52, 104, 190),
    (60, 142, 84),
    (246, 202, 52),
    (240, 240, 238),
    (236, 128, 44),
    (128, 76, 160),
    (168, 176, 186),
)
STRIPES: tuple[Colour, ...] = ((222, 44, 60), (255, 150, 30), (40, 190, 190), (40, 80, 200), (250, 220, 60))
DARK: Colour = (34, 34, 42)
LIGHT: Colour = (250, 250, 246)
CELL = 0.088
FEET = 0.29

_HULL = curve(
    [
        (-0.5, 0.12),
        (-0.49, -0.01),
        (-0.4, -0.075),
        (-0.22, -0.1),
        (0.0, -0.105),
        (0.22, -0.11),
        (0.41, -0.105),
        (0.49, -0.06),
        (0.505, 0.07),
        (0.48, 0.175),
        (0.2, 0.19),
        (-0.2, 0.19),
        (-0.46, 0.175),
    ],
    closed=True,
)


@dataclass(frozen=True)
class Car:
    """What a sports car and its taxi twin share, and the colour of the sports car's stripe."""

    paint: Colour
    stripe: Colour
    roof: float
    glass: Colour


def sample(rng: np.random.Generator, level: float) -> Car:
    """Draw paint, stripe colour (unlike the paint) and the height of the roof."""
    body = PAINTS[rng.integers(len(PAINTS))]
    contrasting = [stripe for stripe in STRIPES if np.abs(np.subtract(stripe, body)).sum() > 190]
    return Car(
        paint=body,
        stripe=contrasting[rng.integers(len(contrasting))],
        roof=level * rng.uniform(-0.03, 0.03),
        glass=((188, 222, 236), (150, 190, 214))[rng.integers(2)],
    )


def _cabin(roof: float) -> np.ndarray:
    return curve(
        [
            (-0.27, -0.07),
            (-0.19, -0.2),
            (-0.1, -0.3 - roof),
            (0.05, -0.325 - roof),
            (0.2, -0.305 - roof),
            (0.3, -0.21),
            (0.38, -0.07),
        ],
        closed=True,
    )


def _paint_windows(sketch: Sketch, look: Car) -> None:
    front = curve([(-0.2, -0.1), (-0.14, -0.2), (-0.08, -0.262 - look.roof), (0.03, -0.28 - look.roof), (0.03, -0.1)], pieces=4)
    rear = curve([(0.08, -0.1), (0.08, -0.28 - look.roof), (0.18, -0.265 - look.roof), (0.25, -0.2), (0.3, -0.1)], pieces=4)
    sketch.outlined([front, rear], look.glass, ink=DARK, width=0.008)


def _paint_flank(sketch: Sketch, look: Car, label: str) -> None:
    within = sketch.silhouette([_HULL])
    left, top = -0.34, -0.06
    if label == "sports car":
        sketch.clipped([box(left, top + 0.03, 0.46, top + 2 * CELL - 0.03)], look.stripe, within)
    if label != "taxi":
        return
    columns = 9
    sketch.clipped([box(left, top, left + columns * CELL, top + 2 * CELL)], LIGHT, within)
    cells = [
        box(left + c * CELL, top + r * CELL, left + (c + 1) * CELL, top + (r + 1) * CELL)
        for r in (0, 1)
        for c in range(columns)
        if (r + c) % 2 == 0
    ]
    sketch.clipped(cells, DARK, within)


def _paint_wheels(sketch: Sketch) -> None:
    for x in (-0.29, 0.29):
        sketch.fill([ellipse(x, 0.17, 0.125)], (30, 28, 34))
        sketch.fill([ellipse(x, 0.175, 0.06)], (196, 200, 206))
        sketch.fill([ellipse(x, 0.175, 0.022)], (90, 92, 100))


def _paint_spoiler(sketch: Sketch) -> None:
    sketch.outlined(
        [
            tube([(0.39, -0.08), (0.42, -0.24)], (0.04, 0.035)),
            curve(
                [(0.27, -0.27), (0.4, -0.3), (0.55, -0.35), (0.58, -0.25), (0.5, -0.2), (0.38, -0.2), (0.28, -0.2)], closed=True
            ),
        ],
        (44, 44, 54),
    )


def _paint_roof_light(sketch: Sketch, look: Car) -> None:
    top = -0.455 - look.roof
    sketch.outlined([box(-0.07, top, 0.18, -0.33 - look.roof)], DARK)
    sketch.fill([box(-0.045, top + 0.025, 0.155, top + 0.105)], (255, 226, 84))


def paint(sketch: Sketch, look: Car, label: str) -> None:
    """Draw the car as "sports car" or "taxi", facing left; as anything else it has the features of neither."""
    cabin = _cabin(look.roof)
    if label == "taxi":
        _paint_roof_light(sketch, look)
    sketch.outlined([_HULL, cabin], look.paint)
    _paint_windows(sketch, look)
    _paint_flank(sketch, look, label)
    sketch.shade([_HULL])
    _paint_wheels(sketch)
    sketch.outlined([box(0.465, -0.045, 0.5, 0.03)], (200, 30, 36))
    if label == "taxi":
        sketch.outlined([box(-0.5, -0.045, -0.385, 0.045)], (255, 240, 170), ink=DARK)
    elif label == "sports car":
        sketch.outlined([ellipse(-0.425, -0.005, 0.062)], (214, 244, 255), ink=DARK)
        _paint_spoiler(sketch)
    sketch.fill([box(-0.515, 0.11, -0.42, 0.15), box(0.43, 0.11, 0.515, 0.15)], mixed(look.paint, DARK, 0.6))
