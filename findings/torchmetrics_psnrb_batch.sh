#!/usr/bin/env bash
# PSNR with blocked effect of TorchMetrics 1.9.0 (PyPI), over more than one picture.
#
# A good guess: it pools over the pictures as PSNR does, so that eight copies of a picture have the value of one, and it does not
# matter into how many calls of update a data set is split.
# What happens: the squared error is divided by the number of pixels of all pictures. The blocking effect is not: it is summed
# over the batch and over the calls, and divided by the number of edges in one picture (_compute_bef in
# torchmetrics/functional/image/psnrb.py, update in torchmetrics/image/psnrb.py). So N pictures get N times the penalty for
# blocks: the more pictures are measured, the worse a codec or a decoder looks.
# Seen: a ramp that became steps at blocks of 8 pixels. Its PSNR is 28.8 dB for one copy and for 64. Its PSNRB is 23.1 dB for one,
# 15.3 for eight and 6.4 for 64, in one call and in 64. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import math
import sys
from importlib.metadata import version

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, peak_signal_noise_ratio_with_blocked_effect
from torchmetrics.image import PeakSignalNoiseRatioWithBlockedEffect

SIDE, BLOCK = 64, 8
ramp = torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE)
steps = torch.nn.functional.avg_pool2d(ramp, BLOCK).repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)


def both(copies: int) -> tuple[float, float]:
    """PSNR and PSNRB of so many copies."""
    one, other = steps.repeat(copies, 1, 1, 1), ramp.repeat(copies, 1, 1, 1)
    return (
        float(peak_signal_noise_ratio(one, other, data_range=1.0)),
        float(peak_signal_noise_ratio_with_blocked_effect(one, other, data_range=1.0)),
    )


def in_calls(copies: int) -> float:
    """PSNRB of so many copies, a call each."""
    metric = PeakSignalNoiseRatioWithBlockedEffect(data_range=1.0)
    for _ in range(copies):
        metric.update(steps, ramp)
    return float(metric.compute())


def with_effect(blocking: Tensor, copies: int) -> float:
    """PSNRB by hand, if the blocking effect counted once for every copy."""
    return -10 * math.log10(float(((steps - ramp) ** 2).mean() + copies * blocking))


print(f"TorchMetrics {version('torchmetrics')}: PSNR and PSNRB in dB")
plain, blocked = zip(*(both(copies) for copies in (1, 8, 64)), strict=True)
for copies, (one, other) in zip((1, 8, 64), zip(plain, blocked, strict=True), strict=True):
    print(f"{copies} copies in one call: {one:.1f} and {other:.1f}")
called = in_calls(64)
print(f"64 copies in 64 calls: PSNRB {called:.1f}")
effect = 10 ** (-blocked[0] / 10) - ((steps - ramp) ** 2).mean()
multiplied = all(
    math.isclose(other, with_effect(effect, copies), abs_tol=0.01) for copies, other in zip((1, 8, 64), blocked, strict=True)
)
same = max(plain) - min(plain) < 0.001 and math.isclose(called, blocked[2], abs_tol=0.01)
sys.exit(not (multiplied and same and blocked[2] < blocked[0] - 10))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
