"""What the benchmark of progressive answers counts, on numbers that are known."""

from __future__ import annotations

import analytic
import numpy as np
import pytest
import torch
from sdexplain.benchmarks import progressive
from sdexplain.benchmarks.ground_truth.cases import cases
from sdexplain.benchmarks.ground_truth.progressive import (
    EXACT_NAME,
    GOLDEN,
    NOISIEST,
    QUICK_NAME,
    SETTLED_NAME,
    qualities,
    said,
    ways,
)
from sdexplain.bundled.scenes import PAIRS
from sdexplain.nodes.maths.answers.settled import FEWEST
from sdexplain.nodes.maths.answers.verdict import judge
from sdexplain.nodes.maths.method.prediction import NoisePredictions, part_of

PAIR = PAIRS[0]


@pytest.fixture
def whole() -> NoisePredictions:
    noised = analytic.noised_latents(torch.zeros(1, 4, 8, 8), samples=4, steps=25)
    truth = noised.noise[:, :, None]
    shift = torch.zeros(4, 8, 8)
    shift[:, :, :4] = 0.3
    return NoisePredictions(noised, truth.clone(), truth + shift, *PAIR)


def test_every_way_ends_with_all_steps_and_counts_both_prompts(whole: NoisePredictions) -> None:
    last = {name: (part.noised.asked, evaluations) for name, part, evaluations in ways(whole)}
    assert last[GOLDEN] == last[NOISIEST] == (None, 100)
    first = [part.noised.asked for name, part, evaluations in ways(whole) if name == NOISIEST and evaluations == 8]
    assert first == [(0, 1)]


def test_the_qualities_are_the_nodes_own(whole: NoisePredictions) -> None:
    counts = {name: evaluations for name, _, evaluations in qualities(whole)}
    assert counts == {QUICK_NAME: 12, SETTLED_NAME: 2 * 2 * FEWEST, EXACT_NAME: 200}  # what is clear settles as early as may be


def scenes(settled: float) -> list:
    picture = {EXACT_NAME: [(200, 0.8, 0.5, 1.0)], QUICK_NAME: [(12, 0.6, 0.4, 1.0)]}
    return [(PAIR, [{**picture, SETTLED_NAME: [(20, settled, 0.45, 1.0)]}] * 2)] * 5


def test_shares_are_of_exact_on_the_same_scenes() -> None:
    rows = {row[0]: row for row in progressive.settled_table(scenes(0.72), "settled").rows}
    assert [round(share.value, 6) for share in rows[SETTLED_NAME][5:9]] == [0.1, 0.9, 0.9, 1.0]
    assert rows[EXACT_NAME][5].value == 1 and rows[SETTLED_NAME][-2:] == (5, 10)


def test_the_nats_of_a_verdict_are_a_share_of_those_of_exact_and_its_interval_holds_them_or_not(whole: NoisePredictions) -> None:
    """By `shift` alone: half of the cells off by 0.3 at every step, so that all steps say the same and few give the same nats."""
    exact = float(judge(whole).log_odds)
    parts = {name: said(part, exact) for name, part, _ in qualities(whole)}
    assert parts[EXACT_NAME] == (exact, exact, 1, 1)
    nats, _, holds, leaves = parts[SETTLED_NAME]
    assert 0.6 * exact < nats < exact and (holds, leaves) == (1, 1)
    assert said(part_of(whole, (3, 9, 15), 2), 3 * exact)[2] == 0
    picture = {name: [(0, 0, 0, 1, *part)] for name, part in parts.items()}
    rows = {row[0]: row for row in progressive.verdicts_table([(PAIR, [picture])] * 5, "verdicts").rows}
    assert rows[SETTLED_NAME][2].value == pytest.approx(nats / exact) and rows[EXACT_NAME][2].value == 1
    assert [rows[SETTLED_NAME][place].value for place in (3, 4)] == [1, 1]


def test_a_scene_counts_once_whatever_its_pictures() -> None:
    found = [{GOLDEN: [(4, 0.5, 0, 1)]}, {GOLDEN: [(4, 0.7, 0, 1)]}]
    (values,) = progressive.by_pair([(PAIR, found)], GOLDEN, 0)
    assert np.allclose(values, [[4, 0.6, 0, 1]])


def test_one_picture_of_every_scene_comes_before_its_twin() -> None:
    report = cases("report", 4, 0)
    ordered = progressive.one_of_each_first(report)
    first = ordered[: len(report) // 2]
    assert len({(case.pair, case.seed) for case in first}) == len(first) and set(ordered) == set(report)
    assert all(sum(case.label == label for case in first) == 2 for pair in PAIRS for label in pair)
