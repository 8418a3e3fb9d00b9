"""The order of the steps: whatever has been asked so far is spread over the whole schedule, and denser where it tells most."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sdexplain.nodes.maths.method.familiarity import LEVELS
from sdexplain.nodes.maths.method.order import OF_ASKED, TELLING, asking_order, golden_order

ORDERS = [golden_order, asking_order]
Order = Callable[[int], list[int]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 20, 25, 50, 1000])
def test_every_step_comes_once(order: Order, steps: int) -> None:
    assert sorted(order(steps)) == list(range(steps))


def test_an_even_spread_is_the_golden_ratios_multiples_from_the_clean_end_down() -> None:
    assert golden_order(1000)[:5] == [331, 713, 95, 477, 859]


@pytest.mark.parametrize("count", [3, 5, 8, 12, 20])
def test_no_beginning_of_an_even_spread_leaves_a_wide_gap(count: int) -> None:
    asked = sorted(golden_order(100)[:count])
    gaps = [after - before for before, after in zip([-1, *asked], [*asked, 100], strict=True)]
    assert max(gaps) <= 2.7 * 100 / (count + 1)  # in order of noise it would be 100 - count


@pytest.mark.parametrize("count", [4, 6, 10, 20, 50, 100])
def test_every_beginning_asks_where_the_schedule_tells_most_as_often_as_is_said(count: int) -> None:
    first, last = TELLING
    telling = sum(first <= step / 1000 < last for step in asking_order(1000)[:count])
    assert telling / count == pytest.approx(OF_ASKED[1] - OF_ASKED[0], abs=1.5 / count)  # so evenly are they spread


@pytest.mark.parametrize("count", [4, 6, 10, 20])
def test_either_side_of_it_is_asked_from_the_first_few_steps_on(count: int) -> None:
    places = [step / 1000 for step in asking_order(1000)[:count]]
    gaps = [after - before for before, after in zip([0, *sorted(places)], [*sorted(places), 1], strict=True)]
    assert max(gaps) <= 2.7 / (count + 1) / min(OF_ASKED[0] / TELLING[0], (1 - OF_ASKED[1]) / (1 - TELLING[1]))
    within = [gap for gap, place in zip(gaps, sorted(places), strict=False) if TELLING[0] < place - gap and place < TELLING[1]]
    assert max(within) <= 2.7 / (count + 1) * (TELLING[1] - TELLING[0]) / (OF_ASKED[1] - OF_ASKED[0])


@pytest.mark.parametrize("spacing", ["evenly", "both ends"])
@pytest.mark.parametrize("steps", [4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 50, 100])
def test_the_first_steps_tell_whether_the_model_knows_the_picture(steps: int, spacing: str) -> None:
    """Of Stable Diffusion's schedule, with timesteps as DDIM takes them and with both ends as ComfyUI's "normal" does."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
    kept = (1 - betas).cumprod(dim=0)
    times = torch.linspace(999, 0, steps) if spacing == "both ends" else 1000 - (torch.arange(steps) + 1) * (1000 // steps)
    levels = (kept / (1 - kept)).log()[times.long()]
    assert any(LEVELS[0] <= levels[step] <= LEVELS[1] for step in asking_order(steps)[:2])


@pytest.mark.parametrize("order", ORDERS)
def test_no_steps_are_refused(order: Order) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        order(0)
