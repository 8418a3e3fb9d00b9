#!/usr/bin/env bash
# AUROC of scores that are no probabilities, by TorchMetrics 1.9.0 (PyPI).
#
# A good guess: AUROC depends on the order of the scores alone, so any score will do, log-odds too; and it does not matter how
# the scores are shared out among calls of update.
# What happens: if any score of a call lies outside 0..1, the scores of that call, and of no other, go through a sigmoid
# (normalize_logits_if_needed in torchmetrics/utilities/compute.py). In float32 it is exactly 1 from about 17 on: scores above are
# all the same. And calls that lie within 0..1 are compared with calls that went through it.
# Seen: scores 20, 30, 40, 50 in the right order have the AUROC 0.5, not 1. Scores 0.8, 0.9, 1.0, 1.1 in the right order have 1 in
# one call and 0 in two. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

from torch import Tensor, tensor
from torchmetrics.classification import BinaryAUROC

LABELS = tensor([0, 0, 1, 1])


def auroc(scores: Tensor, at_once: int) -> float:
    """Of all scores, given a few at a time."""
    metric = BinaryAUROC()
    for some, labels in zip(scores.split(at_once), LABELS.split(at_once)):
        metric.update(some, labels)
    return metric.compute().item()


large, small = tensor([20.0, 30.0, 40.0, 50.0]), tensor([0.8, 0.9, 1.0, 1.1])
found = auroc(large, 4), auroc(small, 4), auroc(small, 2)
print(f"TorchMetrics {version('torchmetrics')}: {found[0]} of large scores, {found[1]} of small ones in one call, {found[2]} in two")
sys.exit(found != (0.5, 1.0, 0.0))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
