#!/usr/bin/env bash
# Precision and recall of adapted_rand_error in scikit-image 0.26.0 (PyPI).
#
# A good guess: it returns error, precision and recall as its documentation says: precision is the share of the test's pairs of
# pixels in one segment that are together in the truth as well, recall the share of the truth's pairs. Superpixels that never
# cross an object's outline have a precision of 1 and a low recall.
# What happens: the two are exchanged. In the table of both segmentations the truth has the rows, and the sum of rows is taken for
# the test's segments (skimage/metrics/_adapted_rand_error.py; reported in 2022, scikit-image issue 6485). So alpha weights the
# other one, too. With alpha=0.5 the error itself is right, so that nobody sees it.
# Seen: the truth is two halves of 8 x 8 pixels, the test four quarters of them, each within a half. By counting pairs, precision
# is 1 and recall 0.48; it says 0.48 and 1. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version
from itertools import combinations

import numpy as np
from skimage.metrics import adapted_rand_error

truth = np.repeat([1, 2], 4)[:, None].repeat(8, axis=1)
test = np.repeat([1, 2, 3, 4], 2)[:, None].repeat(8, axis=1)


def together(segments: np.ndarray) -> set[tuple[int, int]]:
    """The pairs of pixels that share a segment."""
    labels = segments.ravel()
    return {(one, other) for one, other in combinations(range(labels.size), 2) if labels[one] == labels[other]}


both, in_truth, in_test = together(truth) & together(test), together(truth), together(test)
counted = len(both) / len(in_test), len(both) / len(in_truth)
_, precision, recall = adapted_rand_error(truth, test)
print(f"scikit-image {version('scikit-image')}: precision {precision:.2f}, recall {recall:.2f}")
print(f"by counting pairs: precision {counted[0]:.2f}, recall {counted[1]:.2f}")
sys.exit(not (counted[0] == 1 and counted[1] < 0.5 and np.allclose((recall, precision), counted)))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
