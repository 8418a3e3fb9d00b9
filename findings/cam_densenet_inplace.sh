#!/usr/bin/env bash
# Grad-CAM on the features of torchvision's DenseNet, by pytorch-grad-cam 1.5.7 (grad-cam on PyPI) and TorchCAM 0.5.0 (PyPI).
#
# A good guess: with target layer net.features[-1], which pytorch-grad-cam recommends for DenseNet, the map is made of what that
# layer, a batch norm, puts out, negative values too, and all packages agree on it.
# What happens: torchvision's forward goes on with F.relu(features, inplace=True), and both packages keep the layer's output
# without a copy. TorchCAM takes activations and gradients of the ReLU. pytorch-grad-cam takes the gradients before the ReLU and,
# on the CPU, the activations behind it, a map of neither layer; .cpu() copies from a GPU and not on the CPU, so a GPU's are those
# before it (save_activation in pytorch_grad_cam/activations_and_gradients.py). So it is with every layer before an inplace
# ReLU, such as VGG's convolutions. Captum's LayerGradCam copies.
# Seen: one DenseNet with its ReLU in place and not in place. The answers are equal, and so are Captum's maps. The maps in 0..1 of
# pytorch-grad-cam are off by up to 0.26; one of TorchCAM's is 0 everywhere in place and reaches 1 if not, and TorchCAM's are
# those that it makes of the ReLU's output. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check grad-cam==1.5.7 torchcam==0.5.0 captum==0.9.0 torch==2.14.1 \
  torchvision==0.29.1
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import GradCAM as TorchCAM
from torchvision.models import DenseNet

CLASSES = 5


class NotInPlace(torch.nn.Module):
    """The same network, with a ReLU that leaves its input alone."""

    def __init__(self, net: DenseNet) -> None:
        super().__init__()
        self.features, self.relu, self.classifier = net.features, torch.nn.ReLU(), net.classifier

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.relu(self.features(pictures)).mean((2, 3)))


def torchcam_map(net: torch.nn.Module, layer: torch.nn.Module, picture: torch.Tensor, index: int) -> torch.Tensor:
    """TorchCAM's map of one class."""
    with TorchCAM(net, layer) as extractor:
        return extractor(index, net(picture))[0][0]


def maps(net: torch.nn.Module, picture: torch.Tensor, index: int) -> dict[str, torch.Tensor]:
    """The maps of one class; Captum's as far as it is positive, and in 0..1 like the others."""
    layer = net.features[-1]
    found = {"pytorch-grad-cam": torch.from_numpy(GradCAM(net, [layer])(picture, [ClassifierOutputTarget(index)])[0])}
    found["TorchCAM"] = torchcam_map(net, layer, picture, index)
    captum = LayerGradCam(net, layer).attribute(picture, target=index, relu_attributions=True)[0, 0].detach()
    return found | {"Captum": captum / captum.max().clamp(min=1e-8)}


torch.manual_seed(0)
net = DenseNet(growth_rate=8, block_config=(2, 2, 2), num_init_features=16, num_classes=CLASSES).eval()
for module in net.modules():
    if isinstance(module, torch.nn.BatchNorm2d):  # as training moves them
        torch.nn.init.normal_(module.bias, std=0.3)
picture = torch.randn(1, 3, 128, 128)
copied = NotInPlace(net)
same = torch.allclose(net(picture), copied(picture), atol=1e-6)
print(f"grad-cam {version('grad-cam')}, torchcam {version('torchcam')}, equal answers: {same}")
pairs = [(maps(net, picture, index), maps(copied, picture, index)) for index in range(CLASSES)]
gap = {name: max(float((one[name] - other[name]).abs().max()) for one, other in pairs) for name in pairs[0][0]}
print("largest difference of two maps:", ", ".join(f"{name} {value:.2f}" for name, value in gap.items()))
behind = [torchcam_map(copied, copied.relu, picture, index) for index in range(CLASSES)]
as_behind = all(torch.allclose(pair[0]["TorchCAM"], other, atol=1e-4) for pair, other in zip(pairs, behind, strict=True))
print(f"TorchCAM's in place are those of the ReLU's output: {as_behind}")
sys.exit(not (same and as_behind and gap["Captum"] < 1e-3 and min(gap["pytorch-grad-cam"], gap["TorchCAM"]) > 0.2))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
