#!/usr/bin/env bash
# The pointing game of Quantus 0.6.0 (PyPI) on a picture whose mask is empty.
#
# A good guess: a picture without the object has no score, as in the sister measures: NaN, which a mean with nanmean leaves out.
# What happens: it counts as a hit. evaluate_batch in quantus/metrics/localisation/pointing_game.py puts NaN into an array of
# booleans, where it becomes True.
# Seen: of three maps, one that points at its mask, one that points beside it and one whose mask is empty, the pointing game says
# True, False, True; RelevanceRankAccuracy says 1, 0, NaN. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check quantus==0.6.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import quantus

generator = np.random.default_rng(0)
pictures = generator.random((3, 3, 8, 8)).astype(np.float32)
maps = generator.random((3, 1, 8, 8)).astype(np.float32)
masks = np.zeros((3, 1, 8, 8), bool)
masks[0].flat[maps[0].argmax()] = True
masks[1].flat[maps[1].argmin()] = True


def scores(metric: object) -> list[float]:
    return list(map(float, metric(model=None, x_batch=pictures, y_batch=np.zeros(3, int), a_batch=maps, s_batch=masks)))


game = scores(quantus.PointingGame(disable_warnings=True))
sister = scores(quantus.RelevanceRankAccuracy(disable_warnings=True))
print(f"Quantus {version('quantus')}: a hit, a miss, and an empty mask")
print(f"PointingGame: {game}; RelevanceRankAccuracy: {sister}")
sys.exit(not (game == [1, 0, 1] and sister[:2] == [1, 0] and np.isnan(sister[2])))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
