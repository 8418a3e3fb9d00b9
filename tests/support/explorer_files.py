"""Reads what the Explorer's page is given, as the format's description says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors.numpy import load


def contents(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file."""
    return json.loads(listed(content)["__metadata__"]["header"]), load(content)


def listed(content: bytes) -> dict[str, Any]:
    """What the JSON lists that a safetensors file begins with, in its order: metadata, and each array's type, shape and place."""
    return json.loads(content[8 : data_start(content)])


def data_start(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")
