"""Whether the inputs of a node fit its definition, checked before it runs.

ComfyUI checks what stands in a widget, but not what comes by a link instead, nor NaN, which is neither too small nor too large,
nor a plain value in place of a link. Newer versions check choices, older ones don't.
"""

from __future__ import annotations

import functools
import math
from numbers import Integral, Real
from typing import Any, TypeVar

from comfy_api.latest import io

Node = TypeVar("Node", bound=type[io.ComfyNode])
PLAIN = (bool, int, float, str)


def checked(node: Node) -> Node:
    """The node; from now on it refuses values that its inputs don't take, wherever they come from."""
    schema, execute = node.define_schema(), node.execute.__func__
    inputs = {each.id: each for each in schema.inputs}

    @functools.wraps(execute)
    def execute_checked(cls: Node, *args: Any, **given: Any) -> io.NodeOutput:
        for name, value in given.items():
            for one in value if schema.is_input_list else [value]:
                check(inputs[name], one)
        return execute(cls, *args, **given)

    node.execute = classmethod(execute_checked)
    return node


def check(given: io.Input, value: Any) -> None:
    """Refuse a value that an input does not take; an optional one may be None.

    Raises:
        ValueError: as above; the message names the input as the node shows it.
    """
    if value is None and given.optional:
        return
    expected = _expected(given, value)
    if expected:
        name = given.display_name or given.id
        raise ValueError(f"The input {name} is {repr(value)[:40]}; expected {expected}. Change it, or what is connected to it.")


def _expected(given: io.Input, value: Any) -> str:
    """What the input takes, "" if the value is that."""
    if isinstance(given, (io.Int.Input, io.Float.Input)):
        number = Integral if isinstance(given, io.Int.Input) else Real
        low, high = (-math.inf if given.min is None else given.min), (math.inf if given.max is None else given.max)
        right = isinstance(value, number) and low <= value <= high and math.isfinite(value)
        return "" if right else f"a {'whole ' if number is Integral else ''}number from {low} to {high}"
    if isinstance(given, io.Combo.Input):
        return "" if isinstance(value, str) else "one of its choices, as text"
    if isinstance(given, io.String.Input):
        return "" if _is_text(value) else "text of whole characters"
    if isinstance(given, io.Boolean.Input):
        return "" if isinstance(value, (bool, Integral)) else "true or false"
    return f"a link of type {given.get_io_type()}" if isinstance(value, PLAIN) else ""


def _is_text(value: Any) -> bool:
    """Whether text can be written anywhere; half a character (a lone surrogate), as some programs paste it, can't."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
