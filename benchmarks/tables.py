"""Tables as Markdown for people and CSV for programs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..nodes.maths.pictures.paper import INK
from ..training.intervals import Interval

# Okabe and Ito's colours, which colour-blind readers can tell apart
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK)

Cell = str | int | float | Interval | None


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; `name` is the file's, `note` says how it is to be read."""

    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def markdown(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *([written(cell) for cell in row] for row in self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.title}\n\n{self.note}\n\n{table}" if self.note else f"### {self.title}\n\n{table}"

    def write_csv(self, folder: Path) -> None:
        """One line a row, see `flat`."""
        table = self.flat()
        with (folder / f"{self.name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([table.head, *table.rows])

    def flat(self) -> Table:
        """The same without intervals: each takes three columns, its ends named "low" and "high"."""
        wide = [any(isinstance(row[n], Interval) for row in self.rows) for n in range(len(self.head))]
        head = _flat([[name, f"{name} low", f"{name} high"] if w else [name] for name, w in zip(self.head, wide)])
        return replace(self, head=head, rows=[_flat([_columns(cell, w) for cell, w in zip(row, wide)]) for row in self.rows])

    def among_others(self, folder: Path) -> Table:
        """Flat, and with what the folder's file says of others: the rows whose first cell none of these rows has.

        Each keeps its place. A file with other columns is from another time and counts for nothing.
        """
        table, file = self.flat(), folder / f"{self.name}.csv"
        if not file.exists():
            return table
        with file.open(newline="", encoding="utf-8") as stream:
            head, *before = csv.reader(stream)
        if head != list(table.head):
            return table
        earlier = [[cell or None for cell in row] for row in before]
        own = {row[0] for row in table.rows}
        names = dict.fromkeys(row[0] for row in [*earlier, *table.rows])
        rows = [row for name in names for row in (table.rows if name in own else earlier) if row[0] == name]
        return replace(table, rows=rows)


def written(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _columns(cell: Cell, wide: bool) -> list[Cell]:
    if isinstance(cell, Interval):
        return [cell.value, cell.low, cell.high]
    return [cell, None, None] if wide else [cell]


def _flat(columns: list[list[Cell]]) -> list[Cell]:
    return [cell for column in columns for cell in column]
