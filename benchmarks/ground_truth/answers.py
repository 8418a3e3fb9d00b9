"""Where answers are kept: a safetensors file each, never incomplete, with the key of its question."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def is_current(path: Path, key: str) -> bool:
    """Whether the file is there and has this key."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("key") == key
    except (OSError, SafetensorError):
        return False


def write(path: Path, tensors: dict[str, Tensor], key: str) -> None:
    """Write the answer beside its place, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, {"key": key})
    os.replace(part, path)


def read(path: Path, key: str) -> dict[str, Tensor] | None:
    """The answer's tensors, or None if there is no file, or one with another key."""
    if not is_current(path, key):
        return None
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}
