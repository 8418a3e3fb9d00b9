#!/usr/bin/env bash
# Pictures as tensors or arrays in the pipelines of diffusers 0.42.1 (PyPI).
#
# A good guess: a pipeline makes the same of a picture as a PIL image, as an array and as a tensor in 0..1; all are resized with
# VaeImageProcessor's resample="lanczos".
# What happens: (1) resample is for PIL images. Arrays and tensors are resized to the nearest pixel, without smoothing (resize in
# diffusers/image_processor.py): rows and columns are left out or doubled. It happens to every picture whose sides are no
# multiples of vae_scale_factor. (2) If one value of a batch is below 0, as bicubic resizing and float noise leave it, the whole
# batch is taken for one in -1..1 and not brought from 0..1 to -1..1: all its pictures keep half of their contrast and are too
# bright. A warning speaks of the format, not of the pictures.
# Seen: lines of black and white, 1 pixel wide, at half the size. As a PIL image they are grey, 0.50; as array and tensor white,
# 1.00. A tensor of 0.5 becomes 0.0; beside a picture with one pixel of -0.000001 it stays 0.5. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check diffusers==0.42.1 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

SIDE = 64
processor = VaeImageProcessor()
lines = np.zeros((SIDE, SIDE, 3), np.uint8)
lines[:, ::2] = 255
forms = {
    "PIL image": Image.fromarray(lines),
    "array": lines[None] / np.float32(255),
    "tensor": torch.from_numpy(lines).permute(2, 0, 1)[None].float() / 255,
}
print(f"diffusers {version('diffusers')}: mean of the lines at half the size, in 0..1")
means = {name: float(processor.preprocess(form, SIDE // 2, SIDE // 2).mean() + 1) / 2 for name, form in forms.items()}
for name, mean in means.items():
    print(f"{name}: {mean:.2f}")
grey = torch.full((2, 3, SIDE, SIDE), 0.5)
alone = float(processor.preprocess(grey)[1].mean())
grey[0, 0, 0, 0] = -1e-6
beside = float(processor.preprocess(grey)[1].mean())
print(f"a picture of 0.5: {alone:.2f} alone, {beside:.2f} beside one with a value just below 0")
nearest = means["array"] == means["tensor"] == 1 and abs(means["PIL image"] - 0.5) < 0.02
sys.exit(not (nearest and alone == 0 and beside == 0.5))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
