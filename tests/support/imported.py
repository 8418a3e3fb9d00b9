"""What a file of Python imports."""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path


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


def modules_of(root: Path, file: Path, files: Collection[Path]) -> tuple[set[Path], set[str]]:
    """Which of the checkout's `files` a file imports, relative to `root` as they are, and the names of all else.

    Imports for type checking alone count too: they say who knows of whom.
    """
    own, others = set(), set()
    for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            folder = Path(*file.parent.parts[: len(file.parent.parts) - node.level + 1]) if node.level else Path()
            base = folder.joinpath(*(node.module or "").split("."))
            hits = {hit for alias in node.names if (hit := _file_of(base, alias.name, files)) is not None}
            own |= hits - {file}
            if not node.level and not hits:
                others.add(node.module or "")
    return own, others


def _file_of(base: Path, name: str, files: Collection[Path]) -> Path | None:
    """The file that `from base import name` reads: a module of that name, the module itself, or the package."""
    candidates = ((base / name).with_suffix(".py"), base.with_suffix(".py") if base.parts else base, base / "__init__.py")
    return next((each for each in candidates if each in files), None)
