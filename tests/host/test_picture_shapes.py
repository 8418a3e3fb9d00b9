"""On a real server, a map is drawn on the picture that was encoded, cropped by VAE Encode or enlarged, and on no other."""

from __future__ import annotations

import pytest
from sdexplain.tools.client import Client, NodeFailed
from sdexplain.tools.graphs import Node, node, noising, summing, zebra_against_horse

ENCODED = (197, 131)
"""Width and height of what goes into VAE Encode, which crops it to 192 x 128: 24 x 16 cells of 8."""
FITTING = {"encoded": ENCODED, "cropped": (192, 128), "enlarged": (394, 262), "rounded": (300, 199)}


def scaled(width: int, height: int) -> Node:
    return node("ImageScale", image=["picture", 0], width=width, height=height, upscale_method="area", crop="disabled")


def graph(width: int, height: int) -> dict[str, Node]:
    """What the three nodes make of an image of this size."""
    look = {"sign": "both", "colour_map": "automatic", "opacity": 0.8, "background": "photo", "interpolation": "smooth"}
    look |= {"percentile": 99.5, "scale": 0.0}
    quantity = {"reading": "difference", "weighting": "uniform", "scalar": "channel norm"}
    range_and_view = {"start": 0, "end": -1, "view": "overlay", "sample": 0, "shown_image": 1, "selection": ""}
    sheet = {name: look[name] for name in ("colour_map", "opacity", "background", "interpolation", "percentile")}
    of_image = {"image": ["image", 0]}
    return {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
        "source": scaled(*ENCODED),
        "encode": node("VAEEncode", pixels=["source", 0], vae=["load", 2]),
        "noise": noising("load", 3),
        **zebra_against_horse("load"),
        "sum": summing(),
        "image": scaled(width, height),
        "heatmap": node(
            "SDExplainHeatmap", **of_image, difference=["sum", 0], scalar="channel norm", **look, shared_scale=False, legend=True
        ),
        "sheet": node("SDExplainStepSheet", **of_image, predictions=["predict", 0], ranges=2, **quantity, **sheet),
        "explorer": node("SDExplainExplore", **of_image, predictions=["predict", 0], **quantity, **look, **range_and_view),
    }


def only(prompt: dict[str, Node], shown: str) -> dict[str, Node]:
    """Without the other two of the nodes that draw."""
    return {name: part for name, part in prompt.items() if name == shown or name not in ("heatmap", "sheet", "explorer")}


@pytest.mark.parametrize("size", FITTING.values(), ids=FITTING)
def test_the_encoded_picture_at_any_size_is_drawn_on(comfyui: Client, size: tuple[int, int]) -> None:
    run = comfyui.run(graph(*size))
    assert run.pictures("heatmap") and run.pictures("sheet") and run.outputs["explorer"]["sdexplain"]


@pytest.mark.parametrize("shown", ["heatmap", "sheet", "explorer"])
def test_a_picture_of_another_shape_is_refused_with_both_sizes(comfyui: Client, shown: str) -> None:
    words = (
        r"has 256×256 pixels, but 192×128 were encoded \(24×16 latent cells of 8\).*Connect the image that goes into VAE Encode"
    )
    with pytest.raises(NodeFailed, match=words):
        comfyui.run(only(graph(256, 256), shown))
