#!/usr/bin/env bash
# forward_eval of ema-pytorch 0.8.3 (PyPI), the call that runs the averaged network for evaluation.
#
# A good guess: it does what the comment in it says, invoking the averaged network "with no grad + eval": dropout rests, batch
# normalisation uses its statistics, and nothing of the network changes.
# What happens: it notes the network's mode, runs the network in that mode and sets the mode again (EMA.forward_eval in
# ema_pytorch/ema_pytorch.py); eval() is nowhere called. The averaged network is a copy of the network in training, so its mode is
# training. Its answers are drawn by dropout and depend on the batch, and each call moves the averaged network's statistics.
# ema.eval() before it mends it.
# Seen: two calls with the same batch have different answers, and the running mean goes from 0 to 0.6 by them, without an update. A
# picture's answer depends on its company. After ema.eval() both calls agree and the mean stays. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6 ema-pytorch==0.8.3
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from ema_pytorch import EMA

torch.manual_seed(0)
batch = torch.randn(8, 4) + 3


def seen(normalisation: torch.nn.Module, ema: EMA) -> tuple[bool, bool, float]:
    """Whether two calls agree, whether a row has the answer alone that it has in the batch, and the running mean after them."""
    one, other = ema.forward_eval(batch), ema.forward_eval(batch)
    mean = float(normalisation.running_mean.mean())
    return torch.equal(one, other), torch.allclose(one[:2], ema.forward_eval(batch[:2])), mean


print(f"ema-pytorch {version('ema-pytorch')}")
results = []
for name, network in (
    ("dropout", lambda: torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Dropout())),
    ("batch normalisation", lambda: torch.nn.Sequential(torch.nn.BatchNorm1d(4))),
):
    for evaluated in (False, True):
        ema = EMA(network())
        if evaluated:
            ema.eval()
        again, alone, mean = seen(ema.ema_model[0], ema)
        results.append((again, alone, round(mean, 1)))
        after = ", after ema.eval()" if evaluated else ""
        print(f"{name}{after}: two calls agree: {again}, a batch's start agrees: {alone}, running mean {mean:.2f}")
(drawn, _, moved), (still, _, kept), (_, company, _), (_, independent, _) = results
sys.exit(not (not drawn and moved > 0.5 and still and kept == 0 and not company and independent))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
