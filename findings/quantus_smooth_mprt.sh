#!/usr/bin/env bash
# SmoothMPRT of Quantus 0.6.0 (PyPI) with a method of one's own.
#
# A good guess: SmoothMPRT(...)(model=..., explain_func=method) tests that method, as MPRT does, with maps that are averaged over
# noisy pictures.
# What happens: it asks that there is an explain_func and never calls it. explain_smooth_batch_numpy in
# quantus/metrics/randomisation/smooth_mprt.py calls quantus.explain, which computes the plain gradient with Captum or Zennit unless
# explain_func_kwargs name a method of theirs. So every function gets the gradient's score.
# Seen: a "method" that answers one fixed map, whatever the model, has a correlation of 1 with itself after randomisation, the worst
# there is, and MPRT says so. SmoothMPRT says -0.05, as good as can be, and to the last digit the same for the gradient; neither
# function was called. Fails if that changes. (Captum wants NumPy 1.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check quantus==0.6.0 captum==0.9.0 torch==2.13.0 numpy==1.26.4
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import quantus
import torch

COUNT, SIDE, CLASSES = 20, 8, 3
calls = 0


def gradient(model: torch.nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
    """The gradient of the targets' answers."""
    global calls
    calls += 1
    pictures = torch.as_tensor(inputs, dtype=torch.float32).requires_grad_(True)
    answers = model(pictures)[torch.arange(len(inputs)), torch.as_tensor(targets)]
    return torch.autograd.grad(answers.sum(), pictures)[0].numpy()


def fixed(model: torch.nn.Module, inputs: np.ndarray, targets: np.ndarray, **_: object) -> np.ndarray:
    """One map for every model and picture."""
    global calls
    calls += 1
    return np.broadcast_to(np.arange(SIDE**2, dtype=np.float32).reshape(1, 1, SIDE, SIDE), inputs.shape).copy()


def scored(metric: type, method: object, **options: object) -> tuple[float, int]:
    """The mean correlation after the last randomisation, and how often the method was called."""
    global calls
    calls = 0
    np.random.seed(0)
    test = metric(return_average_correlation=False, return_last_correlation=True, abs=False, disable_warnings=True, **options)
    found = test(model=net, x_batch=pictures, y_batch=np.zeros(COUNT, int), explain_func=method, device="cpu")
    return float(np.mean(found)), calls


torch.manual_seed(0)
layers = torch.nn.Linear(SIDE**2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, CLASSES)
net = torch.nn.Sequential(torch.nn.Flatten(), *layers).eval()
pictures = np.random.default_rng(0).normal(size=(COUNT, 1, SIDE, SIDE)).astype(np.float32)
print(f"Quantus {version('quantus')}: correlation after the last randomisation, calls of the method")
found = {}
for name, method in (("gradient", gradient), ("fixed map", fixed)):
    found["MPRT", name] = scored(quantus.MPRT, method)
    found["SmoothMPRT", name] = scored(quantus.SmoothMPRT, method, nr_samples=3, noise_magnitude=0.01)
for (metric, name), (correlation, called) in found.items():
    print(f"{metric}, {name}: {correlation:.2f}, {called}")
seen = found["MPRT", "fixed map"][0] > 0.999 and found["MPRT", "fixed map"][1] > 0
same = found["SmoothMPRT", "fixed map"] == found["SmoothMPRT", "gradient"]
sys.exit(not (seen and same and abs(found["SmoothMPRT", "fixed map"][0]) < 0.3 and found["SmoothMPRT", "fixed map"][1] == 0))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
