#!/usr/bin/env bash
# The AUC of Judd by saliencytools 0.35 (PyPI), of maps with equal values.
#
# A good guess: auc_judd is a distance from 0, where a map recovers the reference, to 1, and "0.5 is chance level", as its
# documentation says. A map that is the same everywhere recovers nothing and has 0.5: the usual rank statistic counts a tie as half.
# What happens: a tie counts as a whole win (searchsorted with side="right" in saliencytools/maskcompare.py, where the comment says
# "strictly lower"). So the less a map says, the better it scores. Maps with many zeros, as a ReLU, a threshold or superpixels
# leave them, come out ahead of maps that mark the place.
# Seen: the reference is a square in noise. A map of zeros has 0, the best there is, and a map that marks one wrong pixel alone has
# 0.002. The reference itself, blurred, has 0.36. With ties as halves the three have 0.50, 0.50 and 0.36. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 saliencytools==0.35 scikit-image==0.26.0 \
  scipy==1.17.1 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from saliencytools.maskcompare import auc_judd
from scipy.ndimage import gaussian_filter

SIDE = 32

generator = np.random.default_rng(0)
reference = generator.random((SIDE, SIDE))
reference[8:16, 8:16] += 2
fixated = reference >= reference.mean()
pixel = np.zeros_like(reference)
pixel[tuple(np.argwhere(~fixated)[0])] = 1
maps = {"zeros": np.zeros_like(reference), "one wrong pixel": pixel, "the reference, blurred": gaussian_filter(reference, 2)}


def halves(saliency: np.ndarray) -> float:
    """The distance with ties as halves."""
    inside, outside = saliency[fixated][:, None], saliency[~fixated]
    return 1 - float(((inside > outside) + 0.5 * (inside == outside)).mean())


found = [(auc_judd(saliency, reference), halves(saliency)) for saliency in maps.values()]
print(f"saliencytools {version('saliencytools')}: distance, and with ties as halves")
for name, (said, right) in zip(maps, found, strict=True):
    print(f"{name}: {said:.3f}, {right:.3f}")
(zeros, zeros_right), (wrong, wrong_right), (blurred, blurred_right) = found
agree = abs(blurred - blurred_right) < 0.01 and blurred_right < 0.4
sys.exit(not (zeros == 0 and wrong < 0.01 and zeros_right == 0.5 and abs(wrong_right - 0.5) < 0.01 and agree and blurred > 0.05))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
