"""The maths given whatever can be given: results that are right in themselves, or a ValueError in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import hypothesis
import pytest
import torch
from explorer_files import contents
from hypothesis import assume, given
from hypothesis import strategies as st
from sdexplain.nodes.maths.answers.verdict import judge, report
from sdexplain.nodes.maths.files.archive import pack, read
from sdexplain.nodes.maths.files.explorer import overview, parts
from sdexplain.nodes.maths.images import match_pictures
from sdexplain.nodes.maths.method.choices import Quantity
from sdexplain.nodes.maths.method.difference import COMBINED, Reading, Weighting, latent, sum_steps
from sdexplain.nodes.maths.method.heatmap import Show, make_heatmap, show_only
from sdexplain.nodes.maths.method.placing import Interpolation, masks
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.method.reliability import Reliability
from sdexplain.nodes.maths.method.scalar import Scalar
from sdexplain.nodes.maths.pictures.colours import AUTOMATIC, DIVERGING, SEQUENTIAL
from sdexplain.nodes.maths.pictures.legend import add_legend
from sdexplain.nodes.maths.pictures.lettering import paragraph
from sdexplain.nodes.maths.pictures.overlay import Appearance, Background, overlay
from sdexplain.nodes.maths.pictures.sheet import step_sheet
from sdexplain.nodes.maths.pictures.verdict_plot import plot_verdict
from sdexplain.nodes.maths.wording import plain_text
from sdexplain.tools.trials import contract
from sdexplain.tools.trials.predictions import made_predictions
from torch import Tensor

pytestmark = pytest.mark.slow

fuzzed = hypothesis.settings.get_profile("fuzz")
drawn = hypothesis.settings(fuzzed, max_examples=fuzzed.max_examples // 3)  # what draws pictures takes longer

# every kind of Unicode, whole characters only: others are refused before, see nodes/inputs/checks.py
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Mn", "Co", "Cn"]), max_size=12),
    st.text(st.sampled_from("אבגدحخ\u202e\u202d\u200f\u200d🦓👨‍👩‍👧🏳️ﷺ한漢ไทย"), max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "z" * 10_000,
            "zebra " * 1700,
            "e" + "\u0301" * 500,
            "<b>&amp;</b>",
            "$x^2$ \\frac{",
            "{}%s",
            "\n".join("ab"),
        ]
    ),
)
floats = st.floats(width=32, allow_nan=True, allow_infinity=True)
spoiled = st.sampled_from([0.0, -0.0, 1e30, -1e30, 3e38, 1e-45, float("nan"), float("inf"), float("-inf")])


@st.composite
def all_predictions(draw: st.DrawFn, most_cells: int = 9) -> NoisePredictions:
    made = made_predictions(
        images=draw(st.integers(1, 2)),
        samples=draw(st.integers(1, 5)),
        steps=draw(st.integers(1, 4)),
        channels=draw(st.sampled_from([1, 3, 4, 16])),
        height=draw(st.integers(1, most_cells)),
        width=draw(st.sampled_from([1, 2, 7, 64])),
        seed=draw(st.integers(0, 99)),
        labels=(draw(texts), draw(texts)),
        spread=draw(st.sampled_from([0.0, 1e-8, 0.1, 1e4, 1e18])),
        antithetic=draw(st.booleans()),
        fresh_noise=draw(st.booleans()),
    )
    if draw(st.booleans()):
        return made
    target = made.target.clone()
    target.view(-1)[draw(st.integers(0, target.numel() - 1))] = draw(spoiled)
    return replace(made, target=target)


readings, weightings = st.sampled_from(get_args(Reading)), st.sampled_from(get_args(Weighting))
scalars, shows = st.sampled_from(get_args(Scalar)), st.sampled_from(get_args(Show))
looks = st.builds(
    Appearance,
    st.sampled_from([AUTOMATIC, *DIVERGING, *SEQUENTIAL]),
    st.floats(0, 1),
    st.sampled_from(get_args(Background)),
    st.sampled_from(get_args(Interpolation)),
)


def right_or_told(work: Callable[[], Any]) -> Any:
    """What the work gives, or None where it ended with a ValueError that says what was expected or what to do."""
    try:
        return work()
    except ValueError as error:
        assert contract.REMEDY.search(str(error)), error
        return None


def is_picture(pictures: Tensor, images: int) -> bool:
    return pictures.ndim == 4 and len(pictures) == images and pictures.shape[-1] == 3 and in_range(pictures)


def in_range(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all()) and 0 <= values.min() and values.max() <= 1


@fuzzed
@given(all_predictions(), readings, weightings, st.integers(-3, 6), st.one_of(st.none(), st.integers(-3, 6)))
def test_a_sum_is_finite_and_the_opposite_of_the_swapped_one(
    predictions: NoisePredictions, reading: Reading, weighting: Weighting, start: int, end: int | None
) -> None:
    summed = right_or_told(lambda: sum_steps(predictions, start, end, reading, weighting))
    assume(summed is not None)
    assert summed.values.shape[:2] == (predictions.noised.samples, predictions.noised.images)
    swapped = replace(predictions, target=predictions.contrast, contrast=predictions.target)
    back = sum_steps(swapped, start, end, reading, weighting).values
    parts = COMBINED if reading == "combined" else (reading,)
    signs = torch.tensor([-1 if part in ("difference", "evidence") else 1 for part in parts]).view(-1, 1, 1)
    assert torch.equal(summed.values, signs * back) or not torch.isfinite(summed.values).all()
    if torch.equal(predictions.target, predictions.contrast):
        assert not summed.values.any()


@drawn
@given(
    all_predictions(),
    readings,
    weightings,
    scalars,
    st.one_of(st.floats(50, 100), floats),
    st.one_of(st.just(0.0), floats),
    st.sampled_from(get_args(Reliability)),
    st.one_of(st.floats(0.1, 10), floats),
    shows,
    looks,
    st.sampled_from([(64, 64), (1, 1), (9, 512), (512, 9), (61, 67)]),
)
def test_a_heatmap_is_a_picture_in_range_or_an_error_in_words(
    predictions: NoisePredictions,
    reading: Reading,
    weighting: Weighting,
    scalar: Scalar,
    percentile: float,
    scale: float,
    reliability: Reliability,
    threshold: float,
    show: Show,
    look: Appearance,
    size: tuple[int, int],
) -> None:
    images = predictions.noised.images

    def draw() -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        photo = match_pictures(
            torch.rand(images, *size, 3), images, tuple(predictions.noised.x0.shape[2:]), predictions.noised.downscale
        )
        summed = sum_steps(predictions, 0, None, reading, weighting)
        heatmap = make_heatmap(
            read_map(summed, scalar), percentile=percentile, scale=scale, reliability=reliability, threshold=threshold
        )
        shown = show_only(heatmap, show)
        picture = overlay(photo, shown, look)
        return picture, add_legend(picture, shown, look), masks(heatmap, size, look.interpolation)

    result = right_or_told(draw)
    assume(result is not None)
    picture, with_legend, (positive, negative) = result
    assert is_picture(picture, images) and is_picture(with_legend, images)
    assert in_range(positive) and in_range(negative)
    assert not (positive * negative).any()
    if not (predictions.target != predictions.contrast).any():
        assert not positive.any() and not negative.any()


@drawn
@given(all_predictions(), st.integers(-1, 5), readings, weightings, scalars, looks)
def test_a_sheet_is_a_picture_or_an_error_in_words(
    predictions: NoisePredictions, ranges: int, reading: Reading, weighting: Weighting, scalar: Scalar, look: Appearance
) -> None:
    photo = torch.rand(predictions.noised.images, 72, 72, 3)
    sheet = right_or_told(lambda: step_sheet(photo, predictions, ranges, Quantity(reading, weighting, scalar), appearance=look))
    assume(sheet is not None)
    assert is_picture(sheet, predictions.noised.images)


@drawn
@given(
    all_predictions(),
    st.integers(-1, 5),
    st.one_of(st.just(-1), st.integers(-1, 5)),
    st.one_of(st.floats(0.01, 100), floats),
)
def test_a_verdict_is_a_probability_or_an_error_in_words(
    predictions: NoisePredictions, start: int, end: int, temperature: float
) -> None:
    stop = None if end == -1 else end
    verdict = right_or_told(lambda: judge(predictions, start, stop, temperature))
    assume(verdict is not None)
    assert in_range(verdict.probability)
    assert ((verdict.probability > 0.5) <= (verdict.log_odds > 0)).all()
    assert report(verdict).strip()
    assert is_picture(plot_verdict(verdict), predictions.noised.images)


@fuzzed
@given(texts, st.integers(6, 60), st.one_of(st.integers(1, 900), st.floats(0.5, 900)), st.integers(1, 4), st.booleans())
def test_any_text_is_set_within_its_lines(text: str, size: int, width: float, lines: int, bold: bool) -> None:
    words = paragraph(text, size, width, lines, bold)
    assert len(words.lines) <= lines or len(plain_text(text)) <= 4 or all(len(line) <= 3 for line in words.lines)
    assert not any(ord(letter) < 32 for line in words.lines for letter in line)


@fuzzed
@given(all_predictions(most_cells=4), st.sampled_from(["float32", "float16"]))
def test_a_saved_file_gives_back_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, predictions: NoisePredictions, precision: str
) -> None:
    content = right_or_told(lambda: pack(predictions, precision))
    assume(content is not None)
    file = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    file.write_bytes(content)
    loaded = right_or_told(lambda: read(file))
    assert (loaded is None) == (not torch.isfinite(predictions.target).all())
    assume(loaded is not None)
    assert (loaded.target_label, loaded.contrast_label) == (predictions.target_label, predictions.contrast_label)
    expected = predictions.target if precision == "float32" else predictions.target.half()
    assert torch.equal(loaded.target, expected)
    assert torch.equal(loaded.noised.x0, predictions.noised.x0)


@drawn
@given(all_predictions(most_cells=4), readings)
def test_what_the_page_is_given_can_be_read(predictions: NoisePredictions, reading: Reading) -> None:
    photo = torch.rand(predictions.noised.images, 64, 520, 3)
    files = right_or_told(lambda: (overview(predictions, photo), parts(predictions, reading, 0)))
    assume(files is not None)
    header, arrays = contents(files[0])
    assert (header["target"], header["contrast"]) == (predictions.target_label, predictions.contrast_label)
    assert arrays["curves"].shape[1:] == (
        predictions.noised.samples,
        predictions.noised.steps,
        predictions.noised.images,
    )
    summed = contents(files[1])[1]["values"]
    assert summed.shape[-2:] == tuple(predictions.noised.x0.shape[2:])


@fuzzed
@given(all_predictions(most_cells=4), st.text(max_size=12), st.text(max_size=12))
def test_a_latent_is_finite_or_refused(predictions: NoisePredictions, direction: str, base: str) -> None:
    signed = right_or_told(lambda: sum_steps(predictions, 0, None, "difference", "uniform"))
    assume(signed is not None)
    right_or_told(lambda: latent(signed, predictions.noised.x0, direction, base))
    given_latent = right_or_told(lambda: latent(signed, predictions.noised.x0, "target - contrast", "difference alone"))
    assume(given_latent is not None)
    assert torch.isfinite(given_latent).all()
