"""The bundled model's maps are true: a small run of demo/evaluate.py, held to floors well under what the full run measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sdexplain.demo import evaluate
from sdexplain.nodes.maths.agreement import Scores, mean_scores

MODEL = Path(evaluate.ROOT) / "demo" / "model"
SCENES, STEPS = 6, 25
BEST = ("A − B", f"0–{STEPS}", "sum of magnitudes")


@pytest.fixture(scope="module")
def results() -> list[evaluate.Result]:
    return evaluate.evaluate(evaluate.held_out_cases(SCENES, seed=1), MODEL, STEPS, samples=1, seed=1)


def means(results: list[evaluate.Result], key: evaluate.Key) -> Scores:
    return mean_scores([result.scores[key] for result in results])


def test_every_scene_is_measured_in_both_directions(results: list[evaluate.Result]) -> None:
    assert len(results) == 2 * 3 * SCENES
    assert {result.case.label for result in results} == {label for pair in evaluate.PAIRS for label in pair}


def test_the_map_finds_what_tells_the_twins_apart(results: list[evaluate.Result]) -> None:
    found, chance = means(results, BEST), means(results, ("–", "–", "centre Gaussian"))
    assert found.auroc > 0.88
    assert found.shuffled > 0.85
    assert found.inside > 0.65
    assert found.iou > 0.3 > 2 * chance.iou


def test_the_verdict_is_mostly_right(results: list[evaluate.Result]) -> None:
    assert np.mean([result.evidence > 0 for result in results]) > 0.9


def test_tables_name_every_map_pair_and_direction(results: list[evaluate.Result], tmp_path: Path) -> None:
    tables = evaluate.score_tables(results)
    for name in (*evaluate.MAPS, *evaluate.TRIVIAL_MAPS, *Scores.names()):
        assert name in tables
    assert "| horse/zebra | zebra |" in tables
    assert "| all |" in evaluate.verdict_table(results)
    evaluate.write_csv(tmp_path / "scores.csv", results)
    lines = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(results) * len(results[0].scores)


def test_seeds_never_share_a_scene() -> None:
    first, second = (evaluate.held_out_cases(5, seed) for seed in (0, 1))
    assert not {case.seed for case in first} & {case.seed for case in second}
    assert min(case.seed for case in first) >= evaluate.FIRST_HELD_OUT_SEED
