#!/usr/bin/env bash
# A map that is mostly negative, as a picture by PAIR's saliency 0.2.1 (PyPI).
#
# A good guess: VisualizeImageDiverging shows negative values as well as positive ones, on one scale about zero.
# What happens: the scale is the 99th percentile of the signed values, so it is that of the positive ones alone. And the result runs
# from 0 to 1 with zero at 0.5, but is clipped at -1 instead of 0 (saliency/core/visualization.py).
# Seen: of a map of evenly spread values from -1 to 0, over 95 % become -1, outside of the picture's range 0 to 1; of the same map with
# the other sign, at most 2 % are clipped. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check saliency==0.2.1 scipy==1.16.3 scikit-image==0.26.0 numpy==2.3.5
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import saliency.core as saliency

positive = np.linspace(0, 1, 2_500).reshape(50, 50, 1)
shown, other = saliency.VisualizeImageDiverging(-positive), saliency.VisualizeImageDiverging(positive)
lost, kept = float((shown == -1).mean()), float((other == 1).mean())
print(f"saliency {version('saliency')}: {lost:.0%} of the negative map is -1, {kept:.0%} of the positive map is 1; zero is {other.min()}")
sys.exit(not (lost > 0.95 and kept < 0.02 and other.min() == 0.5))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
