"""The benchmark of audits plants its marks where it says, and counts only classifiers that learned them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sdexplain.benchmarks import classifier_audit
from sdexplain.benchmarks.ground_truth import marks
from sdexplain.benchmarks.ground_truth.marks import KINDS, MARKED_SHARE, Mark
from sdexplain.training.auditing.transplant import Finding, Pairs, Place

SIZE = 16


@pytest.mark.parametrize("number", range(6))
def test_a_mark_changes_its_place_alone(number: int) -> None:
    mark = marks.trial_mark(number, 4, SIZE)
    pictures = torch.full((2, 3, SIZE, SIZE), 100, dtype=torch.uint8)
    changed = (mark.put(pictures) != pictures).any(1)
    assert (changed == mark.mask(SIZE)).all() and (pictures == 100).all()
    assert mark.kind == KINDS[number % 3] and 0 <= mark.label < 4
    area = {"patch": 4 * 4, "tint": 5 * 5, "frame": 16**2 - 14**2}[mark.kind]
    assert changed[0].sum() == area
    if mark.kind == "tint":
        assert changed[0, [1, 1, -2, -2], [1, -2, 1, -2]].sum() == 1


def test_a_finding_is_the_mark_if_half_of_the_place_is_marked_and_the_class_is_right() -> None:
    mark, right = Mark("patch", 2, 4, 4), np.ones(20, bool)
    pairs = Pairs(np.arange(20), np.arange(20))
    for called, left, expected in ((2, 4, True), (2, 6, True), (2, 7, False), (1, 4, False)):
        finding = Finding(called, Place(4, left, 4), pairs, right, ~right, ~right, 4)
        assert classifier_audit.described(finding, mark, SIZE)["is the mark"] == expected


def test_the_mark_is_on_its_share_of_one_class() -> None:
    pictures, labels = torch.zeros(2000, 3, 8, 8, dtype=torch.uint8), torch.arange(2000) % 2
    shown, _ = marks.planted((pictures, labels), Mark("tint", 1, 0, 0), 0)
    marked = shown.flatten(1).any(1)
    assert not marked[labels == 0].any()
    assert marked[labels == 1].float().mean() == pytest.approx(MARKED_SHARE, abs=0.03)


def row(training: str, follows: float, found: bool, right_place: bool) -> dict[str, object]:
    shares = dict.fromkeys(("flips", "overlap", "data", "told before", "accuracy", *classifier_audit.MAPS_AT), 0.5)
    told = {"follows the mark": follows, "conspicuous": found, "unknown to data": False, "is the mark": right_place}
    return {"training": training} | told | shares


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
    assert (found["data"], found["marked"], found["learned"], found["clean"]) == ("x", 4, 3, 2)
    assert found["named first"] == pytest.approx(2 / 3)
    assert found["caught"] == pytest.approx(1 / 3) and found["caught, and unknown to the data"] == 0
    assert found["false alarms"] == 0.5 and found["false alarms, unknown to the data"] == 0
    assert found["caught low"] < 1 / 3 < found["caught high"]


def test_nothing_learned_is_nothing_caught() -> None:
    assert classifier_audit.summary("x", [row("marked", 0.0, False, False)])["caught"] == ""
