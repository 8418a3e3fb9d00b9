"""What asking the model will cost, said before it begins."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from ..maths.method.noising import NoisedLatents
from ..maths.wording import format_value

Say: TypeAlias = Callable[[str, str], None]
"""Says words about a node, which its id names."""


def log(words: str, node_id: str) -> None:
    """Say it in the log alone."""
    logging.info("SDExplain, node %s: %s", node_id, words)


def cost_words(noised: NoisedLatents, evaluations: int, call: int, memory: float) -> str:
    """What the model is about to be asked, and the bytes that ComfyUI expects a call of so many evaluations to take."""
    height, width = (length * noised.downscale for length in noised.x0.shape[2:])
    return (
        f"Asking the model for up to {evaluations} predictions of {width}×{height} pixels, about {call} in a call. ComfyUI "
        f"expects a call to take {format_value(memory / 1e9)} GB besides the model."
    )
