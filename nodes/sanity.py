"""Sanity Check: is a map about what the model has learned, or would any model give it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io, ui

from . import types
from .host.prompt_words import prompt_texts, side_labels, unseen_words
from .host.sanity import Question, ask_all
from .host.schedule import check_same_model
from .inputs.schema import schema
from .inputs.shared import collect
from .maths.answers import sanity
from .maths.method.noising import NoisedLatents
from .maths.pictures.sanity_sheet import sanity_sheet

if TYPE_CHECKING:
    import torch
    from comfy.model_patcher import ModelPatcher


class SanityCheck(io.ComfyNode):
    """Asks the model, and its shuffled clone, everything that the checks need."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainSanity",
            display_name="Sanity Check",
            category="SDExplain",
            description="Checks whether maps of evidence can be believed. The same prompt must give no difference, and swapped "
            "prompts the negative. The parts must add up. Other words for the prompts and other noise must keep the map, a "
            "model with shuffled weights must lose it, and the evidence must be larger than its uncertainty. The model must know "
            "the picture, and the words must say more than none. Nothing is taken from earlier runs: the model makes 6 × steps × "
            "samples predictions, 8 × with paraphrases.",
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
                    tooltip="At how many steps the model is asked, spread evenly over the schedule; at all of them if it has "
                    "fewer. The time grows with it: 8 steps and 2 samples take 96 predictions, 128 with paraphrases.",
                ),
                io.Int.Input(
                    "samples",
                    default=2,
                    min=1,
                    max=64,
                    tooltip="How many of the noise samples are used; all if there are fewer. 2 are one antithetic pair: the "
                    "same noise once with + and once with −.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed for shuffling the weights: another seed gives another network that has learned nothing.",
                ),
                io.String.Input(
                    "target_label",
                    default="",
                    tooltip="What report and picture call the target, for example: zebra. Empty: the words that only this "
                    "prompt has, or 'target' where the graph does not show the prompt.",
                ),
                io.String.Input(
                    "contrast_label",
                    default="",
                    tooltip="What report and picture call the contrast, for example: horse. Empty: the words that only this "
                    "prompt has, or 'contrast' where the graph does not show the prompt.",
                ),
                io.Conditioning.Input(
                    "target_paraphrase",
                    optional=True,
                    tooltip="The target prompt in other words: the map must stay. Unconnected: the target itself.",
                ),
                io.Conditioning.Input(
                    "contrast_paraphrase",
                    optional=True,
                    tooltip="The contrast prompt in other words. Unconnected: the contrast itself. If neither is connected, "
                    "this is not checked.",
                ),
                io.Conditioning.Input(
                    "no_words",
                    optional=True,
                    tooltip="The empty prompt, from CLIP Text Encode without a text: one of the prompts must describe the "
                    "picture better. It takes at most 12 predictions more. Unconnected: this is not checked.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="report",
                    tooltip="Every check in a line: pass, fail or unclear, the figure, its bound, what it means.",
                ),
                io.Image.Output(
                    display_name="picture", tooltip="The map, with swapped prompts, in other words and with shuffled weights."
                ),
                io.Boolean.Output(
                    display_name="all passed", tooltip="True if every check that was made passed; skipped checks don't count."
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        noised: NoisedLatents,
        image: torch.Tensor,
        steps: int,
        samples: int,
        seed: int,
        target_label: str,
        contrast_label: str,
        **given: Any,
    ) -> io.NodeOutput:
        labels = side_labels(cls.hidden.dynprompt, cls.hidden.unique_id, target_label, contrast_label)
        unseen = unseen_words(model, prompt_texts(cls.hidden.dynprompt, cls.hidden.unique_id))
        given |= {"target_label": labels[0], "contrast_label": labels[1], "unseen": unseen}
        (question,) = collect(given, Question)
        check_same_model(model, noised)
        answers = ask_all(model, sanity.take_part(noised, steps, samples), question, seed)
        checks, source = sanity.check_all(answers), sanity.source_words(answers, noised.steps)
        report = sanity.report(checks, answers.first, source)
        picture = sanity_sheet(image, answers, checks, source)
        shown = ui.PreviewImage(picture, cls=cls).as_dict() | ui.PreviewText(report).as_dict()
        return io.NodeOutput(report, picture, sanity.all_passed(checks), ui=shown)
