"""Checkpoints of a training run: written beside the old one and then renamed, so that a stop never leaves half a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` in one step, with the random state that the next step needs."""
    beside = path.with_suffix(".part")
    torch.save(state | {"random_state": torch.get_rng_state()}, beside)
    os.replace(beside, path)


def load(path: Path) -> dict[str, Any] | None:
    """Return the state that `save` wrote and restore its random state; None where there is no checkpoint yet."""
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True)
    torch.set_rng_state(state["random_state"])
    return state
