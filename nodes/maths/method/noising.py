"""From an image's latent to noised latents at every level of a schedule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

FALL = 0.2
"""By how much for each unit of log SNR the evidence falls beyond the steps that were asked: at the clean end it stays behind what
the last asked step tells. Chosen on 45 drawn scenes, reported on others. Of Gaussians it falls by 1 far out."""


@dataclass(frozen=True, eq=False)
class NoisedLatents:
    """Everything that a noised latent x = alpha * x0 + sigma * noise is made of, for all samples, steps and images.

    The noised latents themselves are made on request by `at`: they would take S times the room of x0 and add nothing.
    All tensors are float32 on the CPU. One noise serves all images of a batch, so that a batch equals single runs.
    """

    x0: Tensor
    """[B,C,h,w] the images' latents in model space."""
    noise: Tensor
    """[R,S,C,h,w] unit Gaussian noise, or [R,1,C,h,w] where one noise serves every step."""
    sigmas: Tensor
    """[S] noise levels, falling and > 0; step 0 is the noisiest."""
    alphas: Tensor
    """[S] the image's factor at each level: 1 for variance exploding models, 1 - sigma for flow matching."""
    latent_scale: Tensor
    """[C] VAE-space latent = model-space latent * latent_scale + latent_shift."""
    latent_shift: Tensor
    """[C] see latent_scale."""
    downscale: int = 8
    """Image pixels per latent cell, along one side."""
    antithetic: bool = False
    """Whether the noise of every sample 2k + 1 is the negative of that of sample 2k."""
    single_frame: bool = False
    """Whether model and VAE take a picture for a video of one frame: [B,C,1,h,w] where the pack has [B,C,h,w]."""
    asked: tuple[int, ...] | None = None
    """Rising: the only steps that the model was asked about, where it was not asked about all; None for all of them."""

    def __post_init__(self) -> None:
        check_latent(self.x0)
        check_levels(self.sigmas, self.alphas)
        channels, height, width = self.x0.shape[1:]
        noise_steps = (1, self.steps)
        if self.noise.ndim != 5 or self.noise.shape[1] not in noise_steps or 0 in self.noise.shape:
            raise ValueError(
                f"The noise has shape {list(self.noise.shape)}; expected [samples, {self.steps} or 1 steps, channels, "
                "height, width]. Draw it with draw_noise for this schedule."
            )
        if self.noise.shape[2:] != self.x0.shape[1:]:
            raise ValueError(
                f"The noise is for latents of shape {list(self.noise.shape[2:])}, the image's latent has "
                f"{[channels, height, width]} (channels, height, width). Draw the noise for this latent."
            )
        if not torch.isfinite(torch.stack(self.noise.aminmax())).all():  # without a copy of all the noise
            raise ValueError("The noise contains NaN or infinity. Use another noise source or seed.")
        if self.antithetic and not _is_in_pairs(self.noise):
            raise ValueError(
                "The noise is said to come in antithetic pairs, but its samples are not each other's negative. Draw it with "
                "draw_noise, or leave antithetic off."
            )
        if self.asked is not None:
            check_asked(self.asked, self.steps)
        if self.latent_scale.shape != (channels,) or self.latent_shift.shape != (channels,):
            raise ValueError(
                f"latent_scale and latent_shift have shapes {list(self.latent_scale.shape)} and "
                f"{list(self.latent_shift.shape)}; expected one value for each of the {channels} channels."
            )

    @property
    def samples(self) -> int:
        """R, the number of noise samples."""
        return self.noise.shape[0]

    @property
    def steps(self) -> int:
        """S, the number of noise levels."""
        return self.sigmas.shape[0]

    @property
    def asked_steps(self) -> list[int]:
        """The steps that the model was asked about, rising: all of them, unless `asked` says which."""
        return list(range(self.steps) if self.asked is None else self.asked)

    @property
    def asked_count(self) -> int | None:
        """At how many steps the model was asked, where that is not all of them."""
        return None if self.asked is None else len(self.asked)

    @property
    def images(self) -> int:
        """B, the number of images."""
        return self.x0.shape[0]

    @property
    def estimates(self) -> int:
        """How many of the samples' means are independent of each other: R, or R / 2 antithetic pairs."""
        return self.samples // 2 if self.antithetic else self.samples

    @property
    def fresh_noise(self) -> bool:
        """Whether every step has noise of its own."""
        return self.noise.shape[1] == self.steps

    @cached_property
    def log_snr(self) -> Tensor:
        """lambda = 2 ln(alpha / sigma), [S], rising; -inf where alpha is 0 (flow matching at sigma = 1)."""
        return log_snr(self.sigmas, self.alphas)

    @cached_property
    def step_shares(self) -> Tensor:
        """Delta-lambda, [S]: each step's share of the lambda axis, see the function of this name; 0 for steps not asked."""
        return step_shares(self.log_snr, self.asked)

    @cached_property
    def step_counts(self) -> Tensor:
        """For how many steps each one stands, [S]: 1, or where only n were asked S / n for these and 0 for the others."""
        counts = torch.zeros(self.steps)
        counts[self.asked_steps] = self.steps / len(self.asked_steps)
        return counts

    def asked_within(self, start: int, end: int) -> list[int]:
        """The steps of start ... end - 1 that were asked."""
        return [step for step in self.asked_steps if start <= step < end]

    def only(self, asked: Collection[int], samples: int) -> NoisedLatents:
        """The same schedule with only these steps asked, and the first samples alone; pairs stay pairs if they are whole."""
        steps = tuple(sorted(asked))
        return replace(
            self,
            noise=self.noise[:samples],
            antithetic=self.antithetic and samples % 2 == 0,
            asked=None if len(steps) == self.steps else steps,
        )

    def noise_at(self, sample: int, step: int) -> Tensor:
        """The noise of one sample at one step, [C,h,w]."""
        return self.noise_of(step)[sample]

    def noise_of(self, step: int) -> Tensor:
        """The noise of all samples at one step, [R,C,h,w]."""
        return self.noise[:, min(step, self.noise.shape[1] - 1)]

    def at(self, sample: int, step: int) -> Tensor:
        """The noised latents of all images for one sample at one step, [B,C,h,w] in model space."""
        return add_noise(self.x0, self.noise_at(sample, step), self.sigmas[step], self.alphas[step])

    def viewable(self, sample: int = 0) -> Tensor:
        """One sample's noised latents at the scale of x0, to decode and look at: x / sqrt(alpha^2 + sigma^2), [S*B,C,h,w].

        That is the variance preserving form, the same picture for every model family at the same log SNR; undivided, a
        variance exploding latent is mere saturation. Step 0 comes first, within a step image 0; still in model space.
        """
        scales = (self.alphas**2 + self.sigmas**2).rsqrt()
        return torch.cat([self.at(sample, step) * scales[step] for step in range(self.steps)])

    def to_vae(self, latent: Tensor) -> Tensor:
        """Model space [n,C,h,w] to VAE space, that of ComfyUI's LATENT: same shape, [n,C,1,h,w] if it is `single_frame`."""
        return to_vae_space(latent, self.latent_scale, self.latent_shift, self.single_frame)


def check_latent(latent: Tensor, channels: int | None = None) -> None:
    """Refuse a latent that is not a finite [B,C,h,w] tensor, or that has other `channels` than the model takes.

    Raises:
        ValueError: nested or video latents, other dimensions, no cells, other channels, NaN or infinity.
    """
    if getattr(latent, "is_nested", False):
        raise ValueError(
            "The latent holds several latents in one (audio with video, for example). Only image latents can be "
            "explained: give one latent of shape [images, channels, height, width]."
        )
    if latent.ndim == 5:
        raise ValueError(
            f"The latent has shape {list(latent.shape)}: five dimensions are a video's. Only image latents can be "
            "explained: take single frames, [images, channels, height, width]."
        )
    if latent.ndim != 4 or 0 in latent.shape:
        raise ValueError(
            f"The latent has shape {list(latent.shape)}; expected [images, channels, height, width], none of them 0. "
            "Encode a picture with the model's VAE."
        )
    if channels is not None and latent.shape[1] != channels:
        raise ValueError(
            f"The latent has {latent.shape[1]} channels, but the model takes {channels}. Encode the picture with the "
            "VAE that belongs to this model."
        )
    if not torch.isfinite(latent).all():
        raise ValueError(
            "The latent contains NaN or infinity. Encode the picture again; where the VAE ran in half precision, "
            "start ComfyUI with --fp32-vae or --bf16-vae."
        )


def check_asked(asked: Sequence[int], steps: int) -> None:
    """Refuse a choice of steps that is empty, not rising, or leaves a schedule of `steps` steps.

    Raises:
        ValueError: as above.
    """
    rising = all(0 <= step < steps for step in asked) and all(first < second for first, second in pairwise(asked))
    if not asked or not rising:
        raise ValueError(
            f"The steps that were asked are {str(list(asked))[:60]}; expected at least one of the steps 0 to {steps - 1}, each "
            "once, the noisiest first."
        )


def check_levels(sigmas: Tensor, alphas: Tensor) -> None:
    """Refuse noise levels that are empty, not finite, not above 0, rising, or without a log SNR.

    Raises:
        ValueError: as above; sigmas and alphas are [S].
    """
    if sigmas.ndim != 1 or sigmas.numel() == 0:
        raise ValueError(
            f"The noise levels (SIGMAS) have shape {list(sigmas.shape)}: there is no step. Give at least one level "
            "above 0, the highest first."
        )
    if not torch.isfinite(sigmas).all():
        raise ValueError("The noise levels (SIGMAS) contain NaN or infinity. Give finite levels, the highest first.")
    if (sigmas <= 0).any():
        raise ValueError(
            f"The noise levels (SIGMAS) contain {sigmas.min().item():g}; expected levels above 0 (a final 0 is not "
            "a step; leave it out)."
        )
    rising = torch.nonzero(sigmas.diff() > 0)
    if rising.numel():
        step = int(rising[0])
        raise ValueError(
            f"The noise levels (SIGMAS) rise from {sigmas[step].item():g} at step {step} to "
            f"{sigmas[step + 1].item():g} at step {step + 1}; expected falling levels, step 0 the noisiest. Flip them."
        )
    if alphas.shape != sigmas.shape:
        raise ValueError(f"There are {sigmas.numel()} noise levels, but {alphas.numel()} image factors (alphas).")
    if not torch.isfinite(alphas).all() or (alphas < 0).any():
        raise ValueError(
            f"The noise levels (SIGMAS) run up to {sigmas.max().item():g}, where this model's share of the image is "
            f"{alphas.min().item():g}; it must be 0 or more. The levels were made for another kind of model."
        )


def add_noise(x0: Tensor, noise: Tensor, sigma: Tensor | float, alpha: Tensor | float) -> Tensor:
    """x_sigma = alpha * x0 + sigma * noise (variance exploding form for alpha = 1, flow matching for alpha = 1 - sigma).

    x0 and noise broadcast against each other, sigma and alpha are single values; the result has their joint shape.
    """
    return alpha * x0 + sigma * noise


def shared_levels(noised: NoisedLatents, other: NoisedLatents) -> dict[tuple[int, int], tuple[int, int]]:
    """Which (sample, step) of `noised` is a (sample, step) of `other` too, to the last bit: {of noised: of other}.

    More samples leave the earlier ones as they are (see `draw_noise`), so a sample is looked for at its own number only.
    """
    if noised.x0.shape != other.x0.shape or not torch.equal(noised.x0, other.x0):
        return {}
    other_steps = {level: step for step, level in enumerate(_levels(other))}
    same_level = [(step, other_steps[level]) for step, level in enumerate(_levels(noised)) if level in other_steps]
    return {
        (sample, step): (sample, other_step)
        for sample in range(min(noised.samples, other.samples))
        for step, other_step in same_level
        if torch.equal(noised.noise_at(sample, step), other.noise_at(sample, other_step))
    }


def _levels(noised: NoisedLatents) -> list[tuple[float, float]]:
    return list(zip(noised.sigmas.tolist(), noised.alphas.tolist(), strict=True))


def log_snr(sigmas: Tensor, alphas: Tensor) -> Tensor:
    """lambda = 2 ln(alpha / sigma), the log signal-to-noise ratio of each level, [S]; -inf where alpha is 0."""
    return 2 * (alphas.log() - sigmas.log())


def step_shares(log_snrs: Tensor, asked: Sequence[int] | None = None) -> Tensor:
    """Delta-lambda: each step's share of the log-SNR axis by the midpoint rule, [S], adding up to lambda_last - lambda_0.

    A step reaches from the midpoint to the step before to the midpoint to the step after; the first and the last end at
    the schedule's ends. Where only some steps were asked, these share the axis, and the others have 0; what lies beyond the
    first and the last of them counts less and less, see `FALL`. A step at lambda = -inf (flow matching at sigma = 1, pure
    noise) says nothing about the image: its share is 0, and the axis begins at the step after it. If all remaining steps
    stand at one place, there is no axis to share: each gets the same part of 1.
    """
    counted, axis = _asked_axis(log_snrs, asked)
    places = log_snrs[counted]
    if places.numel() == 0 or axis[0] == axis[-1]:
        return counted.to(log_snrs) / max(1, places.numel())
    edges = torch.cat([places[:1], (places[1:] + places[:-1]) / 2, places[-1:]])
    return torch.zeros_like(log_snrs).masked_scatter(counted, edges.diff()) + assumed_shares(log_snrs, asked)


def assumed_shares(log_snrs: Tensor, asked: Sequence[int] | None = None) -> Tensor:
    """Which part of `step_shares` stands for the ends of the axis that no step was asked at, [S]."""
    counted, axis = _asked_axis(log_snrs, asked)
    places = log_snrs[counted]
    shares = torch.zeros_like(places)
    if places.numel() and axis[0] != axis[-1]:
        shares[0] += _fallen(places[0] - axis[0])
        shares[-1] += _fallen(axis[-1] - places[-1])
    return torch.zeros_like(log_snrs).masked_scatter(counted, shares)


def assumed_of_shares(log_snrs: Tensor, asked: Sequence[int] | None = None) -> Tensor:
    """Which part of each of `step_shares`, 0 to 1, stands for the ends of the axis that no step was asked at, [S]."""
    shares = step_shares(log_snrs, asked)
    return assumed_shares(log_snrs, asked) / torch.where(shares > 0, shares, 1)


def _asked_axis(log_snrs: Tensor, asked: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """Which steps were asked and say something, [S], and the log SNR of all that could have been."""
    finite = torch.isfinite(log_snrs)
    if asked is None:
        return finite, log_snrs[finite]
    return finite & torch.isin(torch.arange(len(log_snrs)), torch.tensor(asked)), log_snrs[finite]


def _fallen(distance: Tensor) -> Tensor:
    """The integral of e^(-FALL x) from 0 to a distance: how much of it counts."""
    return -torch.expm1(-FALL * distance) / FALL


def to_vae_space(latent: Tensor, scale: Tensor, shift: Tensor, single_frame: bool = False) -> Tensor:
    """latent * scale + shift per channel: model space [n,C,h,w] to the VAE's own space; scale and shift are [C].

    Where it is `single_frame` the VAE takes videos, and gets the picture as a single frame, [n,C,1,h,w].
    """
    scaled = latent * scale[:, None, None] + shift[:, None, None]
    return scaled[:, :, None] if single_frame else scaled


def draw_noise(
    shape: tuple[int, int, int], seed: int, samples: int, steps: int, per_step: bool, antithetic: bool = False
) -> Tensor:
    """Draw unit Gaussian noise on the CPU, [R,S,C,h,w] if `per_step`, else [R,1,C,h,w]; `shape` is (C, h, w).

    Sample 0 is what ComfyUI and diffusers draw for the seed: `torch.Generator().manual_seed(seed)` on the CPU, its first
    step their first noise. Sample r > 0 has a generator of its own, seeded with numpy's SeedSequence((seed, r)): more
    samples or more steps never change the earlier ones. `antithetic` makes every sample 2k + 1 the negative of sample
    2k: everything odd in the noise then cancels in the mean.

    Raises:
        ValueError: samples or steps below 1, a negative seed, or pairs of an odd number of samples.
    """
    if samples < 1 or steps < 1 or seed < 0:
        raise ValueError(
            f"samples is {samples}, steps is {steps}, seed is {seed}; expected at least 1 sample and 1 step, and a seed "
            "of 0 or more."
        )
    if antithetic and samples % 2:
        raise ValueError(f"samples is {samples}; antithetic pairs need an even number of samples.")
    draws = steps if per_step else 1
    drawn = range(0, samples, 2) if antithetic else range(samples)
    noise = torch.empty(samples, draws, *shape)
    for sample in drawn:
        _draw_sample(noise[sample], _sample_seed(seed, sample))
    if antithetic:
        torch.neg(noise[0::2], out=noise[1::2])
    return noise


def in_pairs(noise: Tensor) -> Tensor:
    """Each sample followed by its negative, [R,...] to [2R,...]."""
    pairs = noise.repeat_interleave(2, dim=0)
    pairs[1::2].neg_()
    return pairs


def _is_in_pairs(noise: Tensor) -> bool:
    if len(noise) % 2:
        return False
    return all(
        torch.equal(other[step], -first[step])
        for first, other in zip(noise[0::2], noise[1::2], strict=True)
        for step in range(noise.shape[1])
    )


def _sample_seed(seed: int, sample: int) -> int:
    if sample == 0:
        return seed
    return int(np.random.SeedSequence((seed, sample)).generate_state(1, np.uint64)[0])


def _draw_sample(noise: Tensor, seed: int) -> None:
    """Fill one sample's noise [S,C,h,w], a step at a time: otherwise more steps would change the first ones."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    for step in noise:
        step.normal_(generator=generator)
