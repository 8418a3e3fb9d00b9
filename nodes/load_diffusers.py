"""Load Diffusers Model: a pipeline folder, or the model that this pack brings along, as MODEL, CLIP and VAE."""

from __future__ import annotations

import folder_paths
from comfy_api.latest import io

from .host.loading.diffusers_folder import load_pipeline
from .host.loading.folders import BUNDLED, find_folder, fingerprint, pipeline_folders
from .inputs.schema import schema


class LoadDiffusers(io.ComfyNode):
    """Lists the folders and passes the chosen one on to the loader."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainLoadDiffusers",
            display_name="Load Diffusers Model",
            category="SDExplain",
            description="Loads the bundled model, a Stable Diffusion 1.x or 2.x pipeline of any size, or a model with classes "
            "instead of prompts (DDPM's UNet2DModel, DiT), which diffusers runs.",
            search_aliases=[
                "diffusers loader",
                "load pipeline",
                "bundled model",
                "Stable Diffusion 1.5",
                "DiT",
                "DDPM",
                "class label",
            ],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=list(pipeline_folders()),
                    default=BUNDLED,
                    tooltip="The bundled model knows only this pack's drawn pictures (horse, zebra, mouse, rat, sports "
                    "car, taxi). The others are folders with a model_index.json below ComfyUI's models/diffusers. Only "
                    ".safetensors weights are loaded. DDPM and DiT need diffusers: pip install diffusers.",
                )
            ],
            outputs=[
                io.Model.Output(tooltip="The network with the noise schedule of the folder's scheduler, for any MODEL input."),
                io.Clip.Output(
                    tooltip="The text encoder with the folder's own tokenizer, for CLIP Text Encode. For a model with classes, "
                    "a prompt is the name or the number of a class, or a sentence that has one in it; the empty prompt means "
                    "any class."
                ),
                io.Vae.Output(
                    tooltip="From pictures to latents and back. A latent cell of the bundled model is 8 pixels wide. For a "
                    "model that works on pixels this VAE changes nothing."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str) -> str:
        return fingerprint(find_folder(folder))

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        return io.NodeOutput(*load_pipeline(find_folder(folder), folder_paths.get_folder_paths("embeddings")))
