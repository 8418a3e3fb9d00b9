#!/usr/bin/env bash
# RISE by TorchRay 1.0.0.2 (PyPI), of a classifier with a softmax.
#
# A good guess: rise(net, picture) weighs every mask with the class's probability, as its paper does, or with the output of the
# network as it comes.
# What happens: the output goes through a sigmoid first, whatever it is (rise in torchray/attribution/rise.py). In float32 that
# is exactly 1 from about 17 on, and ImageNet networks do have logits like that. Then every mask weighs the same, and the
# map is the mean of the masks: the same for all such classes and all pictures, with its highest place always the same. And
# adding a number to all logits, which changes no probability, changes the map. A network that ends in a softmax is squeezed into
# 0.5 to 0.73, but keeps its order.
# Seen: class 0 looks at the upper left of a picture and class 1 at the lower right. With logits from -5 to 5 the highest places of
# the two maps lie there. With 25 more on both logits the maps are equal to the last digit, and so are those of quite another
# picture; with a softmax the places are right again. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torchray==1.0.0.2 torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torchray.attribution.rise import rise

SIDE, CORNER, MASKS = 32, 8, 2000


def logits(pictures: torch.Tensor) -> torch.Tensor:
    """How bright the upper left is, and the lower right, from -5 to 5."""
    corners = pictures[:, :, :CORNER, :CORNER], pictures[:, :, -CORNER:, -CORNER:]
    return torch.stack([10 * corner.mean((1, 2, 3)) - 5 for corner in corners], 1)


def halves(saliency: torch.Tensor) -> tuple[str, ...]:
    """Where the highest place of each class lies."""
    places = [divmod(int(single.argmax()), SIDE) for single in saliency]
    return tuple("upper left" if row + column < SIDE else "lower right" for row, column in places)


nets = {
    "logits": logits,
    "logits plus 25": lambda pictures: logits(pictures) + 25,
    "softmax": lambda pictures: logits(pictures).softmax(1),
}
torch.manual_seed(0)
picture, another = torch.ones(1, 3, SIDE, SIDE), torch.rand(1, 3, SIDE, SIDE)
print(f"TorchRay {version('torchray')}: highest place of the maps of class 0 and 1")
maps = {name: rise(net, picture, num_masks=MASKS)[0] for name, net in nets.items()}
for name, saliency in maps.items():
    print(f"{name}: {', '.join(halves(saliency))}, equal: {torch.equal(*saliency)}")
large = maps["logits plus 25"]
as_another = torch.equal(rise(nets["logits plus 25"], another, num_masks=MASKS)[0], large)
print(f"logits plus 25, equal to the maps of another picture: {as_another}")
right = ("upper left", "lower right")
sys.exit(not (halves(maps["logits"]) == halves(maps["softmax"]) == right and torch.equal(*large) and as_another))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
