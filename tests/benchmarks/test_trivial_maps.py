"""The trivial maps are maps like any other."""

from __future__ import annotations

import numpy as np
import pytest
from sdexplain.benchmarks.ground_truth.trivial_maps import TRIVIAL_MAPS

OBJECT = np.zeros((64, 64), bool)
OBJECT[4:20, 4:36] = True


@pytest.mark.parametrize("name", TRIVIAL_MAPS)
def test_trivial_maps_have_the_picture_s_size_and_no_constant(name: str) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[OBJECT] = 200
    values = TRIVIAL_MAPS[name](picture, OBJECT)
    assert values.shape == (64, 64)
    assert np.isfinite(values).all() and values.std() > 0
