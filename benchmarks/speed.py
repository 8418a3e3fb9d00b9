"""How long the pack takes, and how much memory, beside the bare network's forwards and beside diffusers.

    python dev.py run benchmarks.speed

Every line is measured against the others in turns within one process, so that what else the machine does cancels in the
ratios. Stopped, it goes on where it was, as long as the pack's code is the same. What is not measured this time stays in the
tables as it was.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging

from ..tools.environment import ROOT
from .timing import graph, qualities, report, settling
from .timing.calls import time_calls
from .timing.networks import BUNDLED, SD15, SDXL, build
from .timing.stopwatch import Log
from .timing.work import BARE, LOOP, MASK, OURS, SINGLY, Work, best_batch

ALL = (OURS, BARE, SINGLY, MASK, LOOP)
WORK, RESULTS = ROOT / "output" / "speed", ROOT / "benchmarks" / "results"
QUALITIES, SETTLED = "qualities", "settled"
Plan = list[tuple[str, Work, dict[str, int]]]
"""Network, work, and how many rounds of which variant."""


def plan(quick: bool) -> Plan:
    """What is measured, the most telling first."""

    def rounds(both: int, others: int) -> dict[str, int]:
        return {variant: both if variant in (OURS, BARE) else others for variant in ALL}

    if quick:
        return [
            (BUNDLED, Work(50), rounds(2, 1)),
            (BUNDLED, Work(10), rounds(2, 1)),
            (SD15, Work(2), rounds(1, 1)),
            (SDXL, Work(1), {OURS: 1, BARE: 1}),
        ]
    return [
        (BUNDLED, Work(50), rounds(15, 5)),
        (BUNDLED, Work(10), rounds(15, 5)),
        (BUNDLED, Work(200), rounds(3, 1)),
        (BUNDLED, Work(50, images=4), rounds(3, 1)),
        (BUNDLED, Work(50, samples=4), rounds(3, 1)),
        (BUNDLED, Work(50, samples=16), {OURS: 1, BARE: 1}),
        (SD15, Work(50), {OURS: 5, BARE: 5, MASK: 1}),
        (SD15, Work(10), rounds(3, 1)),
        (SDXL, Work(5), {OURS: 1, BARE: 1}),
    ]


def main() -> None:
    options = parser().parse_args()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    output = options.output or (WORK if options.quick else RESULTS)
    for folder in (WORK, output):
        folder.mkdir(parents=True, exist_ok=True)
    graph.start()
    log = Log(WORK / "measurements.jsonl")
    only = options.only or ("bundled" if options.quick else "")
    networks = [name for name in (BUNDLED, SD15, SDXL) if only in name.lower()]
    planned = [part for part in plan(options.quick) if part[0] in networks]
    for name in dict.fromkeys(name for name, _, _ in planned):
        measure(log, name, [part for part in planned if part[0] == name], output)
    if BUNDLED in networks and not log.has(report.CALLS):
        log.add(report.CALLS, time_calls(5 if options.quick else 15))
    if BUNDLED in networks or only in (QUALITIES, qualities.SHOWING):
        wanted = [] if only == qualities.SHOWING else of_qualities(1 if options.quick else 5)
        wanted += [] if only == QUALITIES else of_showing(1 if options.quick else 15)
        measure_explaining(log, wanted, output)
    for name in settling.RUNS:
        if not options.quick and only in f"{SETTLED}, {name.lower()}":
            measure_settling(log, name, output)
    print(report.write(log, output))


def measure(log: Log, name: str, parts: Plan, output: Path) -> None:
    """Measure what the log lacks of one network, in turns, and write the tables after every round."""
    wanted = [
        (work, variant, number)
        for _, work, rounds in parts
        for number in range(max(rounds.values()))
        for variant in turned(list(rounds), number)
        if number < rounds[variant]
    ]
    missing = [item for item in wanted if not log.has((name, *item))]
    if not missing:
        return
    network = build(name)
    if not log.has((name, "batch")):
        log.add((name, "batch"), best_batch(network))
    batch = log.get((name, "batch"))["best"]
    warm = set()
    for work, variant, number in missing:
        if variant not in warm and name == BUNDLED:  # the first run of each chooses kernels; on the others it would take minutes
            Work(10).run(variant, network, batch)
        warm.add(variant)
        measured = work.run(variant, network, batch)
        log.add((name, work, variant, number), measured)
        print(f"{name}, {work}, {variant}, round {number + 1}: {measured['seconds']:.2f} s", flush=True)
        report.write(log, output)


def of_qualities(rounds: int) -> list[tuple[str, str, str, int]]:
    """The runs of Explain Image at each quality: what for, work, quality, and number of the round."""
    every, turns = list(qualities.QUALITIES), range(rounds)
    return [(QUALITIES, work, way, number) for number in turns for work in qualities.WORKS for way in turned(every, number)]


def of_showing(rounds: int) -> list[tuple[str, str, str, int]]:
    """The same with maps shown, and with none."""
    both = [qualities.SHOWN, qualities.UNSHOWN]
    what = qualities.SHOWING, qualities.SHOWING_WORK
    return [(*what, way, number) for number in range(rounds) for way in turned(both, number)]


def measure_explaining(log: Log, keys: list[tuple[str, str, str, int]], output: Path) -> None:
    """Explain Image in all these ways, as far as the log lacks them."""
    missing = [key for key in keys if not log.has(key)]
    parts = qualities.load() if missing else {}
    for place, (what, *asked) in enumerate(missing):
        if place == 0:
            qualities.run(asked[0], "quick", 0, parts)  # the first run of all loads what others find loaded
        run = qualities.run_shown if what == qualities.SHOWING else qualities.run
        log.add((what, *asked), run(*asked, parts))
        report.write(log, output)


def measure_settling(log: Log, name: str, output: Path) -> None:
    """The short runs of a network, what encoding a picture takes, and how often exact asks without words, as far as it lacks."""
    missing = [run for run in settling.RUNS[name] if not log.has((report.SETTLING, name, run))]
    if missing:
        network = build(name)
        log.add((report.SETTLING, name, settling.WITHOUT_WORDS), {"exact": settling.most_without_words(network)})
        with torch.inference_mode():
            network.forward(1)  # the first of all chooses kernels
        for run in missing:
            log.add((report.SETTLING, name, run), measured := run.run(network))
            print(f"{name}, {run}: {measured['processor']:.1f} s of processor time", flush=True)
        size = 8 * network.latent[1]
        del network
        log.add((report.SETTLING, name, settling.ENCODING), settling.encode(size))
    report.write(log, output)


def turned(variants: list[str], number: int) -> list[str]:
    """The variants in an order that begins with another one in every round."""
    start = number % len(variants)
    return variants[start:] + variants[:start]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--quick", action="store_true", help="few steps, one or two rounds; of the bundled model, unless --only names another"
    )
    made.add_argument(
        "--only", default="", help="networks whose names hold this: bundled, sd 1.5, sdxl; or qualities; or showing; or settled"
    )
    made.add_argument("--threads", type=int, default=0, help="torch's threads (default: torch's own choice)")
    made.add_argument(
        "--output", type=Path, help="for tables and figure (default: benchmarks/results; with --quick output/speed)"
    )
    return made
