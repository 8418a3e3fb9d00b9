"""Noise predictions as a file: safetensors, with a version and a checksum, so that a changed file is noticed.

The tensors of `NoisedLatents` stand under "noised." and their names, both predictions under "target" and "contrast". The
metadata tells people and other programs what the file is: labels, noise levels, their log SNR, and the fingerprints of
the model and both prompts; the checksum covers all of it and every tensor.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as files
from torch import Tensor

from ..method.cases import Cases
from ..method.familiarity import measure
from ..method.noising import NoisedLatents
from ..method.own_pictures import OwnPictures
from ..method.prediction import NoisePredictions, Precision
from ..wording import asked_words, quoted

FORMAT = "SDExplain noise predictions"
VERSION = 2
"""The newest that is read. Files are written as version 1, which older packs read too, unless only some steps were asked."""
NOISED = "noised."
CASES = ("target", "contrast", "target_error", "contrast_error")
"""The numbers of `Cases`; errors may be null."""
NAMES = {"single_frame": "framed"}
"""Fields of the noised latents that are called otherwise in files, where a name never changes."""
AGAIN = "Copy the file again from where it came from, or save the predictions anew with Save Noise Predictions."


def pack(predictions: NoisePredictions, precision: Precision = "float32") -> bytes:
    """A file's content. "float32" loses nothing, and what was kept in float16 stays in float16; "float16" rounds the
    predictions, and only them, to 11 significant bits.

    While it is made, it needs as much memory as the file once more.

    Raises:
        ValueError: an unknown precision, or predictions that are too large for float16.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"The precision is {precision!r}; expected one of {', '.join(get_args(Precision))}.")
    noised = {NAMES.get(field.name, field.name): getattr(predictions.noised, field.name) for field in fields(NoisedLatents)}
    asked = noised.pop("asked")
    tensors = {NOISED + name: value for name, value in noised.items() if isinstance(value, Tensor)}
    tensors |= {name: _rounded(getattr(predictions, name), precision) for name in ("target", "contrast")}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if tensors["target"].untyped_storage().data_ptr() == tensors["contrast"].untyped_storage().data_ptr():
        # two prompts of the same content share one array, which safetensors does not write twice
        tensors["contrast"] = tensors["contrast"].clone()
    metadata = {
        "format": FORMAT,
        "version": "1" if predictions.noised.asked is None else "2",
        "labels": json.dumps({"target": predictions.target_label, "contrast": predictions.contrast_label}),
        "fingerprints": json.dumps(predictions.fingerprints),
        **({"unseen": predictions.unseen} if predictions.unseen else {}),
        **({} if asked is None else {"asked": json.dumps(asked)}),
        **({} if predictions.own_pictures is None else {"own_pictures": json.dumps(asdict(predictions.own_pictures))}),
        **({} if predictions.temperature is None else {"temperature": json.dumps(predictions.temperature)}),
        **({} if predictions.cases is None else {"cases": json.dumps(_as_lists(predictions.cases))}),
        "noised": json.dumps({name: value for name, value in noised.items() if not isinstance(value, Tensor)}),
        "sigmas": json.dumps(predictions.noised.sigmas.tolist()),
        "log_snr": json.dumps([value if math.isfinite(value) else None for value in predictions.noised.log_snr.tolist()]),
    }
    return files.save(tensors, metadata | {"checksum": checksum(tensors, metadata)})


def _rounded(array: Tensor, precision: Precision) -> Tensor:
    if precision == "float32" or array.dtype == torch.float16:
        return array
    rounded = array.half()
    if not torch.isfinite(rounded).all():
        raise ValueError("The predictions are too large for float16 (65504 at most). Save them in float32.")
    return rounded


def checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 over the metadata without the checksum, and every tensor's name, type, shape and values."""
    digest = hashlib.sha256()
    described = {name: text for name, text in metadata.items() if name != "checksum"}
    shapes = {name: [str(tensor.dtype), list(tensor.shape)] for name, tensor in tensors.items()}
    digest.update(json.dumps([described, shapes], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write a file beside its place, then rename it: whatever happens, it is there whole or not at all.

    Raises:
        OSError: it can't be written; the message names the file and the remedy.
    """
    beside = path.with_name(f"{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise OSError(
            f"{path.name} could not be saved ({error.strerror or error}): it has {len(content) / 1e6:.1f} MB. Make room on the "
            f"disk of {path.parent}, or choose another filename_prefix. Nothing was left behind."
        ) from error
    finally:
        with suppress(OSError):  # a disk that refused the file may refuse this as well
            beside.unlink(missing_ok=True)


def read(path: Path) -> NoisePredictions:
    """The predictions that a file holds, in its precision.

    Raises:
        ValueError: a file that is missing, foreign, newer, truncated or altered; the message names it and the remedy.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        check_format(metadata, path.name)  # before a checkpoint of many gigabytes is read
        tensors = files.load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name} can't be read: it is truncated or damaged ({error}). {AGAIN}") from error
    if metadata.get("checksum") != checksum(tensors, metadata):
        raise ValueError(f"{path.name} is damaged: its content does not match its checksum. {AGAIN}")
    try:
        return unpack(tensors, metadata)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path.name} does not hold noise predictions as this version writes them: {error} {AGAIN}") from error


def check_format(metadata: dict[str, str], name: str) -> None:
    """Refuse a file that is not Save Noise Predictions' own, or of a version that came after this pack.

    Raises:
        ValueError: as above; `name` is the file's.
    """
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{name} is not a file of noise predictions: it is another kind of safetensors file. Choose one that Save Noise "
            "Predictions wrote."
        )
    version = metadata.get("version", "")
    if not (version.isascii() and version.isdigit()):
        raise ValueError(f"{name} is damaged: its format version is {version[:20]!r}, not a number. {AGAIN}")
    if len(version) > 9 or int(version) > VERSION:
        raise ValueError(
            f"{name} has format version {version[:20]}, this pack reads up to {VERSION}. Update SDExplain, or save the "
            "predictions anew with this version."
        )


def unpack(tensors: dict[str, Tensor], metadata: dict[str, str]) -> NoisePredictions:
    """The predictions of a file's tensors and metadata. What a file of this version lacks has its default.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: they do not fit together.
    """
    for name, tensor in tensors.items():
        allowed = (torch.float32,) if name.startswith(NOISED) else tuple(getattr(torch, p) for p in get_args(Precision))
        if tensor.dtype not in allowed:
            raise ValueError(f"{name} is of type {tensor.dtype}; expected {allowed[0]}.")
    for name in ("target", "contrast"):
        if not torch.isfinite(tensors[name]).all():
            raise ValueError(f"{name} contains NaN or infinity.")
    own: dict[str, Any] = {name.removeprefix(NOISED): tensor for name, tensor in tensors.items() if name.startswith(NOISED)}
    fields_of = {file: field for field, file in NAMES.items()}
    plain = {fields_of.get(name, name): value for name, value in _plain(json.loads(metadata["noised"])).items()}
    asked = tuple(int(step) for step in json.loads(metadata["asked"])) if "asked" in metadata else None
    noised = NoisedLatents(**own, **plain, asked=asked)
    labels = {name: str(label) for name, label in json.loads(metadata["labels"]).items()}
    fingerprints = {str(name): str(text) for name, text in json.loads(metadata["fingerprints"]).items()}
    both = tensors["target"], tensors["contrast"]
    return NoisePredictions(
        noised,
        *both,
        labels["target"],
        labels["contrast"],
        fingerprints,
        own_pictures=_own_pictures(metadata),
        unseen=metadata.get("unseen", ""),
        temperature=_temperature(metadata),
        cases=_cases(metadata, noised),
    )


def _temperature(metadata: dict[str, str]) -> float | None:
    """What log-odds are divided by to be probabilities; None if the file does not say.

    Raises:
        ValueError, TypeError: not a number above 0.
    """
    if "temperature" not in metadata:
        return None
    temperature = float(json.loads(metadata["temperature"]))
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature is {temperature}; expected a number above 0.")
    return temperature


def _as_lists(cases: Cases) -> dict[str, Any]:
    values = {field.name: getattr(cases, field.name) for field in fields(Cases)}
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in values.items()}


def _cases(metadata: dict[str, str], noised: NoisedLatents) -> Cases | None:
    """How both prompts compare with no words at all; None if the file does not say.

    Raises:
        ValueError, TypeError, KeyError: other fields than those of `Cases`, or not a number for each image.
    """
    if "cases" not in metadata:
        return None
    said = json.loads(metadata["cases"])
    target, contrast, target_error, contrast_error = (_numbers(said, name, noised.images) for name in CASES)
    if target is None or contrast is None:
        raise ValueError("cases has no numbers for the target or the contrast.")
    labels = str(said["target_label"]), str(said["contrast_label"])
    return Cases(target, contrast, target_error, contrast_error, *labels)


def _numbers(said: dict[str, Any], name: str, images: int) -> Tensor | None:
    if said[name] is None:
        return None
    values = torch.tensor(said[name], dtype=torch.float32)
    if values.shape != (images,):
        raise ValueError(f"cases has {list(values.shape)} numbers in {name}; expected one for each of {images} images.")
    return values


def _own_pictures(metadata: dict[str, str]) -> OwnPictures | None:
    """What the model made of its own pictures; None if the file does not say.

    Raises:
        ValueError, TypeError, KeyError: as `OwnPictures`.
    """
    if "own_pictures" not in metadata:
        return None
    said = json.loads(metadata["own_pictures"])
    low, high = map(float, said["levels"])
    return OwnPictures(int(said["count"]), (low, high), tuple(map(float, said["ratios"])), tuple(map(float, said["structures"])))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The fields that are not tensors: switches, and numbers of at least 1.

    Raises:
        ValueError: anything else.
    """
    for name, value in values.items():
        if not isinstance(value, bool) and not (isinstance(value, int) and 1 <= value <= 1 << 16):
            raise ValueError(f"{name} is {str(value)[:20]}; expected true, false or a whole number from 1 on.")
    return values


def describe(predictions: NoisePredictions) -> str:
    """What predictions are of, in paragraphs of words; labels are untrusted text."""
    noised = predictions.noised
    images, channels, height, width = noised.x0.shape
    steps = f"{noised.steps} steps{asked_words(noised.asked_count)}"
    sizes = f"{noised.samples} noise samples, {steps}, {images} images of {channels} channels and {width}×{height} cells"
    sigmas, log_snr = noised.sigmas[[0, -1]].tolist(), noised.log_snr[[0, -1]].tolist()
    levels = f"noise levels {sigmas[0]:.3g} to {sigmas[1]:.3g}, log SNR {log_snr[0]:.1f} to {log_snr[1]:.1f}"
    made_by = [f"{name}: {digest}" for name, digest in predictions.fingerprints.items()]
    known, cases = measure(predictions), predictions.cases
    familiarity = [predictions.unseen] * bool(predictions.unseen)
    for image, sure in enumerate(known.may_be_sure.tolist()):
        told = cases is not None and not predictions.unseen and (sure or bool(cases.neither[image]))
        fits = [cases.words(image)] if cases is not None and told else []
        familiarity.append(" ".join([f"Image {image + 1}:", known.words(image), *fits]))
    labels = f"{quoted(predictions.target_label)} vs {quoted(predictions.contrast_label)}"
    return "\n\n".join([labels, sizes, levels, *familiarity, *made_by])
