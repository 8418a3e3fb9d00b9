"""What is said of models whose predictions mean something else than a plain model's."""

from __future__ import annotations

import re
from typing import Any

import families
import pytest
import torch
from families import FAMILIES, Family
from sdexplain.tools import graphs
from sdexplain.tools.client import Client

pytestmark = pytest.mark.usefixtures("comfy_host")

PICTURE = {"concat_latent_image": torch.zeros(1, 4, 8, 6), "concat_mask": torch.ones(1, 1, 64, 48)}
# Model -> what is said of it, in words that only this sentence has.
SAID = {
    "Flux dev": ["predictions are those of guidance 3.5"],
    "Flux schnell": ["distilled .Flux schnell, or another Flux without a guidance input"],
    "Flux Fill (inpainting)": ["predictions are those of guidance 30", "the prompts bring none"],
    "Flux 2": ["predictions are those of guidance 3.5"],
    "SD 1.5 inpainting": ["the prompts bring none"],
    "InstructPix2Pix": ["the prompts bring none"],
}


def said(model: Any, family: Family, **entry: Any) -> list[str]:
    from sdexplain.nodes.host.caveats import caveats

    prompts = {name: families.conditioning(family, seed) for seed, name in enumerate(("target", "contrast"))}
    for [[_, settings]] in prompts.values():
        settings.update(entry)
    return caveats(model, prompts)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_has_its_own_words_or_none(family: Family) -> None:
    if not families.known_to_host(family):
        pytest.skip(f"this ComfyUI has no {family.config}")
    found, expected = said(families.build(family), family), SAID.get(family.name, [])
    assert len(found) == len(expected)
    assert all(re.search(words, sentence) for words, sentence in zip(expected, found, strict=True)), found


def of(name: str) -> tuple[Any, Family]:
    family = next(family for family in FAMILIES if family.name == name)
    return families.build(family), family


def test_a_picture_beside_the_noise_is_missed_where_it_is_missing() -> None:
    from sdexplain.nodes.host.caveats import caveats

    model, family = of("SD 1.5 inpainting")
    assert said(model, family, **PICTURE) == []
    with_picture, without = families.conditioning(family, 1), families.conditioning(family, 2)
    with_picture[0][1].update(PICTURE)
    [words] = caveats(model, {"target": with_picture, "contrast": without})
    assert "beside the noised latent, and contrast brings none" in words


def test_guidance_of_one_and_none_at_all_need_no_words() -> None:
    model, family = of("Flux dev")
    assert said(model, family, guidance=1.0) == said(model, family, guidance=None) == []
    assert "guidance 4 at once" in said(model, family, guidance=4.0)[0]


def test_an_lcm_schedule_says_that_the_model_is_distilled() -> None:
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    model, family = of("Stable Diffusion 1.x")
    lcm = ModelSamplingDiscrete().patch(model, "lcm", False)[0]
    assert "distilled (LCM)" in said(lcm, family)[0]
    assert said(ModelSamplingDiscrete().patch(model, "v_prediction", True)[0], family) == []


def test_collect_noise_predictions_says_it_on_the_node(comfyui: Client) -> None:
    graph = {
        "load": graphs.node("SDExplainLoadDiffusers", folder="bundled model"),
        "lcm": graphs.node("ModelSamplingDiscrete", model=["load", 0], sampling="lcm", zsnr=False),
        "encode": graphs.node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "noise": graphs.noising("lcm", steps=1),
        **graphs.zebra_against_horse("lcm"),
        "view": graphs.node("SDExplainVerdict", predictions=["predict", 0], start=0, end=1, temperature=1.0),
    }
    [said] = comfyui.run(graph).outputs["predict"]["text"]
    assert said.startswith("Predicted 2 of 2") and "This model is distilled (LCM)" in said
