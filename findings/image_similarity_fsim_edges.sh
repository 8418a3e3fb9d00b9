#!/usr/bin/env bash
# The feature similarity (FSIM) of image-similarity-measures 0.3.6 (PyPI).
#
# A good guess: fsim compares phase congruency and the gradient's magnitude, as its documentation and the paper (Zhang et al. 2011)
# say. Both belong to an edge whichever side of it is the brighter one, so two pictures have the same value when both are turned
# by half a turn.
# What happens: the Scharr derivatives are asked for in unsigned whole numbers, cv2.CV_16U (_gradient_magnitude in
# image_similarity_measures/quality_metrics.py), which makes 0 of every negative one before it is squared. Edges that go from
# bright to dark, to the right and downwards, have no magnitude at all, and what happens to them isn't seen; floating point
# pictures are treated likewise.
# Seen: stairs that get darker to the lower right, and the same stairs with a quarter of the contrast: 1.00, as if nothing had
# happened. Both pictures turned by half a turn: 0.69. With signed derivatives both ways have the same. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check image-similarity-measures==0.3.6 opencv-python==4.11.0.86 \
  phasepack==1.5 scikit-image==0.20.0 numpy==1.26.4 scipy==1.15.3
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import cv2
import numpy as np
from image_similarity_measures import quality_metrics
from scipy.ndimage import gaussian_filter

SIDE, STEP = 96, 12

level = np.arange(SIDE) // STEP
rising = gaussian_filter(20 + 14.0 * (level[:, None] + level), 1)
falling = rising[::-1, ::-1]


def value(stairs: np.ndarray, kind: type) -> float:
    """FSIM of stairs and of the same with a quarter of the contrast."""
    weak = stairs.mean() + (stairs - stairs.mean()) / 4
    return float(quality_metrics.fsim(*(np.round(picture).astype(kind)[..., None] for picture in (stairs, weak))))


def signed(picture: np.ndarray, depth: int) -> np.ndarray:
    """The gradient's magnitude from signed derivatives."""
    return np.hypot(cv2.Scharr(picture, cv2.CV_64F, 1, 0), cv2.Scharr(picture, cv2.CV_64F, 0, 1))


print(f"image-similarity-measures {version('image-similarity-measures')}: FSIM of stairs and weaker stairs, falling and rising")
found = {kind.__name__: (value(falling, kind), value(rising, kind)) for kind in (np.uint8, np.float32)}
quality_metrics._gradient_magnitude = signed
found["uint8, signed derivatives"] = value(falling, np.uint8), value(rising, np.uint8)
for name, (down, up) in found.items():
    print(f"{name}: {down:.2f}, {up:.2f}")
*clipped, (down, up) = found.values()
sys.exit(not (all(one > 0.99 and other < 0.75 for one, other in clipped) and abs(down - up) < 0.02 and down < 0.75))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
