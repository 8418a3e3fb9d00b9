"""The code passes its own checks, ComfyUI core's and the registry's rules."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sdexplain.tools.environment import ROOT


@pytest.mark.parametrize(
    "command",
    [["ruff", "format", "--check", "."], ["ruff", "check", "."], pytest.param(["mypy"], marks=pytest.mark.slow)],
    ids=["form", "style", "types"],
)
def test_the_checks_of_the_code_find_nothing(command: list[str]) -> None:
    found = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_types_are_checked_strictly_and_an_unknown_module_is_named(tmp_path: Path) -> None:
    """What a setting that ignores too much would let through is found."""
    wrong = "def halve(number: int) -> str:\n    return number / 2\n\ndef free(number):\n    return number\n\nimport nowhere\n"
    (tmp_path / "wrong.py").write_text(wrong)
    command = [sys.executable, "-m", "mypy", str(tmp_path / "wrong.py")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert all(kind in found for kind in ("[return-value]", "[no-untyped-def]", "[import-not-found]")), found


def test_nothing_in_the_nodes_runs_code_from_text_or_starts_programs() -> None:
    """The registry refuses packs that do; ruff's S102 and S307 cover exec and eval.

    Scanners for packs take a network's .eval() for the built-in one; .train(False) is the same.
    """
    banned = ("import subprocess", "os.system", "import pickle", "import pip", "import_module(", ".eval()")
    for file in [ROOT / "__init__.py", *(ROOT / "nodes").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert not [word for word in banned if word in text], file


LONGEST_EXECUTE = 15  # lines: convert in, call, convert out
MOST_PARAMETERS = 10  # besides the class or the object; what several nodes share comes as one, `**given`


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of the nodes, with its file."""
    for file in sorted((ROOT / "nodes").rglob("*.py")):
        for found in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield file.relative_to(ROOT), found


def test_what_a_node_executes_is_plumbing() -> None:
    """What it decides belongs to the maths or the host; a function within it would be a way around."""
    executes = [(file, function) for file, function in functions() if function.name == "execute"]
    assert len(executes) >= 16
    for file, function in executes:
        body = function.body[1:] if ast.get_docstring(function) else function.body
        lines = body[-1].end_lineno - body[0].lineno + 1
        assert lines <= LONGEST_EXECUTE, f"{file}: execute has {lines} lines"
        inner = [part for statement in body for part in ast.walk(statement) if isinstance(part, (ast.FunctionDef, ast.Lambda))]
        assert not inner, f"{file}: there is a function within execute"


def test_no_function_of_the_nodes_takes_a_long_list() -> None:
    for file, function in functions():
        given = function.args
        named = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs] if each.arg not in ("self", "cls")]
        count = len(named) + sum(each is not None for each in (given.vararg, given.kwarg))
        assert count <= MOST_PARAMETERS, f"{file}: {function.name} takes {count}"
