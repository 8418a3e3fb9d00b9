"""Step Animation: the heatmap while a window of steps moves through the schedule, as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import types
from .inputs import appearance, quantity
from .inputs.schema import schema
from .inputs.shared import collect, shared
from .maths.method.choices import Quantity, Scaling
from .maths.method.prediction import NoisePredictions
from .maths.pictures.animation import animate
from .maths.pictures.overlay import Appearance

if TYPE_CHECKING:
    import torch


class StepAnimation(io.ComfyNode):
    """Draws the frames, for core's nodes that save them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainStepAnimation",
            display_name="Step Animation",
            category="SDExplain",
            description="Moves a window of steps through the schedule and draws the heatmap of each place of it as a frame, all "
            "on one scale, over a bar of the schedule. For SaveAnimatedWEBP or CreateVideo. The model is not asked again.",
            search_aliases=["heatmap", "video", "animation", "timesteps", "sweep", "explain"],
            advanced=appearance.ADVANCED,
            inputs=[
                *shared("image"),
                types.NoisePredictions.Input("predictions", tooltip="From Collect Noise Predictions or Explain Image."),
                io.Int.Input(
                    "window",
                    default=5,
                    min=1,
                    max=1000,
                    tooltip="How many steps each frame sums. It moves by one step a frame: 20 steps and a window of 5 make 16 "
                    "frames. More are calmer, fewer show a step by itself.",
                ),
                quantity.reading(
                    "information", "What is summed over the window: see Sum Noise Difference. evidence alone has sides."
                ),
                quantity.weighting(
                    "uniform",
                    "What a step counts. uniform: 1, so that the frames can be compared. information: its share of the log SNR "
                    "axis, which lets the cleanest steps outshine the others.",
                ),
                *shared("colour_map", "percentile", "opacity", "background", "interpolation"),
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames",
                    tooltip="A batch with a frame for each place of the window, the noisiest steps first; for a batch of images, "
                    "first all of the first image.",
                )
            ],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, predictions: NoisePredictions, window: int, **given: Any) -> io.NodeOutput:
        chosen, scaling, drawn = collect(given, Quantity, Scaling, Appearance)
        return io.NodeOutput(animate(image, predictions, window, chosen, scaling=scaling, appearance=drawn))
