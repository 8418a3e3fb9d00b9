"""What the reading `combined` is worth beside `information`, scene by scene, on pictures whose answer is known.

    python dev.py run benchmarks.combined --scenes 150

It takes the answers that `benchmarks.truth` and `benchmarks.progressive` have collected, and measures every scene of which at
least one picture has its own; with --collect it asks for what is missing (100 evaluations a picture). The formula is tried in
several forms on the scenes for choosing. The report is made on the others, for the form that the pack has. Each picture is
compared with itself: what makes scenes easy or hard cancels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..nodes.maths.method.difference import sum_steps
from ..nodes.maths.method.scalar import combine
from ..tools.environment import ROOT
from .ground_truth.cases import Case, twins
from .ground_truth.collect import collect
from .ground_truth.maps import enlarge
from .ground_truth.measure import AIMS, Target
from .ground_truth.parallel import spread
from .ground_truth.questions import Extent, Setting, add_options, fingerprint_of, parts
from .ground_truth.stored import Stored
from .statistics import intervals
from .tables import Table
from .truth import everywhere

Scene = tuple[Case, Case]
Bench = tuple[Stored, np.ndarray]
"""The answers, and how many of the split's pictures have their truth at a pixel, [H,W]."""
Record = dict[tuple[str, str, str], list[float]]
"""MEASURES by range, form and label of the picture; {} where no picture of the scene is answered about."""
Form = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A map of the information and the evidence of a picture, [h,w] each."""
MEASURES = (*AIMS, "present", "absent")
RANGES = {"all steps, uniform": (1.0, "uniform"), "first three fifths, Δλ-weighted": (0.6, "information")}
COMBINED, INFORMATION = "combined: information + ½ smoothed evidence", "information"
RODENTS = ("mouse", "rat")


def form(share: float, blur: float, scale: Callable[[np.ndarray], float] | None = None) -> Form:
    """information + share · |evidence smoothed by so many cells|; each divided by its own scale where one is given."""

    def made(information: np.ndarray, evidence: np.ndarray) -> np.ndarray:
        smooth = np.abs(ndimage.gaussian_filter(evidence, blur, mode="nearest") if blur else evidence)
        return (
            information + share * smooth if scale is None else information / scale(information) + share * smooth / scale(smooth)
        )

    return made


def as_the_pack_has_it(information: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    return combine(torch.from_numpy(np.stack([information, evidence]))).numpy()


FORMS: dict[str, Form] = {
    INFORMATION: lambda information, evidence: information,
    "evidence without its sign": lambda information, evidence: np.abs(evidence),
    "smoothed evidence": lambda information, evidence: form(1, 0.6)(0 * information, evidence),
    COMBINED: as_the_pack_has_it,
    "information + ¼ smoothed evidence": form(0.25, 0.6),
    "information + smoothed evidence": form(1, 0.6),
    "information + ½ evidence, not smoothed": form(0.5, 0),
    "the same as combined, each over its mean": form(0.5, 0.6, np.mean),
    "the same as combined, each over its standard deviation": form(0.5, 0.6, np.std),
}


def measure(names: tuple[str, ...], bench: Bench, scene: Scene) -> Record:
    """MEASURES of some forms on those of a scene's pictures that are answered about."""
    stored, seen = bench
    found: Record = {}
    for case in scene:
        predictions = stored.predictions(case, case.label, case.twin)
        if predictions is None:
            continue
        target = Target.of(case, seen)
        for over, (share, weighting) in RANGES.items():
            summed = sum_steps(predictions, 0, round(share * predictions.noised.steps), "combined", weighting).mean[0]
            for name in names:
                found[over, name, case.label] = look(target, enlarge(drawn(name, summed)))
    return found


def drawn(name: str, summed: Tensor) -> Tensor:
    """The map [h,w] of a form from the sums [2,h,w] of information and evidence."""
    information, evidence = summed.double().numpy()
    return torch.from_numpy(FORMS[name](information, evidence))


def look(target: Target, values: np.ndarray) -> list[float]:
    return [*target.aims(values), target._part(values, target.present), target._part(values, target.truth & ~target.present)]


def _choice(bench: Bench, scene: Scene) -> Record:
    return measure(tuple(FORMS), bench, scene)


def _report(bench: Bench, scene: Scene) -> Record:
    return measure((INFORMATION, COMBINED), bench, scene)


def of_pairs(scenes: list[Scene], found: list[Record], value: Callable[[Record, str], list[float]]) -> list[np.ndarray]:
    """[N,K] for each pair: the mean over the pictures of each scene that was measured."""
    pairs: dict[tuple[str, str], list[np.ndarray]] = {}
    for scene, record in zip(scenes, found, strict=True):
        if record:
            measured = {label for _, _, label in record}
            rows = np.array([value(record, case.label) for case in scene if case.label in measured])
            known = ~np.isnan(rows)
            sums, counts = np.where(known, rows, 0).sum(0), known.sum(0)
            pairs.setdefault(scene[0].pair, []).append(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))
    return [np.stack(rows) for rows in pairs.values()]


def pictures_of(found: list[Record]) -> int:
    """How many pictures were measured."""
    return sum(len({label for _, _, label in record}) for record in found)


def choice(scenes: list[Scene], found: list[Record]) -> Table:
    rows = []
    for over in RANGES:
        for name in FORMS:
            pairs = of_pairs(scenes, found, lambda record, label, over=over, name=name: record[over, name, label])
            means = np.mean([np.nanmean(values, axis=0) for values in pairs], axis=0)
            rows.append([over, name, *map(float, means), float(means[: len(AIMS)].mean())])
    count = sum(bool(record) for record in found)
    note = f"{count} scenes for choosing; means over the pictures of a scene, then over pairs. The last column decides."
    return Table("combined_choice", "Forms of the formula", ["steps", "form", *MEASURES, "mean of the first four"], rows, note)


def report(scenes: list[Scene], found: list[Record]) -> Table:
    rows = []
    groups = {"all": lambda scene: True, "rodents": lambda scene: scene[0].label in RODENTS}
    for over in RANGES:
        for group, belongs in groups.items():
            chosen = [(scene, record) for scene, record in zip(scenes, found, strict=True) if belongs(scene) and record]
            some, records = [scene for scene, _ in chosen], [record for _, record in chosen]
            for name in (INFORMATION, COMBINED):
                pairs = of_pairs(some, records, lambda record, label, over=over, name=name: record[over, name, label])
                rows.append([over, group, len(some), name, *intervals(pairs)])
            gained = of_pairs(
                some,
                records,
                lambda record, label, over=over: list(
                    np.subtract(record[over, COMBINED, label], record[over, INFORMATION, label])
                ),
            )
            rows.append([over, group, len(some), "gain of combined", *intervals(gained)])
    note = (
        f"Evidence is smoothed by .6 cell, then loses its sign. {pictures_of(found)} pictures of held-out scenes, those of one "
        "averaged; means over pairs, 95 % bootstrap intervals over scenes. Gains are paired."
    )
    return Table("combined", "What combined is worth", ["steps", "scenes of", "scenes", "map", *MEASURES], rows, note)


def main() -> None:
    options = parser().parse_args()
    setting = Setting(options.model, options.steps, fingerprint_of(options.model))
    extent = Extent(options.scenes, options.choice_scenes, 1, options.seed)
    if options.collect:
        asked = parts(extent)
        collect(setting, {name: asked[name] for name in list(asked)[:2]}, options.answers, options.workers)
    stored, texts = Stored(setting, options.answers), []
    options.output.mkdir(parents=True, exist_ok=True)
    for part, work, table in (("choice", _choice, choice), ("report", _report, report)):
        scenes = twins(extent.cases(part))
        found = spread(work, (stored, everywhere(scenes, options.workers)), scenes, options.workers, part, "scene")
        if not any(found):
            raise SystemExit(f"None of the {part} scenes has been asked about. Take --collect.")
        made = table(scenes, found)
        made.write_csv(options.output)
        texts.append(made.markdown())
    (options.output / "combined.md").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    print("\n\n".join(texts))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_options(made, scenes=150, choice_scenes=15)
    made.add_argument("--answers", type=Path, default=ROOT / "output" / "truth" / "answers", help="those of benchmarks.truth")
    made.add_argument("--output", type=Path, default=ROOT / "output" / "truth", help="tables")
    made.add_argument("--collect", action="store_true", help="ask for what is missing first")
    return made
