"""The sanity check on a real model: its weights are shuffled and come back, and its node says what it found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from analytic import noised_latents
from sdexplain.tools.graphs import node, noising, prompt
from torch import Tensor

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server


# -------------------------------------------------------------------------------------------------------- shuffled weights


@pytest.fixture(scope="module")
def bundled(comfy_host: Path) -> tuple[Any, Any]:
    """MODEL and CLIP of the bundled model."""
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline
    from sdexplain.nodes.host.loading.folders import BUNDLED_FOLDER

    return load_pipeline(BUNDLED_FOLDER, [])[:2]


@pytest.fixture
def model(bundled: tuple[Any, Any]) -> Iterator[ModelPatcher]:
    """The bundled model; afterwards its weights must be what they were, to the last bit."""
    state = bundled[0].model.state_dict()
    before = {name: weight.clone() for name, weight in state.items()}
    yield bundled[0]
    after = bundled[0].model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def asked(model: ModelPatcher, clip: Any, text: str = "a photo of a zebra") -> Tensor:
    from sdexplain.nodes.host.prediction import predict
    from sdexplain.nodes.maths.method.prediction import list_evaluations, predictions_shape

    noised = noised_latents(torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)), steps=2)
    predictions = torch.empty(predictions_shape(noised))
    prompt = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    predict(model, noised, prompt, predictions, list_evaluations(noised))
    return predictions


def test_every_tensor_of_the_network_is_permuted_and_comes_back(model: ModelPatcher, bundled: tuple[Any, Any]) -> None:
    from sdexplain.nodes.host.randomised import shuffled_weights

    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    ordinary = asked(model, bundled[1])
    with shuffled_weights(model, 0) as shuffled:
        changed = asked(shuffled, bundled[1])
        now = model.model.state_dict()
        for name, weight in before.items():
            assert torch.equal(weight.flatten().sort()[0], now[name].flatten().sort()[0])
            if name.startswith("diffusion_model.") and weight.unique().numel() > 2:
                assert not torch.equal(weight, now[name]), name
    with shuffled_weights(model, 0) as again, shuffled_weights(model, 1) as other:
        assert torch.equal(asked(again, bundled[1]), changed)
        assert not torch.equal(asked(other, bundled[1]), changed)
    assert not torch.allclose(ordinary, changed, atol=0.1)
    assert torch.equal(asked(model, bundled[1]), ordinary)


def test_patches_of_the_model_are_in_effect_again_afterwards(model: ModelPatcher, bundled: tuple[Any, Any]) -> None:
    from sdexplain.nodes.host.randomised import shuffled_weights, unload

    key = "diffusion_model.out.2.weight"
    patched = model.clone()
    patched.add_patches({key: ("diff", (torch.ones_like(model.model.state_dict()[key]),))})
    ordinary, with_patch = asked(model, bundled[1]), asked(patched, bundled[1])
    assert not torch.equal(ordinary, with_patch)
    with shuffled_weights(patched, 0):
        pass  # never asked: the patched model is what is loaded
    assert torch.equal(asked(patched, bundled[1]), with_patch)
    with shuffled_weights(patched, 0) as shuffled:
        asked(shuffled, bundled[1])
    assert torch.equal(asked(patched, bundled[1]), with_patch)
    unload(patched)


@pytest.mark.parametrize("when", ["loading", "predicting", "cancelled"])
def test_errors_and_cancels_leave_the_model_as_it_was(
    model: ModelPatcher, bundled: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    import comfy.model_management
    from sdexplain.nodes.host import randomised

    ordinary, calls = asked(model, bundled[1]), []
    permute = randomised.Shuffle.calculate_weight

    def fail(self: Any, *arguments: Any, **options: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 50:
            raise RuntimeError("out of luck")
        return permute(self, *arguments, **options)

    def fail_to_predict(*_: Any) -> Tensor:
        raise RuntimeError("out of luck")

    error: type[BaseException] = ValueError
    if when == "loading":
        monkeypatch.setattr(randomised.Shuffle, "calculate_weight", fail)
    with pytest.raises((ValueError, comfy.model_management.InterruptProcessingException)) as raised:
        with randomised.shuffled_weights(model, 0) as shuffled:
            if when == "predicting":
                shuffled.set_model_unet_function_wrapper(fail_to_predict)
            if when == "cancelled":
                error = comfy.model_management.InterruptProcessingException
                comfy.model_management.interrupt_current_processing()
            asked(shuffled, bundled[1])
    assert isinstance(raised.value, error)
    assert torch.equal(asked(model, bundled[1]), ordinary)


# ------------------------------------------------------------------------------------------------------------- in a server


@pytest.fixture
def graph(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    texts = {"zebra": "a photo of a zebra", "horse": "a photo of a horse", "other": "a picture of a zebra", "empty": ""}
    return {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "count": node("ProbeCountCalls", model=["load", 0], file=f"{request.node.name}.txt"),
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        **{name: prompt(text) for name, text in texts.items()},
        "noise": noising("count", 20, samples=2),
        "check": node(
            "SDExplainSanity",
            model=["count", 0],
            noised=["noise", 0],
            target=["zebra", 0],
            contrast=["horse", 0],
            image=["picture", 0],
            steps=8,
            samples=2,
            seed=0,
            target_label="zebra",
            contrast_label="horse",
            target_paraphrase=["other", 0],
            no_words=["empty", 0],
        ),
        "passed": node("PreviewAny", source=["check", 2]),
        "report": node("PreviewAny", source=["check", 0]),
    }


def test_the_bundled_model_passes_and_is_really_asked(
    comfyui: Client, comfyui_server: Server, graph: dict[str, dict[str, Any]]
) -> None:
    ran = comfyui.run(graph, timeout=240)
    assert ran.outputs["passed"]["text"] == ["True"]
    report = ran.outputs["report"]["text"][0]
    assert report.count("PASS · ") == 9
    assert "8 of 20 steps, 2 noise samples, 140 predictions" in report
    counted = (comfyui_server.base / "output" / graph["count"]["inputs"]["file"]).read_text().split()
    assert sum(map(int, counted)) == 140 == 8 * 8 * 2 + 6 * 2
    (picture,) = ran.pictures("check")
    assert np.asarray(comfyui.image(picture)).std() > 1


def test_the_same_prompt_for_both_fails_and_bad_sizes_are_refused(comfyui: Client, graph: dict[str, dict[str, Any]]) -> None:
    graph["check"]["inputs"].update(contrast=["zebra", 0], steps=2, samples=1)
    del graph["check"]["inputs"]["target_paraphrase"], graph["check"]["inputs"]["no_words"]
    ran = comfyui.run(graph, timeout=240)
    assert ran.outputs["passed"]["text"] == ["False"]
    report = ran.outputs["report"]["text"][0]
    assert re.search(r"FAIL · Same prompt .*has nothing to explain", report) and "4 of 7 checks failed" in report
    assert "24 predictions" not in report and "12 predictions" in report


def test_words_that_do_not_fit_and_pictures_and_words_that_are_not_known_fail(
    comfyui: Client, graph: dict[str, dict[str, Any]]
) -> None:
    graph["check"]["inputs"]["target_label"] = ""
    del graph["check"]["inputs"]["target_paraphrase"]
    graph["picture"]["inputs"]["class_name"] = "taxi"
    report = comfyui.run(graph, timeout=240).outputs["report"]["text"][0]
    assert re.search("FAIL · The words say more .*Neither “zebra” nor “horse” describes this picture better", report)
    assert "PASS · The model knows this picture" in report
    graph["picture"] = node("EmptyImage", width=256, height=256, batch_size=1, color=0x808080)
    graph["zebra"] = prompt("a photo of a zebu")
    ran = comfyui.run(graph, timeout=240)
    assert ran.outputs["passed"]["text"] == ["False"]
    report = ran.outputs["report"]["text"][0]
    assert re.search("FAIL · The model knows this picture: .*does not know this picture", report)
    assert re.search("FAIL · The words say more .*never shown this word: “zebu”", report)


def test_every_input_and_output_says_what_it_is(comfyui: Client) -> None:
    info = comfyui.object_info("SDExplainSanity")["SDExplainSanity"]
    inputs = {**info["input"]["required"], **info["input"]["optional"]}
    assert info["description"] and all(len(options[1].get("tooltip", "")) > 20 for options in inputs.values())
    assert all(len(tooltip) > 20 for tooltip in info["output_tooltips"])
