"""Imports point one way, and each folder reaches only what it is allowed to."""

from __future__ import annotations

import functools
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from imported import modules_of
from sdexplain.tools.environment import ROOT

HOSTS_OWN = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "server", "execution", "latent_preview"}

# folder -> the other folders that its modules may import; the first that a module lies in counts
ALLOWED = {
    "nodes/maths/method": {"nodes/maths"},
    "nodes/maths/answers": {"nodes/maths", "nodes/maths/method"},
    "nodes/maths/pictures": {"nodes/maths", "nodes/maths/method", "nodes/maths/answers"},
    "nodes/maths/files": {"nodes/maths", "nodes/maths/method", "nodes/maths/answers", "nodes/maths/pictures"},
    "nodes/maths": set(),
    "nodes/inputs": {"nodes/maths", "nodes/maths/method", "nodes/maths/answers", "nodes/maths/pictures"},
    "nodes/host/loading": {"nodes/host", "nodes/maths", "nodes/maths/method"},
    "nodes/host": {
        "nodes/host/loading",
        "nodes/maths",
        *(f"nodes/maths/{part}" for part in ("method", "answers", "pictures", "files")),
    },
    "nodes": {"nodes/*", "bundled"},
    "bundled": set(),
    "training": {"bundled", "tools", "nodes/maths", "nodes/maths/method"},
    "tools": {"nodes/*", "bundled", "training"},
    "benchmarks": {"nodes/*", "nodes", "bundled", "training", "tools"},
    "": {"nodes", "nodes/*", "tools"},
}
SHIPPED = ("nodes", "bundled", "__init__.py")

FILES = sorted(
    file.relative_to(ROOT)
    for folder in ("nodes", "bundled", "training", "tools", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
    if "probe_pack" not in file.parts
) + [Path("__init__.py"), Path("dev.py")]
AMONG = frozenset(FILES)


@functools.cache
def imports_of(file: Path) -> tuple[set[Path], set[str]]:
    """The checkout's files that a file imports, and the names of all else; read when a test asks, not while all are collected."""
    return modules_of(ROOT, file, AMONG)


def folder_of(file: Path) -> str:
    """The folder of `ALLOWED` that a file lies in."""
    return next(folder for folder in ALLOWED if not folder or file.is_relative_to(folder))


def test_there_is_no_circle() -> None:
    try:
        list(TopologicalSorter({file: imports_of(file)[0] for file in FILES}).static_order())
    except CycleError as error:
        pytest.fail(f"These import each other: {' <- '.join(map(str, error.args[1]))}")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_imports_its_own_folder_and_those_that_it_may(file: Path) -> None:
    folder = folder_of(file)
    allowed = ALLOWED[folder]
    for other in imports_of(file)[0]:
        reached = folder_of(other)
        may = reached == folder or reached in allowed or ("nodes/*" in allowed and reached.startswith("nodes/"))
        assert may, f"{file} imports {other}"


def test_what_is_shipped_reaches_bundled_and_nothing_else_outside_nodes() -> None:
    for file in FILES:
        if file.parts[0] in SHIPPED:
            assert {other.parts[0] for other in imports_of(file)[0]} <= {"nodes", "bundled"}, file


def test_nothing_outside_the_tests_imports_from_them() -> None:
    inside = {file.stem for file in (ROOT / "tests").rglob("*.py")} - {"__init__"}
    for file in FILES:
        assert not {name.split(".")[0] for name in imports_of(file)[1]} & (inside | {"tests"}), file
        assert "sys.path.insert" not in (ROOT / file).read_text(encoding="utf-8"), file


@pytest.mark.parametrize("file", [file for file in FILES if file.parent == Path("nodes")], ids=str)
def test_nodes_import_no_other_node(file: Path) -> None:
    others = {other for other in imports_of(file)[0] if other.parent == Path("nodes")}
    assert others <= {Path("nodes/types.py"), Path("nodes/__init__.py")}


MATHS = [file for file in FILES if file.is_relative_to("nodes/maths")]


def test_the_maths_works_where_comfyui_cannot_be_imported() -> None:
    names = [".".join(file.with_suffix("").parts) for file in MATHS if file.stem != "__init__"]
    code = f"""
import importlib, importlib.util, sys
for name in {sorted(HOSTS_OWN)!r}:
    sys.modules[name] = None  # importing it raises ImportError
spec = importlib.util.spec_from_file_location("sdexplain", r"{ROOT / "__init__.py"}", submodule_search_locations=[r"{ROOT}"])
sys.modules["sdexplain"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["sdexplain"])
for name in {names!r}:
    importlib.import_module(f"sdexplain.{{name}}")
print("imported")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent)
    assert result.stdout.strip() == "imported", result.stderr


@pytest.mark.parametrize(
    "file", [file for file in MATHS if file.stem in ("noising", "prediction", "difference")], ids=lambda f: f.stem
)
def test_what_is_computed_needs_torch_and_numpy_alone(file: Path) -> None:
    outside = {name.split(".")[0] for name in imports_of(file)[1]}
    assert outside - set(sys.stdlib_module_names) <= {"torch", "numpy"}
