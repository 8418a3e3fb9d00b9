"""`python dev.py test --quick`: what it leaves out, and that it leaves out no file of the maths."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from sdexplain.tools.environment import ROOT


def is_quick(function: ast.FunctionDef) -> bool:
    """Whether nothing in a test's own lines says that it takes a host, a page or long."""
    marks = {each for each in ("host", "page", "slow") for mark in function.decorator_list if f"mark.{each}" in ast.unparse(mark)}
    return not marks and not {argument.arg for argument in function.args.args} & {
        "comfyui",
        "comfyui_server",
        "comfy_host",
        "page",
    }


def used_by_quick_tests(file: Path) -> set[str]:
    """The modules, such as `nodes.maths.images`, from which quick tests of a file, or what these call, use something."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    sources = {
        alias.asname or alias.name: (f"{node.module}.{alias.name}", node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sdexplain.")
        for alias in node.names
    }
    quick = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or is_quick(node)]
    names = {name.id for node in quick for name in ast.walk(node) if isinstance(name, ast.Name)}
    return {module.removeprefix("sdexplain.") for name in names & set(sources) for module in sources[name]}


def test_quick_tests_use_something_of_every_file_of_the_maths() -> None:
    used = set().union(*map(used_by_quick_tests, (ROOT / "tests" / "maths").glob("test_*.py")))
    maths = [file.relative_to(ROOT) for file in (ROOT / "nodes" / "maths").rglob("*.py") if file.name != "__init__.py"]
    assert maths and {".".join(file.with_suffix("").parts) for file in maths} <= used


def test_quick_leaves_out_what_takes_a_host_a_page_or_long() -> None:
    files = [str(ROOT / "tests" / name) for name in ("tools/test_quick.py", "tools/test_dev.py", "page/test_page.py")]
    command = [sys.executable, "-m", "pytest", "--quick", "--collect-only", "-q", *files]
    collected = {
        line.partition("::")[2].partition("[")[0]
        for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    }
    functions = [node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    assert collected - {""} == {node.name for node in functions if node.name.startswith("test_") and is_quick(node)}
