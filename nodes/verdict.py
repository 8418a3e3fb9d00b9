"""Label Verdict: which of two labels the model prefers, how surely, and which steps say so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from comfy_api.latest import io, ui

from . import types
from .host.no_words import compare_if_asked
from .inputs import step_range
from .inputs.schema import schema
from .inputs.shared import shared
from .maths.answers.verdict import judge, report
from .maths.method.prediction import NoisePredictions
from .maths.pictures.verdict_plot import plot_verdict

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP


class LabelVerdict(io.ComfyNode):
    """Adds up the evidence, says the answer in words and numbers, and shows the plot on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainVerdict",
            display_name="Label Verdict",
            category="SDExplain",
            description="Says which of the two labels the model prefers for the picture: the evidence of all places and of a "
            "range of steps, added up to log-odds in nats, with a plot of what each step says. The model is not asked again, "
            "unless ask_no_words is on.",
            search_aliases=["classifier", "log-odds", "probability", "zero-shot", "evidence", "explain"],
            is_output_node=True,
            inputs=[
                types.NoisePredictions.Input(
                    "predictions",
                    tooltip="From Collect Noise Predictions or Explain Image. More noise samples (4 or more in antithetic pairs) "
                    "tell the standard error better than how the steps scatter.",
                ),
                *shared("start", "end"),
                io.Float.Input(
                    "temperature",
                    default=1.0,
                    min=0.01,
                    max=1e6,
                    step=0.01,
                    tooltip="Only for the probability, which is sigmoid(log-odds / temperature). 1: the model's own temperature "
                    "where one was fitted for it, as for the bundled model; otherwise the text has no probability, which would "
                    "be far too sure. Fit it on pictures whose label is known.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="Only for ask_no_words: the model that made the predictions. It is left unchanged.",
                ),
                io.Clip.Input("clip", optional=True, tooltip="Only for ask_no_words: the model's text encoder."),
                io.Boolean.Input(
                    "ask_no_words",
                    default=False,
                    optional=True,
                    tooltip="On: the model is also asked without words, at 6 steps at most, so that the verdict can say that "
                    "both labels, or neither of them, describe the picture better than no words at all. Needs model and clip.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="text", tooltip="The verdict in words, one line for each image, and how it was made."
                ),
                io.Float.Output(
                    display_name="log_odds",
                    is_output_list=True,
                    tooltip="A list with one number for each image: the evidence in nats, for the target (above 0) or for the "
                    "contrast (below 0). 0 means no difference; 2.3 nats mean ten times as likely.",
                ),
                io.Float.Output(
                    display_name="standard_error",
                    is_output_list=True,
                    tooltip="The standard error of each image's log-odds, in nats: over the noise samples, or of a single one or "
                    "a single pair from how the steps scatter. Not a number (nan) if that is 1 or 2 steps, or steps with the "
                    "same noise.",
                ),
                io.Float.Output(
                    display_name="probability",
                    is_output_list=True,
                    tooltip="Each image's probability of the target against the contrast, 0 to 1: sigmoid(log-odds / "
                    "temperature), with the model's own temperature where the input is 1 and one was fitted. 0.5 means no "
                    "difference.",
                ),
                io.Image.Output(
                    display_name="plot",
                    tooltip="For each image the evidence of each step with its error band, and its sum over the chosen range.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, start: int | None = None, end: int | None = None) -> bool | str:
        """Refuse an empty range before anything runs."""
        return step_range.check(start, end)

    @classmethod
    def execute(
        cls,
        predictions: NoisePredictions,
        start: int,
        end: int,
        temperature: float,
        model: ModelPatcher | None = None,
        clip: CLIP | None = None,
        ask_no_words: bool = False,
    ) -> io.NodeOutput:
        if ask_no_words:
            predictions = compare_if_asked(model, clip, predictions, cls.hidden.unique_id)
        verdict = judge(predictions, start, step_range.stop(end), temperature)
        errors = [math.nan] * verdict.images if verdict.error is None else verdict.error.tolist()
        text, plots = report(verdict), plot_verdict(verdict)
        shown = ui.PreviewImage(plots, cls=cls).as_dict() | ui.PreviewText(text).as_dict()
        return io.NodeOutput(text, verdict.log_odds.tolist(), errors, verdict.probability.tolist(), plots, ui=shown)
