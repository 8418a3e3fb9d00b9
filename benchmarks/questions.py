"""What the model is asked: which picture, under which prompt, with which noise, at which noise levels.

Shapes: R noise samples, S steps, C latent channels, h w latent size. A question is answered once and kept in a file
(see `answers`); the tables are made from the answers alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from ..nodes.maths.noising import draw_noise, log_snr
from .cases import Case, cases

Spacing = Literal["time", "information"]

PAIR_OF_SAMPLES = (0, 2)  # one antithetic pair
DEEP_SAMPLES = (2, 16)  # what comes on top of it where many samples are compared


@dataclass(frozen=True)
class Question:
    """One picture under one label's prompt ("" for the empty prompt), samples first ... last - 1, all steps of a schedule."""

    case: Case
    label: str
    samples: tuple[int, int] = PAIR_OF_SAMPLES
    spacing: Spacing = "time"

    @property
    def prompt(self) -> str:
        return f"a photo of a {self.label}" if self.label else ""

    @property
    def file(self) -> Path:
        """Where its answer is kept, inside the folder of answers."""
        first, last = self.samples
        name = f"{self.label.replace(' ', '_') or 'empty'}-samples_{first}_to_{last}-{self.spacing}.safetensors"
        return Path(self.case.name) / name


Job = list[Question]
"""Questions about one picture, which are answered in one go."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What all answers depend on: the model's files and the number of steps."""

    model: Path
    steps: int

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model's files, names and contents."""
        digest = hashlib.sha256()
        for file in sorted(path for path in self.model.rglob("*") if path.suffix in (".json", ".safetensors", ".txt")):
            digest.update(str(file.relative_to(self.model)).encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()

    @cached_property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w)."""
        unet = json.loads((self.model / "unet" / "config.json").read_text(encoding="utf-8"))
        return unet["in_channels"], unet["sample_size"], unet["sample_size"]

    @cached_property
    def all_sigmas(self) -> Tensor:
        """The noise level of every training timestep, rising."""
        cumulative = DDIMScheduler.from_pretrained(self.model, subfolder="scheduler").alphas_cumprod.float()
        return ((1 - cumulative) / cumulative).sqrt()

    def timesteps(self, spacing: Spacing = "time") -> Tensor:
        """[S] the noisiest first: DDIM's own, evenly spaced in time, or as many between its ends evenly spaced in log SNR.

        Timesteps are whole numbers: where two of the latter fall on one, there is one step fewer.
        """
        scheduler = DDIMScheduler.from_pretrained(self.model, subfolder="scheduler")
        scheduler.set_timesteps(self.steps)
        if spacing == "time":
            return scheduler.timesteps
        levels = log_snr(self.all_sigmas, torch.ones_like(self.all_sigmas))
        first, last = levels[scheduler.timesteps[0]], levels[scheduler.timesteps[-1]]
        wanted = torch.linspace(first, last, self.steps)
        return (levels[None] - wanted[:, None]).abs().argmin(1).unique().flip(0)

    def sigmas(self, spacing: Spacing = "time") -> Tensor:
        """[S] the noise levels of `timesteps`, falling."""
        return self.all_sigmas[self.timesteps(spacing)]

    def noise(self, question: Question) -> Tensor:
        """[R,S,C,h,w]: fresh at every step, antithetic, and the same for all prompts; more samples leave the first as they are."""
        first, last = question.samples
        steps = len(self.timesteps(question.spacing))
        noise = draw_noise(self.latent_shape, question.case.noise_seed, last, steps, per_step=True)
        noise[1::2] = -noise[::2]
        return noise[first:]

    def evaluations(self, question: Question) -> int:
        """How many times the network is asked for one noised latent."""
        first, last = question.samples
        return (last - first) * len(self.timesteps(question.spacing))

    def key(self, question: Question, picture: bytes) -> str:
        """What an answer depends on, in full: an answer with another key is stale."""
        return json.dumps({
            "model": self.fingerprint,
            "picture": hashlib.sha256(picture).hexdigest(),
            "noise": hashlib.sha256(self.noise(question).numpy()).hexdigest(),
            "timesteps": self.timesteps(question.spacing).tolist(),
            "prompt": question.prompt,
        })


@dataclass(frozen=True)
class Extent:
    """How many scenes a pair each part of the benchmark takes."""

    report: int
    choice: int
    deep: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.deep <= self.report or self.choice < 1 or self.seed < 0:
            raise ValueError(
                f"There are {self.report} scenes to report, {self.choice} to choose by and {self.deep} with many samples, seed "
                f"{self.seed}; expected at least 1 each, no more deep ones than reported ones, and a seed of 0 or more."
            )

    def cases(self, part: str) -> list[Case]:
        """The pictures of a part: "report", "choice", or "deep", which are the first of the reported ones."""
        return cases("report", self.deep, self.seed) if part == "deep" else cases(part, getattr(self, part), self.seed)


def parts(extent: Extent) -> dict[str, list[Job]]:
    """All questions of the benchmark, by what they are for; parts hold their pictures in the order of `cases`."""
    deep = extent.cases("deep")
    return {
        "report: both labels, one pair of samples": [both_labels(case) for case in extent.cases("report")],
        "choice: the same on other scenes": [both_labels(case) for case in extent.cases("choice")],
        "deep: more samples": [both_labels(case, samples=DEEP_SAMPLES) for case in deep],
        "spacing: steps evenly spaced in log SNR": [both_labels(case, spacing="information") for case in deep],
        "honesty: labels of another pair, and the empty prompt": [
            [Question(case, label) for label in (*case.foreign, "")] for case in deep
        ],
    }


def both_labels(case: Case, samples: tuple[int, int] = PAIR_OF_SAMPLES, spacing: Spacing = "time") -> Job:
    """The picture under its own label and under its twin's."""
    return [Question(case, label, samples, spacing) for label in (case.label, case.twin)]


def in_turns(jobs: dict[str, list[Job]]) -> list[Job]:
    """All jobs in an order in which all parts advance evenly: whenever it stops, every part is as far as the others."""
    due = [((number + 0.5) / len(part), job) for part in jobs.values() for number, job in enumerate(part)]
    return [job for _, job in sorted(due, key=lambda pair: pair[0])]
