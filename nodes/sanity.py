"""Sanity Check: is a map about what the model has learned, or would any model give it?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import comfy.utils
import torch
from comfy_api.latest import io, ui

from . import types
from .host.prediction import Conditioning, check_conditioning, predict
from .host.randomised import shuffled_weights
from .host.schedule import check_same_model
from .inputs.schema import schema
from .maths.answers import sanity
from .maths.method import noising
from .maths.method.prediction import NoisePredictions, list_evaluations, predictions_shape
from .maths.pictures.sanity_sheet import sanity_sheet

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


class SanityCheck(io.ComfyNode):
    """Asks the model, once more than would be needed, and its shuffled clone; then checks."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainSanity",
            display_name="Sanity Check",
            category="SDExplain",
            description="Checks whether maps of evidence can be believed: the same prompt gives no difference, swapped prompts give the "
            "negative, the parts add up, other words for the prompts keep the map, and a model with shuffled weights has none. "
            "The model is really asked: 6 × steps × samples predictions, 8 × with paraphrases.",
            search_aliases=["randomisation test", "saliency", "validate", "trust", "explain"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The same model as the noising node's. It is left unchanged."),
                types.NoisedLatents.Input(
                    "noised", tooltip="The noised latents, from Noise Latent Across Schedule. The first image is checked."
                ),
                io.Conditioning.Input("target", tooltip="The prompt to explain (A), as at Collect Noise Predictions."),
                io.Conditioning.Input("contrast", tooltip="The prompt to compare with (B), as at Collect Noise Predictions."),
                io.Image.Input("image", tooltip="The picture that was encoded; of a batch the first is drawn."),
                io.Int.Input(
                    "steps",
                    default=8,
                    min=1,
                    max=1000,
                    tooltip="At how many steps of the schedule to ask, spread evenly over it; all where there are less. The time "
                    "grows with it: 8 steps and 2 samples take 96 predictions, 128 with paraphrases.",
                ),
                io.Int.Input(
                    "samples",
                    default=2,
                    min=1,
                    max=64,
                    tooltip="How many of the noise samples to ask with; all where there are less. 2 are one antithetic pair.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the shuffled weights: another one is another network that has learned nothing.",
                ),
                io.String.Input(
                    "target_label",
                    default="",
                    tooltip="What report and picture call the target, for example: zebra. Empty: 'target'.",
                ),
                io.String.Input(
                    "contrast_label",
                    default="",
                    tooltip="What report and picture call the contrast, for example: horse. Empty: 'contrast'.",
                ),
                io.Conditioning.Input(
                    "target_paraphrase",
                    optional=True,
                    tooltip="The target prompt in other words: the map must stay. Unconnected: the target itself.",
                ),
                io.Conditioning.Input(
                    "contrast_paraphrase",
                    optional=True,
                    tooltip="The contrast prompt in other words. Unconnected: the contrast itself. Neither: not checked.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="report", tooltip="Every check in a line: pass or fail, the figure, its bound, what it means."
                ),
                io.Image.Output(
                    display_name="picture", tooltip="The map, with swapped prompts, in other words and with shuffled weights."
                ),
                io.Boolean.Output(display_name="all passed", tooltip="True where no check failed; skipped ones don't count."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        noised: noising.NoisedLatents,
        target: Conditioning,
        contrast: Conditioning,
        image: torch.Tensor,
        steps: int,
        samples: int,
        seed: int,
        target_label: str,
        contrast_label: str,
        target_paraphrase: Conditioning | None = None,
        contrast_paraphrase: Conditioning | None = None,
    ) -> io.NodeOutput:
        paraphrase = target_paraphrase is not None or contrast_paraphrase is not None
        reworded = target_paraphrase or target, contrast_paraphrase or contrast
        for name, prompt in zip(
            ("target", "contrast", "target paraphrase", "contrast paraphrase"), (target, contrast, *reworded)
        ):
            check_conditioning(prompt, name)
        check_same_model(model, noised)
        checked = sanity.thin(noised, steps, samples)
        count = len(list_evaluations(checked)) * (8 if paraphrase else 6)
        bar = comfy.utils.ProgressBar(count)

        def ask(asked: ModelPatcher, prompt: Conditioning, name: str) -> torch.Tensor:
            predictions = torch.empty(predictions_shape(checked))
            predict(asked, checked, prompt, predictions, list_evaluations(checked), bar.update, name=name)
            return predictions

        def both(asked: ModelPatcher, prompts: tuple[Conditioning, Conditioning], kind: str = "") -> NoisePredictions:
            target, contrast = (
                ask(asked, prompt, name + kind) for prompt, name in zip(prompts, ("target", "contrast"), strict=True)
            )
            return NoisePredictions(checked, target, contrast, *labels)

        labels = target_label.strip() or "target", contrast_label.strip() or "contrast"
        first = both(model, (target, contrast))
        again = both(model, (contrast, target))
        swapped = replace(again, target_label=labels[1], contrast_label=labels[0])
        paraphrased = both(model, reworded, "_paraphrase") if paraphrase else None
        with shuffled_weights(model, seed) as shuffled:
            randomised = both(shuffled, (target, contrast))
        answers = sanity.Answers(first, swapped, randomised, paraphrased)
        checks = sanity.check_all(answers)
        source = f"{checked.steps} of {noised.steps} steps, {checked.samples} noise samples, {count} predictions"
        report = sanity.report(checks, first, source)
        picture = sanity_sheet(image, answers, checks, source)
        passed = all(check.passed is not False for check in checks)
        shown = ui.PreviewImage(picture, cls=cls)
        return io.NodeOutput(report, picture, passed, ui={**shown.as_dict(), **ui.PreviewText(report).as_dict()})
