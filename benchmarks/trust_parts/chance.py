"""Pictures of nothing but noise, and questions whose answer is known: how often a map, an interval or a race is wrong by chance.

Shapes: R noise samples, S steps, C latent channels, h w latent size, K labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...nodes.maths.answers.rivals import Contest
from ...nodes.maths.answers.verdict import judge
from ...nodes.maths.method.difference import Reading, sum_steps
from ...nodes.maths.method.heatmap import make_heatmap
from ...nodes.maths.method.noising import NoisedLatents, draw_noise
from ...nodes.maths.method.prediction import NoisePredictions, collect
from ...nodes.maths.method.reading import read_map
from ..known_answer import Gaussians, wrapped
from .asking import Answer

SIDE, STEPS, CHANNELS = 16, 10, 3
ALIKE, LAST_ALONE = torch.ones(STEPS), torch.logspace(-2, 0, STEPS)
"""How large the differences are in each step; in the second, the last one carries nearly all variance."""
LONG_ALIKE, LONG_LAST_ALONE = torch.ones(2 * STEPS), torch.logspace(-2, 0, 2 * STEPS)
"""The same for schedules that are long enough for Rival Labels to test after a part of the steps."""


def noised(seed: int, samples: int, antithetic: bool, x0: Tensor | None = None, steps: int = STEPS) -> NoisedLatents:
    """A picture of nothing, or one that is given, at levels that are evenly spread in log SNR."""
    x0 = torch.zeros(1, CHANNELS, SIDE, SIDE) if x0 is None else x0
    sigmas, channels = torch.logspace(math.log10(14.6), math.log10(0.03), steps), torch.ones(x0.shape[1])
    noise = draw_noise(tuple(x0.shape[1:]), seed, samples, steps, True, antithetic)
    return NoisedLatents(x0, noise, sigmas, torch.ones(steps), channels, 0 * channels, antithetic=antithetic)


def smooth(fields: Tensor, width: float = 3.0) -> Tensor:
    """Fields [...,h,w] blurred on a ring, of the same variance: their cells have errors in common."""
    places = torch.fft.fftfreq(fields.shape[-1])
    damping = torch.exp(-((places[:, None] ** 2 + places**2) * (2 * math.pi * width) ** 2) / 2)
    return torch.fft.ifft2(torch.fft.fft2(fields) * damping).real / damping.square().mean().sqrt()


def independent_noise(seed: int, samples: int, antithetic: bool = False, sizes: Tensor = ALIKE) -> NoisePredictions:
    """Both prompts' predictions are off by noise of their own in every cell, of the same size: neither is the better one."""
    generator = torch.Generator().manual_seed(seed)
    levels = noised(seed, samples, antithetic)
    shape = (2, samples, STEPS, 1, CHANNELS, SIDE, SIDE)
    errors = 0.3 * sizes.view(1, 1, -1, 1, 1, 1, 1) * torch.randn(shape, generator=generator)
    return NoisePredictions(levels, *(levels.noise.unsqueeze(2) + errors), "a", "b")


def smooth_swaps(seed: int, samples: int, antithetic: bool = False, sizes: Tensor = ALIKE) -> NoisePredictions:
    """Two prompts that differ by smooth fields, swapped by smooth coins for each estimate and step: no place speaks for one."""
    generator = torch.Generator().manual_seed(seed)
    levels = noised(seed, samples, antithetic)
    fields, offset = smooth(torch.randn(2, 1, STEPS, 1, CHANNELS, SIDE, SIDE, generator=generator))
    estimates = samples // 2 if antithetic else samples
    coins = smooth(torch.randn(estimates, STEPS, 1, 1, SIDE, SIDE, generator=generator)).sign()
    half = 0.3 * sizes.view(1, -1, 1, 1, 1, 1) * fields * (coins.repeat_interleave(2, dim=0) if antithetic else coins)
    both = levels.noise.unsqueeze(2) + 0.1 * offset
    return NoisePredictions(levels, both + half, both - half, "a", "b")


def network_swaps(answer: Answer, seed: int) -> NoisePredictions:
    """What the model said of a drawing, both prompts swapped by a coin for each antithetic pair and step."""
    target, contrast = (answer.predictions[side].float() for side in ("target", "contrast"))
    generator = torch.Generator().manual_seed(seed)
    heads = torch.rand(len(target) // 2, target.shape[1], generator=generator) < 0.5
    swapped = heads.repeat_interleave(2, dim=0)[..., None, None, None, None]
    both = torch.where(swapped, contrast, target), torch.where(swapped, target, contrast)
    return NoisePredictions(answer.noised, *both, "a", "b")


def is_taken_for_more(predictions: NoisePredictions, reading: Reading) -> bool:
    """Whether a map of nothing but noise is not called so."""
    summed = sum_steps(predictions, 0, None, reading, "information")
    return make_heatmap(read_map(summed), reliability="reliable only").note(0) == ""


def has_nothing_within(predictions: NoisePredictions) -> bool:
    """Whether the verdict's 95 % interval contains 0, the truth where neither prompt is the better one."""
    verdict = judge(predictions)
    return bool(verdict.log_odds.abs()[0] <= verdict.half_width[0])


def gaussians_within(seed: int, samples: int, antithetic: bool, spreads: tuple[float, float] = (1.0, 1.0)) -> bool:
    """Whether the 95 % interval contains the exact log-odds of two Gaussian classes, with steps as few as 10."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(2, 1, generator=generator) / 4
    classes = [Gaussians(mean, mean, spread) for mean, spread in zip(means, spreads, strict=True)]
    x0 = means[0] + spreads[0] * torch.randn(1, 1, SIDE, SIDE, generator=generator)
    ask = {side: wrapped(one, "eps") for side, one in zip(("target", "contrast"), classes, strict=True)}
    levels = noised(seed, samples, antithetic, x0)
    verdict = judge(collect(levels, lambda x, sigma, side: ask[side](x, sigma, side), chunk=samples * STEPS))
    logs = [
        -((x0.double() - mean) ** 2) / (2 * spread**2) - math.log(spread) for mean, spread in zip(means, spreads, strict=True)
    ]
    exact = (logs[0] - logs[1]).sum()
    return bool((verdict.log_odds[0] - exact).abs() <= verdict.half_width[0])


def drops_the_best(seed: int, labels: int, samples: int, antithetic: bool, sizes: Tensor, smoothly: bool) -> bool:
    """Whether a race of labels that are all equally good drops the first one, which may be called the best."""
    generator = torch.Generator().manual_seed(seed)
    levels, shape = noised(seed, samples, antithetic, steps=len(sizes)), (labels, samples, len(sizes), 1, CHANNELS, SIDE, SIDE)
    errors = torch.randn(shape, generator=generator)
    errors = 0.3 * sizes.view(1, 1, -1, 1, 1, 1, 1) * (smooth(errors) if smoothly else errors)
    predictions = list(levels.noise.unsqueeze(2) + errors)
    contest = Contest(levels, [str(label) for label in range(labels)])
    while contest.needed() is not None:
        contest.look(predictions)
    return bool(contest.out[0, 0])


def network_nulls(answers: list[Answer], trials: int) -> Iterator[NoisePredictions]:
    """So many swaps, the drawings in turns."""
    for seed in range(trials):
        yield network_swaps(answers[seed % len(answers)], seed)
