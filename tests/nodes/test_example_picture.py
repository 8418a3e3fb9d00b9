"""Example Picture: its tensors are the scene's own pictures, and in a real server they arrive as such."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sdexplain.bundled.scenes import CLASSES, DIFFERENCE_THRESHOLD, draw, sample_scene, truth_mask, twin_of

if TYPE_CHECKING:
    from sdexplain.tools.client import Client

NODE = "SDExplainExamplePicture"
SEED = 1_000_003


@pytest.mark.usefixtures("comfy_host")
@pytest.mark.parametrize("label", CLASSES)
def test_outputs_are_image_twin_truth_and_both_names(label: str) -> None:
    from sdexplain.nodes.example_picture import ExamplePicture

    image, twin, truth, name, twin_name = ExamplePicture.execute(label, SEED, 72).result
    assert image.shape == twin.shape == (1, 72, 72, 3)
    assert truth.shape == (1, 72, 72)
    assert image.dtype == twin.dtype == truth.dtype == torch.float32
    assert (name, twin_name) == (label, twin_of(label))
    assert set(truth.unique().tolist()) == {0, 1}
    assert 0 <= image.min() < 0.5 < image.max() <= 1
    assert (image - twin).abs()[truth == 0].max() * 255 <= DIFFERENCE_THRESHOLD + 1e-3
    assert torch.equal(image, ExamplePicture.execute(twin_name, SEED, 72).result[1])


@pytest.mark.usefixtures("comfy_host")
def test_an_unknown_class_is_told_the_legal_ones() -> None:
    from sdexplain.nodes.example_picture import ExamplePicture

    with pytest.raises(ValueError, match="unknown class 'cat': expected one of horse, zebra"):
        ExamplePicture.execute("cat", 0, 64)


def test_the_server_offers_the_six_classes_and_explains_every_socket(comfyui: Client) -> None:
    info = comfyui.object_info(NODE)[NODE]
    inputs = info["input"]["required"]
    assert inputs["class_name"][1]["options"] == list(CLASSES)
    assert list(inputs) == ["class_name", "seed", "size"]
    assert all(options["tooltip"] for _, options in inputs.values())
    assert info["output"] == ["IMAGE", "IMAGE", "MASK", "STRING", "STRING"]
    assert info["output_name"] == ["image", "twin", "truth", "class", "twin class"]
    assert all(info["output_tooltips"])


def test_the_server_s_pictures_are_the_drawn_ones(comfyui: Client) -> None:
    run = comfyui.run(
        {
            "draw": {"class_type": NODE, "inputs": {"class_name": "rat", "seed": SEED, "size": 136}},
            "truth": {"class_type": "MaskToImage", "inputs": {"mask": ["draw", 2]}},
            "image": {"class_type": "PreviewImage", "inputs": {"images": ["draw", 0]}},
            "twin": {"class_type": "PreviewImage", "inputs": {"images": ["draw", 1]}},
            "mask": {"class_type": "PreviewImage", "inputs": {"images": ["truth", 0]}},
        }
    )
    scene = sample_scene("rat", SEED)
    shown = {
        node: np.asarray(comfyui.image(run.pictures(node)[0]).convert("RGB")).astype(int) for node in ("image", "twin", "mask")
    }
    assert np.abs(shown["image"] - draw(scene, "rat", 136)).max() <= 1
    assert np.abs(shown["twin"] - draw(scene, "mouse", 136)).max() <= 1
    assert np.array_equal(shown["mask"][..., 0] > 127, truth_mask(scene, 136))
