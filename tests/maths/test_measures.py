"""The measures against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sdexplain.nodes.maths.answers.measures import Scores, largest, pointing, relevance_mass, score

TRUTH = np.zeros((64, 64), bool)
TRUTH[8:16, 8:16] = True
OBJECT = np.zeros((64, 64), bool)
OBJECT[4:20, 4:36] = True
NOWHERE_ELSE = np.ones((64, 64))


def test_a_perfect_map_scores_one() -> None:
    scores = score(TRUTH.astype(float), TRUTH, OBJECT, NOWHERE_ELSE)
    assert scores == Scores(auroc=1, inside=1, shuffled=1, precision=1, iou=1, pointing=1, mass=1)


def test_an_inverted_map_scores_zero() -> None:
    scores = score((~TRUTH).astype(float), TRUTH, OBJECT, NOWHERE_ELSE)
    assert (scores.auroc, scores.inside, scores.shuffled, scores.iou, scores.mass) == (0, 0, 0, 0, 0)


def test_the_object_s_silhouette_is_chance_inside_the_object() -> None:
    scores = score(OBJECT.astype(float), TRUTH, OBJECT, NOWHERE_ELSE)
    assert scores.inside == pytest.approx(0.5)
    # Outside the object all negatives rank below the truth, inside all tie: (N_out + N_in / 2) / N.
    negatives_inside, negatives = 16 * 32 - 64, 64 * 64 - 64
    assert scores.auroc == pytest.approx(1 - negatives_inside / 2 / negatives)


def test_overlap_of_half_the_pixels_has_an_iou_of_a_third() -> None:
    shifted = np.roll(TRUTH, 4, axis=1).astype(float)
    assert score(shifted, TRUTH, OBJECT, NOWHERE_ELSE).iou == pytest.approx(1 / 3)


def test_shuffled_counts_only_negatives_where_other_pictures_have_their_truth() -> None:
    # The map knows the two places where truths tend to be, not which of them is this picture's.
    habit = np.zeros((64, 64))
    habit[8:16, 8:16] = habit[40:48, 40:48] = 1
    others = np.zeros((64, 64))
    others[40:48, 40:48] = 3
    scores = score(habit, TRUTH, OBJECT, others)
    assert scores.shuffled == pytest.approx(0.5)
    assert scores.auroc > 0.98


def test_pointing_forgives_half_a_latent_cell_and_no_more() -> None:
    near, far = np.zeros((64, 64)), np.zeros((64, 64))
    near[12, 16], far[12, 17] = 1, 1
    assert score(near, TRUTH, OBJECT, NOWHERE_ELSE).pointing == 1
    assert score(far, TRUTH, OBJECT, NOWHERE_ELSE).pointing == 0


# ------------------------------------------------------------------------------------------- held to quantus' own measures


def test_pointing_and_mass_are_those_of_quantus() -> None:
    quantus = pytest.importorskip("quantus")
    random = np.random.default_rng(0)
    maps, masks = random.random((20, 24, 32)), random.random((20, 24, 32)) < 0.3
    pairs = list(zip(maps, masks, strict=True))
    game, mass = quantus.PointingGame(disable_warnings=True), quantus.RelevanceMassAccuracy(disable_warnings=True)
    hits = game.evaluate_batch(a_batch=maps, s_batch=masks)
    assert 0 < np.mean(hits) < 1
    assert [pointing(*pair, tolerance=0) for pair in pairs] == list(hits)
    assert [relevance_mass(*pair) for pair in pairs] == pytest.approx(mass.evaluate_batch(a_batch=maps, s_batch=masks))


def test_a_map_without_positive_values_has_no_mass() -> None:
    assert np.isnan(relevance_mass(-np.ones((4, 4)), np.eye(4, dtype=bool)))


def test_ties_at_the_smallest_value_are_never_among_the_largest() -> None:
    values = np.zeros((4, 4))
    values[0, 0] = 1
    assert largest(values, 5).sum() == 1
