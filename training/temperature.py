"""Fit the temperature of a finished model's log-odds on held-out labelled drawings, and write it into its `sdexplain.json`.

`python dev.py run training.temperature` takes some minutes of one processor core. Every drawing is asked about its own label
and its twin's, with one noise sample over a few steps: a hasty verdict, so that some are wrong. If it is stopped, it goes on from
there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from tqdm import tqdm

from ..nodes.maths.method.difference import sum_steps
from ..nodes.maths.method.prediction import NoisePredictions
from ..tools.environment import ROOT
from . import about
from .finished import PROMPT, Model
from .held_out import Picture, noised, other_label, pictures

TIMESTEPS = (801, 601, 401, 201, 1)  # DDIM's five


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "bundled" / "model", help="the finished pipeline's folder")
    parser.add_argument("--scenes", type=int, default=48, help="held-out scenes a pair; each is drawn as both classes")
    parser.add_argument("--answers", type=Path, default=ROOT / "output" / "temperature.jsonl", help="the log-odds so far")
    options = parser.parse_args()
    log_odds = ask(Model(options.model), options.scenes, options.answers)
    temperature = fit_temperature(log_odds)
    file = about.write(options.model, temperature=round(temperature, 2))
    print(f"wrote {file}: temperature {temperature:.2f}, {(log_odds > 0).mean():.2%} of {len(log_odds)} verdicts are right")


def ask(model: Model, scenes: int, answers: Path) -> np.ndarray:
    """Nats for the right label of every drawing, [n]; those that are in the file, one a line, are not asked about again."""
    answers.parent.mkdir(parents=True, exist_ok=True)
    lines = answers.read_text(encoding="utf-8").splitlines() if answers.exists() else []
    known = {(label, seed): nats for label, seed, nats in map(json.loads, lines)}
    with answers.open("a", encoding="utf-8") as file:
        for picture in tqdm(pictures(scenes), "asking", unit="picture"):
            if picture not in known:
                known[picture] = evidence_for_own(model, picture)
                print(json.dumps([*picture, known[picture]]), file=file, flush=True)
    return np.array([known[picture] for picture in pictures(scenes)])


def evidence_for_own(model: Model, picture: Picture) -> float:
    """log p(drawing|own label) - log p(drawing|twin's label), as Label Verdict adds it up."""
    drawing, labels = noised(model, picture, TIMESTEPS, samples=1), (picture[0], other_label(picture[0]))
    predicted = (model.predict(drawing, TIMESTEPS, PROMPT.format(label)) for label in labels)
    predictions = NoisePredictions(drawing, *predicted, *labels)
    return float(sum_steps(predictions, reading="evidence", weighting="information").values.sum())


def fit_temperature(log_odds: np.ndarray) -> float:
    """The temperature under which log-odds for the right label [n] are likeliest (Guo et al. 2017).

    Each verdict counts as right with the share (n + 1) / (n + 2), as Platt (1999) has it: as if one more were right and one more
    wrong. Without that the likelihood would rise without end where none is wrong.
    """
    wrong = 1 / (len(log_odds) + 2)

    def loss(log_temperature: float) -> float:
        scaled = log_odds / np.exp(log_temperature)
        return float(((1 - wrong) * np.logaddexp(0, -scaled) + wrong * np.logaddexp(0, scaled)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 12), method="bounded").x))


def log_loss(log_odds: np.ndarray, temperature: float = 1.0) -> float:
    """Mean −ln of the probability that the right label was given, in nats; a coin has 0.693."""
    return float(np.logaddexp(0, -log_odds / temperature).mean())
