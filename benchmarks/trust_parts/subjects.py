"""What the bundled model is asked about: its own held-out drawings, and pictures and latents that it does not know.

Shapes: R noise samples, S steps, C latent channels, h w latent size.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...bundled.scenes import PAIRS
from ...nodes.maths.answers.settled import FEWEST
from ...nodes.maths.method.noising import NoisedLatents, draw_noise
from ...nodes.maths.method.order import asking_order
from ..ground_truth.cases import Case, cases
from ..ground_truth.questions import Question, Setting, prompt_of
from ..ground_truth.stored import Stored
from ..ground_truth.unfamiliar import foreign_latents, photographs, plain_pictures

Kind = Literal[
    "photograph",
    "plain picture",
    "foreign latent",
    "half-scale latent",
    "own drawing",
    "own drawing, asked often",
    "own drawing, its pair",
    "own drawing, another pair",
]

PAIRED: tuple[Kind, ...] = ("own drawing, its pair", "own drawing, another pair")
UNKNOWN: tuple[Kind, ...] = ("photograph", "plain picture", "foreign latent", "half-scale latent")
STEPS: dict[Kind, tuple[int, ...]] = {
    **dict.fromkeys(UNKNOWN, (14, 19)),
    "own drawing": (9, 14, 19),
    "own drawing, asked often": (0, 3, 6, 9, 12, 15, 18, 21),
    **dict.fromkeys(PAIRED, tuple(sorted(asking_order(25)[:FEWEST]))),
}
"""Of a schedule of 25 steps as in `benchmarks.truth`, so that its answers can be taken. 14 and 19 are two of those where
familiarity is measured: with more of them it is known better. Words are compared with none over three, and for pairs of labels
over those that a settled answer has."""
SAMPLES: dict[Kind, int] = {**dict.fromkeys((*UNKNOWN, "own drawing", *PAIRED), 2), "own drawing, asked often": 8}


@dataclass(frozen=True, eq=False)
class Subject:
    """One picture, or the latent of a drawing that is changed, with the two labels that the model is asked about."""

    kind: Kind
    name: str
    """For files; no two subjects of a kind share it."""
    target: str
    contrast: str
    noise_seed: int
    case: Case | None = None
    """The drawing that is shown, or whose latent is changed."""
    pixels: np.ndarray | None = None
    """uint8 [H,W,3] of other pictures."""
    number: int = 0
    """Which of the foreign latents."""

    @property
    def file(self) -> Path:
        return Path(self.kind.replace(" ", "_").replace(",", "")) / f"{self.name}.safetensors"

    @property
    def prompts(self) -> dict[str, str]:
        """What is asked, by the name of its predictions.

        A drawing is asked about under its own label and without words: a twin's label that fits better can only make it known
        where it is not, and fit where its own does not, so that both shares are upper bounds.
        """
        asked = {"target": prompt_of(self.target), "contrast": prompt_of(self.contrast), "empty": ""}
        left_out = "" if self.kind in PAIRED else "contrast" if self.kind == "own drawing" else "empty"
        return {name: prompt for name, prompt in asked.items() if name != left_out}

    @property
    def samples(self) -> int:
        return SAMPLES[self.kind]

    @property
    def steps(self) -> tuple[int, ...]:
        return STEPS[self.kind]

    def picture(self, size: int) -> np.ndarray:
        """uint8 [H,W,3]; of a changed latent the drawing that it was."""
        return self.pixels if self.case is None else self.case.picture(size)

    def changed(self, latent: Tensor) -> Tensor:
        """The latent [C,h,w] that is asked about, made of the picture's own."""
        if self.kind == "half-scale latent":
            return latent / 2
        return latent if self.kind != "foreign latent" else foreign_latents([latent] * (self.number + 1))[-1][1]


@dataclass(frozen=True, eq=False)
class Asking:
    """The model with its schedule, and how a subject is asked about."""

    setting: Setting
    truth: Path
    """Where the answers of `benchmarks.truth` are, of which those that are there are not asked for again."""

    def timesteps(self, subject: Subject) -> Tensor:
        return self.setting.timesteps()[list(subject.steps)]

    def noised(self, subject: Subject, x0: Tensor) -> NoisedLatents:
        """The noised latents of x0 [C,h,w]: fresh noise in every step, in antithetic pairs."""
        every = draw_noise(tuple(x0.shape), subject.noise_seed, subject.samples, self.setting.steps, True, antithetic=True)
        steps = list(subject.steps)
        sigmas, channels = self.setting.sigmas()[steps], torch.ones(len(x0))
        ones = torch.ones_like(sigmas)
        return NoisedLatents(x0[None], every[:, steps], sigmas, ones, channels, 0 * channels, antithetic=True)

    def key(self, subject: Subject) -> str:
        """All that an answer depends on: an answer with another key is stale."""
        return json.dumps(
            {
                "model": self.setting.fingerprint,
                "picture": hashlib.sha256(subject.picture(self.setting.picture_size).tobytes()).hexdigest(),
                "kind": f"{subject.kind} {subject.number}",
                "prompts": subject.prompts,
                "timesteps": self.timesteps(subject).tolist(),
                "noise": [subject.noise_seed, subject.samples],
            }
        )

    def answered(self, subject: Subject) -> dict[str, Tensor]:
        """Predictions [R,S,C,h,w] of a drawing that `benchmarks.truth` asked for, by their names here."""
        if subject.kind not in ("own drawing", *PAIRED):
            return {}
        labels = {"target": subject.target, "contrast": subject.contrast}
        stored, asked = Stored(self.setting, self.truth), {name: labels[name] for name in subject.prompts if name in labels}
        known = {name: stored.read(Question(subject.case, label)) for name, label in asked.items()}
        return {name: found["predictions"][:, list(subject.steps)] for name, found in known.items() if found is not None}

    def evaluations(self, subject: Subject) -> int:
        return len(subject.prompts) * subject.samples * len(subject.steps)


def drawings(scenes: int, seed: int, kind: Kind = "own drawing") -> list[Subject]:
    """The held-out drawings of `benchmarks.truth`, each asked about its own label (target) and its twin's."""
    return [Subject(kind, case.name, case.label, case.twin, case.noise_seed, case=case) for case in cases("report", scenes, seed)]


def paired(kind: Kind, scenes: int, seed: int) -> list[Subject]:
    """The same drawings, asked about their own pair of labels, or about another one, of which neither fits."""
    return [
        Subject(kind, case.name, *labels, case.noise_seed, case=case)
        for case in cases("report", scenes, seed)
        for labels in [case.foreign if kind == "own drawing, another pair" else (case.label, case.twin)]
    ]


def changed_latents(kind: Kind, count: int, seed: int) -> list[Subject]:
    """Latents of held-out drawings, changed."""
    found = cases("report", -(-count // (2 * len(PAIRS))), seed)[:count]
    return [
        Subject(kind, case.name, case.label, case.twin, case.noise_seed, case=case, number=number)
        for number, case in enumerate(found)
    ]


def pictures(kind: Kind, named: Iterable[tuple[str, np.ndarray]]) -> list[Subject]:
    """Pictures that are nothing the model was made for; the pairs of labels take turns."""
    return [
        Subject(kind, name, *PAIRS[number % len(PAIRS)], noise_seed=number, pixels=pixels)
        for number, (name, pixels) in enumerate(named)
    ]


def unknown(photos: Path, photographs_taken: int, others: int, size: int, seed: int) -> dict[Kind, list[Subject]]:
    """Photographs, pictures without an object, and latents of another VAE or scale: what the model does not know."""
    return {
        "photograph": pictures("photograph", photographs(photos, photographs_taken, size)),
        "plain picture": pictures("plain picture", plain_pictures(others, size, seed)),
        "foreign latent": changed_latents("foreign latent", others, seed),
        "half-scale latent": changed_latents("half-scale latent", others, seed),
    }


def unpacked(archive: Path, folder: Path) -> Path:
    """The folder of test photographs in an archive of folders of classes, unpacked once; a folder is taken as it is.

    Raises:
        ValueError: an archive without a folder "test".
    """
    if archive.is_dir():
        return archive
    if not folder.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    found = sorted(path for path in folder.rglob("test") if path.is_dir())
    if not found:
        raise ValueError(f'{archive} has no folder called "test"; expected one with a folder for each class of photographs.')
    return found[0]
