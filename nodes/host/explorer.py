"""The explorer's files in ComfyUI's temp folder, from where its page reads them by `/view`."""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from uuid import uuid4

import folder_paths
import torch
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy_execution.utils import get_executing_context

from ..maths.files.explorer import Decoder, digest, overview, parts
from ..maths.images import decode_pictures, to_image
from ..maths.method.difference import NoiseDifference, Reading, Weighting
from ..maths.method.prediction import NoisePredictions
from . import fingerprint

if TYPE_CHECKING:
    from comfy.sd import VAE
    from PIL import Image

FOLDER = "sdexplain"
DECODED = "decoded-"
MOST_BYTES = 2 << 30  # of all runs together; beyond that the oldest go, and their pages ask to run again

_written: defaultdict[str, dict[str, None]] = defaultdict(dict)  # node -> the folders that its page knows of, the newest last
_vanished: Counter[str] = Counter()  # node -> how many of them were found to be gone
_in_use: dict[str, set[str]] = {}  # the prompt that is under way -> the folders of its nodes
_live: defaultdict[str, list[str]] = defaultdict(list)  # node -> the folders of a run that its page follows, the newest last


def publish(
    predictions: NoisePredictions, pictures: torch.Tensor, vae: VAE | None = None, weighting: Weighting = "information"
) -> str:
    """Write what the page needs for pictures [B,H,W,3], unless it is there; returns the subfolder of the temp folder.

    It has overview.safetensors, <reading>-<image>.safetensors and photo-<image>.png, and is named by its content. With a VAE the
    page gets its colours, learned from sums that are weighted like this.
    """
    name = digest(predictions, pictures, *([] if vae is None else [fingerprint.of_vae(vae), weighting]))
    place = _folder() / name
    if not place.is_dir():
        with _disk():
            _write(place, predictions, pictures, None if vae is None else (weighting, vae.decode))
    node = executing()[1]
    _written[node].pop(name, None)
    _written[node][name] = None
    _use(name)
    return f"{FOLDER}/{name}"


def publish_run(
    predictions: NoisePredictions,
    pictures: torch.Tensor,
    signed: NoiseDifference,
    change: torch.Tensor,
    sample: int,
    vae: VAE | None,
) -> dict[str, Any]:
    """Write what the page needs for a run of the node; returns where that is, in the words of `/view`.

    With a VAE it decodes what the run has summed, the latents `change` of the difference `signed`, of one sample or of all (0).
    """
    folder = publish(predictions, pictures, vae, signed.weighting)
    name = f"{signed.start}-{signed.end}-{signed.weighting}-{sample}"
    decoded = [] if vae is None else publish_decoded(folder, name, vae, change)
    return {"subfolder": folder, "type": "temp", "decoded": decoded}


def publish_decoded(subfolder: str, name: str, vae: VAE, latents: torch.Tensor) -> list[str]:
    """Write the VAE's pictures of VAE-space latents as decoded-<name>-<image>.png beside the others, unless they are there.

    Returns the names of all that the folder has by now: the page can show each of them without asking the VAE again.
    """
    place = _folder() / Path(subfolder).name
    files = [place / f"{DECODED}{name}-{image}.png" for image in range(len(latents))]
    if not all(file.is_file() for file in files):
        for file, picture in zip(files, decode_pictures(vae.decode, latents), strict=True):
            with _disk():
                _save(file, to_image(picture.clamp(0, 1)))
    return sorted({file.stem[len(DECODED) :].rpartition("-")[0] for file in place.glob(f"{DECODED}*.png")})


def publish_live(node: str, predictions: NoisePredictions, pictures: torch.Tensor, reading: Reading) -> str:
    """Write a reading of what is known so far, for the page of a node that has not run yet; returns the subfolder.

    What it was given before goes, but for the last, which the page may still be reading.
    """
    name, before = f"live-{uuid4().hex}", _live[node]
    with _disk():
        _write(_folder() / name, predictions, pictures, None, (reading,), photos_of=before[-1] if before else None)
    _remove_live(node, before[:-1])
    _live[node].append(name)
    return f"{FOLDER}/{name}"


def forget_live(node: str) -> None:
    """Remove what the page of a node was given of an earlier run while that was under way."""
    _remove_live(node, list(_live[node]))


def _remove_live(node: str, names: list[str]) -> None:
    for name in names:
        shutil.rmtree(_folder() / name, ignore_errors=True)
        _live[node].remove(name)


def make_room() -> dict[str, int]:
    """Remove the oldest folders beyond `MOST_BYTES`, but none of the prompt that is under way; tells the page how many."""
    total, removed = 0, 0
    for entry in sorted(_folder().iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True):
        total += sum(file.stat().st_size for file in entry.iterdir())
        if total > MOST_BYTES and entry.name not in _in_use.get(executing()[0], ()):
            shutil.rmtree(entry, ignore_errors=True)
            removed += 1
    return {"removed": removed}


def vanished() -> int:
    """How many files of the executing node were found to be missing: it must run again. Those that it has are in use."""
    node = executing()[1]
    gone = [name for name in _written[node] if not (_folder() / name).is_dir()]
    for name in gone:
        del _written[node][name]
    _vanished[node] += len(gone)
    if _written[node]:
        _use(next(reversed(_written[node])))
    return _vanished[node]


def executing() -> tuple[str, str]:
    """The prompt that is under way, and its node."""
    context = get_executing_context()
    return ("", "") if context is None else (context.prompt_id, context.node_id)


def _use(name: str) -> None:
    """Keep a folder while this prompt is under way, and count it as new."""
    prompt = executing()[0]
    if prompt not in _in_use:
        _in_use.clear()
    _in_use.setdefault(prompt, set()).add(name)
    os.utime(_folder() / name)


def _folder() -> Path:
    return Path(folder_paths.get_temp_directory(), FOLDER)


def _write(
    place: Path,
    predictions: NoisePredictions,
    pictures: torch.Tensor,
    decoder: Decoder | None,
    readings: Sequence[Reading] = get_args(Reading),
    photos_of: str | None = None,
) -> None:
    beside = place.with_name(f"{place.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        (beside / "overview.safetensors").write_bytes(overview(predictions, pictures, decoder))
        for image, picture in enumerate(pictures):
            photo = f"photo-{image}.png"
            if photos_of is None:
                to_image(picture).save(beside / photo, compress_level=1)
            else:
                shutil.copyfile(place.with_name(photos_of) / photo, beside / photo)
            for reading in readings:
                throw_exception_if_processing_interrupted()
                (beside / f"{reading}-{image}.safetensors").write_bytes(parts(predictions, reading, image))
        beside.rename(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _save(file: Path, picture: Image.Image) -> None:
    beside = file.with_name(f"{file.name}.part")
    try:
        picture.save(beside, "PNG", compress_level=1)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _disk() -> Iterator[None]:
    """Say in words what a disk has refused; what writes takes care that nothing is half there.

    Raises:
        OSError: as above.
    """
    try:
        yield
    except OSError as error:
        raise OSError(
            f"The explorer's files could not be written ({error.strerror or error}). Make room on the disk of ComfyUI's temp "
            f"folder {folder_paths.get_temp_directory()} and run again."
        ) from error
