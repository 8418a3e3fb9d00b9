#!/usr/bin/env bash
# The model randomisation test of Xplique 2.0.2 (PyPI) on small networks.
#
# A good guess: ModelRandomizationMetric(model, pictures, targets) compares maps of the network with those of one whose last
# quarter of layers, at least the last one, has random weights. A method that looks at the weights comes out below 1.
# What happens: the number of layers is rounded down (ProgressiveLayerRandomization in xplique/metrics/randomization.py). Of a
# network with up to three layers that have weights, none is changed: the two networks are the same, and every method has a
# similarity of 1, as if it did not look at the network. There is no warning. And the random weights are all between 0 and 1: a
# network of positive weights alone, whose gradients are positive too, so that maps of unlike networks are more alike.
# (tensorflow_probability, which another method needs, is stood in for by an empty module.)
# Seen: two convolutions and a dense layer. The test says 1.00 for gradient times input, which with stop_layer=1.0 has -0.02. For
# Saliency it says 1.00, and 0.43 with all layers at random; with weights as they are drawn before training that is 0.24. Fails
# if that changes.
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
from unittest.mock import MagicMock

import numpy as np
import tensorflow as tf

sys.modules["tensorflow_probability"] = MagicMock()
from xplique.attributions import GradientInput, Saliency  # noqa: E402
from xplique.metrics import ModelRandomizationMetric, ModelRandomizationStrategy, ProgressiveLayerRandomization  # noqa: E402

SIDE, CLASSES, PICTURES = 16, 4, 16
random = np.random.default_rng(0)


def network() -> tf.keras.Model:
    """A small network, as it is before training."""
    pixels = tf.keras.Input((SIDE, SIDE, 1))
    features = pixels
    for _ in range(2):
        features = tf.keras.layers.Conv2D(8, 3, activation="relu")(features)
    return tf.keras.Model(pixels, tf.keras.layers.Dense(CLASSES)(tf.keras.layers.Flatten()(features)))


class Anew(ModelRandomizationStrategy):
    """All weights as they are drawn before training."""

    def randomize(self, model: tf.keras.Model) -> tf.keras.Model:
        """The network with other weights."""
        model.set_weights(network().get_weights())
        return model


tf.keras.utils.set_random_seed(0)
model = network()
pictures = random.random((PICTURES, SIDE, SIDE, 1)).astype(np.float32)
wanted = tf.one_hot(random.integers(0, CLASSES, PICTURES), CLASSES)
print(f"Xplique {version('xplique')}: similarity as usual, with all layers between 0 and 1, and with all layers drawn anew")
found = {}
for method in (GradientInput, Saliency):
    strategies = {}, {"randomization_strategy": ProgressiveLayerRandomization(1.0)}, {"randomization_strategy": Anew()}
    metrics = [ModelRandomizationMetric(model, pictures, wanted, **strategy) for strategy in strategies]
    found[method] = [metric(method(model)) for metric in metrics]
    print(f"{method.__name__}: " + ", ".join(f"{similarity:.2f}" for similarity in found[method]))
usual, whole, _ = found[GradientInput]
same, positive, anew = found[Saliency]
sys.exit(not (usual > 0.9999 and same > 0.9999 and abs(whole) < 0.2 and positive > anew + 0.1))
PYTHON
CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore "$work/try.py"
