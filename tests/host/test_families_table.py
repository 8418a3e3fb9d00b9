"""The README's table of model families is the one that the tests use."""

from __future__ import annotations

from pathlib import Path

from families_table import table

README = Path(__file__).resolve().parent.parent.parent / "README.md"


def test_the_readme_has_the_table() -> None:
    """`python dev.py run tests/support/families_table.py` writes it."""
    assert table() in README.read_text(encoding="utf-8")
