"""Who may read a file that was written: safetensors 0.8 lets nobody but its owner, so that a ComfyUI of another user can't."""

from __future__ import annotations

import os
from pathlib import Path


def as_usual(file: Path) -> None:
    """Give a file the permissions that any new file of this process has."""
    if os.name == "nt":
        return
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    file.chmod(0o666 & ~mask)
