"""Write the measured figures into README.md and docs/*.md: `python dev.py run benchmarks.figures_in_docs`.

Every measured figure comes from a CSV file in benchmarks/results, a limit from the code. Each stands between two comments, which
Markdown does not show: `<!--=flips-->99.1 %<!--/-->`. A table stands between the same comments on lines of their own. All other
text is written by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..nodes.maths.method import familiarity
from ..nodes.maths.wording import format_value
from ..tools.environment import ROOT
from . import soak
from .quoted import classifiers, cost, evidence, hosts
from .quoted.results import Figure, Results
from .quoted.writing import above, number, percent, share_with_interval, with_interval

DOCS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PLACE = re.compile(r"<!--=(?P<name>[\w-]+)-->(?P<text>.*?)<!--/-->", re.DOTALL)
OPENING = "<!--="

FIGURES: dict[str, Figure] = {
    # ------ docs/evidence.md: how much was measured
    "pictures": evidence.verdict(evidence.PAIR, "number"),
    "scenes": lambda results: str(int(evidence.verdict(evidence.PAIR, "number")(results)) // 2),
    "steps": evidence.steps,
    "deep-pictures": lambda results: results.rows("labels")[0]["pictures"],
    # where the maps point
    "methods": evidence.methods,
    "by-picture": evidence.pictures,
    "best-map": lambda results: results.best,
    "best-inside": evidence.best("inside"),
    "mask-inside": lambda results: number(results.method(evidence.MASK)["inside"]),
    "attribution-inside": evidence.best_attribution,
    "chosen-inside": lambda results: with_interval(results.method(results.best), "inside"),
    "default-inside": evidence.default_map,
    **{f"lead-{measure}": evidence.lead(measure) for measure in evidence.MEASURES},
    "lead-apart": lambda results: results.row("differences", of=evidence.SOFT)["apart"],
    "present": evidence.part_of_truth("present"),
    "absent": evidence.part_of_truth("absent"),
    # what the code takes for known
    "familiar-from": lambda results: format_value(familiarity.LEVELS[0]),
    "familiar-to": lambda results: format_value(familiarity.LEVELS[1]),
    "familiar-limit": lambda results: format_value(familiarity.LIMIT),
    # sure and wrong
    "sure-photographs": evidence.shares("may be sure", "photographs"),
    "sure-plain": evidence.shares("may be sure", "plain pictures"),
    "sure-foreign": evidence.shares("may be sure", "foreign latents"),
    "sure-half": evidence.shares("may be sure", "half-scale latents"),
    "own-unknown": evidence.shares("called unknown", "own drawings"),
    "own-doubtful": evidence.shares("called doubtful", "own drawings"),
    "own-unfit": evidence.shares("own label called unfit", "own drawings"),
    "false-alarms": evidence.shares("false alarm"),
    "intervals-cover": evidence.shares("interval covers"),
    "best-dropped": evidence.shares("best label dropped"),
    "own-dropped-early": evidence.shares("best label dropped early"),
    "rival-dropped-early": evidence.shares("closest rival dropped early"),
    "without-words-pictures": lambda results: results.row("without_words", **evidence.without_words("its"))["pictures"],
    "without-words": lambda results: with_interval(results.row("without_words", **evidence.without_words("its")), "evaluations"),
    "without-words-unfit": lambda results: number(
        float(results.row("without_words", **evidence.without_words("another"))["evaluations"]), 1
    ),
    "without-words-found": lambda results: share_with_interval(
        results.row("without_words", **evidence.without_words("another")), "neither fits"
    ),
    "without-words-hidden": lambda results: share_with_interval(
        results.row("without_words", **evidence.without_words("another")), "neither fits, but stopped early"
    ),
    **{f"contests-{column}": evidence.contests(column) for column in ("labels", "steps", "samples", "drawings")},
    "contests-evaluations": lambda results: with_interval(results.rows("contests")[0], "÷ evaluations of all"),
    "contests-own-out": lambda results: share_with_interval(results.rows("contests")[0], "own label left out"),
    "contests-own-wins": lambda results: share_with_interval(results.rows("contests")[0], "own label wins"),
    "pair-holds-many": evidence.single_pair("7", "interval holds their mean"),
    "pair-holds-another": evidence.single_pair("1", "interval holds their mean"),
    "pair-squared-z": evidence.single_pair("1", "squared z"),
    "pair-few-pictures": evidence.single_pair_pictures("7"),
    "pair-many-pictures": evidence.single_pair_pictures("1"),
    # signs and verdicts
    "sign-present": lambda results: percent(results.row("signs", pair="all")["for: present"], 0),
    "sign-absent": lambda results: percent(results.row("signs", pair="all")["for: absent"], 0),
    "flips": lambda results: percent(results.row("signs", pair="all")["flips"]),
    "right": evidence.right(evidence.PAIR),
    "right-one-step": evidence.right(evidence.ONE_STEP),
    "worst-nats": lambda results: number(-float(evidence.verdict(evidence.PAIR, "lowest")(results)), 0),
    "calibration-error": lambda results: number(results.row("calibration", **{"verdict from": evidence.PAIR})["ECE"]),
    # other prompts, and the price
    "against-twin": evidence.against("twin"),
    "against-empty": evidence.against("empty prompt"),
    "against-foreign": evidence.against("another pair's labels"),
    "evaluations": evidence.evaluations("steps even in time, a pair"),
    "diffedit-evaluations": evidence.evaluations("DiffEdit"),
    **{f"evidence-{samples}": evidence.evidence_of_samples(samples) for samples in ("1", "2", "4", "16")},
    # the known answer
    "gaussian-error": lambda results: percent(evidence.largest_error(evidence.known_answer(results, "Gaussian")), 2),
    "gaussian-correlation": lambda results: above(evidence.lowest_correlation(evidence.known_answer(results, "Gaussian"))),
    "mixture-50": lambda results: number(evidence.mean_correlation(evidence.known_answer(results, "mixture", steps="50"))),
    "mixture-400": lambda results: number(evidence.mean_correlation(evidence.known_answer(results, "mixture", steps="400"))),
    "mixture-exact": lambda results: above(evidence.lowest_correlation(evidence.known_answer(results, "mixture", "exact mean"))),
    # ------ docs/models.md
    "hosts": hosts.tried,
    "newest-host": hosts.newest,
    # ------ docs/classifiers.md
    "own-digits-pictures": classifiers.own_digits("pictures"),
    "own-digits-right": lambda results: percent(classifiers.own_digits("right")(results)),
    "own-digits-interval": classifiers.own_digits_interval,
    "own-digits-steps": classifiers.own_digits("steps"),
    "own-digits-minutes": lambda results: number(classifiers.own_digits("minutes")(results), 0),
    "flips-limit": lambda results: percent(results.rows("classifier_audit")[0]["limit"], 0),
    "marks": classifiers.marks,
    "marks-at": classifiers.marks_at,
    **{f"methods-{data}": classifiers.all_methods(data) for data in classifiers.ATTRIBUTED},
    **{f"not-ahead-{data}": classifiers.not_ahead(data) for data in classifiers.ATTRIBUTED},
    **{f"methods-pictures-{data}": classifiers.of_attributions(data, "pictures") for data in classifiers.ATTRIBUTED},
    **{f"our-best-{data}": classifiers.of_attributions(data, "ours") for data in classifiers.ATTRIBUTED},
    "answers-classifier": classifiers.answer_of("photographs", "classifier"),
    "answers-diffusion": classifiers.answer_of("photographs", "diffusion model"),
    "own-curve-digits": classifiers.own_curve("digits"),
    "own-curve-photos": classifiers.own_curve("photos"),
    "own-photos-pictures": lambda results: results.row("own_training_photos", classes="all")["pictures"],
    "own-photos-right": classifiers.own_photos("all"),
    "own-photos-cat-dog": classifiers.own_photos("cat/dog"),
    "own-photos-automobile-dog": classifiers.own_photos("automobile/dog"),
    "own-verdicts": classifiers.own_verdicts,
    # ------ docs/method.md
    "combined-scenes": lambda results: results.row("combined", **evidence.GAIN_OF_COMBINED)["scenes"],
    "combined-inside": evidence.gain_of_combined("inside"),
    "combined-iou": evidence.gain_of_combined("iou"),
    "combined-rodents-inside": evidence.gain_of_combined("inside", "rodents"),
    "combined-rodents-iou": evidence.gain_of_combined("iou", "rodents"),
    "combined-absent": evidence.gain_of_combined("absent"),
    # ------ docs/cost.md
    "settled-scenes": lambda results: results.row("settled", quality="settled")["scenes"],
    "settled-pictures": lambda results: results.row("settled", quality="settled")["pictures"],
    "settled-evaluations": lambda results: number(results.row("settled", quality="settled")["evaluations"], 0),
    "exact-evaluations": lambda results: number(results.row("settled", quality="exact")["evaluations"], 0),
    "settled-inside": cost.settled("inside"),
    "settled-iou": cost.settled("iou"),
    "settled-verdicts": lambda results: percent(results.row("settled", quality="settled")["÷ exact verdicts"], 0),
    "settled-nats": cost.settled_verdicts("÷ exact nats", with_interval),
    "settled-holds": cost.settled_verdicts("interval holds exact's"),
    "settled-leaves": cost.settled_verdicts("interval leaves 0"),
    "quick-inside": cost.settled("inside", "quick"),
    "quick-iou": cost.settled("iou", "quick"),
    "speed": cost.speed,
    "calls": cost.calls,
    "qualities": cost.qualities,
    **{f"showing-{name}": cost.showing(column) for name, column in cost.SHOWING.items()},
    "settled-at-true-sizes": cost.settled_at_true_sizes,
    "forward-bundled": cost.forward(cost.BUNDLED),
    "forward-sd15": cost.forward(cost.SD15),
    "forward-sdxl": cost.forward(cost.SDXL),
    "milliseconds-beside": cost.milliseconds_beside,
    "sdxl-memory": lambda results: number(results.row("speed_memory", network=cost.SDXL)["process, GB"], 1),
    "half-moves-maps": cost.moves("float16", cost.MAP_MOVES, 2),
    "half-moves-nats": cost.moves("float16", cost.NATS_MOVE, 3),
    "noise-moves-maps": cost.moves(cost.OTHER_NOISE, cost.MAP_MOVES, 0),
    "noise-moves-nats": cost.moves(cost.OTHER_NOISE, cost.NATS_MOVE, 1),
    "soak-runs": lambda results: str(len(results.rows("soak"))),
    "soak-warm-up": lambda _: str(soak.WARM_UP),
    "soak-growth": cost.soak_growth,
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
