"""Each label against no words at all: four cases, their words, and words that a model never saw."""

from __future__ import annotations

import analytic
import pytest
import torch
from sdexplain.nodes.maths.answers.cases import (
    CLEANEST,
    ERRORS,
    MARGIN,
    Cases,
    meaningful_steps,
    unknown_words,
    unknown_words_note,
)

FAR = MARGIN + 20


def cases_of(target: float, contrast: float, error: float | None = None) -> Cases:
    errors = None if error is None else torch.tensor([error])
    return Cases(torch.tensor([target]), torch.tensor([contrast]), errors, errors, "zebra", "horse")


@pytest.mark.parametrize(
    ("target", "contrast", "case"),
    [
        (FAR, -FAR, "target"),
        (-FAR, FAR, "contrast"),
        (FAR, FAR + 1, "both fit"),
        (-FAR, -FAR - 1, "neither"),
        (0, -FAR, "target"),  # the right label may do no better than no words
        (-MARGIN / 2, -FAR, "target"),  # or a little worse
        (0, 1, "contrast"),
        (FAR, 0, "target"),
    ],
)
def test_the_four_cases(target: float, contrast: float, case: str) -> None:
    assert cases_of(target, contrast).cases == [case]


def test_swapping_the_labels_swaps_the_case() -> None:
    swapped = {"target": "contrast", "contrast": "target", "both fit": "both fit", "neither": "neither"}
    for target in (-FAR, -1.0, 2.0, FAR):
        for contrast in (-FAR - 1, -0.5, 1.0, FAR + 1):
            assert cases_of(contrast, target).cases == [swapped[cases_of(target, contrast).cases[0]]]


def test_a_large_error_takes_neither_and_both_back() -> None:
    error = 20 / ERRORS + 1
    assert cases_of(-FAR, -FAR).cases == ["neither"] and cases_of(-FAR, -FAR, error).cases == ["target"]
    assert cases_of(FAR, FAR).cases == ["both fit"] and cases_of(FAR, FAR, error).cases == ["target"]


def test_every_image_has_its_own_case_and_words() -> None:
    zero = torch.zeros(4)
    found = Cases(torch.tensor([FAR, FAR, -FAR, 0]), torch.tensor([-FAR, FAR, -FAR, -1]), zero, zero, "zebra", "horse")
    assert found.cases == ["target", "both fit", "neither", "target"]
    assert [found.words(image) for image in range(4)] == [
        "“zebra” describes this picture best; “horse” describes it worse than no words at all.",
        "Both “zebra” and “horse” describe this picture better than no words at all.",
        "Neither “zebra” nor “horse” describes this picture better than no words at all.",
        "“zebra” describes this picture best; “horse” describes it hardly better than no words at all.",
    ]


def test_telling_steps_leave_out_the_cleanest() -> None:
    noised = analytic.noised_latents(torch.randn(1, 4, 3, 5), steps=12)
    steps = meaningful_steps(noised)
    assert steps == list(range(len(steps))) and 0 < len(steps) < 12
    assert float(noised.log_snr[steps[-1]]) <= CLEANEST < float(noised.log_snr[len(steps)])


VOCABULARY = ("a", "photo", "of", "zebra", "sports", "car")


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("", []),
        ("a photo of a zebra", []),
        ("A Photo, of a ZEBRA!", []),
        ("a photo of a cat", ["cat"]),
        ("a cat, a dog and a cat", ["cat", "dog", "and"]),
        ("a photo of a قطة", ["قطة"]),
        ("斑馬 🦓", ["斑馬", "🦓"]),
        ("(zebra:1.2)", ["1", "2"]),
        ("zèbre", ["zèbre"]),
    ],
)
def test_unknown_words(prompt: str, unknown: list[str]) -> None:
    assert unknown_words(prompt, VOCABULARY) == unknown


def test_the_note_on_unknown_words_is_short_and_empty_without_any() -> None:
    assert unknown_words_note([]) == ""
    assert unknown_words_note(["cat"]).startswith("The model was never shown this word: “cat”.")
    many = unknown_words_note([f"word{number}" for number in range(50)])
    assert "these words" in many and "…" in many and len(many) < 150
