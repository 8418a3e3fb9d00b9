"""What was released stays: workflows and prompts that people have saved find every node, input and output as they left them.

`released_nodes.json` holds version 0.1.0's nodes as its /object_info told them; a release adds its new nodes and inputs to the
file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sdexplain.tools.client import Client

FILE = Path(__file__).resolve().parent.parent / "data" / "released_nodes.json"
RELEASED: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
PARTS = ("required", "optional")


def inputs(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All inputs in the order in which a saved workflow lists their values."""
    return {name: given for part in PARTS for name, given in parts.get(part, {}).items()}


def said_of(declared: list[Any]) -> dict[str, Any]:
    kind, *rest = declared
    options = dict(rest[0]) if rest else {}
    return options | ({"type": "COMBO", "options": kind} if isinstance(kind, list) else {"type": kind})


def broken(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What of an input has changed such that a saved value no longer means or gives the same."""
    lost = set(old["type"].split(",")) - set(new["type"].split(","))
    changed = [f"no longer takes {sorted(lost)}"] if lost else []
    changed += [name for name in ("default", "control_after_generate") if old.get(name) != new.get(name)]
    changed += ["min"] if old.get("min", 0) < new.get("min", old.get("min", 0)) else []
    changed += ["max"] if old.get("max", 0) > new.get("max", old.get("max", 0)) else []
    return changed + [f"choice {choice!r}" for choice in old.get("options", ()) if choice not in new["options"]]


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_node_keeps_its_inputs_and_outputs_and_new_inputs_are_optional_and_last(name: str, comfyui: Client) -> None:
    old, now = RELEASED[name], comfyui.object_info(name)[name]
    before, after = inputs(old), inputs(now["input"])
    assert list(after)[: len(before)] == list(before)
    assert set(now["input"]["required"]) <= set(old["required"])
    assert {given: found for given in before if (found := broken(before[given], said_of(after[given])))} == {}
    outputs = list(map(list, zip(now["output_name"], now["output"], now["output_is_list"], strict=True)))
    assert outputs[: len(old["outputs"])] == old["outputs"]
    assert now["output_node"] >= old["output_node"]


def test_the_comparison_finds_what_would_break_a_saved_value() -> None:
    old = {"type": "INT", "default": 4, "min": 1, "max": 64}
    assert broken(old, {**old, "max": 128, "min": 0}) == []
    assert broken(old, {**old, "default": 5, "min": 2, "max": 63}) == ["default", "min", "max"]
    assert broken({"type": "COMBO", "options": ["a", "b"]}, {"type": "COMBO", "options": ["b", "c"]}) == ["choice 'a'"]
    assert broken({"type": "MASK"}, {"type": "IMAGE,MASK"}) == [] != broken({"type": "MASK"}, {"type": "IMAGE"})
