#!/usr/bin/env bash
# The average correlation of the Model Parameter Randomisation Test in Quantus 0.6.0 (PyPI).
#
# A good guess: MPRT(return_average_correlation=True) is the mean over the randomised layers of how much a map correlates with that
# of the randomised model: about 0 for a method that depends on every layer.
# What happens: the correlation of the map with itself, always 1, is one of the values of the mean. It is stored as "original" and
# left out as "orig" (recompute_average_correlation_per_sample in quantus/metrics/randomisation/mprt.py; the same in
# smooth_mprt.py). Of n layers the result is (1 + sum) / (n + 1), so that a network of few layers makes a method look insensitive,
# and networks of different depths cannot be compared.
# Seen: gradients of networks with 2 and 5 layers. The values of the layers average -0.07 and 0.10, and MPRT says 0.29 and 0.25.
# Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check quantus==0.6.0 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import quantus
import torch

COUNT, SIDE, CLASSES = 20, 8, 3


def net(layers: int) -> torch.nn.Module:
    """A network of so many layers with weights."""
    hidden = [part for _ in range(layers - 2) for part in (torch.nn.Linear(32, 32), torch.nn.ReLU())]
    first = torch.nn.Flatten(), torch.nn.Linear(SIDE**2, 32), torch.nn.ReLU()
    return torch.nn.Sequential(*first, *hidden, torch.nn.Linear(32, CLASSES)).eval()


def gradient(model: torch.nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
    """The gradient of the targets' answers."""
    pictures = torch.as_tensor(inputs, dtype=torch.float32).requires_grad_(True)
    answers = model(pictures)[torch.arange(len(inputs)), torch.as_tensor(targets)]
    return torch.autograd.grad(answers.sum(), pictures)[0].numpy()


def scored(model: torch.nn.Module, average: bool) -> object:
    """What MPRT says, per layer or on average; the maps keep their signs."""
    test = quantus.MPRT(return_average_correlation=average, return_last_correlation=False, abs=False, disable_warnings=True)
    return test(model=model, x_batch=pictures, y_batch=np.zeros(COUNT, int), explain_func=gradient, device="cpu")


torch.manual_seed(0)
pictures = np.random.default_rng(0).normal(size=(COUNT, 1, SIDE, SIDE)).astype(np.float32)
print(f"Quantus {version('quantus')}: layers, mean over the randomised layers, what MPRT says, value of the original")
held = True
for layers in (2, 5):
    model = net(layers)
    single = {name: float(np.mean(values)) for name, values in scored(model, average=False).items()}
    said = float(np.mean(scored(model, average=True)))
    original = single.pop("original")
    mean = sum(single.values()) / layers
    print(f"{len(single)}: {mean:.2f}, {said:.2f}, {original:.2f}")
    held &= len(single) == layers and abs(said - (original + layers * mean) / (layers + 1)) < 1e-3 and said > mean + 0.1
sys.exit(not held)
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
