#!/usr/bin/env bash
# Going on in the middle of an epoch with Accelerate 1.15.0 (PyPI).
#
# A good guess: with use_seedable_sampler=True, load_state and skip_first_batches show what is left of the epoch that was stopped.
# What happens: the order of the pictures follows from the seed and from how often the loader has been gone through, and a new
# process begins to count at 0: load_state does not bring the number back. What is left is that of the first epoch's order, so that
# some pictures come twice and others not at all. set_epoch on what skip_first_batches returns mends it.
# Seen: stopped after two of four batches of the second epoch, the two that follow hold pictures that were shown before and leave out
# as many; with set_epoch(1) they are those of a run that was not stopped. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check accelerate==1.15.0 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
import tempfile
from importlib.metadata import version
from itertools import chain, islice

import torch
from accelerate import Accelerator, DataLoaderConfiguration, skip_first_batches
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset

PICTURES, BATCH = 64, 16


def prepared() -> tuple[Accelerator, DataLoader]:
    set_seed(0)
    accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True))
    return accelerator, accelerator.prepare(DataLoader(TensorDataset(torch.arange(PICTURES)), BATCH, shuffle=True))


def shown(loader: DataLoader, batches: int | None = None) -> list[list[int]]:
    return [batch[0].tolist() for batch in islice(loader, batches)]


_, loader = prepared()
shown(loader)
uninterrupted = shown(loader)

accelerator, loader = prepared()
shown(loader)
before = shown(loader, 2)
with tempfile.TemporaryDirectory() as folder:
    accelerator.save_state(folder)
    accelerator, loader = prepared()
    accelerator.load_state(folder)
after = shown(skip_first_batches(loader, 2))
left = skip_first_batches(loader, 2)
left.set_epoch(1)
mended = shown(left)

seen = len(set(chain(*before, *after)))
print(
    f"Accelerate {version('accelerate')}: the epoch shows {seen} of {PICTURES} pictures; with set_epoch it is "
    f"{'as' if before + mended == uninterrupted else 'not as'} uninterrupted"
)
sys.exit(not (before == uninterrupted[:2] and seen < PICTURES and before + mended == uninterrupted))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
