"""The benchmark of audits plants its marks where it says, and counts only classifiers that learned them."""

from __future__ import annotations

import pytest
import torch
from sdexplain.benchmarks import classifier_audit
from sdexplain.benchmarks.classifier_audit import KINDS, MARKED_SHARE, Mark

SIZE = 16


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("corner", range(4))
@pytest.mark.parametrize("inset", [0, 1])
def test_a_mark_changes_its_corner_alone(kind: str, corner: int, inset: int) -> None:
    mark = Mark(kind, 0, corner, inset)
    pictures = torch.full((2, 3, SIZE, SIZE), 100, dtype=torch.uint8)
    changed = (mark.put(pictures) != pictures).any(1)
    outside = changed.clone()
    rows, columns = mark.window(SIZE)
    outside[:, rows, columns] = False
    assert changed.any() and not outside.any() and (pictures == 100).all()
    assert {0: 0, 1: 3, 2: 12, 3: 15}[corner] in mark.regions(SIZE)
    halves = changed[0].float().view(2, SIZE // 2, 2, SIZE // 2).sum((1, 3)).flatten()
    assert halves.argmax() == corner


def test_the_mark_is_on_its_share_of_one_class() -> None:
    pictures, labels = torch.zeros(2000, 3, 8, 8, dtype=torch.uint8), torch.arange(2000) % 2
    shown, _ = classifier_audit.planted((pictures, labels), Mark("tint", 1, 0, 0), 0)
    marked = shown.flatten(1).any(1)
    assert not marked[labels == 0].any()
    assert marked[labels == 1].float().mean() == pytest.approx(MARKED_SHARE, abs=0.03)


def row(training: str, follows: float, conspicuous: bool, right_place: bool) -> dict[str, object]:
    shares = dict.fromkeys(
        ("pictures with the mark first", "classifier's share at the mark", "data's share at the mark", "area"), 0.5
    )
    found = {"follows the mark": follows, "conspicuous": conspicuous, "region is the mark's": right_place}
    return {"training": training, "accuracy": 0.9} | found | shares


def test_only_what_was_learned_can_be_caught() -> None:
    rows = [
        row("marked", 0.9, True, True),
        row("marked", 0.9, True, False),
        row("marked", 0.9, False, True),
        row("marked", 0.1, True, True),
        row("clean", 0.0, True, True),
        row("clean", 0.0, False, False),
    ]
    found = classifier_audit.summary("x", rows)
    assert (found["marked"], found["learned"], found["clean"]) == (4, 3, 2)
    assert found["caught"] == pytest.approx(1 / 3) and found["false alarms"] == 0.5
    assert found["caught low"] < 1 / 3 < found["caught high"]


def test_nothing_learned_is_nothing_caught() -> None:
    assert classifier_audit.summary("x", [row("marked", 0.0, False, False)])["caught"] == ""
