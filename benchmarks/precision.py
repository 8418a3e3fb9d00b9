"""What keeping noise predictions in half precision costs, beside what another pair of noise samples changes.

    python dev.py run benchmarks.precision

The bundled model is asked about held-out scenes, in float32. Every map is then made again from its predictions rounded to
float16, as Collect Noise Predictions keeps them; from residuals (prediction − noise) rounded to float16; and from predictions
rounded to bfloat16.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..nodes.maths.answers.measures import auroc
from ..nodes.maths.method.difference import sum_steps
from ..nodes.maths.method.prediction import NoisePredictions
from ..tools.environment import ROOT
from .ground_truth.cases import Case, cases
from .ground_truth.collect import collect
from .ground_truth.maps import READINGS, Recipe, enlarge
from .ground_truth.questions import SECOND_PAIR, Setting, both_labels, fingerprint_of
from .ground_truth.stored import Stored, select
from .tables import Table

MAPS = ("magnitude of the sum", "sum of magnitudes", "information", "evidence")
Kept = Callable[[NoisePredictions], NoisePredictions]


def rounded(predictions: NoisePredictions, dtype: torch.dtype) -> NoisePredictions:
    return replace(predictions, target=predictions.target.to(dtype), contrast=predictions.contrast.to(dtype))


def residuals(predictions: NoisePredictions) -> NoisePredictions:
    noise = predictions.noised.noise[:, :, None]
    target, contrast = (noise + (array - noise).half().float() for array in (predictions.target, predictions.contrast))
    return replace(predictions, target=target, contrast=contrast)


WAYS: dict[str, Kept] = {
    "float16": lambda predictions: rounded(predictions, torch.float16),
    "residuals in float16": residuals,
    "bfloat16": lambda predictions: rounded(predictions, torch.bfloat16),
}


def compare(case: Case, predictions: NoisePredictions) -> dict[tuple[str, str], tuple[float, float, float]]:
    """(map, way): how far the map moves, relative to its size; AUROC inside the object; and the total in the reading's unit.

    Of the predictions' two pairs of samples the first is rounded; the way "another pair" is the second.
    """
    steps = range(predictions.noised.steps)
    pair, other = select(predictions, [0, 1], steps), select(predictions, [2, 3], steps)
    ways = {name: keep(pair) for name, keep in WAYS.items()} | {"another pair of noise samples": other}
    truth, inside = case.truth(), case.silhouette()
    moved = {}
    for name in MAPS:
        recipe = Recipe(name, 0, len(steps), "information")

        def look(made: NoisePredictions, recipe: Recipe = recipe) -> tuple[Tensor, float, float]:
            summed = sum_steps(made, recipe.start, recipe.end, READINGS[recipe.name][0], recipe.weighting)
            values = enlarge(recipe.cells(made))
            return summed.mean, auroc(values[inside], truth[inside]), summed.total.item()

        whole, right, total = look(pair)
        for way, made in ways.items():
            values, auc, sums_to = look(made)
            far = ((values - whole).square().mean().sqrt() / whole.square().mean().sqrt()).item()
            moved[name, way] = far, abs(auc - right), abs(sums_to - total)
    return moved


def table(found: list[dict[tuple[str, str], tuple[float, float, float]]]) -> Table:
    rows = []
    for name, way in found[0]:
        values = torch.tensor([moved[name, way] for moved in found])
        mean, most = values.mean(dim=0), values.amax(dim=0)
        nats = f"{mean[2]:.3f} ({most[2]:.3f})" if name == "evidence" else None
        rows.append([name, way, f"{100 * mean[0]:.3f} ({100 * most[0]:.3f})", f"{mean[1]:.5f} ({most[1]:.5f})", nats])
    note = (
        f"{len(found)} held-out pictures of the bundled model, one antithetic pair of noise samples, all steps, weighted by log "
        "SNR; against float32. Mean over the pictures (largest). How far a map moves is the root mean square of its change over "
        "that of the map."
    )
    head = ["map", "predictions kept in", "map moves by, %", "AUROC inside the object changes by", "log-odds change by, nats"]
    return Table("precision", "What half precision costs", head, rows, note)


def main() -> None:
    options = parser().parse_args()
    setting = Setting(options.model, options.steps, fingerprint_of(options.model))
    pictures = cases("report", options.scenes, seed=0)
    jobs = {"precision": [both_labels(case) + both_labels(case, SECOND_PAIR) for case in pictures]}
    collect(setting, jobs, options.output / "answers", options.workers)
    stored = Stored(setting, options.output / "answers")
    made = table([compare(case, stored.predictions(case, case.label, case.twin, samples=4)) for case in pictures])
    made.write_csv(options.output)
    (options.output / "precision.md").write_text(made.markdown() + "\n", encoding="utf-8")
    print(made.markdown())


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--scenes", type=int, default=4, help="scenes a pair; each is drawn as both classes (default: 4)")
    made.add_argument("--steps", type=int, default=25)
    made.add_argument("--model", type=Path, default=ROOT / "bundled" / "model")
    made.add_argument("--output", type=Path, default=ROOT / "output" / "precision", help="answers and tables")
    made.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, of one thread each")
    return made
