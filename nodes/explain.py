"""Explain Image: the whole graph in one node, for a quick start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import types
from .host.open_graph import check_sources, open_graph, used_outputs
from .inputs import appearance, quantity, step_range
from .inputs.quality import quality
from .inputs.schema import schema
from .inputs.shared import shared
from .maths.method.difference import check_range
from .maths.pictures.colours import colour_map_name

if TYPE_CHECKING:
    import torch
    from comfy.sd import CLIP, VAE


class ExplainImage(io.ComfyNode):
    """Expands into the pack's own nodes and core's, so that the same code runs and whatever did not change stays cached."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainExplain",
            display_name="Explain Image",
            category="SDExplain",
            description="Shows which parts of a picture speak for one prompt and which for another, and which of the two the "
            "model prefers: everything from VAE Encode to Heatmap Overlay and Label Verdict in one node. For another range, "
            "reading or colour the model is not asked again; for another prompt, it is asked about that prompt only.",
            search_aliases=["heatmap", "saliency", "attribution", "explain", "DiffEdit", "mask", "why"],
            advanced=["weighting", "target_label", "contrast_label", *appearance.ADVANCED],
            is_output_node=True,
            enable_expand=True,
            is_input_list=True,  # see `only`
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The picture to explain, or a batch. Best at the size the model was trained for (SD 1.5: 512 pixels, "
                    "SDXL: 1024). Edges beyond a multiple of the VAE's cell (8 pixels) are cropped from the map; alpha is "
                    "ignored.",
                ),
                io.Model.Input("model", tooltip="The model to explain, from a checkpoint loader. It is left unchanged."),
                io.Clip.Input("clip", tooltip="The model's text encoder, from the same loader."),
                io.Vae.Input("vae", tooltip="The model's VAE, from the same loader."),
                io.String.Input(
                    "target_prompt",
                    default="a photo of a zebra",
                    tooltip="What the picture shows: a prompt, or a word such as zebra. Red speaks for it.",
                ),
                io.String.Input(
                    "contrast_prompt",
                    default="a photo of a horse",
                    tooltip="What it might be instead; keep the other words the same. Blue speaks for it. Empty: anything at "
                    "all.",
                ),
                io.Int.Input(
                    "steps",
                    default=20,
                    min=1,
                    max=1000,
                    tooltip="At how many noise levels the model is asked. More take longer and show finer ranges; 10 are "
                    "enough for a first look.",
                ),
                io.Int.Input(
                    "samples",
                    default=4,
                    min=1,
                    max=64,
                    tooltip="How often the model is asked at each level, each time with other noise. The time grows with it; 1 "
                    "is quickest. 4 or more also tell how sure each cell is.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=False,  # a new seed at every run would ask the model for everything again
                    tooltip="Seed of the noise. Another seed gives another sample of the same answer, and the model is asked "
                    "again.",
                ),
                *shared("start", "end"),
                quantity.reading(
                    "evidence",
                    "What the map shows. evidence: for (red) or against (blue) the target, in nats (2.3 nats: ten times as "
                    "likely). information: where the two differ at all, the most reliable map. absolute: the same, as in "
                    "DiffEdit. difference: the size of the summed difference. combined: information and evidence together, "
                    "without a sign.",
                ),
                quantity.weighting(
                    "information",
                    "How much a step counts. information: by its share of the log SNR axis (the logarithm of the "
                    "signal-to-noise ratio), so that evidence is in nats. uniform: every step the same.",
                    ("information", "uniform"),
                ),
                *shared("colour_map", "opacity", "background", "interpolation", "percentile"),
                io.Boolean.Input("legend", default=True, tooltip="On: a legend below the overlay. Off: the overlay alone."),
                io.String.Input(
                    "target_label",
                    default="",
                    tooltip="What the legend calls the target. Empty: the words that only this prompt has, such as zebra in a "
                    "photo of a zebra, or 'no words at all' for an empty prompt.",
                ),
                io.String.Input(
                    "contrast_label",
                    default="",
                    tooltip="What the legend calls the contrast. Empty: the words that only this prompt has, or 'anything' for "
                    "an empty prompt.",
                ),
                io.Boolean.Input(
                    "ask_no_words",
                    default=True,
                    optional=True,
                    tooltip="On: the model is also asked without words, at 6 steps at most, so that verdict and legend can say "
                    "that both prompts, or neither of them, describe the picture better than no words at all.",
                ),
                quality(
                    "exact",
                    "How much the model is asked about both prompts. exact: all steps and samples (20 steps and 4 samples: 160 "
                    "evaluations). settled: until other steps would hardly change map and verdict, mostly about 20 to 28 "
                    "evaluations. quick: about 12 evaluations, enough for a look. More later asks only for what is new.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="overlay", tooltip="The heatmap over the picture, with the legend if it is on."),
                io.Image.Output(display_name="heatmap", tooltip="The colours alone, opaque, at the picture's size."),
                io.Mask.Output(
                    display_name="mask_for",
                    tooltip="What speaks for the target: 0 nothing, 1 full colour, at the picture's size. For readings without a "
                    "sign: where the prompts differ.",
                ),
                io.Mask.Output(
                    display_name="mask_against",
                    tooltip="What speaks for the contrast; 0 everywhere if the reading has no sign.",
                ),
                io.Image.Output(
                    display_name="decoded",
                    tooltip="The summed difference, decoded by the VAE: what would have to be added to make the picture more "
                    "like the target. Grey means no change. A hint, not a picture.",
                ),
                io.String.Output(display_name="verdict", tooltip="Which prompt the model prefers, and how surely, in words."),
                types.NoisePredictions.Output(
                    display_name="predictions",
                    tooltip="The noise predictions, for Explorer, Step Range Sheet, Step Animation, Label Verdict and others.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    def validate_inputs(cls, start: list[int] | None = None, end: list[int] | None = None) -> bool | str:
        """Refuse an empty range before anything runs."""
        return step_range.check(*(None if value is None else only("range", value) for value in (start, end)))

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Expand at every run: only so does ComfyUI reach the part that shows the overlay. What did not change stays cached."""
        return float("nan")  # a new one each time: the very same would be equal to itself

    @classmethod
    def execute(cls, **values: list[Any]) -> io.NodeOutput:
        check(**{name: only(name, value) for name, value in values.items()})
        # links stay links: only what comes by a link can be found in ComfyUI's cache
        graph, node = cls.hidden.dynprompt, cls.hidden.unique_id
        given = graph.get_node(node)["inputs"]
        asks = {"quality": "exact", **given, "ask_no_words": only("ask_no_words", values.get("ask_no_words", [True]))}
        opened, outputs = open_graph(asks, used_outputs(graph, node))
        return io.NodeOutput(*outputs, expand=opened.finalize())


def only(name: str, values: list[Any]) -> Any:
    """The one value of an input.

    ComfyUI runs a node once for each value of a list, but confuses the results of several expansions.

    Raises:
        ValueError: a list of several.
    """
    if len(values) != 1:
        raise ValueError(
            f"A list of {len(values)} came in for {name}; expected one value. Several pictures of one size can come as a batch "
            "(Batch Images); for lists take the single nodes, as in the blueprint Explain Image (open graph)."
        )
    return values[0]


def check(
    clip: CLIP | None,
    vae: VAE | None,
    image: torch.Tensor,
    steps: int,
    start: int,
    end: int,
    reading: str,
    colour_map: str,
    **_: Any,
) -> None:
    """Refuse, with the names of this node's inputs, what one of its parts would refuse later.

    Raises:
        ValueError: a missing CLIP or VAE, a picture too small to encode, a range past the schedule, an unsuitable colour map.
    """
    check_sources(clip, vae, image)
    check_range(start, step_range.stop(end), steps)
    colour_map_name(colour_map, signed=reading == "evidence")
