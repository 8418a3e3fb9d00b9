"""Where a prompt reaches, by areas, masks, strengths and percentages: what one prompt alone reaches is never compared."""

from __future__ import annotations

from typing import Any

import families
import pytest
import torch
from families import FAMILIES
from sdexplain.nodes.maths.method.noising import NoisedLatents
from torch import Tensor

pytestmark = pytest.mark.usefixtures("comfy_host")

SD = FAMILIES[0]
HEIGHT, WIDTH = SD.latent[1:]
Conditioning = list[list[Any]]


@pytest.fixture(scope="module")
def model(comfy_host: Any) -> Any:
    return families.build(SD)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, model: Any) -> list[int]:
    """The number of latents in each pass through the network."""
    sizes: list[int] = []
    real = model.model.apply_model

    def watched(x: Tensor, *rest: Any, **settings: Any) -> Tensor:
        sizes.append(len(x))
        return real(x, *rest, **settings)

    monkeypatch.setattr(model.model, "apply_model", watched)
    return sizes


def noise(model: Any, images: int = 1, family: families.Family = SD) -> NoisedLatents:
    from sdexplain.nodes.noising import NoiseLatent

    latents = torch.randn(images, *family.latent, generator=torch.Generator().manual_seed(9))
    return NoiseLatent.execute(model, {"samples": latents}, 4, "normal", 0, 1, "fresh per step").result[0]


def prompt(seed: int = 1, family: families.Family = SD, **settings: Any) -> Conditioning:
    [[text, rest]] = families.conditioning(family, seed)
    return [[text, {**rest, **settings}]]


def masked(seed: int = 1, value: float = 1.0, first: int = 0, last: int = WIDTH // 2, **settings: Any) -> Conditioning:
    """A prompt for the columns of cells from first to last."""
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[..., first:last] = value
    return prompt(seed, mask=mask, **settings)


def left() -> Conditioning:
    return prompt(area=(HEIGHT, WIDTH // 2, 0, 0), strength=1.0)


def collect(model: Any, noised: NoisedLatents, target: Conditioning, contrast: Conditioning) -> tuple[Tensor, Tensor, Any]:
    from sdexplain.nodes.host import kept

    return kept.collect(model.clone(), noised, target, contrast, "coverage", "float32")


HALF = r"does not reach 50 % of the picture at step 0"
# name -> the target, what is said of it against a prompt for the whole picture
REFUSED = {
    "area": (left, HALF),
    "area in percent": (lambda: prompt(area=("percentage", 1.0, 0.5, 0.0, 0.0)), HALF),
    "mask": (masked, HALF),
    "mask of which one column is missing": (lambda: masked(first=1, last=WIDTH), r"does not reach 16.7 % of the picture"),
    "mask of strength 0": (lambda: masked(last=WIDTH, mask_strength=0.0), "does not reach 100 %"),
    "empty mask": (lambda: masked(value=0.0), "does not reach 100 %"),
    "strength 0": (lambda: prompt(strength=0.0), "does not reach 100 %"),
    "strengths that cancel": (lambda: prompt(1, strength=1.0) + prompt(2, strength=-1.0), "does not reach 100 %"),
    "two masks with a gap": (lambda: masked(1, last=2) + masked(2, first=3, last=WIDTH), r"does not reach 16.7 %"),
    "a prompt for the rest that ends early": (
        lambda: left() + prompt(2, start_percent=0.0, end_percent=0.3),
        r"does not reach 50 % of the picture at step [123]",
    ),
    "bounds of a mask": (lambda: masked(set_area_to_bounds=True), HALF),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("side", ["target", "contrast"])
def test_a_prompt_for_a_part_against_one_for_all_is_refused_before_the_model_is_asked(
    model: Any, asked: list[int], name: str, side: str
) -> None:
    make, words = REFUSED[name]
    prompts = (make(), prompt(3)) if side == "target" else (prompt(3), make())
    with pytest.raises(ValueError, match=f"The {side} conditioning {words}.*Conditioning Combine.*the empty prompt"):
        collect(model, noise(model), *prompts)
    assert asked == []


COVERING = {
    "area with a prompt for the rest": lambda: left() + prompt(2),
    "two areas side by side": lambda: left() + prompt(2, area=(HEIGHT, WIDTH - WIDTH // 2, 0, WIDTH // 2), strength=1.0),
    "three masks that overlap": lambda: masked(1, last=3) + masked(2, 0.3, 2, 5) + masked(3, 1.0, 4, WIDTH),
    "weak mask": lambda: masked(value=0.01, last=WIDTH),
    "strength below 1": lambda: prompt(strength=0.1),
    "two halves of the schedule": lambda: (
        prompt(1, start_percent=0.0, end_percent=0.5) + prompt(2, start_percent=0.5, end_percent=1.0)
    ),
    "a mask whose rest is the default": lambda: masked() + prompt(2, default=True),
}


@pytest.mark.parametrize("name", COVERING)
def test_entries_that_cover_everything_together_are_answered(model: Any, name: str) -> None:
    target, contrast, effort = collect(model, noise(model, images=2), COVERING[name](), prompt(4))
    assert effort.uncovered == 0 and "No prompt reaches" not in str(effort)
    assert (target - contrast).abs().amax(dim=(0, 1, 2, 3)).min() > 1e-4  # in every cell


@pytest.mark.parametrize("make", [masked, lambda seed: prompt(seed, area=(HEIGHT, WIDTH // 2, 0, 0))])
def test_both_prompts_on_the_same_half_are_answered_there_and_it_is_said(model: Any, make: Any) -> None:
    noised = noise(model, images=2)
    target, contrast, effort = collect(model, noised, make(1), make(2))
    difference = (target - contrast).abs()
    assert not difference[..., WIDTH // 2 :].any()
    assert difference[..., : WIDTH // 2].amax(dim=(0, 1, 2, 3)).min() > 1e-4
    assert "No prompt reaches 50 % of the picture" in str(effort)


def test_halves_that_are_not_the_same_are_refused(model: Any, asked: list[int]) -> None:
    with pytest.raises(ValueError, match="The target conditioning does not reach 50 % of the picture"):
        collect(model, noise(model), masked(1), masked(2, first=WIDTH // 2, last=WIDTH))
    assert asked == []


def test_prompts_that_reach_nothing_are_refused_together(model: Any, asked: list[int]) -> None:
    with pytest.raises(ValueError, match="The target and contrast conditioning reaches no part of the picture at step 0"):
        collect(model, noise(model), masked(1, 0.0), masked(2, 0.0))
    assert asked == []


def test_a_mask_of_its_own_for_each_image_counts_for_that_image(model: Any, asked: list[int]) -> None:
    mask = torch.ones(2, HEIGHT, WIDTH)
    mask[1, :, : WIDTH // 2] = 0
    with pytest.raises(ValueError, match="The target conditioning does not reach 25 %"):
        collect(model, noise(model, images=2), prompt(mask=mask), prompt(2))
    assert asked == []


def test_an_area_outside_of_the_picture_is_named(model: Any, asked: list[int]) -> None:
    with pytest.raises(ValueError, match="The target conditioning has an area or mask that does not fit this picture"):
        collect(model, noise(model), prompt(area=(4, 4, HEIGHT + 2, 0)), prompt(2))
    assert asked == []


def test_a_mask_in_pixels_counts_in_cells_as_the_model_sees_it(model: Any) -> None:
    """The first column of 8 pixels is one column of cells."""
    mask = torch.ones(1, 8 * HEIGHT, 8 * WIDTH)
    mask[..., :8] = 0
    with pytest.raises(ValueError, match="The target conditioning does not reach"):
        collect(model, noise(model), prompt(mask=mask), prompt(2))


def test_models_of_videos_are_checked_as_well(comfy_host: Any) -> None:
    family = next(family for family in FAMILIES if family.name == "Qwen-Image")
    network = families.build(family)
    mask = torch.zeros(1, *family.latent[1:])
    mask[..., :3] = 1
    with pytest.raises(ValueError, match="The target conditioning does not reach 50 %"):
        collect(network, noise(network, family=family), prompt(family=family, mask=mask[:, None]), prompt(2, family))


def test_a_control_net_is_not_run_for_the_check(model: Any) -> None:
    from sdexplain.nodes.host.coverage import check_coverage

    class Control:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    check_coverage(model, noise(model), {"target": prompt(strength=0.5, control=Control()), "contrast": prompt(2)})


def test_sanity_check_refuses_it_as_well(model: Any, asked: list[int]) -> None:
    from sdexplain.nodes.host.sanity import Question, ask_all

    for target, contrast, reworded in ((masked(1), prompt(2), None), (prompt(1), prompt(2), masked(3))):
        with pytest.raises(ValueError, match="The target( paraphrase)? conditioning does not reach 50 % of the picture"):
            ask_all(model, noise(model), Question(target, contrast, "zebra", "horse", reworded), 0)
    assert asked == []
