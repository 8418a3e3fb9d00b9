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
            description="Moves a window of steps through the schedule. Each place of the window gives a frame: the heatmap "
            "over a bar of the schedule, all frames on one scale. For SaveAnimatedWEBP or CreateVideo. The model is not asked "
            "again.",
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
                    tooltip="How many steps each frame sums. The window moves by one step from frame to frame: 20 steps and a "
                    "window of 5 make 16 frames. A wide window is calmer, a narrow one shows single steps.",
                ),
                quantity.reading(
                    "information", "What is summed over the window: see Sum Noise Difference. Only evidence is for or against."
                ),
                quantity.weighting(
                    "uniform",
                    "How much a step counts. uniform: every step the same, so that the frames can be compared. information: by "
                    "its share of the log SNR axis (the logarithm of the signal-to-noise ratio); the cleanest steps then "
                    "outshine the others.",
                ),
                *shared("colour_map", "percentile", "opacity", "background", "interpolation"),
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames",
                    tooltip="A batch with a frame for each place of the window, the noisiest steps first. For a batch of "
                    "images: all frames of the first image, then those of the next.",
                )
            ],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, predictions: NoisePredictions, window: int, **given: Any) -> io.NodeOutput:
        chosen, scaling, drawn = collect(given, Quantity, Scaling, Appearance)
        return io.NodeOutput(animate(image, predictions, window, chosen, scaling=scaling, appearance=drawn))
