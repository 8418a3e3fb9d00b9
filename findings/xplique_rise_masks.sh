#!/usr/bin/env bash
# The masks of RISE by Xplique 2.0.2 (PyPI): batches and seeds.
#
# A good guess: every mask is shifted by a distance of its own, as in the paper, whatever the batch size. And a run is repeatable
# after tf.random.set_seed, and has other masks with another seed, so that the scatter over seeds shows how far to trust a map.
# What happens: (1) tf.image.random_crop is called once for a batch, so all masks of a batch are shifted by the same distance
# (Rise._apply_masks in xplique/attributions/rise.py). With batch_size=None, or one that holds all masks, the map is made of one
# grid of 7 x 7, wherever that happens to lie. (2) The masks are drawn in functions that TensorFlow compiles at their first call,
# with the seed of that time. If one was set, every later seed gives the same masks, and seeds have no scatter. If none was set,
# no later seed makes a run repeatable. SmoothGrad and MuFidelity draw in the same way.
# (tensorflow_probability, which another method needs, is stood in for by an empty module.)
# Seen: 1,024 masks of 16 x 16 pixels span 49 dimensions in one batch, those of one grid of 7 x 7, and 250 if each has a batch of
# its own. The maps of seeds 0 and 1 are equal to the last digit, and a new process with seed 1 has another one. After a call
# without a seed, two maps of seed 0 differ. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.20.0 scikit-learn==1.7.2 scipy==1.15.3 \
  scikit-image==0.25.2 opencv-python-headless==5.0.0.93 matplotlib==3.11.2 einops==0.8.2 deprecated==1.3.1 numpy==2.4.6
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps xplique==2.0.2
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version
from multiprocessing import get_context
from unittest.mock import MagicMock

import numpy as np
import tensorflow as tf

sys.modules["tensorflow_probability"] = MagicMock()
from xplique.attributions import Rise  # noqa: E402

SIDE, MASKS, GRID = 16, 1_024, 7
white, wanted = np.ones((1, SIDE, SIDE, 1), np.float32), np.ones((1, 1), np.float32)


def network(pictures: tf.Tensor) -> tf.Tensor:
    """How bright the pixel in row 5, column 6 is."""
    return pictures[:, 5, 6]


def mapped(seed: int) -> np.ndarray:
    """The map of a white picture."""
    tf.random.set_seed(seed)
    return Rise(network, batch_size=32, nb_samples=MASKS, grid_size=GRID)(white, wanted).numpy()


def dimensions(batch_size: int) -> int:
    """How many dimensions the masks span: what a network is shown of a white picture."""
    shown = []

    def keeping(pictures: tf.Tensor) -> tf.Tensor:
        """The network, which keeps what it is shown."""
        shown.append(np.asarray(pictures).reshape(-1, SIDE * SIDE))
        return network(pictures)

    Rise(keeping, batch_size=batch_size, nb_samples=MASKS, grid_size=GRID)(white, wanted)
    return int(np.linalg.matrix_rank(np.concatenate(shown), tol=0.01))


def in_turn(seeds: list[int]) -> list[np.ndarray]:
    """The maps of these seeds, one after the other."""
    return [mapped(seed) for seed in seeds]


def unseeded() -> list[np.ndarray]:
    """Two maps of seed 0, after a call without a seed."""
    dimensions(MASKS)
    return in_turn([0, 0])


if __name__ == "__main__":
    print(f"Xplique {version('xplique')}")
    together, alone = dimensions(MASKS), dimensions(1)
    print(f"{MASKS:,} masks span {together} dimensions in one batch and {alone} in batches of one")
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        (zero, one), (anew,), (twice, again) = pool.apply(in_turn, ([0, 1],)), pool.apply(in_turn, ([1],)), pool.apply(unseeded)
    other, unsure = np.abs(anew - zero).max(), np.abs(twice - again).max()
    print(f"seed 1 is off by {np.abs(one - zero).max():.3f} from seed 0 in the same process, by {other:.3f} in a new one")
    print(f"seed 0 is off by {unsure:.3f} from seed 0 after a call without a seed")
    seeds = np.array_equal(zero, one) and other > 0.001 and unsure > 0.001
    sys.exit(not (together == GRID**2 and alone > 4 * GRID**2 and seeds))
PYTHON
CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore "$work/try.py"
