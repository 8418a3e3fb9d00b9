"""Deletion and Insertion: whether the answer changes as it should when what a map calls strong is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from comfy_api.latest import io, ui

from . import types
from .host.faithfulness import Diffusion, follow_map
from .inputs.schema import schema
from .inputs.shared import collect
from .maths.answers.faithfulness import Cover, Covering
from .maths.method.classifier import Classifier
from .maths.method.difference import NoiseDifference
from .maths.method.map import Map
from .maths.method.reading import as_map
from .maths.pictures.faithfulness_plot import faithfulness_report, faithfulness_sheet

if TYPE_CHECKING:
    import torch


class Faithfulness(io.ComfyNode):
    """Covers the picture in the map's order, asks again, and shows the curves beside those of random orders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainFaithfulness",
            display_name="Deletion and Insertion",
            category="SDExplain",
            description="Tests a map: covers its strongest regions first and asks the classifier, the diffusion model or both "
            "again. If the map is right, the answer falls faster than in a random order.",
            search_aliases=["faithfulness", "deletion", "insertion", "perturbation", "evaluate", "sanity"],
            advanced=["regions", "shares", "random_orders", "seed"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The picture that the map is of, or the batch."),
                io.MultiType.Input("map", types=types.MAPS, tooltip="From Attribution, or from Sum Noise Difference."),
                types.ImageClassifier.Input(
                    "classifier", optional=True, tooltip="Who is asked, from Load Image Classifier. Any map can be tested by it."
                ),
                io.String.Input(
                    "class_a",
                    default="",
                    tooltip="The classifier's class that the map speaks for: a name or a number. Empty: both of the map's "
                    "own labels.",
                ),
                io.String.Input(
                    "class_b", default="", tooltip="The class that the map speaks against. Empty: all other classes together."
                ),
                io.Combo.Input(
                    "cover",
                    options=list(get_args(Cover)),
                    default="blur",
                    tooltip="What a covered region shows. blur: the picture without detail. grey: plain grey. mean colour: the "
                    "picture's own mean. inpainted: what the diffusion model paints there without words, from model, vae and "
                    "no_words; that is 6 evaluations for each covered picture, 2,340 for a picture with the numbers as they "
                    "are. Try more than one: a cover that looks odd to a model changes its answer by itself.",
                ),
                io.Int.Input(
                    "regions",
                    default=8,
                    min=2,
                    max=64,
                    tooltip="Regions along the picture's shorter side. They are nearly square.",
                ),
                io.Int.Input("shares", default=16, min=2, max=256, tooltip="In how many steps the whole picture is covered."),
                io.Int.Input(
                    "random_orders",
                    default=12,
                    min=3,
                    max=200,
                    tooltip="Random orders to compare with. More tell better where 95 % of them lie, and take longer.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=False,
                    tooltip="Seed of the random orders, and of the diffusion model's noise.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The diffusion model, if its verdict is wanted as well; it takes much longer. Then vae, target and "
                    "contrast are needed, too.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="The diffusion model's VAE."),
                io.Conditioning.Input(
                    "target", optional=True, tooltip="The diffusion model's prompt for what the map speaks for."
                ),
                io.Conditioning.Input("contrast", optional=True, tooltip="The prompt for what it speaks against."),
                io.Int.Input(
                    "steps",
                    default=6,
                    min=1,
                    max=1000,
                    optional=True,
                    tooltip="Steps of the diffusion model's verdict, each with a pair of noise samples.",
                ),
                io.Conditioning.Input(
                    "no_words",
                    optional=True,
                    tooltip="Only for the cover inpainted: the empty prompt, from CLIP Text Encode without a text.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="Areas and what they say, for each picture."),
                io.Image.Output(display_name="picture", tooltip="What was covered, and both curves beside random orders."),
                io.Float.Output(
                    display_name="gain",
                    tooltip="Insertion's area minus deletion's, of the first that was asked, as the mean over the pictures: 1 at "
                    "best, about 0 for a random order.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        map: NoiseDifference | Map,
        class_a: str,
        class_b: str,
        classifier: Classifier | None = None,
        **given: Any,
    ) -> io.NodeOutput:
        covering, diffusion = collect(given, Covering, Diffusion)
        followed = as_map(map)
        curves, coverer = follow_map(classifier, image, followed, (class_a, class_b), diffusion, covering)
        picture = faithfulness_sheet(image, followed, curves, covering, coverer)
        report, gain = faithfulness_report(followed, curves), next(iter(curves.values())).mean_gain
        return io.NodeOutput(report, picture, gain, ui=ui.PreviewImage(picture, cls=cls))
