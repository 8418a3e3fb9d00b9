"""What the Explorer's page needs to sum any range of steps by itself: every step's readings, as safetensors files.

The metadata has the format, its version, and a "header" with all that is not an array, as JSON. The overview tells what
everything is, with every sentence that the page says about it; a file of parts holds one reading of one image.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, get_args

import torch
from safetensors import torch as files
from torch import Tensor

from ..images import Size
from ..method.difference import COMBINED, SIGNED, Reading, Weighting, assumed_of_weights, read_step, step_weights, sum_steps
from ..method.familiarity import recognise
from ..method.noising import NoisedLatents
from ..method.placing import covered_box
from ..method.prediction import NoisePredictions
from ..method.reading import read_map
from ..method.reliability import CONFIDENCE
from ..method.scalar import ROUNDING_PER_STEP, Scalar, combine
from ..pictures.colours import AUTOMATIC, DIVERGING, SEQUENTIAL, colour_map_name, colour_table, end_colours
from ..pictures.overlay import Appearance, ground
from ..wording import PER_CELL, RECOGNITION, SENTENCES, WORTH_TELLING, differing_part, quoted
from .explorer_words import PAGE_SENTENCES
from .latent_colours import decoder_colours, picture_colours

FORMAT = "SDExplain explorer"
VERSION = 4
MOST_VALUES = 1 << 25  # of a file of parts, 128 MB; if the samples do not fit, it has their mean and variance
Decoder = tuple[Weighting, Callable[[Tensor], Tensor]]
"""How the steps are weighted when the decoder's colours are learned, and VAE-space latents [n,C,h,w] to pictures [n,H,W,3]."""
COLOUR_MAPS = {name: name in DIVERGING for name in (*DIVERGING, *SEQUENTIAL)}
"""Each colour map's name, and whether it is for signed maps."""
SCALARS: tuple[Scalar, ...] = ("channel norm", "channel mean")


def _file(header: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> bytes:
    """A file of a header and its arrays.

    The library puts types of more bytes first and begins the data at a multiple of 8 bytes: the page reads float32 in place.

    Raises:
        ValueError: a header with NaN or infinity.
    """
    metadata = {"format": FORMAT, "version": str(VERSION), "header": json.dumps(header, allow_nan=False)}
    return files.save({name: array.contiguous() for name, array in arrays.items()}, metadata)


def digest(predictions: NoisePredictions, pictures: Tensor, *others: str) -> str:
    """A name for everything that the page is given, and for `others`: the same for the same content, and only for that."""
    noised = predictions.noised
    values = [getattr(noised, field.name) for field in fields(NoisedLatents)]
    tensors = [*(value for value in values if isinstance(value, Tensor)), predictions.target, predictions.contrast, pictures]
    labels = [predictions.target_label, predictions.contrast_label, predictions.unseen]
    described = [
        VERSION,
        labels,
        others,
        *(value for value in values if not isinstance(value, Tensor)),
        *(list(t.shape) for t in tensors),
    ]
    made = hashlib.blake2b(json.dumps(described).encode(), digest_size=12)
    for tensor in tensors:
        made.update(tensor.contiguous().numpy().data)
    return made.hexdigest()


def overview(predictions: NoisePredictions, pictures: Tensor, decoder: Decoder | None = None) -> bytes:
    """The file that the page opens first, for pictures [B,H,W,3]: words, levels, colours, and what each step says in all.

    Its arrays: "curves" [4,R,S,B], each reading's unweighted total over the cells in every step (for "difference" the mean
    channel norm, for "absolute" the mean over the cells); "weights" [2,S], and "assumed" [2,S], which part of each of them is,
    absent from files of older versions; "colours" [maps,256,3] as bytes; "factors" [B,C,3], see `picture_colours`, or with a
    decoder [B,C+1,3], see `decoder_colours`, whose fit the header tells.
    """
    noised = predictions.noised
    factors, fit = (picture_colours(pictures, noised), None) if decoder is None else decoder_colours(predictions, *decoder)
    header = {"kind": "overview", **_shapes(noised, tuple(pictures.shape[1:3])), **_levels(noised), **_meaning(predictions)}
    arrays = {
        "curves": torch.stack([curve(predictions, reading) for reading in get_args(Reading)]),
        "weights": torch.stack([step_weights(noised, weighting) for weighting in get_args(Weighting)]),
        "assumed": torch.stack([assumed_of_weights(noised, weighting) for weighting in get_args(Weighting)]),
        "colours": (torch.stack([colour_table(name) for name in COLOUR_MAPS]) * 255).round().byte(),
        "factors": factors,
    }
    return _file({**header, "decoder_fit": None if fit is None else fit.tolist()}, arrays)


def _shapes(noised: NoisedLatents, size: Size) -> dict[str, Any]:
    """How many there are of everything, and which box (top, left, height, width) of pictures of this size the cells cover."""
    images, channels, height, width = noised.x0.shape
    counts = {"samples": noised.samples, "steps": noised.steps, "images": images, "channels": channels}
    box = covered_box(size, (height, width), noised.downscale)
    return {**counts, "height": height, "width": width, "picture": list(size), "box": list(box)}


def _levels(noised: NoisedLatents) -> dict[str, Any]:
    """The noise's levels and kind; None in place of an infinite log SNR."""
    log_snr = [value if math.isfinite(value) else None for value in noised.log_snr.tolist()]
    kind = {"antithetic": noised.antithetic, "fresh": noised.fresh_noise, "layers": layers(noised)}
    levels = {**kind, "sigmas": noised.sigmas.tolist(), "log_snr": log_snr}
    return {**levels, "rounding": ROUNDING_PER_STEP, "confidence": CONFIDENCE, "worth_telling": WORTH_TELLING}


def _meaning(predictions: NoisePredictions) -> dict[str, Any]:
    """What everything is called, and every sentence about it."""
    labels = predictions.target_label, predictions.contrast_label
    familiarity, strange = recognise(predictions)
    legend = {name: sentence for name, sentence in SENTENCES.items() if name != "source"}  # the page has "steps" in its place
    return {
        "target": labels[0],
        "contrast": labels[1],
        "familiarity": [*map(asdict, familiarity)],
        "strange": strange,
        "short": [quoted(differing_part(*labels)), quoted(differing_part(*labels[::-1]))],
        "readings": list(get_args(Reading)),
        "weightings": list(get_args(Weighting)),
        "words": words(predictions),
        "sentences": legend | RECOGNITION | PAGE_SENTENCES,
        "maps": [
            {"name": name, "signed": signed, "ends": list(end_colours(name, signed)), "ground": ground(signed, Appearance(name))}
            for name, signed in COLOUR_MAPS.items()
        ],
        "automatic": {"signed": colour_map_name(AUTOMATIC, True), "unsigned": colour_map_name(AUTOMATIC, False)},
    }


def at_steps(noised: NoisedLatents, asked: list[Tensor], dim: int = 0) -> Tensor:
    """What the asked steps have, one after the other along `dim`, in the places of all steps; 0 at the others."""
    shape = list(asked[0].shape)
    shape.insert(dim, noised.steps)
    return torch.zeros(shape).index_copy(dim, torch.tensor(noised.asked_steps), torch.stack(asked, dim))


def parts(predictions: NoisePredictions, reading: Reading, image: int) -> bytes:
    """One reading of one image: "values" [R,S,K,h,w], unweighted, or [1,S,K,h,w] if that is too much; and how sure they are.

    Where every step has noise of its own, there are "agreeing" [S], in how many comparisons of independent estimates each
    step's map is alike, "variance" [S,h,w], the squared standard error of the mean, added up over the channels, and for a
    reading without a sign "tested" [S,h,w], see `NoiseDifference`; each for a weight of 1. Of signed ones the page finds the
    variance by itself where it has all samples.
    """
    noised = predictions.noised
    one = replace(
        predictions,
        noised=replace(noised, x0=noised.x0[image : image + 1], asked=None),  # each step by itself has a weight of 1
        target=predictions.target[:, :, image : image + 1],
        contrast=predictions.contrast[:, :, image : image + 1],
    )
    sums = [sum_steps(one, step, step + 1, reading) for step in noised.asked_steps]
    values = at_steps(noised, [part.values[:, 0] for part in sums], dim=1)
    compared = 0 if sums[0].compared is None else int(sums[0].compared)
    header = {"kind": "parts", "reading": reading, "image": image, "compared": compared}
    whole = layers(noised) == "samples"
    arrays = {"values": values if whole else values.mean(dim=0, keepdim=True)}
    if compared:
        arrays["agreeing"] = at_steps(noised, _of_the_image([part.agreeing for part in sums]))
        if reading not in SIGNED:
            arrays["tested"] = at_steps(noised, _of_the_image([part.tested for part in sums]))[:, 0]
        if reading not in SIGNED or not whole:
            arrays["variance"] = at_steps(noised, _of_the_image([part.variance for part in sums])).sum(dim=1)
    return _file(header, arrays)


def _of_the_image(parts: list[Tensor | None]) -> list[Tensor]:
    """What the steps have of the only image, [1,...] each."""
    return [part[0].float() for part in parts if part is not None]


def layers(noised: NoisedLatents) -> str:
    """Whether the page is given all "samples" or, where a file of them would be too large, their "mean"."""
    return "samples" if noised.samples * noised.steps * noised.x0[0].numel() <= MOST_VALUES else "mean"


def one_sample(predictions: NoisePredictions, sample: int) -> NoisePredictions:
    """The predictions for one noise sample alone.

    Raises:
        ValueError: there is no such sample.
    """
    noised = predictions.noised
    if not 0 <= sample < noised.samples:
        raise ValueError(
            f"There is no noise sample {sample + 1}: the predictions have {noised.samples}. Choose 1 to {noised.samples}, or 0 "
            "for their mean."
        )
    alone = slice(sample, sample + 1)
    return replace(
        predictions,
        noised=replace(noised, noise=noised.noise[alone], antithetic=False),
        target=predictions.target[alone],
        contrast=predictions.contrast[alone],
    )


def curve(predictions: NoisePredictions, reading: Reading) -> Tensor:
    """The total of each step, [R,S,B] without weights, 0 where it was not asked: see `overview`."""
    steps = []
    for step in predictions.noised.asked_steps:
        part = read_step(predictions, step, reading)
        part = part.norm(dim=2, keepdim=True) if reading == "difference" else part
        part = combine(part)[:, :, None] if reading == "combined" else part
        steps.append(part.sum((2, 3, 4)) if reading in (*COMBINED, "combined") else part.mean((2, 3, 4)))
    return at_steps(predictions.noised, steps, dim=1)


def words(predictions: NoisePredictions) -> list[dict[str, str | bool]]:
    """What the legend says for each reading, weighting and scalar."""
    said, step = [], predictions.noised.asked_steps[0]
    for reading in get_args(Reading):
        for weighting in get_args(Weighting):
            difference = sum_steps(predictions, step, step + 1, reading, weighting)
            for scalar in SCALARS:
                map = read_map(difference, scalar)
                said.append(
                    {"reading": reading, "weighting": weighting, "scalar": scalar}
                    | {name: getattr(map, name) for name in ("signed", "positive", "negative", "quantity", "noun", "unit")}
                    | {"summed_unit": map.unit.removesuffix(PER_CELL)}
                )
    return said
