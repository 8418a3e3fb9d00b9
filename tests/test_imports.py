"""Imports point one way: entry -> nodes -> host adapters -> maths, and the maths knows nothing of ComfyUI."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NODES = ROOT / "nodes"
MATHS = sorted((NODES / "maths").glob("*.py"))
HOSTS_OWN = {
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "folder_paths",
    "server",
    "execution",
    "latent_preview",
}


def imported_by(file: Path) -> set[str]:
    """The names of all modules that a file imports, dots of relative imports included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found |= {base} if node.module else {base + alias.name for alias in node.names}
    return found


def test_the_maths_works_where_comfyui_cannot_be_imported() -> None:
    code = f"""
import importlib, importlib.util, sys
for name in {sorted(HOSTS_OWN)!r}:
    sys.modules[name] = None  # importing it raises ImportError
spec = importlib.util.spec_from_file_location("sdexplain", r"{ROOT / "__init__.py"}", submodule_search_locations=[r"{ROOT}"])
sys.modules["sdexplain"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["sdexplain"])
for name in {[file.stem for file in MATHS if file.stem != "__init__"]!r}:
    importlib.import_module(f"sdexplain.nodes.maths.{{name}}")
print("imported")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent)
    assert result.stdout.strip() == "imported", result.stderr


@pytest.mark.parametrize("file", MATHS, ids=lambda file: file.stem)
def test_the_maths_imports_only_libraries_and_itself(file: Path) -> None:
    imported = imported_by(file)
    assert not {name.split(".")[0] for name in imported} & HOSTS_OWN
    assert not [name for name in imported if name.startswith("..")], "the maths looks up from its folder"


@pytest.mark.parametrize(
    "file", [file for file in MATHS if file.stem in ("noising", "prediction", "difference")], ids=lambda f: f.stem
)
def test_what_is_computed_needs_torch_and_numpy_alone(file: Path) -> None:
    outside = {name.split(".")[0] for name in imported_by(file) if not name.startswith(".")}
    assert outside - set(sys.stdlib_module_names) <= {"torch", "numpy"}


@pytest.mark.parametrize("file", sorted((NODES / "host").glob("*.py")), ids=lambda file: file.stem)
def test_host_adapters_import_no_nodes(file: Path) -> None:
    assert not [name for name in imported_by(file) if name.startswith("..") and not name.startswith(("..maths", "..."))]


@pytest.mark.parametrize("file", sorted(NODES.glob("*.py")), ids=lambda file: file.stem)
def test_nodes_import_no_other_node(file: Path) -> None:
    others = {f".{other.stem}" for other in NODES.glob("*.py")} - {".types", ".__init__"}
    assert not imported_by(file) & others
