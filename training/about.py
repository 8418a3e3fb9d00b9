"""What was measured on a finished model, written into its folder as `sdexplain.json`, see `nodes/host/loading/about_model.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VERSION = 1
FILE = "sdexplain.json"


def write(folder: Path, **entries: Any) -> Path:
    """Put the entries into the folder's file, and leave its other entries as they are."""
    file = folder / FILE
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(before | {"version": VERSION} | entries, indent=2) + "\n", encoding="utf-8")
    return file
