"""What was measured on all scenes, by map, by pair of labels, and by the evaluations that were spent.

Shapes: N scenes of a pair, 2 pictures a scene, K quantities. All means are over the pairs of the means over their pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...bundled.scenes import PAIRS
from ...training.intervals import Interval
from ..statistics import intervals
from .choose import FAMILIES, Choice
from .maps import Recipe
from .measure import MEASURES, NOT_OURS, Name

SILHOUETTE, EDGES, CENTRE = ((name, *NOT_OURS) for name in ("silhouette of the object", "edge map", "centre Gaussian"))
SOFT, MASK = ((name, *NOT_OURS) for name in ("DiffEdit, before binarising", "DiffEdit, mask"))


@dataclass(frozen=True, eq=False)
class Results:
    """The records of all measured scenes, and what was chosen before."""

    records: list[dict]
    choice: Choice
    steps: int

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Those that have records, in the scenes' order."""
        return [pair for pair in PAIRS if self.of_pair(pair)]

    def of_pair(self, pair: tuple[str, str]) -> list[dict]:
        return [record for record in self.records if tuple(record["pair"]) == pair]

    @cached_property
    def measures(self) -> dict[Name, dict[tuple[tuple[str, str], int], dict[str, list[float]]]]:
        """Of each map, by scene and label: MEASURES."""
        found: dict = {}
        for record in self.records:
            for label, picture in record["pictures"].items():
                for *name, values in picture["maps"]:
                    scenes = found.setdefault(tuple(name), {})
                    scenes.setdefault((tuple(record["pair"]), record["seed"]), {})[label] = values
        return found

    def of_map(self, name: Name, labels: tuple[str, ...] | None = None) -> list[np.ndarray]:
        """Of each pair that has any, [N,MEASURES], averaged over a scene's pictures, or those of some labels alone."""
        grouped: dict = {}
        for (pair, _), pictures in self.measures.get(name, {}).items():
            values = [value for label, value in pictures.items() if labels is None or label in labels]
            if values:
                grouped.setdefault(pair, []).append(np.mean(values, axis=0))
        return [np.array(values) for values in grouped.values()]

    @property
    def best(self) -> Recipe:
        return self.choice.recipes[0]

    def attribution(self, family: str) -> Name | None:
        """The chosen variant of a family."""
        name = next((variant.name for variant in self.choice.variants if variant.name.startswith(FAMILIES[family])), None)
        return (name, *NOT_OURS) if name else None

    @cached_property
    def rivals(self) -> dict[str, Name]:
        """The rivals of the best map, by their names; only those that were measured."""
        names = {"DiffEdit, before binarising": SOFT, "DiffEdit, mask": MASK}
        names |= {family: self.attribution(family) for family in FAMILIES}
        names |= {"silhouette of the object": SILHOUETTE, "edge map": EDGES, "centre Gaussian": CENTRE}
        return {title: name for title, name in names.items() if name in self.measures}

    def score(self, name: Name, labels: tuple[str, ...] | None = None) -> dict[str, Interval | None]:
        """Every measure of a map with its interval; None if nothing could be measured."""
        values = self.of_map(name, labels)
        if not values:
            return dict.fromkeys(MEASURES)
        return dict(zip(MEASURES, intervals(values)))

    def difference(self, name: Name, rival: Name) -> dict[str, Interval]:
        """A map's measures minus a rival's on the same scenes, scene by scene."""
        return dict(zip(MEASURES, intervals([a - b for a, b in zip(self.of_map(name), self.of_map(rival))])))

    def over_pictures(self, take: Callable[[dict, str], float | None]) -> np.ndarray:
        """A number of each picture that has it, `take(picture, label)`, in the records' order."""
        found = (take(picture, label) for record in self.records for label, picture in record["pictures"].items())
        return np.array([value for value in found if value is not None], dtype=float)


def log_odds(results: Results, budget: str) -> np.ndarray:
    """Of the picture's own label, one a picture."""
    return results.over_pictures(lambda picture, _: picture["log_odds"][budget])


def curves(results: Results, measure: str) -> dict[tuple[str, str], list[tuple[int, Interval]]]:
    """By strategy and reading, (evaluations, mean with interval), rising; `measure` is a field of `cost.Spent`."""
    found: dict = {}
    for record in results.records:
        per_scene: dict = {}
        for picture in record["pictures"].values():
            for spent in picture.get("spent", ()):
                per_scene.setdefault((spent["strategy"], spent["reading"], spent["evaluations"]), []).append(spent[measure])
        for (strategy, reading, evaluations), values in per_scene.items():
            pairs = found.setdefault((strategy, reading), {}).setdefault(evaluations, {})
            pairs.setdefault(tuple(record["pair"]), []).append([np.mean(values)])
    return {
        way: [(n, intervals([np.array(v) for v in pairs.values()])[0]) for n, pairs in sorted(points.items())]
        for way, points in found.items()
    }
