"""Drawing in an object's own coordinates: curves, tubes, outlined shapes and shapes clipped to a silhouette.

A shape is a closed outline, float [n,2], in units of the object's width; x runs to the right and y down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

INK_WIDTH = 0.013
SHADE_DEPTH = 0.05
SHADE_STRENGTH = 40


def curve(points: Points | np.ndarray, closed: bool = False, pieces: int = 6) -> np.ndarray:
    """Return a Catmull-Rom curve through `points`, with `pieces` straight pieces between two of them."""
    knots = np.asarray(points, dtype=float)
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = (np.arange(pieces) / pieces)[None, :, None]
    segments = start + 0.5 * t * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    line = segments.reshape(-1, 2)
    return line if closed else np.concatenate([line, knots[-1:]])


def ellipse(x: float, y: float, width: float, height: float | None = None, corners: int = 28) -> np.ndarray:
    """Return an ellipse by its centre and its two radii (a circle where `height` is left out)."""
    angle = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    return np.stack([x + width * np.cos(angle), y + (width if height is None else height) * np.sin(angle)], axis=1)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return an upright rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)


def _sides(line: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    direction = np.gradient(line, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    offset = np.stack([-direction[:, 1], direction[:, 0]], axis=1) * radius[:, None]
    return line + offset, line - offset


def tube(points: Points | np.ndarray, radii: Sequence[float], pieces: int = 6) -> np.ndarray:
    """Return a round-ended tube along the curve through `points`; `radii` are spread evenly along it."""
    line = curve(points, pieces=pieces)
    radius = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(radii)), radii)
    left, right = _sides(line, radius)
    turn = np.linspace(0, math.pi, 9)[1:-1, None]
    first, last = left[0] - line[0], right[-1] - line[-1]
    tip = line[-1] - last * np.cos(turn) + np.array([last[1], -last[0]]) * -np.sin(turn)
    end = line[0] - first * np.cos(turn) + np.array([first[1], -first[0]]) * -np.sin(turn)
    return np.concatenate([left, tip, right[::-1], end])


def rings(points: Points | np.ndarray, radii: Sequence[float], count: int) -> list[np.ndarray]:
    """Return every second of `count` equal sections of the tube along `points`, beginning with the second."""
    line = curve(points, pieces=8)
    steps = np.linspace(0, len(line) - 1, 4 * count + 1)
    even = np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in (0, 1)], axis=1)
    left, right = _sides(even, np.interp(np.linspace(0, 1, len(even)), np.linspace(0, 1, len(radii)), radii))
    sections = (slice(4 * n, 4 * n + 5) for n in range(1, count, 2))
    return [np.concatenate([left[section], right[section][::-1]]) for section in sections]


def turned(shape: Points | np.ndarray, pivot: tuple[float, float], degrees: float) -> np.ndarray:
    """Return `shape` turned about `pivot`."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return (np.asarray(shape, dtype=float) - pivot) @ np.array([[cosine, sine], [-sine, cosine]]) + pivot


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Return `colour` with `share` (0 to 1) of `other` in it."""
    return tuple(round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))


def ink_of(colour: Colour) -> Colour:
    """Return the outline colour of something painted in `colour`."""
    return mixed(colour, (45, 30, 40), 0.75)


class Sketch:
    """A place on a picture where an object is drawn: its centre and unit in pixels, direction and turn."""

    def __init__(
        self, image: Image.Image, centre: tuple[float, float], unit: float, mirrored: bool = False, degrees: float = 0.0
    ) -> None:
        self.image = image
        self._pen = ImageDraw.Draw(image)
        self._centre = np.asarray(centre, dtype=float)
        self._unit = unit
        sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        mirror = np.diag([-1.0, 1.0]) if mirrored else np.eye(2)
        self._matrix = unit * mirror @ np.array([[cosine, sine], [-sine, cosine]])

    def _pixels(self, shape: np.ndarray) -> list[float]:
        return (np.asarray(shape, dtype=float) @ self._matrix + self._centre).ravel().tolist()

    def fill(self, shapes: Iterable[np.ndarray], colour: Colour) -> None:
        """Paint shapes without an outline."""
        for shape in shapes:
            self._pen.polygon(self._pixels(shape), fill=colour)

    def outlined(self, shapes: Sequence[np.ndarray], colour: Colour, ink: Colour | None = None, width: float = INK_WIDTH) -> None:
        """Paint shapes as one, with an outline around their union."""
        ink = ink or ink_of(colour)
        pixels = [self._pixels(shape) for shape in shapes]
        for corners in pixels:
            self._pen.line([*corners, *corners[:4]], fill=ink, width=max(2, round(2 * width * self._unit)))
        for corners in pixels:
            self._pen.polygon(corners, fill=colour)

    def silhouette(self, shapes: Iterable[np.ndarray], value: int = 255) -> Image.Image:
        """Return a mask of the union of shapes, as large as the picture."""
        mask = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(mask)
        for shape in shapes:
            pen.polygon(self._pixels(shape), fill=value)
        return mask

    def clipped(self, shapes: Iterable[np.ndarray], colour: Colour, within: Image.Image) -> None:
        """Paint the parts of shapes that lie inside the mask `within`."""
        self.image.paste(colour, mask=ImageChops.darker(self.silhouette(shapes), within))

    def shade(self, shapes: Iterable[np.ndarray], depth: float = SHADE_DEPTH) -> None:
        """Darken the lower rim of the union of shapes."""
        whole = self.silhouette(shapes, SHADE_STRENGTH)
        width, height = whole.size
        lower = round(depth * self._unit)
        lit = whole.crop((0, lower, width, height + lower))
        self.image.paste((30, 15, 50), mask=ImageChops.subtract(whole, lit))
