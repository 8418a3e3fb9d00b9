"""A classifier's map goes where a summed noise difference goes, in a real ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sdexplain.tools.client import Interrupted, NodeFailed, Progress
from sdexplain.tools.docs import Graph

if TYPE_CHECKING:
    from sdexplain.tools.client import Client

STEPS = 3


@pytest.fixture
def graph(comfyui: Client) -> Graph:
    """Picture (1), the bundled classifier (2)."""
    graph = Graph(comfyui.object_info())
    graph.add("SDExplainExamplePicture", seed=1_000_010, size=128)
    graph.add("SDExplainLoadClassifier")
    return graph


def attribute(graph: Graph, **changes: Any) -> str:
    return graph.add("SDExplainAttribution", image=["1", 0], classifier=["2", 0], **changes)


def evidence(graph: Graph) -> list[Any]:
    """The diffusion model's evidence of the same picture, with few steps, as a link."""
    model = graph.add("SDExplainLoadDiffusers")
    latent = [graph.add("VAEEncode", pixels=["1", 0], vae=[model, 2]), 0]
    noised = [graph.add("SDExplainNoiseLatent", model=[model, 0], latent=latent, steps=STEPS, samples=2), 0]
    prompts = {
        side: [graph.add("CLIPTextEncode", clip=[model, 1], text=f"a photo of a {name}"), 0]
        for side, name in (("target", "zebra"), ("contrast", "horse"))
    }
    predicted = [graph.add("SDExplainPredictNoise", model=[model, 0], noised=noised, **prompts), 0]
    return [graph.add("SDExplainSumDifference", predictions=predicted, reading="evidence", weighting="information"), 0]


def test_a_classifiers_map_is_drawn_compared_tested_and_put_beside_the_datas(comfyui: Client, graph: Graph) -> None:
    found, data = [attribute(graph), 0], evidence(graph)
    heatmap = graph.add("SDExplainHeatmap", image=["1", 0], difference=found)
    mask = graph.add("SDExplainAgreement", first=found, second=["1", 2], image=["1", 0])
    both = graph.add("SDExplainAgreement", first=data, second=found, sign="signed")
    tested = graph.add(
        "SDExplainFaithfulness", image=["1", 0], map=data, classifier=["2", 0], shares=4, random_orders=3, regions=4
    )
    sheet = graph.add("SDExplainMapSheet", image=["1", 0], first=data, second=found)
    masks = [graph.show([graph.add("MaskToImage", mask=[sheet, place]), 0])[0] for place in (2, 3)]
    run = comfyui.run(graph.prompt)
    for node in (heatmap, mask, both, tested, sheet):
        assert np.asarray(comfyui.image(run.pictures(node)[0])).std() > 10
    first, second = (np.asarray(comfyui.image(run.pictures(node)[0]).convert("L")) > 127 for node in masks)
    assert first.shape == (128, 128) and first.any() and second.any() and not (first & second).any()


def test_the_diffusion_models_verdict_is_asked_as_well(comfyui: Client, graph: Graph) -> None:
    data = evidence(graph)
    model, prompts = graph.prompt[graph.prompt[data[0]]["inputs"]["predictions"][0]]["inputs"], {}
    prompts = {side: model[side] for side in ("target", "contrast")}
    judged = {"model": model["model"], "vae": [model["model"][0], 2], **prompts}
    small = {"shares": 2, "random_orders": 3, "regions": 2, "steps": 2}
    tested = graph.add("SDExplainFaithfulness", image=["1", 0], map=data, **judged, **small)
    assert comfyui.run(graph.prompt).pictures(tested)
    graph.prompt[tested]["inputs"].pop("vae")
    with pytest.raises(NodeFailed, match="Connect all four, or none"):
        comfyui.run(graph.prompt)


def test_covered_places_are_painted_by_the_diffusion_model_and_kept(comfyui: Client, graph: Graph) -> None:
    """What is painted looks like neither grey nor the picture, is the same again, and is not painted again."""
    found, model = [attribute(graph), 0], graph.add("SDExplainLoadDiffusers")
    small = {"shares": 2, "random_orders": 3, "regions": 2, "classifier": ["2", 0]}
    tested = graph.add("SDExplainFaithfulness", image=["1", 0], map=found, cover="inpainted", model=[model, 0], **small)
    with pytest.raises(NodeFailed, match="vae, no_words is not connected"):
        comfyui.run(graph.prompt)
    no_words = [graph.add("CLIPTextEncode", clip=[model, 1], text=""), 0]
    graph.prompt[tested]["inputs"].update(vae=[model, 2], no_words=no_words)
    text = graph.add("PreviewAny", source=[tested, 0])
    sheets, painted = [], []
    for orders in (3, 4):
        graph.prompt[tested]["inputs"]["random_orders"] = orders
        seen: list[Progress] = []
        sheets.append(np.asarray(comfyui.image(comfyui.run(graph.prompt, seen.append).pictures(tested)[0])))
        painted.append(max(each.value for each in seen if each.node == tested))
    assert text and painted[1] < painted[0] + 8
    rows = slice(60, 240)
    np.testing.assert_array_equal(sheets[0][rows], sheets[1][rows])
    half = sheets[0][rows, 780:1000].reshape(-1, 3)
    assert half.std(0).min() > 10


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"class_a": "unicorn"}, "no class 'unicorn'"),
        ({"class_a": "6"}, "0 to 5"),
        ({"class_b": "zebra"}, "Both classes are 'zebra'"),
        ({"layer": "nowhere"}, "no layer 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said(comfyui: Client, graph: Graph, changes: dict[str, Any], said: str) -> None:
    attribute(graph, **changes)
    with pytest.raises(NodeFailed, match=said):
        comfyui.run(graph.prompt)


def test_cancelling_an_attribution_takes_effect_and_the_next_run_works(comfyui: Client, graph: Graph) -> None:
    node = attribute(graph, method="Gradient SHAP", samples=4096, seed=3)
    values: list[float] = []

    def cancel(progress: Progress) -> None:
        if progress.node == node and progress.value:
            if not values:
                comfyui.cancel()
            values.append(progress.value / progress.maximum)

    with pytest.raises(Interrupted, match="cancelled in SDExplainAttribution"):
        comfyui.run(graph.prompt, cancel)
    assert values and values[-1] < 0.9
    graph.prompt[node]["inputs"].update(samples=16)
    assert comfyui.run(graph.prompt).pictures(node)
