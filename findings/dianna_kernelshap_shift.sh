#!/usr/bin/env bash
# Kernel SHAP for images by DIANNA 1.8.1 with scikit-image 0.26.0 (PyPI).
#
# A good guess: the map is strongest at the superpixel that the model looks at.
# What happens: it is strongest at the next one. _mask_image in dianna/methods/kernelshap_image.py hides superpixels 0 ... K - 1,
# where slic numbers them 1 ... K since scikit-image 0.19; _create_heatemaps takes 1 off a superpixel's number to find its value,
# and so gives it that of the one before. The last superpixel is never hidden, and the first has no value.
# Seen: a network that is the mean over the square in row 1, column 2 of 4 x 4 has all of its map in row 1, column 3. Fails if that
# changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check dianna==1.8.1 shap==0.51.0 scikit-image==0.26.0 numpy==2.4.6 \
    onnx==1.23.2 onnxruntime==1.32.0 torch==2.13.0
cat > "$work/try.py" <<'PYTHON'
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from dianna.methods.kernelshap_image import KERNELSHAPImage
from onnx import TensorProto, helper, numpy_helper

SIDE, SQUARES = 16, 4
LOOKED_AT = (1, 2)  # the square in row 1, column 2
squares = np.random.default_rng(0).random((SQUARES, SQUARES, 3)).astype(np.float32)
squares[LOOKED_AT] = 1
image = squares.repeat(SIDE, axis=0).repeat(SIDE, axis=1)


def network() -> onnx.ModelProto:
    """The mean over one square, and nothing else, as the only output."""
    row, column = (SIDE * place for place in LOOKED_AT)
    bounds = {"starts": [row, column], "ends": [row + SIDE, column + SIDE], "axes": [1, 2], "over": [1, 2, 3]}
    nodes = [
        helper.make_node("Slice", ["pictures", "starts", "ends", "axes"], ["square"]),
        helper.make_node("ReduceMean", ["square", "over"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["scores"]),
    ]
    bounds["one"] = [1]
    made = helper.make_graph(
        nodes,
        "one_square",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", *image.shape])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in bounds.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "one_square.onnx")
    onnx.save(network(), file)
    found = KERNELSHAPImage(axis_labels={2: "channels"}).explain(str(file), image, labels=[0], n_segments=16, nsamples=500)[0]
strength = np.abs(found).reshape(SQUARES, SIDE, SQUARES, SIDE).mean((1, 3))
strongest = tuple(map(int, np.unravel_index(strength.argmax(), strength.shape)))
alone = float(strength[strongest] / strength.sum())
print(f"DIANNA {version('dianna')}: looks at {LOOKED_AT}, the map shows {strongest}, which has {alone:.0%} of it")
sys.exit(not (strongest == (1, 3) and alone > 0.9))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py" 2> /dev/null
