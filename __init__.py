"""SDExplain: see which parts of a picture make a diffusion model tell one prompt from another, as ComfyUI nodes.

Importing this package needs neither ComfyUI nor torch: ComfyUI calls `comfy_entrypoint`, and only that imports the nodes.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

__all__ = ["comfy_entrypoint"]

# In the order in which the data flows.
NODES = (
    ("example_picture", "ExamplePicture"),
    ("load_diffusers", "LoadDiffusers"),
    ("noising", "NoiseLatent"),
    ("prediction", "PredictNoise"),
    ("difference", "SumDifference"),
    ("heatmap", "HeatmapOverlay"),
    ("sheet", "StepSheet"),
)


async def comfy_entrypoint() -> ComfyExtension:
    """The extension that ComfyUI asks for the list of node classes."""
    from comfy_api.latest import ComfyExtension, io

    class SDExplainExtension(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            present = [(file, name) for file, name in NODES if util.find_spec(f".nodes.{file}", __package__)]
            return [getattr(import_module(f".nodes.{file}", __package__), name) for file, name in present]

    return SDExplainExtension()
