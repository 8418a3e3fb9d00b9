#!/usr/bin/env bash
# FullGrad of pytorch-grad-cam 1.5.7 (grad-cam on PyPI), of channels with hardly any effect.
#
# A good guess: the parts of a layer's channels are added up as they are, so that a channel whose part in the answer is a hundred
# thousand times as small marks nothing.
# What happens: every channel is stretched to 0..1 by itself before they are added up (scale_accross_batch_and_channels in
# pytorch_grad_cam/utils/image.py). So all channels count the same as soon as they have a gradient at all, and the map shows where
# many channels look, and not where the answer comes from. The code of its authors, Srinivas and Fleuret, stretches a layer as a
# whole.
# Seen: one channel looks at the upper left of a picture and another one at the lower right, with 1/100,000 of the weight. Their
# sizes should be 1 to 0.00001. A third of the map lies at the lower right, a half if the weights are equal, and nothing if the
# second weight is 0. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check grad-cam==1.5.7 torch==2.14.1 torchvision==0.29.1
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from pytorch_grad_cam import FullGrad
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

SIDE = 32
UPPER, LOWER = (slice(4, 12), slice(4, 12)), (slice(20, 28), slice(20, 28))


class Network(torch.nn.Module):
    """The brightness at the upper left, and so much of that at the lower right, by a channel each."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.features = torch.nn.Conv2d(1, 2, 1)
        torch.nn.init.ones_(self.features.weight)
        torch.nn.init.ones_(self.features.bias)
        places = torch.zeros(2, SIDE, SIDE)
        places[0][UPPER], places[1][LOWER] = 1, weight
        self.register_buffer("places", places)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The answer of the only class."""
        return (torch.relu(self.features(pictures)) * self.places).sum((1, 2, 3))[:, None]


def share(weight: float) -> float:
    """The share of the map that lies at the lower right."""
    saliency = FullGrad(Network(weight).eval(), [])(torch.ones(1, 1, SIDE, SIDE), [ClassifierOutputTarget(0)])[0]
    return float(saliency[LOWER].sum() / saliency.sum())


weights = 1.0, 1e-5, 0.0
shares = [share(weight) for weight in weights]
print(f"pytorch-grad-cam {version('grad-cam')}: share of the map at the lower right")
for weight, found in zip(weights, shares, strict=True):
    print(f"weight {weight}: {found:.2f}")
equal, tiny, none = shares
sys.exit(not (abs(equal - 0.5) < 0.01 and tiny > 0.3 and none == 0))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
