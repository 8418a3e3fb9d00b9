"""Rival Labels: which of several labels the model prefers, by how much, and what in the picture speaks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io, ui

from . import types
from .host import fingerprint
from .host.contest import Rules, begin_contest, hold_contest
from .host.progress_text import show_effort, show_text
from .inputs import appearance, quantity
from .inputs.schema import schema
from .inputs.shared import collect, shared
from .maths.answers.labels import MOST_LABELS, Sides, split_labels
from .maths.answers.rivals import EARLY
from .maths.method.choices import Quantity, Scaling
from .maths.method.noising import NoisedLatents
from .maths.pictures.overlay import Appearance
from .maths.pictures.rivals_sheet import check_sheet, report, rivals_sheet

if TYPE_CHECKING:
    import torch
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import CLIP


class RivalLabels(io.ComfyNode):
    """Predicts round by round under every label that is still in, then writes the table and draws the maps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainRivals",
            display_name="Rival Labels",
            category="SDExplain",
            description="Compares two or more labels on the same noised latents: a table of their log-odds, and a map of the "
            "winner against each rival. Each label is predicted once; a label that is clearly behind gets no more noise "
            "samples. For another target, contrast, reading or colour the model is not asked again. A new label is predicted "
            "alone, unless it changes which labels are out.",
            search_aliases=["classifier", "zero-shot", "compare labels", "log-odds", "explain", "which label"],
            advanced=appearance.ADVANCED,
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The same model as the noising node's. It is left unchanged."),
                io.Clip.Input("clip", tooltip="The model's text encoder. It encodes the prompts as CLIP Text Encode does."),
                types.NoisedLatents.Input(
                    "noised",
                    tooltip="The noised latents, from Noise Latent Across Schedule. Take 4 samples or more: labels "
                    "are left out while the model is asked from 2 independent samples on, and an antithetic pair counts as one.",
                ),
                *shared("image"),
                io.String.Input(
                    "labels",
                    default="zebra\nhorse",
                    multiline=True,
                    tooltip=f"The labels to compare, one in each line: 2 to {MOST_LABELS}, no two the same. "
                    "Empty lines do not count.",
                ),
                io.String.Input(
                    "template",
                    default="a photo of a {}",
                    tooltip="The prompt for every label. A pair of curly brackets marks the place of the label. The brackets "
                    "alone: each label is itself the prompt.",
                ),
                io.String.Input(
                    "target",
                    default="",
                    tooltip="The label that the maps explain, as it stands in the list. Empty: each image's winner; the "
                    "predictions output, which has one target for all images, then takes that of the first.",
                ),
                io.String.Input(
                    "contrast",
                    default="",
                    tooltip="The label with which the predictions output compares the target, as it stands in the list. Empty: "
                    "the target's strongest rival, in the first image. The sheet shows all rivals.",
                ),
                io.Boolean.Input(
                    "stop_early",
                    default=True,
                    tooltip="On: labels that are clearly behind after 2, 4, 8 … independent samples get no more of them. Of 3 "
                    f"labels or more, and {2 * EARLY} steps or more, those far behind are out after {EARLY} of the steps. In a "
                    "batch a label is predicted as long as one image needs it. Off: every label gets all samples.",
                ),
                io.Float.Input(
                    "confidence",
                    default=0.99,
                    min=0.5,
                    max=0.9999,
                    step=0.0001,
                    round=0.0001,
                    tooltip="How sure it must be that a label is behind before it is out. This holds for all labels and all "
                    "rounds together. A higher value drops fewer labels, and later; at 0.99 the best label is dropped in one "
                    "picture of a hundred at most.",
                ),
                quantity.reading(
                    "evidence",
                    "What the maps show: see Sum Noise Difference. Only evidence is for or against: for the target, or for the "
                    "rival. The table does not depend on it.",
                ),
                quantity.weighting(
                    "information",
                    "How much a step counts in the maps. information: by its share of the log SNR axis (the logarithm of the "
                    "signal-to-noise ratio), so that evidence adds up to the table's log-odds. uniform: every step the same. "
                    "The table does not depend on it.",
                ),
                *shared("colour_map", "percentile", "opacity", "background", "interpolation", "reliability", "threshold"),
                io.Float.Input(
                    "temperature",
                    default=1.0,
                    min=0.01,
                    max=1e6,
                    step=0.01,
                    optional=True,
                    tooltip="Only for the probabilities, as in Label Verdict: the log-odds are divided by it. 1: the model's own "
                    "temperature where one was fitted for it; otherwise the table has no probabilities, which would be far too "
                    "sure.",
                ),
                io.Boolean.Input(
                    "ask_no_words",
                    default=False,
                    optional=True,
                    tooltip="On: the model is also asked without words, at 6 steps at most, so that the table can say how much "
                    "better than no words at all each label describes the picture, and whether none of them does.",
                ),
            ],
            outputs=[
                types.NoisePredictions.Output(
                    display_name="predictions",
                    tooltip="Target against contrast, over the samples that both have: for Sum Noise Difference, Step Range "
                    "Sheet and Label Verdict.",
                ),
                io.Image.Output(
                    display_name="sheet",
                    tooltip="For each image a map of its target against every rival, the strongest first, all on one scale.",
                ),
                io.String.Output(
                    display_name="table",
                    tooltip="For each image the labels with their log-odds against the winner, in nats (2.3 nats: ten times as "
                    "likely) ± standard error, the probability over all labels at a given temperature, and after how many "
                    "samples a label was out.",
                ),
                io.String.Output(
                    display_name="winner", tooltip="The label that the model prefers; for a batch, one in each line."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, labels: str | None = None) -> bool | str:
        """Refuse labels that can't be compared before anything runs; ComfyUI leaves out what is linked.

        ComfyUI repeats the words at every input that is named here. What is raised it says once, but newer pages then show it
        at another node. So a template or a side that can't be compared is refused when the node runs, before the model is asked.
        """
        try:
            if labels is not None:
                split_labels(labels)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: CLIP,
        noised: NoisedLatents,
        image: torch.Tensor,
        labels: str,
        template: str,
        **given: Any,
    ) -> io.NodeOutput:
        rules, named, chosen, scaling, drawn = collect(given, Rules, Sides, Quantity, Scaling, Appearance)
        contest = begin_contest(model, noised, labels, template, rules)
        sides = named.among(contest.labels)
        check_sheet(image, contest, chosen, scaling, drawn)
        rounds = hold_contest(contest, model, clip, template, cls.hidden.unique_id, rules.ask_no_words, show_text)
        words = show_effort(rounds.effort, model, rounds.prompts, cls.hidden.unique_id)
        targets, contrast = contest.sides(*sides)
        made_by = fingerprint.of_pair(model, *(rounds.prompts[contest.labels[side]] for side in (targets[0], contrast)))
        pair = replace(contest.pair(rounds.predictions, targets[0], contrast), fingerprints=made_by)
        sheets = rivals_sheet(image, contest, rounds.predictions, targets, chosen, scaling=scaling, appearance=drawn)
        table, winners = report(contest), "\n".join(contest.winners)
        shown = {**ui.PreviewImage(sheets, cls=cls).as_dict(), "text": (table, words)}
        return io.NodeOutput(pair, sheets, table, winners, ui=shown)
