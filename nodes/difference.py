"""Sum Noise Difference: how two prompts' noise predictions differ, over a range of steps."""

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from . import types
from .inputs import quantity, step_range
from .inputs.schema import schema
from .inputs.shared import shared
from .maths.method import difference, prediction


class SumDifference(io.ComfyNode):
    """Sums the chosen reading, and the plain difference beside it as a LATENT to decode."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainSumDifference",
            display_name="Sum Noise Difference",
            category="SDExplain",
            description="Sums the difference of the two prompts' noise predictions over a range of steps. The model is not "
            "asked again, so you can try ranges, readings and weightings freely.",
            search_aliases=["explain", "attribution", "evidence", "saliency", "delta denoising", "DiffEdit"],
            inputs=[
                types.NoisePredictions.Input("predictions", tooltip="From Collect Noise Predictions or Explain Image."),
                *shared("start", "end"),
                quantity.reading(
                    "information",
                    "What is summed. difference: the signed difference in each latent channel; opposite signs cancel. "
                    "absolute: the magnitude of each step's difference, averaged over the channels, as in DiffEdit; it never "
                    "cancels and has no sign. information: half its square, summed over the channels; no sign. evidence: how "
                    "much better the target predicts the true noise than the contrast does: positive speaks for the target, "
                    "negative for the contrast. With the weighting information, the last two are in nats, natural logarithms "
                    "of odds: 2.3 nats of evidence make the target ten times as likely. combined: information plus half the "
                    "size of the smoothed evidence; it has no sign, and finds the right places best.",
                ),
                quantity.weighting(
                    "uniform",
                    "How much a step counts. uniform: every step the same. information: by its share of the log SNR axis (the "
                    "logarithm of the signal-to-noise ratio), so that the sum does not depend on how the levels are spread.",
                ),
                io.Combo.Input(
                    "latent_direction",
                    options=list(get_args(difference.Direction)),
                    default="target - contrast",
                    tooltip="Only for the latent output. target - contrast: what speaks for the target (the negative of the "
                    "sum, because noise is what gets removed). contrast - target: the opposite.",
                ),
                io.Combo.Input(
                    "latent_base",
                    options=list(get_args(difference.Base)),
                    default="difference alone",
                    tooltip="Only for the latent output. difference alone: the change itself, on grey. added to the image: the "
                    "image with the change.",
                ),
                io.Float.Input(
                    "latent_strength",
                    default=1.0,
                    min=-100.0,
                    max=100.0,
                    step=0.01,
                    tooltip="Only for the latent output: the difference is multiplied by this. 1 leaves it as it is, 0 removes "
                    "it.",
                ),
            ],
            outputs=[
                types.NoiseDifference.Output(display_name="difference", tooltip="The sum, for Heatmap Overlay."),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The signed sum (also where the reading is absolute), for VAE Decode. It is not the latent of a "
                    "picture: its colours are a hint only.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, start: int | None = None, end: int | None = None) -> bool | str:
        """Refuse an empty range before anything runs, where neither end of it is linked."""
        return step_range.check(start, end)

    @classmethod
    def execute(
        cls,
        predictions: prediction.NoisePredictions,
        start: int,
        end: int,
        reading: difference.Reading,
        weighting: difference.Weighting,
        latent_direction: difference.Direction,
        latent_base: difference.Base,
        latent_strength: float,
    ) -> io.NodeOutput:
        stop = step_range.stop(end)
        summed = difference.sum_steps(predictions, start, stop, reading, weighting)
        signed = difference.sum_steps(predictions, start, stop, "difference", weighting)
        latent = difference.latent(signed, predictions.noised.x0, latent_direction, latent_base, latent_strength)
        return io.NodeOutput(summed, {"samples": latent})
