"""In which order the steps of a schedule are asked, so that whatever has been asked so far is spread over all of it."""

from __future__ import annotations

from itertools import count

GOLDEN = (5**0.5 - 1) / 2
"""The golden ratio's fraction, 0.618: its multiples modulo 1 are the most evenly spread of all (Steinhaus' three gap theorem)."""


def golden_order(steps: int) -> list[int]:
    """All steps 0 ... steps - 1, the n-th being floor(frac(0.618 n) * steps) for n = 1, 2, ...; what came before is left out.

    Every beginning of it is spread over the schedule, none of the gaps much wider than the others.

    Raises:
        ValueError: less than one step.
    """
    if steps < 1:
        raise ValueError(f"There are {steps} steps to order; expected at least 1.")
    order: dict[int, None] = {}
    for n in count(1):
        order.setdefault(int(n * GOLDEN % 1 * steps))
        if len(order) == steps:
            break
    return list(order)
