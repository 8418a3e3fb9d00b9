"""Horse and zebra: one body, pose and coat; stripes and an upright mane make the zebra, a flowing mane the horse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sketch import Colour, Sketch, curve, ellipse, mixed, rings, tube, turned

COATS: tuple[Colour, ...] = ((247, 244, 238), (246, 228, 190), (205, 206, 212), (222, 184, 135), (205, 152, 102))
MANES: tuple[Colour, ...] = ((122, 54, 24), (168, 74, 30), (92, 58, 44))
STRIPE: Colour = (38, 32, 40)
STRIPED_REGIONS = (("neck", "shoulder"), ("neck", "rump"), ("shoulder", "rump"), ("neck", "shoulder", "rump"))
FEET = 0.44

_NECK_ROOT = (-0.08, -0.02)
_NEAR_HIPS = (-0.13, 0.29)
_FAR_HIPS = (-0.05, 0.22)
_BARREL = curve(
    [
        (-0.21, 0.0),
        (-0.15, -0.13),
        (0.02, -0.15),
        (0.2, -0.17),
        (0.33, -0.11),
        (0.37, 0.02),
        (0.31, 0.14),
        (0.1, 0.16),
        (-0.1, 0.16),
        (-0.2, 0.1),
    ],
    closed=True,
)
_NECK = tube([(-0.1, 0.0), (-0.19, -0.17), (-0.26, -0.31)], (0.15, 0.115, 0.095))
_HEAD = tube([(-0.26, -0.32), (-0.35, -0.26), (-0.44, -0.19)], (0.1, 0.088, 0.072))
_EAR = curve([(-0.29, -0.38), (-0.27, -0.5), (-0.21, -0.42), (-0.2, -0.36)], closed=True)
_MUZZLE = ellipse(-0.452, -0.182, 0.062, 0.058)
_FLOWING_MANE = curve(
    [
        (-0.34, -0.38),
        (-0.27, -0.47),
        (-0.16, -0.42),
        (-0.07, -0.29),
        (0.03, -0.19),
        (0.1, -0.06),
        (0.0, -0.04),
        (-0.04, 0.05),
        (-0.1, -0.05),
        (-0.18, -0.02),
        (-0.17, -0.14),
        (-0.25, -0.16),
        (-0.22, -0.28),
        (-0.29, -0.31),
    ],
    closed=True,
)
_UPRIGHT_MANE = [(-0.29, -0.42), (-0.2, -0.42), (-0.11, -0.32), (-0.05, -0.21), (0.04, -0.14)]
_UPRIGHT_RADII = (0.055, 0.085, 0.095, 0.085, 0.05)
_NECK_STRIPES = (
    tube([(-0.1, -0.33), (-0.25, -0.25), (-0.37, -0.19)], (0.05, 0.042, 0.03)),
    tube([(-0.03, -0.19), (-0.18, -0.13), (-0.31, -0.1)], (0.055, 0.045, 0.03)),
)
_SHOULDER_STRIPES = (
    tube([(0.0, -0.17), (-0.06, -0.05), (-0.1, 0.06)], (0.05, 0.05, 0.03)),
    tube([(0.12, -0.19), (0.08, -0.05), (0.06, 0.07)], (0.055, 0.048, 0.028)),
)
_RUMP_STRIPES = (
    tube([(0.2, -0.19), (0.18, -0.06), (0.2, 0.07)], (0.045, 0.048, 0.028)),
    tube([(0.36, -0.17), (0.29, -0.06), (0.28, 0.08)], (0.05, 0.046, 0.032)),
    tube([(0.4, 0.06), (0.34, 0.11), (0.23, 0.18)], (0.046, 0.046, 0.036)),
)


@dataclass(frozen=True)
class Equine:
    """One animal as both classes: `mane` is the horse's, `regions` bear the zebra's stripes, the rest is shared."""

    coat: Colour
    mane: Colour
    regions: tuple[str, ...]
    nod: float
    strides: tuple[float, float, float, float]
    tail_swing: float


def sample(rng: np.random.Generator, level: float) -> Equine:
    """Draw a coat, a mane, striped regions and a pose."""
    return Equine(
        coat=COATS[rng.integers(len(COATS))],
        mane=MANES[rng.integers(len(MANES))],
        regions=STRIPED_REGIONS[rng.integers(len(STRIPED_REGIONS))],
        nod=level * rng.uniform(-22, 9),
        strides=tuple(level * rng.uniform(-0.08, 0.08, 4)),
        tail_swing=level * rng.uniform(-0.06, 0.1),
    )


def _leg(hip: float, stride: float) -> tuple[np.ndarray, np.ndarray]:
    path = [(hip, 0.06), (hip + 0.35 * stride - 0.01, 0.22), (hip + stride, FEET - 0.05)]
    hoof = curve(
        [
            (hip + stride - 0.06, FEET),
            (hip + stride - 0.045, FEET - 0.07),
            (hip + stride + 0.045, FEET - 0.07),
            (hip + stride + 0.055, FEET),
        ],
        closed=True,
    )
    return tube(path, (0.085, 0.052, 0.045)), hoof


def _paint_legs(sketch: Sketch, colour: Colour, hips: tuple[float, float], strides: tuple[float, float]) -> None:
    for hip, stride in zip(hips, strides, strict=True):
        leg, hoof = _leg(hip, stride)
        sketch.outlined([leg], colour)
        sketch.outlined([hoof], (74, 62, 66))


def _paint_stripes(sketch: Sketch, look: Equine, body: list[np.ndarray]) -> None:
    stripes = {
        "neck": [turned(stripe, _NECK_ROOT, look.nod) for stripe in _NECK_STRIPES],
        "shoulder": _SHOULDER_STRIPES,
        "rump": _RUMP_STRIPES,
    }
    within = sketch.silhouette(body)
    sketch.clipped([stripe for region in look.regions for stripe in stripes[region]], STRIPE, within)


def paint(sketch: Sketch, look: Equine, label: str) -> None:
    """Draw the animal as "horse" or "zebra", facing left; as anything else it has the features of neither."""

    def posed(shape: np.ndarray) -> np.ndarray:
        return turned(shape, _NECK_ROOT, look.nod)

    zebra = label == "zebra"
    _paint_legs(sketch, mixed(look.coat, (60, 45, 60), 0.25), _FAR_HIPS, look.strides[:2])
    swing = look.tail_swing
    sketch.outlined(
        [tube([(0.34, -0.06), (0.43 + 0.3 * swing, 0.0), (0.44 + swing, 0.22)], (0.035, 0.055, 0.03))],
        mixed(look.coat, (80, 60, 55), 0.55),
    )
    if zebra:
        crest = posed(np.asarray(_UPRIGHT_MANE))
        sketch.outlined([tube(crest, _UPRIGHT_RADII)], STRIPE)
        sketch.fill(rings(crest, _UPRIGHT_RADII, 5), (250, 248, 244))
    neck, head = posed(_NECK), posed(_HEAD)
    _paint_legs(sketch, look.coat, _NEAR_HIPS, look.strides[2:])
    sketch.outlined([_BARREL, neck, head], look.coat)
    sketch.fill([ellipse(hip, 0.07, 0.08) for hip in _NEAR_HIPS], look.coat)
    if zebra:
        _paint_stripes(sketch, look, [_BARREL, neck])
    sketch.shade([_BARREL, neck, head])
    sketch.outlined([posed(_EAR)], look.coat)
    sketch.fill([posed(_MUZZLE)], mixed(look.coat, (150, 105, 110), 0.5))
    if label == "horse":
        sketch.outlined([posed(_FLOWING_MANE)], look.mane)
    sketch.fill([posed(ellipse(-0.345, -0.295, 0.024, 0.028)), posed(ellipse(-0.475, -0.19, 0.013))], (35, 25, 35))
    sketch.fill([posed(ellipse(-0.352, -0.304, 0.009))], (255, 255, 255))
