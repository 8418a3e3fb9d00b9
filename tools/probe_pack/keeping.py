"""Writes every input exactly to a file, to compare it with another run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from safetensors.torch import save_file
from torch import Tensor

from .values import collect


class ProbeKeep(io.ComfyNode):
    """Writes all values of a list to `output/<file>`: tensors as they are, what else there is as JSON in the metadata."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "ProbeKeep",
            inputs=[io.AnyType.Input("value"), io.String.Input("file")],
            outputs=[],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(cls, value: list[Any], file: list[str]) -> io.NodeOutput:
        path = Path(folder_paths.get_output_directory()) / file[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        found: list[tuple[str, Any]] = []
        collect(value, "", found)
        tensors = {name: part.detach().cpu().clone().contiguous() for name, part in found if isinstance(part, Tensor)}
        plain = {name: json.dumps(part) for name, part in found if not isinstance(part, Tensor)}
        save_file(tensors, path, plain)
        return io.NodeOutput()
