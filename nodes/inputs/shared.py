"""The inputs that several nodes share, and how their values reach the dataclasses that carry them into the maths.

A node lists the shared inputs by name, in the order of its own, since saved workflows keep the values of widgets by their place.
Its `execute` takes them as `**given`, and `collect` makes the dataclasses of them, whose fields have the inputs' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from comfy_api.latest import io

from . import appearance, quantity, step_range

SHARED = {
    make.__name__: make
    for make in (
        quantity.scalar,
        step_range.start,
        step_range.end,
        appearance.image,
        appearance.colour_map,
        appearance.percentile,
        appearance.opacity,
        appearance.background,
        appearance.interpolation,
        appearance.reliability,
        appearance.threshold,
    )
}


def shared(*names: str) -> list[io.Input]:
    """Shared inputs, in this order."""
    return [SHARED[name]() for name in names]


def collect(given: Mapping[str, Any], *kinds: type[Any]) -> tuple[Any, ...]:
    """One of each of the dataclasses, with the values of the inputs that its fields are named as.

    A field that nothing was given for keeps its default: ComfyUI leaves out what is optional and missing in an older workflow.

    Raises:
        TypeError: an input that no dataclass has a field for, or a field without a default that nothing was given for.
    """
    names = {field.name for kind in kinds for field in fields(kind)}
    if unknown := sorted(given.keys() - names):
        raise TypeError(f"Nothing takes the inputs {', '.join(unknown)}; expected some of {', '.join(sorted(names))}.")
    return tuple(kind(**{field.name: given[field.name] for field in fields(kind) if field.name in given}) for kind in kinds)
