"""Text on pictures: any label is drawn as plain text, in the same letters on every machine."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import matplotlib
from arabic_reshaper import ArabicReshaper
from bidi import get_display
from matplotlib.ft2font import FT2Font
from PIL import ImageDraw, ImageFont

from ..wording import plain_text, shorten

Align = Literal["left", "middle", "right"]

LETTERS = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
BOLD_LETTERS = LETTERS.with_name("DejaVuSans-Bold.ttf")
# DejaVu Sans has no Chinese, Japanese, Korean or Indic letters; these are the fonts that Windows, macOS and Linux bring for them.
SYSTEM_LETTERS = (
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "Nirmala.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
)

# DejaVu Sans lacks this one ligature, which is optional.
_arabic = ArabicReshaper(configuration={"ARABIC LIGATURE ALLAH": False})


@dataclass(frozen=True)
class Paragraph:
    """Lines of text in drawing order, all in one font, `spacing` pixels from one to the next."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont
    spacing: int

    @property
    def height(self) -> int:
        return self.spacing * len(self.lines)

    def draw(self, draw: ImageDraw.ImageDraw, x: float, top: float, colour: str, align: Align = "left") -> None:
        """Draw the lines below `top`, with their left end, middle or right end at x."""
        anchor = {"left": "ls", "middle": "ms", "right": "rs"}[align]
        baseline = top + round(0.5 * (self.spacing + 0.72 * self.font.size))
        for number, line in enumerate(self.lines):
            draw.text((x, baseline + number * self.spacing), line, fill=colour, font=self.font, anchor=anchor)


def paragraph(text: str, size: int, width: float, lines: int = 1, bold: bool = False) -> Paragraph:
    """Set a text in at most `lines` lines of `width` pixels; an ellipsis stands for the middle of a longer one."""
    text, font = _in_font(text, size, bold)
    room = lines * width / max(font.getlength(text), 1.0)
    shown = text if room >= 1 else shorten(text, int(room * len(text)))
    wrapped = wrap(shown, font, width)
    while len(wrapped) > lines and len(shown) > 3:
        shown = shorten(text, int(0.95 * len(shown)) - 3)
        wrapped = wrap(shown, font, width)
    return Paragraph(tuple(drawing_order(line, font) for line in wrapped), font, round(1.35 * size))


def fits(text: str, size: int, width: float, bold: bool = False) -> bool:
    """Whether a text fits on one line of `width` pixels."""
    text, font = _in_font(text, size, bold)
    return font.getlength(text) <= width


def _in_font(text: str, size: int, bold: bool) -> tuple[str, ImageFont.FreeTypeFont]:
    text = plain_text(text)
    font = font_for(text, size, bold)
    return spell_missing(text, font), font


def font_for(text: str, size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, or the first of the system's fonts that has all letters of a text that DejaVu Sans lacks."""
    font = open_font(str(BOLD_LETTERS if bold else LETTERS), size)
    foreign = {c for c in text if unicodedata.category(c)[0] in "LM" and not draws(font, c)}
    candidates = (find_font(name, size) for name in SYSTEM_LETTERS) if foreign else ()
    return next((found for found in candidates if found and all(draws(found, c) for c in foreign)), font)


@lru_cache(maxsize=128)
def open_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font by path or by the file name that it has on the system.

    Raises:
        OSError: there is none.
    """
    # DejaVu's right-to-left letters are put in order here (Pillow alone needs a FriBidi library that Windows lacks),
    # so it is drawn as it is.
    layout = ImageFont.Layout.BASIC if name in (str(LETTERS), str(BOLD_LETTERS)) else None
    return ImageFont.truetype(name, size, layout_engine=layout)


@lru_cache(maxsize=128)
def find_font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    """The font of `open_font`, None if there is none."""
    try:
        return open_font(name, size)
    except OSError:
        return None


def draws(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Whether a font can draw a character."""
    return _has_glyph(str(font.path), character)


@lru_cache(maxsize=4096)
def _has_glyph(path: str, character: str) -> bool:
    return _face(path).get_char_index(ord(character)) > 0


@lru_cache(maxsize=16)
def _face(path: str) -> FT2Font:
    return FT2Font(path)


def spell_missing(text: str, font: ImageFont.FreeTypeFont) -> str:
    """Writes each character that the font lacks as its Unicode name in brackets, "[zebra face]", or as "[U+6591]"."""
    return "".join(c if draws(font, c) else f"[{_spelt(c)}]" for c in text)


def _spelt(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    return name if name and "ideograph" not in name else f"U+{ord(character):04X}"


def wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Breaks a text at spaces, and words that are wider than the line within the word."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}".lstrip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        lines += [word] if lines[-1] else []
        lines[-1:] = break_word(word, font, width)
    return lines


def break_word(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Breaks a word into pieces that fit the width, at least a character each."""
    pieces = [""]
    for character in word:
        if pieces[-1] and font.getlength(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def drawing_order(line: str, font: ImageFont.FreeTypeFont) -> str:
    """The characters of a line from left to right: right-to-left words reversed, Arabic letters joined."""
    if font.layout_engine != ImageFont.Layout.BASIC:
        return line
    return str(get_display(_arabic.reshape(line), base_dir="L"))
