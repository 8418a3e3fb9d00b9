"""Collect Noise Predictions: the noise that the model predicts under two prompts, in every noised latent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io, ui

from . import types
from .host import fingerprint, kept
from .host.live import Followers
from .host.loading.about_model import about_model
from .host.no_words import compare_with_no_words
from .host.prediction import Conditioning, check_conditioning
from .host.progress_text import show_effort, show_text
from .host.progressive import Progress
from .host.prompt_words import prompt_texts, side_labels, unseen_words
from .host.schedule import check_same_model
from .inputs.quality import quality
from .inputs.schema import schema
from .maths.answers.settled import Quality
from .maths.method import noising, prediction

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


class PredictNoise(io.ComfyNode):
    """Checks what is connected, and asks the model for whatever was not predicted before."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainPredictNoise",
            display_name="Collect Noise Predictions",
            category="SDExplain",
            description="Lets the model predict the noise in every noised latent under two prompts, without guidance. All "
            "later nodes work on these predictions: for another range, reading or colour the model is never asked again. If "
            "you change one prompt, only that prompt is predicted again.",
            search_aliases=["explain", "predict noise", "diffusion classifier", "compare prompts", "eps"],
            advanced=["precision"],
            inputs=[
                io.Model.Input("model", tooltip="The same model as the noising node's. It is left unchanged."),
                types.NoisedLatents.Input("noised", tooltip="The noised latents, from Noise Latent Across Schedule."),
                io.Conditioning.Input(
                    "target", tooltip="The prompt to explain (A). What speaks for it is positive in signed pictures."
                ),
                io.Conditioning.Input(
                    "contrast",
                    tooltip="The prompt to compare with (B): another label, or the empty prompt for 'anything at all'. The same "
                    "prompt as the target gives a difference of exactly zero.",
                ),
                io.String.Input(
                    "target_label",
                    default="",
                    tooltip="What legends call the target, for example: zebra. Empty: the words that only this prompt has, or "
                    "'target' where the graph does not show the prompt. It does not change the result.",
                ),
                io.String.Input(
                    "contrast_label",
                    default="",
                    tooltip="What legends call the contrast, for example: horse. Empty: the words that only this prompt has, "
                    "or 'contrast' where the graph does not show the prompt. It does not change the result.",
                ),
                io.Combo.Input(
                    "precision",
                    options=["float16", "float32"],
                    default="float16",
                    optional=True,
                    tooltip="How predictions are kept once they are made; sums are always in float32. float16 takes half the "
                    "memory; with the bundled model it changed maps by 0.1 %, a hundredth of what other noise changes. float32 "
                    "keeps every bit.",
                ),
                io.Conditioning.Input(
                    "no_words",
                    optional=True,
                    tooltip="The empty prompt, from CLIP Text Encode without a text. Connected, the model is also asked without "
                    "words, at 6 steps at most; verdicts and legends then say whether both prompts or neither of them describe "
                    "the picture better than no words at all.",
                ),
                quality(
                    "exact",
                    "How much the model is asked. exact: about every noised latent. quick: about 12 evaluations, enough for a "
                    "look. settled: until other steps would hardly change map and verdict, mostly about 20 to 28 evaluations, at "
                    "most one noise sample (or pair) at every step. More later asks only for what is new.",
                ),
            ],
            outputs=[
                types.NoisePredictions.Output(
                    display_name="predictions",
                    tooltip="Both prompts' noise predictions for every sample, step and image.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        noised: noising.NoisedLatents,
        target: Conditioning,
        contrast: Conditioning,
        target_label: str,
        contrast_label: str,
        no_words: Conditioning | None = None,
        precision: prediction.Precision = "float16",
        quality: Quality = "exact",
    ) -> io.NodeOutput:
        check_conditioning(target, "target")
        check_conditioning(contrast, "contrast")
        check_same_model(model, noised)
        labels = side_labels(cls.hidden.dynprompt, cls.hidden.unique_id, target_label, contrast_label)
        names = prediction.side_names(*labels)
        about, unseen = about_model(model), unseen_words(model, prompt_texts(cls.hidden.dynprompt, cls.hidden.unique_id))
        known = {"own_pictures": about.own_pictures, "unseen": unseen, "temperature": about.temperature}
        progress = Progress(noised, names, quality, Followers.of(cls.hidden.dynprompt, cls.hidden.unique_id), known)
        *arrays, effort = kept.collect(model, noised, target, contrast, cls.hidden.unique_id, precision, progress, show_text)
        words = show_effort(effort, model, {"target": target, "contrast": contrast}, cls.hidden.unique_id, progress.words())
        made_by = fingerprint.of_pair(model, target, contrast)
        predictions = progress.part(prediction.NoisePredictions(noised, *arrays, *names, made_by, **known))
        predictions = compare_with_no_words(model, predictions, no_words, cls.hidden.unique_id)
        return io.NodeOutput(predictions, ui=ui.PreviewText("\n\n".join(filter(None, (words, predictions.unseen)))))
