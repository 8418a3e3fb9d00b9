"""Load Noise Predictions: saved predictions, to be used as if they had just been made."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io, ui

from . import types
from .host.archives import find_archive, list_archives
from .inputs.schema import schema
from .maths.files.archive import describe, read


class LoadPredictions(io.ComfyNode):
    """Lists the files and reads the chosen one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainLoadPredictions",
            display_name="Load Noise Predictions",
            category="SDExplain",
            description="Loads what Save Noise Predictions wrote. You can then make ranges, readings, maps and sheets without "
            "the model and the prompts.",
            search_aliases=["import predictions", "safetensors", "cache"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=list(list_archives()),
                    tooltip="A .safetensors file below ComfyUI's input folder, or below its output folder, then marked "
                    "[output]. Press R to see new ones. Only files from Save Noise Predictions are accepted.",
                )
            ],
            outputs=[
                types.NoisePredictions.Output(
                    display_name="predictions",
                    tooltip="Both prompts' noise predictions, as from Collect Noise Predictions.",
                ),
                types.NoisedLatents.Output(
                    display_name="noised",
                    tooltip="The noised latents for which they were made, to predict other prompts with the same noise.",
                ),
                io.String.Output(
                    display_name="about",
                    tooltip="What the file holds, in words: labels, sizes, noise levels, and the fingerprints of model and "
                    "prompts.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a file that is not listed before anything runs, where its name is not linked."""
        if file is None:
            return True
        try:
            find_archive(file)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str) -> tuple[int, int]:
        """Changes with the file."""
        stat = find_archive(file).stat()
        return stat.st_size, stat.st_mtime_ns

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        predictions = read(find_archive(file))
        about, noised = describe(predictions), predictions.noised
        if noised.asked is not None:  # these predictions were asked at some steps; others can be asked at all of them
            noised = replace(noised, asked=None)
        return io.NodeOutput(predictions, noised, about, ui=ui.PreviewText(about))
