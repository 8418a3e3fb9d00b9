"""What a diffusion model says about held-out pictures: a score for every class, and so the likeliest class.

Shapes: B pictures, K classes, T timesteps, C h w the latents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from ...nodes.maths.method.noising import draw_noise, step_shares
from ..finished import PROMPT
from ..train_denoiser import TextConditionedUNet
from .pictures import PictureSet, to_model_range
from .subjects import Subject

TIMESTEPS = (951, 801, 701, 601, 501, 401, 301, 201, 101, 41)
AT_ONCE = 8  # pictures
CALL = 64  # noised latents in one call of the network


@dataclass(frozen=True)
class Scores:
    """log p(picture | class) of B pictures up to what all K classes share, each by two weightings of the steps, and the truth."""

    nats: np.ndarray
    """[B,K], by the weights of the log SNR axis: their differences are log-odds in nats, as Label Verdict gives them."""
    even: np.ndarray
    """[B,K], every step counting as much: less noisy, and the better ranking."""
    labels: np.ndarray
    """[B] the true classes."""

    @property
    def predicted(self) -> np.ndarray:
        """[B] the likeliest class."""
        return self.even.argmax(1)

    @property
    def right(self) -> np.ndarray:
        return self.predicted == self.labels

    def log_odds(self) -> np.ndarray:
        """Nats for the true class against each other one, [B*(K-1)]."""
        rows = np.arange(len(self.labels))
        gaps = self.nats[rows, self.labels][:, None] - self.nats
        others = np.arange(self.nats.shape[1]) != self.labels[:, None]
        return gaps[others]

    def confusion(self) -> np.ndarray:
        """[K,K] how many pictures of each class (row) were called which (column)."""
        table = np.zeros((self.nats.shape[1],) * 2, int)
        np.add.at(table, (self.labels, self.predicted), 1)
        return table

    def part(self, chosen: slice) -> Scores:
        """The scores of some of the pictures."""
        return Scores(self.nats[chosen], self.even[chosen], self.labels[chosen])


def score(
    subject: Subject,
    networks: TextConditionedUNet,
    pictures: PictureSet,
    indices: Sequence[int],
    classes: Sequence[str],
    timesteps: Sequence[int] = TIMESTEPS,
    device: torch.device | str = "cpu",
) -> Iterator[Scores]:
    """Score pictures a few at a time, every class under the same pair of noises +ε and -ε at each timestep (Li et al. 2023)."""
    ids = subject.prompt_ids([PROMPT.format(name) for name in classes]).to(device)
    for start in range(0, len(indices), AT_ONCE):
        few = indices[start : start + AT_ONCE]
        batch, labels = pictures.stack(few)
        latents = subject.encode(to_model_range(batch).to(device))
        errors = torch.stack([_errors(subject, networks, latents, ids, few, timestep) for timestep in timesteps])
        yield _scores(subject.pipeline.scheduler, errors.cpu(), timesteps, labels)


def _scores(scheduler: DDIMScheduler, errors: Tensor, timesteps: Sequence[int], labels: Tensor) -> Scores:
    """Errors [T,B,K], summed over all cells, to scores."""
    alphas = scheduler.alphas_cumprod[list(timesteps)].double()
    shares = step_shares((alphas / (1 - alphas)).log())
    nats = -(shares[:, None, None] * errors.double()).sum(0) / 2
    return Scores(nats.numpy(), -errors.double().mean(0).numpy(), labels.numpy())


@torch.no_grad()
def _errors(
    subject: Subject, networks: TextConditionedUNet, latents: Tensor, ids: Tensor, seeds: Sequence[int], timestep: int
) -> Tensor:
    """Squared error of the noise, the mean over +ε and -ε and the sum over cells, [B,K]."""
    count, classes = len(latents), len(ids)
    drawn = [draw_noise(tuple(latents.shape[1:]), seed * 1009 + timestep, 2, 1, True, True)[:, 0] for seed in seeds]
    noise = torch.stack(drawn, 1).to(latents)  # [2,B,C,h,w]
    steps = torch.full((2 * count,), timestep, device=latents.device)
    noisy = subject.pipeline.scheduler.add_noise(latents.repeat(2, 1, 1, 1), noise.flatten(0, 1), steps)
    jobs = torch.cartesian_prod(torch.arange(2 * count), torch.arange(classes))
    found = []
    for job in jobs.split(CALL):
        which, prompt = job.to(latents.device).unbind(1)
        predicted = networks(noisy[which], steps[which], ids[prompt]).float()
        predicted = as_noise(subject.pipeline.scheduler, predicted, noisy[which], steps[which])
        found.append((predicted - noise.flatten(0, 1)[which]).square().sum((1, 2, 3)))
    return torch.cat(found).view(2, count, classes).mean(0)


def as_noise(scheduler: DDIMScheduler, predicted: Tensor, noisy: Tensor, timesteps: Tensor) -> Tensor:
    """What a network says about the noise: ε itself, or from v = αε - σx0 the ε = αv + σx (Salimans and Ho 2022)."""
    if scheduler.config.prediction_type == "epsilon":
        return predicted
    alphas = scheduler.alphas_cumprod.to(predicted)[timesteps][:, None, None, None]
    return alphas.sqrt() * predicted + (1 - alphas).sqrt() * noisy


def together(parts: Sequence[Scores]) -> Scores:
    """All scores in one."""
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("nats", "even", "labels")))
