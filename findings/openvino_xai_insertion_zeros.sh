#!/usr/bin/env bash
# Insertion and deletion of OpenVINO XAI 1.1.0 (openvino-xai on PyPI), on the maps that the library itself makes.
#
# A good guess: the pixels with the greatest values are inserted and deleted first, whether a map has floating point numbers or the
# whole numbers from 0 to 255 that the library's explainers return.
# What happens: the order is that of the negated map (openvino_xai/metrics/insertion_deletion_auc.py), and negating unsigned bytes
# leaves 0 at 0 and makes 1 of 255 and 255 of 1. So all pixels with 0 come first, before the greatest ones. All maps of the library
# are stretched to 0..255 and have such pixels; a class activation map has them in most places, and both scores are turned round.
# A map in floating point has its true scores.
# Seen: a network whose answer is the brightness of a square, and a map that is 255 within the square and 0 elsewhere. As bytes,
# which is what the library's own scaling returns, insertion is 0.03 and deletion 0.97, the worst values there are. As floating
# point numbers the same map has 0.97 and 0.03, the best ones. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2024.4.0 numpy==1.26.4 \
  opencv-python-headless==4.11.0.86 scipy==1.17.1 matplotlib==3.11.2 tqdm==4.67.1
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps openvino-xai==1.1.0
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import openvino
from openvino.runtime import opset10
from openvino_xai.common.utils import scaling
from openvino_xai.metrics import InsertionDeletionAUC

SIDE, STEPS = 16, 16
SQUARE = slice(2, 6), slice(2, 6)

weights = np.zeros((SIDE, SIDE, 3), np.float32)
weights[SQUARE] = 1 / weights[SQUARE].size
pictures = opset10.parameter([-1, SIDE, SIDE, 3], np.float32)
brightness = opset10.reduce_sum(opset10.multiply(pictures, opset10.constant(weights)), opset10.constant([1, 2, 3]))
network = openvino.Model([opset10.unsqueeze(brightness, opset10.constant([1]))], [pictures])

metric = InsertionDeletionAUC(network, lambda picture: picture[None], lambda answers: answers[0])
picture = np.ones((SIDE, SIDE, 3), np.float32)
relevance = np.zeros((SIDE, SIDE), np.float32)
relevance[SQUARE] = 1
drawn = scaling(relevance)
print(f"openvino-xai {version('openvino-xai')}: a map of {drawn.dtype} with {np.unique(drawn)}")
found = {}
for kind in (np.uint8, np.float32):
    scores = metric(drawn.astype(kind), 0, picture, STEPS)
    found[kind] = scores["insertion"], scores["deletion"]
    print(f"{kind.__name__}: insertion {found[kind][0]:.2f}, deletion {found[kind][1]:.2f}")
right = found[np.float32]
sys.exit(not (drawn.dtype == np.uint8 and right[0] > 0.95 and right[1] < 0.05 and np.allclose(found[np.uint8], right[::-1])))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
