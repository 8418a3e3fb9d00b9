"""DiffEdit beside our maps: its soft map is the one that diffusers binarises, and its cost is what the UNet was asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from sdexplain.benchmarks.ground_truth.diffedit import as_diffedit, diffedit, soft_map
from sdexplain.bundled.scenes import draw, sample_scene

pytestmark = pytest.mark.slow  # networks of diffusers and hundreds of questions

MODEL = Path(__file__).resolve().parent.parent.parent / "bundled" / "model"
OWN, TWIN = "a photo of a zebra", "a photo of a horse"
SEED = 7


@pytest.fixture(scope="module")
def bundled() -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(MODEL, torch_dtype=torch.float32, safety_checker=None)


@pytest.fixture(scope="module")
def pipeline(bundled: StableDiffusionPipeline):
    return as_diffedit(bundled)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return draw(sample_scene("zebra", seed=1), "zebra")


@pytest.fixture(scope="module")
def found(pipeline, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    return diffedit(pipeline, picture, OWN, TWIN, SEED, maps=2)


def test_the_soft_map_binarised_is_the_pipelines_own_mask(found: tuple[np.ndarray, np.ndarray, int]) -> None:
    soft, mask, _ = found
    assert soft.shape == mask.shape == (32, 32)
    assert np.array_equal(soft > 0.5, mask)
    assert 0 < mask.sum() < mask.size


def test_each_noise_asks_the_unet_four_times_and_ten_noises_are_the_default(
    pipeline, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, forward = [], pipeline.unet.forward

    def counted(sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        asked.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(pipeline.unet, "forward", counted)
    soft, mask, evaluations = diffedit(pipeline, picture, OWN, TWIN, SEED)
    assert evaluations == sum(asked) == 40
    assert np.array_equal(soft > 0.5, mask)


def test_the_seed_alone_decides_the_noise(pipeline, picture: np.ndarray, found: tuple[np.ndarray, np.ndarray, int]) -> None:
    torch.manual_seed(99)
    again, other = (diffedit(pipeline, picture, OWN, TWIN, seed, maps=2)[0] for seed in (SEED, SEED + 1))
    assert np.array_equal(found[0], again)
    assert not np.allclose(found[0], other)


def test_swapped_prompts_give_the_same_map(pipeline, picture: np.ndarray, found: tuple[np.ndarray, np.ndarray, int]) -> None:
    swapped = diffedit(pipeline, picture, TWIN, OWN, SEED, maps=2)[0]
    np.testing.assert_allclose(swapped, found[0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("empty_first", [True, False])
def test_the_empty_prompts_predictions_cancel(empty_first: bool) -> None:
    """Whichever half of each prompt's predictions is the empty prompt's, what is left is |target − source|."""
    generator = torch.Generator().manual_seed(0)
    source, target, empty = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(3))
    order = (empty, source, empty, target) if empty_first else (source, empty, target, empty)
    expected = (target - source).abs().mean((0, 1))
    torch.testing.assert_close(soft_map(torch.cat(order)), expected / (3 * expected.mean()))


def test_the_networks_are_the_bundled_ones_and_the_schedulers_its_own(bundled: StableDiffusionPipeline, pipeline) -> None:
    for name in ("unet", "vae", "text_encoder"):
        assert getattr(pipeline, name) is getattr(bundled, name)
    assert pipeline.scheduler is not bundled.scheduler


def test_no_hook_is_left_even_after_a_failure(pipeline, picture: np.ndarray) -> None:
    hooks = len(pipeline.unet._forward_hooks)
    with pytest.raises(ValueError, match="num_maps_per_mask"):
        diffedit(pipeline, picture, OWN, TWIN, SEED, maps=0)
    assert len(pipeline.unet._forward_hooks) == hooks


def test_without_the_empty_prompt_the_map_is_the_same_at_half_the_cost(
    pipeline, picture: np.ndarray, found: tuple[np.ndarray, np.ndarray, int]
) -> None:
    soft, mask, evaluations = diffedit(pipeline, picture, OWN, TWIN, SEED, maps=2, skip_empty=True)
    assert np.allclose(soft, found[0], atol=1e-4)
    assert np.array_equal(mask, found[1])
    assert (evaluations, found[2]) == (4, 8)
