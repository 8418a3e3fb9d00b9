"""The drawn scenes: twins that differ in their decisive features alone, and no other hint at the class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sdexplain.bundled.backgrounds import CLUTTER, PLACES
from sdexplain.bundled.scenes import (
    CLASSES,
    DIFFERENCE_THRESHOLD,
    PAIRS,
    clutter_masks,
    draw,
    object_mask,
    present_mask,
    sample_scene,
    truth_mask,
    twin_of,
)

pytestmark = pytest.mark.slow  # hundreds of pictures are drawn

SEEDS = range(2_000_000, 2_000_040)
SIZE = 128


@pytest.fixture(scope="module", params=PAIRS, ids=" or ".join)
def masks(request: pytest.FixtureRequest) -> list[tuple[np.ndarray, np.ndarray]]:
    """Truth and object masks of one pair's scenes."""
    scenes = [sample_scene(request.param, seed) for seed in SEEDS]
    return [(truth_mask(scene, SIZE), object_mask(scene, SIZE)) for scene in scenes]


def test_six_classes_have_each_other_as_twins() -> None:
    assert len(set(CLASSES)) == 6
    assert all(twin_of(label) != label and twin_of(twin_of(label)) == label for label in CLASSES)
    assert all(twin_of(first) == second for first, second in PAIRS)


@pytest.mark.parametrize("pair", PAIRS, ids=" or ".join)
def test_twins_are_alike_outside_the_truth_and_clearly_differ_inside(pair: tuple[str, str]) -> None:
    for seed in SEEDS[:10]:
        scene = sample_scene(pair, seed)
        first, second = (draw(scene, label).astype(int) for label in pair)
        difference, truth = np.abs(first - second).max(axis=-1), truth_mask(scene)
        assert difference[~truth].max() <= DIFFERENCE_THRESHOLD
        assert np.count_nonzero(difference[~truth]) < 0.01 * truth.size
        assert difference[truth].mean() > 60
        assert not difference[~object_mask(scene)].any()


@pytest.mark.parametrize("label", CLASSES)
def test_the_same_seed_draws_the_same_picture_and_another_seed_another(label: str) -> None:
    scene = sample_scene(label, 5)
    assert scene == sample_scene(label, 5)
    assert np.array_equal(draw(scene, label, SIZE), draw(sample_scene(label, 5), label, SIZE))
    assert not np.array_equal(draw(scene, label, SIZE), draw(sample_scene(label, 6), label, SIZE))


@pytest.mark.parametrize("pair", PAIRS, ids=" or ".join)
def test_a_scene_knows_its_pair_and_not_its_class(pair: tuple[str, str]) -> None:
    """Position, pose, background and clutter are therefore equally frequent for both classes."""
    first, second = pair
    for seed in SEEDS:
        assert sample_scene(first, seed) == sample_scene(second, seed) == sample_scene(pair, seed)


def test_pairs_do_not_share_their_scenes() -> None:
    positions = {tuple((thing.x, thing.y) for thing in sample_scene(pair, 3).things) for pair in PAIRS}
    assert len(positions) == len(PAIRS)


def test_drawing_and_masks_leave_the_random_state_alone() -> None:
    np.random.seed(4)
    expected = np.random.random(3)
    np.random.seed(4)
    truth_mask(sample_scene("rat", 1), 64)
    assert np.array_equal(np.random.random(3), expected)


def test_the_truth_is_a_small_share_of_the_picture_and_never_lost(masks: list[tuple[np.ndarray, np.ndarray]]) -> None:
    shares = np.array([truth.mean() for truth, _ in masks])
    assert shares.min() >= 0.015
    assert shares.max() <= 0.2
    assert 0.03 <= np.median(shares) <= 0.12


def test_the_truth_is_a_part_of_the_object_and_not_the_object(masks: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for truth, silhouette in masks:
        assert (truth & silhouette).sum() >= 0.98 * truth.sum()
        assert 0.15 * silhouette.sum() <= truth.sum() <= 0.6 * silhouette.sum()


def test_the_truth_lies_in_regions_that_a_latent_cell_can_hold(masks: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Of cells of 8 of 256 pixels that hold any truth, those that are mostly truth hold most of it."""
    for truth, _ in masks:
        cells = truth.reshape(SIZE // 4, 4, SIZE // 4, 4).mean(axis=(1, 3))
        assert cells[cells > 0.5].sum() > 0.6 * cells.sum()


def test_objects_stand_anywhere(masks: list[tuple[np.ndarray, np.ndarray]]) -> None:
    rows, columns = np.array([np.argwhere(silhouette).mean(axis=0) / SIZE for _, silhouette in masks]).T
    assert rows.std() > 0.08
    assert columns.std() > 0.1
    thirds = {(int(3 * row), int(3 * column)) for row, column in zip(rows, columns, strict=True)}
    assert len(thirds) >= 6


def test_full_variety_has_every_place_and_thing_and_one_to_three_objects() -> None:
    scenes = [sample_scene(pair, seed) for pair in PAIRS for seed in range(120)]
    assert {scene.background.place for scene in scenes} == set(PLACES)
    assert {thing.kind for scene in scenes for thing in scene.clutter} == set(CLUTTER)
    assert {len(scene.clutter) for scene in scenes} == {0, 1, 2, 3}
    assert {len(scene.things) for scene in scenes} == {1, 2, 3}
    mirrored = Counter(thing.mirrored for scene in scenes for thing in scene.things)
    assert 0.4 < mirrored[True] / mirrored.total() < 0.6


@pytest.mark.parametrize("pair", PAIRS, ids=" or ".join)
def test_several_objects_turn_into_their_twins_together(pair: tuple[str, str]) -> None:
    scene = next(scene for scene in (sample_scene(pair, seed) for seed in range(200)) if len(scene.things) == 3)
    truth = truth_mask(scene)
    for thing in scene.things:
        reach = 0.35 * thing.scale
        left, top, right, bottom = (
            round(256 * min(max(edge, 0), 1)) for edge in (thing.x - reach, thing.y - reach, thing.x + reach, thing.y + reach)
        )
        assert truth[top:bottom, left:right].any()


@pytest.mark.parametrize("pair", PAIRS, ids=" or ".join)
def test_level_zero_is_one_centred_object_on_a_plain_background(pair: tuple[str, str]) -> None:
    for seed in range(10):
        scene = sample_scene(pair, seed, level=0)
        (thing,) = scene.things
        assert (thing.x, thing.y, thing.scale, thing.degrees) == (0.5, 0.5, 1, 0)
        assert scene.background.place == "studio"
        assert not scene.clutter


@pytest.mark.parametrize("size", [64, 72, 200, 256, 520])
def test_every_size_shows_the_same_scene(size: int) -> None:
    scene = sample_scene("taxi", 11)
    picture = draw(scene, "taxi", size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert truth_mask(scene, size).shape == object_mask(scene, size).shape == (size, size)
    assert truth_mask(scene, size).dtype == object_mask(scene, size).dtype == bool
    assert truth_mask(scene, size).mean() == pytest.approx(truth_mask(scene, 256).mean(), abs=0.015)
    assert picture.mean(axis=(0, 1)) == pytest.approx(draw(scene, "taxi", 256).mean(axis=(0, 1)), abs=3)


@pytest.mark.parametrize("pair", PAIRS)
def test_what_tells_twins_apart_is_present_in_the_one_or_in_the_other(pair: tuple[str, str]) -> None:
    scene = sample_scene(pair, 5)
    truth, present = truth_mask(scene), [present_mask(scene, label) for label in pair]
    assert not (present[0] | present[1] | truth)[~truth].any()
    assert (present[0] | present[1])[truth].mean() > 0.97  # a grey level or two may get lost between the three pictures
    assert all(0 < mask.sum() < truth.sum() for mask in present)


def test_clutter_is_found_where_it_stands_in_both_twins() -> None:
    scene = next(scene for scene in (sample_scene("rat", seed) for seed in range(50)) if len(scene.clutter) == 3)
    for label in scene.pair:
        masks = clutter_masks(scene, label)
        assert [kind for kind, _ in masks] == [thing.kind for thing in scene.clutter]
    assert not clutter_masks(replace(scene, clutter=()), "rat")


def test_the_largest_seed_is_drawn() -> None:
    assert truth_mask(sample_scene("mouse", 0xFFFFFFFFFFFFFFFF), 64).any()


@pytest.mark.parametrize("ask", [twin_of, lambda label: sample_scene(label, 0)])
def test_an_unknown_class_is_told_the_legal_ones(ask: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="unknown class 'cat': expected one of " + ", ".join(CLASSES)):
        ask("cat")


def test_a_class_of_another_pair_is_told_the_scene_s_own() -> None:
    with pytest.raises(ValueError, match="'taxi' cannot be drawn in this scene: expected one of mouse, rat"):
        draw(sample_scene("rat", 0), "taxi")


def test_bad_seeds_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="seed is -1: expected 0 or more"):
        sample_scene("rat", -1)
    for level in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="level is .*: expected 0 .easy. to 1"):
            sample_scene("rat", 0, level=level)
