"""What all sheets share: the paper, the ink, the sizes of letters and margins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..images import from_image
from .lettering import Paragraph

READABLE_WIDTH = 512
PAPER = "#ffffff"
INK = "#16181d"
MUTED = "#59616d"
RULE = "#aeb5c0"
WARNING = "#b3261e"


@dataclass(frozen=True)
class Lengths:
    """The sizes of a legend in pixels: called with a length at 512 pixels' width, gives the length at this one."""

    width: int
    unit: float

    def __call__(self, length: float) -> int:
        return round(length * self.unit)

    @property
    def inner(self) -> int:
        """Width of the text; lines as long as a panorama could not be read."""
        return min(self.width - 2 * self(16), self(640))


def draw_paragraphs(sheet: Image.Image, paragraphs: list[Paragraph], left: int, top: int, colour: str) -> int:
    """Draws paragraphs below each other and returns where the last one ends."""
    draw = ImageDraw.Draw(sheet)
    for text in paragraphs:
        text.draw(draw, left, top, colour)
        top += text.height
    return top


def stack(parts: list[Image.Image]) -> Image.Image:
    """Pictures of one width below each other."""
    sheet = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def as_batch(sheets: Sequence[Image.Image]) -> Tensor:
    """Sheets of one width as [B,H,W,3], with paper below those that are less high: words about an image make its sheet longer."""
    height = max(sheet.height for sheet in sheets)
    return torch.stack([from_image(_on_paper(sheet, height)) for sheet in sheets])


def _on_paper(sheet: Image.Image, height: int) -> Image.Image:
    paper = Image.new("RGB", (sheet.width, height), PAPER)
    paper.paste(sheet, (0, 0))
    return paper
