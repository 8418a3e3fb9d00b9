"""How a training says how far it is, and how it is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
"""tqdm's bar without its own time left, which knows nothing of a limit in minutes."""


def time_left(done: int, steps: int, seconds: float, minutes: float | None) -> str:
    """How long it still takes: until the steps are done, or the minutes are over if that is sooner."""
    by_steps = (steps - done) * seconds / max(1, done)
    left = by_steps if minutes is None else min(by_steps, 60 * minutes - seconds)
    return f"{max(0, left) / 60:.1f} min left"


@contextmanager
def stopped_between_steps(alone: bool = True) -> Iterator[Callable[[], bool]]:
    """Within it Ctrl-C is only noted, so that a checkpoint can be written after the step; a second one stops at once.

    alone: whether this is the only process; several would not stop at the same step.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nStopping after this step; Ctrl-C again stops at once.", flush=True)

    if not alone or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
