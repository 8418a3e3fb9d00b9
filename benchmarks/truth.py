"""Measure how true this pack's maps are: a known answer, twins, other methods, their cost, and where the maps fail.

`python dev.py run benchmarks.truth` asks the bundled model about held-out scenes (about two hours of one processor core), trains
the classifier whose attributions are compared (ten minutes) and writes tables (CSV, Markdown) and figures (PNG). If it is
stopped, it goes on from there; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..tools.environment import ROOT
from . import known_answer
from .ground_truth import figures
from .ground_truth.attributions import VARIANTS, Variant
from .ground_truth.cases import Case, twins
from .ground_truth.choose import choose
from .ground_truth.classifier import made, trained
from .ground_truth.collect import collect
from .ground_truth.measure import Bench, measure_choice, measure_scene
from .ground_truth.measured import Results
from .ground_truth.parallel import spread
from .ground_truth.questions import Extent, Setting, add_options, fingerprint_of, parts
from .ground_truth.records import recorded
from .ground_truth.report import summary, tables
from .ground_truth.stored import Stored

Scene = tuple[Case, Case]
VARIANTS_ON = 2  # the rivals' variants, which take longest, are tried on every so many-th choice scene


def main() -> None:
    options = parser().parse_args()
    setting = Setting(options.model, options.steps, fingerprint_of(options.model))
    extent = Extent(options.scenes, options.choice_scenes, options.deep_scenes, options.seed)
    if not options.report_only:
        collect(setting, parts(extent), options.output / "answers", options.workers)
    if not options.collect_only:
        classifier = options.output / "classifier.safetensors"
        with multiprocessing.Pool(1) as pool:  # of its own, since gradients here would keep forked processes from theirs
            pool.apply(trained, (options.pictures, classifier))
        results = measure(setting, extent, classifier, options.output, options.workers)
        known_answer.write(options.output, known_answer.measure(options.seed))
        write(results, made(classifier)["accuracy"], Stored(setting, options.output / "answers"), options.output)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_options(made, scenes=200, choice_scenes=40)
    made.add_argument("--deep-scenes", type=int, default=10, help="scenes a pair to report on with 16 noise samples")
    made.add_argument("--output", type=Path, default=ROOT / "output" / "truth", help="answers, records, tables and figures")
    made.add_argument("--pictures", type=Path, default=ROOT / "output" / "training", help="the training's, for the classifier")
    only = made.add_mutually_exclusive_group()
    only.add_argument("--collect-only", action="store_true", help="ask the model and write no tables")
    only.add_argument("--report-only", action="store_true", help="write the tables from what has been collected so far")
    return made


def measure(
    setting: Setting, extent: Extent, classifier: Path, output: Path, workers: int, variants: Sequence[Variant] = VARIANTS
) -> Results:
    """Choose on the choice split, then measure the report split; scenes that lack answers are left out.

    Raises:
        ValueError: no scene of a split has its answers.
    """
    stored = Stored(setting, output / "answers")
    split = {name: twins(extent.cases(name)) for name in ("choice", "report", "deep")}
    bench = Bench(
        stored, output / "records" / "choice", everywhere(split["choice"], workers), classifier, variants=tuple(variants)
    )
    tried = [(scene, scene[0].seed % VARIANTS_ON == 0) for scene in split["choice"]]
    choice = choose(spread(_choice, bench, tried, workers, "choosing", "scene"), setting.steps)
    bench = dataclasses.replace(
        bench,
        records=output / "records" / "report",
        everywhere=everywhere(split["report"], workers),
        chosen=choice.recipes,
        variants=choice.variants,
        deep=frozenset(case for scene in split["deep"] for case in scene),
    )
    records = [
        record for record in spread(_report, bench, split["report"], workers, "measuring", "scene") if "pictures" in record
    ]
    if not records:
        raise ValueError("None of the scenes to report on has been asked about. Run the collection first.")
    return Results(records, choice, setting.steps)


def everywhere(scenes: list[Scene], workers: int) -> np.ndarray:
    """How many of the pictures have their truth at a pixel, [H,W]."""
    return 2 * np.sum(spread(_truth, None, [scene[0] for scene in scenes], workers, "drawing truths", "scene"), axis=0)


def _truth(_: None, case: Case) -> np.ndarray:
    return case.truth().astype(np.float64)


def _choice(bench: Bench, job: tuple[Scene, bool]) -> dict:
    scene, with_variants = job
    key = f"{bench.key(scene)} {with_variants}"
    return recorded(_file(bench, scene), key, lambda: measure_choice(bench, scene, with_variants))


def _report(bench: Bench, scene: Scene) -> dict:
    return recorded(_file(bench, scene), bench.key(scene), lambda: measure_scene(bench, scene))


def _file(bench: Bench, scene: Scene) -> Path:
    return bench.records / f"{scene[0].name}.json"


def write(results: Results, accuracy: dict[str, float], stored: Stored, folder: Path) -> None:
    """Write report.md, its main tables as summary.md, a CSV file a table, and the figures."""
    made = tables(results)
    for table in made:
        table.write_csv(folder)
    right = ", ".join(f"{name} {value:.4f}" for name, value in accuracy.items())
    text = [
        f"Attributions explain a classifier that is right on held-out scenes: {right}.",
        *(table.markdown() for table in made),
    ]
    (folder / "report.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    (folder / "summary.md").write_text(summary(results) + "\n", encoding="utf-8")
    figures.write(results, folder, lambda case, recipe: recipe.draw(stored.predictions(case, case.label, case.twin)))
    print("\n\n".join(text))
