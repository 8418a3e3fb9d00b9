"""Attribution: where a classifier sees what makes it say one class and not another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from comfy_api.latest import io, ui

from . import types
from .host.attribution import expected_calls, watched
from .inputs.schema import schema
from .inputs.shared import collect
from .maths.method.attribution import GROUPS, Baseline, Choices, Method, attribute
from .maths.method.classifier import Classifier
from .maths.method.heatmap import make_heatmap
from .maths.pictures.drawing import draw_heatmap

if TYPE_CHECKING:
    import torch


class Attribution(io.ComfyNode):
    """Explains the classifier's log-odds by one method, and shows the map on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainAttribution",
            display_name="Attribution",
            category="SDExplain",
            description="Shows which parts of a picture make a classifier say class A and not class B: Grad-CAM, LayerCAM, "
            "Integrated Gradients, Gradient SHAP or occlusion, signed and on one scale. The map goes where a summed noise "
            "difference goes.",
            search_aliases=["Grad-CAM", "SHAP", "saliency", "Integrated Gradients", "occlusion", "explain classifier", "captum"],
            advanced=["samples", "window"],
            is_output_node=True,
            inputs=[
                types.ImageClassifier.Input("classifier", tooltip="From Load Image Classifier. It is left unchanged."),
                io.Image.Input(
                    "image",
                    tooltip="The picture to explain, or a batch, of any size: the classifier's own preprocessing resizes it. "
                    "Alpha is ignored.",
                ),
                io.String.Input(
                    "class_a", default="zebra", tooltip="Red speaks for this class: its name, or its number from 0 on."
                ),
                io.String.Input(
                    "class_b",
                    default="horse",
                    tooltip="Blue speaks for this class. Empty: all other classes together.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(get_args(Method)),
                    default="Grad-CAM",
                    tooltip="Grad-CAM, LayerCAM: a layer's activations times their gradients, coarse and quick. Integrated "
                    "Gradients: pixel by pixel, adds up. Gradient SHAP: the same from random points, with a standard error. "
                    "occlusion: what is lost when a square is covered; needs no gradient.",
                ),
                io.String.Input(
                    "layer",
                    default="",
                    tooltip="Only for Grad-CAM and LayerCAM: the layer by name. Empty: the last that keeps space. A wrong name "
                    "is answered with the right ones.",
                ),
                io.Combo.Input(
                    "baseline",
                    options=list(get_args(Baseline)),
                    default="blurred",
                    tooltip="Not for Grad-CAM and LayerCAM: what nothing looks like. blurred: the picture without detail. mean "
                    "colour: without any. black, grey, white: the same for every picture.",
                ),
                io.Int.Input(
                    "samples",
                    default=64,
                    min=GROUPS,
                    max=4096,
                    tooltip="Only for Gradient SHAP: random points. More make the standard error smaller.",
                ),
                io.Float.Input(
                    "window",
                    default=0.125,
                    min=0.01,
                    max=1.0,
                    step=0.005,
                    tooltip="Only for occlusion: the side of the square, as a share of the shorter side that the "
                    "classifier sees.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=False,  # a new seed at every run would ask the classifier again
                    tooltip="Only for Gradient SHAP: seed of its random points. The same seed gives the same map.",
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="Only for Gradient SHAP: a batch of ordinary pictures to start from, in place of the baseline.",
                ),
            ],
            outputs=[
                types.ExplanationMap.Output(
                    display_name="map", tooltip="For Heatmap Overlay, Compare Maps, Deletion and Insertion, and Comparison Sheet."
                ),
                io.Image.Output(display_name="overlay", tooltip="The map over the picture, with its legend."),
                io.String.Output(
                    display_name="report", tooltip="What the classifier says of each picture, and how the map was made."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        classifier: Classifier,
        image: torch.Tensor,
        class_a: str,
        class_b: str,
        background: torch.Tensor | None = None,
        **given: Any,
    ) -> io.NodeOutput:
        (choices,) = collect(given, Choices)
        called = watched(expected_calls(choices, len(image)))
        found = attribute(classifier, image, class_a, class_b, choices, background, called)
        picture = draw_heatmap(image, make_heatmap(found, shared=False))[0]
        report = "\n".join([found.source, *found.totals])
        return io.NodeOutput(found, picture, report, ui=ui.PreviewImage(picture, cls=cls))
