"""Two hundred mixed runs on one server: what it holds must not grow.

    python dev.py run benchmarks.soak              200 runs
    python dev.py run benchmarks.soak --runs 40    fewer, for a quick check

Workflows and single nodes with changing settings, inputs that are refused, runs that are cancelled and networks that break, in
an order that depends on the seed. After 200 runs or more, the table and the figure go to `benchmarks/results/soak.csv` and
`soak.png`, otherwise to `output/soak`.

It passes (exit code 0) if all of this holds: Every run ended with a right result or a clear error. Memory is flat: the trend of
resident memory (the median slope of all pairs of runs after the first 40, Theil and Sen) adds up to less than 5 % of it. The
explorer never keeps more than its limit. Good runs at the end give what they gave at the start, to the last bit.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import psutil
from scipy.stats import theilslopes

from ..nodes.maths.files.archive import pack
from ..tools.client import ComfyUIError, Interrupted, NodeFailed, Run
from ..tools.demo import downloads
from ..tools.environment import ROOT, find_host
from ..tools.graphs import node
from ..tools.server import Server
from ..tools.trials import contract
from ..tools.trials.contract import WordlessClient
from ..tools.trials.graphs import TESTED, Info, around, good_runs, inputs_of, pack_nodes, report
from ..tools.trials.predictions import made_predictions
from ..tools.trials.values import MISSING, Trial, trials_of
from ..tools.workflow_file import Prompt, to_prompt

# Left to itself, glibc takes blocks of up to 32 MB from its heap, whose holes it keeps: what is resident would then creep up
# while nothing more is held. So large ones come from the system and go back to it.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}
WARM_UP = 40
MOST_GROWTH = 0.05
MOST_MB = 2048
LONGEST, LARGE = 300, 10
"""Seconds that a run may take, and after which one of several inputs is cancelled, as a schedule of 1,000 steps has to be."""
KINDS = {"workflow": 8, "node": 6, "several inputs": 3, "cancelled": 3, "broken network": 2}
"""What is run, and how often of 22 runs."""


class Row(NamedTuple):
    run: int
    kind: str
    about: str
    ended: str
    seconds: float
    resident_mb: float
    explorer_folders: int
    explorer_mb: float
    previews: int


def workflows(info: Info) -> dict[str, dict[str, Any]]:
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "workflows").glob("*.json"))}
    return {name: workflow for name, workflow in files.items() if not downloads(workflow, info)}


def varied(prompt: Prompt, chance: random.Random) -> Prompt:
    """Few steps and another seed everywhere, so that little is found in a cache."""
    for entry in prompt.values():
        for name, small in (("steps", chance.randint(2, 4)), ("ranges", 2), ("window", 2), ("frames", 3)):
            if isinstance(entry["inputs"].get(name), int):
                entry["inputs"][name] = small
        if isinstance(entry["inputs"].get("seed"), int):
            entry["inputs"]["seed"] = chance.randrange(1_000_000, 2_000_000)
        if entry["class_type"] == "SDExplainExamplePicture":
            entry["inputs"]["size"] = chance.choice([64, 96, 128])
    return prompt


class Soak:
    def __init__(self, client: WordlessClient, info: Info, seed: int) -> None:
        self.client, self.info, self.chance = client, info, random.Random(seed)
        self.workflows = workflows(info)
        self.trials: dict[str, list[Trial]] = {name: list(trials_of(name, info)) for name in pack_nodes(info)}
        self.lasting = 1.0

    def run(self, number: int) -> tuple[str, str, str, list[str]]:
        """One run: its kind, what it was, how it ended, and what is wrong with that."""
        kind = self.chance.choices(list(KINDS), list(KINDS.values()))[0]
        name = self.chance.choice(sorted(self.workflows if kind in ("workflow", "cancelled") else self.trials))
        about, ended, wrong = getattr(self, kind.replace(" ", "_"))(name, number)
        return kind, about, type(ended).__name__, [f"run {number}, {about}: {complaint}" for complaint in wrong]

    def workflow(self, name: str, number: int) -> tuple[str, Any, list[str]]:
        began = time.monotonic()
        ended = contract.outcome(self.client, varied(to_prompt(self.workflows[name], self.info), self.chance), LONGEST)
        self.lasting = time.monotonic() - began
        return name, ended, [] if isinstance(ended, Run) else [str(ended)]

    def node(self, name: str, number: int) -> tuple[str, Any, list[str]]:
        ended = contract.outcome(
            self.client, around(name, self.info, {}, seed=number, cells=self.chance.choice([8, 12])), LONGEST
        )
        return name, ended, contract.complaints(ended, self.info[name], []) if isinstance(ended, Run) else [str(ended)]

    def several_inputs(self, name: str, number: int) -> tuple[str, Any, list[str]]:
        tried = {trial.given.name: trial for trial in self.chance.sample(self.trials[name], min(3, len(self.trials[name])))}
        changes = {given: trial.value for given, trial in tried.items() if trial.value is not MISSING}
        removed = tuple(given for given, trial in tried.items() if trial.value is MISSING)
        ended = contract.outcome(self.client, around(name, self.info, changes, removed, seed=number), LARGE)
        about = " + ".join(map(str, tried.values()))
        return about, ended, contract.complaints(ended, self.info[name], [trial.given for trial in tried.values()])

    def cancelled(self, name: str, number: int) -> tuple[str, Any, list[str]]:
        prompt = varied(to_prompt(self.workflows[name], self.info), self.chance)
        timer = threading.Timer(self.chance.uniform(0, self.lasting), self.client._post, ("/interrupt", {}))
        timer.start()
        try:
            ended = self.client.run(prompt, timeout=LONGEST)
        except ComfyUIError as error:
            ended = error
        timer.join()
        return name, ended, [] if isinstance(ended, (Run, Interrupted)) else [str(ended)]

    def broken_network(self, name: str, number: int) -> tuple[str, Any, list[str]]:
        prompt = around(name, self.info, {}, seed=number)
        prompt["fault"] = node("ProbeFault", owner=["load", 0], fault="breaks", first=self.chance.randint(0, 5), times=1)
        if any(given.name == "model" for given in inputs_of(self.info[name])):
            prompt[TESTED]["inputs"]["model"] = ["fault", 0]
        ended = contract.outcome(self.client, prompt, LONGEST)
        # what was not reached must not wait for a later run
        disarmed = {"load": prompt["load"], "fault": prompt["fault"], "report": report("report", ["fault", 0])}
        disarmed["fault"]["inputs"]["fault"] = ""
        self.client.run(disarmed, timeout=LONGEST)
        right = isinstance(ended, Run) or (isinstance(ended, NodeFailed) and "broke" in str(ended))
        return name, ended, [] if right else [str(ended)]


def measure(server: Server) -> tuple[float, int, float, int]:
    """Resident MB, the explorer's folders and their MB, and the previews, which are ComfyUI's to keep."""
    folders = [path for path in (server.base / "temp" / "sdexplain").glob("*") if path.is_dir()]
    room = sum(file.stat().st_size for folder in folders for file in folder.rglob("*"))
    resident = psutil.Process(server.process.pid).memory_info().rss
    return resident / 1e6, len(folders), room / 1e6, len(list((server.base / "temp").glob("*.*")))


def trend(rows: list[Row]) -> tuple[float, float]:
    """MB a run after the warm-up, and what that adds up to as a share of what is resident."""
    kept = rows[WARM_UP:] if len(rows) > 2 * WARM_UP else rows[len(rows) // 2 :]
    slope = theilslopes([row.resident_mb for row in kept], [row.run for row in kept]).slope
    middle = sorted(row.resident_mb for row in kept)[len(kept) // 2]
    return float(slope), float(slope) * len(kept) / middle


def draw(rows: list[Row], slope: float, file: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    axes.plot([row.run for row in rows], [row.resident_mb for row in rows], lw=1, color="0.4")
    colours = dict(zip(KINDS, ("C0", "C2", "C1", "C3", "C4"), strict=True))
    for kind, colour in colours.items():
        of_kind = [row for row in rows if row.kind == kind]
        axes.scatter([row.run for row in of_kind], [row.resident_mb for row in of_kind], s=14, color=colour, label=kind, zorder=3)
    axes.axvline(WARM_UP, color="0.6", ls=":")
    axes.set(
        xlabel="run",
        ylabel="resident memory of the server [MB]",
        title=f"{len(rows)} mixed runs: {slope:+.2f} MB a run after the first {WARM_UP}",
    )
    axes.set_ylim(bottom=0)
    axes.legend(ncols=len(KINDS), loc="lower center", frameon=False)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--usual-malloc", action="store_true", help="leave the C library its usual settings; the figure goes to output"
    )
    options = parser.parse_args()
    place = ROOT / "benchmarks" / "results" if options.runs >= 200 and not options.usual_malloc else ROOT / "output" / "soak"
    place.mkdir(parents=True, exist_ok=True)
    if not options.usual_malloc:
        os.environ.update(MALLOC)
    with Server(find_host(), packs={"sdexplain_probe": ROOT / "tools" / "probe_pack"}) as server:
        rows, wrong, identical = run_all(server, options.runs, options.seed)
    write(rows, place / "soak.csv")
    slope, growth = trend(rows)
    draw(rows, slope, place / "soak.png")
    largest = max(row.explorer_mb for row in rows)
    print(f"\n{len(rows)} runs: {dict(Counter(row.ended for row in rows))}")
    print(
        f"resident memory: {slope:+.3f} MB a run, {growth:+.1%} in all after the warm-up (less than {MOST_GROWTH:.0%} expected)"
    )
    folders = max(row.explorer_folders for row in rows)
    print(f"explorer's folders: {folders} at most, {largest:.1f} MB (up to {MOST_MB} MB expected)")
    print(f"good runs at the end as at the start, to the last bit: {identical}")
    print("\n".join([f"{len(wrong)} wrong ends", *wrong]))
    return int(bool(wrong) or growth >= MOST_GROWTH or largest > MOST_MB or not identical)


def run_all(server: Server, runs: int, seed: int) -> tuple[list[Row], list[str], bool]:
    """Each run's row, what was wrong, and whether good runs gave the same at the end as at the start."""
    (server.base / "input" / "saved.safetensors").write_bytes(pack(made_predictions()))
    client, rows, wrong = WordlessClient(server.url), list[Row](), list[str]()
    info = client.object_info()
    fresh_noise = good_runs(client, info)
    soak = Soak(client, info, seed)
    for number in range(1, runs + 1):
        began = time.monotonic()
        kind, about, ended, complaints = soak.run(number)
        wrong += complaints
        rows.append(Row(number, kind, about, ended, time.monotonic() - began, *measure(server)))
        print(*cells(rows[-1]), *complaints, sep=" | ", flush=True)
    return rows, wrong, good_runs(client, info) == fresh_noise


def cells(row: Row) -> list[Any]:
    return [f"{value:.1f}" if isinstance(value, float) else value for value in row]


def write(rows: list[Row], file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(Row._fields)
        table.writerows(map(cells, rows))
