#!/usr/bin/env bash
# The overlap of boxes by puncc 0.9.3 (PyPI), with coordinates from 0 to 1.
#
# A good guess: iou is the area of the intersection over that of the union, as its documentation says, in whatever unit the boxes
# come; boxes without a common point have 0. hungarian_assignment(predicted, true, min_iou=0.5) keeps the pairs that overlap by
# half, and leaves out an object that was not found.
# What happens: 1 is added to every width and height, as for whole pixels (iou in deel/puncc/metrics.py). Of boxes that are given
# in shares of the picture, as YOLO's are, this 1 is most of it: all boxes overlap. So hardly any pair is left out, and an object
# without a prediction is paired with the box (0, 0, 0, 0) that stands in for a missing one. What is calibrated on these pairs is
# calibrated on boxes that do not belong together. Boxes in pixels are off by little.
# Seen: two boxes in opposite parts of a picture, without a common point. In pixels iou is 0.00; in shares of the picture it is
# 0.29. Two boxes that overlap by a seventh have 0.15 and 0.72, and are a pair of min_iou=0.5. One prediction for two objects
# makes one pair in pixels, and two in shares. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check puncc==0.9.3 numpy==1.26.4 scikit-learn==1.7.2
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from deel.puncc.api.utils import hungarian_assignment
from deel.puncc.metrics import iou

SIDE = 640
one, apart, partly = np.array([[0.1, 0.1, 0.3, 0.3]]), np.array([[0.5, 0.5, 0.7, 0.7]]), np.array([[0.2, 0.2, 0.4, 0.4]])
found, objects = np.array([[0.5, 0.5, 0.7, 0.7]]), np.array([[0.5, 0.5, 0.7, 0.7], [0.02, 0.02, 0.1, 0.1]])


def defined(first: np.ndarray, second: np.ndarray) -> float:
    """The area of the intersection over that of the union."""
    sides = np.minimum(first[0, 2:], second[0, 2:]) - np.maximum(first[0, :2], second[0, :2])
    common = sides.clip(0).prod()
    return float(common / ((first[0, 2:] - first[0, :2]).prod() + (second[0, 2:] - second[0, :2]).prod() - common))


def both(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """IoU by puncc, in pixels and in shares of the picture."""
    return float(iou(SIDE * first, SIDE * second)[0, 0]), float(iou(first, second)[0, 0])


def pairs(predicted: np.ndarray, true: np.ndarray) -> int:
    """How many pairs are kept."""
    return len(hungarian_assignment(predicted, true, min_iou=0.5)[0])


print(f"puncc {version('puncc')}: IoU by its definition, in pixels and in shares of the picture")
values = {"apart": (defined(one, apart), *both(one, apart)), "by a seventh": (defined(one, partly), *both(one, partly))}
for name, (right, pixels, shares) in values.items():
    print(f"{name}: {right:.2f}, {pixels:.2f} and {shares:.2f}")
kept = pairs(SIDE * one, SIDE * partly), pairs(one, partly)
missed = pairs(SIDE * found, SIDE * objects), pairs(found, objects)
print(f"pairs by a seventh: {kept[0]} and {kept[1]}; one prediction for two objects: {missed[0]} and {missed[1]}")
close = all(abs(right - pixels) < 0.02 for right, pixels, _ in values.values())
wrong = values["apart"][2] > 0.1 and values["by a seventh"][2] > 0.5
sys.exit(not (close and wrong and kept == (0, 1) and missed == (1, 2)))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
