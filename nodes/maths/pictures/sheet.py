"""One sheet for all steps: the schedule cut into ranges, side by side on one scale."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..answers.verdict import judge, preferences
from ..images import Decode, Size, decode_pictures, from_image, match_pictures, resize, to_image
from ..method.choices import AUTOMATIC_SCALE, WHERE_THEY_DIFFER, Quantity, Scaling
from ..method.difference import NoiseDifference, split_asked, sum_ranges
from ..method.heatmap import Heatmap, make_heatmap
from ..method.placing import covered_box, scale_box
from ..method.prediction import NoisePredictions
from ..method.reading import read_map
from ..wording import WEIGHTING_WORDS, asked_words, quoted, say
from .legend import draw_legend, scale_words
from .lettering import paragraph
from .overlay import USUAL, Appearance, overlay
from .paper import INK, MUTED, PAPER, READABLE_WIDTH, Lengths, as_batch, stack

MOST_COLUMNS = 8  # more ranges stand in several bands
SHEET_WIDTH = 1536  # what the columns of a band share
LARGEST_CELL = 384
LOG_SNR = "Log SNR: the logarithm of the signal-to-noise ratio."


@dataclass(frozen=True, eq=False)
class Row:
    """A picture for each range and image."""

    caption: str
    """What the pictures show; it may quote labels."""
    cells: Tensor
    """[ranges,B,h,w,3] all of one size."""


@dataclass(frozen=True)
class Grid:
    """The columns of a sheet, for pictures of one size (height, width)."""

    columns: int
    cell: Size

    @property
    def unit(self) -> float:
        """Size of the letters, which goes with that of the pictures."""
        return max(1.0, max(self.cell) / 220)

    @property
    def column(self) -> int:
        """Width of a column: that of its picture, or of its header above a narrow picture."""
        return max(self.cell[1], round(130 * self.unit))

    @property
    def gap(self) -> int:
        return round(8 * self.unit)

    @property
    def lengths(self) -> Lengths:
        """The sizes of the whole sheet."""
        width = 2 * round(16 * self.unit) + self.columns * (self.column + self.gap) - self.gap
        return Lengths(max(width, round(READABLE_WIDTH * self.unit)), self.unit)

    def left(self, column: int) -> int:
        """Where a column begins."""
        return round(16 * self.unit) + column * (self.column + self.gap)


def step_sheet(
    pictures: Tensor,
    predictions: NoisePredictions,
    ranges: int = 5,
    quantity: Quantity = WHERE_THEY_DIFFER,
    *,
    scaling: Scaling = AUTOMATIC_SCALE,
    appearance: Appearance = USUAL,
    decode: Decode | None = None,
    one_sheet: bool = False,
) -> Tensor:
    """Heatmaps of all ranges of steps beside each other, a sheet for each picture, [B,H,W,3], or [1,H,W,3] for all of them.

    There are at most as many ranges as steps. All heatmaps of all sheets share one colour scale.
    With `decode` (see `make_heatmap`) a second row shows decode(-sum d).
    The reliability is that of each range by itself. `one_sheet`: see `contact_sheet`.

    Raises:
        ValueError: less than one range, and what `sum_steps`, `make_heatmap` and `overlay` refuse.
    """
    noised = predictions.noised
    pictures = match_pictures(pictures, noised.images, tuple(noised.x0.shape[-2:]), noised.downscale)
    spans = split_asked(noised, ranges)
    ranges = len(spans)
    summed = sum_ranges(predictions, spans, quantity.reading, quantity.weighting)
    heatmap = make_heatmap(read_map(summed, quantity.scalar, decode=decode), **asdict(scaling))
    cut = f" in {ranges} ranges, the noisiest first" if ranges > 1 else ""
    asked = asked_words(noised.asked_count)
    source = f"Steps 0–{noised.steps}{asked}{cut}, {WEIGHTING_WORDS[quantity.weighting]}. {LOG_SNR}"
    heatmap = speak_for_all(replace(heatmap, source=source), scaling.threshold, "Ranges")
    columns = noised.images if one_sheet and ranges == 1 else ranges
    size = cell_size(pictures.shape[1:3], columns_per_band(columns))
    cells = overlay(pictures.repeat(ranges, 1, 1, 1), heatmap, appearance, size)
    rows = [Row(f"{heatmap.quantity}, over the picture", cells.unflatten(0, (ranges, -1)))]
    if decode is not None:
        difference = sum_ranges(predictions, spans, "difference", quantity.weighting)
        rows.append(decoded_row(difference, decode, tuple(pictures.shape[1:3]), size, ranges))
    headers = [range_header(noised.log_snr, span) for span in spans]
    if one_sheet:
        verdict = judge(predictions)
        if verdict.error is None:
            heatmap = replace(heatmap, totals=(f"Standard error unknown. {say('take_more')}.",) * len(heatmap.values))
        return from_image(contact_sheet(heatmap, headers, rows, preferences(verdict), appearance))[None]
    return as_batch([draw_sheet(heatmap, headers, rows, image, appearance) for image in range(noised.images)])


def speak_for_all(heatmap: Heatmap, threshold: float, maps: str) -> Heatmap:
    """The heatmap of several maps, without the findings of single maps; it says why a map stays clear, if one does.

    maps: what they are called, at the beginning of a sentence.
    """
    clear = f"{maps} that stay clear are no more than noise, or have no cells beyond {threshold:g} standard errors."
    weightless = f"{maps} of pure noise alone have no weight."
    some = any(heatmap.weightless) and not all(heatmap.weightless)
    words = " ".join([weightless] * some + [clear] * any(heatmap.doubts))
    return replace(heatmap, totals=(), reliability=(words,) * len(heatmap.values) if words else ())


def columns_per_band(ranges: int) -> int:
    """As many columns as fill the fewest bands evenly."""
    bands = ceil(ranges / MOST_COLUMNS)
    return ceil(ranges / bands)


def cell_size(size: Size, columns: int) -> tuple[int, int]:
    """Height and width of a picture on a sheet with so many columns, up to 384 pixels wide and half as high again."""
    height, width = size
    side = min(SHEET_WIDTH // columns, LARGEST_CELL)
    factor = min(side / width, 1.5 * side / height)
    return max(1, round(height * factor)), max(1, round(width * factor))


def decoded_row(difference: NoiseDifference, decode: Decode, picture_size: Size, size: Size, ranges: int) -> Row:
    """decode(-sum d) of each range, where the latent lies in the picture:
    what the target's predictions paint beyond the contrast's."""
    decoded = decode_pictures(decode, difference.to_vae(-difference.mean))
    box = scale_box(covered_box(picture_size, tuple(difference.values.shape[-2:]), difference.downscale), picture_size, size)
    cells = torch.ones(len(decoded), *size, 3)
    cells[:, box.top : box.top + box.height, box.left : box.left + box.width] = resize(decoded, (box.height, box.width))
    target, contrast = quoted(difference.target_label), quoted(difference.contrast_label)
    return Row(f"The summed difference itself, decoded: {target} minus {contrast}", cells.unflatten(0, (ranges, -1)))


def range_header(log_snr: Tensor, span: tuple[int, int]) -> tuple[str, str]:
    """The words above a column: its steps, and the log SNR of the first and the last of them."""
    start, end = span
    first, last = (_one_decimal(value) for value in log_snr[[start, end - 1]].tolist())
    return f"Steps {start}–{end}", f"log SNR {first}" if first == last else f"log SNR {first} to {last}"


def _one_decimal(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−").replace("inf", "∞")


def draw_sheet(
    heatmap: Heatmap, headers: list[tuple[str, str]], rows: list[Row], image: int, appearance: Appearance = USUAL
) -> Image.Image:
    """The sheet of one image: a column for each range below its header, a row of pictures below each caption, the legend."""
    columns = columns_per_band(len(headers))
    grid = Grid(columns, tuple(rows[0].cells.shape[2:4]))
    strongest = int(heatmap.values.abs().amax((1, 2)).argmax())  # the scale is shared: the legend tells how far its values reach
    parts = []
    for start in range(0, len(headers), columns):
        parts.append(draw_headers(headers[start : start + columns], grid))
        parts += [draw_row(row.caption, row.cells[start : start + columns, image], grid) for row in rows]
    of_image = {name: getattr(heatmap, name)[image : image + 1] * len(heatmap.values) for name in ("familiarity", "strange")}
    images = rows[0].cells.shape[1]
    faint = scale_words(heatmap, list(range(image, len(heatmap.values), images)), images)
    parts.append(draw_legend(replace(heatmap, **of_image), strongest, grid.lengths, appearance, faint))
    return stack(parts)


def contact_sheet(
    heatmap: Heatmap, headers: list[tuple[str, str]], rows: list[Row], verdicts: list[str], appearance: Appearance = USUAL
) -> Image.Image:
    """All images on one sheet, each with its verdict: a row for each, or side by side if there is a single range."""
    heatmap = replace(heatmap, familiarity=(), strange=())  # each verdict says it of its own image
    names = [f"Image {image + 1}" for image in range(len(verdicts))]
    if len(headers) == 1:
        turned = [Row(row.caption, row.cells.transpose(0, 1)) for row in rows]
        return draw_sheet(heatmap, list(zip(names, verdicts, strict=True)), turned, 0, appearance)
    each = [
        Row(f"{name}, {verdict}. {row.caption}", row.cells[:, [image]])
        for image, (name, verdict) in enumerate(zip(names, verdicts, strict=True))
        for row in rows
    ]
    return draw_sheet(heatmap, headers, each, 0, appearance)


def draw_headers(headers: list[tuple[str, str]], grid: Grid) -> Image.Image:
    """A name and a remark above each column, on two or three lines where one is too short."""
    lengths = grid.lengths
    names = [paragraph(name, lengths(13.5), grid.column, lines=2, bold=True) for name, _ in headers]
    remarks = [paragraph(remark, lengths(11), grid.column, lines=3) for _, remark in headers]
    below = lengths(13) + max(name.height for name in names)
    strip = Image.new("RGB", (lengths.width, below + max(remark.height for remark in remarks) + lengths(6)), PAPER)
    draw = ImageDraw.Draw(strip)
    for column, (name, remark) in enumerate(zip(names, remarks, strict=True)):
        middle = grid.left(column) + grid.column / 2
        name.draw(draw, middle, below - lengths(1) - name.height, INK, "middle")
        remark.draw(draw, middle, below, MUTED, "middle")
    return strip


def draw_row(caption: str, cells: Tensor, grid: Grid) -> Image.Image:
    """A caption and below it the pictures [columns,h,w,3], each in the middle of its column."""
    lengths = grid.lengths
    text = paragraph(caption, lengths(12), lengths.width - 2 * grid.left(0), lines=2)
    top = text.height + lengths(3)
    strip = Image.new("RGB", (lengths.width, top + grid.cell[0] + lengths(8)), PAPER)
    text.draw(ImageDraw.Draw(strip), grid.left(0), 0, INK)
    for column, cell in enumerate(cells):
        strip.paste(to_image(cell), (grid.left(column) + (grid.column - grid.cell[1]) // 2, top))
    return strip
