"""The difference of two noise predictions, summed over a range of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from .familiarity import recognise
from .noising import NoisedLatents, assumed_of_shares, to_vae_space
from .prediction import NoisePredictions
from .uncertainty import Spread, error_of_total

Reading = Literal["difference", "absolute", "information", "evidence", "combined"]
Weighting = Literal["uniform", "information"]
SIGNED = ("difference", "evidence")
"""The readings whose sign changes if the prompts are swapped."""
MOST_NAMED = 12
"""So many steps are named in an error at most."""
COMBINED: tuple[Reading, ...] = ("information", "evidence")
"""What the reading "combined" consists of."""
Direction = Literal["target - contrast", "contrast - target"]
Base = Literal["difference alone", "added to the image"]


@dataclass(frozen=True, eq=False)
class NoiseDifference:
    """One reading of two noise predictions, summed over the steps start ... end - 1, for each noise sample.

    The sign of "difference" is that of eps_target - eps_contrast: the sum is the noise that only the target sees, so it decodes
    to contrast minus target, and its negative leads to the target. "evidence" is positive where it speaks for the target.
    """

    values: Tensor
    """[R,B,K,h,w] in model space: K = C channels for "difference", 2 for "combined", 1 for all others."""
    reading: Reading
    """Which quantity was summed, see `sum_steps`."""
    weighting: Weighting
    """How much each step counted, see `step_weights`."""
    start: int
    """First step of the range."""
    end: int
    """The step after the last one of the range."""
    steps: int
    """S, the number of steps of the schedule."""
    target_label: str
    """What to call the target in legends; untrusted text of any length."""
    contrast_label: str
    """What to call the contrast in legends; untrusted text of any length."""
    latent_scale: Tensor
    """[C] VAE-space latent = model-space latent * latent_scale + latent_shift."""
    latent_shift: Tensor
    """[C] see latent_scale."""
    total_error: Tensor
    """[B] standard error of `total`, see `error_of_total`; NaN where it is unknown."""
    downscale: int = 8
    """Image pixels per latent cell, along one side."""
    single_frame: bool = False
    """Whether the VAE takes a picture for a video of one frame, [B,C,1,h,w]."""
    variance: Tensor | None = None
    """[B,K,h,w] squared standard error of `mean`; None if the samples are too few: one sample, or one antithetic pair."""
    tested: Tensor | None = None
    """[B,1,h,w] for readings without a sign, which are above 0 even where there is noise alone: products of independent
    estimates of d in place of squares, whose mean is 0 there; `variance` is then theirs. None for the others, and as above."""
    agreeing: Tensor | None = None
    """[B] in how many comparisons two independent estimates of a step's map are alike; None as above, and if all steps share
    one noise."""
    compared: Tensor | None = None
    """[B] how many such comparisons there are: noise alone agrees in half of them. None as above."""
    estimates: int = 1
    """How many independent estimates there are of every step."""
    familiarity: tuple[str, ...] = ()
    """Whether the model knows each image, in words; () if that is not known."""
    strange: tuple[bool, ...] = ()
    """Whether no sure answer is in order for each image: the model does not know it, or hardly."""
    asked: int | None = None
    """At how many steps of the range the model was asked, where that is not all of them."""
    weightless: tuple[bool, ...] = ()
    """Whether each image's steps are pure noise alone, which has no weight by information; () for none."""
    assumed: Tensor | None = None
    """[B] how much of `total` stands for the ends of the schedule, at which no step was asked; None for nothing."""

    @property
    def total(self) -> Tensor:
        """The mean over the noise samples, added up over all cells and channels, [B]."""
        return self.values.sum(dim=(2, 3, 4)).mean(dim=0)

    @property
    def mean(self) -> Tensor:
        """The mean over the noise samples, [B,K,h,w]."""
        return self.values.mean(dim=0)

    @property
    def signed(self) -> bool:
        """Whether swapping the prompts flips the sign."""
        return self.reading in SIGNED

    def to_vae(self, latent: Tensor) -> Tensor:
        """Model space [n,C,h,w] to VAE space, that of ComfyUI's LATENT: same shape, [n,C,1,h,w] if it is `single_frame`."""
        return to_vae_space(latent, self.latent_scale, self.latent_shift, self.single_frame)


def sum_steps(
    predictions: NoisePredictions,
    start: int = 0,
    end: int | None = None,
    reading: Reading = "difference",
    weighting: Weighting = "uniform",
) -> NoiseDifference:
    """Sum a reading of d = eps_target - eps_contrast over the steps start ... end - 1.

    "difference": sum of w * d, values [R,B,C,h,w], signed. "absolute": sum of w * mean over C of |d|, values [R,B,1,h,w],
    the map of DiffEdit (Couairon et al. 2022). "information": sum of w/2 * sum over C of d^2, unsigned. "evidence": sum of
    w/2 * sum over C of (noise - eps_contrast)^2 - (noise - eps_target)^2, positive where it speaks for the target; its total is
    the log-odds of a diffusion classifier (Li et al. 2023). Weighted by information, both are in nats for each latent cell (Kong
    et al. 2024). "combined": both of them, values [R,B,2,h,w], of which `scalar.combine` makes one unsigned number. The weights w
    are those of `step_weights`; end None means all steps. Where only some steps were asked, they
    stand for the others.

    Raises:
        ValueError: an empty range, one that leaves the schedule or where no step was asked, an unknown reading or weighting, or
            NaN.
    """
    noised = predictions.noised
    check_range(start, end, noised.steps)
    end = noised.steps if end is None else end
    asked = check_any_asked(noised, start, end)
    if reading not in get_args(Reading):
        raise ValueError(f"The reading is {reading!r}; expected one of {', '.join(get_args(Reading))}.")
    weights = step_weights(noised, weighting)
    values = torch.zeros(())
    totals, spread = [], Spread(noised.samples, noised.antithetic, noised.fresh_noise, reading in SIGNED)
    for step in asked:
        part = weights[step] * read_step(predictions, step, reading)
        values = values + part
        totals.append(part.sum(dim=(2, 3, 4)))
        spread.add(part, part if reading in SIGNED else read_step(predictions, step, "difference"), float(weights[step]))
    if not torch.isfinite(values).all():
        raise ValueError(
            "The noise predictions contain NaN or infinity, or are too large to be summed. Check the latent, the prompts and the "
            "model."
        )
    variance, tested = spread.result(values)
    familiarity, strange = recognise(predictions)
    return NoiseDifference(
        values=values,
        variance=variance,
        tested=tested,
        agreeing=spread.agreeing,
        compared=None if spread.agreeing is None else torch.full_like(spread.agreeing, spread.compared),
        estimates=noised.estimates,
        familiarity=tuple(map(str, familiarity)),
        strange=strange,
        total_error=_total_error(torch.stack(totals, dim=1), noised, asked, weights[asked]),
        assumed=_assumed(torch.stack(totals, dim=1), assumed_of_weights(noised, weighting)[asked]),
        reading=reading,
        weighting=weighting,
        weightless=(not weights[asked].any(),) * noised.images,
        start=start,
        end=end,
        steps=noised.steps,
        target_label=predictions.target_label,
        contrast_label=predictions.contrast_label,
        latent_scale=noised.latent_scale,
        latent_shift=noised.latent_shift,
        downscale=noised.downscale,
        single_frame=noised.single_frame,
        asked=None if noised.asked is None else len(asked),
    )


def _total_error(totals: Tensor, noised: NoisedLatents, asked: list[int], weights: Tensor) -> Tensor:
    """Standard error [B] of the sum of each asked step's total, [R,n,B] with its weight [n] in it; NaN if it is unknown."""
    error = error_of_total(totals, weights, noised.log_snr[asked], noised.antithetic, noised.fresh_noise)
    return torch.full(totals.shape[2:], math.nan) if error is None else error


def _assumed(totals: Tensor, parts: Tensor) -> Tensor | None:
    """How much of each image's total is assumed, [B], from each asked step's, [R,n,B], and its part that is, [n]."""
    return (totals.mean(dim=0) * parts[:, None]).sum(dim=0) if parts.any() else None


def join_images(sums: list[NoiseDifference]) -> NoiseDifference:
    """Several sums of the same predictions as one batch of images, with the words of the first."""
    return replace(
        sums[0],
        values=torch.cat([part.values for part in sums], dim=1),
        variance=_joined([part.variance for part in sums]),
        tested=_joined([part.tested for part in sums]),
        agreeing=_joined([part.agreeing for part in sums]),
        compared=_joined([part.compared for part in sums]),
        total_error=torch.cat([part.total_error for part in sums]),
        assumed=torch.cat([torch.zeros_like(part.total_error) if part.assumed is None else part.assumed for part in sums]),
        familiarity=tuple(words for part in sums for words in part.familiarity),
        strange=tuple(strange for part in sums for strange in part.strange),
        weightless=tuple(weightless for part in sums for weightless in part.weightless),
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None


def step_weights(noised: NoisedLatents, weighting: Weighting) -> Tensor:
    """How much each step counts, [S]: "uniform" 1, "information" its share of the log-SNR axis (delta-lambda).

    Where only n steps were asked, they stand for all: S / n each, or shares of the whole axis; the others count 0.

    Raises:
        ValueError: an unknown weighting.
    """
    if weighting == "uniform":
        return noised.step_counts
    if weighting == "information":
        return noised.step_shares
    raise ValueError(f"The weighting is {weighting!r}; expected one of {', '.join(get_args(Weighting))}.")


def assumed_of_weights(noised: NoisedLatents, weighting: Weighting) -> Tensor:
    """Which part of each of `step_weights` stands for the ends of the schedule, at which no step was asked, [S], 0 to 1.

    None of it where steps are weighted uniformly: an asked step then stands for so many others, wherever they are.
    """
    return assumed_of_shares(noised.log_snr, noised.asked) if weighting == "information" else torch.zeros(noised.steps)


def check_range(start: int, end: int | None, steps: int | None = None) -> None:
    """Refuse a range of steps that is empty, begins before step 0, or leaves a schedule of `steps` steps.

    An `end` of None stands for the end of the schedule, and `steps` of None for a schedule that is not known yet.

    Raises:
        ValueError: as above.
    """
    if start < 0 or (end is not None and end < 0):
        raise ValueError(f"The range is {start} to {end}; expected steps from 0 (the noisiest) on.")
    if end is not None and start >= end:
        raise ValueError(
            f"The range {start}-{end} is empty: start must be less than end. The end is not part of it: 10-20 means the "
            "steps 10 to 19."
        )
    if steps is not None and (start >= steps or (end or 0) > steps):
        raise ValueError(
            f"The range {start}-{'end' if end is None else end} goes past the schedule, which has {steps} steps "
            f"(0 to {steps - 1}). Choose a start below {steps} and an end of {steps} or less."
        )


def check_any_asked(noised: NoisedLatents, start: int, end: int) -> list[int]:
    """The steps of start ... end - 1 that were asked.

    Raises:
        ValueError: there is none.
    """
    asked = noised.asked_within(start, end)
    if not asked:
        steps = noised.asked_steps
        which = ", ".join(map(str, steps[:MOST_NAMED])) + (" …" if len(steps) > MOST_NAMED else "")
        raise ValueError(
            f"The model was asked at {len(steps)} of {noised.steps} steps ({which}), but at none of the range {start}-{end}. "
            "Take a range with one of these, or set the quality to exact: only the missing steps are then asked."
        )
    return asked


def latent(difference: NoiseDifference, x0: Tensor, direction: Direction, base: Base, strength: float = 1.0) -> Tensor:
    """A signed sum as a latent in VAE space, to decode: [B,C,h,w], the mean over the noise samples.

    Noise is removed, so D_target - D_contrast = -(sigma/alpha) * d, and "target - contrast" is
    strength * (-sum of d). It stands alone, or is added to the image's latent x0 [B,C,h,w] (model space).

    Raises:
        ValueError: another reading than the difference, a strength that is not finite, or an unknown direction or base.
    """
    if difference.reading != "difference":
        raise ValueError(f'The reading {difference.reading!r} is not a latent that can be decoded. Sum the reading "difference".')
    if not math.isfinite(strength):
        raise ValueError(f"The strength is {strength}; expected a finite factor, 1 for the sum as it is.")
    signs = dict(zip(get_args(Direction), (-1, 1), strict=True))
    if direction not in signs:
        raise ValueError(f"The latent_direction is {direction!r}; expected one of {', '.join(signs)}.")
    if base not in get_args(Base):
        raise ValueError(f"The latent_base is {base!r}; expected one of {', '.join(get_args(Base))}.")
    change = strength * signs[direction] * difference.mean
    return difference.to_vae(change if base == "difference alone" else x0 + change)


def read_step(predictions: NoisePredictions, step: int, reading: Reading) -> Tensor:
    """One step's reading without its weight, [R,B,K,h,w] float32: see `sum_steps`."""
    difference = predictions.target[:, step].float() - predictions.contrast[:, step].float()
    if reading == "absolute":
        return difference.abs().mean(dim=2, keepdim=True)
    if reading == "information":
        return difference.square().sum(dim=2, keepdim=True) / 2
    if reading == "evidence":
        # (e - b)^2 - (e - a)^2 = (a - b)(2e - (a + b)): no cancellation of large squares, and swapping a and b flips it exactly
        noise = predictions.noised.noise_of(step)[:, None]
        both = predictions.target[:, step].float() + predictions.contrast[:, step].float()
        return (difference * (2 * noise - both)).sum(dim=2, keepdim=True) / 2
    if reading == "combined":
        return torch.cat([read_step(predictions, step, part) for part in COMBINED], dim=2)
    return difference


def split_steps(steps: int, ranges: int) -> list[tuple[int, int]]:
    """The ranges (start, end), end not included, that cut 0 ... steps - 1 into parts as equal as can be, at most one a step.

    Raises:
        ValueError: less than one range.
    """
    if ranges < 1:
        raise ValueError(f"{steps} steps can't be cut into {ranges} ranges. Choose 1 to {steps} ranges.")
    ranges = min(ranges, steps)
    return list(pairwise(round(part * steps / ranges) for part in range(ranges + 1)))


def split_asked(noised: NoisedLatents, ranges: int) -> list[tuple[int, int]]:
    """As `split_steps`, with as many asked steps in each range as can be, and at most one range for each of them."""
    asked = noised.asked_steps
    starts = [asked[start] for start, _ in split_steps(len(asked), ranges)]
    return list(pairwise([0, *starts[1:], noised.steps]))


def sum_ranges(
    predictions: NoisePredictions, spans: list[tuple[int, int]], reading: Reading, weighting: Weighting
) -> NoiseDifference:
    """The sums of all ranges as one batch, values [R,ranges*B,K,h,w], so that they share a scale and one call of the decoder."""
    sums = [sum_steps(predictions, start, end, reading, weighting) for start, end in spans]
    return join_images(sums)
