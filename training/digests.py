"""Numbers that change with what they are made of: what was kept under another one is stale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from torch import nn


def of_weights(*networks: nn.Module) -> str:
    """SHA-256 of the names and values of all weights, on whichever device; not of the class or of settings."""
    found = hashlib.sha256()
    for network in networks:
        for name, value in network.state_dict().items():
            found.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def of_files(files: Iterable[Path]) -> str:
    """SHA-256 of names, sizes and times of change, in this order; the files are not read."""
    known = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
