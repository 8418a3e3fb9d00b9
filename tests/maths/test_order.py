"""The order of the steps: whatever has been asked so far is spread over the whole schedule."""

from __future__ import annotations

import pytest
from sdexplain.nodes.maths.method.order import golden_order


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 20, 25, 50, 1000])
def test_every_step_comes_once(steps: int) -> None:
    assert sorted(golden_order(steps)) == list(range(steps))


def test_the_first_steps_are_the_golden_ratios_multiples_from_the_clean_end_down() -> None:
    assert golden_order(1000)[:5] == [331, 713, 95, 477, 859]


@pytest.mark.parametrize("count", [3, 5, 8, 12, 20])
def test_no_beginning_leaves_a_wide_gap(count: int) -> None:
    asked = sorted(golden_order(100)[:count])
    gaps = [after - before for before, after in zip([-1, *asked], [*asked, 100], strict=True)]
    assert max(gaps) <= 2.7 * 100 / (count + 1)  # in order of noise it would be 100 - count


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        golden_order(0)
