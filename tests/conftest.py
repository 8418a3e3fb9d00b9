"""Loads the pack as `sdexplain`, whatever this checkout's folder is called, the way ComfyUI loads a folder of custom_nodes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load_pack() -> None:
    # `python -m pytest` puts the current folder on the path: from the root, the pack's `nodes` would then hide ComfyUI's nodes.py.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    spec = importlib.util.spec_from_file_location("sdexplain", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules["sdexplain"] = module
    spec.loader.exec_module(module)


load_pack()
