"""The pictures that are asked about: held-out scenes, drawn as both classes of their pair, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...bundled.scenes import PAIRS, Scene, clutter_masks, draw, object_mask, present_mask, sample_scene, truth_mask
from ...training.training_data import FIRST_HELD_OUT_SEED

MEASURED_SIZE = 128  # maps and masks are compared at this size: four pixels to a latent cell
SCENES_A_SEED = 100_000  # more than any run asks for: runs of different seeds never share a scene
FIRST_SCENE = {"choice": FIRST_HELD_OUT_SEED, "report": 3 * FIRST_HELD_OUT_SEED}


@dataclass(frozen=True)
class Case:
    """One held-out picture: a scene of a pair, drawn as one of its classes."""

    pair: tuple[str, str]
    seed: int
    label: str

    @property
    def twin(self) -> str:
        return self.pair[1] if self.label == self.pair[0] else self.pair[0]

    @property
    def foreign(self) -> tuple[str, str]:
        """The labels of another pair: they are in neither this picture nor its twin."""
        return PAIRS[(PAIRS.index(self.pair) + 1) % len(PAIRS)]

    @property
    def name(self) -> str:
        """For files and tables; no two cases share it."""
        return f"{self.label.replace(' ', '_')}-{self.seed}"

    @property
    def noise_seed(self) -> int:
        """A scene's own: twins share their noise, scenes don't, so that the scenes are independent."""
        return self.seed * len(PAIRS) + PAIRS.index(self.pair)

    def picture(self, size: int) -> np.ndarray:
        """The scene as `label`, uint8 [size,size,3]."""
        return draw(self.scene, self.label, size)

    @property
    def scene(self) -> Scene:
        return sample_scene(self.pair, self.seed)

    def truth(self) -> np.ndarray:
        """Which pixels differ from the twin's, bool at MEASURED_SIZE."""
        return truth_mask(self.scene, MEASURED_SIZE)

    def present(self) -> np.ndarray:
        """The part of the truth where the label has features; on the rest it lacks the twin's. bool at MEASURED_SIZE."""
        return present_mask(self.scene, self.label, MEASURED_SIZE)

    def silhouette(self) -> np.ndarray:
        """Which pixels are the object's, bool at MEASURED_SIZE."""
        return object_mask(self.scene, MEASURED_SIZE)

    def clutter(self) -> list[tuple[str, np.ndarray]]:
        """The kind of each thing that stands about, and its pixels, bool at MEASURED_SIZE."""
        return clutter_masks(self.scene, self.label, MEASURED_SIZE)


def cases(split: str, scenes: int, seed: int) -> list[Case]:
    """The first `scenes` scenes a pair of a split ("choice", "report") of a run; the pairs and both directions take turns."""
    first = FIRST_SCENE[split] + SCENES_A_SEED * seed
    return [Case(pair, first + number, label) for number in range(scenes) for pair in PAIRS for label in pair]


def twins(pictures: list[Case]) -> list[tuple[Case, Case]]:
    """The pictures of `cases` scene by scene."""
    return list(zip(pictures[::2], pictures[1::2], strict=True))
