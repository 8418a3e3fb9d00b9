"""A map: one number per place of each image, how sure it is, and the words that say what it means.

Every picture, mask and comparison is made from a map, whatever the map itself was made from.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..images import Size


@dataclass(frozen=True, eq=False, kw_only=True)
class Map:
    """One number per place of each of B images."""

    values: Tensor
    """[B,h,w] a number for each latent cell, or [B,H,W] for each pixel of the decoded latent."""
    signed: bool
    """Whether values below 0 have a meaning of their own."""
    positive: str
    """What the highest value means; it may quote a label, as the next."""
    negative: str
    """What the lowest value means: the one below 0, or 0 itself if unsigned."""
    quantity: str
    """What the numbers are."""
    noun: str
    """The same in a word."""
    unit: str
    """What they are counted in."""
    source: str
    """Which steps they come from."""
    target_label: str
    """Untrusted text of any length, as the next."""
    contrast_label: str
    latent_size: Size
    """h, w: which part of a picture the values cover follows from it."""
    downscale: int
    """Image pixels per latent cell, along one side."""
    strongest: str = "predictions differ most"
    """What the largest magnitude means, whatever its sign."""
    floor: float
    """How large float rounding alone can make the difference of equal predictions; an image below it has "no difference"."""
    error: Tensor | None = None
    """[B,h,w] the standard error of each value; None if none is known."""
    error_missing: str = ""
    """Why no standard error is known and what to do, as the end of a sentence."""
    tested: Tensor | None = None
    """[B,h,w] what is compared with the error where the values are above 0 even for noise alone; None: the values themselves."""
    estimates: int = 1
    """How many independent estimates the error rests on."""
    agreeing: Tensor | None = None
    """[B] in how many comparisons two independent estimates of a step's map are alike; None if that is not known."""
    compared: Tensor | None = None
    """[B] how many such comparisons there are: noise alone agrees in half of them. None as above."""
    totals: tuple[str, ...] = ()
    """What all of each image's cells say together, with its standard error if one is known; () if they don't add up."""
    familiarity: tuple[str, ...] = ()
    """Whether the model knows each image, in words; () if that is not known."""
    strange: tuple[bool, ...] = ()
    """Whether no sure answer is in order for each image: the model does not know it, or hardly."""
    weightless: tuple[bool, ...] = ()
    """Whether each image is 0 because its steps are pure noise alone, which has no weight; () for none."""
    reliability: tuple[str, ...] = ()
    """How many of each image's cells are more than noise, see `keep_reliable`; () if no standard error is known."""
    doubts: tuple[str, ...] = ()
    """Why an image is left clear although its values are not 0, "" for images that are not left clear; () if no image is."""
