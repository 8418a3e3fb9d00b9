"""What is tried on each input: its limits and what lies past them, links of wrong types, and values of the right type that are
bad.

A trial changes one input of a node. A dict is made into a value by ProbeValue and comes by a link, past ComfyUI's own checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .graphs import GOOD, Info, Input, inputs_of

MISSING = object()

TEXTS = {
    "empty": "",
    "blank": " \t\n",
    "lone surrogates": "a\ud800b\udfff",
    "right to left": "زرافة وحمار وحشي \u202eabc\u202c עברית",
    "emoji": "🦓 vs 🐴👨‍👩‍👧‍👦🏳️‍🌈",
    "controls": "\x00\x01\x07\x1b[31m\x7f\u200b\ufeff\u2028",
    "combining": "z" + "\u0301" * 300,
    "chinese": "斑马与马",
    "markup": "<img src=x onerror=alert(1)> & {{x}} $a^2$ \\frac",
    "long": "zebra " * 1700,
    "one long word": "z" * 10_000,
    "lines": "zebra\nhorse\r\nrat\u2029mouse",
    "braces": "{}{0}{name}%s%(x)s",
    "path": "../../etc/passwd",
    "private use": "\ue000\U0010ffff\ufffe",
}
NUMBERS = {
    "nan": float("nan"),
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "minus zero": -0.0,
    "tiny": 5e-324,
}
COSTLY = {"steps", "samples", "size", "ranges", "frames", "window"}
"""Numbers that cost time and room by their size, and have no limit if they come by a link."""

TENSORS: dict[str, dict[str, dict[str, Any]]] = {
    "IMAGE": {
        "nan": {"shape": [1, 64, 64, 3], "fill": "nan"},
        "one nan": {"shape": [1, 64, 64, 3], "fill": "one nan"},
        "infinite": {"shape": [1, 64, 64, 3], "fill": "infinite"},
        "huge values": {"shape": [1, 64, 64, 3], "fill": "huge"},
        "negative": {"shape": [1, 64, 64, 3], "fill": "negative"},
        "half": {"shape": [1, 64, 64, 3], "fill": "half"},
        "double": {"shape": [1, 64, 64, 3], "fill": "double"},
        "no images": {"shape": [0, 64, 64, 3]},
        "no pixels": {"shape": [1, 0, 64, 3]},
        "one pixel": {"shape": [1, 1, 1, 3]},
        "one row": {"shape": [1, 1, 300, 3]},
        "very wide": {"shape": [1, 8, 4096, 3]},
        "very high": {"shape": [1, 4096, 8, 3]},
        "very large": {"shape": [1, 2048, 2048, 3]},
        "odd size": {"shape": [1, 61, 67, 3]},
        "two images": {"shape": [2, 64, 64, 3]},
        "alpha": {"shape": [1, 64, 64, 4]},
        "grey": {"shape": [1, 64, 64, 1]},
        "no batch": {"shape": [64, 64, 3]},
        "video": {"shape": [1, 2, 64, 64, 3]},
    },
    "MASK": {
        "nan": {"shape": [1, 64, 64], "fill": "nan"},
        "zero": {"shape": [1, 64, 64], "fill": "zero"},
        "one": {"shape": [1, 64, 64], "fill": "one"},
        "negative": {"shape": [1, 64, 64], "fill": "negative"},
        "no masks": {"shape": [0, 64, 64]},
        "no pixels": {"shape": [1, 64, 0]},
        "one pixel": {"shape": [1, 1, 1]},
        "no batch": {"shape": [64, 64]},
        "two masks": {"shape": [2, 64, 64]},
        "other size": {"shape": [1, 100, 30]},
        "with channels": {"shape": [1, 1, 64, 64]},
    },
    "LATENT": {
        "nan": {"shape": [1, 4, 8, 8], "fill": "nan"},
        "one nan": {"shape": [1, 4, 8, 8], "fill": "one nan"},
        "infinite": {"shape": [1, 4, 8, 8], "fill": "infinite"},
        "huge values": {"shape": [1, 4, 8, 8], "fill": "huge"},
        "zero": {"shape": [1, 4, 8, 8], "fill": "zero"},
        "half": {"shape": [1, 4, 8, 8], "fill": "half"},
        "no images": {"shape": [0, 4, 8, 8]},
        "no cells": {"shape": [1, 4, 0, 8]},
        "one cell": {"shape": [1, 4, 1, 1]},
        "very wide": {"shape": [1, 4, 1, 512]},
        "very large": {"shape": [1, 4, 256, 256]},
        "odd size": {"shape": [1, 4, 7, 9]},
        "two images": {"shape": [2, 4, 8, 8]},
        "sixteen channels": {"shape": [1, 16, 8, 8]},
        "no batch": {"shape": [4, 8, 8]},
        "video": {"shape": [1, 4, 3, 8, 8]},
        "with a mask": {"shape": [1, 4, 8, 8], "noise_mask": [[0.0]]},
    },
    "CONDITIONING": {
        "nan": {"shape": [1, 77, 96], "fill": "nan"},
        "another model's": {"shape": [1, 77, 768]},
        "no pooled output": {"shape": [1, 77, 96], "pooled": False},
        "no prompt": {"shape": [1, 77, 96], "parts": 0},
        "three prompts": {"shape": [1, 77, 96], "parts": 3},
        "no tokens": {"shape": [1, 0, 96]},
        "two images": {"shape": [2, 77, 96]},
        "three images": {"shape": [3, 77, 96]},
        "no batch": {"shape": [77, 96]},
        "switched off": {"shape": [1, 77, 96], "options": {"start_percent": 0.4, "end_percent": 0.5}},
        "an area": {"shape": [1, 77, 96], "options": {"area": [4, 4, 0, 0], "strength": 1.0}},
        "an area outside": {"shape": [1, 77, 96], "options": {"area": [4, 4, 100, 100], "strength": 1.0}},
        "no strength": {"shape": [1, 77, 96], "options": {"area": [8, 8, 0, 0], "strength": 0.0}},
    },
    "SIGMAS": {
        "none": {"levels": []},
        "only zero": {"levels": [0.0]},
        "one": {"levels": [1.0]},
        "rising": {"levels": [0.5, 1.0, 2.0]},
        "nan": {"levels": [2.0, float("nan"), 0.0]},
        "infinite": {"levels": [float("inf"), 1.0, 0.0]},
        "negative": {"levels": [2.0, -1.0]},
        "far too high": {"levels": [5000.0, 1.0, 0.0]},
        "far too low": {"levels": [1.0, 1e-9]},
        "equal": {"levels": [1.0, 1.0, 1.0]},
        "zeros": {"levels": [1.0, 0.0, 0.0]},
        "table": {"shape": [2, 2]},
    },
    "NOISE": {
        "nan": {"fill": "nan"},
        "infinite": {"fill": "infinite"},
        "zero": {"fill": "zero"},
        "half": {"fill": "half"},
        "wrong shape": {"wrong_shape": True},
    },
}


@dataclass(frozen=True)
class Trial:
    """One input of one node, and what it is given."""

    node: str
    given: Input
    about: str
    value: Any

    def __str__(self) -> str:
        return f"{self.node}.{self.given.name}: {self.about}"


def trials_of(name: str, info: Info) -> Iterator[Trial]:
    """Everything that is tried on a node, one input at a time."""
    for given in inputs_of(info[name]):
        for about, value in values_for(given):
            yield Trial(name, given, about, value)


def values_for(given: Input) -> Iterator[tuple[str, Any]]:
    yield "missing", MISSING
    if not given.is_widget:
        yield from links_for(given)
        return
    yield "a link of a wrong type", list(GOOD["VAE"])
    for about, value in widget_values(given):
        yield about, value
        costly = given.name in COSTLY and isinstance(value, (int, float)) and not abs(value) <= 2000
        if value is not None and not costly:
            yield f"{about}, linked", {"value": value}


def widget_values(given: Input) -> Iterator[tuple[str, Any]]:
    options = given.options
    if given.kind in ("INT", "FLOAT"):
        step = 1 if given.kind == "INT" else 1e-3
        limits = [(limit, options[limit], sign) for limit, sign in (("min", -1), ("max", 1)) if limit in options]
        for limit, value, sign in limits:
            yield limit, value
            yield f"past the {limit}", value + sign * step
            yield f"far past the {limit}", value + sign * 2**70
        for about, value in NUMBERS.items() if given.kind == "FLOAT" else ():
            yield about, value
        yield "words", "many"
    elif given.kind == "BOOLEAN":
        yield from (("true", True), ("false", False), ("a word", "maybe"))
    elif given.kind == "COMBO":
        yield from ((f"choice {choice}", choice) for choice in given.choices)
        yield from (("no choice", "nothing of the kind"), ("a number", 3), ("empty", ""), ("surrogate", "\ud800"))
    else:
        yield from TEXTS.items()
        yield "a number", 3
    yield "nothing", None


def links_for(given: Input) -> Iterator[tuple[str, Any]]:
    kinds = given.kind.split(",")
    wrong = next(link for kind, link in GOOD.items() if kind not in kinds)
    yield from (("a link of a wrong type", list(wrong)), ("no link", 3))
    for kind in kinds:
        if not given.required and kind in GOOD:
            yield f"good {kind}", list(GOOD[kind])
        for about, made in TENSORS.get(kind, {}).items():
            yield f"{kind} {about}", {"type": kind} | made
    if kinds == ["CLIP"] or kinds == ["VAE"]:  # what Load Checkpoint gives for a file without one
        yield "none", {"value": None}
