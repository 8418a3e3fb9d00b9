#!/usr/bin/env bash
# Post-hoc averages of weights by ema-pytorch 0.8.3 (PyPI) with update_every=10, as its README has it.
#
# A good guess: update_every saves computation, as the README says, and the average is over the same part of the training:
# sigma_rel, the width of the average as a share of the training (Karras et al. 2024), is what was asked for, within a few steps.
# What happens: the decay of a step, (1 - 1/t)^(gamma + 1), is taken once in ten steps and not ten times (KarrasEMA in
# ema_pytorch/post_hoc_ema.py). So the weight of a step goes with t^((gamma + 1) / 10 - 1) and not with t^gamma. A wide average
# keeps the first steps most of all. synthesize_ema_model solves for averages that were never kept, and gives neither. For the same
# reason an EMA with beta and update_every=10 looks back ten times as far as one with update_every=1.
# Seen: a weight that is the time itself, from 0 to 1. With update_every=1 the averages for 0.05 and 0.28 have the means 0.95 and
# 0.54 and the widths 0.05 and 0.28, and the synthesized one for 0.15 has the mean 0.82 and the width 0.15. With update_every=10
# the means are 0.64 and 0.10, the widths 0.25 and 0.21, and the synthesized one has the mean 0.24. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6 ema-pytorch==0.8.3
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version
from tempfile import TemporaryDirectory

import numpy as np
import torch
from ema_pytorch import PostHocEMA

STEPS, WIDTHS, BETWEEN = 2000, (0.05, 0.28), 0.15


class Clock(torch.nn.Module):
    """A network whose weights are the time and its square."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def mean_and_width(self) -> tuple[float, float]:
        """Of the times that an average is made of."""
        mean, square = self.weight.tolist()
        return mean, (square - mean**2) ** 0.5


def averages(every: int) -> list[tuple[float, float]]:
    """Mean and width of the two averages kept and of the one between."""
    clock = Clock()
    with TemporaryDirectory() as folder:
        kept = PostHocEMA(
            clock,
            sigma_rels=WIDTHS,
            update_every=every,
            checkpoint_every_num_steps=STEPS // 8,
            checkpoint_folder=folder,
            checkpoint_dtype=torch.float64,
        )
        for step in range(1, STEPS + 1):
            with torch.no_grad():
                clock.weight.copy_(torch.tensor([step / STEPS, (step / STEPS) ** 2]))
            kept.update()
        models = *kept.ema_models, kept.synthesize_ema_model(sigma_rel=BETWEEN)
    return [model.ema_model.mean_and_width() for model in models]


print(f"ema-pytorch {version('ema-pytorch')}: mean and width of the averages for {WIDTHS} and, synthesized, for {BETWEEN}")
found = {every: averages(every) for every in (1, 10)}
for every, rows in found.items():
    print(f"update_every={every}:", ", ".join(f"{mean:.2f} and {width:.2f}" for mean, width in rows))
right = np.allclose([width for _, width in found[1]], [*WIDTHS, BETWEEN], atol=0.005)
(narrow, narrow_width), (wide, _), (between, _) = found[10]
wrong = narrow < 0.7 and narrow_width > 0.2 and wide < 0.15 and between < 0.4
sys.exit(not (right and wrong and found[1][2][0] > 0.8))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
