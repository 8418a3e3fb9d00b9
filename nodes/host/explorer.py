"""The explorer's files in ComfyUI's temp folder, from where its page reads them by `/view`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import get_args

import folder_paths
import torch
from comfy.model_management import throw_exception_if_processing_interrupted

from ..maths.difference import Reading
from ..maths.explorer import digest, overview, parts
from ..maths.overlay import to_image
from ..maths.prediction import NoisePredictions

FOLDER = "sdexplain"
MOST_FOLDERS = 8  # of different content; older ones are removed, and their pages ask to run again


def publish(predictions: NoisePredictions, pictures: torch.Tensor) -> str:
    """Write what the page needs for pictures [B,H,W,3], unless it is there; returns the subfolder of the temp folder.

    It has overview.bin, <reading>-<image>.bin and photo-<image>.png, and is named by its content.
    """
    name = digest(predictions, pictures)
    place = Path(folder_paths.get_temp_directory(), FOLDER, name)
    if not place.is_dir():
        _write(place, predictions, pictures)
    os.utime(place)
    _prune(place.parent)
    return f"{FOLDER}/{name}"


def _write(place: Path, predictions: NoisePredictions, pictures: torch.Tensor) -> None:
    beside = place.with_name(f"{place.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        (beside / "overview.bin").write_bytes(overview(predictions, pictures))
        for image, picture in enumerate(pictures):
            to_image(picture).save(beside / f"photo-{image}.png", compress_level=1)
            for reading in get_args(Reading):
                throw_exception_if_processing_interrupted()
                (beside / f"{reading}-{image}.bin").write_bytes(parts(predictions, reading, image))
        beside.rename(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _prune(folder: Path) -> None:
    for old in sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)[:-MOST_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
