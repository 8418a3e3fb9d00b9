"""docs/evidence.md and docs/method.md: where maps point, what verdicts are worth, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence

from .results import Figure, Results, Row
from .writing import number, percent, share_with_interval, span, table, with_interval

MEASURES = ("inside", "shuffled", "iou", "pointing")
HEAD = ("AUROC inside the object", "shuffled AUROC", "IoU at k", "pointing")
SOFT, MASK = "DiffEdit, before binarising", "DiffEdit, mask"
ATTRIBUTIONS = ("Grad-CAM", "LayerCAM, HiResCAM", "Integrated Gradients", "Gradient SHAP", "Occlusion")
PAIR, ONE_STEP = "all steps, a pair", "1 step, one sample"
GAIN_OF_COMBINED = {"steps": "all steps, uniform", "scenes of": "all", "map": "gain of combined"}


def methods(results: Results) -> str:
    rows = [[row["map"], *(with_interval(row, measure) for measure in MEASURES)] for row in results.rows("methods")]
    return table(["map", *HEAD], rows)


def pictures(results: Results) -> str:
    rows = [
        [f"{row['picture']} (of {row['pair']})", *(with_interval(row, measure) for measure in MEASURES)]
        for row in results.where("directions", map=results.best)
    ]
    return table(["picture", *HEAD], rows)


def best(measure: str) -> Figure:
    return lambda results: number(results.method(results.best)[measure])


def lead(measure: str) -> Figure:
    return lambda results: with_interval(results.row("differences", of=SOFT), measure)


def default_map(results: Results) -> str:
    row = results.row("readings", reading="information", steps=f"0–{steps(results)}", weighting="uniform")
    return with_interval(row, "inside")


def steps(results: Results) -> str:
    return str(max(int(row["steps"].split("–")[1]) for row in results.rows("ranges")))


def best_attribution(results: Results) -> str:
    return number(max(float(results.method(name)["inside"]) for name in ATTRIBUTIONS))


def part_of_truth(part: str) -> Figure:
    return lambda results: with_interval(results.row("present_absent", picture="all", map=results.best), part)


def shares(question: str, asked: str = "") -> Figure:
    """How often it was so, in per cent with the interval, and of how many; or the lowest and the highest of several rows."""

    def found(results: Results) -> str:
        rows = results.where("trust", question=question, **({"asked of": asked} if asked else {}))
        if len(rows) > 1:
            return f"{span([100 * float(row['share']) for row in rows], 1)} %"
        low, high = (percent(rows[0][f"share {end}"]) for end in ("low", "high"))
        return f"{percent(rows[0]['share'])} of {rows[0]['number']} [{low}, {high}]"

    return found


def without_words(asked: str) -> dict[str, str]:
    """The row of `without_words` of one's own pair of labels, or of another."""
    return {"asked of": f"own drawing, {asked} pair"}


def contests(column: str) -> Figure:
    """Of whole contests of Rival Labels."""
    return lambda results: results.rows("contests")[0][column]


def single_pair(others: str, column: str) -> Figure:
    """What the error of one pair of samples is worth against so many other pairs, with its interval."""
    write = with_interval if column == "squared z" else share_with_interval
    return lambda results: write(results.row("single_pair", **{"other pairs": others}), column)


def single_pair_pictures(others: str) -> Figure:
    return lambda results: results.row("single_pair", **{"other pairs": others})["pictures"]


def verdict(budget: str, column: str) -> Figure:
    return lambda results: results.row("verdicts", pictures=f"all, {budget}")[column]


def right(budget: str) -> Figure:
    return lambda results: percent(verdict(budget, "right")(results))


def against(other: str) -> Figure:
    return lambda results: with_interval(results.row("against", map=results.best, against=other), "inside")


def evidence_of_samples(samples: str) -> Figure:
    return lambda results: number(results.row("samples", reading="evidence", R=samples)["inside"])


def evaluations(strategy: str) -> Figure:
    """How many reach DiffEdit's AUROC inside the object."""

    def found(results: Results) -> str:
        column = next(name for name in results.rows("needed")[0] if name.startswith("for AUROC inside"))
        readings = {row["reading"]: row[column] for row in results.where("needed", strategy=strategy)}
        return readings.get("sum of magnitudes") or readings["–"]

    return found


def known_answer(results: Results, data: str, noise: str = "antithetic pairs", **cells: str) -> list[Row]:
    samples = {} if noise == "exact mean" else {"samples": "16"}
    return results.where("known_answer", data=data, noise=noise, family="eps", **samples, **cells)


def largest_error(rows: Sequence[Row]) -> float:
    return max(abs(float(row["total_error"])) for row in rows)


def lowest_correlation(rows: Sequence[Row]) -> float:
    return min(float(row["correlation"]) for row in rows)


def mean_correlation(rows: Sequence[Row]) -> float:
    return sum(float(row["correlation"]) for row in rows) / len(rows)


def gain_of_combined(measure: str, scenes: str = "all") -> Figure:
    return lambda results: with_interval(results.row("combined", **GAIN_OF_COMBINED | {"scenes of": scenes}), measure)
