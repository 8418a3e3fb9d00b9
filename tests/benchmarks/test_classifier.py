"""The classifier: a stopped training goes on to the same weights, batches hold twins of the right classes,
inputs are area means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sdexplain.benchmarks.ground_truth import classifier
from sdexplain.bundled.scenes import CLASSES, PAIRS
from sdexplain.training.training_data import TwinPictures


@pytest.fixture
def pictures() -> TwinPictures:
    return TwinPictures(np.random.default_rng(0).integers(0, 255, (6, 2, 128, 128, 3), np.uint8))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "SCENES_PER_BATCH", 2)
    monkeypatch.setattr(classifier, "SAVE_EVERY", 2)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.state_dict().values()])


def test_a_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, pictures: TwinPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = classifier.train(pictures, 4, tmp_path / "whole.pt")

    draw_batch = classifier.draw_batch

    def stopped(pictures: TwinPictures, step: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return draw_batch(pictures, step, seed)

    monkeypatch.setattr(classifier, "draw_batch", stopped)
    with pytest.raises(KeyboardInterrupt):
        classifier.train(pictures, 4, tmp_path / "stopped.pt")
    monkeypatch.setattr(classifier, "draw_batch", draw_batch)
    resumed = classifier.train(pictures, 4, tmp_path / "stopped.pt")
    assert torch.equal(weights(whole), weights(resumed))


def test_a_batch_holds_both_twins_with_the_classes_of_their_pair(pictures: TwinPictures) -> None:
    for step in range(5):
        x, classes = classifier.draw_batch(pictures, step, seed=0)
        assert x.shape == (4, 3, 128, 128)
        labels = [CLASSES[index] for index in classes]
        assert all((labels[n], labels[n + 1]) in PAIRS for n in (0, 2))


def test_scene_n_is_of_pair_n_modulo_three() -> None:
    """Scene n is a plain grey n, which the augmentation moves by less than the distance of two scenes."""
    grey = np.array([0, 60, 120, 180, 240], np.uint8)
    pictures = TwinPictures(np.broadcast_to(grey[:, None, None, None, None], (5, 2, 128, 128, 3)))
    for step in range(5):
        x, classes = classifier.draw_batch(pictures, step, seed=0)
        means = x.mean((1, 2, 3))
        scenes = (means[:, None] - torch.from_numpy(grey / 127.5 - 1)[None]).abs().argmin(1)
        assert torch.equal(scenes % 3, classes // 2)


def test_the_input_is_the_mean_of_each_square_of_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    expected = picture.reshape(128, 2, 128, 2, 3).mean((1, 3)) / 127.5 - 1
    found = classifier.as_input(picture[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("picture", [np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 128, 128, 3), np.float32)])
def test_a_picture_that_is_too_small_or_no_bytes_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[B,H,W,3\] of at least 128 pixels"):
        classifier.as_input(picture)


def test_a_saved_classifier_comes_back_with_its_note_and_wants_no_gradient(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved, file = classifier.Classifier().eval(), tmp_path / "classifier.safetensors"
    classifier.save(saved, file, {"accuracy": {"all": 0.5}})
    loaded = classifier.load(file)
    picture = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3)).astype(np.uint8)
    assert np.array_equal(classifier.logits_of(loaded, picture), classifier.logits_of(saved, picture))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert classifier.made(file) == {"accuracy": {"all": 0.5}}


def test_a_missing_classifier_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run python dev.py run benchmarks.ground_truth.classifier"):
        classifier.load(tmp_path / "none.safetensors")
