"""Ask the model about all subjects, one processor core to a worker; what is answered already is not asked again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from ...nodes.maths.method.noising import NoisedLatents
from ...training.finished import Model
from ..ground_truth import answers
from ..ground_truth.bundled import Bundled
from .subjects import Asking, Subject

CHUNK = 24  # noised latents in one call of the network


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said of one subject."""

    subject: Subject
    noised: NoisedLatents
    predictions: dict[str, Tensor]
    """[R,S,1,C,h,w] noise predictions by their names, see `Subject.prompts`."""


def ask(asking: Asking, subjects: Sequence[Subject], folder: Path, workers: int) -> None:
    """Answer all subjects into the folder, in their order."""
    total = sum(map(asking.evaluations, subjects))
    print(f"{len(subjects)} subjects, {total:,} evaluations")
    with (
        multiprocessing.Pool(workers, _start_worker, (asking, folder)) as pool,
        tqdm(desc="asking", total=total, unit="evaluation", smoothing=0.05) as bar,
    ):
        for new, known in pool.imap_unordered(_answer, subjects):
            bar.total -= known
            bar.update(new)


def read(asking: Asking, subject: Subject, folder: Path) -> Answer | None:
    """The answer to a subject; None if it is missing or stale."""
    found = answers.read(folder / subject.file, asking.key(subject))
    if found is None:
        return None
    return Answer(subject, asking.noised(subject, found["x0"]), {name: found[name][:, :, None] for name in subject.prompts})


_asking: Asking
_model: Model
_folder: Path


def _start_worker(asking: Asking, folder: Path) -> None:
    global _asking, _model, _folder
    torch.set_num_threads(1)
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
    _asking, _model, _folder = asking, Bundled(asking.setting).model, folder


def _answer(subject: Subject) -> tuple[int, int]:
    """Answer a subject if it is not answered yet; returns how many evaluations were made and how many were known."""
    file, key, evaluations = _folder / subject.file, _asking.key(subject), _asking.evaluations(subject)
    if answers.is_current(file, key):
        return 0, evaluations
    x0 = subject.changed(_model.encode_picture(subject.picture(_model.size))[0])
    noised, timesteps = _asking.noised(subject, x0), _asking.timesteps(subject)
    said = _asking.answered(subject)
    missing = {name: prompt for name, prompt in subject.prompts.items() if name not in said}
    new = {name: _model.predict(noised, timesteps, prompt, CHUNK)[:, :, 0] for name, prompt in missing.items()}
    answers.write(file, {"x0": x0} | {name: prediction.half() for name, prediction in (said | new).items()}, key)
    made = evaluations * len(new) // len(subject.prompts)
    return made, evaluations - made
