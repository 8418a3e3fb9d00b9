"""Compare Maps: how well a map agrees with a mask, or with another map."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, get_args

import torch
from comfy_api.latest import io, ui

from . import types
from .inputs.schema import schema
from .inputs.shared import shared
from .maths.answers.comparison import Sign, compare
from .maths.method.difference import NoiseDifference
from .maths.method.map import Map
from .maths.method.reading import as_map
from .maths.method.scalar import Scalar
from .maths.pictures.comparison_sheet import agreement_sheet, report

if TYPE_CHECKING:
    from comfy.sd import VAE


class CompareMaps(io.ComfyNode):
    """Measures, writes the figures down, and shows them with a picture on the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainAgreement",
            display_name="Compare Maps",
            category="SDExplain",
            description="Measures how well a map agrees with a mask (does it find what it should?) or with another map (do two "
            "seeds, ranges or models say the same?), and shows where. The model is not asked again.",
            search_aliases=["metrics", "AUROC", "IoU", "pointing game", "Spearman", "evaluate", "mask"],
            is_output_node=True,
            inputs=[
                io.MultiType.Input(
                    "first", types=types.MAPS, tooltip="The map to measure, from Sum Noise Difference or Attribution."
                ),
                io.MultiType.Input(
                    "second",
                    types=[*types.MAPS, io.Mask],
                    tooltip="What the first map is compared with: another map from Sum Noise Difference or Attribution, or a "
                    "mask of the picture's size. A mask is true where it is 0.5 or more. (Example Picture gives a mask of the "
                    "pixels that differ from the twin.)",
                ),
                *shared("scalar"),
                io.Combo.Input(
                    "sign",
                    options=list(get_args(Sign)),
                    default="magnitude",
                    tooltip="Which values of a signed map count as a strong claim. magnitude: those far from 0 on either side. "
                    "positive, negative: those of that side only. signed: the most positive claims most, the most negative "
                    "least; take it to compare two signed maps. Unsigned maps are taken as they are.",
                ),
                io.Float.Input(
                    "share",
                    default=0.1,
                    min=0.001,
                    max=0.999,
                    step=0.001,
                    tooltip="Only where second is a map: this share of its places, those with the largest values, counts as "
                    "true. Not used for Spearman, and not with a mask.",
                ),
                io.Image.Input("image", optional=True, tooltip="The picture that was encoded, to draw the maps on."),
                io.Mask.Input(
                    "inside",
                    optional=True,
                    tooltip="Measure only where this mask is 0.5 or more, for example inside the object; then a map gets no "
                    "credit for finding the object. Without it the whole picture counts.",
                ),
                io.Vae.Input("vae", optional=True, tooltip="The model's VAE; needed only for the scalar decoded luminance."),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="All figures of each image, and their mean, as text."),
                io.Image.Output(
                    display_name="picture",
                    tooltip="For each image the map with what is true outlined, where they agree in three colours, and the "
                    "figures.",
                ),
                io.Float.Output(
                    display_name="auroc",
                    tooltip="How often a true place has a larger value than another place: 1 always, 0.5 by chance. Like all "
                    "figures, it is the mean over the images. It is not a number (nan) where it has no meaning; the report "
                    "says why.",
                ),
                io.Float.Output(
                    display_name="average_precision",
                    tooltip="Precision over all thresholds: 1 is perfect; by chance it is the share of true places.",
                ),
                io.Float.Output(
                    display_name="iou",
                    tooltip="How far the k largest values and the k true places overlap (intersection over union): 0 not at "
                    "all, 1 they are the same.",
                ),
                io.Float.Output(
                    display_name="pointing",
                    tooltip="Whether the largest value lies on a true place (of a mask: within half a latent cell of one): 1 "
                    "yes, 0 no.",
                ),
                io.Float.Output(
                    display_name="relevance_mass",
                    tooltip="The share of the sum of the positive values that lies on true places, 0 to 1.",
                ),
                io.Float.Output(
                    display_name="spearman",
                    tooltip="Rank correlation of all places: 1 the same order, 0 no order in common, -1 the opposite order.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        first: NoiseDifference | Map,
        second: NoiseDifference | Map | torch.Tensor,
        scalar: Scalar,
        sign: Sign,
        share: float,
        image: torch.Tensor | None = None,
        inside: torch.Tensor | None = None,
        vae: VAE | None = None,
    ) -> io.NodeOutput:
        decode = vae and vae.decode
        other = second if isinstance(second, torch.Tensor) else as_map(second, scalar, decode)
        comparison = compare(as_map(first, scalar, decode), other, sign, share, inside)
        text, picture = report(comparison), agreement_sheet(comparison, image)
        return io.NodeOutput(text, picture, *astuple(comparison.mean), ui=ui.PreviewImage(picture, cls=cls))
