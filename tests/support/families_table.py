"""Write the README's table of model families: `python dev.py run tests/support/families_table.py`.

It is made of the same table that `test_families.py` holds the pack to.
"""

from __future__ import annotations

import sys

from families import FAMILIES, Family

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


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
