"""One look for all plots: matplotlib draws lines and numbers, and never a text that a person typed (`lettering` does)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image, ImageDraw

from ..wording import format_value
from .lettering import paragraph
from .paper import INK, MUTED, PAPER, RULE, Lengths

LENGTHS = Lengths(width=1024, unit=2.0)  # at half its size, as a node shows it, a plot has a legend's letters
SPEAKS_FOR, SPEAKS_AGAINST = "#b2182b", "#2166ac"  # RdBu's red and blue, which colour-blind readers can distinguish
BAND = MUTED
ROUND = (1, 2, 5, 10)  # what ticks count in, and ten times that

# All that could differ where the person's own matplotlibrc or another pack changed it.
LOOK: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": LENGTHS(12),
    "text.usetex": False,
    "text.parse_math": False,
    "axes.facecolor": PAPER,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelpad": LENGTHS(4),
    "axes.linewidth": LENGTHS(0.5),
    "axes.grid": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "lines.linewidth": LENGTHS(1.5),
    "path.sketch": None,
}


def draw_plot(height: int, draw: Callable[[Figure], None]) -> Image.Image:
    """A picture of `LENGTHS.width` by `height` pixels of what `draw` does to an empty figure; lengths in it are pixels."""
    with matplotlib.rc_context(LOOK):
        # 72 dots per inch: matplotlib's points are then pixels
        layout = ConstrainedLayoutEngine(w_pad=LENGTHS(8) / 72, h_pad=LENGTHS(4) / 72)
        figure = Figure((LENGTHS.width / 72, height / 72), dpi=72, facecolor=PAPER, layout=layout)
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def dress(axes: Axes, label: str) -> None:
    """An open frame, a line at 0, numbers as everywhere in the pack, and what is counted upwards."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(0, color=INK, linewidth=LENGTHS(0.7), zorder=3)
    axes.grid(axis="y", color=RULE, linewidth=LENGTHS(0.4), alpha=0.5)
    axes.set_axisbelow(True)
    axes.set_ylabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value)))


def draw_key(entries: list[tuple[str, str]], columns: int = 2) -> Image.Image:
    """What colours mean, [(colour, words), …], row by row in columns; the words may quote labels."""
    left, line, side = LENGTHS(16), LENGTHS(18), LENGTHS(10)
    column = (LENGTHS.width - 2 * left) // columns
    key = Image.new("RGB", (LENGTHS.width, line * -(-len(entries) // columns)), PAPER)
    draw = ImageDraw.Draw(key)
    for number, (colour, words) in enumerate(entries):
        x, top = left + number % columns * column, number // columns * line
        middle = top + line // 2
        draw.rectangle((x, middle - side // 2, x + side, middle + side // 2), fill=colour)
        text = paragraph(words, LENGTHS(12), column - side - LENGTHS(14))
        text.draw(draw, x + side + LENGTHS(6), middle - text.height // 2, INK)
    return key
