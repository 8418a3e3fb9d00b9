"""docs/cost.md: time, memory, and what fewer evaluations and smaller formats keep."""

from __future__ import annotations

from collections.abc import Callable

from .. import soak
from .results import Figure, Results, Row
from .writing import first, number, percent, share_with_interval, span, table, with_interval

BUNDLED, SD15, SDXL = "bundled model, 256 px", "SD 1.5, 512 px", "SDXL, 1024 px"
BARE, SINGLY, DIFFEDIT, PROCESSOR = (
    "÷ bare network, best batch",
    "÷ bare network, one step and prompt at a time",
    "÷ diffusers' generate_mask",
    "processor time ÷ bare network's, best batch",
)
FORWARD = "the network's forward"
MAP_MOVES, NATS_MOVE = "map moves by, %", "log-odds change by, nats"
OTHER_NOISE = "another pair of noise samples"
SHOWING = {
    "calls": "calls",
    "maps": "maps shown",
    "ratio": "processor time ÷ without",
    "alone": "maps alone ÷ run",
    "rounds": "rounds",
}


def settled(column: str, quality: str = "settled") -> Figure:
    """What an answer of this quality keeps of the exact one, with its interval."""
    return lambda results: with_interval(results.row("settled", quality=quality), f"÷ exact {column}")


def settled_verdicts(column: str, written: Callable[[Row, str], str] = share_with_interval) -> Figure:
    """What the verdicts of settled answers say beside those of exact ones, with its interval."""
    return lambda results: written(results.row("settled_verdicts", quality="settled"), column)


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


def showing(column: str) -> Figure:
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


def forward(network: str) -> Figure:
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


def moves(kept: str, column: str, digits: int) -> Figure:
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
