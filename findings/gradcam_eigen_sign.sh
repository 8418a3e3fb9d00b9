#!/usr/bin/env bash
# eigen_smooth=True and EigenCAM in pytorch-grad-cam 1.5.7 (grad-cam on PyPI).
#
# A good guess: the first principal component of a layer, weighted with the gradients in Grad-CAM's case, is the same map with
# less noise: what lies on the object stays there.
# What happens: a principal component has no sign, and the sign that the singular value decomposition happens to return is kept
# (get_2d_projection in pytorch_grad_cam/utils/svd_on_activations.py). What is negative is cut off after that. So for one network
# or picture the object is marked, and for another one all but the object. SegEigenCAM of the same package turns the sign.
# Seen: 40 networks whose features are 0 beside the object and whose weights are positive. Grad-CAM's map lies on the object
# alone for all of them. With eigen_smooth=True it lies beside the object alone for 7 of them, and EigenCAM's for 9; which ones
# depends on the library for linear algebra. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check grad-cam==1.5.7 torch==2.14.1 torchvision==0.29.1
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from pytorch_grad_cam import EigenCAM, GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

SIDE, NETWORKS, OBJECT = 32, 40, (slice(8, 20), slice(8, 20))


def network(seed: int) -> torch.nn.Sequential:
    """A network without biases, and so with features that are 0 where the picture is."""
    torch.manual_seed(seed)
    features = torch.nn.Conv2d(3, 16, 1, bias=False), torch.nn.ReLU()
    whole = torch.nn.Sequential(*features, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 1))
    with torch.no_grad():
        whole[-1].weight.abs_()
    return whole.eval()


def share(method: type, seed: int, smooth: bool) -> float:
    """The share of the map that lies on the object."""
    model = network(seed)
    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[(..., *OBJECT)] = torch.rand(1, 3, 12, 12) + 0.5
    with method(model, [model[1]]) as cam:
        saliency = cam(picture, [ClassifierOutputTarget(0)], eigen_smooth=smooth)[0]
    return float(saliency[OBJECT].sum() / saliency.sum())


print(f"pytorch-grad-cam {version('grad-cam')}: of {NETWORKS} networks, maps on the object alone and beside it alone")
counts = []
for name, method, smooth in (("Grad-CAM", GradCAM, False), ("eigen_smooth", GradCAM, True), ("EigenCAM", EigenCAM, False)):
    shares = [share(method, seed, smooth) for seed in range(NETWORKS)]
    counts.append((sum(found > 0.99 for found in shares), sum(found < 0.01 for found in shares)))
    print(f"{name}: {counts[-1][0]} and {counts[-1][1]}")
plain, *eigen = counts
sys.exit(not (plain == (NETWORKS, 0) and all(on >= 2 and beside >= 2 for on, beside in eigen)))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
