"""Checkpoints of a training run: written beside the old one and then renamed, so that a stop never leaves an incomplete file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save(path: Path, parts: Mapping[str, Any], steps: int) -> None:
    """Write the states of all parts after `steps` steps to `path` at once, with the random state that the next step needs."""
    states = {name: part.state_dict() for name, part in parts.items()}
    beside = path.with_suffix(".part")
    torch.save(states | {"step": steps, "random_state": torch.get_rng_state()}, beside)
    os.replace(beside, path)


def restore(path: Path, parts: Mapping[str, Any]) -> int:
    """Give all parts, and the random state, what `save` wrote; returns the steps that were done, 0 without a checkpoint."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random_state"])
    return state["step"]
