"""Comparison Sheet: the maps of one picture side by side, each on its own scale, and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from comfy_api.latest import io, ui

from . import types
from .inputs.schema import schema
from .maths.answers.comparison import Sign
from .maths.method.difference import NoiseDifference
from .maths.method.map import Map
from .maths.method.reading import as_map
from .maths.pictures.map_sheet import compare_all, map_sheet, parts, report

if TYPE_CHECKING:
    import torch


class ComparisonSheet(io.ComfyNode):
    """Compares each map with the first one, and draws the sheet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        def further(name: str) -> io.MultiType.Input:
            return io.MultiType.Input(name, types=types.MAPS, optional=True, tooltip="One more map of the same picture.")

        return schema(
            node_id="SDExplainMapSheet",
            display_name="Comparison Sheet",
            category="SDExplain",
            description="Puts the maps of one picture on one labelled sheet: each on its own stated scale, how far they agree "
            "with the first, and where they part. Where a classifier's map and the diffusion model's part, look twice.",
            search_aliases=["compare", "side by side", "agreement", "classifier against data", "shortcut", "audit"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The picture that all maps are of, or the batch."),
                io.MultiType.Input(
                    "first",
                    types=types.MAPS,
                    tooltip="The map that the others are compared with: the data's, from Sum Noise Difference.",
                ),
                io.MultiType.Input("second", types=types.MAPS, tooltip="Another map, such as a classifier's from Attribution."),
                further("third"),
                further("fourth"),
                io.String.Input(
                    "names",
                    default="",
                    multiline=True,
                    tooltip="What to call the maps, one name in each line. Empty: who made them.",
                ),
                io.Combo.Input(
                    "sign",
                    options=list(get_args(Sign)),
                    default="signed",
                    tooltip="Which values of a signed map count as a strong claim. signed: the most positive claims most, the "
                    "most negative least. magnitude: those far from 0. positive, negative: those of that side only.",
                ),
                io.Float.Input(
                    "share",
                    default=0.1,
                    min=0.001,
                    max=0.999,
                    step=0.001,
                    tooltip="This share of a map's places, those with the largest values, is what is compared and coloured.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="sheet", tooltip="One sheet for each picture."),
                io.String.Output(display_name="report", tooltip="What each map is, and all figures, as text."),
                io.Mask.Output(
                    display_name="first_alone",
                    tooltip="Where only the first map has its largest values: the data sees what the other misses.",
                ),
                io.Mask.Output(
                    display_name="second_alone",
                    tooltip="Where only the second map has its largest values: a classifier that looks here may use a shortcut.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        first: NoiseDifference | Map,
        second: NoiseDifference | Map,
        names: str,
        sign: Sign,
        share: float,
        third: NoiseDifference | Map | None = None,
        fourth: NoiseDifference | Map | None = None,
    ) -> io.NodeOutput:
        maps = [as_map(given) for given in (first, second, third, fourth) if given is not None]
        compared = compare_all(maps, names, sign, share)
        sheet = map_sheet(image, compared)
        return io.NodeOutput(sheet, report(compared), *parts(compared, image.shape[1:3]), ui=ui.PreviewImage(sheet, cls=cls))
