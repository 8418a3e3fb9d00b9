"""Runs one of this checkout's scripts as a module of the pack: `python tools/launch.py benchmarks.truth --help`.

The pack is loaded as `sdexplain` whatever this checkout's folder is called, as ComfyUI loads a folder of custom_nodes, so that
every module can be imported relative to its neighbours. Processes that a script starts load this file again, and so the pack.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load_pack() -> None:
    """Load the pack as `sdexplain`; takes its own folders off the import path, whose `nodes` and `server` hide ComfyUI's."""
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() not in (ROOT, ROOT / "tools")]
    spec = importlib.util.spec_from_file_location("sdexplain", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules["sdexplain"] = module
    spec.loader.exec_module(module)


if "sdexplain" not in sys.modules:
    load_pack()

if __name__ == "__main__":
    name = sys.argv[1]
    sys.argv[:] = [f"python dev.py run {name}", *sys.argv[2:]]
    sys.exit(importlib.import_module(f"sdexplain.{name}").main())
