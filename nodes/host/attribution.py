"""An attribution in ComfyUI: its progress, and that it can be cancelled."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management
import comfy.utils

from ..maths.method.attribution import FEWEST_STEPS, OF_A_LAYER, Choices


def watched(expected: int) -> Callable[[int], None]:
    """What a question calls before each call of the network: it moves the node's progress, and raises if the run is cancelled.

    expected: pictures in all, about; where there are more, the bar grows.
    """
    bar, done = comfy.utils.ProgressBar(max(1, expected)), 0

    def called(pictures: int) -> None:
        nonlocal done
        comfy.model_management.throw_exception_if_processing_interrupted()
        done += pictures
        while done > bar.total:
            bar.total *= 2
        bar.update_absolute(done, bar.total)

    return called


def expected_calls(choices: Choices, pictures: int) -> int:
    """How many pictures the network is asked about, at least, for so many pictures."""
    if choices.method in OF_A_LAYER:
        return 2 * pictures + 1
    if choices.method == "occlusion":
        return pictures * round(2 / choices.window) ** 2
    return pictures * (choices.samples if choices.method == "Gradient SHAP" else FEWEST_STEPS)
