"""An audit as a page of pictures and as tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment
from PIL import Image
from scipy import ndimage
from torch import Tensor

from ..intervals import Interval, share
from ..own_pictures.pictures import PictureSet
from ..own_pictures.report import as_data
from .maps import Answer, window
from .transplant import FLIPS, Finding, Transplants

SHOWN, EDGE = 24, 160  # pictures of the gallery, and their width
PAIRS = 6  # shown of each place that decides
COLOURS = "viridis"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {{ classifier }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; background:
#fff } table { border-collapse: collapse } th, td { border: 1px solid #ccc; padding: .2rem .6rem; text-align: right }
th { background: #f3f3f3 } .alarm { background: #fde3d8 } .pictures { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 31.5rem } img { image-rendering: pixelated } figcaption { font-size: 13px }
.words td, .words th { text-align: left } .pairs td { text-align: center; font-size: 13px; border: 0 }
.pairs th { text-align: left; font-weight: normal; max-width: 9rem; border: 0; background: none } .became { font-weight: bold }
</style></head><body>
<h1>Where does {{ classifier }} look, and where does the data differ?</h1>
<p>{{ count }} held-out pictures. {{ classifier_words }}</p>
<h2>Places that decide by themselves</h2>
<p>A place is cut out of a picture of one class and put into a picture of another class, at the same place. Then the classifier
is asked again: does it now call the picture by the class of the place? If so for many pictures, it goes by this place. The
diffusion model {{ model }}, which learned what the data is like, is asked about the same pictures. If its answer stays, the
place is no real difference between the classes: the classifier may use a shortcut, such as a watermark or a frame.</p>
<p>For each class the table shows the place that does most. A place decides if surely more than {{ limit }} % of the answers
become the class, and surely more than with a picture of another class, and than with an ordinary other place. Rows in colour
decide. With two classes one place may stand for both: what one class has there, the other lacks.</p>
<table class="words"><tr><th>class</th><th>place</th><th>answers that become the class</th><th>the same place of another
class</th>
<th>an ordinary other place</th><th>the data's model follows</th><th></th></tr>
{% for one in findings %}<tr{% if one.conspicuous %} class="alarm"{% endif %}><td>{{ one.called }}</td><td>{{ one.place }}</td>
<td>{{ one.flips }}</td><td>{{ one.control }}</td><td>{{ one.elsewhere }}</td><td>{{ one.data }}</td><td>{{ one.verdict
}}</td></tr>
{% else %}<tr><td colspan="7">Too few pictures to tell: no two of different classes could be compared.</td></tr>
{% endfor %}</table>
{% for one in findings if one.pairs %}<h3>{{ one.called }}: {{ one.place }}</h3><p>{{ one.sentence }}</p>
<table class="pairs"><tr><th>a picture of {{ one.called }}, with the place in a frame</th>
{% for pair in one.pairs %}<td><img src="{{ pair.donor }}" width="110" alt="{{ one.called }}"></td>{% endfor %}</tr>
<tr><th>a picture of another class, and what it is called</th>{% for pair in one.pairs %}<td><img src="{{ pair.before }}"
width="110" alt=""><br>{{ pair.called }}</td>{% endfor %}</tr><tr><th>the same with the place of the picture above, and what
it is called now</th>
{% for pair in one.pairs %}<td{% if pair.became %} class="became"{% endif %}><img src="{{ pair.after }}" width="110" alt=""><br>
{{ pair.now }}</td>{% endfor %}</tr></table>{% endfor %}
<h2>Pictures on which the two part most</h2>
<p>From left to right: the picture, the classifier's map, the data's map. The classifier's map is Grad-CAM of the log-odds of
the class that it calls against the next likely one; the data's map is where the diffusion model tells these two classes
apart. Each map is taken as shares of its sum: bright is much of that map. The frame is the region in which the classifier's
share exceeds the data's most. So much of the two maps parts: the share of either that lies where the other has none.</p>
{% if data_words %}<p>{{ data_words }}</p>{% endif %}
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
    names: tuple[str, str],
    regions: int,
    test: Transplants,
    findings: Sequence[Finding],
) -> None:
    """Write audit.html, audit.parquet, audit.csv and regions.csv; names are those of classifier and model."""
    import pandas

    table = rows(list(answers.values()), list(answers), pictures, test.classifier.classes, regions)
    frame = pandas.DataFrame(table).drop(columns="number")
    frame.to_parquet(folder / "audit.parquet")
    frame.to_csv(folder / "audit.csv", index=False)
    _write_regions(folder / "regions.csv", findings, test)
    page = Environment(autoescape=True).from_string(PAGE)
    text = page.render(
        classifier=names[0],
        model=names[1],
        count=len(table),
        classifier_words=classifier_words(table, len(test.classifier.classes)),
        data_words=model_words(table),
        limit=round(100 * FLIPS),
        findings=[_finding(one, test) for one in findings],
        shown=[_figure(row, answers[row["number"]], pictures, regions) for row in table[:SHOWN]],
    )
    (folder / "audit.html").write_text(text, encoding="utf-8")


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _with_interval(found: Interval) -> str:
    return f"{_percent(found.value)} ({_percent(found.low)} to {_percent(found.high)})"


def classifier_words(table: Sequence[dict[str, Any]], classes: int) -> str:
    """How often the classifier is right, and whether it may be guessing."""
    right = share(np.array([row["right"] for row in table]))
    guess = " It may be guessing: then this page shows where it guesses, and not what it has learned."
    return f"The classifier calls {right.percent()} of them by their own class.{guess if right.guess(classes) else ''}"


def model_words(table: Sequence[dict[str, Any]]) -> str:
    """How often the diffusion model is right of the two classes that it is asked about, "" if neither is ever the picture's."""
    asked = [row for row in table if row["label"] in (row["called"], row["other"])]
    if not asked:
        return ""
    right = share(np.array([(row["data_nats"] > 0) == row["right"] for row in asked]))
    guess = " It may be guessing: then the data's maps are no evidence. Train it longer, or with more pictures."
    return (
        f"Of the two classes, the diffusion model prefers the picture's own for {right.percent()} of {len(asked)} pictures."
        f"{guess if right.guess(2) else ''}"
    )


def sentence(finding: Finding, classes: Sequence[str], size: int) -> str:
    """What was found, in words."""
    place, called = finding.place.words(size), classes[finding.called]
    return (
        f"Put into pictures of other classes, this place of {called!r} ({place}) makes the classifier call "
        f"{_percent(finding.flips.value)} of them {called!r}. {data_words(finding)} {verdict(finding)}"
    )


def data_words(finding: Finding) -> str:
    """What the data's model says of a place."""
    if finding.followed is None:
        return "The data's model was not asked."
    told = f"The data's model told {len(finding.followed)} of {finding.asked} from this class before"
    return f"{told}, and follows in {_with_interval(finding.data)} of these." if finding.data else f"{told}."


def verdict(finding: Finding) -> str:
    """What to think of a place."""
    if not finding.tells:
        return f"Too few pictures to tell: {len(finding.flipped)} were counted."
    if not finding.conspicuous:
        return "No single place decides."
    if finding.unknown_to_data:
        return "The classifier goes by this place, the data does not: look for a shortcut."
    return "The classifier goes by this place. The data may do so too: it may be a real difference."


def _finding(one: Finding, test: Transplants) -> dict[str, Any]:
    classes = test.classifier.classes
    return {
        "called": classes[one.called],
        "place": one.place.words(test.size),
        "flips": _with_interval(one.flips),
        "control": _percent(float(one.control.mean())),
        "elsewhere": _percent(float(one.elsewhere.mean())),
        "data": _with_interval(one.data) if one.data else "",
        "conspicuous": one.conspicuous,
        "verdict": verdict(one),
        "sentence": sentence(one, classes, test.size),
        "pairs": list(_pairs(one, test)) if one.conspicuous else [],
    }


def _pairs(finding: Finding, test: Transplants) -> Iterator[dict[str, Any]]:
    """The first pairs of a place: where it is taken from, and a picture before and after."""
    pairs, mask = finding.pairs.first(PAIRS), finding.place.mask(test.size).numpy()
    after, now = test.transplanted(pairs, finding.place), test.answers(pairs, finding.place)
    for n, (donor, receiver) in enumerate(zip(pairs.donors, pairs.receivers, strict=True)):
        pictures = (_pixels(each) for each in (test.pictures[donor], test.pictures[receiver], after[n]))
        shown = [as_data(framed(picture, mask if place == 0 else None)) for place, picture in enumerate(pictures)]
        words = {
            "called": test.classifier.classes[test.called[receiver]],
            "now": test.classifier.classes[now[n]],
            "became": bool(finding.flipped[n]),
        }
        yield dict(zip(("donor", "before", "after"), shown, strict=True)) | words


def _write_regions(file: Path, findings: Sequence[Finding], test: Transplants) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        columns = ["flips", "flips low", "flips high", "control", "elsewhere", "data", "data low", "data high"]
        table.writerow(["called", "pictures", "region", *columns, "conspicuous", "unknown to data"])
        for one in findings:
            flips, data = one.flips, one.data
            numbers = [flips.value, flips.low, flips.high, one.control.mean(), one.elsewhere.mean()]
            asked = [data.value, data.low, data.high] if data else [""] * 3
            called, place = test.classifier.classes[one.called], one.place.words(test.size)
            table.writerow([called, len(one.flipped), place, *numbers, *asked, one.conspicuous, one.unknown_to_data])


def _figure(row: dict[str, Any], answer: Answer, pictures: PictureSet, regions: int) -> dict[str, str]:
    picture = _pixels(pictures[row["number"]][0])
    area = np.zeros(picture.shape[:2], bool)
    area[window(answer.region, regions, len(area))] = True
    parts = [framed(picture, area), *(coloured(values) for values in (answer.classifier_map, answer.data_map))]
    sheet = Image.new("RGB", (3 * EDGE + 24, EDGE), "white")
    for place, part in enumerate(parts):
        sheet.paste(part, (place * (EDGE + 12), 0))
    shown = "" if row["right"] else f", shown is {row['label']}"
    words = (
        f"{Path(row['file']).name}: called {row['called']}, not {row['other']}{shown}. {100 * row['parted']:.0f} % of the maps "
        f"parts; replacing the framed region changes {100 * row['changed']:.0f} % of the answers."
    )
    return {"image": as_data(sheet), "words": words}


def framed(picture: np.ndarray, place: np.ndarray | None) -> Image.Image:
    """A picture uint8 [S,S,3], enlarged, with an orange line around the pixels of a place, bool [S,S]."""
    image = np.array(Image.fromarray(picture).resize((EDGE, EDGE), Image.Resampling.NEAREST))
    if place is not None:
        area = np.array(Image.fromarray(place).resize((EDGE, EDGE), Image.Resampling.NEAREST))
        image[area & ~ndimage.binary_erosion(area, iterations=2)] = (230, 97, 1)
    return Image.fromarray(image)


def _pixels(picture: Tensor) -> np.ndarray:
    return picture.movedim(0, -1).numpy()


def coloured(values: np.ndarray) -> Image.Image:
    """A map [S,S] from 0 to its largest value in colours."""
    top = values.max()
    colours = matplotlib.colormaps[COLOURS](values / top if top > 0 else values)[..., :3]
    return Image.fromarray((255 * colours).round().astype(np.uint8)).resize((EDGE, EDGE), Image.Resampling.NEAREST)
