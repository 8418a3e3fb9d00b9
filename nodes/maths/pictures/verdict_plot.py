"""A verdict as a picture: the answer, what every step says, and how it adds up over the chosen range."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from ..answers.verdict import CONFIDENCE, Verdict, details, headline, label_words, range_words, reading_rule
from .lettering import Paragraph, paragraph
from .paper import INK, MUTED, PAPER, as_batch, draw_paragraphs
from .plot import BAND, LENGTHS, ROUND, SPEAKS_AGAINST, SPEAKS_FOR, draw_key, draw_plot, dress

RANGE = "#fff1c9"  # behind the chosen steps
LEFT_OUT = 0.35  # opacity of the other steps
PANELS = 300  # height of both panels, where the sheet is 512 wide


def plot_verdict(verdict: Verdict) -> Tensor:
    """Each image's plot, [B,H,1024,3] in 0..1; all are as high as the one with the most words."""
    return as_batch([draw_verdict(verdict, image) for image in range(verdict.images)])


def draw_verdict(verdict: Verdict, image: int) -> Image.Image:
    """One image's plot: the answer, the panels of `draw_steps` and `draw_sums`, and the key to their colours."""
    key = draw_key(key_entries(verdict))
    words = [paragraph(f"{headline(verdict, image)}.", LENGTHS(16), LENGTHS.inner, lines=3, bold=True)]
    words += [paragraph(text, LENGTHS(12), LENGTHS.inner, lines=6) for text in [" ".join(details(verdict, image))] if text]
    rule = paragraph(reading_rule(verdict), LENGTHS(11), LENGTHS.inner, lines=3)
    panels = draw_plot(LENGTHS(PANELS), lambda figure: _draw_panels(figure, verdict, image))
    margin, gap = LENGTHS(12), LENGTHS(6)
    height = 2 * margin + 3 * gap + sum(line.height for line in words) + panels.height + key.height + rule.height
    sheet = Image.new("RGB", (LENGTHS.width, height), PAPER)
    top = _draw_words(sheet, words, margin, INK) + gap
    sheet.paste(panels, (0, top))
    sheet.paste(key, (0, top + panels.height + gap))
    _draw_words(sheet, [rule], top + panels.height + key.height + 2 * gap, MUTED)
    return sheet


def key_entries(verdict: Verdict) -> list[tuple[str, str]]:
    """The colours of the panels and what they mean."""
    target, contrast = label_words(verdict)
    entries = [(SPEAKS_FOR, f"speaks for {target}"), (SPEAKS_AGAINST, f"speaks for {contrast}")]
    if verdict.error is not None:
        bars = "" if verdict.step_error is None else "standard error, "
        entries.append((BAND, f"{bars}{CONFIDENCE:.0%} interval"))
    if not verdict.whole:
        entries.append((RANGE, f"chosen range: {range_words(verdict)}"))
    return entries


def _draw_panels(figure: Figure, verdict: Verdict, image: int) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.15, 1))
    if not verdict.whole:
        for axes in (above, below):
            axes.axvspan(verdict.start - 0.5, verdict.end - 0.5, color=RANGE, linewidth=0, zorder=0)
    draw_steps(above, verdict, image)
    draw_sums(below, verdict, image)
    _number_steps(above, below, verdict)
    figure.align_ylabels([above, below])


def draw_steps(axes: Axes, verdict: Verdict, image: int) -> None:
    """A bar for each step's nats, paler outside of the range, with its standard error."""
    nats = verdict.step_evidence[:, image].numpy()
    steps = np.arange(verdict.steps)
    chosen = (verdict.start <= steps) & (steps < verdict.end)
    bars = axes.bar(steps, nats, width=0.85 if verdict.steps <= 100 else 1.0, zorder=2)
    for bar, value, inside in zip(bars, nats, chosen, strict=True):
        bar.set(color=SPEAKS_FOR if value > 0 else SPEAKS_AGAINST, alpha=1.0 if inside else LEFT_OUT, linewidth=0)
    if verdict.step_error is not None:
        half_width = verdict.step_error[:, image].numpy()
        axes.vlines(steps, nats - half_width, nats + half_width, color=BAND, linewidth=LENGTHS(1.5), zorder=4)
    _limit(axes, nats)
    dress(axes, "nats per step")


def draw_sums(axes: Axes, verdict: Verdict, image: int) -> None:
    """The sum from the first step of the range on, with its confidence interval as a band; its end is the log-odds.

    There a bar adds the schedule's own error to the band, so that what is undecided is seen to be.
    """
    nats = np.concatenate([[0.0], verdict.sums[:, image].numpy()])
    edges = np.arange(verdict.start, verdict.end + 1) - 0.5
    half_widths, whole_width = verdict.sums_half_width, verdict.half_width
    if half_widths is not None and whole_width is not None:
        half_width, whole = np.concatenate([[0.0], half_widths[:, image].numpy()]), float(whole_width[image])
        axes.fill_between(edges, nats - half_width, nats + half_width, color=BAND, alpha=0.45, linewidth=0, zorder=2)
        axes.vlines(edges[-1:], nats[-1] - whole, nats[-1] + whole, color=BAND, linewidth=LENGTHS(3), zorder=3, clip_on=False)
    colour = SPEAKS_FOR if nats[-1] > 0 else SPEAKS_AGAINST
    axes.plot(edges, nats, color=colour, zorder=4)
    axes.plot(edges[-1:], nats[-1:], "o", color=colour, markersize=LENGTHS(5), zorder=5, clip_on=False)
    _limit(axes, nats)
    dress(axes, "nats, added up")


def _limit(axes: Axes, nats: np.ndarray) -> None:
    """A scale of its own for a plot in which all is 0."""
    if not nats.any():
        axes.set_ylim(-1, 1)


def _number_steps(above: Axes, below: Axes, verdict: Verdict) -> None:
    """Steps below the panels, and the log SNR of the same steps above them."""
    wanted = MaxNLocator(10, steps=ROUND, integer=True, min_n_ticks=1).tick_values(0, max(verdict.steps - 1, 1))
    ticks = [int(tick) for tick in wanted if 0 <= tick < verdict.steps]
    below.set_xlim(-0.7, verdict.steps - 0.3)
    below.set_xticks(ticks, [str(tick) for tick in ticks])
    below.set_xlabel("step (0 is the noisiest)")
    top = above.secondary_xaxis("top")
    top.set_xticks(ticks, [_log_snr_words(float(verdict.log_snr[tick])) for tick in ticks])
    top.set_xlabel("log signal-to-noise ratio (log SNR)")
    top.spines["top"].set_visible(False)


def _log_snr_words(value: float) -> str:
    return "−∞" if value == float("-inf") else f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def _draw_words(sheet: Image.Image, words: list[Paragraph], top: int, colour: str) -> int:
    return draw_paragraphs(sheet, words, LENGTHS(16), top, colour)
