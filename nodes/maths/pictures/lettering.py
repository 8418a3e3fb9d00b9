"""Text on pictures: any label is drawn as plain text, in the same letters on every machine."""

from __future__ import annotations

import os
import sys
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
# They are looked for by name first, which is quick and gives the usual looks.
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
UNUSUAL = ("bold", "black", "heavy", "light", "thin", "italic", "oblique", "serif", "mono")
"""Words in the names of fonts that are taken only where no plain one has the letters."""
PLACEHOLDERS = "lastresort"
"""In the names of fonts that have a sign for every character, and no letters."""

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
    foreign = frozenset(c for c in text if unicodedata.category(c)[0] in "LM" and not draws(font, c))
    found = find_font(name, size) if foreign and (name := covering(foreign)) else None
    return found or font


@lru_cache(maxsize=256)
def covering(letters: frozenset[str]) -> str | None:
    """The name or path of the first of the system's fonts that has all these letters, None if there is none."""
    usual = (str(found.path) for name in SYSTEM_LETTERS if (found := find_font(name, 12)))
    return next((font for font in (*usual, *font_files()) if has_all(font, letters)), None)


@lru_cache(maxsize=1)
def font_files() -> list[str]:
    """All font files of the machine, those for plain text first."""
    files = {
        os.path.join(place, name)
        for folder in font_folders()
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith((".ttf", ".ttc", ".otf")) and PLACEHOLDERS not in name.lower()
    }
    return sorted(files, key=lambda file: (any(word in Path(file).name.lower() for word in UNUSUAL), file))


def font_folders() -> list[Path]:
    """Where Windows, macOS and Linux keep fonts."""
    home, given = Path(os.path.expanduser("~")), os.environ.get  # where nobody has a home, Path.home() raises
    if sys.platform == "win32":
        local = given("LOCALAPPDATA", str(home / "AppData" / "Local"))
        return [Path(given("WINDIR", r"C:\Windows"), "Fonts"), Path(local, "Microsoft", "Windows", "Fonts")]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    shared = given("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [*(Path(place, "fonts") for place in shared.split(":")), home / ".local" / "share" / "fonts", home / ".fonts"]


def has_all(path: str, letters: frozenset[str]) -> bool:
    """Whether a font file has all these letters; one that can't be read has none."""
    try:
        return all(_has_glyph(path, letter) for letter in letters)
    except (OSError, RuntimeError):
        return False


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


@lru_cache(maxsize=256)
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
