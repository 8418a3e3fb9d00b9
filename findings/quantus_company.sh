#!/usr/bin/env bash
# Two scores of one picture in Quantus 0.6.0 (PyPI), alone and beside other pictures.
#
# A good guess: a score that is returned for each picture is of that picture alone.
# What happens: (1) normalise=True, the usual, divides the maps of all pictures by the one largest value among them: the default
# normalise_by_max works on every axis of a_batch, also that of the pictures. A score with a threshold, such as
# EffectiveComplexity, then depends on how strong the others are. (2) AttributionLocalisation(weighted=True) takes the size of
# x_batch[2:], which leaves out two pictures, for the size of a picture: the weight depends on how many pictures come in one
# batch.
# Seen: EffectiveComplexity of one map is 64 alone and 0 beside a map that is a million times as strong, as gradients of a sure
# and an unsure softmax are. The weighted localisation of one picture is inf in a batch of 1 or 2, and half as large in a batch
# of 4 as in a batch of 3. Fails if that changes.
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
one_map = generator.random((1, 1, 8, 8)).astype(np.float32)
mask = np.zeros((1, 1, 8, 8), bool)
mask[..., :4, :4] = True


def first_score(metric: object, maps: np.ndarray) -> float:
    """The first picture's."""
    count = len(maps)
    pictures = np.random.default_rng(1).random((count, 3, 8, 8)).astype(np.float32)
    masks = np.repeat(mask, count, axis=0)
    found = metric(model=None, x_batch=pictures, y_batch=np.zeros(count, int), a_batch=maps.copy(), s_batch=masks)
    return float(found[0])


print(f"Quantus {version('quantus')}, the same picture each time")
complexity = quantus.EffectiveComplexity(disable_warnings=True)
alone, beside = first_score(complexity, one_map), first_score(complexity, np.concatenate([one_map, 1e6 * one_map]))
print(f"EffectiveComplexity: alone {alone:g}, beside a stronger map {beside:g}")
localisation = quantus.AttributionLocalisation(weighted=True, disable_warnings=True)
weighted = [first_score(localisation, np.repeat(one_map, count, axis=0)) for count in (1, 2, 3, 4)]
print("AttributionLocalisation, weighted, in batches of 1 to 4:", *(f"{score:.4g}" for score in weighted))
halved = np.isinf(weighted[:2]).all() and np.isclose(weighted[3], weighted[2] / 2)
sys.exit(not ((alone, beside) == (64, 0) and halved))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
