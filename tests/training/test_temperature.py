"""The temperature of log-odds: a planted one is found, there is one where no verdict is wrong, and nothing is asked twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sdexplain.training import temperature
from sdexplain.training.held_out import other_label, pictures


@pytest.mark.parametrize("planted", [0.3, 1.0, 20.0])
def test_a_planted_temperature_is_found(planted: float) -> None:
    rng = np.random.default_rng(0)
    size = np.abs(rng.normal(0, 2, 40_000))
    right = rng.random(size.size) < expit(size)
    assert temperature.fit_temperature(planted * np.where(right, size, -size)) == pytest.approx(planted, rel=0.05)


def test_without_a_wrong_verdict_it_scales_with_the_nats_and_more_of_them_lower_it() -> None:
    nats = np.random.default_rng(1).uniform(5, 200, 50)
    found = temperature.fit_temperature(nats)
    assert temperature.fit_temperature(10 * nats) == pytest.approx(10 * found, rel=1e-3)
    assert 0 < temperature.fit_temperature(np.tile(nats, 20)) < found


def test_one_that_is_wrong_by_far_raises_it() -> None:
    nats = np.full(100, 50.0)
    assert temperature.fit_temperature(np.append(nats, -50.0)) > temperature.fit_temperature(np.append(nats, 50.0))


def test_a_drawing_that_was_asked_about_is_not_asked_about_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(temperature, "evidence_for_own", lambda _, picture: asked.append(picture) or float(len(asked)))
    file = tmp_path / "answers.jsonl"
    first = temperature.ask(None, 1, file)
    assert asked == pictures(1) and len(first) == 6
    assert temperature.ask(None, 2, file)[:6].tolist() == first.tolist() and len(asked) == 12


def test_the_other_label_of_a_pair() -> None:
    assert (other_label("zebra"), other_label("horse"), other_label("taxi")) == ("horse", "zebra", "sports car")
