"""Measure when this pack is sure and wrong: `python dev.py run benchmarks.trust --photos photos32.tar.gz`.

It asks the bundled model about pictures and latents that it does not know, and about its own held-out drawings. If it is stopped,
it goes on from there. Then it prints the shares with their exact intervals and writes them to trust.csv, to without_words.csv
how often settled answers are asked without words, and to single_pair.csv what the error of one pair of samples is worth.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ..bundled.scenes import PAIRS
from ..nodes.maths.method.own_pictures import OwnPictures
from ..tools.environment import ROOT
from .ground_truth.cases import cases
from .ground_truth.questions import Setting, fingerprint_of, in_turns
from .trust_parts import asking, report, single_pair, without_words
from .trust_parts.contests import Contests
from .trust_parts.contests import table as contests_table
from .trust_parts.subjects import PAIRED, Asking, Subject, drawings, paired, unknown, unpacked

ASKED_OFTEN = 1  # scenes a pair of which many samples are asked
PAIRED_SCENES = 15  # scenes a pair that are asked about two pairs of labels, without words too


def main() -> None:
    options = parser().parse_args()
    about = Asking(Setting(options.model, 25, fingerprint_of(options.model)), options.truth)
    subjects, drawn = all_subjects(options, about), cases("report", options.scenes, options.seed)
    contests = Contests(about, options.output / "contests")
    if not options.report_only:
        latest_first = {kind: own[::-1] for kind, own in subjects.items()}  # `benchmarks.truth` begins with the first
        asking.ask(about, in_turns(latest_first), options.output / "answers", options.workers)
        contests.hold(drawn[: 2 * len(PAIRS) * options.contests])
    found = {kind: [asking.read(about, one, options.output / "answers") for one in own] for kind, own in subjects.items()}
    answered = {kind: [answer for answer in own if answer is not None] for kind, own in found.items()}
    made = report.table(answered, own_pictures(options.model), options.trials, about, drawn)
    for table in (made, without_words.table(answered), contests_table(contests, drawn), single_pair.table(about, drawn)):
        table.write_csv(options.output)
        print(table.markdown())


def own_pictures(model: Path) -> OwnPictures:
    """What the model's folder says of its own pictures."""
    entry = json.loads((model / "sdexplain.json").read_text(encoding="utf-8"))["familiarity"]
    return OwnPictures(entry["count"], *(tuple(entry[name]) for name in ("levels", "ratios", "structures")))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--photos", type=Path, required=True, help="an archive or folder of folders of photographs, one a class")
    made.add_argument("--photographs", type=int, default=200, help="how many of them")
    made.add_argument("--others", type=int, default=50, help="plain pictures, foreign latents and half-scale latents, each")
    made.add_argument("--scenes", type=int, default=150, help="held-out scenes a pair; each is drawn as both classes")
    made.add_argument(
        "--contests", type=int, default=10, help="scenes a pair about which whole contests of Rival Labels are held"
    )
    made.add_argument("--trials", type=int, default=300, help="simulations of each kind")
    made.add_argument("--seed", type=int, default=0, help="which held-out scenes, as in benchmarks.truth")
    made.add_argument("--model", type=Path, default=ROOT / "bundled" / "model")
    made.add_argument("--output", type=Path, default=ROOT / "output" / "trust", help="answers and tables")
    made.add_argument("--truth", type=Path, default=ROOT / "output" / "truth" / "answers", help="answers of benchmarks.truth")
    made.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, of one thread each")
    made.add_argument("--report-only", action="store_true", help="report on what has been answered so far")
    return made


def all_subjects(options: argparse.Namespace, about: Asking) -> dict[str, list[Subject]]:
    """By kind."""
    size = about.setting.picture_size
    photos = unpacked(options.photos, options.output / "photographs")
    return {
        **unknown(photos, options.photographs, options.others, size, options.seed),
        "own drawing, asked often": drawings(ASKED_OFTEN, options.seed, "own drawing, asked often"),
        "own drawing": drawings(options.scenes, options.seed),
        **{kind: paired(kind, min(options.scenes, PAIRED_SCENES), options.seed) for kind in PAIRED},
    }
