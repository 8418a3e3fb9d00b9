#!/usr/bin/env bash
# The earth mover's distance of saliencytools 0.35 (PyPI), of maps that mark different places.
#
# A good guess: emd(a, b) is what it costs to move the one map's relevance to where the other one has it, as with saliency maps
# elsewhere: "particularly useful for comparing saliency maps with spatial distributions", its documentation says, and the README
# that all measures preserve spatial structure.
# What happens: each map becomes a histogram of its values, and the distance is between the histograms (emd in
# saliencytools/maskcompare.py). Where the values lie does not enter. The bins go from each map's own minimum to its own maximum, so
# their sizes do not enter either. Places that differ cost nothing, and a little noise at the same place costs much.
# Seen: a soft spot at the upper left and its mirror image at the lower right have the distance 0. The spot and the same pixels
# shuffled have 0, the spot and ten times the spot have 0. The spot and itself with hardly visible noise have more than any of
# these. Fails if that changes.
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
from saliencytools.maskcompare import emd

SIDE = 32

generator = np.random.default_rng(0)
axis = np.arange(SIDE)
spot = np.exp(-((axis[:, None] - 8) ** 2 + (axis - 8) ** 2) / 32)
others = {
    "mirrored": spot[::-1, ::-1],
    "shuffled": generator.permutation(spot.ravel()).reshape(spot.shape),
    "ten times": 10 * spot,
    "with noise": spot + 0.02 * generator.standard_normal(spot.shape),
}
found = {name: emd(spot, other) for name, other in others.items()}
print(f"saliencytools {version('saliencytools')}: distance of a spot and the spot")
for name, distance in found.items():
    print(f"{name}: {distance:.2f}")
*same, noisy = found.values()
sys.exit(not (max(same) < 1e-6 and noisy > 1))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
