#!/usr/bin/env bash
# Two calibration errors of MAPIE 1.6.0 (PyPI).
#
# A good guess: expected_calibration_error with split_strategy="array split" has bins with as many pictures in each, whatever
# their order; and top_label_ece is what its paper defines, the expected gap between confidence and accuracy over all pictures.
# What happens: (1) the scores are split in the order in which they come, and the bins' edges are the parts' largest scores. In an
# order that is not sorted all edges lie close to the largest score of all, and nearly every picture falls into the first bin,
# where too sure and too unsure even out (_get_binning_groups in mapie/metrics/calibration.py). (2) The errors of the predicted
# labels are averaged as if all were predicted equally often, so a label that is hardly ever predicted weighs as much as all the
# rest.
# Seen: confidence is spread from 0.5 to 1, and three quarters are right at every confidence: an error of 0.125. It says 0.125 of
# sorted scores and 0.015 of the same shuffled. Of 1,000 pictures 990 are predicted A with the right confidence and 10 B with one
# that is 0.8 too high: an error of 0.008. top_label_ece says 0.400. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mapie==1.6.0 scikit-learn==1.9.1 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from mapie.metrics.calibration import expected_calibration_error, top_label_ece

COUNT = 1000
confidence = 0.5 + (np.arange(COUNT) + 0.5) / (2 * COUNT)
right = (np.arange(COUNT) % 4 > 0).astype(int)
order = np.random.default_rng(0).permutation(COUNT)


def split(chosen: np.ndarray) -> float:
    """The error in bins by "array split", of the same pictures in another order."""
    return expected_calibration_error(right[chosen], confidence[chosen], num_bins=10, split_strategy="array split")


in_order, shuffled = split(np.arange(COUNT)), split(order)
predicted = np.repeat([0, 1], [990, 10])
sure = np.repeat([0.9, 0.9], [990, 10])
true = np.where(np.arange(COUNT) % 10 > 0, predicted, 1 - predicted)  # nine of ten are right ...
true[991:] = 0
true[990] = 1  # ... but of those called B one of ten
gap = sum(abs((true == label)[predicted == label].mean() - 0.9) * (predicted == label).mean() for label in (0, 1))
top = top_label_ece(true, sure, predicted, num_bins=10)
print(f"MAPIE {version('mapie')}, array split: {in_order:.3f} of sorted scores, {shuffled:.3f} of the same shuffled")
print(f"top-label error over all pictures {gap:.3f}, top_label_ece {top:.3f}")
sys.exit(not (abs(in_order - 0.125) < 0.01 and shuffled < 0.02 and gap < 0.01 and top > 0.3))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
