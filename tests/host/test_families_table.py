"""The table of model families in docs/models.md is the one that the tests use."""

from __future__ import annotations

from families_table import DOC, fill, table


def test_the_doc_has_the_table() -> None:
    """`python dev.py run tests/support/families_table.py` writes it."""
    text = DOC.read_text(encoding="utf-8")
    assert table() in text
    assert fill(text) == text


def test_a_row_that_was_changed_by_hand_is_written_anew() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert fill(text.replace("| noise |", "| nothing |")) == text
