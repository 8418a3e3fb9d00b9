#!/usr/bin/env bash
# The image maskers "inpaint_telea" and "inpaint_ns" of SHAP 0.51.0 (PyPI), with pictures in 0..1 or normalised.
#
# A good guess: the masker fills in what is hidden and leaves what is shown as it is, whatever the picture's range, as "blur"
# does.
# What happens: the whole picture goes through uint8, so what is shown changes as well: all of a picture in 0..1 becomes black,
# and values below 0 wrap around to nearly 255. inpaint() in shap/maskers/_image.py; the lines are the same in 0.54.1.
# Seen: one pixel of 64 is hidden. Where 0.8 is shown it becomes 0, where -1.5 is shown it becomes 255; "blur(3,3)" keeps both.
# If the answer is the mean of a picture of one colour, filling in changes nothing, so all attributions should be 0. In 0..255
# they come to 0.3 % of the answer, by rounding; in 0..1 to all of it. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check shap==0.51.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import shap

SHAPE = (8, 8, 3)
MASKERS = ("inpaint_telea", "inpaint_ns", "blur(3,3)")


def shown(masker: str, value: float) -> float:
    """What becomes of the upper left corner, which is shown, when another pixel is hidden."""
    visible = np.ones(SHAPE, bool)
    visible[3, 3] = False
    masked = shap.maskers.Image(masker, SHAPE)(visible.ravel(), np.full(SHAPE, value, np.float32))
    return float(masked[0][0, 0, 0, 0])


def attributed(value: float) -> float:
    """The magnitudes of all attributions of a picture of one colour, as a share of the answer, which is its mean."""
    masker = shap.maskers.Image("inpaint_telea", SHAPE)
    explained = shap.Explainer(lambda pictures: pictures.mean((1, 2, 3)), masker)(
        np.full((1, *SHAPE), value, np.float32), max_evals=100, batch_size=10, silent=True
    )
    return float(np.abs(explained.values).sum() / value)


print(f"SHAP {version('shap')}")
found = {masker: (shown(masker, 0.8), shown(masker, -1.5)) for masker in MASKERS}
print(f"what is shown, first 0.8 and -1.5: {found}")
shares = attributed(0.8), attributed(204)
print(f"attributed, of the answer: {shares[0]:.1%} of a picture of 0.8, {shares[1]:.1%} of the same as 204 of 255")
kept = np.allclose(found["blur(3,3)"], (0.8, -1.5))
lost = all(found[masker] == (0, 255) for masker in MASKERS[:2])
sys.exit(not (kept and lost and shares[0] > 0.9 and shares[1] < 0.01))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
