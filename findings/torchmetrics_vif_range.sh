#!/usr/bin/env bash
# Visual information fidelity of TorchMetrics 1.9.0 and of PIQ 0.8.0 (PyPI), of pictures in 0..1.
#
# A good guess: the documentation names no range, so pictures in 0..1, PyTorch's usual ones, have the value that the same pictures
# have in 0..255.
# What happens: the eye's own noise has the variance sigma_n_sq=2.0 in either case, a number that belongs to 0..255
# (visual_information_fidelity in torchmetrics/functional/image/vif.py). In 0..1 it drowns every picture, and a picture's own
# noise is lost in it: what is measured is contrast. PIQ's vif_p has a data_range and multiplies; sigma_n_sq=2 / 255**2 does it
# here.
# Seen: a picture with strong noise, and the same picture blurred. In 0..255 the noisy one has 0.12 and the blurred one 0.30, as
# with PIQ in 0..1. In 0..1 they have 0.89 and 0.47: the order is turned round. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 torchmetrics==1.9.0 \
  piq==0.8.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from piq import vif_p
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torchmetrics.functional.image import visual_information_fidelity

generator = torch.Generator().manual_seed(0)
soft = avg_pool2d(torch.rand(1, 1, 72, 72, generator=generator), 9, 1)
picture = (soft - soft.min()) / (soft.max() - soft.min())
noisy = (picture + 0.2 * torch.randn(picture.shape, generator=generator)).clamp(0, 1)
blurred = avg_pool2d(picture, 5, 1, 2)


def measured(changed: Tensor) -> tuple[float, float, float, float]:
    """In 0..1, in 0..255, in 0..1 with the noise of 0..1, and by PIQ in 0..1."""
    return (
        float(visual_information_fidelity(changed, picture)),
        float(visual_information_fidelity(255 * changed, 255 * picture)),
        float(visual_information_fidelity(changed, picture, sigma_n_sq=2 / 255**2)),
        float(vif_p(changed, picture, data_range=1.0)),
    )


print(f"TorchMetrics {version('torchmetrics')}, PIQ {version('piq')}: noisy and blurred")
rows = list(zip(measured(noisy), measured(blurred), strict=True))
for name, (one, other) in zip(("0..1", "0..255", "0..1, sigma_n_sq=2/255**2", "PIQ, 0..1"), rows, strict=True):
    print(f"{name}: {one:.2f} and {other:.2f}")
(raw_noisy, raw_blurred), right, scaled, independent = rows
agree = all(abs(one - other) < 0.01 for pair in (scaled, independent) for one, other in zip(pair, right, strict=True))
sys.exit(not (agree and right[0] < right[1] and raw_noisy > raw_blurred + 0.3))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
