"""From a summed noise difference to one number per place, with the scale on which it is to be read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from os.path import commonprefix
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from .difference import NoiseDifference
from .reliability import Reliability, Significance, check_reliability, measure_significance, missing_error

Scalar = Literal["channel norm", "channel mean", "decoded luminance"]
Show = Literal["both", "positive", "negative"]
Decode = Callable[[Tensor], Tensor]

LUMINANCE = (0.2126, 0.7152, 0.0722)  # red, green, blue: Rec. 709, the primaries of sRGB
WEIGHTING_WORDS = {"uniform": "equally weighted", "information": "weighted by their share of log SNR"}
# Two float32 predictions of unit variance that a network computed in another order differ by some dozens of rounding steps.
ROUNDING_PER_STEP = 64 * torch.finfo(torch.float32).eps
SMALLEST_LUMINANCE = 0.5 / 255  # half of what an 8-bit picture can tell apart


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


def scalar_map(difference: NoiseDifference, scalar: Scalar, decode: Decode | None = None) -> Tensor:
    """One number per place from the mean over the noise samples, [B,h,w] or [B,H,W].

    "channel norm": |sum d|, over the channels. "channel mean": the mean of -sum d over the channels. "decoded luminance": see
    `decoded_luminance`. Minus, because d is noise to be taken away: -sum d leads to the target. The reading "absolute" is one
    number per cell already, which both channel scalars leave as it is.

    Raises:
        ValueError: an unknown scalar, and what `decoded_luminance` refuses.
    """
    if scalar not in get_args(Scalar):
        raise ValueError(f"The scalar is {scalar!r}; expected one of {', '.join(get_args(Scalar))}.")
    if scalar == "decoded luminance":
        return decoded_luminance(difference, decode)
    if difference.reading != "difference":
        return difference.mean[:, 0]
    return difference.mean.norm(dim=1) if scalar == "channel norm" else -difference.mean.mean(dim=1)


def decoded_luminance(difference: NoiseDifference, decode: Decode | None) -> Tensor:
    """Luminance of decode(-sum d) minus that of decode(0), both through `to_vae`, [B,H,W]: what the target adds.

    Raises:
        ValueError: no decoder, a reading that is no latent, or a decoder that gives no pictures.
    """
    if decode is None:
        raise ValueError("The scalar 'decoded luminance' needs a VAE. Connect the model's, or choose another scalar.")
    if difference.reading != "difference":
        raise ValueError(
            f"The scalar 'decoded luminance' needs the latent of the reading 'difference', but the reading is "
            f"{difference.reading!r}. Choose the scalar 'channel norm', or sum with the reading 'difference'."
        )
    towards_target = -difference.mean
    latents = torch.cat([towards_target, torch.zeros_like(towards_target[:1])])
    brightness = luminance(decode_pictures(decode, difference.to_vae(latents)))
    return brightness[:-1] - brightness[-1:]


def decode_pictures(decode: Decode, latents: Tensor) -> Tensor:
    """The decoder's pictures of VAE-space latents [n,C,h,w] (or [n,C,1,h,w], frames), [n,H,W,3] float32 on the CPU.

    Raises:
        ValueError: the decoder gives anything else.
    """
    pictures = decode(latents)
    if latents.ndim == pictures.ndim == 5:  # single frames, [n,1,H,W,3]
        pictures = pictures.flatten(0, 1)
    if pictures.ndim != 4 or len(pictures) != len(latents) or pictures.shape[-1] < 3:
        raise ValueError(
            f"The VAE decoded {len(latents)} latents to the shape {list(pictures.shape)}; expected [{len(latents)}, height, width, 3]. "
            "Connect the image VAE that encoded the picture."
        )
    return pictures[..., :3].to("cpu", torch.float32)


def luminance(pictures: Tensor) -> Tensor:
    """Rec. 709 luma of pictures, [...,3] to [...]."""
    return pictures[..., :3] @ pictures.new_tensor(LUMINANCE)


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
    return tuple(
        f"{total}, standard error unknown. {missing_error(difference)}." if unknown else total for total in words
    )


def is_signed(difference: NoiseDifference, scalar: Scalar) -> bool:
    """Whether below zero means something else than above."""
    return difference.signed and (scalar != "channel norm" or difference.reading != "difference")


def smallest_value(difference: NoiseDifference, scalar: Scalar) -> float:
    """What float rounding alone can make of equal predictions; smaller maps are "no difference"."""
    if scalar == "decoded luminance":
        return SMALLEST_LUMINANCE
    channels = difference.values.shape[2] if scalar == "channel norm" else 1
    return ROUNDING_PER_STEP * (difference.end - difference.start) * channels**0.5


def colour_limits(values: Tensor, floor: float, percentile: float, scale: float, shared: bool) -> Tensor:
    """The limit of each image's colour scale, [B]: the given scale, or see `automatic_limit`.

    Raises:
        ValueError: a percentile outside 50 to 100, a scale that is negative or not finite.
    """
    if not 50 <= percentile <= 100:
        raise ValueError(f"The percentile is {percentile:g}; expected 50 to 100.")
    if not 0 <= scale < float("inf"):
        raise ValueError(
            f"The scale is {scale:g}; expected the value of the full colour, above 0, or 0 for the automatic scale."
        )
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
        raise ValueError(
            "The sign is 'negative', but this heatmap has no values below 0. Choose 'both', or a signed scalar."
        )
    return replace(heatmap, show=show)


def quoted(label: str) -> str:
    """A label in quotation marks, as legends write it."""
    return f"“{label.strip()}”" if label.strip() else "an unnamed prompt"


def telling_part(label: str, other: str, longest: int = 32) -> str:
    """A label of more than `longest` characters without the words that the other one has at the same end, but for one."""
    words, others = label.split(), other.split()
    head = len(commonprefix([words, others]))
    tail = len(commonprefix([words[head:][::-1], others[head:][::-1]]))
    if len(label) <= longest or head == len(words):
        return label
    start, end = max(0, head - 1), len(words) - max(0, tail - 1)
    return "…" * (start > 0) + " ".join(words[start:end]) + "…" * (end < len(words))


def format_value(value: float) -> str:
    """At most three significant digits, with a true minus sign: 0.0123, −1.5, 1230, 2.1e−07."""
    return f"{float(f'{value:.3g}'):g}".replace("-", "−")


def format_with_error(value: float, error: float | None) -> str:
    """A value to the second significant digit of its error, as far as single precision has digits: 68.9 ± 2.1; alone without one."""
    if error is None:
        return format_value(value)
    shown = float(f"{error:.2g}")
    decimals = max(0, 1 - _magnitude(shown)) if shown else 0
    if not shown or decimals + _magnitude(value) > 6:
        return f"{format_value(value)} ± {shown:g}"
    return f"{value:.{decimals}f} ± {shown:.{decimals}f}".replace("-", "−")


def _magnitude(value: float) -> int:
    """The power of ten of the first digit: 2 for 350, −1 for 0.2, 0 for 0."""
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0


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
