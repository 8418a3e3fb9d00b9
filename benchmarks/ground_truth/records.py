"""What was measured on a scene, as JSON with the key of everything it depends on, so that a stopped run can go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType


def recorded(path: Path, key: str, make: Callable[[], dict]) -> dict:
    """The record of this key: read where it is there, else made and written beside its place, then renamed."""
    known = read(path, key)
    if known is not None:
        return known
    text = json.dumps({"key": key} | make())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
    return json.loads(text)  # as it will be read


def read(path: Path, key: str) -> dict | None:
    """The record of this key; None if it is missing, damaged or stale."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if record["key"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def source_digest(modules: Iterable[ModuleType]) -> str:
    """SHA-256 of the modules' source files: what was measured by other code is stale."""
    return hashlib.sha256(b"\0".join(Path(module.__file__).read_bytes() for module in modules)).hexdigest()
