"""Save Noise Predictions: predictions as a file, to be used later or elsewhere."""

from __future__ import annotations

from typing import get_args

import comfy.model_management
import folder_paths
from comfy_api.latest import io, ui

from . import types
from .host.archives import new_archive
from .inputs.schema import schema
from .maths.files.archive import Precision, pack, write
from .maths.method.prediction import NoisePredictions


class SavePredictions(io.ComfyNode):
    """Writes a new file below ComfyUI's output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainSavePredictions",
            display_name="Save Noise Predictions",
            category="SDExplain",
            description="Saves noise predictions with everything that later nodes need, as a safetensors file below ComfyUI's "
            "output folder. Load Noise Predictions reads it later, without the model.",
            search_aliases=["export predictions", "store", "safetensors", "cache"],
            is_output_node=True,
            inputs=[
                types.NoisePredictions.Input("predictions", tooltip="From Collect Noise Predictions or Explain Image."),
                io.String.Input(
                    "filename_prefix",
                    default="predictions/SDExplain",
                    tooltip="The file's name below the output folder, with subfolders if wanted; a number is added, so nothing "
                    "is overwritten. %year%, %month%, %day%, %hour%, %minute% and %second% are filled in.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(get_args(Precision)),
                    default="float32",
                    tooltip="float32 keeps every bit, so the maps stay the same; predictions that were collected in float16 "
                    "stay in float16. float16 rounds the predictions and halves their size; with the bundled model this "
                    "changed maps by 0.2 % and the log-odds by 0.02 nats.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="file", tooltip="The new file as Load Noise Predictions lists it, ending in [output]."
                )
            ],
        )

    @classmethod
    def execute(cls, predictions: NoisePredictions, filename_prefix: str, precision: Precision) -> io.NodeOutput:
        content = pack(predictions, precision)
        path = new_archive(filename_prefix)
        comfy.model_management.throw_exception_if_processing_interrupted()
        write(path, content)
        name = f"{path.relative_to(folder_paths.get_output_directory()).as_posix()} [output]"
        return io.NodeOutput(name, ui=ui.PreviewText(f"{name}, {len(content) / 1e6:.1f} MB"))
