"""The model folders that a person can choose from: the bundled model, and pipelines below ComfyUI's `diffusers`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import folder_paths

from .diffusers_denoiser import is_denoiser

BUNDLED = "bundled model"
BUNDLED_FOLDER = Path(__file__).resolve().parents[3] / "bundled" / "model"


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
    except ValueError:  # while folders are listed, a file that can't be read is skipped
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
            f"The bundled model is not there: {BUNDLED_FOLDER} has no model_index.json. Make it with `python dev.py "
            "run training.train` in the folder of this pack, or choose a pipeline folder below ComfyUI's models/diffusers."
        )
    return folders[name]


def fingerprint(folder: Path) -> str:
    """Return a digest that changes when a file of the folder does, by name, size and time."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()
