#!/usr/bin/env bash
# Recalibrated quantiles of Uncertainty Toolbox 0.1.1 (PyPI), where predictions are off to one side.
#
# A good guess: after get_quantile_recalibrator has seen 2,000 true values, 90 % of them lie below the quantile 0.9.
# What happens: the observed proportions are made of prediction minus truth, where the quantiles are of truth minus prediction
# (get_proportion_lists_vectorized in uncertainty_toolbox/metrics_calibration.py, with prop_type="quantile"). So 0.9 is told what
# belongs to 0.1, and the mending goes the wrong way. If the errors are symmetric about 0 nobody sees it, and the mean calibration
# error is the same either way.
# Seen: the truth lies one standard deviation above the prediction. 61 % of it is below the quantile 0.9 before recalibration, and
# 23 % after it. With prediction and truth exchanged, in the call that fits the recalibration alone, it is 90 %. Fails if that
# changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uncertainty-toolbox==0.1.1 scikit-learn==1.9.1 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from uncertainty_toolbox.metrics_calibration import get_quantile
from uncertainty_toolbox.recalibration import get_quantile_recalibrator

COUNT = 2000
generator = np.random.default_rng(0)
predicted, deviation = generator.normal(size=COUNT), np.ones(COUNT)
true = predicted + 1 + generator.normal(size=COUNT)


def covered(fitted_to: tuple[np.ndarray, np.ndarray] | None) -> float:
    """How much of the truth lies below the quantile 0.9, recalibrated by a pair of prediction and truth."""
    quantile = get_quantile_recalibrator(fitted_to[0], deviation, fitted_to[1]) if fitted_to else get_quantile
    return float(np.mean(true <= quantile(predicted, deviation, 0.9)))


before, after, exchanged = covered(None), covered((predicted, true)), covered((true, predicted))
print(f"Uncertainty Toolbox {version('uncertainty-toolbox')}: true values below the quantile 0.9")
print(f"before recalibration {before:.0%}, after it {after:.0%}, with prediction and truth exchanged {exchanged:.0%}")
sys.exit(not (after < 0.3 < before < 0.7 and abs(exchanged - 0.9) < 0.02))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
