#!/usr/bin/env bash
# Quality index (UQI) and spatial correlation (SCC) of TorchMetrics 1.9.0 (PyPI), of pictures with flat parts.
#
# A good guess: a picture has the index 1 with itself: Wang and Bovik (2002) say that 1 is reached if and only if both are equal.
# What happens: where a window has no variance, numerator and denominator are 0. UQI adds a tiny number to the denominator
# (_uqi_compute in torchmetrics/functional/image/uqi.py), SCC sets the place to 0 (_scc_per_channel_compute in scc.py). So a flat
# place counts as 0, equal or not: both are lower by the share of flat sky, paper or a drawing's background. D_lambda, D_s and
# QNR are made of UQI.
# Seen: a picture with itself. If its left half is of one grey, UQI is 0.59 and SCC 0.56; if it is all of one grey both are 0, as
# they are for white and black. Without a flat part both are 1. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torch import Tensor
from torchmetrics.functional.image import spatial_correlation_coefficient, universal_image_quality_index

SIDE = 64
rough = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
half = rough.clone()
half[..., : SIDE // 2] = 0.5
grey, white, black = torch.full_like(rough, 0.5), torch.ones_like(rough), torch.zeros_like(rough)


def both(one: Tensor, other: Tensor) -> tuple[float, float]:
    """The index and the coefficient of two pictures."""
    return float(universal_image_quality_index(one, other)), float(spatial_correlation_coefficient(one, other))


print(f"TorchMetrics {version('torchmetrics')}: quality index and correlation")
pairs = {"no flat part": (rough, rough), "half flat": (half, half), "all flat": (grey, grey), "white and black": (white, black)}
values = {name: both(*pair) for name, pair in pairs.items()}
for name, (index, coefficient) in values.items():
    print(f"{name}: {index:.2f} and {coefficient:.2f}")
right = min(values["no flat part"]) > 0.999
halved = all(0.5 < value < 0.65 for value in values["half flat"])
sys.exit(not (right and halved and values["all flat"] == values["white and black"] == (0, 0)))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
