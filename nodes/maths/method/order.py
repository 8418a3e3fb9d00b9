"""In which order the steps of a schedule are asked, so that whatever has been asked so far is spread over all of it."""

from __future__ import annotations

from itertools import count

from .noising import NoisedLatents

GOLDEN = (5**0.5 - 1) / 2
"""The golden ratio's fraction, 0.618: its multiples modulo 1 are the most evenly spread of all (Steinhaus' three gap theorem)."""
START = 0.95
"""Where the multiples are counted from, downwards. Chosen with `settled.FEWEST` on 45 drawn scenes, reported on others: the first
steps lie where a map tells most, a third and two thirds down the schedule, and six are worth what seven are from 0 upwards."""

Level = tuple[int, int]
"""(sample, step) of a noised latent."""


def noised_order(noised: NoisedLatents, group: int) -> list[Level]:
    """All noised latents in the order of asking: a group of samples at every step of `golden_order`, then the next group."""
    return [
        (sample, step)
        for first in range(0, noised.samples, group)
        for step in golden_order(noised.steps)
        for sample in range(first, min(first + group, noised.samples))
    ]


def smallest_group(noised: NoisedLatents) -> int:
    """How many noise samples must be asked about together: an antithetic pair, which tells far more than two lone samples."""
    return 2 if noised.antithetic else 1


def known_part(noised: NoisedLatents, group: int, done: int) -> tuple[list[int], int]:
    """Which steps are known under how many samples, once the first `done` of `noised_order` are: whole groups of them.

    Of the very first group, what there is. Later groups count once they have all steps.
    """
    if done < group:
        return golden_order(noised.steps)[:1], done - done % smallest_group(noised) or 1
    groups = done // (group * noised.steps)
    if groups == 0:
        return golden_order(noised.steps)[: done // group], group
    return list(range(noised.steps)), min(group * groups, noised.samples)


def golden_order(steps: int) -> list[int]:
    """All steps 0 ... steps - 1, the n-th being floor(frac(0.95 - 0.618 n) * steps), n = 1, 2, ...; what came before is left out.

    Every beginning of it is spread over the schedule, none of the gaps much wider than the others.

    Raises:
        ValueError: less than one step.
    """
    if steps < 1:
        raise ValueError(f"There are {steps} steps to order; expected at least 1.")
    order: dict[int, None] = {}
    for n in count(1):
        order.setdefault(int((START - n * GOLDEN) % 1 * steps))
        if len(order) == steps:
            break
    return list(order)
