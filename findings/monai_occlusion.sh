#!/usr/bin/env bash
# OcclusionSensitivity of MONAI 1.6.1 (PyPI), of pictures with one channel and with mode="mean_patch".
#
# A good guess: the map holds the classes' probabilities with a part of the picture hidden: a softmax for two classes or more,
# a sigmoid for one. And "mean_patch" puts a patch's mean in its place.
# What happens: (1) sigmoid or softmax goes by the channels of the picture and not of the answer (predictor in
# monai/visualize/occlusion_sensitivity.py). Grey pictures, the usual ones in medicine, get the sigmoid of each logit, whatever
# the number of classes: the values don't add up to 1, other classes have no part in them, and large logits make a flat map.
# activate=functools.partial(torch.softmax, dim=1) mends it. (2) With "mean_patch" factor and summand are exchanged: a patch is
# multiplied with its mean. In 0..255 it becomes far brighter than white.
# Seen: one network of two classes that looks at the upper left corner, with 20 on both logits. Of a picture with three equal
# channels the probability is 0.27 with the corner hidden and 0.95 otherwise, of the same with one channel 1.00 everywhere. A
# patch with a mean of 47 has one of 2,211 where "mean_patch" hides it. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check monai==1.6.1 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from functools import partial
from importlib.metadata import version

import torch
from monai.visualize import OcclusionSensitivity

SIDE, PATCH = 32, 8


class Corner(torch.nn.Module):
    """Two logits, of which the first depends on the upper left corner."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        corner = pictures[:, :, :PATCH, :PATCH].mean((1, 2, 3))
        return 20 + torch.stack([4 * corner, torch.ones_like(corner)], 1)


class Watched(torch.nn.Module):
    """Keeps the first of the pictures that it is shown."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.first = pictures[0].clone()
        return pictures.mean((1, 2, 3))[:, None]


def mapped(channels: int, **options: object) -> torch.Tensor:
    """The probability of class 0 with a patch in the corner hidden, and with one elsewhere."""
    occlusion = OcclusionSensitivity(Corner(), mask_size=PATCH, overlap=0.0, mode=0.0, verbose=False, **options)
    found = torch.as_tensor(occlusion(torch.ones(1, channels, SIDE, SIDE))[0])
    return torch.stack([found[0, 0, 2, 2], found[0, 0, -2, -2]])


print(f"MONAI {version('monai')}: probability of class 0 with the corner hidden, and with another place hidden")
softmax = partial(torch.softmax, dim=1)
found = {"3 channels": mapped(3), "1 channel": mapped(1), "1 channel, softmax asked for": mapped(1, activate=softmax)}
for name, (corner, elsewhere) in found.items():
    print(f"{name}: {float(corner):.2f}, {float(elsewhere):.2f}")
torch.manual_seed(0)
picture, watched = 100 * torch.rand(1, 1, PATCH, PATCH), Watched()
OcclusionSensitivity(watched, mask_size=PATCH, overlap=0.0, mode="mean_patch", verbose=False, activate=False)(picture)
before, hidden = float(picture.mean()), float(watched.first.mean())
print(f"mean_patch: a patch with a mean of {before:.1f} is shown with one of {hidden:.0f}")
flat = bool((found["1 channel"] > 0.9999).all())
right = torch.allclose(found["3 channels"], found["1 channel, softmax asked for"]) and found["3 channels"][0] < 0.3
sys.exit(not (flat and right and abs(hidden / before**2 - 1) < 1e-3))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
