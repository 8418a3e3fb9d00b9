"""In which order the steps of a schedule are asked, so that whatever has been asked so far is spread over all of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np

from .noising import NoisedLatents

GOLDEN = (5**0.5 - 1) / 2
"""The golden ratio's fraction, 0.618: its multiples modulo 1 are the most evenly spread of all (Steinhaus' three gap theorem)."""
START = 0.95
"""Where the multiples are counted from, downwards, for an even spread."""
TELLING = (0.16, 0.6)
"""The part of a schedule that tells most about where two prompts differ, from its noisy end: noisier steps know only the layout,
cleaner ones details."""
OF_ASKED = (0.1, 0.8)
"""Where TELLING lies among the steps in the order of asking: seven tenths of any beginning are asked there."""
ASKED_START = 0.05
"""As START, for the order of asking. Chosen with the two above and `settled.FEWEST` on 45 drawn scenes, reported on others. The
second step then lies in `familiarity.LEVELS`: whether the model knows the picture is told from there on."""

Level = tuple[int, int]
"""(sample, step) of a noised latent."""


def noised_order(noised: NoisedLatents, group: int) -> list[Level]:
    """All noised latents in the order of asking: a group of samples at every step of `asking_order`, then the next group."""
    return [
        (sample, step)
        for first in range(0, noised.samples, group)
        for step in asking_order(noised.steps)
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
        return asking_order(noised.steps)[:1], done - done % smallest_group(noised) or 1
    groups = done // (group * noised.steps)
    if groups == 0:
        return asking_order(noised.steps)[: done // group], group
    return list(range(noised.steps)), min(group * groups, noised.samples)


def asking_order(steps: int) -> list[int]:
    """All steps 0 ... steps - 1 in the order of asking: spread over the schedule, and denser where it tells most.

    The n-th is that of `golden_order` on an axis on which TELLING takes up the part OF_ASKED, and what lies on either side of it
    the rest.

    Raises:
        ValueError: less than one step.
    """
    return _golden(steps, ASKED_START, (0, *OF_ASKED, 1), (0, *TELLING, 1))


def golden_order(steps: int) -> list[int]:
    """All steps 0 ... steps - 1, the n-th being floor(frac(0.95 - 0.618 n) * steps), n = 1, 2, ...; what came before is left out.

    Every beginning of it is spread evenly over the schedule, none of the gaps much wider than the others.

    Raises:
        ValueError: less than one step.
    """
    return _golden(steps, START, (0, 1), (0, 1))


def _golden(steps: int, start: float, axis: Sequence[float], schedule: Sequence[float]) -> list[int]:
    """The steps at the golden ratio's multiples on an axis whose points lie at those of the schedule, linear in between."""
    if steps < 1:
        raise ValueError(f"There are {steps} steps to order; expected at least 1.")
    order: dict[int, None] = {}
    for n in count(1):
        order.setdefault(int(np.interp((start - n * GOLDEN) % 1, axis, schedule) * steps))
        if len(order) == steps:
            break
    return list(order)
