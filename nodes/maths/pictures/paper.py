"""What all sheets share: the paper, the ink, the sizes of letters and margins."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

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
