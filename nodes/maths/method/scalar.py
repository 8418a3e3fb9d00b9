"""From a summed difference to one number per place."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from scipy import ndimage
from torch import Tensor

from ..images import Decode, decode_pictures, luminance
from .difference import NoiseDifference

Scalar = Literal["channel norm", "channel mean", "decoded luminance"]
# Two float32 predictions of unit variance that a network computed in another order differ by some dozens of rounding steps.
ROUNDING_PER_STEP = 64 * torch.finfo(torch.float32).eps
SMALLEST_LUMINANCE = 0.5 / 255  # half a level of an 8-bit picture
EVIDENCE_SHARE = 0.5  # how much the evidence counts in "combined", beside the information
BLUR = 0.6  # cells: the standard deviation of what smooths it
REACH = 2  # cells, along both axes: how far


def scalar_map(difference: NoiseDifference, scalar: Scalar, decode: Decode | None = None) -> Tensor:
    """One number per place from the mean over the noise samples, [B,h,w] or [B,H,W].

    "channel norm": |sum d|, over the channels. "channel mean": the mean of -sum d over the channels. "decoded luminance": see
    `decoded_luminance`. Minus, because d is noise that is removed: -sum d leads to the target. The other readings already have
    one number per cell, which both channel scalars leave as it is; that of "combined" is made by `combine`.

    Raises:
        ValueError: an unknown scalar, and what `decoded_luminance` refuses.
    """
    if scalar not in get_args(Scalar):
        raise ValueError(f"The scalar is {scalar!r}; expected one of {', '.join(get_args(Scalar))}.")
    if scalar == "decoded luminance":
        return decoded_luminance(difference, decode)
    if difference.reading == "combined":
        return combine(difference.mean)
    if difference.reading != "difference":
        return difference.mean[:, 0]
    return difference.mean.norm(dim=1) if scalar == "channel norm" else -difference.mean.mean(dim=1)


def combine(parts: Tensor) -> Tensor:
    """information + 1/2 |smoothed evidence|, [...,2,h,w] in this order to [...,h,w].

    Where the image is one of the target's and the model is exact, the mean of the evidence over the noise is the information, the
    relative entropy of the two predictions (Kong et al. 2024): both are in the same unit. Each has noise of its own.
    Smoothing comes before the magnitude, so that signs that change from cell to cell cancel.
    """
    information, evidence = parts.unbind(dim=-3)
    widths = (0,) * (evidence.ndim - 2) + (BLUR, BLUR)
    smooth = ndimage.gaussian_filter(evidence.numpy(), widths, mode="nearest", radius=tuple(REACH * (w > 0) for w in widths))
    return information + EVIDENCE_SHARE * torch.from_numpy(smooth).abs()


def decoded_luminance(difference: NoiseDifference, decode: Decode | None) -> Tensor:
    """Luminance of decode(-sum d) minus that of decode(0), both through `to_vae`, [B,H,W]: what the target adds.

    Raises:
        ValueError: no decoder, a reading that is not a latent, or a decoder that does not give pictures.
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


def is_signed(difference: NoiseDifference, scalar: Scalar) -> bool:
    """Whether values below zero mean something else than values above."""
    return difference.signed and (scalar != "channel norm" or difference.reading != "difference")


def smallest_value(difference: NoiseDifference, scalar: Scalar) -> float:
    """How large float rounding alone can make the difference of equal predictions; smaller maps are "no difference"."""
    if scalar == "decoded luminance":
        return SMALLEST_LUMINANCE
    channels = difference.values.shape[2] if scalar == "channel norm" else 1
    return float(ROUNDING_PER_STEP * (difference.end - difference.start) * channels**0.5)
