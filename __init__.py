"""SDExplain: see which parts of a picture make a diffusion model tell one prompt from another, as ComfyUI nodes.

Importing this package needs neither ComfyUI nor torch: ComfyUI calls `comfy_entrypoint`, and only that imports the
nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./js"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> ComfyExtension:
    """The extension that ComfyUI asks for the node classes."""
    from comfy_api.latest import ComfyExtension, io

    class SDExplainExtension(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            from .nodes.animation import StepAnimation
            from .nodes.attribution import Attribution
            from .nodes.comparison import CompareMaps
            from .nodes.difference import SumDifference
            from .nodes.example_picture import ExamplePicture
            from .nodes.explain import ExplainImage
            from .nodes.explorer import Explorer
            from .nodes.faithfulness import Faithfulness
            from .nodes.heatmap import HeatmapOverlay
            from .nodes.inputs.checks import checked
            from .nodes.load_classifier import LoadClassifier
            from .nodes.load_diffusers import LoadDiffusers
            from .nodes.load_predictions import LoadPredictions
            from .nodes.map_sheet import ComparisonSheet
            from .nodes.noising import NoiseLatent
            from .nodes.prediction import PredictNoise
            from .nodes.rivals import RivalLabels
            from .nodes.sanity import SanityCheck
            from .nodes.save_predictions import SavePredictions
            from .nodes.sheet import StepSheet
            from .nodes.verdict import LabelVerdict

            # in the order of the data
            nodes = [
                ExamplePicture,
                LoadDiffusers,
                ExplainImage,
                NoiseLatent,
                PredictNoise,
                RivalLabels,
                SavePredictions,
                LoadPredictions,
                SumDifference,
                HeatmapOverlay,
                Explorer,
                StepSheet,
                StepAnimation,
                SanityCheck,
                LabelVerdict,
                CompareMaps,
                LoadClassifier,
                Attribution,
                Faithfulness,
                ComparisonSheet,
            ]
            return [checked(node) for node in nodes]

    return SDExplainExtension()
