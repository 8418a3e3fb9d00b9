#!/usr/bin/env bash
# The signal to reconstruction error ratio (SRE) of image-similarity-measures 0.3.6 (PyPI).
#
# A good guess: SRE is what Lanaras et al. (2018) define, in decibels the square of a band's mean over the mean squared error. Half
# the error adds 6 dB, and a picture four times as large, of the same pixels, has the same value.
# What happens: the norm of the error isn't squared before it is divided by the number of pixels (sre in
# image_similarity_measures/quality_metrics.py). So half the error adds 3 dB, every doubling of the side adds 3 dB, and the scale of
# the values counts: 0..1 and 0..255 differ by 24 dB. Values of pictures with different sizes, or with those that papers print,
# can't be compared.
# Seen: a picture with noise has 28 dB by the definition, half the noise 34 dB, the picture four times side by side with its noise
# 28 dB, and so has the picture in 0..1. It says 53, 56, 56 and 29 dB. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check image-similarity-measures==0.3.6 opencv-python==4.11.0.86 \
  phasepack==1.5 scikit-image==0.20.0 numpy==1.26.4 scipy==1.15.3
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from image_similarity_measures.quality_metrics import sre

SIDE = 64


def defined(picture: np.ndarray, other: np.ndarray) -> float:
    """10 log10(mean^2 / mean squared error)."""
    return float(10 * np.log10(picture.mean() ** 2 / ((picture - other) ** 2).mean()))


generator = np.random.default_rng(0)
picture = generator.uniform(0, 255, (SIDE, SIDE, 1))
noise = 5 * generator.standard_normal(picture.shape)
four = 2, 2, 1
pairs = {
    "a picture with noise": (picture, picture + noise),
    "half the noise": (picture, picture + noise / 2),
    "four of them": (np.tile(picture, four), np.tile(picture + noise, four)),
    "in 0..1": (picture / 255, (picture + noise) / 255),
}
print(f"image-similarity-measures {version('image-similarity-measures')}: SRE, and by the definition")
found = {name: (float(sre(*pair)), defined(*pair)) for name, pair in pairs.items()}
for name, (said, right) in found.items():
    print(f"{name}: {said:.1f} dB, {right:.1f} dB")
said, right = (np.array(values) for values in zip(*found.values(), strict=True))
decibel = 10 * np.log10(2)
same = np.allclose(right - right[0], (0, 2 * decibel, 0, 0), atol=0.01)
sys.exit(not (same and np.allclose(said - said[0], (0, decibel, decibel, -10 * np.log10(255)), atol=0.01)))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
