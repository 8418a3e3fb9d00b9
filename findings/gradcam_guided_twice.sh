#!/usr/bin/env bash
# Guided backpropagation of pytorch-grad-cam 1.5.7 (grad-cam on PyPI), of two classes of one picture.
#
# A good guess: GuidedBackpropReLUModel(net)(picture, class) depends on the picture and the class, and is an array of its own.
# What happens: it turns on requires_grad of the tensor that it is given, on the CPU the caller's own, and never clears its .grad
# (__call__ in pytorch_grad_cam/guided_backprop.py). So a second call with the same tensor answers the sum of both classes. On the
# CPU the answer is a view of that .grad, so the map of the first call turns into the sum, too: two classes have one map, to
# the last digit. A new copy of the picture for each call, picture.clone(), mends it.
# Seen: class 0 looks at the left half of a picture and class 1 at the right half, and asked alone each has all of its map
# there. Asked one after the other, both maps are equal and lie half to the left and half to the right. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check grad-cam==1.5.7 torch==2.14.1 torchvision==0.29.1
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torch
from pytorch_grad_cam import GuidedBackpropReLUModel

SIDE = 8


class Halves(torch.nn.Module):
    """Class 0 is the left half's brightness, class 1 the right half's."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 1)
        self.relu = torch.nn.ReLU()
        torch.nn.init.constant_(self.first.weight, 0.1)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        bright = self.relu(self.first(picture)).sum(1)
        return torch.stack([bright[:, :, : SIDE // 2].sum((1, 2)), bright[:, :, SIDE // 2 :].sum((1, 2))], 1)


def left(saliency: np.ndarray) -> float:
    """The share of a map in the left half."""
    return float(saliency[:, : SIDE // 2].sum() / saliency.sum())


torch.manual_seed(0)
picture = torch.rand(1, 3, SIDE, SIDE) + 1
guided = GuidedBackpropReLUModel(Halves())
alone = [guided(picture.clone(), index) for index in (0, 1)]
turn = [guided(picture, index) for index in (0, 1)]
print(f"grad-cam {version('grad-cam')}: share of the map in the left half, classes 0 and 1")
print(f"a copy for each call: {left(alone[0]):.2f}, {left(alone[1]):.2f}")
print(f"the same tensor: {left(turn[0]):.2f}, {left(turn[1]):.2f}, equal: {np.array_equal(*turn)}")
apart = np.allclose([left(alone[0]), left(alone[1])], [1, 0])
sys.exit(not (apart and np.array_equal(*turn) and np.allclose(turn[1], alone[0] + alone[1])))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
