"""How sure a mean over noise samples is: its standard error, for sums over the steps of a schedule."""

from __future__ import annotations

from torch import Tensor


def independent(values: Tensor, antithetic: bool) -> Tensor:
    """The independent estimates among R noise samples, [R,...] to [N,...]: each sample, or each antithetic pair's mean.

    The two halves of a pair (samples 2k and 2k + 1) have opposite noise, so that only their mean is an estimate of its own.
    """
    return values.unflatten(0, (-1, 2)).mean(dim=1) if antithetic else values


def variance_of_mean(values: Tensor, antithetic: bool) -> Tensor | None:
    """Squared standard error of the mean over R noise samples, [R,...] to [...].

    None where there is a single estimate (one sample, or one antithetic pair): it has no spread.
    """
    estimates = independent(values, antithetic)
    count = len(estimates)
    if count < 2:
        return None
    # by hand: torch.var takes 20 times as long across a few large maps
    deviations = estimates - estimates.mean(dim=0)
    return deviations.square().sum(dim=0) / (count * (count - 1))


def error_of_sum(parts: Tensor, antithetic: bool, fresh: bool) -> Tensor | None:
    """Standard error of the mean over samples of the sum over steps; parts [R,S,...] to [...], None as `variance_of_mean`."""
    variances = variances_of_sum(parts, antithetic, fresh)
    return None if variances is None else variances.sum(dim=0).sqrt()


def variances_of_sum(parts: Tensor, antithetic: bool, fresh: bool) -> Tensor | None:
    """The variances that add up to that of what `error_of_sum` is the error of, [S,...], or [1,...] of the whole sum.

    fresh: every step has noise of its own. The steps' errors are then independent and their variances add up, each
    estimated from few samples, but all of them together from many. Otherwise all steps share one noise, and only the
    spread of the sums tells.
    """
    return variance_of_mean(parts if fresh else parts.sum(dim=1, keepdim=True), antithetic)


def degrees_of_freedom(variances: Tensor, estimates: int) -> Tensor:
    """How many squared deviations a sum of variances rests on (Satterthwaite 1946), [S,...] to [...].

    Each of the S variances was estimated from `estimates` values; those that are largest count most. Where all are 0, what one
    of them rests on.
    """
    shares = variances / variances.sum(dim=0)
    return ((estimates - 1) / shares.square().sum(dim=0)).nan_to_num(estimates - 1)
