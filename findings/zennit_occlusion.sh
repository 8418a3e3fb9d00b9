#!/usr/bin/env bash
# Occlusion by Zennit 0.5.1 (PyPI), with windows that overlap and with a class given as a one-hot tensor.
#
# A good guess: a window is hidden and slides from edge to edge, a place is marked by the windows that lie on it, and the class
# is named as for Zennit's other attributors: attributor(picture, torch.eye(classes)[[index]]).
# What happens: (1) windows that stick out go on at the opposite edge (torch.roll in Occlusion.forward, zennit/attribution.py), so
# an object in a corner marks all four corners. The windows of the how-to, 8 pixels with a stride of 4, do. (2) A tensor is not
# multiplied with the answer, it takes its place: every window scores 1 and the map is flat. It needs a function of the answer.
# (3) The window is what is left of the picture. The how-to and occlude_independent say it is what is hidden; the class's own
# documentation has it right. invert=True hides it.
# Seen: a network that sums up the upper left 8 x 8 of 32 x 32 pixels. With windows of 8 and a stride of 8 the map lies there
# alone. With a stride of 4, 23 % of it lie at the other side of the picture, in its last rows and columns. With a one-hot tensor
# it is the same everywhere. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check zennit==0.5.1 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from zennit.attribution import Occlusion

SIDE, WINDOW = 32, 8


class Corner(torch.nn.Module):
    """How bright the upper left corner is, and a second class that is always 0."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        bright = pictures[:, :, :WINDOW, :WINDOW].mean((1, 2, 3))
        return torch.stack([bright, torch.zeros_like(bright)], 1)


def first(answers: torch.Tensor) -> torch.Tensor:
    """The answer of class 0."""
    return answers * torch.eye(2)[[0]]


def mapped(stride: int, wanted: object) -> torch.Tensor:
    """The map of a white picture."""
    with Occlusion(Corner(), window=(WINDOW, WINDOW), stride=(stride, stride)) as attributor:
        return attributor(torch.ones(1, 1, SIDE, SIDE), wanted)[1][0, 0]


def beyond(saliency: torch.Tensor) -> float:
    """The share of the map that lies in the last rows or columns, as far from the corner as can be."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return float(saliency[(rows >= SIDE - WINDOW) | (columns >= SIDE - WINDOW)].sum() / saliency.sum())


print(f"Zennit {version('zennit')}: share of the map at the far side of the picture")
apart, overlapping, one_hot = mapped(WINDOW, first), mapped(WINDOW // 2, first), mapped(WINDOW // 2, torch.eye(2)[[0]])
corner = apart[:WINDOW, :WINDOW].sum() == apart.sum() > 0
print(f"stride 8: {beyond(apart):.0%}, all in the upper left: {bool(corner)}; the window there is what is left of the picture")
print(f"stride 4: {beyond(overlapping):.0%}")
print(f"stride 4, one-hot tensor: from {float(one_hot.min())} to {float(one_hot.max())}")
sys.exit(not (corner and beyond(overlapping) > 0.1 and one_hot.min() == one_hot.max()))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
