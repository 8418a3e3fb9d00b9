"""What a comparison gave, as text and as a picture."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor, ImageDraw
from torch import Tensor

from ..answers.comparison import Agreement, Comparison, mean_agreement
from ..answers.measures import grown
from ..images import Size, luminance, match_pictures, resize
from ..method.heatmap import make_heatmap
from ..method.map import Map
from ..method.placing import covered_box, scale_box
from ..wording import quoted
from .colours import AUTOMATIC, end_colours
from .lettering import paragraph
from .overlay import overlay
from .paper import INK, MUTED, PAPER, RULE, as_batch, draw_paragraphs, stack
from .sheet import Grid, cell_size, draw_headers, draw_row

# Okabe and Ito's (2008): colour-blind readers can distinguish these, also by their lightness.
BOTH, REFERENCE_ALONE, MAP_ALONE = "#0072b2", "#d55e00", "#f0e442"
STRENGTH = 0.8  # of these colours over the picture
UNKNOWN = "–"


def report(comparison: Comparison) -> str:
    """What was compared, each image's figures beside those of chance, and their mean, in plain text."""
    agreements = [comparison.agreement(image) for image in range(comparison.images)]
    lines = [f"Map: {map_words(comparison.first)}", f"Against: {reference_words(comparison)}", size_words(comparison)]
    for image, agreement in enumerate(agreements):
        lines += ["", f"Image {image + 1}: {percent(comparison.truth_share(image))} of the places are true."]
        note = comparison.note(image)
        lines += [note] * bool(note) + _figures(agreement, comparison.chance(image))
    if comparison.images > 1:
        lines += ["", f"Mean of the {comparison.images} images, each measure over those that have it:"]
        lines += _figures(mean_agreement(agreements))
    return "\n".join(lines)


def map_words(map: Map) -> str:
    """What a map is of, in one line that quotes its labels."""
    target, contrast = quoted(map.target_label), quoted(map.contrast_label)
    return f"{target} vs {contrast}. {map.quantity}. {map.source}."


def reference_words(comparison: Comparison) -> str:
    """What the map is compared with."""
    if comparison.second is None:
        return "a mask."
    return f"the largest {percent(comparison.share)} of {map_words(comparison.second)}"


def size_words(comparison: Comparison) -> str:
    """At which size they are compared."""
    height, width = comparison.values.shape[1:]
    rows, columns = comparison.first.latent_size
    enlarged = f", the map enlarged from {columns}×{rows} latent cells" if (height, width) != (rows, columns) else ""
    part = "" if comparison.counted.all() else "; only the places in the mask inside count"
    return f"Compared at {width}×{height} places{enlarged}{part}."


def percent(share: float) -> str:
    """A share in percent, with three digits at most."""
    return f"{100 * share:.3g}%"


def format_measure(value: float) -> str:
    """Three decimals with a true minus sign, or a dash for NaN."""
    return UNKNOWN if np.isnan(value) else f"{value:.3f}".replace("-", "−")


def _figures(agreement: Agreement, chance: Agreement | None = None) -> list[str]:
    lines = []
    for name, words in Agreement.words().items():
        value = format_measure(getattr(agreement, name))
        by_chance = f"   chance {format_measure(getattr(chance, name))}" if chance and value != UNKNOWN else ""
        lines.append(f"{words:<18}{value:>7}{by_chance}")
    return lines


# ----------------------------------------------------------------------------------------------------------- the picture


def agreement_sheet(comparison: Comparison, pictures: Tensor | None = None) -> Tensor:
    """Beside each other: the map with the truth's outline, the other map, and where both agree; the figures below, [B,H,W,3].

    pictures: [B or 1,H,W,3 or 4] in 0..1, what the maps lie on; None is plain grey.

    Raises:
        ValueError: pictures that don't belong to the maps.
    """
    first = comparison.first
    if pictures is None:
        rows, columns = first.latent_size
        pictures = torch.full((1, rows * first.downscale, columns * first.downscale, 3), 0.8)
    pictures = match_pictures(pictures, comparison.images, first.latent_size, first.downscale)
    size = tuple(pictures.shape[1:3])
    maps = [first] if comparison.second is None else [first, comparison.second]
    grid = Grid(len(maps) + 1, cell_size(size, len(maps) + 1))
    truth, chosen, counted = (
        on_picture(masks, first, size, grid.cell) for masks in (comparison.truth, comparison.chosen, comparison.counted)
    )
    heatmaps = [make_heatmap(map, shared=False) for map in maps]
    cells = [outlined(overlay(pictures, heatmap, size=grid.cell), truth) for heatmap in heatmaps]
    cells.append(agreement_cells(resize(pictures, grid.cell), truth, chosen, counted))
    drawn = range(comparison.images)
    return as_batch([_draw(comparison, image, grid, torch.stack([cell[image] for cell in cells])) for image in drawn])


def agreement_cells(pictures: Tensor, truth: Tensor, chosen: Tensor, counted: Tensor) -> Tensor:
    """Pictures [B,H,W,3] in grey, coloured where they are true or chosen (masks [B,H,W]), pale where they do not count."""
    grey = luminance(pictures)[..., None].expand(-1, -1, -1, 3)
    grey = torch.where(counted[..., None], grey, 0.3 * grey + 0.7)
    for places, colour in ((truth & chosen, BOTH), (truth & ~chosen, REFERENCE_ALONE), (chosen & ~truth, MAP_ALONE)):
        paint = torch.tensor(ImageColor.getrgb(colour)) / 255
        grey = torch.where(places[..., None], torch.lerp(grey, paint.expand_as(grey), STRENGTH), grey)
    return grey


def outlined(pictures: Tensor, truth: Tensor) -> Tensor:
    """Pictures [B,H,W,3] with a white line in a black one around the truth [B,H,W], seen on any ground."""
    lines = []
    for picture, mask in zip(pictures, truth.numpy(), strict=True):
        inner, outer = (torch.from_numpy(grown(mask, pixels)) for pixels in (1, 2))
        line = torch.where((outer & ~inner)[..., None], 0.0, picture)
        lines.append(torch.where((inner & ~torch.from_numpy(mask))[..., None], 1.0, line))
    return torch.stack(lines)


def on_picture(masks: Tensor, map: Map, picture_size: Size, size: Size) -> Tensor:
    """Masks of the places that the latent covers, [B,h,w], on a picture drawn at `size`, [B,H,W]; False around it."""
    box = scale_box(covered_box(picture_size, map.latent_size, map.downscale), picture_size, size)
    inside = F.interpolate(masks[:, None].float(), (box.height, box.width), mode="nearest-exact")[:, 0] > 0
    return F.pad(inside, (box.left, size[1] - box.left - box.width, box.top, size[0] - box.top - box.height))


def _draw(comparison: Comparison, image: int, grid: Grid, cells: Tensor) -> Image.Image:
    return stack(
        [
            draw_headers(_headers(comparison), grid),
            draw_row("", cells, grid),
            draw_colour_key(comparison, grid),
            draw_figures(comparison, image, grid),
        ]
    )


def _headers(comparison: Comparison) -> list[tuple[str, str]]:
    """What stands above each picture."""
    first, second = comparison.first, comparison.second
    agreement = ("Where they agree", f"the largest values of {'the map' if second is None else 'each'}")
    if second is None:
        return [("The map, the mask outlined", _brightest(first)), agreement]
    outlined_part = f"Second, top {percent(comparison.share)} outlined"
    return [("First map", _brightest(first)), (outlined_part, _brightest(second)), agreement]


def _brightest(map: Map) -> str:
    return f"{end_colours(AUTOMATIC, map.signed)[1]}: {map.positive}"


def draw_colour_key(comparison: Comparison, grid: Grid) -> Image.Image:
    """What the three colours of the agreement mean."""
    other = "mask" if comparison.second is None else "second map"
    first = "map" if comparison.second is None else "first map"
    entries = [(BOTH, "in both"), (REFERENCE_ALONE, f"in the {other} alone"), (MAP_ALONE, f"in the {first} alone")]
    lengths = grid.lengths
    side, column = lengths(11), (lengths.width - 2 * grid.left(0)) // len(entries)
    key = Image.new("RGB", (lengths.width, lengths(24)), PAPER)
    draw = ImageDraw.Draw(key)
    for number, (colour, words) in enumerate(entries):
        left = grid.left(0) + number * column
        draw.rectangle((left, lengths(4), left + side, lengths(4) + side), fill=colour, outline=RULE)
        text = paragraph(words, lengths(12), column - side - lengths(8))
        text.draw(draw, left + side + lengths(5), lengths(2), INK)
    return key


def draw_figures(comparison: Comparison, image: int, grid: Grid) -> Image.Image:
    """The measures of one image in a table, each above what chance gives, then what was compared."""
    lengths = grid.lengths
    agreement, chance = comparison.agreement(image), comparison.chance(image)
    inner = lengths.width - 2 * grid.left(0)
    told = [comparison.note(image), f"Map: {map_words(comparison.first)}", f"Against: {reference_words(comparison)}"]
    words = [paragraph(text, lengths(11), inner, lines=3) for text in (*told, size_words(comparison)) if text]
    table = lengths(62)
    figures = Image.new("RGB", (lengths.width, table + sum(text.height for text in words) + lengths(10)), PAPER)
    draw_paragraphs(figures, words, grid.left(0), table, INK)
    draw = ImageDraw.Draw(figures)
    names = Agreement.words()
    column = inner // len(names)
    for number, (name, word) in enumerate(names.items()):
        left = grid.left(0) + number * column
        paragraph(word, lengths(8), column - lengths(4)).draw(draw, left, lengths(4), MUTED)
        value = format_measure(getattr(agreement, name))
        paragraph(value, lengths(16), column, bold=True).draw(draw, left, lengths(17), INK)
        if value != UNKNOWN:
            by_chance = f"chance {format_measure(getattr(chance, name))}"
            paragraph(by_chance, lengths(8), column - lengths(4)).draw(draw, left, lengths(40), MUTED)
    return figures
