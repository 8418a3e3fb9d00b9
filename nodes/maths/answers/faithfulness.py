"""Whether a map is faithful: what the answer becomes as the places that the map calls strongest are covered, or shown alone.

Deletion and insertion (Petsiuk et al. 2018): deletion covers a picture's regions from the strongest down, insertion uncovers them
in the same order. If the map is right, deletion takes the answer away quickly and insertion brings it back quickly. Random orders
say what chance gives.

Shapes: B pictures, K + 1 shares of a picture, N random orders, P regions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from scipy import ndimage, stats
from torch import Tensor

from ..images import Size, match_pictures
from ..method.map import Map
from ..method.placing import place
from .comparison import whole_scale

Cover = Literal["blur", "grey", "mean colour", "inpainted"]
INPAINTED = "inpainted"
Hide = Callable[[Tensor], Tensor]
"""Places [n,H,W] bool to the picture with each of them covered, [n,H,W,3]."""
Coverer = Callable[[Tensor], Hide]
"""A picture [H,W,3] to what covers places of it."""
Judge = Callable[[Tensor], Tensor]
"""Pictures [n,H,W,3] to what is said of each, [n] in nats: above 0 it speaks for the target."""

CONFIDENCE = 0.95
BLUR = 1 / 8
"""Standard deviation of the cover "blur", of the picture's shorter side."""
PICTURES = 16
"""How many covered pictures exist at a time."""


@dataclass(frozen=True)
class Covering:
    """How regions are covered.

    Raises:
        ValueError: an unknown cover, too few regions, shares or random orders.
    """

    cover: Cover = "blur"
    regions: int = 8
    """Regions along the picture's shorter side."""
    shares: int = 16
    """K, into how many equal shares the order is cut."""
    random_orders: int = 12
    """N."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cover not in get_args(Cover):
            raise ValueError(f"The cover is {self.cover!r}; expected one of {', '.join(get_args(Cover))}.")
        if self.regions < 2 or self.random_orders < 3 or not 2 <= self.shares <= self.regions**2:
            raise ValueError(
                f"There are {self.regions} regions a side, {self.shares} shares and {self.random_orders} random orders; expected "
                "2 or more regions, 2 shares or more but no more than regions, and 3 or more random orders."
            )


@dataclass(frozen=True, eq=False)
class Curves:
    """What the answer is as more and more of each picture is covered, or uncovered, in nats for the target."""

    deletion: Tensor
    """[B,K+1] from the whole picture to nothing."""
    insertion: Tensor
    """[B,K+1] from nothing to the whole picture."""
    random_deletion: Tensor
    """[B,N,K+1]."""
    random_insertion: Tensor
    """[B,N,K+1]."""
    orders: Tensor
    """[B,P] the regions in the map's order: what speaks most for the answer comes first."""

    def area(self, curves: Tensor, image: int) -> Tensor:
        """The area below curves [...,K+1], where the whole picture is 1 and nothing of it is 0, [...]."""
        whole, nothing = self.deletion[image, 0], self.deletion[image, -1]
        return torch.trapezoid((curves - nothing) / (whole - nothing), dx=1 / (curves.shape[-1] - 1), dim=-1)

    def gain(self, image: int) -> float:
        """Insertion's area minus deletion's: 1 at best, 0 for an order that knows nothing."""
        return float(self.area(self.insertion[image], image) - self.area(self.deletion[image], image))

    @property
    def mean_gain(self) -> float:
        """The mean over the pictures that have one; NaN if none has."""
        gains = [self.gain(image) for image in range(len(self.deletion)) if self.decided(image)]
        return sum(gains) / len(gains) if gains else float("nan")

    def random_gains(self, image: int) -> Tensor:
        """The same of each random order, [N]."""
        return self.area(self.random_insertion[image], image) - self.area(self.random_deletion[image], image)

    def random_interval(self, image: int) -> tuple[float, float]:
        """Where `CONFIDENCE` of single random orders lie, by Student's t: their mean, plus and minus."""
        gains = self.random_gains(image).double()
        count = len(gains)
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * gains.std() * (1 + 1 / count) ** 0.5)
        return float(gains.mean()) - half, float(gains.mean()) + half

    def decided(self, image: int) -> bool:
        """Whether covering everything changes the answer at all; if not, there is no scale for areas."""
        return bool((self.deletion[image, 0] - self.deletion[image, -1]).abs() > 1e-4)

    def sentence(self, image: int) -> str:
        """What the curves of a picture say."""
        if not self.decided(image):
            return "Covering the whole picture does not change the answer: nothing can be said about the map."
        low, high = self.random_interval(image)
        gain = self.gain(image)
        told = f"Insertion minus deletion {gain:.2f}, random orders {low:.2f} to {high:.2f}".replace("-", "−")
        if gain > high:
            return f"{told}: the map finds what the answer rests on."
        if gain < low:
            return f"{told}: worse than chance; what the map calls strong speaks against the answer."
        return f"{told}: no better than a random order."


def measure(pictures: Tensor, map: Map, judge: Judge, covering: Covering | None = None, coverer: Coverer | None = None) -> Curves:
    """Deletion and insertion curves of a map of pictures [B,H,W,3 or 4].

    coverer: what covers them, if it is not the plain one of the covering.

    Raises:
        ValueError: pictures that don't belong to the map, more shares than regions.
    """
    covering = covering or Covering()
    coverer = coverer or plain(covering.cover)
    pictures = match_pictures(pictures, len(map.values), map.latent_size, map.downscale)
    size = tuple(pictures.shape[1:3])
    labels = region_labels(size, covering.regions)
    strengths = region_means(place(whole_scale(map), size, "cells"), labels)
    generator = torch.Generator().manual_seed(covering.seed)
    curves: list[tuple[Tensor, Tensor]] = []
    own_orders = []
    for picture, strength in zip(pictures, strengths, strict=True):
        hide = coverer(picture)
        ends = judge(hide(torch.stack([labels < 0, labels >= 0]))).float().cpu()  # nothing of it covered, and all of it
        own = strongest_first(strength, map.signed, ends)
        own_orders.append(own)
        orders = [own, *(torch.randperm(len(own), generator=generator) for _ in range(covering.random_orders))]
        both = [follow(hide, labels, order, covering.shares, judge, ends) for order in orders]
        curves.append((torch.stack([each[0] for each in both]), torch.stack([each[1] for each in both])))
    deletion, insertion = (torch.stack([curve[side] for curve in curves]) for side in (0, 1))
    return Curves(deletion[:, 0], insertion[:, 0], deletion[:, 1:], insertion[:, 1:], torch.stack(own_orders))


def strongest_first(strength: Tensor, signed: bool, answers: Tensor) -> Tensor:
    """The regions [P] from what speaks most for the answer on; answers [2] are those to the whole picture and to nothing of it.

    Where the picture speaks for the contrast, a signed map's values below 0 are what the answer rests on.
    """
    for_contrast = signed and bool(answers[0] < answers[1])
    return strength.argsort(descending=not for_contrast, stable=True)


def region_labels(size: Size, regions: int) -> Tensor:
    """Which of P nearly square regions each pixel belongs to, [H,W]: `regions` of them along the shorter side."""
    rows, columns = (min(side, max(1, round(regions * side / min(size)))) for side in size)
    down, across = torch.arange(size[0]) * rows // size[0], torch.arange(size[1]) * columns // size[1]
    return down[:, None] * columns + across


def region_means(values: Tensor, labels: Tensor) -> Tensor:
    """The mean of values [B,H,W] over each region, [B,P]."""
    flat, count = labels.flatten(), int(labels.max()) + 1
    sums = torch.zeros(len(values), count).index_add(1, flat, values.flatten(1))
    return sums / torch.bincount(flat, minlength=count)


def plain(kind: Cover) -> Coverer:
    """Covers that are the same for all places: the picture without detail, grey, or its mean colour.

    Raises:
        ValueError: "inpainted", which takes a model.
    """
    if kind == INPAINTED:
        raise ValueError("The cover 'inpainted' is painted by a diffusion model: connect one, or choose another cover.")

    def coverer(picture: Tensor) -> Hide:
        hidden = cover(picture, kind)
        return lambda places: torch.where(places[..., None], hidden, picture)

    return coverer


def cover(picture: Tensor, kind: Cover) -> Tensor:
    """The picture [H,W,3] covered as a whole: without detail, grey, or its mean colour."""
    if kind == "grey":
        return torch.full_like(picture, 0.5)
    if kind == "mean colour":
        return picture.mean((0, 1)).expand_as(picture)
    width = BLUR * min(picture.shape[:2])
    return torch.from_numpy(ndimage.gaussian_filter(picture.numpy(), (width, width, 0), mode="nearest"))


def first_places(labels: Tensor, order: Tensor, share: float) -> Tensor:
    """Where the first `share` of the regions lie, in an order [P], bool [H,W]."""
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    return ranks[labels] < round(share * len(order))


def follow(hide: Hide, labels: Tensor, order: Tensor, shares: int, judge: Judge, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Both curves of one order of regions, deletion and insertion, [K+1] each.

    ends [2] are the answers to the whole picture and to the covered one.

    Raises:
        ValueError: more shares than regions.
    """
    if len(order) < shares:
        raise ValueError(f"The picture has {len(order)} regions, fewer than the {shares} shares. Choose fewer shares.")
    first = torch.stack([first_places(labels, order, number / shares) for number in range(1, shares)])
    curves = []
    for places, (begin, end) in ((first, ends.split(1)), (~first, ends.flip(0).split(1))):
        answers = [judge(hide(part)).float().cpu() for part in places.split(PICTURES)]
        curves.append(torch.cat([begin, *answers, end]))
    return curves[0], curves[1]
