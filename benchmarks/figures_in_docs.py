"""Write the measured figures into README.md and docs/*.md: `python dev.py run benchmarks.figures_in_docs`.

Every measured figure comes from a CSV file in benchmarks/results, a limit from the code. Each stands between two comments, which
Markdown does not show: `<!--=flips-->99.1 %<!--/-->`. A table stands between the same comments on lines of their own. All other
text is written by hand.
"""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ..nodes.maths.method import familiarity
from ..nodes.maths.wording import format_value
from ..tools.environment import ROOT
from . import soak

RESULTS = ROOT / "benchmarks" / "results"
DOCS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PLACE = re.compile(r"<!--=(?P<name>[\w-]+)-->(?P<text>.*?)<!--/-->", re.DOTALL)
OPENING = "<!--="

Row = Mapping[str, str]

MEASURES = ("inside", "shuffled", "iou", "pointing")
SOFT, MASK = "DiffEdit, before binarising", "DiffEdit, mask"
ATTRIBUTIONS = ("Grad-CAM", "LayerCAM, HiResCAM", "Integrated Gradients", "Gradient SHAP", "Occlusion")
BUNDLED, SD15, SDXL = "bundled model, 256 px", "SD 1.5, 512 px", "SDXL, 1024 px"
BARE, SINGLY, DIFFEDIT, PROCESSOR = (
    "÷ bare network, best batch",
    "÷ bare network, one step and prompt at a time",
    "÷ diffusers' generate_mask",
    "processor time ÷ bare network's, best batch",
)
FORWARD = "the network's forward"


class Results:
    """The CSV files of a folder, each read when it is first asked for."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self.folder = folder
        self.rows = cache(self._rows)

    def _rows(self, table: str) -> list[Row]:
        with (self.folder / f"{table}.csv").open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def where(self, table: str, **cells: str) -> list[Row]:
        """The rows with these cells.

        Raises:
            ValueError: there is no such row.
        """
        found = [row for row in self.rows(table) if all(row[column] == cell for column, cell in cells.items())]
        if not found:
            raise ValueError(f"{table}.csv has no row with {cells}. Was it written by this version of the benchmark?")
        return found

    def row(self, table: str, **cells: str) -> Row:
        """The only row with these cells.

        Raises:
            ValueError: there is no such row, or more than one.
        """
        found = self.where(table, **cells)
        if len(found) > 1:
            raise ValueError(f"{table}.csv has {len(found)} rows with {cells}; one was expected. Name more of its columns.")
        return found[0]

    @property
    def best(self) -> str:
        """The map that was chosen as the best: its row is bold."""
        return next(row["map"].strip("*") for row in self.rows("methods") if row["map"].startswith("**"))

    def method(self, name: str) -> Row:
        return self.row("methods", map=f"**{name}**" if name == self.best else name)


# -------------------------------------------------------------------------------------------------------------- writing


def number(value: float | str, digits: int = 3) -> str:
    return f"{float(value):.{digits}f}".replace("-", "−")


def percent(value: float | str, digits: int = 1) -> str:
    return f"{number(100 * float(value), digits)} %"


def with_interval(row: Row, column: str) -> str:
    """The value with its interval: 0.823 [0.818, 0.828]."""
    value, low, high = (number(row[f"{column}{end}"]) for end in ("", " low", " high"))
    return f"{value} [{low}, {high}]"


def span(values: Sequence[float], digits: int) -> str:
    """The smallest and the largest: 0.02 to 0.10."""
    return f"{number(min(values), digits)} to {number(max(values), digits)}"


def first(cell: str) -> float:
    """The number that a cell begins with: 0.103 of `0.103 (0.112)`."""
    return float(cell.split()[0])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"


# --------------------------------------------------------------------------------------------------------------- tables

HEAD = ("AUROC inside the object", "shuffled AUROC", "IoU at k", "pointing")


def methods(results: Results) -> str:
    rows = [[row["map"], *(with_interval(row, measure) for measure in MEASURES)] for row in results.rows("methods")]
    return table(["map", *HEAD], rows)


def pictures(results: Results) -> str:
    rows = [
        [f"{row['picture']} (of {row['pair']})", *(with_interval(row, measure) for measure in MEASURES)]
        for row in results.where("directions", map=results.best)
    ]
    return table(["picture", *HEAD], rows)


def speed(results: Results) -> str:
    columns = ("steps", "threads", "rounds", BARE, PROCESSOR, DIFFEDIT, SINGLY)
    rows = [
        [row["network"], *(row[column] or "–" for column in columns)] for row in results.where("speed", images="1", samples="1")
    ]
    head = (
        "2 prompts, 1 picture",
        "steps",
        "processor cores",
        "rounds",
        "÷ bare network at its best batch size",
        "the same in processor time",
        "÷ diffusers' `generate_mask`, as many evaluations",
        "÷ one step and prompt at a time",
    )
    return table(head, rows)


def calls(results: Results) -> str:
    rows = [[row["call"], row["median, ms"]] for row in results.rows("speed_calls")]
    return table(["what is done again", "milliseconds"], rows)


def qualities(results: Results) -> str:
    """Explain Image at each quality, as it comes and with 50 steps."""
    columns = ("work", "quality", "evaluations", "÷ exact", "first map ÷ exact", "showing ÷ own", "pictures")
    head = ("Explain Image", "quality", "evaluations", "time ÷ exact", "first map ÷ exact", "showing maps ÷ own time", "pictures")
    return table(head, [[row[column] for column in columns] for row in results.rows("speed_qualities")])


SHOWING = {
    "calls": "calls",
    "maps": "maps shown",
    "ratio": "processor time ÷ without",
    "alone": "maps alone ÷ run",
    "rounds": "rounds",
}


def showing(column: str) -> Callable[[Results], str]:
    """What maps cost that are shown while the model is asked."""
    return lambda results: results.rows("speed_showing")[0][column]


def settled_at_true_sizes(results: Results) -> str:
    """What stopping by itself saves of the predictions' time, and of Explain Image's."""
    parts = ("predictions", "Explain Image")
    rows = [
        [row["network"], part, row[f"{part}: evaluations"], row[f"{part}: settled ÷ exact"]]
        for row in results.rows("speed_settled")
        for part in parts
    ]
    return table(["network", "what is run", "evaluations", "time ÷ exact"], rows)


def hosts(results: Results) -> str:
    """A row for each ComfyUI's server and each page, as the last runs of `.ci/hosts` said, and why tests were skipped."""
    tried: dict[tuple[str, str], list[Row]] = {}
    for row in results.rows("hosts"):
        tried.setdefault((row["comfyui"], "its server" if row["on"] == "server" else f"page {row['on']}"), []).append(row)
    if not tried:
        return "\n\nIt has not run yet.\n\n"
    counted = ("passed", "failed", "skipped")
    rows = [
        [
            *names,
            str(len(files)),
            *(str(sum(int(file[kind]) for file in files)) for kind in counted),
            min(f["day"] for f in files),
        ]
        for names, files in tried.items()
    ]
    reasons = [f"- {on}: {file['reasons']}" for (_, on), files in tried.items() for file in files if file["reasons"]]
    why = "\n".join(["Skipped:", "", *dict.fromkeys(reasons)]) + "\n\n" if reasons else ""
    return table(["ComfyUI", "tried", "files of tests", *counted, "since"], rows) + why


def newest_host(results: Results) -> str:
    """The newest ComfyUI of the job's, with the pages on which all tests were run and passed; the pinned one if there is none."""
    newest = max((row["comfyui"] for row in results.rows("hosts")), key=lambda name: [*map(int, name.split("."))], default="")
    passed: dict[str, set[str]] = {}
    for row in results.rows("hosts"):
        passed.setdefault(row["on"], set()).update([row["file"]] if (row["comfyui"], row["failed"]) == (newest, "0") else [])
    pages = [on for on, files in passed.items() if on != "server" and files >= tests_that_say(A_PAGE)]
    anywhere = passed.get("server", set()).union(*(passed[on] for on in pages))  # some tests need a server and a page
    whole = pages and anywhere >= tests_that_say(A_SERVER)
    return f"{newest} (page {', '.join(pages)})" if whole else "0.3.75 (page 1.32.9)"


A_PAGE = r"from playwright\.sync_api import .*\bPage\b"
A_SERVER = r"^pytestmark = pytest\.mark\.usefixtures\(\"comfy_host\"\)|^def test_\w+\(.*\bcomfyui: Client"


def tests_that_say(words: str) -> set[str]:
    """The files of tests, as hosts.csv names them, in which a pattern is."""
    files = ((file, file.read_text(encoding="utf-8")) for file in (ROOT / "tests").rglob("test_*.py"))
    return {file.relative_to(ROOT / "tests").as_posix() for file, text in files if re.search(words, text, re.MULTILINE)}


# -------------------------------------------------------------------------------------------------------------- figures


def best(measure: str) -> Callable[[Results], str]:
    return lambda results: number(results.method(results.best)[measure])


def lead(measure: str) -> Callable[[Results], str]:
    return lambda results: with_interval(results.row("differences", of=SOFT), measure)


def shares(question: str, asked: str = "") -> Callable[[Results], str]:
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


def contests(column: str) -> Callable[[Results], str]:
    """Of whole contests of Rival Labels."""
    return lambda results: results.rows("contests")[0][column]


def best_attribution(results: Results) -> str:
    return number(max(float(results.method(name)["inside"]) for name in ATTRIBUTIONS))


def part_of_truth(part: str) -> Callable[[Results], str]:
    return lambda results: with_interval(results.row("present_absent", picture="all", map=results.best), part)


def verdict(budget: str, column: str) -> Callable[[Results], str]:
    return lambda results: results.row("verdicts", pictures=f"all, {budget}")[column]


def right(budget: str) -> Callable[[Results], str]:
    return lambda results: percent(verdict(budget, "right")(results))


def against(other: str) -> Callable[[Results], str]:
    return lambda results: with_interval(results.row("against", map=results.best, against=other), "inside")


def evidence_of_samples(samples: str) -> Callable[[Results], str]:
    return lambda results: number(results.row("samples", reading="evidence", R=samples)["inside"])


def evaluations(strategy: str) -> Callable[[Results], str]:
    """How many reach DiffEdit's AUROC inside the object."""

    def found(results: Results) -> str:
        column = next(name for name in results.rows("needed")[0] if name.startswith("for AUROC inside"))
        readings = {row["reading"]: row[column] for row in results.where("needed", strategy=strategy)}
        return readings.get("sum of magnitudes") or readings["–"]

    return found


def default_map(results: Results) -> str:
    row = results.row("readings", reading="information", steps=f"0–{steps(results)}", weighting="uniform")
    return with_interval(row, "inside")


def steps(results: Results) -> str:
    return str(max(int(row["steps"].split("–")[1]) for row in results.rows("ranges")))


def known_answer(results: Results, data: str, noise: str = "antithetic pairs", **cells: str) -> list[Row]:
    samples = {} if noise == "exact mean" else {"samples": "16"}
    return results.where("known_answer", data=data, noise=noise, family="eps", **samples, **cells)


def largest_error(rows: Sequence[Row]) -> float:
    return max(abs(float(row["total_error"])) for row in rows)


def lowest_correlation(rows: Sequence[Row]) -> float:
    return min(float(row["correlation"]) for row in rows)


def above(value: float) -> str:
    """The value rounded down to four digits."""
    return number(math.floor(value * 10_000) / 10_000, 4)


def mean_correlation(rows: Sequence[Row]) -> float:
    return sum(float(row["correlation"]) for row in rows) / len(rows)


def forward(network: str) -> Callable[[Results], str]:
    """The smallest share of the time that the network's forward takes, of 50 steps or as many as were measured."""

    def found(results: Results) -> str:
        rows = results.where("speed_profile", network=network, part=FORWARD)
        rows = [row for row in rows if row["work"].endswith("1 images, 1 samples")]
        fifty = [row for row in rows if row["work"].startswith("50 steps")]
        return f"{number(min(float(row['%']) for row in fifty or rows), 2)} %"

    return found


def milliseconds_beside(results: Results) -> str:
    """What 10 steps of the bundled model take beside the network's forward."""
    rows = results.where("speed_profile", network=BUNDLED, work="10 steps, 1 images, 1 samples")
    return number(sum(float(row["ms"]) for row in rows if row["part"] != FORWARD), 0)


def moves(kept: str, column: str, digits: int) -> Callable[[Results], str]:
    """By how much predictions kept in `kept` move the maps or the log-odds."""

    def found(results: Results) -> str:
        values = [first(row[column]) for row in results.where("precision", **{"predictions kept in": kept}) if row[column]]
        return span(values, digits) if len(values) > 1 else number(values[0], digits)

    return found


def soak_growth(results: Results) -> str:
    return percent(soak.trend([soak_row(row) for row in results.rows("soak")])[1])


def soak_row(row: Row) -> soak.Row:
    sizes = (float(row["resident_mb"]), int(row["explorer_folders"]), float(row["explorer_mb"]), int(row["previews"]))
    return soak.Row(int(row["run"]), row["kind"], row["about"], row["ended"], float(row["seconds"]), *sizes)


AGREEMENT = "agreement with ours"
ATTRIBUTED = ("drawings", "digits", "photographs")
AREAS = ("deletion, classifier", "insertion, classifier", "deletion, diffusion", "insertion, diffusion")


def all_methods(data: str) -> Callable[[Results], str]:
    """Every method on the pictures of one kind, a row each."""

    def found(results: Results) -> str:
        columns = ("AUROC", "IoU", *AREAS, AGREEMENT)
        rows = [
            [row["map"], *(with_interval(row, column) for column in columns)] for row in results.where("attributions", data=data)
        ]
        return table(["map", *columns], rows)

    return found


def not_ahead(data: str) -> Callable[[Results], str]:
    """On which measures our best map is not surely ahead of the best attribution, with the lead."""

    def found(results: Results) -> str:
        rows = [row for row in results.where("attributions_leads", data=data) if row["says"] != "ahead"]
        said = [
            f"{row['measure']} ({row['says']}: {with_interval(row, 'lead')} against {row['best attribution']})" for row in rows
        ]
        return "; ".join(said) or "none"

    return found


def of_attributions(data: str, column: str) -> Callable[[Results], str]:
    return lambda results: results.where("attributions" if column == "pictures" else "attributions_leads", data=data)[0][column]


def answer_of(data: str, who: str) -> Callable[[Results], str]:
    """For how many pictures the classifier, or the diffusion model, prefers the label that is explained."""
    return lambda results: share_with_interval(results.row("attributions_answers", data=data, **{"of the": who}), "for the label")


def own_photos(classes: str) -> Callable[[Results], str]:
    """How many verdicts on held-out photographs are right, out of these classes."""
    return lambda results: share_with_interval(results.row("own_training_photos", classes=classes), "right")


def own_curve(name: str) -> Callable[[Results], str]:
    """How the verdicts on some held-out pictures got better while a model was trained."""

    def found(results: Results) -> str:
        rows = [
            [number(row["minutes"], 0), row["steps"], row["judged"], share_with_interval(row, "right")]
            for row in results.rows(f"own_curve_{name}")
        ]
        return table(["minutes", "steps", "held-out pictures asked about", "right"], rows)

    return found


def own_verdicts(results: Results) -> str:
    """How many held-out digits each calls right, with exact intervals."""
    said: dict[str, dict[str, str]] = {}
    for row in results.rows("own_verdicts"):
        interval = f"{percent(row['right'])} of {row['pictures']} [{percent(row['right low'])}, {percent(row['right high'])}]"
        said.setdefault(row["classes"], {})[row["of the"]] = interval
    rows = [[classes, of["diffusion model"], of["classifier"]] for classes, of in said.items()]
    return table(["out of", "diffusion model", "classifier"], rows)


def own_digits(column: str) -> Callable[[Results], str]:
    return lambda results: results.row("own_training_digits", classes="all")[column]


def own_digits_interval(results: Results) -> str:
    row = results.row("own_training_digits", classes="all")
    return f"{percent(row['right low'])} to {percent(row['right high'])}"


def share_with_interval(row: Row, column: str) -> str:
    """In per cent with its interval: 95 % [75 %, 100 %]."""
    value, low, high = (percent(row[f"{column}{end}"], 0) for end in ("", " low", " high"))
    return f"{value} [{low}, {high}]"


MARKED_DATA = {"digits": "handwritten digits, ten classes", "photos": "photographs, four classes"}


def marks(results: Results) -> str:
    """The trials with planted marks: what an audit finds after a training with a mark, and after a clean one."""
    shares = ("named first", "caught", "false alarms", "caught, and unknown to the data", "false alarms, unknown to the data")
    rows = [
        [
            MARKED_DATA[row["data"]],
            percent(row["accuracy"], 0),
            f"{row['learned']} of {row['marked']}",
            *(share_with_interval(row, column) for column in shares),
        ]
        for row in results.rows("classifier_audit")
        if row["data"] in MARKED_DATA
    ]
    head = (
        *("pictures", "right after a clean training", "learned the mark", "named first", "caught", "false alarms"),
        *("caught, and the data's model says no", "false alarms, and the data's model says no"),
    )
    return table(head, rows)


def marks_at(results: Results) -> str:
    """What both maps, and the model's own answers, say of a mark."""
    columns = (
        "flips",
        "clean flips",
        "overlap",
        "told before",
        "data follows",
        "classifier's share at the mark",
        "data's share at the mark",
        "area",
    )
    rows = [
        [MARKED_DATA[row["data"]], *(percent(row[column], 0) for column in columns)]
        for row in results.rows("classifier_audit")
        if row["data"] in MARKED_DATA
    ]
    head = (
        *("pictures", "answers that the place turns", "the same after a clean training", "overlap of place and mark"),
        *(
            "the data's model tells the pictures apart",
            "its answers that the place turns",
            "classifier's map at the mark",
            "data's map at the mark",
            "area of the mark",
        ),
    )
    return table(head, rows)


GAIN_OF_COMBINED = {"steps": "all steps, uniform", "scenes of": "all", "map": "gain of combined"}


def gain_of_combined(measure: str, scenes: str = "all") -> Callable[[Results], str]:
    return lambda results: with_interval(results.row("combined", **GAIN_OF_COMBINED | {"scenes of": scenes}), measure)


def settled(column: str, quality: str = "settled") -> Callable[[Results], str]:
    """What an answer of this quality keeps of the exact one, with its interval."""
    return lambda results: with_interval(results.row("settled", quality=quality), f"÷ exact {column}")


MAP_MOVES, NATS_MOVE = "map moves by, %", "log-odds change by, nats"
OTHER_NOISE = "another pair of noise samples"
PAIR, ONE_STEP = "all steps, a pair", "1 step, one sample"

FIGURES: dict[str, Callable[[Results], str]] = {
    # ------ docs/evidence.md: how much was measured
    "pictures": verdict(PAIR, "number"),
    "scenes": lambda results: str(int(verdict(PAIR, "number")(results)) // 2),
    "steps": steps,
    "deep-pictures": lambda results: results.rows("labels")[0]["pictures"],
    # where the maps point
    "methods": methods,
    "by-picture": pictures,
    "best-map": lambda results: results.best,
    "best-inside": best("inside"),
    "mask-inside": lambda results: number(results.method(MASK)["inside"]),
    "attribution-inside": best_attribution,
    "chosen-inside": lambda results: with_interval(results.method(results.best), "inside"),
    "default-inside": default_map,
    **{f"lead-{measure}": lead(measure) for measure in MEASURES},
    "lead-apart": lambda results: results.row("differences", of=SOFT)["apart"],
    "present": part_of_truth("present"),
    "absent": part_of_truth("absent"),
    # what the code takes for known
    "familiar-from": lambda results: format_value(familiarity.LEVELS[0]),
    "familiar-to": lambda results: format_value(familiarity.LEVELS[1]),
    "familiar-limit": lambda results: format_value(familiarity.LIMIT),
    # sure and wrong
    "sure-photographs": shares("may be sure", "photographs"),
    "sure-plain": shares("may be sure", "plain pictures"),
    "sure-foreign": shares("may be sure", "foreign latents"),
    "sure-half": shares("may be sure", "half-scale latents"),
    "own-unknown": shares("called unknown", "own drawings"),
    "own-doubtful": shares("called doubtful", "own drawings"),
    "own-unfit": shares("own label called unfit", "own drawings"),
    "false-alarms": shares("false alarm"),
    "intervals-cover": shares("interval covers"),
    "best-dropped": shares("best label dropped"),
    "own-dropped-early": shares("best label dropped early"),
    "rival-dropped-early": shares("closest rival dropped early"),
    "without-words-pictures": lambda results: results.row("without_words", **without_words("its"))["pictures"],
    "without-words": lambda results: with_interval(results.row("without_words", **without_words("its")), "evaluations"),
    "without-words-unfit": lambda results: number(
        float(results.row("without_words", **without_words("another"))["evaluations"]), 1
    ),
    "without-words-hidden": lambda results: share_with_interval(
        results.row("without_words", **without_words("another")), "neither fits, but stopped early"
    ),
    **{f"contests-{column}": contests(column) for column in ("labels", "steps", "samples", "drawings")},
    "contests-evaluations": lambda results: with_interval(results.rows("contests")[0], "÷ evaluations of all"),
    "contests-own-out": lambda results: share_with_interval(results.rows("contests")[0], "own label left out"),
    "contests-own-wins": lambda results: share_with_interval(results.rows("contests")[0], "own label wins"),
    # signs and verdicts
    "sign-present": lambda results: percent(results.row("signs", pair="all")["for: present"], 0),
    "sign-absent": lambda results: percent(results.row("signs", pair="all")["for: absent"], 0),
    "flips": lambda results: percent(results.row("signs", pair="all")["flips"]),
    "right": right(PAIR),
    "right-one-step": right(ONE_STEP),
    "worst-nats": lambda results: number(-float(verdict(PAIR, "lowest")(results)), 0),
    "calibration-error": lambda results: number(results.row("calibration", **{"verdict from": PAIR})["ECE"]),
    # other prompts, and the price
    "against-twin": against("twin"),
    "against-empty": against("empty prompt"),
    "against-foreign": against("another pair's labels"),
    "evaluations": evaluations("steps even in time, a pair"),
    "diffedit-evaluations": evaluations("DiffEdit"),
    **{f"evidence-{samples}": evidence_of_samples(samples) for samples in ("1", "2", "4", "16")},
    # the known answer
    "gaussian-error": lambda results: percent(largest_error(known_answer(results, "Gaussian")), 2),
    "gaussian-correlation": lambda results: above(lowest_correlation(known_answer(results, "Gaussian"))),
    "mixture-50": lambda results: number(mean_correlation(known_answer(results, "mixture", steps="50"))),
    "mixture-400": lambda results: number(mean_correlation(known_answer(results, "mixture", steps="400"))),
    "mixture-exact": lambda results: above(lowest_correlation(known_answer(results, "mixture", "exact mean"))),
    # ------ docs/models.md
    "hosts": hosts,
    "newest-host": newest_host,
    # ------ docs/classifiers.md
    "own-digits-pictures": own_digits("pictures"),
    "own-digits-right": lambda results: percent(own_digits("right")(results)),
    "own-digits-interval": own_digits_interval,
    "own-digits-steps": own_digits("steps"),
    "own-digits-minutes": lambda results: number(own_digits("minutes")(results), 0),
    "flips-limit": lambda results: percent(results.rows("classifier_audit")[0]["limit"], 0),
    "marks": marks,
    "marks-at": marks_at,
    **{f"methods-{data}": all_methods(data) for data in ATTRIBUTED},
    **{f"not-ahead-{data}": not_ahead(data) for data in ATTRIBUTED},
    **{f"methods-pictures-{data}": of_attributions(data, "pictures") for data in ATTRIBUTED},
    **{f"our-best-{data}": of_attributions(data, "ours") for data in ATTRIBUTED},
    "answers-classifier": answer_of("photographs", "classifier"),
    "answers-diffusion": answer_of("photographs", "diffusion model"),
    "own-curve-digits": own_curve("digits"),
    "own-curve-photos": own_curve("photos"),
    "own-photos-pictures": lambda results: results.row("own_training_photos", classes="all")["pictures"],
    "own-photos-right": own_photos("all"),
    "own-photos-cat-dog": own_photos("cat/dog"),
    "own-photos-automobile-dog": own_photos("automobile/dog"),
    "own-verdicts": own_verdicts,
    # ------ docs/method.md
    "combined-scenes": lambda results: results.row("combined", **GAIN_OF_COMBINED)["scenes"],
    "combined-inside": gain_of_combined("inside"),
    "combined-iou": gain_of_combined("iou"),
    "combined-rodents-inside": gain_of_combined("inside", "rodents"),
    "combined-rodents-iou": gain_of_combined("iou", "rodents"),
    "combined-absent": gain_of_combined("absent"),
    # ------ docs/cost.md
    "settled-scenes": lambda results: results.row("settled", quality="settled")["scenes"],
    "settled-pictures": lambda results: results.row("settled", quality="settled")["pictures"],
    "settled-evaluations": lambda results: number(results.row("settled", quality="settled")["evaluations"], 0),
    "exact-evaluations": lambda results: number(results.row("settled", quality="exact")["evaluations"], 0),
    "settled-inside": settled("inside"),
    "settled-iou": settled("iou"),
    "settled-verdicts": lambda results: percent(results.row("settled", quality="settled")["÷ exact verdicts"], 0),
    "quick-inside": settled("inside", "quick"),
    "quick-iou": settled("iou", "quick"),
    "speed": speed,
    "calls": calls,
    "qualities": qualities,
    **{f"showing-{name}": showing(column) for name, column in SHOWING.items()},
    "settled-at-true-sizes": settled_at_true_sizes,
    "forward-bundled": forward(BUNDLED),
    "forward-sd15": forward(SD15),
    "forward-sdxl": forward(SDXL),
    "milliseconds-beside": milliseconds_beside,
    "sdxl-memory": lambda results: number(results.row("speed_memory", network=SDXL)["process, GB"], 1),
    "half-moves-maps": moves("float16", MAP_MOVES, 2),
    "half-moves-nats": moves("float16", NATS_MOVE, 3),
    "noise-moves-maps": moves(OTHER_NOISE, MAP_MOVES, 0),
    "noise-moves-nats": moves(OTHER_NOISE, NATS_MOVE, 1),
    "soak-runs": lambda results: str(len(results.rows("soak"))),
    "soak-warm-up": lambda _: str(soak.WARM_UP),
    "soak-growth": soak_growth,
}


def fill(text: str, results: Results) -> str:
    """The text with every figure as the results have it now.

    Raises:
        ValueError: a name that is not a figure's, or a comment that is not closed.
    """
    if (opened := text.count(OPENING)) != len(found := PLACE.findall(text)):
        raise ValueError(f"{opened} figures begin and {len(found)} end. Close each <!--=name--> with <!--/-->.")
    return PLACE.sub(lambda place: f"<!--={place['name']}-->{figure(place['name'], results)}<!--/-->", text)


def figure(name: str, results: Results) -> str:
    if name not in FIGURES:
        raise ValueError(f"{name!r} is not a figure of the docs. There are: {', '.join(FIGURES)}.")
    return FIGURES[name](results)


def main() -> None:
    results = Results()
    for file in [Path(name).resolve() for name in sys.argv[1:]] or DOCS:
        text = file.read_text(encoding="utf-8")
        if (filled := fill(text, results)) != text:
            file.write_text(filled, encoding="utf-8")
            print(f"Written: {file.relative_to(ROOT)}")
