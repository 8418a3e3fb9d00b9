"""Step Range Sheet: the whole schedule at a glance, in ranges side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io, ui

from . import types
from .inputs import appearance, quantity
from .inputs.schema import schema
from .inputs.shared import collect, shared
from .maths.method.choices import Quantity, Scaling
from .maths.method.prediction import NoisePredictions
from .maths.pictures.overlay import Appearance
from .maths.pictures.sheet import step_sheet

if TYPE_CHECKING:
    import torch
    from comfy.sd import VAE


class StepSheet(io.ComfyNode):
    """Draws the sheet and shows it on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainStepSheet",
            display_name="Step Range Sheet",
            category="SDExplain",
            description="Cuts the schedule into ranges and draws the heatmap of each over the picture, all on one scale, to "
            "find the steps at which the prompts differ. With a VAE, the decoded differences stand below. The model is not "
            "asked again.",
            search_aliases=["heatmap", "contact sheet", "batch", "which steps", "timesteps", "saliency", "explain"],
            advanced=appearance.ADVANCED,
            is_output_node=True,
            inputs=[
                *shared("image"),
                types.NoisePredictions.Input("predictions", tooltip="From Collect Noise Predictions or Explain Image."),
                io.Int.Input(
                    "ranges",
                    default=5,
                    min=1,
                    max=100,
                    tooltip="How many ranges of equal length, at most one for each step. The first holds the noisiest steps.",
                ),
                quantity.reading(
                    "information",
                    "What is summed over each range: see Sum Noise Difference. The decoded differences are always signed.",
                ),
                quantity.weighting(
                    "uniform",
                    "How much a step counts. uniform: every step the same. information: by its share "
                    "of the log SNR axis (the logarithm of the signal-to-noise ratio).",
                ),
                *shared("scalar", "colour_map", "percentile", "opacity", "background", "interpolation"),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The model's VAE: adds a row with the decoded differences. The scalar decoded luminance needs it, "
                    "too.",
                ),
                *shared("reliability", "threshold"),
                io.Boolean.Input(
                    "one_sheet",
                    default=False,
                    optional=True,
                    tooltip="On: all images of the batch on one sheet, each with its log-odds; side by side with 1 range, "
                    "otherwise one row for each. Off: a sheet for each image.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="sheet",
                    tooltip="One sheet for each image, or one for all, on one scale: a column for each range, with its steps "
                    "and their log SNR (the logarithm of the signal-to-noise ratio), and a legend.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        predictions: NoisePredictions,
        ranges: int,
        vae: VAE | None = None,
        one_sheet: bool = False,
        **given: Any,
    ) -> io.NodeOutput:
        chosen, scaling, drawn = collect(given, Quantity, Scaling, Appearance)
        decode = vae and vae.decode
        sheets = step_sheet(
            image, predictions, ranges, chosen, scaling=scaling, appearance=drawn, decode=decode, one_sheet=one_sheet
        )
        return io.NodeOutput(sheets, ui=ui.PreviewImage(sheets, cls=cls))
