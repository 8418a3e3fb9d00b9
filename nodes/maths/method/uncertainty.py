"""How sure a mean is, over noise samples or from how the steps scatter: its standard error, for sums over a schedule."""

from __future__ import annotations

import torch
from scipy import stats
from torch import Tensor

BLOCKS = 8  # a picture is cut into so many blocks along either side
FEWEST_BLOCKS = 16  # with fewer, the steps' variances are not compared by them
NEIGHBOURS = 2.0  # steps: how far the ratio of total to blocks is averaged if there are two estimates


def independent(values: Tensor, antithetic: bool) -> Tensor:
    """The independent estimates among R noise samples, [R,...] to [N,...]: each sample, or each antithetic pair's mean.

    The two halves of a pair (samples 2k and 2k + 1) have opposite noise, so that only their mean is an estimate of its own.
    """
    return values.unflatten(0, (-1, 2)).mean(dim=1) if antithetic else values


def variance_of_mean(values: Tensor, antithetic: bool) -> Tensor | None:
    """Squared standard error of the mean over R noise samples, [R,...] to [...].

    None if there is a single estimate (one sample, or one antithetic pair): it has no spread.
    """
    estimates = independent(values, antithetic)
    count = len(estimates)
    if count < 2:
        return None
    # by hand: torch.var takes 20 times as long across a few large maps
    deviations = estimates - estimates.mean(dim=0)
    return deviations.square().sum(dim=0) / (count * (count - 1))


def products_of_pairs(values: Tensor, antithetic: bool) -> Tensor:
    """Independent estimates two by two, multiplied and added up over the channels, [R,B,K,h,w] to [P,B,h,w].

    The first with the second, the third with the fourth and so on: P products that are independent of each other. The mean of a
    product is the square of what both estimate, without the variance that is in a mean of squares; if there is nothing to
    estimate, its sign is random.
    """
    estimates = independent(values, antithetic)
    whole = len(estimates) // 2 * 2
    return (estimates[0:whole:2] * estimates[1:whole:2]).sum(dim=2)


class Spread:
    """How much independent estimates of a sum over steps differ and how often they agree, gathered step by step.

    For a reading without a sign squares are tested by products of independent estimates, see `products_of_pairs`.
    """

    def __init__(self, samples: int, antithetic: bool, fresh_noise: bool, signed: bool) -> None:
        self.antithetic, self.fresh_noise, self.signed = antithetic, fresh_noise, signed
        self.estimates = samples // 2 if antithetic else samples
        self.agreeing: Tensor | None = None
        """[B] in how many comparisons two estimates of a step's whole map are alike; None if the steps share one noise."""
        self.compared = 0
        self._variance = self._tested = self._products = torch.zeros(())

    def add(self, part: Tensor, difference: Tensor, weight: float) -> None:
        """A step's reading with its weight in it, [R,B,K,h,w], and its difference d of the predictions without, [R,B,C,h,w].

        What has no weight is not compared, but there all the same: a range may hold nothing else.
        """
        if self.estimates < 2:
            return
        products = products_of_pairs(part if self.signed else difference, self.antithetic)
        if self.fresh_noise:
            counts = weight != 0
            alike = counts * (products.sum(dim=(2, 3)) > 0).sum(dim=0)
            self.agreeing = alike if self.agreeing is None else self.agreeing + alike
            self.compared += counts * len(products)
        if not self.signed:
            self._gather(weight / 2 * products[:, :, None])
        elif self.fresh_noise:
            self._variance = self._variance + _known(variance_of_mean(part, self.antithetic))

    def _gather(self, products: Tensor) -> None:
        self._tested = self._tested + products.mean(dim=0)
        self._products = self._products + products / len(products)
        if self.fresh_noise:
            self._variance = self._variance + (products / len(products)).square().sum(dim=0)

    def result(self, values: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The squared standard error of the sum `values` [R,B,K,h,w], and the products tested instead if it has no sign."""
        if self.estimates < 2:
            return None, None
        if self.signed:
            return (self._variance if self.fresh_noise else variance_of_mean(values, self.antithetic)), None
        return (self._variance if self.fresh_noise else self._products.square().sum(dim=0)), self._tested


def _known(variance: Tensor | None) -> Tensor:
    return torch.zeros(()) if variance is None else variance


def error_of_sum(parts: Tensor, antithetic: bool, fresh_noise: bool) -> Tensor | None:
    """Standard error of the mean over samples of the sum over steps; parts [R,S,...] to [...], None as `variance_of_mean`."""
    variances = variances_of_sum(parts, antithetic, fresh_noise)
    return None if variances is None else variances.sum(dim=0).sqrt()


def variances_of_sum(parts: Tensor, antithetic: bool, fresh_noise: bool) -> Tensor | None:
    """The variances whose sum is the square of `error_of_sum`, [S,...], or [1,...] of the whole sum.

    fresh_noise: every step has noise of its own. The steps' errors are then independent and their variances add up, each
    estimated from few samples, but all of them together from many. Otherwise all steps share one noise, and only the
    spread of the sums is known.
    """
    return variance_of_mean(parts if fresh_noise else parts.sum(dim=1, keepdim=True), antithetic)


def error_of_total(totals: Tensor, weights: Tensor, log_snr: Tensor, antithetic: bool, fresh_noise: bool) -> Tensor | None:
    """Standard error [B] of the sum of the steps' totals, [R,n,B] with their weights [n] in them.

    From the samples; where they are a single estimate, from how the steps scatter, see `scatter_of_steps`; None if neither tells.
    """
    error = error_of_sum(totals, antithetic, fresh_noise)
    if error is not None:
        return error
    scattered = scatter_of_steps(totals, weights, log_snr, fresh_noise)
    return None if scattered is None else scattered[0].sum(dim=0).sqrt()


def sum_blocks(values: Tensor) -> Tensor:
    """Sums over the blocks of a picture, [...,h,w] to [...,P]: at most `BLOCKS` along either side, nearly equal in size."""
    height, width = values.shape[-2:]
    rows, columns = (torch.arange(size) * min(BLOCKS, size) // size for size in (height, width))
    across = min(BLOCKS, width)
    block = (rows[:, None] * across + columns).flatten()
    out = values.new_zeros(*values.shape[:-2], min(BLOCKS, height) * across)
    return out.index_add(-1, block, values.flatten(-2))


def variance_of_total(parts: Tensor, blocks: Tensor, antithetic: bool, fresh_noise: bool) -> tuple[Tensor, Tensor] | None:
    """Squared standard error of a total over steps and cells, and on how many degrees of freedom it rests; [B] float64 each.

    parts [R,S,B] each step's total, blocks [R,S,B,P] the same by `sum_blocks`. None as `variance_of_mean`.

    Two estimates of a step's total give its variance one degree of freedom, and where one step carries nearly all of it, a small
    value there makes an interval that is far too short, whatever Student's t does. So each step's variance is also taken from
    the blocks, which are many, times the ratio of total to blocks (the blocks' errors are correlated) as its neighbours in the
    schedule have it; the larger sum of both counts. The degrees are halved, since the ratio is not quite the same everywhere.
    """
    own = variances_of_sum(parts.double(), antithetic, fresh_noise)
    of_blocks = variances_of_sum(blocks.double(), antithetic, fresh_noise)
    if own is None or of_blocks is None:
        return None
    estimates = len(independent(parts, antithetic))
    total = own.sum(dim=0)
    fewest = torch.full_like(total, estimates - 1)
    if len(own) == 1 or blocks.shape[-1] < FEWEST_BLOCKS:
        whole = variance_of_mean(parts.double().sum(dim=1), antithetic)
        return None if whole is None else (whole, fewest)
    expected = of_blocks.sum(dim=-1)
    kernel = _near(len(own), NEIGHBOURS / (estimates - 1))
    ratio = (own / expected).nan_to_num(1.0)
    shares = kernel.T @ expected  # what each step's own variance contributes if all ratios are the same
    degrees = (estimates - 1) * shares.sum(dim=0).square() / shares.square().sum(dim=0)
    pooled = ((kernel @ ratio) * expected).sum(dim=0)
    return torch.maximum(total, pooled), torch.maximum(degrees.nan_to_num(0) / 2, fewest)


def _near(steps: int, width: float) -> Tensor:
    """How much each step counts for each other one: Gaussian in their distance, rows adding up to 1, [S,S]."""
    distance = torch.arange(steps, dtype=torch.float64)
    weights = torch.exp(-((distance[:, None] - distance) ** 2) / (2 * width**2))
    return weights / weights.sum(dim=1, keepdim=True)


def scatter(density: Tensor, log_snr: Tensor) -> tuple[Tensor, float]:
    """Each step's variance, [n,B], from how far it lies off the line between its neighbours, and their degrees of freedom.

    r_i = y_i - c y_(i-1) - (1 - c) y_(i+1), the straight line's c; variance r_i^2 / (1 + c^2 + (1 - c)^2): the estimator of
    Gasser, Sroka and Jennen-Steinmetz (1986). What curves counts as scatter too. The ends have their neighbour's. Neighbouring
    residuals share steps, so that two count as one degree. No degrees for less than 3 steps. Pure noise (log SNR -inf) is too far
    away for a line: the step after it is compared with the one that follows.
    """
    if len(density) < 3:
        return torch.full_like(density, torch.inf), 0.0
    before, here, after = log_snr[:-2], log_snr[1:-1], log_snr[2:]
    c = ((after - here) / (after - before))[:, None].nan_to_num(0.5)
    residuals = density[1:-1] - c * density[:-2] - (1 - c) * density[2:]
    inner = residuals.square() / (1 + c.square() + (1 - c).square())
    return torch.cat([inner[:1], inner, inner[-1:]]), max(1.0, (len(density) - 2) / 2)


def scatter_of_steps(totals: Tensor, weights: Tensor, log_snr: Tensor, fresh_noise: bool) -> tuple[Tensor, Tensor] | None:
    """Squared standard error of each step's total, [n,B] with 0 where it does not count, and degrees of freedom of them all, [B].

    From how the means over the samples scatter; totals [R,n,B] with their weights [n] in them. None for less than 3 steps that
    count, and if all have the same noise: then they do not scatter by it.
    """
    counts = weights > 0
    variances, degrees = scatter(totals[:, counts].mean(dim=0) / weights[counts, None], log_snr[counts])
    if not degrees or not fresh_noise:
        return None
    out = torch.zeros_like(totals[0])
    out[counts] = variances * weights[counts, None].square()
    return out, torch.full_like(out[0], degrees)


def variance_for_test(totals: Tensor, weights: Tensor, log_snr: Tensor, fresh_noise: bool) -> tuple[Tensor, Tensor] | None:
    """Squared standard error of the sum of the steps' totals, and on how many degrees of freedom it rests; [B] each.

    `scatter_of_steps` for a test that keeps its level wherever the noise stands; arguments and None as there. Where few steps
    carry nearly all of it, few residuals tell it: there are half as many degrees as steps of equal variance would give the same
    (sum v)^2 / sum v^2, but 2 where the steps have as many: a sum of few terms is not much larger than the root of their squares.
    And a residual hardly depends on an end that is far from its neighbour: an end has at least the variance that its difference
    from that neighbour tells. It was tried, with 4 to 25 steps, for confidences from 0.99 on; at lower ones it is too short.
    """
    scattered = scatter_of_steps(totals, weights, log_snr, fresh_noise)
    if scattered is None:
        return None
    counts = weights > 0
    variances, degrees = scattered[0][counts], scattered[1]
    density = totals[:, counts].mean(dim=0) / weights[counts, None]
    of_ends = (density[[1, -2]] - density[[0, -1]]).square() / 2 * weights[counts][[0, -1], None].square()
    variances[[0, -1]] = torch.maximum(variances[[0, -1]], of_ends)
    total = variances.sum(dim=0)
    carrying = (total.square() / variances.square().sum(dim=0)).nan_to_num(0)
    return total, torch.minimum(degrees, (carrying / 2).clamp(min=2))


def reach(variance: Tensor, degrees: Tensor, level: float) -> Tensor:
    """How far off a mean may be, [...,B], by a level of Student's t: squared standard error [...,B], degrees of freedom [B]."""
    return torch.from_numpy(stats.t.ppf(level, degrees.numpy())) * variance.sqrt()
