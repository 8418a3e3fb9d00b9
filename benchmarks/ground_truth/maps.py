"""The maps that are measured: what each is called, and how the pack makes it from noise predictions.

Shapes: S steps, H W the size at which maps are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...nodes.maths.method.difference import Weighting, sum_steps
from ...nodes.maths.method.prediction import NoisePredictions
from ...nodes.maths.method.scalar import is_signed, scalar_map
from .cases import MEASURED_SIZE

READINGS = {  # name: reading, scalar
    "sum of magnitudes": ("absolute", "channel norm"),
    "magnitude of the sum": ("difference", "channel norm"),
    "information": ("information", "channel norm"),
    "evidence": ("evidence", "channel norm"),
    "channel mean": ("difference", "channel mean"),
    "combined": ("combined", "channel norm"),
}
WEIGHTINGS: tuple[Weighting, ...] = ("uniform", "information")
PARTS = 5  # that the schedule is cut into, to compare ranges


@dataclass(frozen=True, order=True)
class Recipe:
    """A reading of noise predictions, summed over the steps start ... end - 1."""

    name: str
    """Of READINGS."""
    start: int
    end: int
    weighting: Weighting = "uniform"

    @property
    def range(self) -> str:
        return f"{self.start}–{self.end}"

    @property
    def label(self) -> str:
        """For tables; Δλ is each step's share of the log SNR, by which it is weighted."""
        return f"{self.name}, steps {self.range}{', Δλ-weighted' if self.weighting == 'information' else ''}"

    def cells(self, predictions: NoisePredictions) -> Tensor:
        """The map at the latent's size [h,w]. If the sign is only brightness or texture, its magnitude."""
        reading, scalar = READINGS[self.name]
        summed = sum_steps(predictions, self.start, self.end, reading, self.weighting)
        values = scalar_map(summed, scalar)[0]
        return values.abs() if is_signed(summed, scalar) and reading != "evidence" else values

    def draw(self, predictions: NoisePredictions) -> np.ndarray:
        """The map [H,W]."""
        return enlarge(self.cells(predictions))


def enlarge(cells: Tensor) -> np.ndarray:
    """A map of latent cells [h,w] at the size of the measuring, [H,W] float32, without interpolation between the cells."""
    size = (MEASURED_SIZE, MEASURED_SIZE)
    return functional.interpolate(cells[None, None].to(torch.float32), size, mode="bilinear")[0, 0].numpy()


def parts_of(steps: int) -> list[tuple[int, int]]:
    """The schedule cut into PARTS ranges, none of them empty."""
    edges = sorted({steps * part // PARTS for part in range(PARTS + 1)})
    return list(zip(edges, edges[1:]))


def candidates(steps: int) -> list[Recipe]:
    """Every reading over every range of whole parts, in both weightings: what the choice is made from."""
    edges = sorted({edge for part in parts_of(steps) for edge in part})
    return [
        Recipe(name, start, end, weighting)
        for name in READINGS
        for start, end in combinations(edges, 2)
        for weighting in WEIGHTINGS
    ]
