"""The film of a window of steps that moves through the schedule."""

from __future__ import annotations

import analytic
import numpy as np
import pytest
import torch
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.heatmap import make_heatmap
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.pictures import animation
from sdexplain.nodes.maths.pictures.animation import animate, draw_schedule, step_magnitudes, windows
from sdexplain.nodes.maths.pictures.overlay import Appearance, overlay
from sdexplain.nodes.maths.pictures.paper import Lengths

STEPS = 4
LENGTHS = Lengths(512, 1.0)


def a_prediction(images: int = 1) -> NoisePredictions:
    generator = torch.Generator().manual_seed(0)
    noised = analytic.noised_latents(torch.randn(images, 4, 6, 5, generator=generator), samples=1, steps=STEPS)
    target = torch.randn(1, STEPS, images, 4, 6, 5, generator=generator)
    return NoisePredictions(noised, target, torch.zeros_like(target), "zebra", "horse")


def test_the_windows_move_by_one_step_from_the_first_to_the_last() -> None:
    assert windows(4, 2) == [(0, 2), (1, 3), (2, 4)]
    assert windows(4, 4) == [(0, 4)]


@pytest.mark.parametrize("window", [0, STEPS + 1])
def test_a_window_that_does_not_fit_is_refused_with_those_that_do(window: int) -> None:
    with pytest.raises(ValueError, match=f"window of {window} steps does not fit a schedule of 4. Choose a window of 1 to 4"):
        animate(torch.rand(1, 48, 40, 3), a_prediction(), window)


def test_each_frame_shows_its_window_on_the_one_scale_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    photos, predictions = torch.rand(2, 48, 40, 3), a_prediction(images=2)
    plain = Appearance(background="photo")
    scales = []
    made = animation.make_heatmap

    def remembered(*inputs: object, **options: object) -> object:
        scales.append(made(*inputs, **options))
        return scales[-1]

    monkeypatch.setattr(animation, "make_heatmap", remembered)
    frames = animate(photos, predictions, 2, appearance=plain)
    (heatmap,) = scales
    assert len(set(heatmap.limits.tolist())) == 1
    assert len(frames) == 2 * 3  # images, places of the window
    for place, (start, end) in enumerate(windows(STEPS, 2)):
        own = make_heatmap(read_map(sum_steps(predictions, start, end, "information")), scale=float(heatmap.limits[0]))
        expected = overlay(photos, own, plain, (614, 512))
        for image in range(2):
            drawn = frames[3 * image + place, :614]
            assert torch.allclose(drawn, expected[image], atol=1 / 255)


def test_the_schedule_marks_the_steps_within_the_window() -> None:
    heights, log_snr = torch.tensor([0.5, 1.0, 0.25, 1.0]), torch.tensor([-4.0, -1.0, 1.0, 4.0])
    strip = np.asarray(draw_schedule(heights, log_snr, (1, 3), LENGTHS)).astype(int)
    blue = (strip == [0x1F, 0x6F, 0xEB]).all(-1)
    columns = np.flatnonzero(blue.any(0))
    assert (columns.min(), columns.max()) == (16 + 120, 16 + 360 - 1)  # steps 1 and 2 of 4 on 480 pixels
    tall, low = blue[:, 16 + 180].sum(), blue[:, 16 + 300].sum()
    assert tall > low > 0


def test_the_bars_are_each_steps_share_of_the_largest() -> None:
    heights = step_magnitudes(a_prediction(images=2), "information", "uniform")
    assert heights.shape == (STEPS, 2)
    assert torch.equal(heights.amax(0), torch.ones(2)) and (heights > 0).all()
