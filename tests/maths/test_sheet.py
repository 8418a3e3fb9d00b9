"""The sheet cuts the schedule without a gap, and shows all ranges on one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import analytic
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sdexplain.nodes.maths.answers.verdict import judge, preferences
from sdexplain.nodes.maths.method.choices import EVIDENCE_IN_NATS, WHERE_THEY_DIFFER, Quantity, Scaling
from sdexplain.nodes.maths.method.difference import split_steps, sum_ranges, sum_steps
from sdexplain.nodes.maths.method.heatmap import make_heatmap
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.pictures import sheet as sheets
from sdexplain.nodes.maths.pictures.overlay import Appearance
from sdexplain.nodes.maths.pictures.sheet import cell_size, columns_per_band, range_header, step_sheet
from sdexplain.nodes.maths.wording import SENTENCES
from torch import Tensor

STEPS = 12


def a_prediction(images: int = 1, steps: int = STEPS, samples: int = 1, seed: int = 0) -> NoisePredictions:
    generator = torch.Generator().manual_seed(seed)
    noised = analytic.noised_latents(torch.randn(images, 4, 6, 5, generator=generator), samples=samples, steps=steps)
    target = torch.randn(samples, steps, images, 4, 6, 5, generator=generator)
    return NoisePredictions(noised, target, torch.zeros_like(target), "zebra", "horse")


def grey_decoder(latents: Tensor) -> Tensor:
    return (0.5 + 0.05 * latents.mean(1))[..., None].expand(-1, -1, -1, 3)


def colourfulness(sheet: Tensor) -> float:
    return (sheet.amax(-1) - sheet.amin(-1)).max().item()


# ---------------------------------------------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("steps", "ranges", "spans"),
    [
        (50, 5, [(0, 10), (10, 20), (20, 30), (30, 40), (40, 50)]),
        (50, 1, [(0, 50)]),
        (3, 3, [(0, 1), (1, 2), (2, 3)]),
        (20, 6, [(0, 3), (3, 7), (7, 10), (10, 13), (13, 17), (17, 20)]),
    ],
)
def test_the_schedule_is_cut_into_equal_ranges(steps: int, ranges: int, spans: list[tuple[int, int]]) -> None:
    assert split_steps(steps, ranges) == spans


@given(st.integers(1, 300), st.data())
def test_every_step_is_in_one_range_and_their_lengths_differ_by_one_at_most(steps: int, data: st.DataObject) -> None:
    spans = split_steps(steps, data.draw(st.integers(1, steps)))
    assert [step for start, end in spans for step in range(start, end)] == list(range(steps))
    lengths = {end - start for start, end in spans}
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("reading", ["difference", "absolute"])
def test_the_ranges_add_up_to_the_whole(reading: str) -> None:
    predictions = a_prediction(images=2, samples=2)
    ranges = sum_ranges(predictions, split_steps(STEPS, 5), reading, "information")
    whole = sum_steps(predictions, reading=reading, weighting="information").values
    parts = ranges.values.unflatten(1, (5, 2))
    assert torch.allclose(parts.sum(1), whole, atol=1e-4)


def test_all_ranges_and_images_share_one_scale() -> None:
    predictions = a_prediction(images=2)
    spans = split_steps(STEPS, 3)
    heatmap = make_heatmap(read_map(sum_ranges(predictions, spans, "difference", "uniform")), percentile=100)
    largest = max(sum_steps(predictions, *span).mean.norm(dim=1).max() for span in spans)
    assert heatmap.limits.tolist() == pytest.approx([largest.item()] * 6)


@pytest.mark.parametrize(
    ("log_snr", "span", "header"),
    [
        ([-5.43, -3.2, -1.0, 4.0], (0, 2), ("Steps 0–2", "log SNR −5.4 to −3.2")),
        ([-torch.inf, -3.2, 1.04, 4.0], (0, 3), ("Steps 0–3", "log SNR −∞ to 1.0")),
        ([-5.43, -3.2, -1.0, 4.0], (3, 4), ("Steps 3–4", "log SNR 4.0")),
        ([-0.01, 0.01], (0, 2), ("Steps 0–2", "log SNR 0.0")),
    ],
)
def test_a_column_is_headed_by_its_steps_and_their_log_snr(
    log_snr: list[float], span: tuple[int, int], header: tuple[str, str]
) -> None:
    assert range_header(torch.tensor(log_snr), span) == header


# ---------------------------------------------------------------------------------------------------------------- layout


@pytest.mark.parametrize(("ranges", "columns"), [(1, 1), (5, 5), (8, 8), (9, 5), (20, 7), (50, 8)])
def test_many_ranges_stand_in_even_bands(ranges: int, columns: int) -> None:
    assert columns_per_band(ranges) == columns


@pytest.mark.parametrize(
    ("picture", "columns", "cell"),
    [
        ((512, 512), 5, (307, 307)),
        ((64, 64), 3, (384, 384)),
        ((512, 2048), 4, (96, 384)),
        ((1024, 256), 4, (576, 144)),
        ((1000, 1000), 8, (192, 192)),
    ],
)
def test_pictures_have_a_readable_size(picture: tuple[int, int], columns: int, cell: tuple[int, int]) -> None:
    assert cell_size(picture, columns) == cell


@pytest.mark.parametrize("ranges", [1, 5, 12])
def test_a_sheet_is_as_wide_as_its_columns_and_a_batch_has_one_each(ranges: int) -> None:
    sheet = step_sheet(torch.rand(2, 48, 40, 3), a_prediction(images=2), ranges)
    height, width = cell_size((48, 40), columns_per_band(ranges))
    assert sheet.shape[0] == 2 and sheet.shape[3] == 3
    assert sheet.shape[2] >= columns_per_band(ranges) * width
    assert sheet.shape[1] > height * (2 if ranges > 8 else 1)


def test_the_decoded_row_is_added_with_one_call_of_the_decoder() -> None:
    calls = []

    def decode(latents: Tensor) -> Tensor:
        calls.append(latents)
        return grey_decoder(latents)

    predictions, photo = a_prediction(images=2), torch.rand(1, 48, 40, 3)
    without = step_sheet(photo, predictions, 4)
    with_row = step_sheet(photo, predictions, 4, decode=decode)
    assert with_row.shape[1] > without.shape[1] + cell_size((48, 40), 4)[0]
    assert [len(latents) for latents in calls] == [8]
    first = predictions.noised.to_vae(-sum_steps(predictions, 0, 3).mean)
    assert torch.allclose(calls[0][:2], first, atol=1e-5)


def test_the_decoded_row_of_the_absolute_reading_is_signed() -> None:
    """|d| is not a latent: what is decoded is the signed sum all the same."""
    seen = []

    def decode(latents: Tensor) -> Tensor:
        seen.append(latents)
        return grey_decoder(latents)

    predictions, photo = a_prediction(), torch.rand(1, 48, 40, 3)
    for reading in ("difference", "absolute"):
        step_sheet(photo, predictions, 3, Quantity(reading, "uniform"), decode=decode)
    assert torch.equal(seen[0], seen[1])


def test_decoded_pictures_lie_on_the_centre_that_was_encoded() -> None:
    difference = sum_ranges(a_prediction(), split_steps(STEPS, 2), "difference", "uniform")
    row = sheets.decoded_row(difference, lambda z: torch.zeros(len(z), 48, 40, 3), (51, 47), (102, 94), 2)
    cell = row.cells[0, 0]
    assert not cell[2:98, 6:86].any()
    assert (cell[:2] == 1).all() and (cell[:, :6] == 1).all() and (cell[:, 86:] == 1).all()
    assert row.caption == "The summed difference itself, decoded: “zebra” minus “horse”"


def test_equal_images_have_equal_sheets() -> None:
    one = a_prediction()
    twice = NoisePredictions(
        analytic.noised_latents(one.noised.x0.repeat(2, 1, 1, 1), steps=STEPS),
        one.target.repeat(1, 1, 2, 1, 1, 1),
        one.contrast.repeat(1, 1, 2, 1, 1, 1),
        "zebra",
        "horse",
    )
    photo = torch.rand(1, 48, 40, 3)
    both = step_sheet(photo, twice, 3, scaling=Scaling(100), decode=grey_decoder)
    assert torch.equal(both[0], both[1])
    assert torch.allclose(both[:1], step_sheet(photo, one, 3, scaling=Scaling(100), decode=grey_decoder), atol=2 / 255)


def test_only_ranges_with_something_reliable_are_coloured_and_the_legend_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Evidence for the target in the last third of the steps, noise in all."""
    predictions = a_prediction(samples=4)
    noise = predictions.noised.noise[:, :, None]
    contrast = noise + 0.3 * a_prediction(samples=4, seed=1).target
    contrast[:, 8:] += 2.0
    noisy = replace(predictions, target=noise + 0.3 * predictions.target, contrast=contrast)
    drawn = []
    monkeypatch.setattr(sheets, "overlay", lambda pictures, heatmap, *_: drawn.append(heatmap) or pictures)
    monkeypatch.setattr(sheets, "draw_legend", lambda heatmap, *_: drawn.append(heatmap) or Image.new("RGB", (9, 9)))
    step_sheet(torch.rand(1, 48, 40, 3), noisy, 3, EVIDENCE_IN_NATS, scaling=Scaling(reliability="reliable only"))
    heatmap, legend = drawn
    assert [bool(values.any()) for values in heatmap.values] == [False, False, True]
    assert heatmap.values[2].min() >= 0
    assert set(legend.reliability) == {
        "Ranges that stay clear are no more than noise, or have no cells beyond 3 standard errors."
    }
    assert legend.totals == (), "a range's total is not the picture's"


@pytest.mark.parametrize("ranges", [1, 3])
def test_the_sheet_of_a_faint_image_of_a_batch_says_that_it_is_on_the_scale_of_all(
    monkeypatch: pytest.MonkeyPatch, ranges: int
) -> None:
    predictions = a_prediction(images=2)
    faint = replace(predictions, target=predictions.target * torch.tensor([1, 1 / 400])[:, None, None, None])
    remarks = []
    monkeypatch.setattr(sheets, "draw_legend", lambda *inputs: remarks.append(inputs[4]) or Image.new("RGB", (9, 9)))
    step_sheet(torch.rand(1, 48, 40, 3), faint, ranges)
    assert remarks[0] == ""
    # squares: 1 / 400^2 = 0.000625 %, beside the scale's percentile and with other cells
    assert remarks[1].startswith("One scale for all 2 images; this one reaches 0.000")


def test_sheets_whose_legends_differ_in_length_are_one_batch_on_white(monkeypatch: pytest.MonkeyPatch) -> None:
    heights = iter([9, 40])
    monkeypatch.setattr(sheets, "draw_legend", lambda *inputs: Image.new("RGB", (9, next(heights))))
    first, second = step_sheet(torch.rand(2, 48, 40, 3), a_prediction(images=2), 3)
    assert first.shape == second.shape
    assert (first[-31:] == 1).all() and (second[-31:, :9] == 0).all()


def test_the_same_prompt_twice_gives_a_sheet_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "draw_legend", lambda *_: Image.new("RGB", (9, 9)))  # warns in red of an unknown picture
    predictions = a_prediction()
    same = NoisePredictions(predictions.noised, predictions.target, predictions.target, "zebra", "zebra")
    photo = torch.rand(1, 48, 40, 3)
    assert colourfulness(step_sheet(photo, same, 3)) < 0.1
    assert colourfulness(step_sheet(photo, predictions, 3)) > 0.4


# --------------------------------------------------------------------------------------------------- all on one sheet


@pytest.mark.parametrize(("ranges", "columns", "rows"), [(1, 2, 1), (3, 3, 2)])
def test_one_sheet_has_every_image_with_its_log_odds(
    monkeypatch: pytest.MonkeyPatch, ranges: int, columns: int, rows: int
) -> None:
    """Side by side where there is one range, else a row for each image."""
    seen: list[tuple[Any, ...]] = []
    drawn = sheets.draw_sheet
    monkeypatch.setattr(sheets, "draw_sheet", lambda *inputs: seen.append(inputs) or drawn(*inputs))
    photos, predictions = torch.rand(2, 48, 40, 3), a_prediction(images=2)
    sheet = step_sheet(photos, predictions, ranges, one_sheet=True)
    assert sheet.shape[0] == 1 and sheet.isfinite().all()
    ((heatmap, headers, drawn_rows, image, _),) = seen
    assert (len(headers), len(drawn_rows), image) == (columns, rows, 0)
    verdicts = preferences(judge(predictions))
    words = " ".join([*(text for header in headers for text in header), *(row.caption for row in drawn_rows)])
    assert all(f"Image {number}" in words and verdict in words for number, verdict in enumerate(verdicts, start=1))
    cells = torch.stack([row.cells for row in drawn_rows])  # [rows,columns,1,h,w,3]
    each = cells[0, :, 0] if ranges == 1 else cells[:, :, 0].transpose(0, 1).flatten(0, 1)
    assert len(each) == 2 * ranges == len(heatmap.values)
    size = tuple(each.shape[1:3])
    assert torch.equal(each, sheets.overlay(photos.repeat(ranges, 1, 1, 1), heatmap, size=size))


@pytest.mark.parametrize(("steps", "samples"), [(1, 1), (2, 1), (3, 1), (2, 2)])
def test_one_sheet_says_where_nothing_tells_the_standard_error(monkeypatch: pytest.MonkeyPatch, steps: int, samples: int) -> None:
    """As a legend does: one sample of fewer than 3 steps; a verdict of more has its ±, and whether it is undecided."""
    seen: list[tuple[Any, ...]] = []
    drawn = sheets.draw_sheet
    monkeypatch.setattr(sheets, "draw_sheet", lambda *inputs: seen.append(inputs) or drawn(*inputs))
    monkeypatch.setattr(sheets, "judge", lambda predictions: replace(judge(predictions), familiarity=None))
    step_sheet(torch.rand(2, 48, 40, 3), a_prediction(images=2, steps=steps, samples=samples), 1, one_sheet=True)
    ((heatmap, headers, *_),) = seen
    untold = steps < 3 and samples == 1
    assert [words.endswith(", standard error unknown") for _, words in headers] == [untold] * 2
    assert ["±" in words for _, words in headers] == [not untold] * 2
    assert heatmap.totals == (f"Standard error unknown. {SENTENCES['take_more']}.",) * 2 * untold


# ------------------------------------------------------------------------------------------------------------- bad input


def test_ranges_of_pure_noise_alone_are_told_beside_others() -> None:
    noised = replace(a_prediction().noised, alphas=torch.tensor([0.0, *[1.0] * (STEPS - 1)]))
    predictions = replace(a_prediction(), noised=noised)
    spans = [(0, 1), (1, STEPS)]
    for which, told in ((spans, True), (spans[:1], False), (spans[1:], False)):
        heatmap = make_heatmap(read_map(sum_ranges(predictions, which, "evidence", "information")))
        said = sheets.speak_for_all(heatmap, 3, "Ranges").reliability
        assert said == ("Ranges of pure noise alone have no weight.",) * len(which) * told


def test_there_are_at_most_as_many_ranges_as_steps() -> None:
    """The node's own five must not stop a run of four steps."""
    assert split_steps(4, 5) == [(0, 1), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: split_steps(12, 0), "can't be cut into 0 ranges"),
        (
            lambda: step_sheet(torch.rand(3, 48, 40, 3), a_prediction(images=2)),
            "There are 3 images, but the difference is of 2",
        ),
        (lambda: step_sheet(torch.rand(1, 1, 1, 3), a_prediction()), "has 1×1 pixels, but the latent has 5×6 cells"),
        (
            lambda: step_sheet(
                torch.rand(1, 48, 40, 3), a_prediction(), 5, Quantity("difference", "uniform", "decoded luminance")
            ),
            "needs a VAE. Connect the model's",
        ),
        (
            lambda: step_sheet(torch.rand(1, 48, 40, 3), a_prediction(), appearance=Appearance("RdBu_r")),
            "unsigned and needs a sequential",
        ),
    ],
)
def test_what_makes_no_sheet_is_refused(draw: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw()


# ------------------------------------------------------------------------------------------------------------------ node


def test_the_node_draws_and_shows_the_sheet(comfy_host: Path) -> None:
    from sdexplain.nodes.sheet import StepSheet

    class Vae:
        decode = staticmethod(grey_decoder)

    settings: dict[str, Any] = {
        entry.id: entry.default for entry in StepSheet.define_schema().inputs if getattr(entry, "default", None) is not None
    }
    predictions, photo = a_prediction(), torch.rand(1, 48, 40, 3)
    output = StepSheet.execute(image=photo, predictions=predictions, vae=Vae(), **{**settings, "ranges": 3})
    assert torch.equal(output.result[0], step_sheet(photo, predictions, 3, WHERE_THEY_DIFFER, decode=grey_decoder))
    assert len(output.ui.as_dict()["images"]) == 1
    assert np.isfinite(output.result[0].numpy()).all()
