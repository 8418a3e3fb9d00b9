"""What two prompts are called, read from graphs as ComfyUI keeps them while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from comfy_execution.graph import DynamicPrompt

pytestmark = pytest.mark.usefixtures("comfy_host")


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def graph(target: dict[str, Any], contrast: dict[str, Any], **others: dict[str, Any]) -> DynamicPrompt:
    """Collect Noise Predictions with what its two sides come from."""
    from comfy_execution.graph import DynamicPrompt

    predict = node("SDExplainPredictNoise", target=["target", 0], contrast=["contrast", 0], model=["load", 0])
    return DynamicPrompt({"predict": predict, "target": target, "contrast": contrast, **others})


def called(graph: DynamicPrompt, target: str = "", contrast: str = "") -> tuple[str, str]:
    from sdexplain.nodes.host.prompt_words import side_labels

    return side_labels(graph, "predict", target, contrast)


def encode(text: Any) -> dict[str, Any]:
    return node("CLIPTextEncode", text=text, clip=["load", 1])


@pytest.mark.parametrize(
    ("target", "contrast", "expected"),
    [
        ("a photo of a zebra", "a photo of a horse", ("zebra", "horse")),
        ("a photo of a taxi", "a photo of a sports car", ("taxi", "sports car")),
        ("a zebra, 4k", "a horse.", ("zebra, 4k", "horse")),
        ("a zebra, 4k", "a horse, 4k", ("zebra", "horse")),
        ("zebra", "zebra.", ("zebra", "zebra.")),
        ("a photo of a zebra", " ", ("a photo of a zebra", "anything")),
        ("", "a photo of a horse", ("no words at all", "a photo of a horse")),
        ("a horse", " a horse", ("a horse (target)", "a horse (contrast)")),
        ("", "", ("no words at all", "anything")),
    ],
)
def test_empty_labels_take_what_differs_in_the_prompts(target: str, contrast: str, expected: tuple[str, str]) -> None:
    assert called(graph(encode(target), encode(contrast))) == expected


def test_weights_and_their_brackets_are_no_words() -> None:
    from sdexplain.nodes.host.prompt_words import without_weights

    assert without_weights(r"a ((zebra)) (on grass:1.3), \(grey\)").split() == ["a", "zebra", "on", "grass", ",", "(grey)"]


def test_a_label_that_somebody_typed_stays() -> None:
    pair = graph(encode("a photo of a zebra"), encode("a photo of a horse"))
    assert called(pair, " stripes ") == ("stripes", "horse")
    assert called(pair, "this", "that") == ("this", "that")


def test_a_text_in_a_node_of_its_own_is_found() -> None:
    held = {"value": node("PrimitiveString", value=["deeper", 0]), "deeper": node("PrimitiveStringMultiline", value="a taxi")}
    assert called(graph(encode(["value", 0]), encode("a rat"), **held)) == ("taxi", "rat")


@pytest.mark.parametrize(
    "text",
    [
        node("StringConcatenate", string_a="a", string_b="zebra", delimiter=" "),
        node("LoadText", file="prompts.txt"),
        node("StringLength", string=3),
    ],
)
def test_a_text_that_is_computed_is_not_guessed(text: dict[str, Any]) -> None:
    assert called(graph(encode(["made", 0]), encode(" a horse "), made=text)) == ("", "a horse")
    assert called(graph(encode("a horse"), encode(["nowhere", 0]))) == ("a horse", "")


def test_all_texts_of_a_node_with_several_encoders_count() -> None:
    flux = node("CLIPTextEncodeFlux", clip=["load", 1], clip_l="zebra", t5xxl="an animal with stripes", guidance=3.5)
    sdxl = node("CLIPTextEncodeSDXL", clip=["load", 1], text_g="a horse", text_l="a horse", width=1024)
    assert called(graph(flux, sdxl)) == ("zebra, an animal with stripes", "a horse")


def test_nodes_that_keep_the_words_are_passed_and_others_are_not() -> None:
    words = {"cat": encode("a cat"), "dog": encode("a dog")}
    applied = node("ControlNetApplyAdvanced", positive=["cat", 0], negative=["dog", 0])
    guided = graph(node("FluxGuidance", conditioning=["cat", 0], guidance=1), node("FluxGuidance", conditioning=["both", 1]))
    guided.original_prompt |= {**words, "both": applied}
    assert called(guided) == ("cat", "dog")
    zeroed = node("ConditioningZeroOut", conditioning=["cat", 0])
    combined = node("ConditioningCombine", conditioning_1=["cat", 0], conditioning_2=["dog", 0])
    assert called(graph(zeroed, combined, **words)) == ("", "")


def hooked(*names: str, text: str = "a horse") -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A prompt whose CLIP has LoRAs by hooks, one after the other, and the nodes before it."""
    hooks, before = {}, {}
    for place, name in enumerate(names):
        hooks[f"{name} {place}"] = node("CreateHookLora", lora_name=name, strength_model=1.0, **before)
        before = {"prev_hooks": [f"{name} {place}", 0]}
    clip = node("SetClipHooks", clip=["load", 1], hooks=before.get("prev_hooks"))
    return node("CLIPTextEncode", text=text, clip=["hooked", 0]), {**hooks, "hooked": clip}


def test_sides_of_the_same_words_are_called_by_what_only_one_has() -> None:
    loader = {"load": node("LoraLoader", lora_name="common.safetensors", model=["file", 0], clip=["file", 1])}
    target, before = hooked("style/detailer.safetensors")
    assert called(graph(target, encode("a horse"), **before, **loader)) == ("with detailer", "without detailer")
    assert called(graph(encode("a horse"), target, **before, **loader)) == ("without detailer", "with detailer")
    two, before = hooked("style\\ink.safetensors", "detailer.pt")
    assert called(graph(two, encode("a horse"), **before, **loader))[0] == "with detailer and ink"
    assert called(graph(two, encode("a zebra"), **before, **loader)) == ("horse", "zebra")
    applied = node("ControlNetApplyAdvanced", positive=["plain", 0], negative=["plain", 0], control_net=["net", 0])
    net = {"net": node("ControlNetLoader", control_net_name="canny.safetensors"), "plain": encode("a horse")}
    assert called(graph(applied, node("ConditioningSetProperties", cond_NEW=["plain", 0]), **net)) == (
        "with canny",
        "without canny",
    )


def test_a_graph_without_the_node_or_its_links_says_nothing() -> None:
    from comfy_execution.graph import DynamicPrompt

    assert called(DynamicPrompt({})) == ("", "")
    assert called(DynamicPrompt({"predict": node("SDExplainPredictNoise", target=["gone", 0])})) == ("", "")
