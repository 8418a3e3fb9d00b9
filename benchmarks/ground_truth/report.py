"""Every table of the report, from the records of the scenes and what was chosen on others.

Shapes: N scenes of a pair, 2 pictures a scene, K quantities. All means are over the pairs of the means over their pictures.
"""

from __future__ import annotations

import numpy as np

from ...training.intervals import Interval, share
from ...training.temperature import log_loss
from ..statistics import expected_calibration_error, intervals
from ..tables import Cell, Table
from .cost import DIFFEDIT, cheapest
from .maps import READINGS, WEIGHTINGS, Recipe, parts_of
from .measure import AIMS, BUDGETS, name_of
from .measured import Results, curves, log_odds

SHOWN = ("auroc", "inside", "shuffled", "precision", "iou", "pointing", "mass")
ALL_STEPS = "all steps, a pair"


def tables(results: Results) -> list[Table]:
    """Everything, in the order of the questions: is it there, where, against what, at which price, and when not."""
    made = [
        methods(results),
        differences(results),
        readings(results),
        ranges(results),
        directions(results),
        parts_of_truth(results),
        signs(results),
        verdicts(results),
        calibration(results),
        samples(results),
        against(results),
        spent(results),
        needed(results),
        labels(results),
        clutter(results),
        chosen(results),
        goals(results),
    ]
    return [table for table in made if table.rows]


def _cells(score: dict[str, Interval | None], measures: tuple[str, ...] = SHOWN) -> list[Cell]:
    return [score[measure] for measure in measures]


# ------------------------------------------------------------------------------------------------------- where it points


def methods(results: Results) -> Table:
    ours = {
        f"**{recipe.label}**" if recipe is results.best else recipe.label: name_of(recipe) for recipe in results.choice.recipes
    }
    rows = [[title, *_cells(results.score(name))] for title, name in (ours | results.rivals).items()]
    note = (
        f"{len(results.records)} scenes, each as both classes. Ranges, weightings and the attributions' variants were chosen on "
        f"{results.choice.scenes} other scenes; **the best there** is bold. Two noise samples, one antithetic pair."
    )
    return Table("methods", "Maps and what they are held against", ["map", *SHOWN], rows, note)


def differences(results: Results) -> Table:
    best, rows = name_of(results.best), []
    for title, name in results.rivals.items():
        own, other, minus = results.score(best), results.score(name), results.difference(best, name)
        rows.append([title, *_cells(minus, AIMS), ", ".join(aim for aim in AIMS if own[aim].low > other[aim].high) or "none"])
    note = (
        "Scene by scene, with bootstrap intervals of the difference; the last column names where the two intervals themselves do "
        "not overlap."
    )
    return Table("differences", f"How far {results.best.label} is ahead", ["of", *AIMS, "apart"], rows, note)


def readings(results: Results) -> Table:
    rows = []
    for name in READINGS:
        whole = [Recipe(name, 0, results.steps, weighting) for weighting in WEIGHTINGS]
        best = [recipe for recipe in results.choice.recipes if recipe.name == name]
        for recipe in dict.fromkeys([*whole, *best]):
            marked = f"**{recipe.range}**" if recipe in best else recipe.range
            rows.append([name, marked, recipe.weighting, *_cells(results.score(name_of(recipe)))])
    note = "The whole schedule in both weightings, and the **range and weighting chosen** on other scenes."
    return Table("readings", "Readings", ["reading", "steps", "weighting", *SHOWN], rows, note)


def ranges(results: Results) -> Table:
    rows = [
        [name, f"{start}–{end}", *_cells(results.score(name_of(Recipe(name, start, end))))]
        for name in READINGS
        if name != "channel mean"
        for start, end in parts_of(results.steps)
    ]
    return Table(
        "ranges", "Parts of the schedule", ["reading", "steps", *SHOWN], rows, "Step 0 is the noisiest; uniform weighting."
    )


def directions(results: Results) -> Table:
    rows = []
    shown = {results.best.label: name_of(results.best), "evidence": name_of(_chosen(results, "evidence"))}
    shown |= {
        title: results.rivals[title]
        for title in ("DiffEdit, before binarising", "silhouette of the object")
        if title in results.rivals
    }
    for pair in results.pairs:
        for label in pair:
            rows += [[label, "/".join(pair), title, *_cells(results.score(name, (label,)))] for title, name in shown.items()]
    return Table("directions", "Each direction", ["picture", "pair", "map", *SHOWN], rows)


def parts_of_truth(results: Results) -> Table:
    shown = {recipe.label: name_of(recipe) for recipe in results.choice.recipes} | results.rivals
    rows = [["all", title, *_cells(results.score(name), ("present", "absent"))] for title, name in shown.items()]
    best, evidence = results.best, _chosen(results, "evidence")
    for pair in results.pairs:
        for label in pair:
            rows += [
                [label, recipe.label, *_cells(results.score(name_of(recipe), (label,)), ("present", "absent"))]
                for recipe in dict.fromkeys((best, evidence))
            ]
    note = (
        "AUROC against the rest of the object. Present: the picture has a feature of its label there. Absent: it lacks one of "
        "its twin's, such as the roof light on a sports car."
    )
    return Table("present_absent", "Present and absent features", ["picture", "map", "present", "absent"], rows, note)


def _chosen(results: Results, reading: str) -> Recipe:
    return next(recipe for recipe in results.choice.recipes if recipe.name == reading)


# ------------------------------------------------------------------------------------------------------- signs, verdicts


def signs(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for title, pairs in {"all": results.pairs, **{"/".join(pair): [pair] for pair in results.pairs}}.items():
        records = [record for pair in pairs for record in results.of_pair(pair)]
        flips = share(np.array([all(p["log_odds"][ALL_STEPS] > 0 for p in record["pictures"].values()) for record in records]))
        parts = ("truth", "present", "absent", "shared object", "background")
        values = [
            np.array(
                [
                    [
                        record["flipping"],
                        *np.mean([[p["signs"][part] for part in parts] for p in record["pictures"].values()], axis=0),
                    ]
                    for record in results.of_pair(pair)
                ]
            )
            for pair in pairs
        ]
        rows.append([title, flips, *intervals(values)])
    note = (
        "Flips: share of scenes on which the summed evidence speaks for each twin's own label, so that it changes its sign from "
        "one to the other. The rest are shares of pixels, over all steps: of the truth on which the sign flips too, and with "
        "evidence for the own label, on the truth, its parts and elsewhere."
    )
    head = [
        "pair",
        "flips",
        "truth flips",
        "for: truth",
        "for: present",
        "for: absent",
        "for: rest of the object",
        "for: background",
    ]
    return Table("signs", "Does the evidence change its sign on the twin?", head, rows, note)


def verdicts(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for pair in results.pairs:
        for label in pair:
            odds = results.over_pictures(
                lambda picture, which, label=label: picture["log_odds"][ALL_STEPS] if which == label else None
            )
            rows.append([f"{label} (of {'/'.join(pair)})", share(odds > 0), float(np.median(odds)), float(odds.min()), len(odds)])
    for budget in BUDGETS:
        odds = log_odds(results, budget)
        rows.append([f"all, {budget}", share(odds > 0), float(np.median(odds)), float(odds.min()), len(odds)])
    head = ["pictures", "right", "median log-odds (nats)", "lowest", "number"]
    return Table(
        "verdicts", "The model's own verdict", head, rows, "Exact intervals (Clopper–Pearson). Per class: all steps, a pair."
    )


def calibration(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for budget, temperature in results.choice.temperatures.items():
        odds = log_odds(results, budget)
        row: list[Cell] = [budget, share(odds > 0), log_loss(odds), expected_calibration_error(odds), temperature]
        rows.append(
            [
                *row,
                *([log_loss(odds, temperature), expected_calibration_error(odds, temperature)] if temperature else [None, None]),
            ]
        )
    note = (
        "Temperatures are fitted on the choice split; – where no verdict was wrong there, so that there is nothing to fit. Log "
        "loss in nats (a coin: 0.693); ECE: expected calibration error over 10 bins of confidence."
    )
    head = ["verdict from", "right", "log loss", "ECE", "temperature", "log loss with it", "ECE with it"]
    return Table("calibration", "Calibration of the verdict", head, rows, note)


# ------------------------------------------------------------------------------------------------------------------ cost


def samples(results: Results) -> Table:
    rows = []
    for recipe in results.choice.recipes:
        for count in (1, 2, 4, 16):
            score = results.score(name_of(recipe, "twin, the deep scenes", count))
            if score["auroc"]:
                rows.append([recipe.name, recipe.range, recipe.weighting, count, *_cells(score)])
    note = f"The same {_deep_count(results)} pictures in every row; samples in antithetic pairs from 2 on."
    return Table("samples", "Noise samples", ["reading", "steps", "weighting", "R", *SHOWN], rows, note)


def against(results: Results) -> Table:
    rows = []
    for recipe in results.choice.recipes:
        versus = ("twin, the deep scenes", "empty prompt", "a label of another pair", "another pair's labels")
        for other in versus:
            score = results.score(name_of(recipe, other))
            if score["auroc"]:
                rows.append([recipe.label, other.removesuffix(", the deep scenes"), *_cells(score)])
    note = (
        f"The same {_deep_count(results)} pictures in every row. Under another pair's labels neither prompt fits: what is left "
        "is label noise."
    )
    return Table("against", "Against another prompt", ["map", "against", *SHOWN], rows, note)


def _deep_count(results: Results) -> int:
    return sum("spent" in picture for record in results.records for picture in record["pictures"].values())


def spent(results: Results) -> Table:
    each = [curves(results, measure) for measure in ("auroc", "inside", "halves")]
    rows = [
        [strategy, reading, evaluations, *(None if np.isnan(curve[way][n][1].value) else curve[way][n][1] for curve in each)]
        for way in each[0]
        for n, (evaluations, _) in enumerate(each[0][way])
        for strategy, reading in [way]
    ]
    note = (
        "Evaluations are UNet forwards of one latent under one prompt. DiffEdit's are counted as diffusers runs it, 4 a noise; "
        "the empty prompt's half of them cancels in its map, so that 2 would do. Split halves: Spearman's correlation of the "
        "cells of two maps from as many evaluations each, with other noise."
    )
    return Table(
        "cost", "What truth costs", ["strategy", "reading", "evaluations", "auroc", "inside", "split halves"], rows, note
    )


def needed(results: Results) -> Table:
    rows: list[list[Cell]] = []
    each = {measure: curves(results, measure) for measure in ("auroc", "inside")}
    goal = {measure: dict(found.get((DIFFEDIT, "–"), ())).get(40) for measure, found in each.items()}
    if None in goal.values():
        return Table("needed", "", [], [])
    for way in each["auroc"]:
        fewest = [cheapest([(n, at.value) for n, at in each[measure][way]], goal[measure].value) for measure in each]
        rows.append([*way, *("not reached" if count is None else count for count in fewest)])
    note = "The smallest number of evaluations measured at which the mean is at least DiffEdit's with its 40 (10 noises)."
    head = ["strategy", "reading", f"for AUROC {goal['auroc'].value:.3f}", f"for AUROC inside {goal['inside'].value:.3f}"]
    return Table("needed", "Evaluations needed for DiffEdit's AUROC", head, rows, note)


# --------------------------------------------------------------------------------------------------------------- honesty


def labels(results: Results) -> Table:
    rows: list[list[Cell]] = []
    names = list(dict.fromkeys(name for r in results.records for p in r["pictures"].values() for name in p.get("labels", ())))
    for name in names:
        odds = results.over_pictures(lambda picture, _, name=name: picture.get("labels", {}).get(name))
        low, middle, high = np.percentile(np.abs(odds), [10, 50, 90])
        rows.append([name, share(odds > 0), float(np.median(odds)), float(low), float(middle), float(high), len(odds)])
    note = (
        "Log-odds in nats over all steps: how often the first label wins, and how large they are either way (10th, 50th, 90th "
        "percentile)."
    )
    head = ["labels", "first wins", "median", "|log-odds| 10 %", "50 %", "90 %", "pictures"]
    return Table("labels", "Labels that are in neither picture", head, rows, note)


def clutter(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for pair in results.pairs:
        for label in pair:
            found: dict[str, list] = {}
            for record in results.of_pair(pair):
                for kind, densities in record["pictures"][label]["clutter"]:
                    found.setdefault(kind, []).append((densities["best map"], densities["evidence"]))
            for kind, values in sorted(found.items()):
                (on, plain, truth), (evidence_on, _, evidence_truth) = np.mean(values, axis=0)
                rows.append([label, kind, on / truth, plain / truth, evidence_on / evidence_truth, len(values)])
    note = (
        f"Things that stand in both twins and look like features. Means per pixel of {results.best.label}, and of the evidence "
        "over all steps (negative: against the picture's own label), as shares of their mean on the truth."
    )
    head = [
        "picture",
        "clutter",
        "map on it / on the truth",
        "map on plain background / on the truth",
        "evidence on it / on the truth",
        "things",
    ]
    return Table("clutter", "Clutter that looks like a feature", head, rows, note)


# ------------------------------------------------------------------------------------------------- choice, and the goals


def chosen(results: Results) -> Table:
    rows = [[name, *map(float, aims), float(np.mean(aims))] for name, aims in results.choice.aims.items()]
    note = (
        f"Means on the {results.choice.scenes} scenes of the choice split, from which nothing else is reported. "
        "The choice is by the mean of the four."
    )
    return Table("choice", "What was chosen from", ["candidate", *AIMS, "mean"], rows, note)


def goals(results: Results) -> Table:
    """What the maps have to reach, and whether they do."""
    best = results.score(name_of(results.best))
    rows: list[list[Cell]] = []
    for aim in AIMS:
        others = {title: results.score(name)[aim] for title, name in results.rivals.items()}
        if not others:
            continue
        soft = others.pop("DiffEdit, before binarising", None)
        title, other = max(others.items(), key=lambda item: item[1].value)
        for title, other in ((f"the best of all rivals ({title})", other), ("DiffEdit's map before binarising", soft)):
            if other:
                rows.append([f"{aim}: ahead of {title}", best[aim], other, "yes" if best[aim].low > other.high else "no"])
    flips = share(np.array([all(p["log_odds"][ALL_STEPS] > 0 for p in r["pictures"].values()) for r in results.records]))
    right = share(log_odds(results, ALL_STEPS) > 0)
    rows.append(
        ["evidence flips its sign on the twin on at least 98 % of scenes", flips, None, "yes" if flips.value >= 0.98 else "no"]
    )
    rows.append(["the verdict is right on at least 98 % of pictures", right, None, "yes" if right.value >= 0.98 else "no"])
    return Table("goals", f"Goals, for {results.best.label}", ["goal", "measured", "rival", "reached, intervals apart"], rows)


def summary(results: Results) -> str:
    """The main results in a few tables, as Markdown."""
    short = ("auroc", *AIMS)
    shown = {
        f"**{recipe.label}**" if recipe is results.best else recipe.label: name_of(recipe) for recipe in results.choice.recipes
    }
    shown |= results.rivals
    rows = [[title, *_cells(results.score(name), (*short, "present", "absent"))] for title, name in shown.items()]
    maps = Table("", "Maps", ["map", *short, "present", "absent"], rows)
    rows = [
        [f"{label} (of {'/'.join(pair)})", *_cells(results.score(name_of(results.best), (label,)), (*short, "present", "absent"))]
        for pair in results.pairs
        for label in pair
    ]
    classes = Table("", f"{results.best.label}, by picture", ["picture", *short, "present", "absent"], rows)
    pictures = sum(len(record["pictures"]) for record in results.records)
    extent = (
        f"{pictures} pictures of {len(results.records)} held-out scenes; 95 % bootstrap intervals over scenes. Chosen on "
        f"{results.choice.scenes} other scenes."
    )
    made = (maps, classes, signs(results), needed(results), goals(results))
    return "\n\n".join([extent, *(table.markdown() for table in made if table.rows)])
