"""What the model is asked: which picture, under which prompt, with which noise, at which noise levels; and for which masks.

Shapes: R noise samples, S steps, C latent channels, h w latent size. A question is answered once and kept in a file
(see `answers`); the tables are made from the answers alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from ...nodes.maths.method.noising import draw_noise, log_snr
from ...tools.environment import ROOT
from .cases import Case, cases

Spacing = Literal["time", "information"]

PAIR_OF_SAMPLES = (0, 2)  # one antithetic pair
SECOND_PAIR = (2, 4)
DEEP_SAMPLES = (2, 16)  # the further samples where many are compared
DIFFEDIT_MAPS = 10
OTHER_DIFFEDIT_MAPS = (1, 2, 5, 20)  # where cost is compared
DIFFEDIT_MAPS_AGAIN = (1, 2, 5, 10)


@dataclass(frozen=True)
class Question:
    """One picture under one label's prompt ("" for the empty prompt), samples first ... last - 1, all steps of a schedule."""

    case: Case
    label: str
    samples: tuple[int, int] = PAIR_OF_SAMPLES
    spacing: Spacing = "time"

    @property
    def file(self) -> Path:
        """Where its answer is kept, inside the folder of answers."""
        first, last = self.samples
        name = f"{self.label.replace(' ', '_') or 'empty'}-samples_{first}_to_{last}-{self.spacing}.safetensors"
        return Path(self.case.name) / name

    def evaluations(self, setting: Setting) -> int:
        """How many times the network is asked for one noised latent."""
        first, last = self.samples
        return (last - first) * len(setting.timesteps(self.spacing))

    def depends_on(self, setting: Setting) -> dict:
        """What the answer depends on besides model and picture."""
        return {
            "prompt": prompt_of(self.label),
            "timesteps": setting.timesteps(self.spacing).tolist(),
            "noise": hashlib.sha256(setting.noise(self).numpy()).hexdigest(),
        }


@dataclass(frozen=True)
class MaskQuestion:
    """What DiffEdit makes of a picture: own label against the twin's, from so many noises (diffusers takes 10).

    `draw` is the number of the repetition with other noise.
    """

    case: Case
    maps: int = DIFFEDIT_MAPS
    draw: int = 0

    @property
    def file(self) -> Path:
        """Where its answer is kept, inside the folder of answers."""
        return Path(self.case.name) / f"diffedit-{self.maps}_maps{'-again' * self.draw}.safetensors"

    @property
    def seed(self) -> int:
        """Of the generator that diffusers draws from; torch takes no more than its last 32 bits."""
        return self.case.noise_seed + self.draw * 1_000_000_000

    def evaluations(self, setting: Setting) -> int:
        """How many times the network is asked: for both prompts a noise. The empty prompt's cancel, see `diffedit`."""
        return 2 * self.maps

    def depends_on(self, setting: Setting) -> dict:
        """What the answer depends on besides model and picture."""
        prompts = [prompt_of(self.case.label), prompt_of(self.case.twin)]
        return {"method": "DiffEdit", "prompts": prompts, "maps": self.maps, "seed": self.seed}


Job = list[Question] | list[MaskQuestion]
"""Questions about one picture, which are answered in one go."""


def prompt_of(label: str) -> str:
    """The prompt of a label, "" for the empty prompt."""
    return f"a photo of a {label}" if label else ""


@dataclass(frozen=True, eq=False)
class Setting:
    """What all answers depend on: the model's files and the number of steps."""

    model: Path
    steps: int
    fingerprint: str
    """Of the model's files, see `fingerprint_of`: taken once, so that all workers mean the same."""

    @cached_property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w)."""
        unet = json.loads((self.model / "unet" / "config.json").read_text(encoding="utf-8"))
        return unet["in_channels"], unet["sample_size"], unet["sample_size"]

    @cached_property
    def picture_size(self) -> int:
        """Of the pictures, in pixels."""
        levels = json.loads((self.model / "vae" / "config.json").read_text(encoding="utf-8"))["block_out_channels"]
        return self.latent_shape[1] << (len(levels) - 1)

    @cached_property
    def all_sigmas(self) -> Tensor:
        """The noise level of every training timestep, rising."""
        cumulative = DDIMScheduler.from_pretrained(self.model, subfolder="scheduler").alphas_cumprod.float()
        return ((1 - cumulative) / cumulative).sqrt()

    def timesteps(self, spacing: Spacing = "time") -> Tensor:
        """[S] the noisiest first: DDIM's own, evenly spaced in time, or as many between its ends evenly spaced in log SNR.

        Timesteps are whole numbers: if two of the latter are the same, there is one step fewer.
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
        """[R,S,C,h,w]: fresh at every step, antithetic, and the same for all prompts;
        more samples leave the first as they are."""
        first, last = question.samples
        steps = len(self.timesteps(question.spacing))
        return draw_noise(self.latent_shape, question.case.noise_seed, last, steps, per_step=True, antithetic=True)[first:]

    def key(self, question: Question | MaskQuestion, picture: bytes) -> str:
        """All that an answer depends on: an answer with another key is stale."""
        picture_digest = hashlib.sha256(picture).hexdigest()
        return json.dumps({"model": self.fingerprint, "picture": picture_digest} | question.depends_on(self))


def fingerprint_of(model: Path) -> str:
    """SHA-256 of the names and contents of a pipeline's files, without what was measured on it."""
    digest = hashlib.sha256()
    files = (
        path for path in model.rglob("*") if path.suffix in (".json", ".safetensors", ".txt") and path.name != "sdexplain.json"
    )
    for file in sorted(files):
        digest.update(str(file.relative_to(model)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


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


def add_options(parser: argparse.ArgumentParser, scenes: int, choice_scenes: int) -> None:
    """The options of every benchmark that asks about drawn scenes: which, how many, of which model, by how many processes."""
    parser.add_argument("--seed", type=int, default=0, help="which held-out scenes, and which noise")
    parser.add_argument("--scenes", type=int, default=scenes, help="scenes a pair to report on; each is drawn as both classes")
    parser.add_argument("--choice-scenes", type=int, default=choice_scenes, help="other scenes a pair, to choose by")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--model", type=Path, default=ROOT / "bundled" / "model")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, of one thread each")


def parts(extent: Extent) -> dict[str, list[Job]]:
    """All questions of the benchmark, by what they are for; parts hold their pictures in the order of `cases`."""
    deep = extent.cases("deep")
    return {
        "report: both labels, one pair of samples": [both_labels(case) for case in extent.cases("report")],
        "choice: the same on other scenes": [both_labels(case) for case in extent.cases("choice")],
        "deep: more samples": [both_labels(case, samples=DEEP_SAMPLES) for case in deep],
        "spacing: steps evenly spaced in log SNR": [both_labels(case, spacing="information") for case in deep],
        "spacing: a second pair of samples": [both_labels(case, SECOND_PAIR, "information") for case in deep],
        "honesty: labels of another pair, and the empty prompt": [
            [Question(case, label) for label in (*case.foreign, "")] for case in deep
        ],
        "DiffEdit": [[MaskQuestion(case)] for case in extent.cases("report")],
        "DiffEdit from fewer and more noises": [[MaskQuestion(case, maps) for maps in OTHER_DIFFEDIT_MAPS] for case in deep],
        "DiffEdit again, with other noise": [[MaskQuestion(case, maps, draw=1) for maps in DIFFEDIT_MAPS_AGAIN] for case in deep],
    }


def both_labels(case: Case, samples: tuple[int, int] = PAIR_OF_SAMPLES, spacing: Spacing = "time") -> Job:
    """The picture under its own label and under its twin's."""
    return [Question(case, label, samples, spacing) for label in (case.label, case.twin)]


def in_turns(jobs: dict[str, list[Job]]) -> list[Job]:
    """All jobs in an order in which all parts advance evenly: whenever it stops, every part is as far as the others."""
    due = [((number + 0.5) / len(part), job) for part in jobs.values() for number, job in enumerate(part)]
    return [job for _, job in sorted(due, key=lambda pair: pair[0])]
