"""The measures against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sdexplain.nodes.maths.answers.measures import (
    Scores,
    auroc,
    largest,
    largest_share,
    overlap,
    pointing,
    relevance_mass,
    score,
)

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


def test_ties_at_the_boundary_share_the_places_that_are_left() -> None:
    values = np.array([3.0, 1.0, 1.0, 0.0])
    assert largest_share(values, 2).tolist() == [1, 0.5, 0.5, 0]
    for truth in ([1, 1, 0, 0], [1, 0, 1, 0]):  # wherever the tie stands: min 1 + 1/2, max 1 + 1 + 1/2
        assert overlap(largest_share(values, 2), np.array(truth, bool)) == pytest.approx(1.5 / 2.5)
        assert auroc(values, np.array(truth, bool)) == pytest.approx(3.5 / 4)


def test_a_map_of_two_values_does_not_agree_by_the_order_of_its_places() -> None:
    """Half of a picture is 1, and the truth a fifth of that half, first or last."""
    values = np.zeros((10, 20))
    values[:, :10] = 1
    for rows in (slice(0, 2), slice(8, 10)):
        truth = np.zeros((10, 20), bool)
        truth[rows, :10] = True
        assert overlap(largest_share(values, 20), truth) == pytest.approx(20 / 5 / (20 + 80 / 5))
        assert auroc(values, truth) == pytest.approx(1 - 80 / 180 / 2)


@pytest.mark.parametrize(("count", "chosen"), [(1, 1), (2, 1), (3, 4), (4, 4), (7, 4)])
def test_a_mask_of_the_largest_takes_all_ties_or_none_whichever_is_nearer(count: int, chosen: int) -> None:
    values = np.array([2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert largest(values, count).sum() == chosen
    assert largest(values[1:], 1).sum() == 3, "rather than nothing"


def test_the_overlap_of_masks_is_the_jaccard_index_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    for _ in range(20):
        first, second = random.random(50) < 0.4, random.random(50) < 0.4
        assert overlap(first, second) == pytest.approx(metrics.jaccard_score(first, second))
