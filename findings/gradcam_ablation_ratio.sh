#!/usr/bin/env bash
# Ablation-CAM of pytorch-grad-cam 1.5.7 (grad-cam on PyPI) with ratio_channels_to_ablate.
#
# A good guess: it is the share of channels that are tried out, those that say most about the object, so that a larger ratio
# comes closer to the map with all of them.
# What happens: the ratio's share of the best channels is taken and the same share of the worst, so 0.5 is all of them
# (activations_to_be_ablated in pytorch_grad_cam/ablation_layer.py). Above 0.5 some are listed twice, and
# assemble_ablation_scores, which looks for each channel at the next place of the list, stops at the first one listed twice: every
# channel behind it gets the weight 0. No error, no warning.
# Seen: of a network with 32 channels that all have an effect on the answer, 1.0 gives 32 a weight, 0.25 gives 16, 0.5 all 32
# with the same weights, 0.6 gives 2 and 0.9 gives 2. Fails if that changes.
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
from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

CHANNELS = 32


class Watched(AblationCAM):
    """Keeps the channels' weights."""

    def get_cam_weights(self, *args: object) -> np.ndarray:
        self.weights = super().get_cam_weights(*args)
        return self.weights


torch.manual_seed(0)
first = torch.nn.Conv2d(3, CHANNELS, 3, padding=1)
torch.nn.init.constant_(first.bias, 0.5)
last = torch.nn.Linear(CHANNELS, 2)
torch.nn.init.uniform_(last.weight, 0.1, 1.0)
net = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), last).eval()
picture = torch.rand(1, 3, 16, 16)


def weights(ratio: float) -> np.ndarray:
    """The weights of the channels."""
    cam = Watched(net, [net[1]], ratio_channels_to_ablate=ratio)
    cam(picture, [ClassifierOutputTarget(0)])
    return cam.weights[0]


print(f"grad-cam {version('grad-cam')}: channels of {CHANNELS} that have a weight")
found = {ratio: weights(ratio) for ratio in (1.0, 0.25, 0.5, 0.6, 0.9)}
for ratio, value in found.items():
    print(f"ratio {ratio}: {np.count_nonzero(value)}")
count = {ratio: np.count_nonzero(value) for ratio, value in found.items()}
held = count[1.0] == CHANNELS and count[0.25] == CHANNELS // 2 and np.allclose(found[0.5], found[1.0])
sys.exit(not (held and max(count[0.6], count[0.9]) < count[0.25] / 2))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py" 2> "$work/progress" || { cat "$work/progress" >&2; exit 1; }
