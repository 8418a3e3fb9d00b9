"""From a summed difference of predictions to a map: its numbers, their standard errors, and what they mean in words."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..images import Decode
from ..wording import (
    PER_CELL,
    UNITS,
    WEIGHTING_WORDS,
    asked_words,
    beside_size,
    differing_part,
    format_with_error,
    quoted,
    say,
    with_assumed,
)
from .difference import NoiseDifference
from .map import Map
from .scalar import Scalar, is_signed, scalar_map, smallest_value

NOUNS = {
    "difference": "difference",
    "absolute": "difference",
    "information": "information",
    "evidence": "evidence",
    "combined": "difference",
}


def read_map(difference: NoiseDifference, scalar: Scalar = "channel norm", decode: Decode | None = None) -> Map:
    """One number per place of a summed difference, see `scalar_map`, with its standard error if the samples give one.

    decode: VAE-space latents [n,C,h,w] to pictures [n,H,W,3] in 0..1, needed for "decoded luminance" alone. An image whose values
    are all within float rounding is 0 everywhere.

    Raises:
        ValueError: NaN, a scalar that the reading can't have, or no decoder although one is needed.
    """
    if not torch.isfinite(difference.values).all():
        raise ValueError("The noise difference contains NaN or infinity. Check the latent, the prompts and the model.")
    values, floor = scalar_map(difference, scalar, decode), smallest_value(difference, scalar)
    positive, negative, quantity, unit = _words(difference, scalar)
    error = standard_error(difference, scalar)
    return Map(
        values=torch.where(values.abs().amax((1, 2), keepdim=True) > floor, values, 0.0),
        signed=is_signed(difference, scalar),
        positive=positive,
        negative=negative,
        quantity=quantity,
        noun=NOUNS[difference.reading],
        unit=unit,
        source=say(
            "source",
            start=difference.start,
            end=difference.end,
            steps=difference.steps,
            asked=asked_words(difference.asked),
            weighting=WEIGHTING_WORDS[difference.weighting],
        ),
        target_label=difference.target_label,
        contrast_label=difference.contrast_label,
        latent_size=tuple(difference.values.shape[-2:]),
        downscale=difference.downscale,
        floor=floor,
        error=error,
        error_missing=_why_no_error(difference, scalar) if error is None else "",
        tested=None if error is None or difference.tested is None else difference.tested[:, 0],
        estimates=difference.estimates,
        agreeing=difference.agreeing,
        compared=difference.compared,
        totals=evidence_totals(difference),
        familiarity=difference.familiarity,
        strange=difference.strange,
        weightless=difference.weightless,
    )


def as_map(given: NoiseDifference | Map, scalar: Scalar = "channel norm", decode: Decode | None = None) -> Map:
    """A summed difference as a map, see `read_map`; a map, such as a classifier's, as it is."""
    return given if isinstance(given, Map) else read_map(given, scalar, decode)


def standard_error(difference: NoiseDifference, scalar: Scalar) -> Tensor | None:
    """Standard error of each cell of a map, [B,h,w]; None if the samples are too few, and for decoded luminance.

    "channel norm": sqrt(sum over C of the variance), the root mean square norm of noise alone. "channel mean":
    sqrt(sum over C of the variance) / C, which takes the errors of the channels as independent. For a reading without a sign it
    is the error of the products that are tested instead, see `NoiseDifference`.
    """
    if difference.variance is None or scalar == "decoded luminance":
        return None
    error = difference.variance.sum(dim=1).sqrt()
    return error / difference.variance.shape[1] if scalar == "channel mean" else error


def evidence_totals(difference: NoiseDifference) -> tuple[str, ...]:
    """Each image's evidence added up over its cells, in words: the log-odds if weighted by information; () for other readings.

    With its standard error; if that is unknown, the words say so. And with how much of it is assumed, where that is much.
    """
    if difference.reading != "evidence":
        return ()
    words, none = [], torch.zeros_like(difference.total_error)
    numbers = difference.total, difference.total_error, none if difference.assumed is None else difference.assumed
    for mean, error, assumed in zip(*(number.tolist() for number in numbers), strict=True):
        if mean == 0:
            words.append(say("no_total"))
            continue
        labels = difference.target_label, difference.contrast_label
        told = say(
            "total",
            value=format_with_error(abs(mean), None if math.isnan(error) else error),
            unit=UNITS[difference.weighting],
            label=quoted(differing_part(*(labels if mean > 0 else labels[::-1]))),
        )
        total, unsure = with_assumed(told, beside_size(assumed, mean), mean), math.isnan(error)
        remarks = [say("take_more")] * unsure + [say("why_assumed")] * (total != told)
        words.append(". ".join([say("unsure_total", total=total) if unsure else total, *remarks]) + "." * bool(remarks))
    return tuple(words)


def _why_no_error(difference: NoiseDifference, scalar: Scalar) -> str:
    if scalar == "decoded luminance":
        return (
            ", which the scalar 'decoded luminance' does not have. Choose the scalar 'channel norm' or 'channel mean', or the "
            "reliability 'all'."
        )
    few = "One noise sample gives" if len(difference.values) == 1 else "Two samples of opposite noise give"
    return f". {few} a cell none: take 4 samples or more at quality exact, or choose the reliability 'all'."


def _words(difference: NoiseDifference, scalar: Scalar) -> tuple[str, str, str, str]:
    """What the positive and the negative end of the scale mean, what the number is, and its unit."""
    target = quoted(differing_part(difference.target_label, difference.contrast_label))
    contrast = quoted(differing_part(difference.contrast_label, difference.target_label))
    if scalar == "decoded luminance":
        return (
            f"brighter as {target}",
            f"darker as {target}",
            "Luminance that the decoded sum adds",
            "black 0 to white 1",
        )
    squares = UNITS[difference.weighting] + PER_CELL
    if difference.reading == "evidence":
        return f"speaks for {target}", f"speaks for {contrast}", "Evidence", squares
    if difference.reading == "information":
        return "predictions differ most", "no difference", "Information: half the squared difference", squares
    if difference.reading == "combined":
        return "predictions differ most", "no difference", "Information plus half the size of the smoothed evidence", squares
    unit = "noise standard deviations"
    if difference.reading == "absolute":
        return "predictions differ most", "no difference", "Sum of each step’s absolute difference", unit
    if scalar == "channel norm":
        return "predictions differ most", "no difference", "Channel norm of the summed difference", unit
    return f"higher mean as {target}", f"lower mean as {target}", "Channel mean of the summed difference", unit
