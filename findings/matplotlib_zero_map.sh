#!/usr/bin/env bash
# A signed map that is 0 everywhere, drawn by Matplotlib 3.11.2 (PyPI) with a norm that is centred on 0.
#
# A good guess: with RdBu_r and CenteredNorm or TwoSlopeNorm(0), zero is the white in the middle, for every map; and a colour bar
# shows the colours and does not change them.
# What happens: the range of such a map is 0, and an empty range becomes 0 with CenteredNorm (Normalize.__call__ in
# matplotlib/colors.py) and 1 with TwoSlopeNorm. So a map without any effect is drawn as the strongest negative or the strongest
# positive one. A colour bar widens an empty range of the norm that it shares with the map to +-0.1, and the same map turns white.
# Without one, limits have to be given: halfrange, or vmin and vmax.
# Seen: a map of zeros is dark blue (5, 48, 97) with CenteredNorm and dark red (103, 0, 31) with TwoSlopeNorm. With a colour bar
# beside it both are white (247, 246, 246). Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check matplotlib==3.11.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import CenteredNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure


def drawn(norm: Normalize, with_bar: bool) -> tuple[int, ...]:
    """The colour in the middle of a map of zeros."""
    figure = Figure(figsize=(3, 2))
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    image = axes.imshow(np.zeros((4, 4)), cmap="RdBu_r", norm=norm)
    if with_bar:
        figure.colorbar(image)
    canvas.draw()
    place = axes.get_window_extent()
    pixels = np.asarray(canvas.buffer_rgba())[::-1]
    return tuple(map(int, pixels[int(place.y0 + place.height / 2), int(place.x0 + place.width / 2), :3]))


print(f"Matplotlib {matplotlib.__version__}: colour of zero in a map of zeros, without and with a colour bar")
found = {}
for name, kind in (("CenteredNorm", CenteredNorm), ("TwoSlopeNorm", lambda: TwoSlopeNorm(0))):
    found[name] = [drawn(kind(), with_bar) for with_bar in (False, True)]
    print(f"{name}: {found[name][0]}, {found[name][1]}")
darkest = found["CenteredNorm"][0] == (5, 48, 97) and found["TwoSlopeNorm"][0] == (103, 0, 31)
sys.exit(not (darkest and all(min(with_bar) > 240 for _, with_bar in found.values())))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
