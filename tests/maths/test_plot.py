"""The look that all plots share, and the verdict's: colours and range where they belong, any label within the sheet."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import ImageColor
from sdexplain.nodes.maths.answers.verdict import Verdict, schedule_error
from sdexplain.nodes.maths.pictures.plot import LENGTHS, SPEAKS_AGAINST, SPEAKS_FOR, draw_key, draw_plot, dress
from sdexplain.nodes.maths.pictures.verdict_plot import RANGE, draw_steps, draw_sums, draw_verdict, key_entries, plot_verdict

STEPS = 10
LABELS = [
    "",
    "$x_1$ \\frac{1}{2} \\undefined $",
    "two\nlines\tand\x00more",
    "斑马",
    "סוס and حمار",
    "🦓" * 40,
    "zebra " * 500,
    "x" * 5000,
]


def a_verdict(nats: list[float], samples: int = 2, start: int = 0, end: int | None = None) -> Verdict:
    """One image, with this evidence in each step; two samples that differ by a tenth of it."""
    spread = torch.linspace(0.95, 1.05, samples) if samples > 1 else torch.ones(1)
    evidence = spread[:, None, None] * torch.tensor(nats)[None, :, None]
    return Verdict(
        evidence=evidence,
        blocks=evidence[..., None],
        differs=torch.tensor([any(nats)]),
        log_snr=torch.linspace(-5, 7, len(nats)),
        start=start,
        end=len(nats) if end is None else end,
        temperature=1.0,
        antithetic=False,
        fresh_noise=True,
        target_label="zebra",
        contrast_label="horse",
    )


def painted(picture: np.ndarray, colour: str) -> np.ndarray:
    """Which pixels have exactly this colour, bool [H,W]."""
    return (picture == np.array(ImageColor.getrgb(colour))).all(-1)


def panels(verdict: Verdict) -> np.ndarray:
    """A plot without the key below it, whose squares have all colours."""
    sheet = np.asarray(draw_verdict(verdict, 0))
    return sheet[: sheet.shape[0] - draw_key(key_entries(verdict)).height - LENGTHS(50)]


# ------------------------------------------------------------------------------------------------------------- any plot


def test_a_plot_has_the_asked_size_and_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)

    def draw(figure: Figure) -> None:
        dress(figure.subplots(), "nats")

    assert draw_plot(300, draw).size == (LENGTHS.width, 300)
    assert dict(matplotlib.rcParams) == before


def test_a_plot_looks_the_same_whatever_others_did_to_matplotlib() -> None:
    verdict = a_verdict([1.0, -2.0, 3.0])
    usual = plot_verdict(verdict)
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "black", "text.color": "red", "axes.grid": True}):
        assert torch.equal(plot_verdict(verdict), usual)


def test_the_key_has_each_colour_once_and_in_order() -> None:
    key = np.asarray(draw_key([("#ff0000", "one"), ("#00ff00", "two"), ("#0000ff", "three")]))
    places = [np.argwhere(painted(key, colour)).mean(0) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    assert places[0][1] < places[1][1] and places[0][0] == places[1][0] < places[2][0]
    assert places[0][1] == places[2][1]


# ------------------------------------------------------------------------------------------------------------ a verdict


def test_all_plots_of_a_batch_have_one_size() -> None:
    verdict = a_verdict([1.0] * STEPS)
    batch = replace(
        verdict, evidence=torch.cat([verdict.evidence, 0 * verdict.evidence], dim=2), differs=torch.tensor([True, False])
    )
    plots = plot_verdict(batch)
    assert plots.shape[0] == 2 and plots.shape[2:] == (1024, 3)
    assert plots.dtype == torch.float32 and plots.min() >= 0 and plots.max() == 1


@pytest.mark.parametrize(("sign", "shown", "absent"), [(1, SPEAKS_FOR, SPEAKS_AGAINST), (-1, SPEAKS_AGAINST, SPEAKS_FOR)])
def test_red_speaks_for_the_target_and_blue_for_the_contrast(sign: int, shown: str, absent: str) -> None:
    picture = panels(a_verdict([sign * value for value in range(1, STEPS + 1)]))
    assert painted(picture, shown).sum() > 5000
    assert not painted(picture, absent).any()


def test_steps_of_either_side_stand_above_and_below_the_line() -> None:
    picture = panels(a_verdict([3.0, -3.0] * (STEPS // 2)))
    for_rows, against_rows = (np.argwhere(painted(picture, colour))[:, 0] for colour in (SPEAKS_FOR, SPEAKS_AGAINST))
    assert np.median(for_rows) < np.median(against_rows)


def test_the_chosen_range_is_marked_over_its_steps_and_the_others_are_pale() -> None:
    picture = panels(a_verdict([1.0] * STEPS, start=5, end=10))
    columns = np.argwhere(painted(picture, RANGE))[:, 1]
    bars = np.argwhere(painted(picture, SPEAKS_FOR))[:, 1]
    middle = 0.5 * LENGTHS.width
    assert columns.min() > middle and bars.min() > middle, "the second half of ten steps"
    assert columns.max() - columns.min() > 0.4 * LENGTHS.width
    assert ("chosen range: steps 5–10 of 10") in [words for _, words in key_entries(a_verdict([1.0] * STEPS, start=5))]


def test_the_end_of_the_sum_shows_the_whole_interval_by_which_it_is_decided() -> None:
    """With the schedule's own error, which the band along the steps lacks: undecided, it is seen to reach 0."""
    verdict = a_verdict([9.0, 0.0, 9.0, 0.0, 9.0])
    assert schedule_error(verdict).item() > 1
    axes = Figure().subplots()
    draw_sums(axes, verdict, 0)
    ends = [segment[:, 1] for lines in axes.collections if isinstance(lines, LineCollection) for segment in lines.get_segments()]
    total, half_width = verdict.log_odds.item(), verdict.half_width.item()
    np.testing.assert_allclose(ends, [[total - half_width, total + half_width]], rtol=1e-5)


def test_the_whole_schedule_is_no_range_to_mark() -> None:
    assert not painted(panels(a_verdict([1.0] * STEPS)), RANGE).any()
    assert not any("range" in words for _, words in key_entries(a_verdict([1.0] * STEPS)))


@pytest.mark.parametrize(
    ("samples", "steps", "key"),
    [(2, STEPS, "standard error, 95% interval"), (1, STEPS, "95% interval"), (1, 2, None)],
    ids=["samples", "steps that scatter", "neither"],
)
def test_the_key_speaks_of_what_is_drawn(samples: int, steps: int, key: str | None) -> None:
    verdict = a_verdict([1.0, 2.0] * (steps // 2), samples)
    assert [words for _, words in key_entries(verdict)][2:] == ([key] if key else [])
    axes = Figure().subplots()
    draw_steps(axes, verdict, 0)
    draw_sums(axes, verdict, 0)
    assert bool(axes.collections) == bool(key)


@pytest.mark.parametrize("steps", [1, 2, 3, 50, 400])
def test_any_number_of_steps_can_be_drawn(steps: int) -> None:
    assert painted(panels(a_verdict([2.0] * steps)), SPEAKS_FOR).sum() > 5000


def test_a_step_of_pure_noise_has_a_log_snr_too() -> None:
    verdict = a_verdict([0.0, 1.0, 2.0])
    plot_verdict(replace(verdict, log_snr=torch.tensor([-torch.inf, 0.0, 3.0])))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", LABELS, ids=range(len(LABELS)))
def test_any_label_stays_within_the_sheet(label: str) -> None:
    verdict = replace(a_verdict([1.0, -1.0, 5.0], start=1), target_label=label, contrast_label=label[::-1] + "?")
    sheet = plot_verdict(verdict)[0]
    assert sheet.shape[0] < 1300
    edge = LENGTHS(4)
    for side in (sheet[:, :edge], sheet[:, -edge:], sheet[:edge], sheet[-edge:]):
        assert (side == 1).all()


@settings(max_examples=8, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_a_label(target: str, contrast: str) -> None:
    verdict = replace(a_verdict([1.0, -1.0]), target_label=target, contrast_label=contrast)
    assert plot_verdict(verdict).shape[2] == LENGTHS.width
