"""What is said of models whose predictions mean something else than a plain model's."""

from __future__ import annotations

import importlib
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


def node(file: str, name: str, *values: Any, **named: Any) -> Any:
    """What one of core's nodes makes of the model that it is given, whichever of its two ways of nodes it is written in."""

    def patch(model: Any) -> Any:
        kind = getattr(importlib.import_module(f"comfy_extras.{file}"), name)
        made = (
            kind.execute(model, *values, **named) if hasattr(kind, "execute") else getattr(kind(), kind.FUNCTION)(model, *values)
        )
        return (made if isinstance(made, tuple) else made.result)[0]

    return patch


class NAGuidance:
    """Core's node of this name, which newer hosts have, in short: its patch is for calls with both prompts."""

    FUNCTION = "patch"

    def patch(self, model: Any) -> tuple[Any]:
        def nag_attention_output_patch(out: torch.Tensor, extra: dict[str, Any]) -> torch.Tensor:
            return out * 2 if {0, 1} <= set(extra["cond_or_uncond"]) else out

        patched = model.clone()
        patched.set_model_attn1_output_patch(nag_attention_output_patch)
        return (patched,)


def nag(model: Any) -> Any:
    try:
        return node("nodes_nag", "NAGuidance", 5.0, 0.5, 1.5)(model)
    except ImportError:
        return NAGuidance().patch(model)[0]


GUIDANCE = {
    "NAGuidance": nag,
    "SelfAttentionGuidance": node("nodes_sag", "SelfAttentionGuidance", 0.5, 2.0),
    "FreSca": node("nodes_fresca", "FreSca", 1.0, 1.25, 20),
    "APG": node("nodes_apg", "APG", 1.0, 5.0, 0.0),
    "PerturbedAttentionGuidance": node("nodes_pag", "PerturbedAttentionGuidance", 3.0),
    "SkipLayerGuidanceDiT": node(
        "nodes_slg", "SkipLayerGuidanceDiT", scale=3.0, start_percent=0.01, end_percent=0.15, double_layers="7"
    ),
    "SkipLayerGuidanceDiTSimple": node(
        "nodes_slg", "SkipLayerGuidanceDiTSimple", start_percent=0.0, end_percent=1.0, double_layers="7"
    ),
    "CFGZeroStar": node("nodes_cfg", "CFGZeroStar"),
    "RescaleCFG": node("nodes_model_advanced", "RescaleCFG", 0.7),
    "TCFG": node("nodes_tcfg", "TCFG"),
    "DifferentialDiffusion": node("nodes_differential_diffusion", "DifferentialDiffusion", 1.0),
    "lazycache": node("nodes_easycache", "LazyCacheNode", 0.2, 0.15, 0.95, False),
}


@pytest.mark.parametrize("name", GUIDANCE)
def test_guidance_nodes_are_said_to_have_no_effect(name: str) -> None:
    model, family = of("Stable Diffusion 1.x")
    [words] = said(GUIDANCE[name](model), family)
    assert words.startswith(f"{name}: without effect here")


def test_guidance_that_is_said_to_have_no_effect_has_none() -> None:
    from sdexplain.nodes.host import kept
    from sdexplain.nodes.noising import NoiseLatent

    model, family = of("Stable Diffusion 1.x")
    latents = torch.randn(1, *family.latent, generator=torch.Generator().manual_seed(9))
    noised = NoiseLatent.execute(model, {"samples": latents}, 2, "normal", 0, 1, "fresh per step").result[0]
    prompts = families.conditioning(family, 1), families.conditioning(family, 2)
    plain = kept.collect(model, noised, *prompts, "plain", "float32")
    for name, guide in GUIDANCE.items():
        guided = kept.collect(guide(model), noised, *prompts, name, "float32")
        for found, expected in zip(guided[:2], plain[:2], strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, msg=name)


def test_nodes_that_act_are_not_said_to_have_no_effect() -> None:
    model, family = of("Stable Diffusion 1.x")
    assert said(node("nodes_freelunch", "FreeU", 1.3, 1.4, 0.9, 0.2)(model), family) == []
    assert said(node("nodes_hypertile", "HyperTile", 32, 2, 1, False)(model), family) == []


def test_several_guidance_nodes_are_said_in_one_sentence() -> None:
    model, family = of("Stable Diffusion 1.x")
    [words] = said(GUIDANCE["CFGZeroStar"](GUIDANCE["RescaleCFG"](GUIDANCE["CFGZeroStar"](model))), family)
    names, _, _ = words.partition(": without effect here")
    assert sorted(names.split(", ")) == ["CFGZeroStar", "RescaleCFG"]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_of_eight_bits_are_said(dtype: torch.dtype) -> None:
    family = next(family for family in FAMILIES if family.name == "Stable Diffusion 1.x")
    [words] = said(families.build(family, dtype), family)
    assert f"stored in few bits ({str(dtype).removeprefix('torch.')})" in words and "16 bits" in words


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_sixteen_bits_need_no_words(dtype: torch.dtype) -> None:
    family = next(family for family in FAMILIES if family.name == "Stable Diffusion 1.x")
    assert said(families.build(family, dtype), family) == []


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
