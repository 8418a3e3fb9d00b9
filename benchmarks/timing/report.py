"""Tables and figure of the measurements of speed and memory."""

from __future__ import annotations

import platform
import re
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ...nodes.maths.pictures.paper import INK, MUTED
from ...nodes.maths.pictures.plot import LENGTHS, draw_plot
from ..quoted.results import Results
from ..quoted.writing import first
from ..tables import COLOURS, Cell, Table
from .networks import BUNDLED, CONFIGS, SD15, SDXL
from .qualities import QUALITIES, SHOWING, SHOWN, UNSHOWN
from .qualities import WORKS as EXPLAINED
from .settling import ENCODING, RUNS, SAMPLES, STEPS, WITHOUT_WORDS, Costs
from .stopwatch import Log
from .work import BARE, CALL, COLLECTION, EVALUATION, LOOP, MASK, NETWORK, OURS, SESSION, SINGLY, Work

CALLS, SETTLING = "calls", "settling"
OTHERS = (BARE, SINGLY, MASK, LOOP)
MOST_ROUNDS = 20
PROCESSOR = "processor time ÷ bare network's, best batch"
WORKS = [
    Work(steps, images, samples) for images, samples in ((1, 1), (4, 1), (1, 4), (1, 16)) for steps in (1, 2, 5, 10, 50, 200)
]
GOALS = {BARE: 1.05, MASK: 1.0}
INSIDE = {  # what ours spends, one within the other
    "the network's forward": (NETWORK, None),
    "ComfyUI's model call around it": (CALL, NETWORK),
    "adding noise, rounding, checks": (EVALUATION, CALL),
    "loading, conditioning, clean-up, progress": (SESSION, EVALUATION),
    "looking up what is kept": (COLLECTION, SESSION),
    "drawing noise, fingerprints, ComfyUI's executor": ("seconds", COLLECTION),
}


def write(log: Log, folder: Path) -> str:
    """Write speed.md, its tables as CSV and speed.png; returns the text. What the log lacks stays as the folder has it."""
    made = (
        ratios(log),
        memory(log),
        profile(log),
        calls(log),
        batches(log),
        by_quality(log),
        showing(log),
        settling(log, *needed()),
    )
    whole = [table.among_others(folder) for table in made]
    tables = [table for table in whole if table.rows]
    for table in tables:
        table.write_csv(folder)
    text = "\n\n".join([machine(), goals(whole[0]), *(table.markdown() for table in tables)]) + "\n"
    (folder / "speed.md").write_text(text, encoding="utf-8")
    if whole[0].rows:
        draw_plot(150 + 62 * len(whole[0].rows), lambda figure: draw(figure, whole[0])).save(folder / "speed.png")
    return text


def machine() -> str:
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return (
        f"{processor}, torch {torch.__version__}. The bundled model in float32; {SD15.split(',')[0]} and "
        f"{SDXL.split(',')[0]} at their true sizes with random weights, in bfloat16. ComfyUI with --use-pytorch-cross-attention, "
        "which it chooses by itself on a GPU."
    )


def rounds(log: Log, name: str, work: Work, variant: str) -> dict[int, dict]:
    found = {number: log.get((name, work, variant, number)) for number in range(MOST_ROUNDS)}
    return {number: value for number, value in found.items() if value}


def measured(log: Log) -> Iterator[tuple[str, Work]]:
    """What was measured of ours, in the tables' order."""
    for name in (BUNDLED, *CONFIGS):
        for work in WORKS:
            if rounds(log, name, work, OURS):
                yield name, work


def ratio(log: Log, name: str, work: Work, variant: str, kind: str = "seconds") -> list[float]:
    """Our time (or "processor" time) through the other's, round by round."""
    ours, other = (rounds(log, name, work, way) for way in (OURS, variant))
    return [ours[number][kind] / other[number][kind] for number in sorted(ours.keys() & other.keys())]


def goals(times: Table) -> str:
    """Which of the goals the medians in the table of `ratios` meet."""
    said = []
    for variant, goal in GOALS.items():
        for row in cells(times):
            steps, size = row["steps"], (row["images"], row["samples"])
            asked = size == ("1", "1") and (steps == "50" or steps == "10" and row["network"] != BUNDLED)
            if asked and row[f"÷ {variant}"]:
                median = first(row[f"÷ {variant}"])
                word = "met" if median <= goal else "missed"
                said.append(
                    f"- {row['network']}, {steps} steps × 2 prompts: {median:.3f} × {variant}; goal ≤ {goal:.2f}: {word}."
                )
    return "\n".join(said)


def cells(table: Table) -> list[dict[str, str]]:
    """The rows by their columns, as the CSV has them: "" where nothing was measured."""
    return [dict(zip(table.head, ["" if cell is None else str(cell) for cell in row], strict=True)) for row in table.rows]


def ratios(log: Log) -> Table:
    rows: list[list[Cell]] = []
    for name, work in measured(log):
        ours = rounds(log, name, work, OURS)
        seconds = statistics.median(value["seconds"] for value in ours.values())
        beside = [spread(ratio(log, name, work, variant)) for variant in OTHERS]
        processor = spread(ratio(log, name, work, BARE, "processor"))
        threads = max(value["threads"] for value in ours.values())
        rows.append([name, threads, *_sizes(work), work.evaluations, f"{seconds:.2f}", *beside, processor, len(ours)])
    head = [
        "network",
        "threads",
        "steps",
        "images",
        "samples",
        "evaluations",
        "the graph, s",
        *(f"÷ {variant}" for variant in OTHERS),
        PROCESSOR,
        "rounds",
    ]
    note = (
        "The graph is Noise Latent Across Schedule and Collect Noise Predictions in ComfyUI's executor, from the latent to both "
        "prompts' predictions. The others are given the same latents and encoded prompts; generate_mask runs as many evaluations "
        "(4 for each of its noises). A ratio below 1 says that the graph is quicker. Median over the rounds, in each of which "
        "all were measured in turns [lowest, highest]; – not measured. Processor time is that of all threads, and hardly depends "
        "on what else the machine does."
    )
    return Table("speed", "Time", head, rows, note)


def spread(values: list[float]) -> Cell:
    if not values:
        return None
    middle = f"{statistics.median(values):.3f}"
    return middle if min(values) == max(values) else f"{middle} [{min(values):.3f}, {max(values):.3f}]"


def _sizes(work: Work) -> list[Cell]:
    return [work.steps, work.images, work.samples]


def memory(log: Log) -> Table:
    rows: list[list[Cell]] = []
    for name, work in measured(log):
        own = rounds(log, name, work, OURS)
        if any(value["extra"] is None for value in own.values()):
            continue
        peaks = [peak(rounds(log, name, work, variant)) for variant in (OURS, *OTHERS)]
        whole = max(value["resident"] for value in own.values())
        rows.append([name, *_sizes(work), f"{asked_for(name, work) / 1e6:.1f}", *peaks, f"{whole / 1e9:.2f}"])
    head = [
        "network",
        "steps",
        "images",
        "samples",
        "result, MB",
        *(f"{variant}, MB" for variant in (OURS, *OTHERS)),
        "process, GB",
    ]
    note = (
        "Peak resident memory on top of what the process had before; the result (noise in float32, both prompts' predictions in "
        "float16) is part of the graph's. The process holds the weights twice, for ComfyUI and for diffusers, but SDXL's once."
    )
    return Table("speed_memory", "Peak memory", head, rows, note)


def peak(found: dict[int, dict]) -> Cell:
    return f"{statistics.median(value['extra'] for value in found.values()) / 1e6:.0f}" if found else None


def asked_for(name: str, work: Work) -> int:
    """Bytes of the graph's result."""
    side = CONFIGS[name]["sample_size"] if name in CONFIGS else 32
    return work.steps * work.samples * 4 * side * side * (4 + 2 * 2 * work.images)


def profile(log: Log) -> Table:
    rows: list[list[Cell]] = []
    for name, work in measured(log):
        runs = rounds(log, name, work, OURS).values()
        for part, (outer, inner) in INSIDE.items():
            spent = [_of(run, outer) - (_of(run, inner) if inner else 0) for run in runs]
            shares = [time / run["seconds"] for time, run in zip(spent, runs, strict=True)]
            milliseconds = f"{1000 * statistics.median(spent):.1f}"
            rows.append([name, str(work), part, milliseconds, f"{100 * statistics.median(shares):.2f}"])
    note = "Where the graph's time goes; what is not the network's forward is what the graph adds to it."
    return Table("speed_profile", "Profile", ["network", "work", "part", "ms", "%"], rows, note)


def _of(run: dict, name: str) -> float:
    return run["seconds"] if name == "seconds" else run["parts"][name]


def calls(log: Log) -> Table:
    rows = [[name, f"{median:.0f}", f"{least:.0f}"] for name, (median, least) in (log.get(CALLS) or {}).items()]
    note = (
        "Nodes after the predictions, in ComfyUI's executor: 50 steps of 128 × 128 cells, 2 noise samples, "
        "a picture of 1024 pixels."
    )
    return Table("speed_calls", "Time per call", ["call", "median, ms", "fastest, ms"], rows, note)


def batches(log: Log) -> Table:
    rows = []
    for name in (BUNDLED, *CONFIGS):
        found = log.get((name, "batch"))
        for size, seconds in found["seconds"].items() if found else ():
            rows.append([name, int(size), f"{1000 * seconds:.1f}", "best" if int(size) == found["best"] else None])
    note = "The bare network's time for an evaluation, by how many it is given at once: the fastest of a few runs."
    return Table("speed_batches", "Batch size", ["network", "batch", "ms an evaluation", ""], rows, note)


def by_quality(log: Log) -> Table:
    """Explain Image at each quality: what it takes of exact's time, when its first map is there, and what showing takes."""
    rows: list[list[Cell]] = []
    for work in EXPLAINED:
        found = {
            quality: {number: run for number in range(MOST_ROUNDS) if (run := log.get(("qualities", work, quality, number)))}
            for quality in QUALITIES
        }
        for quality, runs in found.items():
            both = [(run, found["exact"][number]) for number, run in runs.items() if number in found["exact"]]
            if not both:
                continue
            shares = [
                [run["evaluations"] for run, _ in both],
                [run["processor"] for run, _ in both],
                [run["processor"] / exact["processor"] for run, exact in both],
                [run["first"] / exact["processor"] for run, exact in both],
                [run["showing"] / run["processor"] for run, _ in both],
            ]
            rows.append([work, quality, *(f"{statistics.median(shares[0]):.0f}", *map(spread, shares[1:])), len(both)])
    head = ["work", "quality", "evaluations", "seconds", "÷ exact", "first map ÷ exact", "showing ÷ own", "pictures"]
    note = (
        "Explain Image from the picture to overlay and verdict, on drawn zebras, with the bundled model and one thread, in "
        "seconds of processor time. Evaluations are all that reach the network, those without words too. Showing is all that is "
        "done after a call to find out and show how far the answer is. Median [lowest, highest]."
    )
    return Table("speed_qualities", "Where it stops by itself", head, rows, note)


def showing(log: Log) -> Table:
    """What Explain Image takes with maps shown while the model is asked, through what it takes without."""
    rows: list[list[Cell]] = []
    for work in EXPLAINED:
        found = [{n: run for n in range(MOST_ROUNDS) if (run := log.get((SHOWING, work, way, n)))} for way in (SHOWN, UNSHOWN)]
        both = [(found[0][number], found[1][number]) for number in sorted(found[0].keys() & found[1].keys())]
        if both:
            ratio = spread([shown["processor"] / without["processor"] for shown, without in both])
            counts = [f"{statistics.median(shown[kind] for shown, _ in both):.0f}" for kind in ("calls", "maps")]
            alone = spread([shown["alone"] for shown, _ in both])
            rows.append([work, *counts, ratio, alone, len(both)])
    head = ["work", "calls", "maps shown", "processor time ÷ without", "maps alone ÷ run", "rounds"]
    note = (
        "Explain Image at exact, with the maps shown while the model is asked and with none, of the same picture and noise: in "
        "turns, in one process, with one thread. Encoding each map for the page, which ComfyUI's server does in another thread, "
        "is in the times. Maps alone is the processor time that making and encoding them took within the run: it varies less. "
        "Median [lowest, highest]."
    )
    return Table("speed_showing", "What showing maps costs", head, rows, note)


def needed() -> tuple[float, float]:
    """How many evaluations settled answers took on held-out drawings, and how many without words: the means.

    `benchmarks.progressive` and `benchmarks.trust` found them.
    """
    results = Results()
    settled = results.row("settled", quality="settled")
    without_words = results.row("without_words", **{"asked of": "own drawing, its pair"})
    return float(settled["evaluations"]), float(without_words["evaluations"])


def settling(log: Log, settled: float, without_words: float) -> Table:
    """The same at the true sizes, where a settled answer takes so many evaluations, and so many more without words."""
    rows: list[list[Cell]] = []
    exact = 2 * STEPS * SAMPLES
    for name, runs in RUNS.items():
        found = [log.get((SETTLING, name, run)) for run in runs]
        encoding, more = (log.get((SETTLING, name, part)) for part in (ENCODING, WITHOUT_WORDS))
        if not all(found) or not encoding or not more:
            continue
        costs, before = Costs.of(*found), encoding["processor"]
        whole = settled + without_words, exact + more["exact"]
        measured = [run["evaluations"] for run in found]
        times = [f"{value:.2f}" for value in (costs.evaluation, costs.besides, before)]
        shares = [f"{costs.share(settled, exact):.3f}", f"{costs.share(*whole, before):.3f}"]
        counts = [f"{settled:.1f} of {exact}", f"{whole[0]:.1f} of {whole[1]}"]
        rows.append([name, *times, counts[0], shares[0], counts[1], shares[1], " + ".join(map(str, measured))])
    head = [
        "network",
        "an evaluation, s",
        "a run besides, s",
        "encoding the picture, s",
        "predictions: evaluations",
        "predictions: settled ÷ exact",
        "Explain Image: evaluations",
        "Explain Image: settled ÷ exact",
        "evaluations measured",
    ]
    note = (
        "Networks of true size with random weights, for which no answer settles. So the numbers of evaluations are the means of "
        "benchmarks/results/settled.csv and without_words.csv, which the bundled model took on held-out drawings. Their time is "
        "that of two short runs, which are told to have settled, after as many evaluations as the last column says. A straight "
        "line through both says what an evaluation takes, and a run besides. Exact's evaluations were not run: they take as "
        f"long each, see the batch sizes; {exact} are Explain Image's as it comes, {STEPS} steps with {SAMPLES} samples. "
        "Predictions are Collect Noise Predictions with Sum Noise Difference. Explain Image asks without words too, and encodes "
        "the picture; encoding the prompts, its verdict and its pictures are left out. Seconds of processor time."
    )
    return Table("speed_settled", "Where it stops by itself, at the true sizes", head, rows, note)


def draw(figure: Figure, times: Table) -> None:
    """Time beside the bare network's, for every piece of work and way: medians, and of ours how far the rounds reach."""
    axes, rows = figure.subplots(), cells(times)
    for way, colour in zip((OURS, SINGLY, MASK, LOOP), COLOURS):
        for place, row in enumerate(rows):
            ours, beside = numbers(row[f"÷ {BARE}"]), numbers(row[f"÷ {way}"]) if way != OURS else [1.0]
            if ours and beside:
                axes.plot(ours[0] / beside[0], place, "o", color=colour, markersize=LENGTHS(4))
            if way == OURS:
                axes.plot(ours[1:], [place] * len(ours[1:]), color=colour, linewidth=LENGTHS(1))
        axes.plot([], [], "o", color=colour, label=way)
    axes.axvline(1, color=INK, linewidth=LENGTHS(0.7))
    axes.axvline(GOALS[BARE], color=MUTED, linewidth=LENGTHS(0.7), linestyle="--")
    axes.set_yticks(range(len(rows)), [f"{row['network'].split(',')[0]}\n{sizes(row)}" for row in rows], fontsize=LENGTHS(9))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("time ÷ the bare network's forwards at its best batch size (dashed: the goal, 1.05)", fontsize=LENGTHS(9))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=LENGTHS(9))
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=LENGTHS(9))


def numbers(cell: str) -> list[float]:
    """The median, the lowest and the highest of a cell of `spread`; no more than the median of a single round."""
    return [float(part) for part in re.findall(r"[\d.]+", cell)]


def sizes(row: Mapping[str, str]) -> str:
    """A piece of work in few words: 50 steps, 4 images."""
    others = [f"{row[what]} {what}" for what in ("images", "samples") if row[what] != "1"]
    return ", ".join([f"{row['steps']} step{'s' * (row['steps'] != '1')}", *others])
