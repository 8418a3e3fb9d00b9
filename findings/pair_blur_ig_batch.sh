#!/usr/bin/env bash
# Blur IG of PAIR's saliency 0.2.1 (PyPI) with sqrt=True and several pictures a call.
#
# A good guess: batch_size is a matter of speed and changes nothing.
# What happens: with sqrt=True the steps between the blurs are of unequal width, but all gradients of a call are multiplied with the
# width of the call's last step (BlurIG.GetMask in saliency/core/blur_ig.py). With even steps, the default, there is no difference.
# Seen: attributions of a linear model, whose gradient is the same for all blurs, add up to 0.303 with one picture a call and to 0.164
# with 400; with even steps to 0.493 both times. Fails if that changes.
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

rows, columns = np.mgrid[:48, :48] - 24
picture = np.exp(-(rows**2 + columns**2) / 32)[..., None].repeat(3, 2)
weights = picture / picture.sum()


def gradients(pictures: np.ndarray, call_model_args: object = None, expected_keys: object = None) -> dict[str, np.ndarray]:
    """Of a model that adds up all pixels by their weights."""
    return {saliency.INPUT_OUTPUT_GRADIENTS: np.broadcast_to(weights, pictures.shape)}


def added_up(batch_size: int, sqrt: bool) -> float:
    found = saliency.BlurIG().GetMask(picture, gradients, max_sigma=50, steps=400, sqrt=sqrt, batch_size=batch_size)
    return float(found.sum())


single, many, even = added_up(1, True), added_up(400, True), (added_up(1, False), added_up(400, False))
print(f"saliency {version('saliency')}: {single:.4f} with one a call, {many:.4f} with 400; evenly {even[0]:.4f} and {even[1]:.4f}")
sys.exit(not (many < 0.6 * single and abs(even[0] - even[1]) < 1e-9))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
