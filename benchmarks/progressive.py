"""Measure how truth grows with the evaluations of the network, and what is lost where the pack stops by itself.

`python dev.py run benchmarks.progressive` asks the bundled model about held-out scenes, as `benchmarks.truth` does and into the
same folder: what one of them asked, the other finds. If it is stopped, it goes on from there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..bundled.scenes import PAIRS
from ..tools.environment import ROOT
from ..training.intervals import Interval
from .ground_truth.cases import Case, twins
from .ground_truth.collect import collect
from .ground_truth.parallel import spread
from .ground_truth.progressive import (
    ASKING,
    DIFFEDIT,
    DIFFEDIT_MAPS,
    EXACT_NAME,
    GOLDEN,
    LONE,
    NOISIEST,
    QUICK_NAME,
    SETTLED_NAME,
    Measured,
    measure_picture,
)
from .ground_truth.questions import SECOND_PAIR, Extent, Job, MaskQuestion, Setting, add_options, both_labels, fingerprint_of
from .ground_truth.stored import Stored
from .statistics import intervals, mean_of_pairs
from .tables import COLOURS, Table

Found = dict[str, list[Measured]]
Scene = tuple[Case, Case]
WAYS, QUALITIES = (ASKING, LONE, GOLDEN, NOISIEST, DIFFEDIT), (QUICK_NAME, SETTLED_NAME, EXACT_NAME)


def main() -> None:
    options = parser().parse_args()
    setting = Setting(options.model, options.steps, fingerprint_of(options.model))
    extent = Extent(options.scenes, options.choice_scenes, 1, options.seed)
    if not options.report_only:
        collect(setting, questions(extent), options.output / "answers", options.workers)
    stored = Stored(setting, options.output / "answers")
    for split in ("report", "choice"):
        scenes = spread(measured, stored, twins(extent.cases(split)), options.workers, split, "scene")
        write(split, [scene for scene in scenes if scene is not None], options.output)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_options(made, scenes=150, choice_scenes=15)
    made.add_argument("--output", type=Path, default=ROOT / "output" / "truth", help="answers, tables and the figure")
    made.add_argument("--report-only", action="store_true", help="measure what has been collected so far")
    return made


def questions(extent: Extent) -> dict[str, list[Job]]:
    """Two pairs of samples on all scenes, and DiffEdit's maps on those of the report."""
    choice, report = extent.cases("choice"), one_of_each_first(extent.cases("report"))
    pairs = [[*both_labels(case), *both_labels(case, SECOND_PAIR)] for case in report]
    return {
        "choice: both labels, two pairs of samples": [[*both_labels(case), *both_labels(case, SECOND_PAIR)] for case in choice],
        "report: the same on other scenes": pairs,
        "DiffEdit": [[MaskQuestion(case, maps) for maps in DIFFEDIT_MAPS] for case in report],
    }


def one_of_each_first(pictures: list[Case]) -> list[Case]:
    """One picture of every scene, both classes of a pair in turns, then their twins: a run that was stopped saw more scenes."""
    turns = [(scene, number // len(PAIRS) % 2) for number, scene in enumerate(twins(pictures))]
    return [*(scene[turn] for scene, turn in turns), *(scene[1 - turn] for scene, turn in turns)]


def measured(stored: Stored, scene: Scene) -> tuple[tuple[str, str], list[Found]] | None:
    """A scene's pair, and what was measured on those of its pictures that all is answered about; None if there is none."""
    pictures = [found for case in scene if (found := measure_picture(stored, case)) is not None]
    return (scene[0].pair, pictures) if pictures else None


def write(split: str, scenes: list[tuple[tuple[str, str], list[Found]]], folder: Path) -> None:
    """progressive.csv, settled.csv and settled_verdicts.csv with a figure; before those of the choice scenes stands its name."""
    if not scenes:
        print(f"{split}: no scene has all its answers yet.")
        return
    prefix = "" if split == "report" else f"{split}_"
    curves, qualities = curve_table(scenes, f"{prefix}progressive"), settled_table(scenes, f"{prefix}settled")
    tables = [curves, qualities, verdicts_table(scenes, f"{prefix}settled_verdicts")]
    for table in tables:
        table.write_csv(folder)
    if split == "report":
        draw(curves, qualities).savefig(folder / "progressive.png", dpi=150)
    print("\n\n".join(table.markdown() for table in tables))


def by_pair(scenes: list[tuple[tuple[str, str], list[Found]]], name: str, place: int) -> list[np.ndarray]:
    """Of each pair [N,4], the numbers of a way at one of its places, averaged over each scene's pictures."""
    made: dict[tuple[str, str], list[np.ndarray]] = {pair: [] for pair in PAIRS}
    for pair, pictures in scenes:
        known = [found[name][place] for found in pictures if len(found[name]) > place]
        if known:
            made[pair].append(np.mean(known, axis=0))
    return [np.array(values) for values in made.values() if values]


def count(scenes: list[tuple[tuple[str, str], list[Found]]], name: str, place: int) -> int:
    """The pictures behind `by_pair`."""
    return sum(len(found[name]) > place for _, pictures in scenes for found in pictures)


def curve_table(scenes: list[tuple[tuple[str, str], list[Found]]], name: str) -> Table:
    rows = []
    for way in WAYS:
        for place in range(max(len(found[way]) for _, pictures in scenes for found in pictures)):
            pairs = by_pair(scenes, way, place)
            evaluations, inside, iou, right = intervals(pairs)[:4]
            verdict = None if np.isnan(right.value) else right
            rows.append((way, round(evaluations.value), inside, iou, verdict, sum(map(len, pairs)), count(scenes, way, place)))
    head = ("way", "evaluations", "inside", "iou", "verdicts right", "scenes", "pictures")
    note = "Information, all steps equally weighted; an evaluation is one noised latent under one prompt."
    return Table(name, "Truth against evaluations", head, rows, note)


def settled_table(scenes: list[tuple[tuple[str, str], list[Found]]], name: str) -> Table:
    """Each quality's evaluations and measures, and its measures as a share of exact's, on the same scenes."""
    exact, rows = by_pair(scenes, EXACT_NAME, 0), []
    for quality in QUALITIES:
        own = by_pair(scenes, quality, 0)
        evaluations, inside, iou, right = intervals(own)[:4]
        whole = shares(own, exact)[:4]
        rows.append((quality, evaluations, inside, iou, right, *whole, sum(map(len, own)), count(scenes, quality, 0)))
    head = ("quality", "evaluations", "inside", "iou", "verdicts right", "÷ exact evaluations", "÷ exact inside", "÷ exact iou")
    head = (*head, "÷ exact verdicts", "scenes", "pictures")
    return Table(name, "Where it stops by itself", head, rows, "25 steps, two antithetic pairs; means over pictures.")


def verdicts_table(scenes: list[tuple[tuple[str, str], list[Found]]], name: str) -> Table:
    """What each quality's verdict says of the right label: its nats beside exact's, and its interval."""
    rows = []
    for quality in QUALITIES:
        said = [pair[:, 4:] for pair in by_pair(scenes, quality, 0)]
        nats, _, holds, decided = intervals(said)
        ratio = shares([pair[:, :1] for pair in said], [pair[:, 1:2] for pair in said])
        rows.append((quality, nats, *ratio, holds, decided, sum(map(len, said)), count(scenes, quality, 0)))
    head = ("quality", "nats", "÷ exact nats", "interval holds exact's", "interval leaves 0", "scenes", "pictures")
    note = "The nats are those for the right label; their means are divided. Exact's interval holds its own nats."
    return Table(name, "What the verdict says where it stops by itself", head, rows, note)


def shares(own: list[np.ndarray], exact: list[np.ndarray], seed: int = 0, draws: int = 2_000) -> list[Interval]:
    """The means of measures [N,M] divided by exact's, [M], with intervals from scenes drawn anew, the same for both."""
    rng = np.random.default_rng(seed)
    whole = mean_of_pairs(own) / mean_of_pairs(exact)
    drawn = []
    for _ in range(draws):
        places = [rng.integers(len(values), size=len(values)) for values in own]
        drawn.append(mean_of_pairs([v[p] for v, p in zip(own, places)]) / mean_of_pairs([v[p] for v, p in zip(exact, places)]))
    ends = np.percentile(drawn, [2.5, 97.5], axis=0)
    return [Interval(*map(float, three)) for three in zip(whole, *ends)]


def draw(curves: Table, qualities: Table) -> Figure:
    """AUROC inside the object against evaluations for each way, and the three qualities as stars."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for colour, way in zip(COLOURS, WAYS, strict=False):
        points = np.array([(row[1], row[2].value) for row in curves.rows if row[0] == way])
        axes.plot(points[:, 0], points[:, 1], marker="o", markersize=4, color=colour, label=way)
    for quality, evaluations, inside, *_ in qualities.rows:
        place = evaluations.value, inside.value
        axes.plot(*place, marker="*", markersize=13, color="black", linestyle="none", zorder=5)
        words = f"{quality}: {evaluations.value:.0f}"
        side = "right" if quality == EXACT_NAME else "center"
        axes.annotate(words, place, textcoords="offset points", xytext=(5 if side == "right" else 0, 15), ha=side)
    axes.set(xscale="log", xlabel="evaluations of the network", ylabel="AUROC inside the object")
    ticks = [2, 4, 8, 16, 32, 64, 100, 200]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=axes.get_ylim()[1] + 0.02)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    axes.set_title(f"What {qualities.rows[0][-1]} held-out drawings show after so many evaluations", fontsize=11, loc="left")
    return figure
