"""Each label against no words at all: four cases, their words, and words that a model never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import analytic
import pytest
import torch
from sdexplain.nodes.maths.answers.no_words import find_cases
from sdexplain.nodes.maths.answers.verdict import headline, judge, preferences, report
from sdexplain.nodes.maths.method.cases import (
    CLEANEST,
    ERRORS,
    MARGIN,
    MOST_STEPS,
    Cases,
    few_levels,
    meaningful_steps,
    unknown_words,
    unknown_words_note,
)
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.own_pictures import OwnPictures
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect_prompt
from sdexplain.nodes.maths.method.reached import reached_cells
from torch import Tensor

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


# ---------------------------------------------------------------------------------------------------- asked of a known model

SPREAD = 0.5
SIDE = 16


def gaussian(noised: NoisedLatents, mean: float) -> Tensor:
    """What a model predicts that holds all cells for Gaussian around a mean."""
    classes = analytic.Gaussians(torch.tensor([mean]), torch.tensor([mean]), SPREAD)
    denoise = analytic.wrapped(classes, "eps")
    return collect_prompt(noised, lambda x, sigma: denoise(x, sigma, "target"), chunk=256)


def noised_picture(around: float, samples: int = 4, antithetic: bool = True, images: int = 1) -> NoisedLatents:
    picture = around + SPREAD * torch.randn(images, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    noised = analytic.noised_latents(picture, samples=samples, steps=24)
    noise = draw_noise((1, SIDE, SIDE), 5, samples, 24, True, antithetic)
    return replace(noised, noise=noise, antithetic=antithetic)


def asked(around: float, target: float, contrast: float, **options: int | bool) -> NoisePredictions:
    """A picture around one mean, asked about two others, and without words about the mean 0."""
    noised = noised_picture(around, **options)
    predictions = NoisePredictions(noised, gaussian(noised, target), gaussian(noised, contrast), "zebra", "horse")
    few = few_levels(noised)
    return replace(predictions, cases=find_cases(predictions, few, gaussian(few.noised, 0.0)))


def test_nats_against_no_words_are_those_of_the_known_answer() -> None:
    predictions = asked(0.4, 0.5, -0.3)
    few, x0 = few_levels(predictions.noised).noised, predictions.noised.x0.double()
    last, first = float(few.sigmas[-1]), float(few.sigmas[0])
    known = SPREAD**2 * (1 / (SPREAD**2 + last**2) - 1 / (SPREAD**2 + first**2))
    for found, mean in ((predictions.cases.target, 0.5), (predictions.cases.contrast, -0.3)):
        exact = ((x0**2 - (x0 - mean) ** 2) / (2 * SPREAD**2)).sum() * known
        assert found.item() == pytest.approx(exact.item(), rel=0.1)


@pytest.mark.parametrize(
    ("around", "target", "contrast", "case"),
    [(0.6, 0.6, -0.6, "target"), (-0.6, 0.6, -0.6, "contrast"), (0.6, 0.5, 0.7, "both fit"), (0.0, 0.6, -0.6, "neither")],
)
@pytest.mark.parametrize(("samples", "antithetic"), [(1, False), (2, True), (4, True)])
def test_the_case_of_a_picture_around_a_mean(
    around: float, target: float, contrast: float, case: str, samples: int, antithetic: bool
) -> None:
    assert asked(around, target, contrast, samples=samples, antithetic=antithetic).cases.cases == [case]


def test_few_levels_are_few_and_take_only_what_was_asked() -> None:
    noised = noised_picture(0.0)
    few = few_levels(noised)
    assert (few.noised.steps, few.noised.samples) == (MOST_STEPS, 2) and few.noised.antithetic
    assert set(few.steps) <= set(meaningful_steps(noised))
    some = few_levels(replace(noised, asked=(0, 3, 5, 23)))
    assert some.steps == (0, 3, 5) and some.noised.asked is None
    assert few_levels(replace(noised, asked=(3, 23))) is None, "one step that tells is too few"


@pytest.mark.parametrize("samples", [1, 2])
def test_the_middle_levels_are_asked_first_and_samples_together(samples: int) -> None:
    few = few_levels(noised_picture(0.0, samples=samples, antithetic=samples == 2))
    assert few.order[:samples] == [(sample, 3) for sample in range(samples)] and len(set(few.order)) == MOST_STEPS * samples
    assert [few.first(levels).noised.asked for levels in (1, 2, 5, 6)] == [(3,), (2, 3), (1, 2, 3, 4, 5), None]


@pytest.mark.parametrize("levels", range(1, MOST_STEPS + 1))
def test_some_levels_stand_for_all_and_decide_only_what_they_can(levels: int) -> None:
    """The known answer is the same share of the log-SNR axis; that neither fits, or both do, is asked to the end."""
    for around, target, contrast, decided in (
        (0.6, 0.6, -0.6, True),
        (-0.6, 0.6, -0.6, True),
        (0.6, 0.5, 0.7, False),
        (0.0, 0.6, -0.6, False),
    ):
        whole = asked(around, target, contrast, samples=2)
        few = few_levels(whole.noised).first(levels)
        empty = gaussian(few.noised, 0.0)
        unasked = sorted(set(range(MOST_STEPS)) - set(few.noised.asked_steps))
        empty[:, unasked] = 0
        found = find_cases(whole, few, empty)
        assert found.decided.tolist() == [decided]
        assert found.target.sign() == whole.cases.target.sign() and found.contrast.sign() == whole.cases.contrast.sign()


@pytest.mark.parametrize(
    ("target", "contrast", "error", "decided"),
    [
        (5, -5, 2, True),
        (-5, 5, 2, True),
        (5, -1, 2, False),
        (1, -5, 2, False),
        (5, 5, 2, False),
        (-5, -5, 2, False),
        (1, -1, None, True),
        (0, 0, None, False),
    ],
)
def test_it_is_decided_once_one_label_helps_and_the_other_hinders_by_more_than_an_error(
    target: float, contrast: float, error: float | None, decided: bool
) -> None:
    assert cases_of(target, contrast, error).decided.tolist() == [decided]


@pytest.mark.parametrize("levels", [1, MOST_STEPS])
def test_a_contrast_that_is_the_empty_prompt_is_no_rival_of_it(levels: int) -> None:
    same = asked(0.6, 0.6, 0.0, samples=2)
    few = few_levels(same.noised).first(levels)
    empty = gaussian(few.noised, 0.0)
    empty[:, sorted(set(range(MOST_STEPS)) - set(few.noised.asked_steps))] = 0  # as it is where the model was not asked
    assert same.cases is None and find_cases(same, few, empty) is None


def test_cells_that_no_prompt_reaches_do_not_count() -> None:
    """There ComfyUI answers 0; in full and half precision nothing else is taken for it."""
    whole = asked(0.6, 0.6, -0.6)
    noised = whole.noised
    nothing = torch.stack([noised.at(s, step) / noised.sigmas[step] for s in range(4) for step in range(24)])
    nothing = nothing.view(whole.target.shape)
    for kept in (torch.float32, torch.float16):
        parts = [prediction.to(kept, copy=True) for prediction in (whole.target, whole.contrast)]
        assert reached_cells(noised, parts, 12).all()
        for part in parts:
            part[..., :5] = nothing[..., :5].to(kept)
        found = reached_cells(noised, parts, 12)
        assert not found[..., :5].any() and found[..., 5:].all()
        assert reached_cells(noised, [parts[0], whole.contrast.to(kept)], 12).all(), "one of the prompts is enough"
        predictions = replace(whole, target=parts[0], contrast=parts[1])
        few = few_levels(noised)
        half = find_cases(predictions, few, gaussian(few.noised, 0.0))
        assert half.target.item() == pytest.approx(whole.cases.target.item() * 11 / 16, rel=0.15)


WORDS: dict[str, Callable[[NoisePredictions], str]] = {
    "verdict": lambda predictions: report(judge(predictions)),
    "legend": lambda predictions: sum_steps(predictions).familiarity[0],
}


@pytest.mark.parametrize("where", WORDS)
def test_verdict_and_legend_say_that_neither_fits_and_call_nothing_preferred(where: str) -> None:
    neither, target = asked(0.0, 0.6, -0.6), asked(0.6, 0.6, -0.6)
    said = "Neither “zebra” nor “horse” describes this picture better than no words at all."
    assert said in WORDS[where](neither) and said not in WORDS[where](target)
    assert sum_steps(neither).strange == (True,)


@pytest.mark.parametrize("where", WORDS)
def test_of_a_picture_that_the_model_does_not_know_no_words_are_said_to_fit(where: str) -> None:
    """A Gaussian knows of its picture only how smooth it is; the legend's reason comes first."""
    for contrast, said in ((-0.6, "describes this picture best"), (0.7, "describe this picture better than")):
        unknown = asked(0.6, 0.5, contrast)
        assert "does not know this picture" in WORDS[where](unknown) and said not in WORDS[where](unknown)
        known = replace(unknown, own_pictures=OwnPictures(9, (0, 1), (0.9, 1.0, 1.5, 2.0, 3.0), (1e-3, 0.01, 0.1, 0.5, 0.9)))
        assert said in WORDS[where](known) or where == "legend" and contrast < 0
    neither = replace(asked(0.0, 0.6, -0.6), own_pictures=known.own_pictures)
    assert sum_steps(neither).familiarity[0].startswith("Neither “zebra” nor “horse” describes")
    assert "although the model knows such pictures" in sum_steps(neither).familiarity[0]


def test_where_neither_fits_the_headline_says_why_nothing_is_preferred() -> None:
    verdict = replace(judge(asked(0.05, 0.6, -0.6)), familiarity=None)
    assert verdict.strange.tolist() == [True] and verdict.decided.tolist() == [False]
    assert headline(verdict, 0).startswith("No label is preferred, because neither describes this picture better than no words")
    assert preferences(verdict)[0].endswith(", but neither fits")


def test_two_labels_that_fit_are_both_named() -> None:
    verdict = replace(judge(asked(0.6, 0.5, 0.7)), familiarity=None)
    assert not verdict.strange.any()
    assert "Both “zebra” and “horse” describe this picture better than no words at all." in report(verdict)


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
