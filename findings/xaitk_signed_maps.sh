#!/usr/bin/env bash
# Measures of xaitk-saliency 0.15.0 (PyPI) on its own maps, which have both signs.
#
# A good guess: saliency coverage is the share of a map that lies on the object, and so at most 1; and the entropy of a whole signed
# map is what Entropy gives with clip_range=(-1, 1), which its documentation names for "full saliency".
# What happens: compute_saliency_coverage in xaitk_saliency/utils/sal_metrics.py divides by max(sum of the map, 1e-10), which is
# 1e-10 for every map whose negative part outweighs. Entropy gives negative values to scipy.stats.entropy, which answers minus
# infinity. (typing-extensions is installed here because the package imports it and does not name it.)
# Seen: a map with 0.5 on the object and -1.5 beside it has a coverage of five thousand million. The entropy of a map with one
# negative value is -inf with clip_range=(-1, 1). Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xaitk-saliency==0.15.0 typing-extensions==4.15.0
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from xaitk_saliency.impls.saliency_metric.entropy import Entropy
from xaitk_saliency.utils.sal_metrics import compute_saliency_coverage

signed = np.array([[0.3, 0.2], [-0.5, -1.0]])
mostly_positive = np.array([[1.0, 0.5], [0.25, -0.5]])
upper_half = np.array([[1, 1], [0, 0]])
coverage = float(compute_saliency_coverage(signed, upper_half))
whole, positive = (Entropy(clip).compute(mostly_positive) for clip in ((-1, 1), (0, 1)))
print(f"xaitk-saliency {version('xaitk-saliency')}: coverage {coverage:.3g}, entropy {whole} of (-1, 1), {positive:.3f} of (0, 1)")
sys.exit(not (coverage > 1e9 and whole == -np.inf and 0 < positive < 2))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
