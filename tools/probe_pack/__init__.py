"""Nodes that only the tests' own ComfyUI has: they make visible what a real server does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import ComfyExtension, io, ui

from .faults import ProbeFault, ProbeFullDisk, ProbeState
from .keeping import ProbeKeep
from .values import ProbeReport, ProbeValue


class ProbeSlow(io.ComfyNode):
    """Takes `steps` × 0.05 s, with progress, and can be cancelled after each step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("ProbeSlow", inputs=[io.Int.Input("steps", default=20)], outputs=[io.Int.Output()], is_output_node=True)

    @classmethod
    def execute(cls, steps: int) -> io.NodeOutput:
        bar = comfy.utils.ProgressBar(steps)
        for step in range(steps):
            comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(0.05)
            bar.update_absolute(step + 1, steps)
        return io.NodeOutput(steps, ui=ui.PreviewText(f"{steps} steps"))


class ProbeCountCalls(io.ComfyNode):
    """Passes a MODEL on and adds a line to `output/<file>` for every call of it: the size of the call's batch."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "ProbeCountCalls", inputs=[io.Model.Input("model"), io.String.Input("file")], outputs=[io.Model.Output()]
        )

    @classmethod
    def execute(cls, model: Any, file: str) -> io.NodeOutput:
        log = Path(folder_paths.get_output_directory()) / file

        counted = model.clone()

        def count(network: Any, arguments: tuple[Any, ...]) -> None:
            patcher = counted.model.current_patcher  # other MODELs share the network; clones of this one count as well
            while patcher not in (counted, None):
                patcher = patcher.parent
            if patcher:
                with log.open("a") as lines:
                    lines.write(f"{len(arguments[0])}\n")

        # no patch of the MODEL: a patched one is asked in other calls, and once more
        counted.model.diffusion_model.register_forward_pre_hook(count)
        return io.NodeOutput(counted)


async def comfy_entrypoint() -> ComfyExtension:
    class ProbeExtension(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            return [ProbeSlow, ProbeCountCalls, ProbeValue, ProbeReport, ProbeKeep, ProbeFault, ProbeFullDisk, ProbeState]

    return ProbeExtension()
