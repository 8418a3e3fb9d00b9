"""How sure a mean over noise samples is: its standard error, for sums over the steps of a schedule."""

from __future__ import annotations

import torch
from torch import Tensor


def independent(values: Tensor, antithetic: bool) -> Tensor:
    """The independent estimates among R noise samples, [R,...] to [N,...]: each sample, or each antithetic pair's mean.

    The two halves of a pair (samples 2k and 2k + 1) have opposite noise, so that only their mean is an estimate of its own.
    """
    return values.unflatten(0, (-1, 2)).mean(dim=1) if antithetic else values


def error_of_sum(parts: Tensor, antithetic: bool, fresh: bool) -> Tensor | None:
    """Standard error of the mean over samples of the sum over steps; parts [R,S,...] to [...], None where it can't be known.

    fresh: every step has noise of its own. The steps' errors are then independent and their variances add up, each
    estimated from N estimates, which is reliable even for N = 2 where there are many steps. Otherwise all steps share one
    noise, and only the spread of the N sums tells. A single estimate (one sample, or one antithetic pair) has no spread.
    """
    estimates = independent(parts, antithetic)
    if len(estimates) < 2:
        return None
    variance = estimates.var(dim=0).sum(dim=0) if fresh else estimates.sum(dim=1).var(dim=0)
    return torch.sqrt(variance / len(estimates))
