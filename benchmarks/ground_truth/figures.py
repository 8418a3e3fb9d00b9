"""The figures of the report, in the look of the pack's own plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from ...nodes.maths.pictures.paper import INK, MUTED, RULE
from ...nodes.maths.pictures.plot import BAND, LENGTHS, SPEAKS_AGAINST, SPEAKS_FOR, draw_plot
from ...training.intervals import Interval
from ..statistics import reliability
from ..tables import COLOURS
from .cases import MEASURED_SIZE, Case
from .cost import DIFFEDIT, EVEN, INDEPENDENT, PAIRS, SPACED, WITHIN
from .maps import READINGS, Recipe, parts_of
from .measure import AIMS, name_of
from .measured import Results, curves, log_odds

SMALL = LENGTHS(9)
WORST = 10
LEAST = 5  # verdicts in a bin that is drawn
TITLES = {
    "auroc": "AUROC",
    "inside": "AUROC inside\nthe object",
    "shuffled": "shuffled\nAUROC",
    "iou": "IoU at k",
    "pointing": "pointing",
    "halves": "Spearman of split halves",
}
DrawMap = Callable[[Case, Recipe], np.ndarray]


def write(results: Results, folder: Path, draw_map: DrawMap) -> None:
    """Save every figure as PNG; `draw_map` gives a picture's map [H,W] for a recipe."""
    drawn = {
        "methods": (900, lambda figure: methods(figure, results)),
        "ranges": (560, lambda figure: ranges(figure, results)),
        "present_absent": (620, lambda figure: present_absent(figure, results)),
        "cost": (1150, lambda figure: cost(figure, results)),
        "calibration": (640, lambda figure: calibration(figure, results)),
        "verdicts": (520, lambda figure: verdicts(figure, results)),
        "worst": (1640, lambda figure: worst(figure, results, draw_map)),
    }
    for name, (height, draw) in drawn.items():
        draw_plot(height, draw).save(folder / f"{name}.png")


def methods(figure: Figure, results: Results) -> None:
    """Every map on each measure of the goals."""
    ours = {recipe.label: name_of(recipe) for recipe in results.choice.recipes}
    rows = ours | results.rivals
    scores = [results.score(name) for name in rows.values()]
    trivial = list(results.rivals)[-3:]
    colours = [SPEAKS_FOR if title in ours else MUTED if title in trivial else SPEAKS_AGAINST for title in rows]
    for axes, aim in zip(figure.subplots(1, len(AIMS), sharey=True), AIMS):
        _intervals(axes, [score[aim] for score in scores], colours)
        axes.set_title(TITLES[aim], fontsize=SMALL)
        axes.set_yticks(range(len(rows)), list(rows), fontsize=SMALL)
    axes.invert_yaxis()  # shared by all


def _intervals(axes: Axes, values: Sequence[Interval | None], colours: Sequence[str]) -> None:
    for row, (at, colour) in enumerate(zip(values, colours)):
        if at is not None:
            axes.plot([at.low, at.high], [row, row], color=colour)
            axes.plot(at.value, row, "o", color=colour, markersize=LENGTHS(4))
    axes.tick_params(labelsize=SMALL)
    axes.grid(axis="x", color=RULE, linewidth=LENGTHS(0.4))
    axes.spines[["top", "right"]].set_visible(False)


def ranges(figure: Figure, results: Results) -> None:
    """The AUROC inside the object for each part of the schedule."""
    axes = figure.subplots()
    parts = parts_of(results.steps)
    for colour, name in zip(COLOURS, [name for name in READINGS if name != "channel mean"]):
        scores = [results.score(name_of(Recipe(name, *part)))["inside"] for part in parts]
        _curve(axes, list(range(len(parts))), scores, colour, name)
    axes.set_xticks(range(len(parts)), [f"{start}–{end}" for start, end in parts])
    axes.set_xlabel("steps, 0 the noisiest", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    _finish(axes, TITLES["inside"])


def _curve(axes: Axes, x: Sequence[float], values: Sequence[Interval], colour: str, label: str, style: str = "-") -> None:
    axes.plot(x, [at.value for at in values], style, color=colour, label=label, marker="o", markersize=LENGTHS(3))
    axes.fill_between(x, [at.low for at in values], [at.high for at in values], color=colour, alpha=0.15, linewidth=0)


def _finish(axes: Axes, label: str, legend: bool = True) -> None:
    axes.set_ylabel(label.replace("\n", " "), fontsize=SMALL)
    axes.grid(color=RULE, linewidth=LENGTHS(0.4), alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(fontsize=SMALL, frameon=False)


def present_absent(figure: Figure, results: Results) -> None:
    """For each class, AUROC of what the picture has and of what it lacks."""
    evidence = next(recipe for recipe in results.choice.recipes if recipe.name == "evidence")
    labels = [label for pair in results.pairs for label in pair]
    for axes, part in zip(figure.subplots(1, 2, sharey=True), ("present", "absent")):
        for offset, (recipe, colour) in enumerate({results.best: SPEAKS_FOR, evidence: COLOURS[2]}.items()):
            for row, label in enumerate(labels):
                at = results.score(name_of(recipe), (label,))[part]
                axes.plot([at.low, at.high], [row + 0.25 * offset] * 2, color=colour)
                axes.plot(at.value, row + 0.25 * offset, "o", color=colour, label=recipe.label if row == 0 else None)
        axes.axvline(0.5, color=MUTED, linewidth=LENGTHS(0.7))
        axes.set_yticks(range(len(labels)), [f"{label} picture" for label in labels], fontsize=SMALL)
        axes.set_xlim(0, 1)
        axes.set_title(f"{part} features", fontsize=SMALL)
        axes.set_xlabel("AUROC against the rest of the object", fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        axes.grid(axis="x", color=RULE, linewidth=LENGTHS(0.4))
        axes.spines[["top", "right"]].set_visible(False)
    axes.invert_yaxis()
    _legend_below(figure, axes, 1)


def cost(figure: Figure, results: Results) -> None:
    """How good and how repeatable a map is for so many evaluations."""
    shown = [
        (INDEPENDENT, COLOURS[1], "-"),
        (PAIRS, COLOURS[0], "-"),
        (f"{EVEN}, one sample", COLOURS[2], "-"),
        (f"{EVEN}, a pair", COLOURS[2], "--"),
        (f"{SPACED}, one sample", COLOURS[3], "-"),
        (f"{SPACED}, a pair", COLOURS[3], "--"),
        (f"{WITHIN}, one sample", COLOURS[4], "-"),
        (f"{WITHIN}, a pair", COLOURS[4], "--"),
    ]
    grid = figure.subplots(2, 2, sharex=True, sharey="col")
    for column, measure in enumerate(("inside", "halves")):
        found = curves(results, measure)
        for row, reading in enumerate(("sum of magnitudes", "evidence")):
            axes = grid[row][column]
            for strategy, colour, style in shown:
                _points(axes, found.get((strategy, reading), []), colour, strategy, style)
            as_run = found.get((DIFFEDIT, "–"), [])
            _points(axes, as_run, INK, "DiffEdit, as diffusers runs it", "-")
            _points(axes, [(n / 2, at) for n, at in as_run], INK, "DiffEdit, without what cancels", ":")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_title(f"{reading}: {TITLES[measure]}".replace("\n", " "), fontsize=SMALL)
            axes.tick_params(labelsize=SMALL)
            _finish(axes, "", legend=False)
            if row:
                axes.set_xlabel("evaluations a picture", fontsize=SMALL)
    _legend_below(figure, grid[0][0], 2)


def _points(axes: Axes, points: Sequence[tuple[float, Interval]], colour: str, label: str, style: str) -> None:
    points = [(n, at) for n, at in points if not np.isnan(at.value)]
    if points:
        axes.plot(
            [n for n, _ in points],
            [at.value for _, at in points],
            style,
            color=colour,
            label=label,
            marker="o",
            markersize=LENGTHS(2),
        )


def _legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)


def calibration(figure: Figure, results: Results) -> None:
    """How often verdicts of a confidence are right, before and after the temperature of the choice split."""
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, fitted in ((left, False), (right, True)):
        for colour, (budget, temperature) in zip(COLOURS, results.choice.temperatures.items()):
            if temperature is not None:
                points = reliability(log_odds(results, budget), temperature if fitted else 1.0)
                x, y, sizes = np.array([point for point in points if point[2] >= LEAST]).reshape(-1, 3).T
                axes.plot(x, y, color=colour, linewidth=LENGTHS(0.7))
                axes.scatter(x, y, s=LENGTHS(2) * np.sqrt(sizes), color=colour, label=f"{budget}: T = {temperature:.2g}")
        axes.plot([0.5, 1], [0.5, 1], color=BAND, linewidth=LENGTHS(0.7))
        axes.set_xlabel("confidence", fontsize=SMALL)
        axes.set_title("with the choice split's temperature" if fitted else "as it is (T = 1)", fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        _finish(axes, "" if fitted else "share right", legend=False)
    if right.get_legend_handles_labels()[0]:
        _legend_below(figure, right, 1)


def verdicts(figure: Figure, results: Results) -> None:
    """The log-odds of the picture's own label, by class: how far they are from 0."""
    axes = figure.subplots()
    labels = [label for pair in results.pairs for label in pair]
    for row, label in enumerate(labels):
        odds = results.over_pictures(lambda p, which, label=label: p["log_odds"]["all steps, a pair"] if which == label else None)
        spread = np.random.default_rng(row).uniform(-0.3, 0.3, len(odds))
        axes.scatter(odds, row + spread, s=LENGTHS(4), color=np.where(odds > 0, SPEAKS_FOR, SPEAKS_AGAINST), linewidths=0)
    axes.axvline(0, color=INK, linewidth=LENGTHS(0.7))
    axes.set_yticks(range(len(labels)), [f"{label} picture" for label in labels], fontsize=SMALL)
    axes.invert_yaxis()
    axes.set_xlabel("log-odds of the picture's own label against its twin's, nats", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    _finish(axes, "", legend=False)


def worst(figure: Figure, results: Results, draw_map: DrawMap) -> None:
    """The pictures on which the best map fails most: picture, truth (red present, blue absent), map, evidence."""
    ranked = sorted(
        (values[label][1], pair, seed, label)
        for (pair, seed), values in results.measures[name_of(results.best)].items()
        for label in values
    )[:WORST]
    evidence = Recipe("evidence", 0, results.steps)
    columns = WORST // 2
    blocks = figure.subplots(8, columns, squeeze=False).reshape(2, 4, columns)
    for n, (value, pair, seed, label) in enumerate(ranked):
        column = blocks[n // columns, :, n % columns]
        case = Case(pair, seed, label)
        truth, present, signed = case.truth(), case.present(), draw_map(case, evidence)
        painted = np.full((*truth.shape, 3), 235, np.uint8)
        painted[truth], painted[present] = (33, 102, 172), (178, 24, 43)
        limit = np.percentile(np.abs(signed), 99.5)
        column[0].imshow(case.picture(MEASURED_SIZE))
        column[1].imshow(painted)
        column[2].imshow(draw_map(case, results.best), cmap="cividis")
        column[3].imshow(signed, cmap="RdBu_r", vmin=-limit, vmax=limit)
        column[0].set_title(f"{label}, {value:.2f}", fontsize=SMALL)
    for axes in blocks.flat:
        axes.set(xticks=[], yticks=[])
        axes.axis("off" if not axes.images else "on")
    for axes, name in zip(blocks[:, :, 0].flat, 2 * ("picture", "truth", "map", "evidence")):
        axes.set_ylabel(name, fontsize=SMALL)
