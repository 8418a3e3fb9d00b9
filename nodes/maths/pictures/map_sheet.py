"""Several maps of one picture on one sheet: each on its own stated scale, how far they agree, and where they part."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..answers.comparison import Comparison, Sign, compare
from ..images import Size, match_pictures, resize
from ..method.heatmap import Heatmap, make_heatmap
from ..method.map import Map
from .colours import AUTOMATIC, end_colours
from .comparison_sheet import (
    BOTH,
    MAP_ALONE,
    REFERENCE_ALONE,
    agreement_cells,
    format_measure,
    map_words,
    on_picture,
    percent,
)
from .legend import draw_bar, scale_numbers
from .lettering import Align, paragraph
from .overlay import overlay
from .paper import INK, MUTED, PAPER, RULE, WARNING, as_batch, stack
from .sheet import Grid, cell_size, draw_headers, draw_row

ENDS: dict[float, Align] = {0.0: "left", 1.0: "right"}


@dataclass(frozen=True, eq=False)
class MapSheet:
    """Two maps or more of B pictures, and how each later one compares with the first."""

    maps: tuple[Map, ...]
    names: tuple[str, ...]
    """What to call each."""
    comparisons: tuple[Comparison, ...]
    """Of every map but the first, whose largest values count as true."""
    share: float
    """Which share of each map's places counts as its largest values."""

    @property
    def images(self) -> int:
        """B, the number of pictures."""
        return self.comparisons[0].images


def compare_all(maps: list[Map], names: str = "", sign: Sign = "signed", share: float = 0.1) -> MapSheet:
    """Compare every map with the first one; names: one in each line, or "" for what each is.

    Raises:
        ValueError: fewer than two maps, another number of names, and what `compare` refuses.
    """
    if len(maps) < 2:
        raise ValueError("A sheet compares maps: connect two or more.")
    given = [name.strip() for name in names.splitlines() if name.strip()]
    if given and len(given) != len(maps):
        raise ValueError(f"There are {len(given)} names for {len(maps)} maps. Write one in each line, or none.")
    called = given or [own_name(map, maps) for map in maps]
    return MapSheet(tuple(maps), tuple(called), tuple(compare(map, maps[0], sign, share) for map in maps[1:]), share)


def own_name(map: Map, maps: list[Map]) -> str:
    """Who made a map; with its method if several are a classifier's."""
    if map.noun != "attribution":
        return "Diffusion model"
    several = sum(each.noun == "attribution" for each in maps) > 1
    return map.quantity.partition(":")[0].removesuffix(" of the log-odds") if several else "Classifier"


def question_words(maps: tuple[Map, ...]) -> str:
    """That the maps answer different questions, "" if they don't."""
    asked = {tuple(label.strip().casefold() for label in (map.target_label, map.contrast_label)) for map in maps}
    return "" if len(asked) == 1 else "The maps have different labels: they may answer different questions."


def parts(sheet: MapSheet, size: Size) -> tuple[Tensor, Tensor]:
    """Where the first map alone has its largest values, and where the second one alone has, as masks [B,H,W]."""
    comparison = sheet.comparisons[0]
    truth, chosen = (on_picture(each, _same_places(comparison), size, size) for each in (comparison.truth, comparison.chosen))
    return (truth & ~chosen).float(), (chosen & ~truth).float()


def _same_places(comparison: Comparison) -> Map:
    """The map whose places a comparison is made at, which says where they lie in the picture."""
    maps = [map for map in (comparison.second, comparison.first) if map is not None]
    return next((map for map in maps if map.latent_size == tuple(comparison.values.shape[1:])), comparison.first)


def report(sheet: MapSheet) -> str:
    """What each map is, and how far each agrees with the first one, in plain text."""
    lines = [f"{name}: {map_words(map)}" for name, map in zip(sheet.names, sheet.maps, strict=True)]
    lines += [words for words in [question_words(sheet.maps)] if words]
    for image in range(sheet.images):
        lines += ["", f"Image {image + 1}, against {sheet.names[0]}:"]
        for name, comparison in zip(sheet.names[1:], sheet.comparisons, strict=True):
            figures = "   ".join(f"{word} {value}" for word, value in table_row(comparison, image).items())
            lines.append(f"{name}: {figures}")
    return "\n".join(lines)


def table_row(comparison: Comparison, image: int) -> dict[str, str]:
    """The figures of one pair of maps: rank correlation, overlap, and how much each map's largest places lie apart."""
    agreement = comparison.agreement(image)
    truth, chosen = comparison.truth[image], comparison.chosen[image]
    return {
        "Spearman": format_measure(agreement.spearman),
        "IoU": format_measure(agreement.iou),
        "IoU by chance": format_measure(comparison.chance(image).iou),
        "one alone": percent(float((truth ^ chosen).sum() / comparison.counted[image].sum().clamp(min=1))),
    }


# ------------------------------------------------------------------------------------------------------------------ the picture


def map_sheet(pictures: Tensor, sheet: MapSheet) -> Tensor:
    """Each picture's sheet, [B,H,W,3]: the picture, every map on its own scale, where each parts from the first, the figures.

    Raises:
        ValueError: pictures that don't belong to the maps.
    """
    first = sheet.maps[0]
    pictures = match_pictures(pictures, sheet.images, first.latent_size, first.downscale)
    size = tuple(pictures.shape[1:3])
    grid = Grid(1 + len(sheet.maps), cell_size(size, 1 + len(sheet.maps)))
    heatmaps = [make_heatmap(_for_all(map, sheet.images), shared=False) for map in sheet.maps]
    shown = torch.stack([resize(pictures, grid.cell), *(overlay(pictures, each, size=grid.cell) for each in heatmaps)])
    parted = torch.stack([parting(pictures, comparison, size, grid.cell) for comparison in sheet.comparisons])
    drawn = range(sheet.images)
    return as_batch([draw_sheet(sheet, heatmaps, shown[:, image], parted[:, image], (image, grid)) for image in drawn])


def _for_all(map: Map, images: int) -> Map:
    """A map of one picture for all of them."""
    return replace(map, values=map.values.expand(images, -1, -1)) if len(map.values) != images else map


def parting(pictures: Tensor, comparison: Comparison, size: Size, cell: Size) -> Tensor:
    """The picture in grey, coloured where the largest values of both maps lie, [B,h,w,3]."""
    places = _same_places(comparison)
    masks = (on_picture(each, places, size, cell) for each in (comparison.truth, comparison.chosen, comparison.counted))
    return agreement_cells(resize(pictures, cell), *masks)


def draw_sheet(sheet: MapSheet, heatmaps: list[Heatmap], shown: Tensor, parted: Tensor, where: tuple[int, Grid]) -> Image.Image:
    """One picture's sheet; shown [1+maps,h,w,3], parted [maps-1,h,w,3], where: the picture's number, and the columns."""
    image, grid = where
    blank = torch.ones(2, *shown.shape[1:])
    headers = [("Picture", ""), *((name, map.quantity) for name, map in zip(sheet.names, sheet.maps, strict=True))]
    others = f"“{sheet.names[1]}”" if len(sheet.names) == 2 else "the others"
    part = f"Where “{sheet.names[0]}” and {others} part: the largest {percent(sheet.share)} of each"
    return stack(
        [
            draw_headers(headers, grid),
            draw_row("", shown, grid),
            draw_scales(heatmaps, image, grid),
            draw_part_row(part, torch.cat([blank, parted]), sheet, grid),
            draw_table(sheet, image, grid),
            draw_notes(sheet, image, grid),
        ]
    )


def draw_scales(heatmaps: list[Heatmap], image: int, grid: Grid) -> Image.Image:
    """Below each map the colours of its own scale, with numbers and what both ends mean."""
    lengths = grid.lengths
    strip = Image.new("RGB", (lengths.width, lengths(74)), PAPER)
    draw = ImageDraw.Draw(strip)
    for column, heatmap in enumerate(heatmaps, 1):
        left, width = grid.left(column), grid.column
        if heatmap.note(image):
            paragraph(heatmap.note(image), lengths(9), width, lines=5).draw(draw, left, 0, MUTED)
            continue
        strip.paste(draw_bar(heatmap, width, lengths(10)), (left, 0))
        draw.rectangle((left, 0, left + width - 1, lengths(10)), outline=RULE)
        for share, text in scale_numbers(heatmap, image):
            number = paragraph(text, lengths(9.5), width)
            number.draw(draw, left + round(share * width), lengths(12), INK, ENDS.get(share, "middle"))
        colours = end_colours(AUTOMATIC, heatmap.signed)
        ends = (
            [(colours[1], heatmap.positive), (colours[0], heatmap.negative)]
            if heatmap.signed
            else [(colours[1], heatmap.positive)]
        )
        for line, (colour, meaning) in enumerate(ends):
            paragraph(f"{colour}: {meaning}", lengths(9.5), width).draw(draw, left, lengths(28 + 14 * line), INK)
        paragraph(heatmap.unit, lengths(9), width).draw(draw, left, lengths(28 + 14 * len(ends)), MUTED)
    return strip


def draw_part_row(caption: str, cells: Tensor, sheet: MapSheet, grid: Grid) -> Image.Image:
    """Where each map parts from the first, below it; the key to the colours stands below the picture."""
    row = draw_row(caption, cells, grid)
    lengths = grid.lengths
    draw = ImageDraw.Draw(row)
    others = sheet.names[1] if len(sheet.names) == 2 else "the other"
    left, top, side = grid.left(0), lengths(32), lengths(11)
    width = grid.left(1) + grid.column - left
    for number, (colour, words) in enumerate(
        [(BOTH, "in both"), (REFERENCE_ALONE, f"in {sheet.names[0]} alone"), (MAP_ALONE, f"in {others} alone")]
    ):
        y = top + number * lengths(24)
        draw.rectangle((left, y, left + side, y + side), fill=colour, outline=RULE)
        paragraph(words, lengths(12), width - side - lengths(8)).draw(draw, left + side + lengths(6), y - lengths(2), INK)
    return row


def draw_table(sheet: MapSheet, image: int, grid: Grid) -> Image.Image:
    """A row of figures for every map but the first."""
    lengths = grid.lengths
    rows = [table_row(comparison, image) for comparison in sheet.comparisons]
    line, column = lengths(20), (lengths.width - 2 * grid.left(0)) // (len(rows[0]) + 2)
    table = Image.new("RGB", (lengths.width, line * (len(rows) + 1) + lengths(10)), PAPER)
    draw = ImageDraw.Draw(table)
    heads = [f"against {sheet.names[0]}", "", *rows[0]]
    for place, head in enumerate(heads):
        if head:
            paragraph(head, lengths(10), (2 if not place else 1) * column - lengths(4)).draw(
                draw, grid.left(0) + place * column, lengths(4), MUTED
            )
    for number, (name, row) in enumerate(zip(sheet.names[1:], rows, strict=True), 1):
        draw.line((grid.left(0), number * line, lengths.width - grid.left(0), number * line), fill=RULE)
        paragraph(name, lengths(12), 2 * column - lengths(4), bold=True).draw(draw, grid.left(0), number * line + lengths(2), INK)
        for place, value in enumerate(row.values(), 2):
            paragraph(value, lengths(13), column).draw(draw, grid.left(0) + place * column, number * line + lengths(1), INK)
    return table


def draw_notes(sheet: MapSheet, image: int, grid: Grid) -> Image.Image:
    """What each map is and says of the picture, and that they answer different questions if they do."""
    lengths = grid.lengths
    width = lengths.width - 2 * grid.left(0)
    warning = question_words(sheet.maps)
    words = [(WARNING, paragraph(warning, lengths(11), width, lines=2, bold=True))] if warning else []
    for name, map in zip(sheet.names, sheet.maps, strict=True):
        said = map.totals[image : image + 1] or map.totals[:1]
        words.append((INK, paragraph(f"{name}: {map_words(map)} {' '.join(said)}", lengths(10.5), width, lines=4)))
        if any(map.strange[image : image + 1]):
            words.append((WARNING, paragraph(map.familiarity[image], lengths(10.5), width, lines=3)))
    notes = Image.new("RGB", (lengths.width, sum(text.height for _, text in words) + lengths(16)), PAPER)
    draw, top = ImageDraw.Draw(notes), lengths(4)
    for colour, text in words:
        text.draw(draw, grid.left(0), top, colour)
        top += text.height
    return notes
