#!/usr/bin/env bash
# The occlusion of PAIR's saliency 0.2.1 (PyPI) near the picture's edges.
#
# A good guess: a model to which all pixels are worth the same has a flat map, as with Captum's occlusion.
# What happens: the effects of all windows over a pixel are added up and not divided by their number. Windows stay inside the
# picture, so a corner lies under one of them, an edge under 15 and the middle under 225 (Occlusion.GetMask in
# saliency/core/occlusion.py): whatever the model looks at, the map is bright in the middle.
# Seen: for the plain sum of all pixels, an edge is 15 times and the middle 225 times as strong as a corner. Fails if that changes.
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


def total(pictures: np.ndarray, call_model_args: object = None, expected_keys: object = None) -> dict[str, np.ndarray]:
    """A model that adds up all pixels."""
    return {saliency.OUTPUT_LAYER_VALUES: pictures.sum((1, 2, 3))}


found = saliency.Occlusion().GetMask(np.ones((40, 40, 3)), total)[..., 0] / (15 * 15 * 3)
corner, edge, middle = (round(float(value), 6) for value in (found[0, 0], found[0, 20], found[20, 20]))
print(f"saliency {version('saliency')}: {corner} at a corner, {edge} at an edge, {middle} in the middle")
sys.exit((corner, edge, middle) != (1, 15, 225))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
