"""An audit as a page of pictures and as tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment
from PIL import Image

from ..own_pictures.pictures import PictureSet
from ..own_pictures.report import as_data
from .grouping import Group, group, region_words
from .maps import Answer, window

SHOWN, EDGE = 24, 160  # pictures of the gallery, and their width
COLOURS = "viridis"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {{ classifier }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse } th, td { border: 1px solid #ccc; padding: .2rem .6rem; text-align: right }
th { background: #f3f3f3 } .alarm { background: #fde3d8 } .pictures { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 31.5rem } img { image-rendering: pixelated } figcaption { font-size: 13px }
</style></head><body>
<h1>Where does {{ classifier }} look, and where does the data differ?</h1>
<p>{{ count }} held-out pictures; {{ right }} of them are called by their own class. Two maps are compared: Grad-CAM of the
classifier's log-odds of the class that it calls against the next likely one, and where the diffusion model {{ model }} tells
these two classes apart. Each map is taken as shares of its sum, so that bright is much of that map.</p>
<h2>Places that come back</h2>
<p>For each class: the region in which the classifier's share exceeds the data's most often. A marked row is a place to look at:
the same in more than half of the pictures, and replacing it by another picture's changes the answer.</p>
<table><tr><th>called</th><th>pictures</th><th>region</th><th>is first in</th><th>95 % interval</th><th>answers that change</th>
<th>classifier's share minus data's</th></tr>
{% for one in groups %}<tr{% if one.conspicuous %} class="alarm"{% endif %}><td>{{ one.called }}</td><td>{{ one.pictures }}</td>
<td>{{ one.region }}</td><td>{{ "%.0f" | format(100 * one.first.value) }} %</td>
<td>{{ "%.0f" | format(100 * one.first.low) }} to {{ "%.0f" | format(100 * one.first.high) }} %</td>
<td>{{ "%.0f" | format(100 * one.changed) }} %</td><td>{{ "%+.2f" | format(one.excess) }}</td></tr>{% endfor %}</table>
<h2>Pictures on which the two part most</h2>
<p>From left to right: the picture with the region of the largest excess in a frame, the classifier's map, the data's map.</p>
<div class="pictures">{% for one in shown %}<figure><img src="{{ one.image }}" alt="{{ one.words }}" width="504">
<figcaption>{{ one.words }}</figcaption></figure>{% endfor %}</div>
</body></html>
"""


def rows(
    answers: Sequence[Answer], numbers: Sequence[int], pictures: PictureSet, classes: Sequence[str], regions: int
) -> list[dict[str, Any]]:
    """The table: one row for each picture, those on which the maps part most first."""
    found = [
        {
            "file": str(pictures.items[number].file),
            "label": classes[answer.label],
            "called": classes[answer.called],
            "other": classes[answer.other],
            "right": answer.called == answer.label,
            "classifier_nats": answer.classifier_nats,
            "data_nats": answer.data_nats,
            "agreement": answer.agreement(regions),
            "parted": answer.parted,
            "region": answer.region,
            "changed": answer.changed,
            "number": number,
        }
        for number, answer in zip(numbers, answers, strict=True)
    ]
    return sorted(found, key=lambda row: -row["parted"])


def write(
    folder: Path,
    answers: dict[int, Answer],
    pictures: PictureSet,
    classes: Sequence[str],
    names: tuple[str, str],
    regions: int,
) -> list[Group]:
    """Write audit.html, audit.parquet, audit.csv and regions.csv; names are those of classifier and model."""
    import pandas

    table = rows(list(answers.values()), list(answers), pictures, classes, regions)
    frame = pandas.DataFrame(table).drop(columns="number")
    frame.to_parquet(folder / "audit.parquet")
    frame.to_csv(folder / "audit.csv", index=False)
    groups = group(list(answers.values()), regions)
    _write_regions(folder / "regions.csv", groups, classes, regions)
    page = Environment(autoescape=True).from_string(PAGE)
    text = page.render(
        classifier=names[0],
        model=names[1],
        count=len(table),
        right=sum(row["right"] for row in table),
        groups=[_group_words(one, classes, regions) for one in groups],
        shown=[_figure(row, answers[row["number"]], pictures, regions) for row in table[:SHOWN]],
    )
    (folder / "audit.html").write_text(text, encoding="utf-8")
    return groups


def _group_words(one: Group, classes: Sequence[str], regions: int) -> dict[str, Any]:
    return vars(one) | {
        "called": classes[one.called],
        "region": region_words(one.region, regions),
        "conspicuous": one.conspicuous,
    }


def _write_regions(file: Path, groups: Sequence[Group], classes: Sequence[str], regions: int) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["called", "pictures", "region", "first", "first low", "first high", "changed", "excess", "conspicuous"])
        for one in groups:
            place, first = region_words(one.region, regions), one.first
            numbers = [first.value, first.low, first.high, one.changed, one.excess, one.conspicuous]
            table.writerow([classes[one.called], one.pictures, place, *numbers])


def _figure(row: dict[str, Any], answer: Answer, pictures: PictureSet, regions: int) -> dict[str, str]:
    picture = pictures[row["number"]][0].movedim(0, -1).numpy()
    parts = [framed(picture, answer.region, regions), *(coloured(values) for values in (answer.classifier_map, answer.data_map))]
    sheet = Image.new("RGB", (3 * EDGE + 24, EDGE), "white")
    for place, part in enumerate(parts):
        sheet.paste(part, (place * (EDGE + 12), 0))
    shown = "" if row["right"] else f", shown is {row['label']}"
    words = (
        f"{Path(row['file']).name}: called {row['called']}, not {row['other']}{shown}. {100 * row['parted']:.0f} % of the mass "
        f"parts; replacing the framed region changes {100 * row['changed']:.0f} % of the answers."
    )
    return {"image": as_data(sheet), "words": words}


def framed(picture: np.ndarray, region: int, regions: int) -> Image.Image:
    """A picture uint8 [S,S,3], enlarged, with an orange frame around a region."""
    image = np.array(Image.fromarray(picture).resize((EDGE, EDGE), Image.Resampling.NEAREST))
    area = np.zeros((EDGE, EDGE), bool)
    area[window(region, regions, EDGE)] = True
    inside = np.zeros_like(area)
    inside[2:-2, 2:-2] = area[:-4, 2:-2] & area[4:, 2:-2] & area[2:-2, :-4] & area[2:-2, 4:]
    image[area & ~inside] = (230, 97, 1)
    return Image.fromarray(image)


def coloured(values: np.ndarray) -> Image.Image:
    """A map [S,S] from 0 to its largest value in colours."""
    top = values.max()
    colours = matplotlib.colormaps[COLOURS](values / top if top > 0 else values)[..., :3]
    return Image.fromarray((255 * colours).round().astype(np.uint8)).resize((EDGE, EDGE), Image.Resampling.NEAREST)
