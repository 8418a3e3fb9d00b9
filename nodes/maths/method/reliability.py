"""Which values of a map are more than noise: the values beside their standard errors, and beside what chance gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from scipy import stats
from torch import Tensor

from .difference import NoiseDifference

if TYPE_CHECKING:
    from .scalar import Scalar

Reliability = Literal["all", "reliable only", "standard errors"]

CONFIDENCE = 0.99  # in how many of the maps of nothing but noise no more cells are reliable than are put down to chance
NAMES = {"difference": "difference", "absolute": "difference", "information": "information", "evidence": "evidence"}


@dataclass(frozen=True, eq=False)
class Significance:
    """The values of B maps in standard errors, and how many of them noise alone would take beyond a threshold."""

    ratios: Tensor
    """[B,h,w] value / standard error."""
    threshold: float
    """How many standard errors a value has to exceed to be called reliable."""
    chance: Tensor | None
    """[B] the probability that noise alone takes a cell beyond the threshold; None for magnitudes, which are above 0 anyway."""
    name: str
    """What the maps show, in a word."""

    @property
    def reliable(self) -> Tensor:
        """[B,h,w] which cells are beyond the threshold."""
        return self.ratios.abs() > self.threshold

    @property
    def counts(self) -> Tensor:
        """[B] how many cells of each map are."""
        return self.reliable.sum(dim=(1, 2))

    @property
    def cells(self) -> int:
        """How many cells a map has."""
        return self.ratios[0].numel()

    @property
    def found(self) -> Tensor:
        """[B] whether more cells are reliable than in 99 of 100 maps of nothing but noise (binomial: errors of different cells
        are taken as independent)."""
        if self.chance is None:
            return self.counts > 0
        return self.counts > torch.from_numpy(stats.binom.ppf(CONFIDENCE, self.cells, self.chance.numpy()))

    def shown(self, values: Tensor, reliability: Reliability) -> Tensor:
        """What of the values is shown, [B,h,w]: 0 everywhere in a map that is no more than noise, "all" excepted."""
        if reliability == "all":
            return values
        shown = self.ratios if reliability == "standard errors" else torch.where(self.reliable, values, 0.0)
        return torch.where(self.found[:, None, None], shown, 0.0)

    def words(self, image: int) -> str:
        """How many cells of a map are reliable, or that it holds nothing reliable."""
        cells, beyond = f"{self.counts[image]} of {self.cells} cells", f"beyond {self.threshold:g} standard errors"
        if self.chance is not None:
            expected = round(self.cells * float(self.chance[image]))
            cells += f" ({f'about {expected}' if expected else 'less than 1'} by chance)"
        if self.found[image]:
            return f"{beyond.capitalize()}: {cells}"
        return f"No reliable {self.name}: {beyond} lie {cells}"


def measure_significance(
    difference: NoiseDifference, scalar: Scalar, values: Tensor, threshold: float, rounding: float
) -> Significance | None:
    """The map `values` [B,h,w] of a sum in standard errors of at least what `rounding` makes; None where none is known.

    Chance is that of Student's t, or of F for the channel norm, with the degrees of freedom of the sum's variance.

    Raises:
        ValueError: a threshold that is not above 0.
    """
    if not 0 < threshold < math.inf:
        raise ValueError(f"The threshold is {threshold:g}; expected a number of standard errors above 0, 3 for example.")
    error = standard_error(difference, scalar)
    if error is None:
        return None
    ratios = values / error.clamp(min=rounding)
    chance = exceedance(difference, scalar, threshold) if difference.signed else None
    return Significance(ratios, threshold, chance, NAMES[difference.reading])


def standard_error(difference: NoiseDifference, scalar: Scalar) -> Tensor | None:
    """Standard error of each cell of a map, [B,h,w]; None where the samples can't tell, and for decoded luminance.

    "channel norm": sqrt(sum over C of the variance), the norm that noise alone has in the mean square. "channel mean":
    sqrt(sum over C of the variance) / C, which takes the errors of the channels as independent.
    """
    if difference.variance is None or scalar == "decoded luminance":
        return None
    error = difference.variance.sum(dim=1).sqrt()
    return error / difference.variance.shape[1] if scalar == "channel mean" else error


def exceedance(difference: NoiseDifference, scalar: Scalar, threshold: float) -> Tensor:
    """The probability that noise alone takes a cell's |value| beyond so many standard errors, [B] float64.

    (value / error)^2 follows F(1, degrees), which is Student's t, for a sum of signed errors, and F(channels, degrees) for the
    norm. `channels` is how many the variance is spread over: C where all vary alike, 1 where one varies alone (Satterthwaite).
    """
    variances = difference.variance.mean(dim=(2, 3)).double()
    channels = (variances.sum(dim=1).square() / variances.square().sum(dim=1)).nan_to_num(1.0)
    terms = channels if scalar == "channel norm" else torch.ones_like(channels)
    return torch.from_numpy(stats.f.sf(threshold**2, terms.numpy(), (difference.degrees * channels).numpy()))


def check_reliability(reliability: Reliability, difference: NoiseDifference, scalar: Scalar) -> None:
    """Refuse an unknown reliability, and one that needs a standard error where there is none.

    Raises:
        ValueError: as above.
    """
    if reliability not in get_args(Reliability):
        raise ValueError(f"The reliability is {reliability!r}; expected one of {', '.join(get_args(Reliability))}.")
    if reliability == "all":
        return
    if scalar == "decoded luminance":
        raise ValueError(
            f"The reliability {reliability!r} needs a standard error, which the scalar 'decoded luminance' does not have. Choose "
            "the scalar 'channel norm' or 'channel mean', or the reliability 'all'."
        )
    if difference.variance is None:
        raise ValueError(
            f"The reliability {reliability!r} needs a standard error. {missing_error(difference)} in Noise Latent Across "
            "Schedule, or choose the reliability 'all'."
        )


def missing_error(difference: NoiseDifference) -> str:
    """Why a sum has no standard error, and what to do, without a full stop."""
    single = "One noise sample" if len(difference.values) == 1 else "One antithetic pair"
    return f"{single} has none: take 4 samples or more"
