#!/usr/bin/env bash
# Confidence intervals of calibration errors by uncertainty-calibration 0.1.4 (PyPI, imported as calibration).
#
# A good guess: get_calibration_error_uncertainties(probs, labels, alpha=0.1), the default, is an interval of 90 %, as its
# documentation says: "1-alpha confidence intervals".
# What happens: bootstrap_uncertainty in calibration/utils.py takes alpha for a number of per cent. So 0.1 asks for 99.9 %, from 100
# resamples of which it is about the smallest and the largest. 0.05, 0.1 and 0.5 come to the same; 90 % is alpha=10.
# Seen: over 30 samples of 500 scores, the mean width is 0.09 with alpha=0.1, 0.08 with alpha=0.5, which should be half of all
# resamples, and 0.05 with alpha=10. 90 % of the resamples' errors lie within 0.05. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uncertainty-calibration==0.1.4 scikit-learn==1.9.1 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import calibration
import numpy as np

COUNT, SAMPLES, RESAMPLES = 500, 30, 100


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels that are 1 less often than the scores say."""
    scores = np.random.rand(COUNT)
    return scores, (np.random.rand(COUNT) < np.maximum(scores - 0.2, 0)).astype(int)


def error(scores: np.ndarray, labels: np.ndarray) -> float:
    """The calibration error that the intervals are of."""
    return calibration.get_calibration_error(scores, labels, p=1, debias=False)


def by_hand(scores: np.ndarray, labels: np.ndarray) -> float:
    """The width of the middle 90 % of the errors of resamples."""
    places = np.random.randint(COUNT, size=(RESAMPLES, COUNT))
    return float(np.diff(np.quantile([error(scores[place], labels[place]) for place in places], (0.05, 0.95)))[0])


def width(scores: np.ndarray, labels: np.ndarray, alpha: float) -> float:
    """The width of the interval."""
    lower, _, upper = calibration.get_calibration_error_uncertainties(scores, labels, p=1, alpha=alpha)
    return upper - lower


np.random.seed(0)
samples = [drawn() for _ in range(SAMPLES)]
found = {alpha: float(np.mean([width(*sample, alpha) for sample in samples])) for alpha in (0.1, 0.5, 10)}
wanted = float(np.mean([by_hand(*sample) for sample in samples]))
print(f"uncertainty-calibration {version('uncertainty-calibration')}: mean width of the intervals")
for alpha, value in found.items():
    print(f"alpha={alpha}: {value:.3f}")
print(f"90 % by hand: {wanted:.3f}")
sys.exit(not (found[0.1] > 1.3 * wanted and found[0.5] > 1.3 * wanted and abs(found[10] / wanted - 1) < 0.1))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
