"""Mouse and rat: one body, pose and fur; they differ in ears, eye, snout and tail, in fixed colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sketch import Colour, Sketch, curve, ellipse, mixed, rings, tube

FURS: tuple[Colour, ...] = ((158, 158, 168), (160, 122, 92), (226, 219, 210), (206, 174, 136), (120, 126, 144))
PINK: Colour = (248, 138, 164)
DARK_EAR: Colour = (66, 46, 60)
RING_DARK: Colour = (104, 46, 52)
RING_LIGHT: Colour = (246, 196, 180)
FEET = 0.3

_BODY = curve(
    [
        (-0.22, 0.02),
        (-0.1, -0.11),
        (0.08, -0.17),
        (0.24, -0.12),
        (0.33, 0.04),
        (0.31, 0.2),
        (0.16, 0.27),
        (-0.06, 0.27),
        (-0.21, 0.2),
    ],
    closed=True,
)
_HEAD = ellipse(-0.2, 0.02, 0.155, 0.15)
_SHORT_SNOUT = tube([(-0.25, 0.05), (-0.35, 0.085)], (0.11, 0.055))
_LONG_SNOUT = tube([(-0.24, 0.04), (-0.4, 0.085), (-0.52, 0.11)], (0.12, 0.085, 0.055))


@dataclass(frozen=True)
class Rodent:
    """What a mouse and its rat twin share: fur, crouch and the path of the tail."""

    fur: Colour
    nod: float
    tail_lift: float
    step: float


def sample(rng: np.random.Generator, level: float) -> Rodent:
    """Draw a fur and a pose."""
    return Rodent(
        fur=FURS[rng.integers(len(FURS))],
        nod=level * rng.uniform(-0.06, 0.05),
        tail_lift=level * rng.uniform(-0.12, 0.12),
        step=level * rng.uniform(-0.04, 0.04),
    )


def _paint_tail(sketch: Sketch, look: Rodent, label: str) -> None:
    lift = look.tail_lift
    path = [(0.27, 0.2), (0.42, 0.2 - 0.2 * lift), (0.5, 0.04 - lift), (0.42, -0.13 - lift), (0.47, -0.28 - lift)]
    if label == "mouse":
        sketch.outlined([tube(path, (0.022, 0.016))], PINK)
    if label != "rat":
        return
    radii = (0.07, 0.066, 0.062, 0.058, 0.05)
    sketch.outlined([tube(path, radii)], RING_LIGHT, ink=RING_DARK)
    sketch.fill(rings(path, radii, 8), RING_DARK)


def _paint_ears(sketch: Sketch, look: Rodent, label: str, near: bool) -> None:
    x, y = (-0.1, -0.15) if near else (-0.27, -0.14)
    y += look.nod
    if label == "rat":
        sketch.outlined([ellipse(x - 0.01, y + 0.035, 0.06 if near else 0.05)], DARK_EAR)
    if label != "mouse":
        return
    radius = 0.155 if near else 0.125
    sketch.outlined([ellipse(x, y - 0.03, radius)], look.fur)
    sketch.fill([ellipse(x, y - 0.025, 0.78 * radius)], PINK)


def _paint_feet(sketch: Sketch, look: Rodent) -> None:
    for x in (-0.13 - look.step, 0.17 + look.step):
        sketch.outlined([ellipse(x - 0.03, FEET - 0.03, 0.075, 0.038)], (240, 176, 168))


def paint(sketch: Sketch, look: Rodent, label: str) -> None:
    """Draw the animal as "mouse" or "rat", facing left; as anything else it has the features of neither."""
    drop = np.array([0.0, look.nod])
    head, snouts = _HEAD + drop, {"mouse": [_SHORT_SNOUT + drop], "rat": [_LONG_SNOUT + drop]}
    _paint_tail(sketch, look, label)
    _paint_ears(sketch, look, label, near=False)
    sketch.outlined([_BODY, head, *snouts.get(label, [])], look.fur)
    sketch.fill([ellipse(0.06, 0.2, 0.19, 0.065)], mixed(look.fur, (255, 250, 240), 0.45))
    sketch.shade([_BODY, head])
    _paint_feet(sketch, look)
    _paint_ears(sketch, look, label, near=True)
    if label == "rat":
        sketch.fill([ellipse(-0.535, 0.108 + look.nod, 0.04)], (96, 52, 58))
        sketch.fill([ellipse(-0.275, 0.005 + look.nod, 0.022)], (40, 24, 32))
    elif label == "mouse":
        sketch.fill([ellipse(-0.4, 0.085 + look.nod, 0.046)], PINK)
        sketch.fill([ellipse(-0.27, 0.015 + look.nod, 0.05, 0.055)], (28, 20, 30))
        sketch.fill([ellipse(-0.285, -0.003 + look.nod, 0.017)], (255, 255, 255))
