#!/usr/bin/env bash
# The multi-scale structural similarity (MS-SSIM) of sewar 0.4.10 (PyPI), of colour pictures.
#
# A good guess: a colour picture has the mean of its channels, as with sewar's ssim: the channels are compared one by one.
# What happens: between two scales the whole picture is blurred by uniform_filter(picture, 2) (msssim in sewar/full_ref.py), which
# blurs along the axis of colours as well: from the second scale on green is half red, blue is half green. Errors of opposite
# sign in neighbouring channels cancel, as colour noise has them. A picture with one channel is right.
# Seen: a soft grey picture with the same noise in all channels, and with the same noise whose sign is turned in green. Each channel
# by itself has 0.87 in both, and so has the first picture. The second one has 0.92: two fifths of the loss are gone. A tenth less
# noise in all channels gives 0.89. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sewar==0.4.10 numpy==2.4.6 scipy==1.17.1
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from scipy.ndimage import gaussian_filter
from sewar.full_ref import msssim

SIDE, CHANNELS = 256, 3

generator = np.random.default_rng(0)
soft = gaussian_filter(generator.random((SIDE, SIDE)), 3)
grey = 50 + 150 * (soft - soft.min()) / (soft.max() - soft.min())
picture = np.stack([grey] * CHANNELS, axis=-1)
noise = 20 * generator.standard_normal((SIDE, SIDE, 1))
signs = {"the same noise in all channels": (1, 1, 1), "turned in green": (1, -1, 1)}
print(f"sewar {version('sewar')}: MS-SSIM of the picture, and of its channels")
found = []
for name, sign in signs.items():
    noisy = picture + noise * np.array(sign)
    whole = msssim(picture, noisy, MAX=255)
    channels = [msssim(picture[..., channel], noisy[..., channel], MAX=255) for channel in range(CHANNELS)]
    found.append((whole, min(channels), max(channels)))
    print(f"{name}: {whole:.3f}, {', '.join(f'{channel:.3f}' for channel in channels)}")
less = msssim(picture, picture + 0.9 * noise, MAX=255)
print(f"a tenth less noise in all channels: {less:.3f}")
(same, *same_channels), (turned, lowest, highest) = found
right = np.allclose(same_channels, same, atol=0.001) and highest - lowest < 0.002 and abs(lowest - same) < 0.002
sys.exit(not (right and turned > highest + 0.04 and turned > less))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
