#!/usr/bin/env bash
# The axiom of completeness in Quantus 0.6.0 (PyPI), on attributions that fulfil it.
#
# A good guess: attributions that add up to the change of the model's answer, as far as floats go, pass Completeness.
# What happens: evaluate_batch in quantus/metrics/axiomatic/completeness.py compares two floats with ==, and with the usual
# normalise=True the attributions have been divided by their largest value before they are added up.
# Seen: of a linear model, weight * (picture - baseline) is the exact answer for every pixel, and the sum is off by less than
# 0.001 % of the change. With normalise=True none of 100 pictures passes, with normalise=False 17. So a share of passed pictures
# says nothing about a method. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check quantus==0.6.0 torch==2.13.0
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import quantus
import torch

COUNT, SIDE = 100, 8


class Linear(torch.nn.Module):
    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(weight))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        answer = (pictures * self.weight).sum((1, 2, 3))
        return torch.stack([answer, -answer], 1)


generator = np.random.default_rng(0)
weight = generator.normal(size=(1, 1, SIDE, SIDE)).astype(np.float32)
pictures = generator.random((COUNT, 1, SIDE, SIDE)).astype(np.float32)
baseline = pictures.min((1, 2, 3), keepdims=True)  # what Quantus calls "black", the default
attributions = weight * (pictures - baseline)
model = Linear(weight).eval()
with torch.no_grad():
    change = (model(torch.from_numpy(pictures)) - model(torch.from_numpy(baseline).expand(-1, 1, SIDE, SIDE)))[:, 0].numpy()
gap = float(np.max(np.abs(attributions.sum((1, 2, 3)) - change)) / np.abs(change).mean())
print(f"Quantus {version('quantus')}: exact attributions of a linear model, {COUNT} pictures, gap up to {gap:.1e}")
passed = {}
for normalise in (True, False):
    metric = quantus.Completeness(normalise=normalise, disable_warnings=True)
    found = metric(model=model, x_batch=pictures, y_batch=np.zeros(COUNT, int), a_batch=attributions.copy(), device="cpu")
    passed[normalise] = int(np.sum(found))
    print(f"normalise={normalise}: {passed[normalise]} pass")
sys.exit(not (gap < 1e-5 and passed[True] == 0 and passed[False] < COUNT / 2))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
