#!/usr/bin/env bash
# The gradient methods of Xplique 2.0.2 (PyPI) with output_layer.
#
# A good guess: Saliency(model, output_layer="logits") explains the logits and not the softmax behind them, as its documentation
# recommends.
# What happens: output_layer changes nothing. A model that ends at that layer is made, and then only asked whether it has
# gradients; all methods go on with the whole model (WhiteBoxExplainer.__init__ in xplique/attributions/base.py). So it is the
# softmax that is explained, whose gradients are about 0 where the network is sure. A model that ends at the logits,
# keras.Model(model.inputs, model.get_layer("logits").output), has to be given instead.
# (tensorflow_probability, which another method needs, is stood in for by an empty module.)
# Seen: Saliency, gradient times input, Integrated Gradients, SmoothGrad and guided backpropagation. Each answers the same to the
# last digit with and without output_layer, and something else, off by more than half of its largest value, if it is given a
# model that ends at the logits. Fails if that changes.
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
from xplique.attributions import GradientInput, GuidedBackprop, IntegratedGradients, Saliency, SmoothGrad  # noqa: E402

METHODS = (Saliency, GradientInput, IntegratedGradients, SmoothGrad, GuidedBackprop)
SIDE, CLASSES = 8, 3
tf.keras.utils.set_random_seed(0)
pixels = tf.keras.Input((SIDE, SIDE, 3))
features = tf.keras.layers.Flatten()(tf.keras.layers.Conv2D(4, 3, activation="relu")(pixels))
weights = tf.keras.initializers.RandomNormal(stddev=0.5)
logits = tf.keras.layers.Dense(CLASSES, kernel_initializer=weights, name="logits")(features)
whole = tf.keras.Model(pixels, tf.keras.layers.Softmax()(logits))
pictures = np.random.default_rng(0).random((2, SIDE, SIDE, 3)).astype(np.float32)
wanted = tf.one_hot([0, 1], CLASSES)


def explained(method: type, model: tf.keras.Model, output_layer: str | None) -> np.ndarray:
    """The maps of both pictures."""
    tf.random.set_seed(0)
    return method(model, output_layer=output_layer)(pictures, wanted).numpy()


print(f"Xplique {version('xplique')}: largest difference from the maps with output_layer, against the largest value")
right = True
for method in METHODS:
    named = explained(method, whole, "logits")
    ignored, meant = explained(method, whole, None), explained(method, tf.keras.Model(pixels, logits), None)
    off = np.abs(named - meant).max() / np.abs(meant).max()
    print(f"{method.__name__}: without output_layer {np.abs(named - ignored).max():.1f}, of the logits {off:.0%}")
    right = right and np.array_equal(named, ignored) and off > 0.5
sys.exit(not right)
PYTHON
CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore "$work/try.py"
