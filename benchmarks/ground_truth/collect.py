"""Ask the model all questions, one processor core to a worker; what is answered already is not asked again."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from . import answers
from .bundled import Bundled
from .questions import Job, Setting, in_turns


def collect(setting: Setting, jobs: dict[str, list[Job]], folder: Path, workers: int) -> int:
    """Answer all jobs into the folder; returns how many evaluations of the network that took."""
    evaluations = {part: sum(count_evaluations(setting, job) for job in jobs[part]) for part in jobs}
    for part, count in evaluations.items():
        print(f"{part}: {len(jobs[part])} pictures, {count:,} evaluations")
    asked = 0
    with (
        multiprocessing.Pool(workers, _start_worker, (setting, folder)) as pool,
        tqdm(desc="collecting", total=sum(evaluations.values()), unit="evaluation", smoothing=0.05) as bar,
    ):
        for new, known in pool.imap_unordered(_answer_job, in_turns(jobs)):
            asked += new
            bar.total -= known
            bar.update(new)
    return asked


def count_evaluations(setting: Setting, job: Job) -> int:
    return sum(question.evaluations(setting) for question in job)


_model: Bundled
_folder: Path


def _start_worker(setting: Setting, folder: Path) -> None:
    global _model, _folder
    torch.set_num_threads(1)
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
    _model, _folder = Bundled(setting), folder


def _answer_job(job: Job) -> tuple[int, int]:
    """Answer what is not answered yet; returns the numbers of evaluations that were made and that were known."""
    setting, picture = _model.setting, job[0].case.picture(_model.model.size)
    keys = {question: setting.key(question, picture.tobytes()) for question in job}
    missing = [question for question in job if not answers.is_current(_folder / question.file, keys[question])]
    for question in missing:
        answers.write(_folder / question.file, _model.answer(question), keys[question])
    new = count_evaluations(setting, missing)
    return new, count_evaluations(setting, job) - new
