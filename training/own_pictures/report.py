"""The report on a training: one HTML file with pictures inside, and tables as CSV."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment
from PIL import Image

from ...nodes.maths.method.own_pictures import SHARES
from .findings import Findings
from .reading import Pictures

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: .5rem 0 } th, td { border: 1px solid #ccc; padding: .2rem .6rem; text-align: right }
th { background: #f3f3f3 } td.own { font-weight: bold } img { image-rendering: pixelated; max-width: 100% }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ summary }}</p>
{% if notes %}<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
<h2>Made by the model</h2>
<p>Each row is one class: {{ classes | join(", ") }}.</p>
<img src="{{ samples }}" alt="Pictures that the model made, a row for each class">
<h2>Which class does the model prefer?</h2>
{% if right %}
<p>{{ "%.1f" | format(100 * right.value) }} % of {{ judged }} held-out pictures are called by their own class
(95 % interval {{ "%.1f" | format(100 * right.low) }} to {{ "%.1f" | format(100 * right.high) }} %;
guessing gives {{ "%.1f" | format(100 / classes | length) }} %){{ doubt }}.</p>
<table><tr><th>shown ↓ called →</th>{% for name in classes %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in confusion %}{% set shown = loop.index0 %}<tr><th>{{ classes[shown] }}</th>
{% for count in row %}<td{% if loop.index0 == shown %} class="own"{% endif %}>{{ count }}</td>{% endfor %}
</tr>{% endfor %}</table>
{% else %}<p>No picture is held out, so nothing is measured.</p>{% endif %}
<h2>How sure may it be?</h2>
{% if temperature %}<p>Log-odds in nats divided by {{ "%.3g" | format(temperature) }} are probabilities: this temperature
was fitted on every second held-out picture. On the others the log loss (a coin has 0.693) is
{{ "%.3f" | format(before) }} before and
{{ "%.3f" | format(after) }} after. It is saved with the model, and Label Verdict uses it.</p>
{% else %}<p>There are too few held-out pictures to fit a temperature.</p>{% endif %}
<h2>Which pictures does it know?</h2>
{% if own %}<p>The model's noise error on {{ own.count }} held-out pictures, as a share of what smoothing would miss. A picture
above {{ "%.2f" | format(own.limit) }} is not one of its kind. Saved with the model.</p>
<table><tr>{% for share in shares %}<th>{{ "%g" | format(100 * share) }} %</th>{% endfor %}</tr>
<tr>{% for ratio in own.ratios %}<td>{{ "%.3f" | format(ratio) }}</td>{% endfor %}</tr></table>
{% else %}<p>None yet: in held-out pictures it finds the noise no better than smoothing does, or none are held out.</p>
{% endif %}
<h2>Over time</h2>
<table><tr>{% for column in curve[0] %}<th>{{ column }}</th>{% endfor %}</tr>
{% for row in curve[1:] %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>
</body></html>
"""


def write(folder: Path, title: str, pictures: Pictures, findings: Findings | None, samples: Image.Image) -> Path:
    """Write report.html, verdicts.csv and confusion.csv into the folder; the curve over time is read from its curve.csv."""
    curve = _rows(folder / "curve.csv")
    known = findings is not None
    page = Environment(autoescape=True).from_string(PAGE)
    text = page.render(
        title=title,
        summary=pictures.summary(),
        notes=pictures.notes,
        classes=pictures.classes,
        samples=as_data(samples),
        right=findings.right if known else None,
        doubt=findings.doubt if known else "",
        judged=len(findings.scores.labels) if known else 0,
        confusion=findings.scores.confusion().tolist() if known else [],
        temperature=findings.temperature if known else None,
        before=findings.calibration[0] if known and findings.calibration else 0.0,
        after=findings.calibration[1] if known and findings.calibration else 0.0,
        own=findings.own if known else None,
        shares=SHARES,
        curve=curve or [[]],
    )
    (folder / "report.html").write_text(text, encoding="utf-8")
    if findings is not None:
        _write_tables(folder, pictures.classes, findings)
    return folder / "report.html"


def as_data(image: Image.Image) -> str:
    """A picture as the address of its own content, so that a page needs no other file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _rows(file: Path) -> list[list[str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [[_short(cell) for cell in row] for row in csv.reader(stream)]


def _short(cell: str) -> str:
    try:
        return f"{float(cell):.4g}" if "." in cell else cell
    except ValueError:
        return cell


def _write_tables(folder: Path, classes: Sequence[str], findings: Findings) -> None:
    right = findings.right
    with (folder / "verdicts.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["pictures", "right", "right low", "right high", "temperature"])
        table.writerow([len(findings.scores.labels), right.value, right.low, right.high, findings.temperature])
    with (folder / "confusion.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["shown", *classes])
        table.writerows([name, *row] for name, row in zip(classes, findings.scores.confusion().tolist(), strict=True))
