"""What a training of your own pictures came to: `python dev.py run benchmarks.own_training --model FOLDER --name digits`.

How many of the diffusion model's verdicts on held-out pictures are right, of all classes and of each two; and how that grew over
time, as `training.own` has noted both beside the model. The tables go to benchmarks/results.
"""

from __future__ import annotations

import argparse
import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from ..tools.environment import ROOT
from ..training.intervals import share
from ..training.own_pictures.denoiser import CHECKPOINT
from .tables import Cell, Table

RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the diffusion model that training.own made")
    parser.add_argument("--name", required=True, help="of the pictures, in the tables")
    options = parser.parse_args()
    work = options.model.with_name(f"{options.model.name}_training")
    for table in (make(options.name, work) for make in (curve, verdicts)):
        table.write_csv(RESULTS)
        print(table.markdown())


def curve(name: str, work: Path) -> Table:
    """The verdicts on some held-out pictures while it was trained."""
    with (work / "curve.csv").open(newline="", encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    return Table(f"own_curve_{name}", f"Training of {name} over time", head, rows)


def verdicts(name: str, work: Path) -> Table:
    """How many verdicts on held-out pictures are right, after how much training."""
    progress = torch.load(work / CHECKPOINT / "custom_checkpoint_1.pkl", weights_only=True)  # accelerate's name for it
    trained = progress["steps"], round(progress["seconds"] / 60, 1)
    with np.load(work / "scores.npz") as stored:
        even, labels, classes = stored["even"], stored["labels"], stored["classes"].tolist()
    pairs = {f"{classes[a]}/{classes[b]}": [a, b] for a, b in combinations(range(len(classes)), 2)}
    rows: list[list[Cell]] = []
    for pair, numbers in ({"all": list(range(len(classes)))} | pairs).items():
        own = np.isin(labels, numbers)
        right = share(np.array(numbers)[even[own][:, numbers].argmax(1)] == labels[own])
        rows.append([pair, int(own.sum()), right, *trained])
    head = ["classes", "pictures", "right", "steps", "minutes"]
    return Table(f"own_training_{name}", f"Held-out verdicts on {name}", head, rows)
