"""The map while the model is still being asked: small, quickly drawn, with how far it has come and how stable it is."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw
from torch import Tensor

from ..answers.settled import FEWEST, Stability
from ..images import to_image
from ..wording import beside_size, format_value, quoted, say, with_assumed
from .colours import colours
from .lettering import paragraph
from .paper import INK, PAPER, Lengths

WIDTH = 384
TALLEST = 2  # times as high as wide; a taller map is drawn narrower


def preview(found: Stability, labels: tuple[str, str], steps: int) -> Image.Image:
    """The first image's map, where the predictions differ, over the words of `progress_words`."""
    lengths = Lengths(WIDTH, 1.0)
    drawn = draw_map(found.map[0])
    words = [paragraph(text, lengths(14), lengths.inner, lines=2) for text in progress_words(found, labels, steps)]
    sheet = Image.new("RGB", (WIDTH, drawn.height + lengths(16) + sum(line.height for line in words)), PAPER)
    sheet.paste(drawn, ((WIDTH - drawn.width) // 2, 0))
    draw, top = ImageDraw.Draw(sheet), drawn.height + lengths(8)
    for line in words:
        line.draw(draw, lengths(16), top, INK)
        top += line.height
    return sheet


def draw_map(values: Tensor) -> Image.Image:
    """An unsigned map [h,w] in colour, from 0 to what all but 0.5 % of the cells stay below."""
    height, width = values.shape
    limit = values.flatten().quantile(0.995).clamp(min=1e-20)
    across = min(WIDTH, round(TALLEST * WIDTH * width / height))
    picture = to_image(colours((values / limit).clamp(0, 1), signed=False))
    return picture.resize((across, max(1, round(across * height / width))), Image.Resampling.BICUBIC)


def progress_words(found: Stability, labels: tuple[str, str], steps: int) -> list[str]:
    """How far it has come, which label leads and by how much, and how well the map repeats itself; of the first image."""
    words = [f"Asked at {found.steps} of {steps} steps. Bright: the prompts differ most."]
    nats, half_width, assumed = (float(values[0]) for values in (found.log_odds, found.half_width, found.assumed))
    if nats:
        told = f"{quoted(labels[nats < 0])} by {format_value(abs(nats))} nats"
        if math.isfinite(half_width):
            told += f" ± {format_value(half_width)}"
        else:
            told = f"{told}, too early for an error" if found.steps < FEWEST else say("unsure_total", total=told)
        words.append(with_assumed(told, beside_size(assumed, nats), nats))
    if found.steps > 1:
        words.append(f"Map against other steps: correlation {float(found.agreement[0]):.2f}")
    return words
