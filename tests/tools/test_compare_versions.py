"""What compares two versions lets words change and nothing else."""

from __future__ import annotations

import torch
from sdexplain.tools.compare_versions import Kept, compare

INK = torch.tensor([22, 24, 29]) / 255
RED = torch.tensor([200, 30, 30]) / 255


def sheet(words_at: int, colour: torch.Tensor = RED, height: int = 30) -> Kept:
    """A picture of ten rows over a white legend with a line of words and, six rows below, a bar of colour."""
    picture = torch.ones(1, height, 20, 3)
    picture[:, :10] = 0.5
    picture[:, words_at, 3:9] = INK
    picture[:, words_at + 6, 3:9] = colour
    return Kept({"[0]": picture}, {})


def said(old: Kept, new: Kept) -> str:
    found = compare(old, new, has_words=True, picture_height=10)
    return f"{found.said.partition(':')[0]}, {'wrong' if found.wrong else 'right'}"


def test_words_may_change_and_move_what_is_below_them() -> None:
    assert said(sheet(12), sheet(12)) == "identical, right"
    assert said(sheet(12), sheet(14)) == "words alone, right"
    assert said(sheet(12), sheet(14, height=34)) == "words alone, right"
    found = compare(sheet(12), sheet(14), has_words=True, picture_height=10)
    assert found.said.endswith("4.00% of pixels, in 3,12 to 9,21 of 20×30")


def test_a_change_of_colour_or_in_the_picture_is_wrong() -> None:
    assert said(sheet(12), sheet(12, RED * 0.99)) == "PICTURE DIFFERS, wrong"
    changed = sheet(12)
    changed.tensors["[0]"][0, 4, 4] += 1e-6
    assert said(sheet(12), changed) == "PICTURE DIFFERS, wrong"
    assert compare(sheet(12), sheet(14), has_words=False, picture_height=0).wrong


def test_the_last_bit_of_a_value_counts_and_nan_is_the_same_as_itself() -> None:
    one = torch.tensor([1.0, float("nan")])
    assert not compare(Kept({"a": one}, {}), Kept({"a": one.clone()}, {}), False, 0).wrong
    assert compare(Kept({"a": one}, {}), Kept({"a": torch.nextafter(one, one + 1)}, {}), False, 0).wrong
    assert compare(Kept({}, {"[0]": "0.5"}), Kept({}, {"[0]": "0.25"}), False, 0).wrong


def test_a_text_may_be_said_otherwise_but_not_its_numbers() -> None:
    old = Kept({}, {"[0]": '"Undecided: 1.5 nats"'})
    found = compare(old, Kept({}, {"[0]": '"Not decided: 1.5 nats, see 0.2"'}), False, 0)
    assert (found.said, found.wrong, found.lines[0]) == ("words alone", False, "-[0] Undecided: 1.5 nats")
    assert compare(old, Kept({}, {"[0]": '"Undecided: 1.4 nats"'}), False, 0).wrong
