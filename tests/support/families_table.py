"""Write the table of model families into docs/models.md: `python dev.py run tests/support/families_table.py`.

It is made of the same table that `test_families.py` holds the pack to.
"""

from __future__ import annotations

import re
from pathlib import Path

from families import FAMILIES, Family

DOC = Path(__file__).resolve().parents[2] / "docs" / "models.md"
PLACE = re.compile(r"(<!-- families: .*? -->\n).*?(<!-- /families -->)", re.DOTALL)
PREDICTED = {
    "noise": "noise",
    "v": "v",
    "EDM": "EDM's F",
    "flow": "velocity",
    "Cosmos flow": "velocity",
}


def table() -> str:
    """The families in Markdown, a row each."""
    head = ["| models | ComfyUI's class | latent | x_σ | predicts |", "|---|---|---|---|---|"]
    return "\n".join([*head, *map(row, FAMILIES)])


def row(family: Family) -> str:
    channels = f"{family.latent[0]} channels"
    kinds = [
        channels,
        *(["one frame"] if family.frames else []),
        *([f"{family.beside} beside"] if family.beside else []),
    ]
    mixed = "(1 − σ)·x₀ + σ·ε" if family.prediction == "flow" else "x₀ + σ·ε"
    return f"| {family.name} | `{family.config}` | {', '.join(kinds)} | {mixed} | {PREDICTED[family.prediction]} |"


def fill(text: str) -> str:
    """The text with the table as it is now."""
    return PLACE.sub(lambda place: f"{place[1]}\n{table()}\n\n{place[2]}", text)


if __name__ == "__main__":
    DOC.write_text(fill(DOC.read_text(encoding="utf-8")), encoding="utf-8")
