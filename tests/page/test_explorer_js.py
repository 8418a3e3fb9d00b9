"""The page's scripts by themselves: their unit tests in Node.js, and their types against those that ComfyUI publishes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import javascript
import pytest


def test_the_pages_own_unit_tests_pass() -> None:
    command = [javascript.node(), "--test", str(javascript.FOLDER / "explorer.test.mjs")]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.newest.json"], ids=["pinned page", "newest types"])
def test_the_pages_types_hold_to_those_of_comfyui(project: str) -> None:
    try:
        javascript.get_types()
    except javascript.Unavailable as reason:
        pytest.skip(str(reason))
    command = [javascript.node(), str(javascript.TYPESCRIPT), "--project", str(javascript.FOLDER / project)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("npm", [None, "npm"])
def test_where_the_types_cant_be_had_it_is_said_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, npm: str | None) -> None:
    def no_registry(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "npm error code ENOTFOUND\nnpm error network registry.npmjs.org")

    monkeypatch.setattr(javascript, "INSTALLED", tmp_path / "absent")
    monkeypatch.setattr(javascript.shutil, "which", lambda name: npm)
    monkeypatch.setattr(javascript.subprocess, "run", no_registry)
    with pytest.raises(javascript.Unavailable, match="there is no npm" if npm is None else "reaches no registry"):
        javascript.get_types()
