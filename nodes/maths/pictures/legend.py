"""The legend below a heatmap: what its colours mean, in numbers and in words."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..images import to_image
from ..method.heatmap import Heatmap
from ..wording import NATS, PER_CELL, UNITS, differing_part, format_value, plain_text, quoted, say
from .colours import end_colours
from .lettering import Align, Paragraph, fits, paragraph
from .overlay import USUAL, Appearance, blend, ground
from .paper import INK, MUTED, PAPER, READABLE_WIDTH, RULE, WARNING, Lengths, as_batch, draw_paragraphs

ENDS: dict[float, Align] = {0.0: "left", 1.0: "right"}
TALLEST = 1024  # a narrow picture is enlarged to this height at most, and stands in the middle of a wider sheet

FAINT = 0.2  # of a scale that several images share: one that reaches less of it looks as if it had nothing to show


def readable_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture stands above its legend: 512 pixels wide or more, unless that makes it too tall."""
    factor = max(1.0, min(READABLE_WIDTH / max(width, 1), TALLEST / max(height, 1)))
    return round(height * factor), round(width * factor)


def legend_lengths(height: int, width: int) -> Lengths:
    """The sizes of a legend for pictures of this size: letters grow with the picture, less so for panoramas."""
    sheet = max(width, READABLE_WIDTH)
    return Lengths(sheet, max(1.0, min(sheet, 1.5 * height) / READABLE_WIDTH))


def add_legend(pictures: Tensor, heatmap: Heatmap, appearance: Appearance = USUAL) -> Tensor:
    """Each picture of [B,H,W,3] with its own legend below it, [B,H+legend,max(W,512),3].

    The appearance is that of the overlay; the colour bar shows its colours over what is white in the picture.
    """
    height, width = pictures.shape[1:3]
    lengths = legend_lengths(height, width)
    legends = as_batch([draw_legend(heatmap, image, lengths, appearance) for image in range(len(pictures))])
    left = (lengths.width - width) // 2
    sheet = pictures.new_ones(len(pictures), height, lengths.width, 3)
    sheet[:, :, left : left + width] = pictures
    return torch.cat([sheet, legends], dim=1)


def draw_legend(heatmap: Heatmap, image: int, lengths: Lengths, appearance: Appearance = USUAL, remark: str = "") -> Image.Image:
    """The legend of one image: both labels, the colour key, what the image's cells say in all, a remark, and what was summed.

    Its height depends on the words of all images, so that the legends of a batch have one size.
    """
    titles = title_lines(heatmap, lengths)
    images = range(len(heatmap.values))
    remarks = [paragraph(remark, lengths(13), lengths.inner, lines=2)] if remark else []
    findings = [finding_lines(heatmap, number, lengths) + remarks for number in images]
    warnings = [warning_lines(heatmap, number, lengths) for number in images]
    room = max(sum(text.height for text in warning + finding) for warning, finding in zip(warnings, findings, strict=True))
    quantity = say("quantity", quantity=heatmap.quantity, unit=heatmap.unit)
    meaning = [NATS] if heatmap.totals and heatmap.unit == UNITS["information"] + PER_CELL else []
    details = [paragraph(text, lengths(12), lengths.inner, lines=2) for text in (heatmap.source, quantity, *meaning)]
    key = draw_key(heatmap, image, lengths, appearance)
    margin, gap = lengths(14), lengths(6)
    height = 2 * margin + key.height + 2 * gap + room + sum(text.height for text in titles + details)
    legend = Image.new("RGB", (lengths.width, height), PAPER)
    top = draw_paragraphs(legend, titles, lengths(16), margin, INK) + gap
    legend.paste(key, (lengths(16), top))
    top += key.height + gap
    below = draw_paragraphs(legend, warnings[image], lengths(16), top, WARNING)
    draw_paragraphs(legend, findings[image], lengths(16), below, INK)
    draw_paragraphs(legend, details, lengths(16), top + room, MUTED)
    return legend


def title_lines(heatmap: Heatmap, lengths: Lengths) -> list[Paragraph]:
    """Both labels on one line, or one below the other; what does not fit on its line is cut to what tells the two apart."""
    labels = plain_text(heatmap.target_label), plain_text(heatmap.contrast_label)
    size, width = lengths(15), lengths.inner
    target, contrast = (f"{before}{quoted(label)}" for before, label in zip(("", "vs "), labels, strict=True))
    if fits(f"{target} {contrast}", size, width, bold=True):
        return [paragraph(f"{target} {contrast}", size, width, bold=True)]
    short = (quoted(differing_part(*pair)) for pair in (labels, labels[::-1]))
    cut = (f"{before}{label}" for before, label in zip(("", "vs "), short, strict=True))
    whole = all(fits(text, size, width, bold=True) for text in (target, contrast))
    return [paragraph(text, size, width, lines=2, bold=True) for text in ((target, contrast) if whole else cut)]


def warning_lines(heatmap: Heatmap, image: int, lengths: Lengths) -> list[Paragraph]:
    """That the model does not know the picture, or hardly; nothing where it does, or if that is not known."""
    if not any(heatmap.strange[image : image + 1]):
        return []
    return [paragraph(heatmap.familiarity[image], lengths(13), lengths.inner, lines=4, bold=True)]


def finding_lines(heatmap: Heatmap, image: int, lengths: Lengths) -> list[Paragraph]:
    """An image's total, how many of its cells are reliable, whether the model knows it, and that it is faint, as far as known."""
    texts = [*heatmap.totals[image : image + 1], *heatmap.reliability[image : image + 1]]
    if not heatmap.note(image):
        texts.append(scale_words(heatmap, [image], len(heatmap.values)))
    if not any(heatmap.strange[image : image + 1]):
        texts += heatmap.familiarity[image : image + 1]
    return [paragraph(text, lengths(13), lengths.inner, lines=5) for text in texts if text]


def scale_words(heatmap: Heatmap, maps: list[int], images: int) -> str:
    """That so many images share one scale, if this one's maps reach so little of it that they look clear; else ""."""
    limit = float(heatmap.limits[maps[0]])
    share = float(heatmap.values[maps].abs().max()) / limit if limit > 0 else 1.0
    if images < 2 or bool((heatmap.limits != limit).any()) or not 0 < share < FAINT:
        return ""
    return f"One scale for all {images} images; this one reaches {format_value(100 * share)}% of it."


def draw_key(heatmap: Heatmap, image: int, lengths: Lengths, appearance: Appearance = USUAL) -> Image.Image:
    """The colour bar with the words for its ends above and numbers below, or the note that there is no difference."""
    low, high = end_words(heatmap, lengths, appearance.colour_map)
    words_height, bar_height, numbers_height = max(low.height, high.height) + lengths(3), lengths(14), lengths(20)
    notes = [heatmap.note(number) for number in range(len(heatmap.values))]
    # no space for a bar if no image of the batch has one
    height = lengths(40) if all(notes) else words_height + bar_height + numbers_height
    key = Image.new("RGB", (lengths.inner, height), PAPER)
    draw = ImageDraw.Draw(key)
    if notes[image]:
        paragraph(notes[image], lengths(13), lengths.inner, lines=2).draw(draw, 0, 0, INK)
        return key
    low.draw(draw, 0, 0, INK)
    high.draw(draw, lengths.inner, 0, INK, "right")
    key.paste(draw_bar(heatmap, lengths.inner, bar_height, appearance), (0, words_height))
    draw.rectangle((0, words_height, lengths.inner - 1, words_height + bar_height - 1), outline=RULE, width=lengths(1))
    _draw_numbers(key, scale_numbers(heatmap, image), words_height + bar_height, lengths)
    return key


def draw_bar(heatmap: Heatmap, width: int, height: int, appearance: Appearance = USUAL) -> Image.Image:
    """The scale from its lowest to its highest level, as the overlay draws it over what is white in the picture."""
    lowest, highest = heatmap.level_range
    levels = torch.linspace(lowest, highest, width).expand(height, -1)
    white = torch.full((height, width, 3), ground(heatmap.signed, appearance)[1])
    return to_image(blend(white, levels, heatmap.signed, appearance))


def end_words(heatmap: Heatmap, lengths: Lengths, colour_map: str) -> tuple[Paragraph, Paragraph]:
    """What the left and the right end of the colour bar mean, on one line if both fit, else in half the width each."""
    texts = end_texts(heatmap, colour_map)
    size = lengths(13)
    if fits(" + ".join(texts), size, lengths.inner):
        low, high = (paragraph(text, size, lengths.inner) for text in texts)
    else:
        low, high = (paragraph(text, size, 0.47 * lengths.inner, lines=3) for text in texts)
    return low, high


def end_texts(heatmap: Heatmap, colour_map: str) -> tuple[str, str]:
    """What the left and the right end of the colour bar mean."""
    low_colour, high_colour = end_colours(colour_map, heatmap.signed)
    lowest, highest = heatmap.level_range
    return (
        say("end", colour=low_colour, meaning=heatmap.negative) if lowest < 0 or not heatmap.signed else say("clear"),
        say("end", colour=high_colour, meaning=heatmap.positive) if highest > 0 else say("clear"),
    )


def scale_numbers(heatmap: Heatmap, image: int) -> list[tuple[float, str]]:
    """The numbers below the colour bar, each with its share of the bar's width: the ends of the scale, and 0 where it lies."""
    values, limit = heatmap.values[image], float(heatmap.limits[image])
    lowest, highest = heatmap.level_range
    levels = sorted({lowest, 0.0, highest})
    texts = {level: format_value(level * limit) for level in levels}
    if lowest < 0 and values.min() < -limit:
        texts[lowest] = say("at_most", value=texts[lowest])
    if highest > 0 and values.max() > limit:
        texts[highest] = say("at_least", value=texts[highest])
    return [((level - lowest) / (highest - lowest), texts[level]) for level in levels]


def _draw_numbers(key: Image.Image, numbers: list[tuple[float, str]], top: int, lengths: Lengths) -> None:
    draw = ImageDraw.Draw(key)
    for share, text in numbers:
        x = round(share * lengths.inner)
        number = paragraph(text, lengths(12), lengths.inner)
        number.draw(draw, x, top + lengths(2), INK, ENDS.get(share, "middle"))
        if 0 < share < 1:
            draw.line((x, top, x, top + lengths(2)), fill=RULE, width=lengths(1))
