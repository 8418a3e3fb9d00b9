#!/usr/bin/env bash
# LIME 0.2.0.1 with the superpixels of scikit-image 0.26.0 (PyPI).
#
# A good guess: with LIME's own SegmentationAlgorithm("slic") every superpixel is hidden now and then and gets a weight.
# What happens: the last one, at the lower right, is never hidden and gets none. LIME numbers K superpixels 0 ... K - 1, while
# slic numbers them 1 ... K since scikit-image 0.19. There is a weight for a superpixel 0 that does not exist instead.
# "quickshift", LIME's default, begins at 0, and so does slic with start_label=0.
# Seen: a classifier looks at nothing but the lower right of 16 superpixels. With slic its weight is missing and all others are
# 0; with start_label=0 it is the largest, 0.78. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lime==0.2.0.1 scikit-image==0.26.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from lime.lime_image import LimeImageExplainer
from lime.wrappers.scikit_image import SegmentationAlgorithm

squares = np.random.default_rng(0).random((4, 4, 3))
image = squares.repeat(16, axis=0).repeat(16, axis=1)
corner = np.s_[:, 48:, 48:]


def classify(pictures: np.ndarray, classifier_args: object = None) -> np.ndarray:
    """Sure of class 1 as long as the square at the lower right is as it was."""
    same = np.isclose(pictures[corner], image[48:, 48:]).mean((1, 2, 3))
    return np.stack([0.9 - 0.8 * same, 0.1 + 0.8 * same], 1)


def corner_weight(**settings: int) -> tuple[float | None, float]:
    """The weight of the superpixel at the lower right, and the largest of all others."""
    slic = SegmentationAlgorithm("slic", n_segments=16, **settings)
    own = slic(image)[-1, -1]
    found = LimeImageExplainer(random_state=0).explain_instance(
        image, classify, labels=(1,), top_labels=None, hide_color=0, num_samples=400, segmentation_fn=slic
    )
    weights = {int(label): round(float(weight), 6) for label, weight in found.local_exp[1]}
    return weights.pop(int(own), None), max(map(abs, weights.values()))


print(f"LIME {version('lime')}, scikit-image {version('scikit-image')}: weight at the lower right, largest of all others")
usual, from_zero = corner_weight(), corner_weight(start_label=0)
print(f"slic: {usual}; slic with start_label=0: {from_zero}")
sys.exit(not (usual == (None, 0) and from_zero[0] > 0.5 > 0.1 > from_zero[1]))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py" 2> /dev/null
