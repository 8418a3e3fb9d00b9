#!/usr/bin/env bash
# Temperature scaling and MMCE of netcal 1.4.0 (PyPI).
#
# A good guess: the scores are divided by TemperatureScaling().temperature, as its documentation has it, so that a network which
# is too sure has one above 1. And MMCE of a calibrated binary classifier is near 0, whether its probabilities come as one column,
# that of class 1, or as two.
# What happens: (1) temperature is the number that the scores are multiplied with, one over the temperature of Guo et al. (2017)
# (netcal/scaling/TemperatureScaling.py). The calibrated probabilities are right. (2) With one column, MMCE takes the probability
# of class 1 for the confidence in the predicted class, also where class 0 is predicted (netcal/metrics/confidence/MMCE.py): a
# sure and right 0 counts as the greatest error. ECE of the same package takes one column for what it is.
# Seen: logits that are 2.0 times too large have the temperature 0.50 with two classes and 0.51 with five. Of calibrated
# probabilities, MMCE is 0.00 with two columns and 0.21 with one. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check netcal==1.4.0 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from netcal.metrics import ECE, MMCE
from netcal.scaling import TemperatureScaling

SAMPLES, CLASSES, TOO_LARGE = 4_000, 5, 2.0
random = np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities of each row."""
    raised = np.exp(logits)
    return raised / raised.sum(1, keepdims=True)


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """What netcal calls the temperature, and the calibrated probabilities."""
    scaling = TemperatureScaling()
    scaling.fit(probabilities, labels)
    return float(np.squeeze(scaling.temperature)), scaling.transform(probabilities)


logits = random.normal(size=(SAMPLES, CLASSES)) * 2
true = softmax(logits)
labels = np.array([random.choice(CLASSES, p=row) for row in true])
several, calibrated = temperature(softmax(TOO_LARGE * logits), labels)
one = random.uniform(0.02, 0.98, SAMPLES)
happened = (random.random(SAMPLES) < one).astype(int)
odds = TOO_LARGE * np.log(one / (1 - one))
binary, _ = temperature(1 / (1 + np.exp(-odds)), happened)
print(f"netcal {version('netcal')}: temperature of logits that are {TOO_LARGE} times too large")
off = float(np.abs(calibrated - true).max())
print(f"{CLASSES} classes: {several:.2f}, and the calibrated probabilities are off by {off:.3f} at most")
print(f"2 classes: {binary:.2f}")
columns = MMCE().measure(one, happened), MMCE().measure(np.stack([1 - one, one], 1), happened)
print(f"MMCE of calibrated probabilities: {columns[1]:.2f} with two columns, {columns[0]:.2f} with one")
print(f"ECE of the same: {ECE(10).measure(one, happened):.2f} with one column")
inverse = all(abs(found - 1 / TOO_LARGE) < 0.05 for found in (several, binary)) and off < 0.05
sys.exit(not (inverse and columns[1] < 0.03 and columns[0] > 0.15 and ECE(10).measure(one, happened) < 0.03))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
