"""The one place that knows which fields of a node's definition are newer than the oldest ComfyUI the pack runs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from comfy_api.latest import io

# field of io.Schema -> the ComfyUI that brought it; an older one raises TypeError for it
NEWER = {"search_aliases": "0.11.0", "has_intermediate_output": "0.19.0"}


def schema(*, inputs: Sequence[io.Input], advanced: Sequence[str] = (), **given: Any) -> io.Schema:
    """A node's `io.Schema`, without the fields that this ComfyUI does not know yet.

    Args:
        inputs: as in `io.Schema`.
        advanced: ids of the inputs that newer pages hide until somebody asks for them (from ComfyUI 0.10.0 on).
        given: the other fields of `io.Schema`.

    Raises:
        TypeError: a field that no ComfyUI knows.
    """
    for input in inputs:
        if input.id in advanced and hasattr(input, "advanced"):
            input.advanced = True
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(inputs=list(inputs), **{name: value for name, value in given.items() if name in known or name not in NEWER})
