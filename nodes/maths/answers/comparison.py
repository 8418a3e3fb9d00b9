"""Two maps, or a map and a mask, brought to one size and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import check_shape
from ..method.heatmap import Heatmap, make_heatmap
from ..method.map import Map
from ..method.placing import covered_box, place
from .measures import (
    auroc,
    average_precision,
    grown,
    largest,
    largest_share,
    overlap,
    pointing,
    rank_correlation,
    relevance_mass,
)

Sign = Literal["magnitude", "positive", "negative", "signed"]

SIDES = {"magnitude": "its magnitude", "positive": "its positive side", "negative": "its negative side"}
TRUE = 0.5  # a mask's value from which a pixel belongs to it


@dataclass(frozen=True)
class Agreement:
    """How one image's map agrees with its reference; NaN if a measure has no meaning."""

    auroc: float
    precision: float
    iou: float
    pointing: float
    mass: float
    spearman: float

    @staticmethod
    def words() -> dict[str, str]:
        """What to call each measure."""
        return {
            "auroc": "AUROC",
            "precision": "average precision",
            "iou": "IoU at k",
            "pointing": "pointing game",
            "mass": "relevance mass",
            "spearman": "Spearman",
        }


UNDEFINED = Agreement(*[float("nan")] * len(fields(Agreement)))


@dataclass(frozen=True, eq=False)
class Comparison:
    """A map and what it is compared with, place by place: [B,H,W] each, where the latent covers the picture."""

    first: Map
    """The map, of B images."""
    second: Map | None
    """The map with which it is compared; None for a mask."""
    values: Tensor
    """[B,H,W] the map in -1 ... 1, each image by a scale of its own."""
    reference: Tensor
    """[B,H,W] the other map, likewise, or the mask as 0 and 1."""
    truth: Tensor
    """[B,H,W] bool: the mask, or the other map's largest values."""
    counted: Tensor
    """[B,H,W] bool: the places that are measured."""
    tolerance: int
    """How far from the truth, in places, the largest value may lie and still count as on it: half a latent cell."""
    share: float
    """Which share of the other map's places counts as true; 0 for a mask."""

    @property
    def images(self) -> int:
        """B, the number of images."""
        return len(self.values)

    @cached_property
    def chosen(self) -> Tensor:
        """[B,H,W] bool: as many of the map's largest values as there are true places, or nearly, see `measures.largest`."""
        return torch.stack(
            [
                _largest_of(values, counted, int(truth.sum()))
                for values, truth, counted in zip(self.values, self.truth, self.counted, strict=True)
            ]
        )

    @property
    def mean(self) -> Agreement:
        """The mean of each measure over the images where it has a meaning."""
        return mean_agreement([self.agreement(image) for image in range(self.images)])

    def truth_share(self, image: int) -> float:
        """The share of the counted places that is true."""
        return (self.truth[image].sum() / self.counted[image].sum().clamp(min=1)).item()

    def note(self, image: int) -> str:
        """Why measures of an image are missing, "" if none are missing."""
        obstacle = self._obstacle(image)
        if obstacle or (self.values[image][self.counted[image]] > 0).any():
            return obstacle
        return "The map has no values above 0: it has no relevance mass. Choose the sign 'magnitude' or 'negative'."

    def _obstacle(self, image: int) -> str:
        """Why there is a ranking at most, "" if there is more."""
        counted, truth = self.counted[image], self.truth[image]
        other = "the mask" if self.second is None else "the second map"
        if not counted.any():
            return "Nothing is measured: the mask inside is empty where the map lies."
        if self.second is not None and _is_constant(self.reference[image][counted]):
            return "The second map has one value everywhere: there is nothing to agree with."
        if not truth.any():
            return f"Nothing is true: {other} is empty where the map lies."
        if truth[counted].all():
            return f"Everything is true: {other} covers all that is measured."
        if _is_constant(self.values[image][counted]):
            return "The map has one value everywhere: it ranks nothing and points nowhere."
        return ""

    def agreement(self, image: int) -> Agreement:
        """All measures of one image; those that have no meaning are NaN, and `note` says why.

        A constant map's AUROC and precision are those of chance.
        """
        counted, truth = (mask[image].numpy() for mask in (self.counted, self.truth))
        if not truth.any() or truth[counted].all() or not counted.any():
            return UNDEFINED
        values, reference = (array[image].numpy() for array in (self.values, self.reference))
        ranking = replace(
            UNDEFINED,
            auroc=auroc(values[counted], truth[counted]),
            precision=average_precision(values[counted], truth[counted]),
        )
        if self._obstacle(image):
            return ranking
        return replace(
            ranking,
            iou=overlap(largest_share(values[counted], int(truth.sum())), truth[counted]),
            pointing=pointing(np.where(counted, values, -np.inf), truth, self.tolerance),
            mass=relevance_mass(values[counted], truth[counted]),
            spearman=rank_correlation(values[counted], reference[counted]),
        )

    def chance(self, image: int) -> Agreement:
        """What a map of random values is expected to reach."""
        share = self.truth_share(image)
        near = grown(self.truth[image].numpy(), self.tolerance)[self.counted[image].numpy()]
        return Agreement(0.5, share, share / (2 - share), float(near.mean()) if near.size else float("nan"), share, 0.0)


def compare(
    first: Map, second: Map | Tensor, sign: Sign = "magnitude", share: float = 0.1, inside: Tensor | None = None
) -> Comparison:
    """Compare one side of a map, see `take_sign`, with the same side of another map, or with a mask.

    Raises:
        ValueError: what `take_sign`, `compare_with_mask` and `compare_maps` refuse.
    """
    taken = take_sign(first, sign)
    if isinstance(second, Tensor):
        return compare_with_mask(taken, second, inside)
    return compare_maps(taken, take_sign(second, sign), share, inside)


def compare_with_mask(first: Map, mask: Tensor, inside: Tensor | None = None) -> Comparison:
    """Compare a map with a mask at the mask's size, [B or 1,H,W]; a pixel is true from 0.5 on.

    The map is enlarged bilinearly to where its latent lies in a picture of that size; pixels that the latent does not cover
    are left out, and so is what lies outside of `inside` [B or 1,H,W].

    Raises:
        ValueError: a mask or `inside` of another kind, number or size.
    """
    check_mask(mask, "mask given as second", first)
    size = tuple(mask.shape[1:])
    if inside is not None:
        check_mask(inside, "mask inside", first)
        if tuple(inside.shape[1:]) != size:
            raise ValueError(
                f"The mask has {size[1]}×{size[0]} pixels and the mask inside {inside.shape[2]}×{inside.shape[1]}. "
                "Connect masks of one size."
            )
    images = shared_batch({"map": len(first.values), "mask": len(mask)} | _batch_of(inside))
    box = covered_box(size, first.latent_size, first.downscale)
    window = (slice(None), slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    truth = (mask[window].cpu() >= TRUE).expand(images, -1, -1)
    counted = torch.ones_like(truth) if inside is None else (inside[window].cpu() >= TRUE).expand(images, -1, -1)
    return Comparison(
        first=_repeated(first, images),
        second=None,
        values=place(whole_scale(first), size)[window].expand(images, -1, -1),
        reference=truth.float(),
        truth=truth & counted,
        counted=counted,
        tolerance=round(box.width / first.latent_size[1] / 2),
        share=0.0,
    )


def compare_maps(first: Map, second: Map, share: float = 0.1, inside: Tensor | None = None) -> Comparison:
    """Compare two maps of one picture; the second one's largest values, `share` of all places, count as true.

    Equal values at the boundary are all true or none, whichever is nearer to that share.

    Maps of different sizes meet at the smaller one, with the larger one averaged. A place counts if at least half of it lies in
    `inside` [B or 1,H,W], a mask of the picture's size.

    Raises:
        ValueError: maps of different shapes or numbers, a share that is not between 0 and 1, or `inside` of another kind,
            number or size.
    """
    if not 0 < share < 1:
        raise ValueError(f"The share is {share:g}; expected more than 0 and less than 1 of the second map's places.")
    images = shared_batch({"first map": len(first.values), "second map": len(second.values)} | _batch_of(inside))
    sizes = [tuple(map.values.shape[1:]) for map in (first, second)]
    (height, width), (taller, wider) = sorted(sizes)
    if abs(taller * width - wider * height) > max(taller, wider):
        raise ValueError(
            f"The first map has {sizes[0][1]}×{sizes[0][0]} places and the second one {sizes[1][1]}×{sizes[1][0]}: they are not "
            "of one picture. Connect two differences of the same image."
        )
    values, reference = (
        F.interpolate(whole_scale(map).levels[:, None], (height, width), mode="area")[:, 0].expand(images, -1, -1)
        for map in (first, second)
    )
    if inside is None:
        counted = torch.ones_like(values, dtype=torch.bool)
    else:
        check_mask(inside, "mask inside", first)
        box = covered_box(tuple(inside.shape[1:]), first.latent_size, first.downscale)
        pixels = (inside[:, box.top : box.top + box.height, box.left : box.left + box.width].cpu() >= TRUE).float()
        counted = F.interpolate(pixels[:, None], (height, width), mode="area")[:, 0].expand(images, -1, -1) >= 0.5
    truth = torch.stack(
        [
            _largest_of(of_image, places, max(1, round(share * int(places.sum()))))
            for of_image, places in zip(reference, counted, strict=True)
        ]
    )
    return Comparison(_repeated(first, images), _repeated(second, images), values, reference, truth, counted, 0, share)


def take_sign(map: Map, sign: Sign) -> Map:
    """The values of a map that are compared: a larger value claims more.

    "magnitude": |v|. "positive": v where it is above 0, else 0. "negative": -v where it is below 0, else 0. "signed": v, so that
    a value far below 0 claims least.

    Raises:
        ValueError: an unknown sign, or the negative side of a map without values below 0.
    """
    if sign not in get_args(Sign):
        raise ValueError(f"The sign is {sign!r}; expected one of {', '.join(get_args(Sign))}.")
    if sign == "negative" and not map.signed:
        raise ValueError("The sign is 'negative', but this map has no values below 0. Choose 'magnitude', or a signed scalar.")
    alone = replace(map, totals=(), floor=0.0)
    if not map.signed or sign == "signed":
        return alone
    one_sided = replace(alone, signed=False, quantity=f"{map.quantity}, {SIDES[sign]}", negative="no difference")
    if sign == "magnitude":
        return replace(one_sided, values=map.values.abs(), positive=map.strongest)
    if sign == "positive":
        return replace(one_sided, values=map.values.clamp(min=0))
    return replace(one_sided, values=(-map.values).clamp(min=0), positive=map.negative)


def whole_scale(map: Map) -> Heatmap:
    """The map on a scale that ends at each image's largest value, so that its levels keep all ranks; 0 for a constant one."""
    return make_heatmap(replace(map, floor=0.0), percentile=100, shared=False)


def check_mask(mask: Tensor, name: str, map: Map) -> None:
    """Refuse what is not a mask [B,H,W] of the map's picture, with at least a pixel to each latent cell.

    Raises:
        ValueError: as above, or NaN.
    """
    if mask.ndim != 3 or 0 in mask.shape:
        raise ValueError(f"The {name} has shape {list(mask.shape)}; expected [images, height, width]. Connect a MASK.")
    (height, width), (rows, columns) = mask.shape[1:], map.latent_size
    remedy = "Connect a mask of the picture's own size."
    if height < rows or width < columns:
        raise ValueError(f"The {name} has {width}×{height} pixels, but the map has {columns}×{rows} cells. {remedy}")
    check_shape((height, width), map.latent_size, map.downscale, name, remedy)
    if not torch.isfinite(mask).all():
        raise ValueError(f"The {name} contains NaN or infinity. Connect another mask.")


def shared_batch(batches: dict[str, int]) -> int:
    """The number of images of the inputs; an input with one image serves for all.

    Raises:
        ValueError: two different numbers above 1.
    """
    images = max(batches.values())
    if any(number not in (1, images) for number in batches.values()):
        counts = ", ".join(f"{number} of the {name}" for name, number in batches.items())
        raise ValueError(f"The numbers of images differ: {counts}. Connect as many of each, or one for all.")
    return images


def mean_agreement(agreements: Sequence[Agreement]) -> Agreement:
    """The mean over the images that could be measured; NaN if none could."""
    measured = np.array([astuple(agreement) for agreement in agreements])
    defined = np.isfinite(measured)
    sums = np.where(defined, measured, 0).sum(axis=0)
    return Agreement(*[float(s / n) if n else float("nan") for s, n in zip(sums, defined.sum(axis=0), strict=True)])


def _largest_of(values: Tensor, counted: Tensor, count: int) -> Tensor:
    """The `count` largest of the counted places, [H,W] bool."""
    chosen = torch.zeros_like(counted)
    if count and counted.any():
        chosen[counted] = torch.from_numpy(largest(values[counted].numpy(), count))
    return chosen


def _is_constant(values: Tensor) -> bool:
    return bool((values == values[0]).all())


def _repeated(map: Map, images: int) -> Map:
    """A map of one image for all of them."""
    return replace(map, values=map.values.expand(images, -1, -1))


def _batch_of(inside: Tensor | None) -> dict[str, int]:
    return {} if inside is None else {"mask inside": len(inside)}
