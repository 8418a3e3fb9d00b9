#!/usr/bin/env bash
# The detection error of ood-metrics 1.1.2 (PyPI) where one class is more frequent.
#
# A good guess: its "misclassification probability when the TPR is 95 %" is the share of all samples that are called wrongly:
# share of positives times (1 - TPR) plus share of negatives times FPR.
# What happens: detection_error in ood_metrics/metrics.py has the two shares the wrong way round. With as many negatives as
# positives nobody sees it.
# Seen: 90 positives and 10 negatives with one and the same score can only all be called positive, and 10 % of them are wrong. It
# says 0.9. With 10 positives and 90 negatives it says 0.1, where 90 % are wrong. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ood-metrics==1.1.2
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

from ood_metrics import detection_error


def said(positives: int, negatives: int) -> float:
    """Of samples with one and the same score."""
    return float(detection_error([0.5] * (positives + negatives), [1] * positives + [0] * negatives))


found = said(90, 10), said(10, 90), said(50, 50)
print(f"ood-metrics {version('ood-metrics')}: errors of {found[0]}, {found[1]}, {found[2]} for 0.1, 0.9, 0.5")
sys.exit([round(value, 6) for value in found] != [0.9, 0.1, 0.5])
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
