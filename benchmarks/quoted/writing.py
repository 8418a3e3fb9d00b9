"""How the docs write a number, a share, an interval and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .results import Row


def number(value: float | str, digits: int = 3) -> str:
    return f"{float(value):.{digits}f}".replace("-", "−")


def above(value: float) -> str:
    """The value rounded down to four digits."""
    return number(math.floor(value * 10_000) / 10_000, 4)


def percent(value: float | str, digits: int = 1) -> str:
    return f"{number(100 * float(value), digits)} %"


def with_interval(row: Row, column: str) -> str:
    """The value with its interval: 0.823 [0.818, 0.828]."""
    value, low, high = (number(row[f"{column}{end}"]) for end in ("", " low", " high"))
    return f"{value} [{low}, {high}]"


def share_with_interval(row: Row, column: str) -> str:
    """In per cent with its interval: 95 % [75 %, 100 %]."""
    value, low, high = (percent(row[f"{column}{end}"], 0) for end in ("", " low", " high"))
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
