"""What the explorer's page needs to sum any range of steps by itself: every step's readings, as compact binary files.

A file is the four bytes "SDXP", the version and the header's length as little-endian uint32, the header as UTF-8 JSON, and
the arrays, of which each begins at a multiple of 8 bytes; the header's "arrays" names them with their type, shape and
place. The overview tells what everything is; a file of parts holds one reading of one image.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ..method.difference import NoiseDifference, Reading, Weighting, read_step, step_weights, sum_steps
from ..method.heatmap import make_heatmap
from ..method.noising import NoisedLatents
from ..method.placing import covered_box
from ..method.prediction import NoisePredictions
from ..method.reliability import CONFIDENCE
from ..method.scalar import ROUNDING_PER_STEP, Scalar
from ..method.uncertainty import variance_of_mean
from ..pictures.colours import DIVERGING, SEQUENTIAL, colour_table
from ..wording import quoted, telling_part
from .latent_colours import decoder_colours, picture_colours

MAGIC = b"SDXP"
VERSION = 2
ALIGNMENT = 8
MOST_VALUES = 1 << 25  # of a file of parts, 128 MB; more samples than fit are left to their mean and variance
Decoder = tuple[Weighting, Callable[[Tensor], Tensor]]
"""How the steps are weighted when the decoder's colours are learned, and VAE-space latents [n,C,h,w] to pictures [n,H,W,3]."""
SCALARS: tuple[Scalar, ...] = ("channel norm", "channel mean")


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """A file of a header and its arrays; both are read by `unpack` and by the page's `decode`.

    Raises:
        ValueError: an array of another type than float32 and uint8, or a header with NaN or infinity.
    """
    listed, offset = [], 0
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.uint8):
            raise ValueError(f"The array {name} is of type {array.dtype}; expected float32 or uint8.")
        listed.append({"name": name, "type": array.dtype.name, "shape": list(array.shape), "offset": offset})
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    text = json.dumps({**header, "arrays": listed}, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-(len(MAGIC) + 8 + len(text)) % ALIGNMENT)
    parts = [MAGIC, struct.pack("<II", VERSION, len(text)), text]
    for array in arrays.values():
        content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        parts += [content, b"\0" * (-len(content) % ALIGNMENT)]
    return b"".join(parts)


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a packed file.

    Raises:
        ValueError: another kind of file, or another version.
    """
    if content[:4] != MAGIC:
        raise ValueError("This is no file of the explorer. Run the Explorer node again.")
    version, length = struct.unpack_from("<II", content, 4)
    if version != VERSION:
        raise ValueError(f"The explorer's file has version {version}; expected {VERSION}. Run the Explorer node again.")
    header = json.loads(content[12 : 12 + length])
    arrays = {}
    for entry in header["arrays"]:
        kind = np.dtype(entry["type"]).newbyteorder("<")
        count = math.prod(entry["shape"])
        arrays[entry["name"]] = np.frombuffer(content, kind, count, 12 + length + entry["offset"]).reshape(entry["shape"])
    return header, arrays


def digest(predictions: NoisePredictions, pictures: Tensor, *others: str) -> str:
    """A name for everything that the page is given, and for `others`: the same for the same content, and only for that."""
    noised = predictions.noised
    values = [getattr(noised, field.name) for field in fields(NoisedLatents)]
    tensors = [*(value for value in values if isinstance(value, Tensor)), predictions.target, predictions.contrast, pictures]
    labels = [predictions.target_label, predictions.contrast_label]
    told = [
        VERSION,
        labels,
        others,
        *(value for value in values if not isinstance(value, Tensor)),
        *(list(t.shape) for t in tensors),
    ]
    made = hashlib.blake2b(json.dumps(told).encode(), digest_size=12)
    for tensor in tensors:
        made.update(tensor.contiguous().numpy())
    return made.hexdigest()


def overview(predictions: NoisePredictions, pictures: Tensor, decoder: Decoder | None = None) -> bytes:
    """The file that the page opens first, for pictures [B,H,W,3]: words, levels, colours, and what each step says in all.

    Its arrays: "curves" [4,R,S,B], each reading's unweighted total over the cells in every step (for "difference" the mean
    channel norm, for "absolute" the mean over the cells); "weights" [2,S]; "colours" [maps,256,3] as bytes; "factors"
    [B,C,3], see `picture_colours`, or with a decoder [B,C+1,3], see `decoder_colours`, whose fit the header tells.
    """
    noised = predictions.noised
    images, channels, height, width = noised.x0.shape
    size = tuple(pictures.shape[1:3])
    maps = [*DIVERGING, *SEQUENTIAL]
    labels = predictions.target_label, predictions.contrast_label
    factors, fit = (picture_colours(pictures, noised), None) if decoder is None else decoder_colours(predictions, *decoder)
    header = {
        "kind": "overview",
        "target": labels[0],
        "contrast": labels[1],
        "short": [quoted(telling_part(*labels)), quoted(telling_part(*reversed(labels)))],
        "samples": noised.samples,
        "steps": noised.steps,
        "images": images,
        "channels": channels,
        "height": height,
        "width": width,
        "antithetic": noised.antithetic,
        "fresh": noised.fresh,
        "layers": layers(noised),
        "picture": list(size),
        "box": list(covered_box(size, (height, width), noised.downscale)),
        "sigmas": noised.sigmas.tolist(),
        "log_snr": [value if math.isfinite(value) else None for value in noised.log_snr.tolist()],
        "rounding": ROUNDING_PER_STEP,
        "confidence": CONFIDENCE,
        "readings": list(get_args(Reading)),
        "weightings": list(get_args(Weighting)),
        "words": words(predictions),
        "decoder_fit": None if fit is None else fit.tolist(),
        "maps": [
            {"name": name, "signed": name in DIVERGING, "ends": list(DIVERGING.get(name, ("clear", SEQUENTIAL.get(name))))}
            for name in maps
        ],
    }
    arrays = {
        "curves": torch.stack([curve(predictions, reading) for reading in get_args(Reading)]),
        "weights": torch.stack([step_weights(noised, weighting) for weighting in get_args(Weighting)]),
        "colours": (torch.stack([colour_table(name) for name in maps]) * 255).round().byte(),
        "factors": factors,
    }
    return pack(header, {name: array.numpy() for name, array in arrays.items()})


def parts(predictions: NoisePredictions, reading: Reading, image: int) -> bytes:
    """One reading of one image: "values" [R,S,K,h,w], unweighted, or [1,S,K,h,w] where that is too much, with "variance"
    [S,h,w] and "spread" [S,K].

    The variance is the squared standard error of the mean, added up over the channels, and the spread is its average over the
    cells. They are there where every step has noise of its own, since only then do steps' variances add up.
    """
    noised = predictions.noised
    values = torch.stack([read_step(predictions, step, reading)[:, image] for step in range(noised.steps)], dim=1)
    header = {"kind": "parts", "reading": reading, "image": image}
    if layers(noised) == "samples":
        return pack(header, {"values": values.numpy()})
    arrays = {"values": values.mean(dim=0, keepdim=True)}
    variance = variance_of_mean(values, noised.antithetic) if noised.fresh else None
    if variance is not None:
        arrays |= {"variance": variance.sum(dim=1), "spread": variance.mean(dim=(2, 3))}
    return pack(header, {name: array.numpy() for name, array in arrays.items()})


def layers(noised: NoisedLatents) -> str:
    """Whether the page is given all "samples" or, where a file of them would be too large, their "mean"."""
    return "samples" if noised.samples * noised.steps * noised.x0[0].numel() <= MOST_VALUES else "mean"


def one_sample(difference: NoiseDifference, sample: int) -> NoiseDifference:
    """The sum of one noise sample alone, which has no standard error.

    Raises:
        ValueError: there is no such sample.
    """
    if not 0 <= sample < len(difference.values):
        raise ValueError(
            f"There is no noise sample {sample + 1}: the predictions have {len(difference.values)}. Choose 1 to "
            f"{len(difference.values)}, or 0 for their mean."
        )
    return replace(difference, values=difference.values[sample : sample + 1], variance=None, degrees=None, total_error=None)


def curve(predictions: NoisePredictions, reading: Reading) -> Tensor:
    """What each step says in all, [R,S,B] without weights: see `overview`."""
    steps = []
    for step in range(predictions.noised.steps):
        part = read_step(predictions, step, reading)
        part = part.norm(dim=2, keepdim=True) if reading == "difference" else part
        steps.append(part.sum((2, 3, 4)) if reading in ("information", "evidence") else part.mean((2, 3, 4)))
    return torch.stack(steps, dim=1)


def words(predictions: NoisePredictions) -> list[dict[str, str | bool]]:
    """What the legend says for each reading, weighting and scalar."""
    said = []
    for reading in get_args(Reading):
        for weighting in get_args(Weighting):
            difference = sum_steps(predictions, 0, 1, reading, weighting)
            for scalar in SCALARS:
                heatmap = make_heatmap(difference, scalar)
                said.append(
                    {"reading": reading, "weighting": weighting, "scalar": scalar}
                    | {name: getattr(heatmap, name) for name in ("signed", "positive", "negative", "quantity", "unit")}
                )
    return said
