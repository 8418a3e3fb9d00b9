"""Whatever text comes, it is drawn as plain text, within its room, in characters that the font has."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sdexplain.nodes.maths.pictures import lettering
from sdexplain.nodes.maths.pictures.lettering import font_for, paragraph, spell_missing, wrap
from sdexplain.nodes.maths.wording import ELLIPSIS, plain_text

SIZE = 13
HEBREW_HORSE = "\u05e1\u05d5\u05e1"
ARABIC_DONKEY = "\u062d\u0645\u0627\u0631"
CHINESE_ZEBRA = "\u6591\u9a6c"


@pytest.fixture
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "SYSTEM_LETTERS", ())
    monkeypatch.setattr(lettering, "font_folders", list)
    forget_fonts(monkeypatch)


def forget_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for fonts anew in this test, and keep nothing of it."""
    for name in ("covering", "font_files"):
        monkeypatch.setattr(lettering, name, getattr(lettering, name).__wrapped__)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("zebra", "zebra"),
        ("  a\tzebra\r\n\u2028on grass \u00a0", "a zebra on grass"),
        ("ze\x00b\x07ra\x1b[31m", "zebra[31m"),
        ("\u202eevil\u202c \u200bhorse\ufeff", "evil horse"),
        ("<b onclick='x()'>zebra</b> &amp;", "<b onclick='x()'>zebra</b> &amp;"),
        ("$x^2$ \\frac", "$x^2$ \\frac"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u2764\ufe0f", "\u2764"),
        ("", ""),
        ("\n\t", ""),
    ],
)
def test_control_characters_go_and_markup_stays_as_it_was_typed(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@pytest.mark.usefixtures("no_system_fonts")
@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("a \U0001f993", "a [zebra face]"),
        (CHINESE_ZEBRA, "[U+6591][U+9A6C]"),
        ("\ud83e", "[U+D83E]"),
        ("\ue000", "[U+E000]"),
        ("na\u00efve \u03b1\u0436", "na\u00efve \u03b1\u0436"),
    ],
)
def test_characters_that_the_font_lacks_are_named(text: str, spelt: str) -> None:
    assert spell_missing(text, font_for(text, SIZE)) == spelt


def test_a_font_of_the_system_is_taken_for_letters_that_the_usual_one_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_fonts(monkeypatch)
    # matplotlib brings a font that has a sign for every character
    everything = str(lettering.LETTERS.with_name("LastResortHE-Regular.ttf"))
    monkeypatch.setattr(lettering, "SYSTEM_LETTERS", ("there is no such font.ttf", everything))
    assert font_for(CHINESE_ZEBRA, SIZE).path == everything
    assert font_for("zebra \U0001f993", SIZE).path == str(lettering.LETTERS), "signs are named, not looked for"
    assert paragraph(CHINESE_ZEBRA, SIZE, 400).lines == (CHINESE_ZEBRA,)


def a_font(path: Path, letters: str) -> str:
    """Write a font file in which each of the letters is a square."""
    names = [".notdef", *(f"letter{number}" for number in range(len(letters)))]
    pen = TTGlyphPen(None)
    for move, point in ((pen.moveTo, (100, 0)), (pen.lineTo, (100, 700)), (pen.lineTo, (800, 700)), (pen.lineTo, (800, 0))):
        move(point)
    pen.closePath()
    square, builder = pen.glyph(), FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(path)
    return str(path)


@pytest.mark.usefixtures("no_system_fonts")
def test_any_font_of_the_machine_that_has_the_letters_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a_font(tmp_path / "a" / "Half.ttf", CHINESE_ZEBRA[0])
    a_font(tmp_path / "b" / "All Bold.ttf", CHINESE_ZEBRA)
    whole = a_font(tmp_path / "c" / "deep" / "Plain.ttf", CHINESE_ZEBRA)
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    a_font(tmp_path / "LastResort.ttf", CHINESE_ZEBRA)
    monkeypatch.setattr(lettering, "font_folders", lambda: [tmp_path, tmp_path / "missing"])
    for bold in (False, True):
        assert font_for(CHINESE_ZEBRA, SIZE, bold).path == whole
    image = Image.new("L", (60, 30), 255)
    paragraph(CHINESE_ZEBRA, SIZE, 60).draw(ImageDraw.Draw(image), 2, 2, "black")
    assert sum(image.histogram()[:64]) > 2 * (0.5 * SIZE) ** 2, "two squares are drawn"


def test_right_to_left_words_are_drawn_from_the_right() -> None:
    (line,) = paragraph(f"brighter as \u201c{HEBREW_HORSE} 12\u201d than before", SIZE, 600).lines
    assert line == f"brighter as \u201c12 {HEBREW_HORSE[::-1]}\u201d than before"


def test_arabic_letters_are_joined() -> None:
    (line,) = paragraph(ARABIC_DONKEY, SIZE, 600).lines
    forms = [unicodedata.name(character).rpartition(" ")[0] for character in line]
    assert [name.split()[-1] for name in forms] == ["ISOLATED", "FINAL", "MEDIAL", "INITIAL"]
    assert unicodedata.normalize("NFKC", line) == ARABIC_DONKEY[::-1]


@settings(deadline=None)  # the first foreign letter looks through the fonts of the machine
@given(st.text(max_size=300), st.integers(60, 400), st.integers(1, 4), st.booleans())
def test_any_text_stays_within_its_lines_and_its_width(text: str, width: int, lines: int, bold: bool) -> None:
    result = paragraph(text, SIZE, width, lines, bold)
    assert 1 <= len(result.lines) <= lines
    assert all(result.font.getlength(line) <= width for line in result.lines)
    assert all(lettering.draws(result.font, character) for line in result.lines for character in line)
    assert result.height == len(result.lines) * result.spacing


@pytest.mark.parametrize("text", ["zebra " * 1700, "x" * 10_000], ids=["words", "one word"])
def test_ten_thousand_characters_keep_their_beginning_and_end(text: str) -> None:
    text = "first" + text + "last"
    result = paragraph(text, SIZE, 300, lines=2)
    assert len(result.lines) == 2
    assert result.lines[0].startswith("first") and result.lines[1].endswith("last")
    assert ELLIPSIS in " ".join(result.lines)
    assert len("".join(result.lines)) > 60, "two lines are filled"


def test_a_text_that_fits_is_not_changed() -> None:
    text = "a photo of a zebra on a meadow"
    assert " ".join(paragraph(text, SIZE, 150, lines=3).lines) == text
    assert len(paragraph(text, SIZE, 150, lines=3).lines) > 1


def test_words_wider_than_the_line_are_broken() -> None:
    font = font_for("", SIZE)
    lines = wrap("a " + "w" * 60 + " b", font, 100)
    assert "".join(lines).replace(" ", "") == "a" + "w" * 60 + "b"
    assert max(font.getlength(line) for line in lines) <= 100


@pytest.mark.parametrize(("align", "side"), [("left", slice(50, 100)), ("right", slice(0, 50))])
def test_text_is_drawn_on_the_asked_side_below_its_top(align: str, side: slice) -> None:
    import numpy as np

    image = Image.new("L", (100, 60), 255)
    text = paragraph("Ég", 16, 100)
    text.draw(ImageDraw.Draw(image), 50, 20, "black", align)
    ink = np.asarray(image) < 128
    assert ink[20 : 20 + text.height, side].sum() == ink.sum() > 20
