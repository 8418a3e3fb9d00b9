"""Heatmap Overlay: where two prompts' noise predictions differ, in colour over the picture."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, get_args

from comfy_api.latest import io, ui

from . import types
from .inputs import appearance
from .inputs.schema import schema
from .inputs.shared import collect, shared
from .maths.method.choices import Scaling
from .maths.method.difference import NoiseDifference
from .maths.method.heatmap import Show, make_heatmap
from .maths.method.map import Map
from .maths.method.reading import as_map
from .maths.method.scalar import Scalar
from .maths.pictures.drawing import draw_heatmap
from .maths.pictures.overlay import Appearance

if TYPE_CHECKING:
    import torch
    from comfy.sd import VAE


class HeatmapOverlay(io.ComfyNode):
    """Makes the map, lays it over the picture, and shows the result on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainHeatmap",
            display_name="Heatmap Overlay",
            category="SDExplain",
            description="Draws a summed noise difference in colour over the picture, with a legend. Clear places do not differ; "
            "full colour marks the largest values. Every setting can be changed without asking the model again.",
            search_aliases=["saliency", "attribution", "explain", "DiffEdit", "mask", "difference map"],
            advanced=appearance.ADVANCED,
            is_output_node=True,
            inputs=[
                *shared("image"),
                io.MultiType.Input(
                    "difference", types=types.MAPS, tooltip="From Sum Noise Difference, or a classifier's map from Attribution."
                ),
                *shared("scalar"),
                io.Combo.Input(
                    "sign",
                    options=list(get_args(Show)),
                    default="both",
                    tooltip="Which side of a signed map is shown, on the same scale; the legend says what each side means. "
                    "both is neutral. A channel norm and the reading absolute have no negative side.",
                ),
                *shared("colour_map", "percentile"),
                io.Float.Input(
                    "scale",
                    default=0.0,
                    min=0.0,
                    max=1e6,
                    step=0.001,
                    tooltip="The value of the full colour, in the legend's unit. 0 takes it from the map by the percentile. To "
                    "compare two heatmaps, link the scale output of one to this input of the other.",
                ),
                io.Boolean.Input(
                    "shared_scale",
                    default=True,
                    tooltip="On: one automatic scale for all images of the batch, so that their colours can be compared. Off: "
                    "each image has its own.",
                ),
                *shared("opacity", "background", "interpolation"),
                io.Boolean.Input(
                    "legend",
                    default=True,
                    tooltip="On: a legend below the picture, and small pictures enlarged to 512 pixels so that it can be read. "
                    "Off: the overlay alone, at the picture's own size.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="The model's VAE; needed only for the scalar decoded luminance."),
                *shared("reliability", "threshold"),
            ],
            outputs=[
                io.Image.Output(display_name="overlay", tooltip="The heatmap over the picture, with the legend if it is on."),
                io.Image.Output(display_name="heatmap", tooltip="The colours alone, opaque, at the picture's size."),
                io.Mask.Output(
                    display_name="mask_for",
                    tooltip="Values above 0, divided by the scale: 0 no difference, 1 full colour, at the picture's size; only "
                    "reliable ones if that is chosen. Not affected by sign, opacity and colour map.",
                ),
                io.Mask.Output(
                    display_name="mask_against",
                    tooltip="The same for values below 0; 0 everywhere if the map has no sign.",
                ),
                io.Float.Output(
                    display_name="scale",
                    tooltip="The value of the full colour, in the legend's unit; 0 if there is no difference. If each image "
                    "has its own scale, the largest one.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        difference: NoiseDifference | Map,
        scalar: Scalar,
        sign: Show,
        shared_scale: bool,
        legend: bool,
        vae: VAE | None = None,
        **given: Any,
    ) -> io.NodeOutput:
        scaling, drawn = collect(given, Scaling, Appearance)
        read = as_map(difference, scalar, decode=vae and vae.decode)
        heatmap = make_heatmap(read, **asdict(replace(scaling, shared=shared_scale)))
        picture, coloured, mask_for, mask_against = draw_heatmap(image, heatmap, sign, drawn, legend)
        limit = heatmap.limits.max().item()
        return io.NodeOutput(picture, coloured, mask_for, mask_against, limit, ui=ui.PreviewImage(picture, cls=cls))
