"""The input that says how much a model is asked."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..maths.answers.settled import Quality


def quality(default: Quality, tooltip: str) -> io.Combo.Input:
    """Optional: a workflow that was saved without it gets what the node did before."""
    return io.Combo.Input("quality", options=list(get_args(Quality)), default=default, optional=True, tooltip=tooltip)
