#!/usr/bin/env bash
# ROAD and Sensitivity-N of Quantus 0.6.0 (PyPI), over more pictures than one batch holds.
#
# A good guess: batch_size, 64 if nothing is said, is only how many pictures are computed at a time.
# What happens: the score is made of the first batch alone. All batches are computed, but custom_postprocess in
# quantus/metrics/faithfulness/road.py and sensitivity_n.py reads evaluation_scores[0], which is a batch and not a picture. In
# data that are sorted by class this is the score of the first class.
# Seen: a classifier that is right on the first 64 of 128 pictures, half of all, has a ROAD accuracy of 0.5 if they are one
# batch, and 1.0 with the usual batches of 64. It stays 1.0 when the second 64 pictures are taken away, and so does
# Sensitivity-N to the last digit; it differs with one batch. Fails if that changes.
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


class Bright(torch.nn.Module):
    """Class 0 for a bright picture, class 1 for a dark one."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        mean = pictures.mean((1, 2, 3))
        return torch.stack([mean, 1 - mean], 1)


def score(metric: object, count: int, batch_size: int) -> list[float]:
    found = metric(
        model=Bright().eval(),
        x_batch=pictures[:count],
        y_batch=labels[:count],
        a_batch=maps[:count].copy(),
        batch_size=batch_size,
        device="cpu",
    )
    return list(map(float, found.values() if isinstance(found, dict) else found))


generator = np.random.default_rng(0)
level = np.repeat([0.9, 0.1], 64).reshape(-1, 1, 1, 1)  # 64 bright pictures, then 64 dark ones
pictures = (level + generator.normal(0, 0.01, (128, 1, 8, 8))).astype(np.float32)
labels = np.zeros(128, int)  # all are called class 0: right for the bright half
maps = generator.random((128, 1, 8, 8)).astype(np.float32)
print(f"Quantus {version('quantus')}: the score in one batch of 128, in batches of 64, and of the first 64 pictures alone")
held = True
for metric in (
    quantus.ROAD(percentages=[10], disable_warnings=True),
    quantus.SensitivityN(features_in_step=8, disable_warnings=True),
):
    whole, usual, first = score(metric, 128, 128), score(metric, 128, 64), score(metric, 64, 64)
    print(f"{type(metric).__name__}: {whole}, {usual}, {first}")
    held &= whole != usual == first
sys.exit(not held)
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
