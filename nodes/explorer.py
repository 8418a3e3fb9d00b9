"""Explorer: drag through the steps on the node itself and watch the explanation change."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from comfy_api.latest import io

from . import types
from .host import explorer, live
from .inputs import appearance, quantity, step_range
from .inputs.schema import schema
from .inputs.shared import collect, shared
from .maths.files.explorer import SCALARS, one_sample
from .maths.images import match_pictures
from .maths.method.choices import Quantity, Scaling
from .maths.method.difference import Reading, latent, sum_steps
from .maths.method.heatmap import Show, make_heatmap
from .maths.method.prediction import NoisePredictions
from .maths.method.reading import read_map
from .maths.pictures.drawing import draw_heatmap
from .maths.pictures.overlay import Appearance

if TYPE_CHECKING:
    import torch
    from comfy.sd import VAE

View = Literal["overlay", "heatmap", "side by side", "swipe", "decoded"]
Paper = Literal["white", "dark", "transparent"]
PAGE_ONLY = ("view", "shown_image", "selection", "contour", "paper")
"""Inputs that say what the page shows, and nothing of the outputs."""


class Explorer(io.ComfyNode):
    """Gives the page every step's readings, and computes the outputs from the view that it has set."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainExplore",
            display_name="Explorer",
            category="SDExplain",
            description="Drag through the steps, on the node itself, and watch the heatmap change: range, reading, colours and "
            "more, without asking the model again. What you see is what the outputs give at the next run.",
            search_aliases=["heatmap", "saliency", "attribution", "explain", "interactive", "mask"],
            has_intermediate_output=True,
            advanced=appearance.ADVANCED,
            is_output_node=True,
            inputs=[
                *shared("image"),
                types.NoisePredictions.Input(
                    "predictions", tooltip="From Collect Noise Predictions or Explain Image.", lazy=True
                ),
                *shared("start", "end"),
                quantity.reading(
                    "evidence",
                    "What is summed. evidence: for (+) or against (−) the target. information, absolute, combined: where "
                    "the predictions differ at all. difference: the signed difference itself, where opposite signs cancel.",
                ),
                quantity.weighting(
                    "information",
                    "How much a step counts. information: by its share of the log SNR axis (the logarithm of the "
                    "signal-to-noise ratio), so that evidence is in nats. uniform: every step the same.",
                ),
                io.Combo.Input(
                    "scalar",
                    options=list(SCALARS),
                    default="channel norm",
                    tooltip="Only for the reading difference. channel norm: how much, without a sign. channel mean: signed, mean "
                    "over the latent's channels; the sign is brightness or texture, not for or against.",
                ),
                io.Combo.Input(
                    "sign",
                    options=list(get_args(Show)),
                    default="both",
                    tooltip="Which side of a signed map is shown, on the same scale. both is neutral.",
                ),
                *shared("colour_map", "opacity", "background", "interpolation", "percentile"),
                io.Float.Input(
                    "scale",
                    default=0.0,
                    min=0.0,
                    max=1e9,
                    step=0.001,
                    tooltip="The value of the full colour, in the legend's unit. 0 takes it from each image's map by the "
                    "percentile.",
                ),
                *shared("reliability", "threshold"),
                io.Combo.Input(
                    "view",
                    options=list(get_args(View)),
                    default="overlay",
                    tooltip="How the page shows the map; no effect on the outputs. decoded: the colours that the sum adds. The "
                    "VAE decodes them if one is connected; otherwise they are estimated from the picture's own latent.",
                ),
                io.Int.Input(
                    "sample",
                    default=0,
                    min=0,
                    max=9999,
                    tooltip="0: the mean over the noise samples. 1 and more: that sample alone, whose cells have no standard "
                    "error.",
                ),
                io.Int.Input(
                    "shown_image",
                    default=1,
                    min=1,
                    max=9999,
                    tooltip="Which image of a batch the page shows; the outputs have all.",
                ),
                io.String.Input(
                    "selection",
                    default="",
                    tooltip="What is pinned on the page, in latent cells: column,row of a cell, or left,top,right,bottom of a "
                    "box. No effect on the outputs.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The model's VAE, for the view decoded. At each run it decodes the sum of the range; for other "
                    "ranges the colours are estimated from that. No effect on the outputs.",
                ),
                types.NoisePredictions.Input(
                    "second_predictions",
                    optional=True,
                    lazy=True,
                    tooltip="A second map to see beside the first, with the same settings, one scale and linked cursors: other "
                    "prompts, another model or another picture. No effect on the outputs.",
                ),
                io.Image.Input(
                    "second_image",
                    optional=True,
                    tooltip="The picture of the second predictions, if it is another one. No effect on the outputs.",
                ),
                io.Float.Input(
                    "contour",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    tooltip="Draws a line where the map reaches this share of the full colour, dashed on the negative side. 0 "
                    "draws none. No effect on the outputs.",
                ),
                io.Combo.Input(
                    "paper",
                    options=list(get_args(Paper)),
                    default="white",
                    optional=True,
                    tooltip="What lies behind the legend of a picture that the page saves. No effect on the outputs.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="overlay", tooltip="The heatmap over the picture, with its legend."),
                io.Image.Output(display_name="heatmap", tooltip="The colours alone, opaque, at the picture's size."),
                io.Mask.Output(
                    display_name="mask_for",
                    tooltip="Values above 0, divided by the scale: 0 no difference, 1 full colour. Not affected by sign and "
                    "opacity.",
                ),
                io.Mask.Output(
                    display_name="mask_against", tooltip="The same for values below 0; 0 everywhere if the map has no sign."
                ),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The summed difference, target minus contrast, for VAE Decode. It is not the latent of a picture: "
                    "its colours are a hint only.",
                ),
            ],
            hidden=[io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(cls, start: int | None = None, end: int | None = None) -> bool | str:
        """Refuse an empty range before anything runs."""
        return step_range.check(start, end)

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> int:
        """Run again where the page's files are gone, although no input has changed."""
        return explorer.vanished()

    @classmethod
    def check_lazy_status(cls, image: torch.Tensor, reading: Reading, **given: Any) -> list[str]:
        """Ask for the predictions once the picture is there: only so can the page follow how they are made."""
        missing = [name for name in ("predictions", "second_predictions") if given.get(name, "not linked") is None]
        if "predictions" in missing:
            live.wait(image, reading, cls.hidden.extra_pnginfo)
        return missing

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        predictions: NoisePredictions,
        sign: Show,
        sample: int,
        vae: VAE | None = None,
        second_predictions: NoisePredictions | None = None,
        second_image: torch.Tensor | None = None,
        **given: Any,
    ) -> io.NodeOutput:
        given = {name: value for name, value in given.items() if name not in PAGE_ONLY}
        steps, chosen, scaling, drawn = collect(given, step_range.StepRange, Quantity, Scaling, Appearance)
        x0, pictures = predictions.noised.x0, pictures_of(predictions, image)
        readings: tuple[Reading, ...] = (chosen.reading, "difference")
        shown = one_sample(predictions, sample - 1) if sample else predictions
        summed, signed = (sum_steps(shown, steps.start, steps.stop, reading, chosen.weighting) for reading in readings)
        heatmap = make_heatmap(read_map(summed, chosen.scalar), **asdict(replace(scaling, shared=False)))
        outputs = draw_heatmap(pictures, heatmap, sign, drawn)
        change = latent(signed, x0, "target - contrast", "difference alone")
        page = explorer.publish_run(predictions, pictures, signed, change, sample, vae)
        if second_predictions is not None:
            second = pictures_of(second_predictions, image if second_image is None else second_image)
            page["second"] = explorer.publish(second_predictions, second, vae, chosen.weighting)
        return io.NodeOutput(*outputs, {"samples": change}, ui={"sdexplain": [page | explorer.make_room()]})


def pictures_of(predictions: NoisePredictions, image: torch.Tensor) -> torch.Tensor:
    """The image's pictures, one for each that was predicted."""
    noised = predictions.noised
    return match_pictures(image, noised.images, tuple(noised.x0.shape[2:]), noised.downscale)
