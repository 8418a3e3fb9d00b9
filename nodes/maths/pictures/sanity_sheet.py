"""The picture of Sanity Check: its maps side by side, each with what was found."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image
from torch import Tensor

from ..answers.sanity import Answers, Check, summed
from ..images import from_image, match_pictures
from ..method.difference import join_images
from ..method.heatmap import make_heatmap
from ..method.reading import read_map
from ..wording import WEIGHTING_WORDS, quoted
from .colours import AUTOMATIC, end_colours
from .legend import draw_legend
from .lettering import paragraph
from .overlay import overlay
from .paper import INK, MUTED, PAPER, WARNING, draw_paragraphs, stack
from .sheet import Grid, cell_size, draw_headers, draw_row


def sanity_sheet(picture: Tensor, answers: Answers, checks: list[Check], source: str) -> Tensor:
    """The maps of all answers beside each other, each with what came of its check, above the legend and all checks, [1,H,W,3].

    picture: [1 or more,H,W,3 or 4]; the first is the one that was checked.

    Raises:
        ValueError: see `overlay`.
    """
    same, swapped, _, reworded, shuffled = checks[:5]  # the others have no map of their own
    candidates = [
        ("The map", same, answers.first),
        ("Prompts swapped", swapped, answers.swapped),
        ("Other words", reworded, answers.paraphrased),
        ("Shuffled weights", shuffled, answers.randomised),
    ]
    panels = [(title, check, asked) for title, check, asked in candidates if asked is not None]
    maps = join_images([summed(asked, "evidence") for _, _, asked in panels])
    heatmap = replace(make_heatmap(read_map(maps), shared=False), source=f"{source}, {WEIGHTING_WORDS['information']}")
    pictures = match_pictures(picture[:1], 1, heatmap.latent_size, heatmap.downscale)
    grid = Grid(len(panels), cell_size(pictures.shape[1:3], len(panels)))
    cells = overlay(pictures.expand(len(panels), -1, -1, -1), heatmap, size=grid.cell)
    colour, other = end_colours(AUTOMATIC, heatmap.signed)[1], quoted(answers.first.contrast_label)
    caption = f"{heatmap.quantity}, each map on its own scale; where the prompts are swapped, {colour} speaks for {other}"
    parts = [
        draw_headers([(title, f"{check.mark}: {check.figure}") for title, check, _ in panels], grid),
        draw_row(caption, cells, grid),
        draw_checks(checks, grid),
        draw_legend(heatmap, 0, grid.lengths),
    ]
    return from_image(stack(parts))[None]


def draw_checks(checks: list[Check], grid: Grid) -> Image.Image:
    """Every check in at most three lines; failed ones in red as well."""
    lengths = grid.lengths
    texts = [paragraph(str(check), lengths(12), lengths.width - 2 * grid.left(0), lines=3) for check in checks]
    strip = Image.new("RGB", (lengths.width, sum(text.height + lengths(4) for text in texts) + lengths(8)), PAPER)
    top = lengths(8)
    for check, text in zip(checks, texts, strict=True):
        colour = {True: INK, False: WARNING, None: MUTED}[check.passed]
        top = draw_paragraphs(strip, [text], grid.left(0), top, colour) + lengths(4)
    return strip
