"""The explanation as a film: a window of steps moves through the schedule, and the heatmap of the steps within it changes."""

from __future__ import annotations

from dataclasses import asdict, replace

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..images import from_image, match_pictures, to_image
from ..method.choices import AUTOMATIC_SCALE, WHERE_THEY_DIFFER, Quantity, Scaling
from ..method.difference import Reading, Weighting, sum_ranges
from ..method.heatmap import make_heatmap
from ..method.noising import NoisedLatents
from ..method.prediction import NoisePredictions
from ..method.reading import read_map
from ..wording import WEIGHTING_WORDS
from .legend import draw_legend, legend_lengths, readable_size
from .lettering import paragraph
from .overlay import USUAL, Appearance, overlay
from .paper import INK, MUTED, PAPER, Lengths, stack
from .sheet import range_header

BAR, IN_WINDOW = "#c9ced6", "#1f6feb"  # a step of the schedule, and one within the window


def animate(
    pictures: Tensor,
    predictions: NoisePredictions,
    window: int = 5,
    quantity: Quantity = WHERE_THEY_DIFFER,
    *,
    scaling: Scaling = AUTOMATIC_SCALE,
    appearance: Appearance = USUAL,
) -> Tensor:
    """A frame for each place of the window, from the noisiest steps to the cleanest, [B*frames,H,W,3]: first all of image 1.

    All frames share one colour scale. Below the picture stands the schedule, a bar for the magnitude of each step, with the
    window in colour, and the legend.

    Raises:
        ValueError: a window longer than the schedule, and what `sum_steps`, `make_heatmap` and `overlay` refuse.
    """
    noised = predictions.noised
    pictures = match_pictures(pictures, noised.images, tuple(noised.x0.shape[-2:]), noised.downscale)
    spans = asked_windows(noised, window)
    summed = sum_ranges(predictions, spans, quantity.reading, quantity.weighting)
    heatmap = make_heatmap(read_map(summed, quantity.scalar), **asdict(scaling))
    source = f"A window of {window} of {asked_or_all(noised)}, the noisiest first, {WEIGHTING_WORDS[quantity.weighting]}"
    heatmap = replace(heatmap, source=source, totals=(), reliability=())
    size = readable_size(*pictures.shape[1:3])
    lengths = legend_lengths(*size)
    cells = overlay(pictures.repeat(len(spans), 1, 1, 1), heatmap, appearance, size).unflatten(0, (len(spans), -1))
    strongest = int(heatmap.values.abs().amax((1, 2)).argmax())  # the scale is shared: the legend tells how far its values reach
    legend = draw_legend(heatmap, strongest, lengths, appearance)
    heights = step_magnitudes(predictions, quantity.reading, quantity.weighting)
    frames = [
        stack([single_frame(cell, lengths), draw_schedule(heights[:, image], noised.log_snr, span, lengths), legend])
        for image in range(noised.images)
        for cell, span in zip(cells[:, image], spans, strict=True)
    ]
    return torch.stack([from_image(frame) for frame in frames])


def windows(steps: int, window: int) -> list[tuple[int, int]]:
    """The ranges (start, end) of `window` steps within the schedule, each one step after the last; end is not included.

    Raises:
        ValueError: a window without steps, or one longer than the schedule.
    """
    if not 1 <= window <= steps:
        raise ValueError(f"A window of {window} steps does not fit a schedule of {steps}. Choose a window of 1 to {steps} steps.")
    return [(start, start + window) for start in range(steps - window + 1)]


def asked_windows(noised: NoisedLatents, window: int) -> list[tuple[int, int]]:
    """As `windows`, with `window` steps that were asked in each.

    Raises:
        ValueError: a window without steps, or one longer than what was asked.
    """
    asked = [*noised.asked_steps, noised.steps]
    if noised.asked is not None and window > len(noised.asked):
        raise ValueError(
            f"A window of {window} steps is too long: the model was asked at {asked_or_all(noised)}. Choose a window of 1 to "
            f"{len(noised.asked)} steps, or set the quality to exact: only the missing steps are then asked."
        )
    return [(asked[start], asked[end - 1] + 1) for start, end in windows(len(asked) - 1, window)]


def asked_or_all(noised: NoisedLatents) -> str:
    """How many steps there are, and how many of them were asked, if not all."""
    return f"{noised.steps} steps" if noised.asked is None else f"{len(noised.asked)} asked steps out of {noised.steps}"


def step_magnitudes(predictions: NoisePredictions, reading: Reading, weighting: Weighting) -> Tensor:
    """How much each step says, [S,B]: the mean magnitude of its reading, as a share of the largest step's; 0 if not asked."""
    noised = predictions.noised
    values = sum_ranges(predictions, [(step, step + 1) for step in noised.asked_steps], reading, weighting).mean
    means = torch.zeros(noised.steps, noised.images)
    means[noised.asked_steps] = values.unflatten(0, (len(noised.asked_steps), -1)).abs().mean((2, 3, 4))
    shares: Tensor = means / means.amax(0).clamp(min=torch.finfo(means.dtype).tiny)
    return shares


def single_frame(picture: Tensor, lengths: Lengths) -> Image.Image:
    """The picture in the middle of paper as wide as the legend."""
    paper = Image.new("RGB", (lengths.width, len(picture)), PAPER)
    paper.paste(to_image(picture), ((lengths.width - picture.shape[1]) // 2, 0))
    return paper


def draw_schedule(heights: Tensor, log_snr: Tensor, span: tuple[int, int], lengths: Lengths) -> Image.Image:
    """A bar for each step, those within the window in colour, and in words which steps they are."""
    start, end = span
    steps, (left, width, tall) = len(heights), (lengths(16), lengths.inner, lengths(36))
    strip = Image.new("RGB", (lengths.width, lengths(96)), PAPER)
    draw = ImageDraw.Draw(strip)
    words = ", ".join(range_header(log_snr, span))
    paragraph(words, lengths(14), width, bold=True).draw(draw, left, lengths(10), INK)
    foot = lengths(32) + tall
    edges = [left + round(width * step / steps) for step in range(steps + 1)]
    for step, height in enumerate(heights.tolist()):
        top = foot - max(1, round(tall * height))
        gap = 1 if edges[step + 1] - edges[step] > 3 else 0
        draw.rectangle((edges[step], top, edges[step + 1] - 1 - gap, foot), fill=IN_WINDOW if start <= step < end else BAR)
    draw.rectangle((edges[start], foot + lengths(2), edges[end] - 1, foot + lengths(5)), fill=IN_WINDOW)
    below = foot + lengths(8)
    paragraph("noisiest: layout", lengths(11), width).draw(draw, left, below, MUTED)
    paragraph("cleanest: detail", lengths(11), width).draw(draw, left + width, below, MUTED, "right")
    return strip
