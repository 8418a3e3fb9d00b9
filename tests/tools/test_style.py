"""The code passes ComfyUI core's and the registry's own rules."""

from __future__ import annotations

import subprocess
import sys

from sdexplain.tools.environment import ROOT


def test_ruff_finds_nothing() -> None:
    found = subprocess.run([sys.executable, "-m", "ruff", "check", str(ROOT)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_nothing_in_the_nodes_runs_code_from_text_or_starts_programs() -> None:
    """The registry refuses packs that do; ruff's S102 and S307 cover exec and eval."""
    banned = ("import subprocess", "os.system", "import pickle", "import pip", "import_module(")
    for file in [ROOT / "__init__.py", *(ROOT / "nodes").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert not [word for word in banned if word in text], file
