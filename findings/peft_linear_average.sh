#!/usr/bin/env bash
# Averages of LoRAs by PEFT 0.21.2 (PyPI): add_weighted_adapter with combination_type="linear".
#
# A good guess: it is the weighted sum of what the adapters change; half of one and half of the same is that one, as with
# set_adapters of diffusers.
# What happens: the two factors are added up each by itself, with the roots of the weights, and multiplied then
# (_generalized_task_arithmetic_weighted_adapter in peft/tuners/lora/model.py). So there are products of one adapter's factor with
# the other's as well: of no meaning for strangers, and for relatives, such as two states of one training, they are as large as
# what was asked for. "magnitude_prune" and "dare_linear" do so too. "cat" is the weighted sum, and "svd" what comes next to it in
# the rank of one adapter.
# Seen: half of an adapter and half of the same is 2.00 times the adapter with "linear", 0.50 times with "ties", and 1.00 times
# with "cat" and "svd". Half of each of two unrelated ones is off by 98 % of the weighted sum with "linear". Fails if that
# changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 transformers==5.23.0 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from peft import LoraConfig, get_peft_model

KINDS = {"linear": None, "cat": None, "svd": None, "ties": 1.0, "magnitude_prune": 1.0}  # with the density: all is kept

torch.manual_seed(0)
options = LoraConfig(r=4, lora_alpha=4, target_modules=["0"], init_lora_weights=False)
network = get_peft_model(torch.nn.Sequential(torch.nn.Linear(32, 32)), options, adapter_name="one")
network.add_adapter("stranger", options)
network.add_adapter("same", options)
layer = network.base_model.model[0]
for factors in (layer.lora_A, layer.lora_B):
    factors["same"].load_state_dict(factors["one"].state_dict())


def average(other: str, kind: str) -> torch.Tensor:
    """What half of the first adapter and half of another change."""
    name = f"{other}_{kind}"
    network.add_weighted_adapter(["one", other], [0.5, 0.5], name, kind, density=KINDS[kind])
    return layer.get_delta_weight(name).detach()


one, stranger = (layer.get_delta_weight(name).detach() for name in ("one", "stranger"))
print(f"PEFT {version('peft')}: half of an adapter and half of the same, in adapters; off the sum of two halves of strangers")
times, off = {}, {}
for kind in KINDS:
    times[kind] = ((average("same", kind) * one).sum() / one.square().sum()).item()
    off[kind] = ((average("stranger", kind) - (one + stranger) / 2).norm() / (one + stranger).norm() * 2).item()
    print(f"{kind}: {times[kind]:.2f}; {off[kind]:.0%}")
doubled = all(abs(times[kind] - 2) < 1e-3 for kind in ("linear", "magnitude_prune"))
right = all(abs(times[kind] - 1) < 1e-3 for kind in ("cat", "svd"))
sys.exit(not (doubled and right and abs(times["ties"] - 0.5) < 1e-3 and off["linear"] > 0.5 and off["cat"] < 1e-3))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
