"""From a summed noise difference to one number per place, with the scale on which it is to be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..images import Decode
from ..wording import WEIGHTING_WORDS, format_value, format_with_error, quoted, telling_part
from .difference import NoiseDifference
from .reliability import Reliability, Significance, check_reliability, measure_significance, missing_error
from .scalar import ROUNDING_PER_STEP, Scalar, is_signed, scalar_map, smallest_value

Show = Literal["both", "positive", "negative"]


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One number per place of each image, the scale of its colours, and the words that the legend says about them."""

    values: Tensor
    """[B,h,w] a number for each latent cell, or [B,H,W] for each pixel of the decoded latent."""
    limits: Tensor
    """[B] the value of the full colour: the scale is -limit ... limit, or 0 ... limit if unsigned; 0 means "no difference"."""
    signed: bool
    """Whether values below 0 mean something of their own."""
    latent_size: tuple[int, int]
    """h, w: which part of a picture the values cover follows from it."""
    downscale: int
    """Image pixels per latent cell, along one side."""
    target_label: str
    """Untrusted text of any length, as the next."""
    contrast_label: str
    positive: str
    """What the highest value means; it may quote a label, as the next."""
    negative: str
    """What the lowest value means: -limit, or 0 if unsigned."""
    quantity: str
    """What the numbers are."""
    unit: str
    """What they are counted in."""
    source: str
    """Which steps they come from."""
    totals: tuple[str, ...] = ()
    """For "evidence", what all of each image's cells say together, with its standard error where one is known."""
    reliability: tuple[str, ...] = ()
    """How many of each image's cells are more than noise; () where no standard error is known."""
    doubts: tuple[str, ...] = ()
    """Why an image is left clear although its values are not 0, "" for those that are not; () for none."""
    show: Show = "both"
    """Which of the signs is shown."""

    @property
    def level_range(self) -> tuple[float, float]:
        """The lowest and the highest level that is shown."""
        return (-1.0 if self.signed and self.show != "positive" else 0.0), (0.0 if self.show == "negative" else 1.0)

    @property
    def levels(self) -> Tensor:
        """value / limit, clipped to what is shown, of the shape of values; 0 everywhere where the limit is 0."""
        limits = self.limits[:, None, None]
        return torch.where(limits > 0, self.values / limits, 0.0).clamp(*self.level_range)

    def note(self, image: int) -> str:
        """What to say about an image where there is nothing to show, "" for all others."""
        if any(self.doubts[image : image + 1]):
            return self.doubts[image]
        values = self.values[image]
        if not values.any():
            return "No difference: both prompts give the same noise predictions."
        if self.limits[image] == 0:
            return f"No difference between places: {format_value(float(values.mean()))} everywhere."
        return ""


def make_heatmap(
    difference: NoiseDifference,
    scalar: Scalar = "channel norm",
    *,
    decode: Decode | None = None,
    percentile: float = 99.5,
    scale: float = 0.0,
    shared: bool = True,
    reliability: Reliability = "all",
    threshold: float = 3.0,
) -> Heatmap:
    """One number per place of a summed difference, with a colour scale around 0.

    decode: VAE-space latents [n,C,h,w] to pictures [n,H,W,3] in 0..1, needed for "decoded luminance" alone.
    percentile: the percentage of |values| that lies within the automatic scale, 50 to 100.
    scale: a fixed limit above 0, or 0 for the automatic one.
    shared: one automatic scale for all images of the batch, else one for each.
    reliability: "all" values, those of cells beyond `threshold` standard errors alone, or the values in standard errors. The last
        two leave an image clear where no more of its cells are beyond than noise has by chance, see `Significance`.

    Raises:
        ValueError: NaN, a scalar that the reading can't have, no decoder or standard error where one is needed, a percentile,
            scale or threshold out of range.
    """
    check_reliability(reliability, difference, scalar)
    if not torch.isfinite(difference.values).all():
        raise ValueError("The noise difference contains NaN or infinity. Check the latent, the prompts and the model.")
    values, floor = scalar_map(difference, scalar, decode), smallest_value(difference, scalar)
    values = torch.where(values.abs().amax((1, 2), keepdim=True) > floor, values, 0.0)
    positive, negative, quantity, unit = _words(difference, scalar)
    significance, differs = measure_significance(difference, scalar, values, threshold, floor), values.any(2).any(1)
    if significance is not None:
        values = significance.shown(values, reliability)
    if reliability == "standard errors":
        unit, floor = "standard errors", 0.0
    doubtful = differs & ~values.any(2).any(1)
    return Heatmap(
        values=values,
        limits=colour_limits(values, floor, percentile, scale, shared),
        signed=is_signed(difference, scalar),
        latent_size=tuple(difference.values.shape[-2:]),
        downscale=difference.downscale,
        target_label=difference.target_label,
        contrast_label=difference.contrast_label,
        positive=positive,
        negative=negative,
        quantity=quantity,
        unit=unit,
        source=f"Steps {difference.start}–{difference.end} of {difference.steps}, {WEIGHTING_WORDS[difference.weighting]}",
        totals=evidence_totals(difference),
        reliability=_reliability_words(significance, differs & ~doubtful),
        doubts=_reliability_words(significance, doubtful),
    )


def evidence_totals(difference: NoiseDifference) -> tuple[str, ...]:
    """Each image's evidence added up over its cells, in words: the log-odds if weighted by information; () for other readings.

    The standard error is that of the mean over the noise samples; where they can't tell, the words say so.
    """
    if difference.reading != "evidence":
        return ()
    unit = "nats" if difference.weighting == "information" else "noise variances"
    unknown, words = difference.total_error is None, []
    for image, mean in enumerate(difference.total.tolist()):
        error = None if unknown else difference.total_error[image].item()
        labels = difference.target_label, difference.contrast_label
        label = quoted(telling_part(*(labels if mean >= 0 else labels[::-1])))
        words.append(f"Whole picture: {format_with_error(abs(mean), error)} {unit} for {label}")
    return tuple(f"{total}, standard error unknown. {missing_error(difference)}." if unknown else total for total in words)


def colour_limits(values: Tensor, floor: float, percentile: float, scale: float, shared: bool) -> Tensor:
    """The limit of each image's colour scale, [B]: the given scale, or see `automatic_limit`.

    Raises:
        ValueError: a percentile outside 50 to 100, a scale that is negative or not finite.
    """
    if not 50 <= percentile <= 100:
        raise ValueError(f"The percentile is {percentile:g}; expected 50 to 100.")
    if not 0 <= scale < float("inf"):
        raise ValueError(f"The scale is {scale:g}; expected the value of the full colour, above 0, or 0 for the automatic scale.")
    if scale > 0:
        return torch.full((len(values),), float(scale))
    if shared:
        return torch.tensor(automatic_limit(values, floor, percentile)).expand(len(values))
    return torch.tensor([automatic_limit(image, floor, percentile) for image in values])


def automatic_limit(values: Tensor, floor: float, percentile: float) -> float:
    """The percentile of |values|: their maximum where nearly all of them are 0, and 0 where all are the same."""
    magnitudes = values.abs()
    largest = magnitudes.max().item()
    if (values.max() - values.min()).item() <= max(floor, ROUNDING_PER_STEP * largest):
        return 0.0
    limit = float(np.percentile(magnitudes.numpy(), percentile))  # torch.quantile refuses more than 16 million values
    return limit if limit > floor else largest


def show_only(heatmap: Heatmap, show: Show) -> Heatmap:
    """The same heatmap, on the same scale, with both or one of its signs shown.

    Raises:
        ValueError: an unknown sign, or the negative side of an unsigned heatmap.
    """
    if show not in get_args(Show):
        raise ValueError(f"The sign is {show!r}; expected one of {', '.join(get_args(Show))}.")
    if show == "negative" and not heatmap.signed:
        raise ValueError("The sign is 'negative', but this heatmap has no values below 0. Choose 'both', or a signed scalar.")
    return replace(heatmap, show=show)


def _reliability_words(significance: Significance | None, images: Tensor) -> tuple[str, ...]:
    """What there is to say about those of `images` [B] that are true, "" for the others."""
    if significance is None:
        return ()
    return tuple(significance.words(image) if said else "" for image, said in enumerate(images.tolist()))


def _words(difference: NoiseDifference, scalar: Scalar) -> tuple[str, str, str, str]:
    """What the positive and the negative end of the scale mean, what the number is, and its unit."""
    target = quoted(telling_part(difference.target_label, difference.contrast_label))
    contrast = quoted(telling_part(difference.contrast_label, difference.target_label))
    if scalar == "decoded luminance":
        return (
            f"brighter as {target}",
            f"darker as {target}",
            "Luminance that the decoded sum adds",
            "black 0 to white 1",
        )
    squares = "nats per latent cell" if difference.weighting == "information" else "noise variances per latent cell"
    if difference.reading == "evidence":
        return f"speaks for {target}", f"speaks for {contrast}", "Evidence", squares
    if difference.reading == "information":
        return "predictions differ most", "no difference", "Information: half the squared difference", squares
    unit = "noise standard deviations"
    if difference.reading == "absolute":
        return "predictions differ most", "no difference", "Sum of each step’s absolute difference", unit
    if scalar == "channel norm":
        return "predictions differ most", "no difference", "Channel norm of the summed difference", unit
    return f"higher mean as {target}", f"lower mean as {target}", "Channel mean of the summed difference", unit
