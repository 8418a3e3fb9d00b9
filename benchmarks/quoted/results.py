"""The CSV files of benchmarks/results, row by row, as texts."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from ...tools.environment import ROOT

RESULTS = ROOT / "benchmarks" / "results"

Row = Mapping[str, str]


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


Figure = Callable[[Results], str]
"""How a figure, or a table, is written from the results."""
