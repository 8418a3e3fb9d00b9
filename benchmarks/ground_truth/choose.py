"""Ranges, readings, the rivals' variants and temperatures, chosen on scenes that are not in the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...training.temperature import fit_temperature
from ..statistics import mean_of_pairs
from .attributions import VARIANTS, Variant
from .maps import READINGS, Recipe, candidates
from .measure import AIMS, BUDGETS

FAMILIES = {  # of attribution methods: one variant of each is reported
    "Grad-CAM": ("Grad-CAM",),
    "LayerCAM, HiResCAM": ("LayerCAM", "HiResCAM"),
    "Integrated Gradients": ("Integrated Gradients",),
    "Gradient SHAP": ("Gradient SHAP",),
    "Occlusion": ("Occlusion",),
}


@dataclass(frozen=True)
class Choice:
    """What the choice split gave, and how each candidate did there: AIMS, averaged over pairs and pictures."""

    recipes: tuple[Recipe, ...]
    """The best of each reading; the best of all first."""
    variants: tuple[Variant, ...]
    """The best of each family."""
    temperatures: dict[str, float | None]
    """Of the verdict from each of BUDGETS; None if no verdict was wrong."""
    aims: dict[str, list[float]]
    """By the candidate's name, the best first."""
    scenes: int


def choose(records: list[dict], steps: int) -> Choice:
    """Take the best of what `measure_choice` found; empty records don't count.

    Raises:
        ValueError: there is no record of any scene.
    """
    records = [record for record in records if "pictures" in record]
    if not records:
        raise ValueError("None of the choice scenes has been asked about. Run the collection first.")
    recipes = {repr(recipe): recipe for recipe in candidates(steps)}
    variants = {variant.name: variant for variant in VARIANTS}
    pairs = sorted({tuple(record["pair"]) for record in records})
    aims = {}
    for name in (*recipes, *variants):
        found = [_aims(records, pair, name) for pair in pairs]
        if all(len(values) for values in found):
            aims[name] = mean_of_pairs(found).tolist()
    aims = dict(sorted(aims.items(), key=lambda item: -np.mean(item[1])))
    ours = [recipes[name] for name in aims if name in recipes]
    best = [next(recipe for recipe in ours if recipe.name == reading) for reading in READINGS]
    families = [
        next((variants[name] for name in aims if name in variants and name.startswith(prefixes)), None)
        for prefixes in FAMILIES.values()
    ]
    odds = {name: [picture["log_odds"][name] for r in records for picture in r["pictures"].values()] for name in BUDGETS}
    return Choice(
        recipes=tuple(sorted(best, key=ours.index)),
        variants=tuple(variant for variant in families if variant),
        temperatures={name: temperature_of(np.array(values)) for name, values in odds.items()},
        aims={recipes[name].label if name in recipes else name: values for name, values in aims.items()},
        scenes=len(records),
    )


def temperature_of(log_odds: np.ndarray) -> float | None:
    """The temperature of log-odds for the right label [n]; None where no verdict is wrong, which leaves nothing to be fitted."""
    return None if (log_odds > 0).all() else fit_temperature(log_odds)


def _aims(records: list[dict], pair: tuple[str, str], name: str) -> np.ndarray:
    """[N,AIMS] of one candidate on the scenes of a pair that have it, both pictures averaged."""
    rows = [
        np.mean([picture["aims"][name] for picture in record["pictures"].values()], axis=0)
        for record in records
        if tuple(record["pair"]) == pair and all(name in picture["aims"] for picture in record["pictures"].values())
    ]
    return np.array(rows).reshape(-1, len(AIMS))
