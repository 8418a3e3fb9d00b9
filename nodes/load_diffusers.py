"""Load Diffusers Model: a pipeline folder, or the model that this pack brings along, as MODEL, CLIP and VAE."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from .host.diffusers_denoiser import is_denoiser
from .host.diffusers_folder import load_pipeline
from .host.schema import schema

BUNDLED = "bundled model"
BUNDLED_FOLDER = Path(__file__).resolve().parent.parent / "demo" / "model"


def pipeline_folders() -> dict[str, Path]:
    """Return the bundled model's folder, then the folders of pipelines and of denoisers below ComfyUI's `diffusers`, by name."""
    folders = {BUNDLED: BUNDLED_FOLDER}
    for base in folder_paths.get_folder_paths("diffusers"):
        for root, subfolders, files in os.walk(base, followlinks=True):
            subfolders.sort()
            if "model_index.json" in files or _is_lone_denoiser(Path(root), files):
                subfolders.clear()  # they are the pipeline's own parts
                folders.setdefault(Path(root).relative_to(base).as_posix(), Path(root))
    return folders


def _is_lone_denoiser(folder: Path, files: list[str]) -> bool:
    try:
        return "config.json" in files and is_denoiser(folder)
    except ValueError:  # a file that can't be read is nobody's concern while the folders are listed
        return False


def find_folder(name: str) -> Path:
    """Return the path of a listed pipeline folder; a ValueError for any other, so that no path outside is read."""
    folders = pipeline_folders()
    if name not in folders:
        raise ValueError(
            f"There is no pipeline folder {name!r}: expected one of {', '.join(folders)}. A pipeline folder lies below "
            "ComfyUI's models/diffusers and contains a model_index.json, or is a UNet2DModel's own; press R to list new ones."
        )
    if name == BUNDLED and not (BUNDLED_FOLDER / "model_index.json").is_file():
        raise ValueError(
            f"The bundled model is not there: {BUNDLED_FOLDER} has no model_index.json. Make it with `python "
            "demo/train.py` in the folder of this pack, or choose a pipeline folder below ComfyUI's models/diffusers."
        )
    return folders[name]


def fingerprint(folder: Path) -> str:
    """Return a digest that changes when a file of the folder does, by name, size and time."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()


class LoadDiffusers(io.ComfyNode):
    """Lists the folders and passes the chosen one on to the loader."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainLoadDiffusers",
            display_name="Load Diffusers Model",
            category="SDExplain",
            description="Loads the bundled model, a Stable Diffusion 1.x or 2.x pipeline of any size, or a model with classes instead of "
            "prompts (DDPM's UNet2DModel, DiT), which diffusers runs.",
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
                io.Model.Output(
                    tooltip="The network with the noise schedule of the folder's scheduler, for any MODEL input."
                ),
                io.Clip.Output(
                    tooltip="The text encoder with the folder's own tokenizer, for CLIP Text Encode. Of a model with classes: a prompt is "
                    "the name or the number of a class, or a sentence with one in it; the empty prompt is any class."
                ),
                io.Vae.Output(
                    tooltip="From pictures to latents and back. A latent cell of the bundled model is 8 pixels wide; for a model of "
                    "pixels nothing changes."
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str) -> str:
        return fingerprint(find_folder(folder))

    @classmethod
    def execute(cls, folder: str) -> io.NodeOutput:
        return io.NodeOutput(*load_pipeline(find_folder(folder), folder_paths.get_folder_paths("embeddings")))
