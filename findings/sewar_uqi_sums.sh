#!/usr/bin/env bash
# The universal quality index (UQI) of sewar 0.4.10 (PyPI).
#
# A good guess: uqi is the index of Wang and Bovik (2002), with windows of 8 x 8 pixels: 1 for equal pictures, about 0 for unrelated
# ones, and down to -1 where the one is the other's negative.
# What happens: the formula is the one for the sums over a window, N times the sum of products less the product of sums, and what it
# is given are the means (_uqi_single in sewar/full_ref.py calls uniform_filter, which divides by N). So mean brightness counts 64
# times as variance would, and what is measured is brightness: structure hardly enters. Equal pictures have 1 all the same, so that
# nobody sees it.
# Seen: noise about a mean of 128. By the definition a picture has 0.00 with another noise and -1.00 with its negative. sewar says
# 0.91 and 0.82. The picture at half its brightness and contrast, whose index by the definition is 0.64, comes out behind both.
# Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sewar==0.4.10 numpy==2.4.6 scipy==1.17.1
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from sewar.full_ref import uqi

SIDE, WINDOW = 64, 8


def defined(one: np.ndarray, other: np.ndarray) -> float:
    """The mean over all windows of 4 cov(x, y) mean(x) mean(y) / ((var(x) + var(y)) (mean(x)^2 + mean(y)^2))."""
    windows = np.lib.stride_tricks.sliding_window_view
    x, y = (windows(picture.astype(float), (WINDOW, WINDOW)).reshape(-1, WINDOW**2) for picture in (one, other))
    mean_x, mean_y = x.mean(1), y.mean(1)
    covariance = ((x - mean_x[:, None]) * (y - mean_y[:, None])).mean(1)
    return float(np.mean(4 * covariance * mean_x * mean_y / ((x.var(1) + y.var(1)) * (mean_x**2 + mean_y**2))))


generator = np.random.default_rng(0)
picture, unrelated = (128 + 40 * generator.standard_normal((2, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
others = {"itself": picture, "another noise": unrelated, "its negative": 255 - picture, "half of it": picture // 2}
print(f"sewar {version('sewar')}: UQI of a picture, and by the definition")
found = {name: (uqi(picture, other), defined(picture, other)) for name, other in others.items()}
for name, (said, right) in found.items():
    print(f"with {name}: {said:.2f}, {right:.2f}")
said, right = (dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True))
correct = right["itself"] > 0.999 and abs(right["another noise"]) < 0.02 and right["its negative"] < -0.98
wrong = said["another noise"] > 0.85 and said["its negative"] > 0.75 and said["half of it"] < said["its negative"]
sys.exit(not (correct and wrong and said["itself"] > 0.999 and right["half of it"] > 0.6))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
