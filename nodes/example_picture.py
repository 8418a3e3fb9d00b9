"""Example Picture: a drawn scene, its counterfactual twin and the pixels in which the two differ."""

from __future__ import annotations

import numpy as np
import torch
from comfy_api.latest import io

from ..bundled.scenes import CLASSES, draw, sample_scene, truth_mask, twin_of
from .inputs.schema import schema


def as_image(picture: np.ndarray) -> torch.Tensor:
    """Return a uint8 picture [H,W,3] as a ComfyUI IMAGE, float32 [1,H,W,3] in 0..1."""
    return torch.from_numpy(picture.astype(np.float32) / 255.0)[None]


class ExamplePicture(io.ComfyNode):
    """Draws one scene as the chosen class and as the other class of its pair."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainExamplePicture",
            display_name="Example Picture",
            category="SDExplain",
            description="Draws a cartoon scene whose truth is known: the pixels that make it this class and not its "
            "look-alike. The bundled model was trained on scenes of this kind.",
            search_aliases=["counterfactual twin", "ground truth", "test image", "zebra", "horse"],
            inputs=[
                io.Combo.Input(
                    "class_name",
                    display_name="class",
                    options=list(CLASSES),
                    default="zebra",
                    tooltip="What the scene shows. The twin shows the other class of its pair: horse and zebra, mouse and rat, "
                    "sports car and taxi.",
                ),
                io.Int.Input(
                    "seed",
                    default=1_000_000,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Chooses the scene: how many objects, where, their pose and colours, the background and the things "
                    "around them. Both classes of a pair have the same scene. Seeds from 1000000 on were not used to train the "
                    "bundled model.",
                ),
                io.Int.Input(
                    "size",
                    default=256,
                    min=64,
                    max=2048,
                    step=8,
                    tooltip="Width and height in pixels. The scene stays the same at every size; the bundled model was "
                    "trained at 256.",
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image", tooltip="The scene as the chosen class, RGB, 0 to 1."),
                io.Image.Output(
                    "twin",
                    display_name="twin",
                    tooltip="The same scene as the other class of the pair. Outside the truth its pixels are the same, within "
                    "a few grey levels.",
                ),
                io.Mask.Output(
                    "truth",
                    display_name="truth",
                    tooltip="1 where image and twin differ, which is the whole difference between the classes; 0 elsewhere.",
                ),
                io.String.Output("class_label", display_name="class", tooltip="The chosen class, to use as the target prompt."),
                io.String.Output(
                    "twin_label",
                    display_name="twin class",
                    tooltip="The other class of the pair, to use as the contrast prompt.",
                ),
            ],
        )

    @classmethod
    def execute(cls, class_name: str, seed: int, size: int) -> io.NodeOutput:
        twin_name = twin_of(class_name)
        scene = sample_scene(class_name, seed)
        truth = torch.from_numpy(truth_mask(scene, size).astype(np.float32))[None]
        image, twin = (as_image(draw(scene, label, size)) for label in (class_name, twin_name))
        return io.NodeOutput(image, twin, truth, class_name, twin_name)
