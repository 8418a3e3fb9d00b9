"""The inputs that choose a range of steps, the same on every node that has them."""

from __future__ import annotations

from dataclasses import dataclass

from comfy_api.latest import io

from ..maths.method.difference import check_range

LAST = -1
MOST_STEPS = 9999


@dataclass(frozen=True)
class StepRange:
    """A range of steps as the inputs have it."""

    start: int
    end: int

    @property
    def stop(self) -> int | None:
        """The end as the maths takes it: None for the end of the schedule."""
        return stop(self.end)


def start() -> io.Int.Input:
    return io.Int.Input(
        "start",
        default=0,
        min=0,
        max=MOST_STEPS,
        tooltip="First step of the range; 0 is the noisiest. Early steps hold the coarse layout, late ones detail.",
    )


def end() -> io.Int.Input:
    return io.Int.Input(
        "end",
        default=LAST,
        min=LAST,
        max=MOST_STEPS,
        tooltip="The step after the last one of the range: 10 to 20 sums the steps 10 to 19. -1 means up to the end of the "
        "schedule.",
    )


def stop(end: int) -> int | None:
    """The widget's end as the maths takes it: None for the end of the schedule."""
    return None if end == LAST else end


def check(start: int | None, end: int | None) -> bool | str:
    """What a node's `validate_inputs` answers: True, or why the range is empty; None stands for an input that is linked.

    ComfyUI leaves the limits of the inputs that `validate_inputs` names to it, and calls it without those that are linked. It
    repeats the words at both inputs. What is raised it says once, but newer pages then call it unexpected, mark neither input,
    and name one of the next node's in its place.
    """
    if not isinstance(start, int) or not isinstance(end, int):
        return True  # ComfyUI refuses what is not a number
    try:
        check_range(start, stop(end))
    except ValueError as error:
        return str(error)
    return True
