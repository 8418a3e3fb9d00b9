"""Training of a diffusion model on labelled pictures, on whatever processors accelerate finds.

All that is random in a step follows from its number alone, and the order of the pictures from the epoch's: a run that was stopped
comes to the same weights as one that was not.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration, skip_first_batches
from accelerate.utils import set_seed
from diffusers.optimization import get_constant_schedule_with_warmup
from diffusers.training_utils import EMAModel, compute_snr
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..train_denoiser import EMPTY_PROMPT_SHARE, LARGEST_WEIGHT, TextConditionedUNet, draw_timesteps
from .pictures import PictureSet, to_model_range, variation, varied
from .progress import BAR, stopped_between_steps, time_left
from .subjects import TEMPLATES, Subject

WARM_UP, WEIGHT_DECAY = 100, 1e-2
AVERAGE_DECAY = 0.999
"""What the average of the weights keeps of itself in a step, at most.

diffusers 0.42's `EMAModel.get_decay` takes (1 + n) / (10 + n) after n steps where that is less, also with `use_ema_warmup=False`:
the start is forgotten as by `train_denoiser.warmed_up_average`, and 0.999 is reached after 8990 steps.
"""
CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Plan:
    """How long and how to train."""

    steps: int
    minutes: float | None
    """All minutes of training, those before a stop included; None for no limit."""
    batch: int
    learning_rate: float
    flip: bool
    seed: int = 0
    save_every: float = 120.0
    """Seconds between checkpoints."""
    report_every: float = 300.0
    """Seconds of training between reports."""


@dataclass
class Progress:
    """How far a training is; kept in its checkpoints."""

    steps: int = 0
    seconds: float = 0.0
    loss: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class Clock:
    """Seconds of training, those before a stop included, without the pauses."""

    def __init__(self, before: float) -> None:
        self.begun = time.monotonic() - before

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    @contextmanager
    def paused(self) -> Iterator[None]:
        stopped = time.monotonic()
        yield
        self.begun += time.monotonic() - stopped


Report = Callable[[Progress], str]


def accelerator() -> Accelerator:
    """accelerate's: its sampler gives each epoch its own order, which a resumed run finds again; bfloat16 where it helps."""
    has_bfloat16 = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return Accelerator(
        mixed_precision="bf16" if has_bfloat16 else "no",
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True),
    )


class Training:
    """A training that can be stopped and taken up again from its folder."""

    def __init__(self, subject: Subject, pictures: PictureSet, classes: Sequence[str], plan: Plan, folder: Path) -> None:
        self.subject, self.plan, self.folder, self.classes = subject, plan, folder, classes
        self.accelerator = accelerator()
        set_seed(plan.seed)
        self.parameters = [value for value in subject.networks.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW(self.parameters, plan.learning_rate, betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY)
        schedule = get_constant_schedule_with_warmup(optimizer, WARM_UP * self.accelerator.num_processes)
        batch = min(plan.batch, len(pictures) // self.accelerator.num_processes)
        loader = DataLoader(pictures, batch, shuffle=True, drop_last=True)
        self.networks, self.optimizer, self.schedule, self.loader = self.accelerator.prepare(
            subject.networks, optimizer, schedule, loader
        )
        subject.vae.to(self.accelerator.device)
        self.average = EMAModel(self.parameters, decay=AVERAGE_DECAY)
        self.average.to(self.accelerator.device)
        self.progress = Progress()
        self.accelerator.register_for_checkpointing(self.average, self.progress)
        self.variation = variation(subject.size, plan.flip)
        prompts = [template.format(name) for template in TEMPLATES for name in classes]
        self.ids = subject.prompt_ids([*prompts, ""]).to(self.accelerator.device)
        if (folder / CHECKPOINT).is_dir():
            self.accelerator.load_state(str(folder / CHECKPOINT))

    def run(self, report: Report) -> Progress:
        """Train until the steps are done or the minutes are over, with a report every now and then; returns how far it came."""
        progress, main = self.progress, self.accelerator.is_main_process
        clock = Clock(progress.seconds)
        saved = reported = progress.seconds
        bar = tqdm(total=self.plan.steps, initial=progress.steps, desc="training", unit="step", bar_format=BAR, disable=not main)
        with bar, stopped_between_steps(self.accelerator.num_processes == 1) as asked_to_stop:
            for pictures, labels in self._batches():
                loss = self._step(pictures, labels)
                progress.loss = loss if progress.loss is None else 0.99 * progress.loss + 0.01 * loss
                progress.steps, progress.seconds = progress.steps + 1, self._agreed(clock.seconds)
                bar.set_postfix_str(f"loss {progress.loss:.4f}, {self._left()}", refresh=False)
                bar.update()
                if progress.seconds - saved > self.plan.save_every or self.over or asked_to_stop():
                    self.save()
                    saved = progress.seconds
                if asked_to_stop():
                    raise KeyboardInterrupt
                if progress.seconds - reported > self.plan.report_every or self.over:
                    with clock.paused():
                        if main:
                            bar.write(report(progress))
                        self.accelerator.wait_for_everyone()
                    reported = progress.seconds
                if self.over:
                    break
        return progress

    @property
    def over(self) -> bool:
        """Whether the steps are done or the time is spent."""
        spent = self.plan.minutes is not None and self.progress.seconds >= 60 * self.plan.minutes
        return spent or self.progress.steps >= self.plan.steps

    def _agreed(self, seconds: float) -> float:
        """The same time for all processes, so that all stop, save and report at the same step."""
        if self.accelerator.num_processes == 1:
            return seconds
        return float(self.accelerator.reduce(torch.tensor(seconds, device=self.accelerator.device), "mean"))

    def _left(self) -> str:
        return time_left(self.progress.steps, self.plan.steps, self.progress.seconds, self.plan.minutes)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches from where the training stands, epoch after epoch; none if it is over."""
        while not self.over:
            epoch, done = divmod(self.progress.steps, len(self.loader))
            loader = skip_first_batches(self.loader, done) if done else self.loader
            loader.set_epoch(epoch)
            yield from loader

    def _step(self, pictures: Tensor, labels: Tensor) -> float:
        step, rank = self.progress.steps, self.accelerator.process_index
        generator = np.random.default_rng((self.plan.seed, step, rank))
        torch.manual_seed(int(generator.integers(2**62)))
        device = self.accelerator.device
        clean = self.subject.encode(to_model_range(varied(pictures.cpu(), self.variation)).to(device))
        noise = torch.randn(clean.shape).to(device)
        timesteps = draw_timesteps(len(clean), generator).to(device)
        scheduler = self.subject.pipeline.scheduler
        noisy = scheduler.add_noise(clean, noise, timesteps)
        with self.accelerator.autocast():
            predicted = self.networks(noisy, timesteps, self.ids[self._prompts(labels.cpu(), generator)])
        target = noise if scheduler.config.prediction_type == "epsilon" else scheduler.get_velocity(clean, noise, timesteps)
        errors = (predicted.float() - target).square().mean((1, 2, 3))
        loss = (errors * self._weights(timesteps)).mean()
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.average.step(self.parameters)
        return loss.item()

    def _prompts(self, labels: Tensor, generator: np.random.Generator) -> Tensor:
        """Which row of `ids` each picture gets: its class in one template for all, or the empty prompt."""
        template = int(generator.integers(len(TEMPLATES)))
        empty = torch.from_numpy(generator.random(len(labels)) < EMPTY_PROMPT_SHARE)
        return torch.where(empty, len(self.ids) - 1, template * len(self.classes) + labels)

    def _weights(self, timesteps: Tensor) -> Tensor:
        """Of the noise's error (SNR + 1) / SNR = 1 / α², as `train_denoiser.loss_weights`; of v's error 1, which is the same."""
        if self.subject.pipeline.scheduler.config.prediction_type == "v_prediction":
            return torch.ones_like(timesteps, dtype=torch.float32)
        snr = compute_snr(self.subject.pipeline.scheduler, timesteps)
        return ((snr + 1) / snr).clamp(max=LARGEST_WEIGHT)

    def save(self) -> None:
        """Write a checkpoint beside the old one, then take its place."""
        beside = self.folder / f"{CHECKPOINT}.part"
        self.accelerator.save_state(str(beside))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            shutil.rmtree(self.folder / CHECKPOINT, ignore_errors=True)
            beside.rename(self.folder / CHECKPOINT)
        self.accelerator.wait_for_everyone()

    @contextmanager
    def averaged(self) -> Iterator[TextConditionedUNet]:
        """Within the block the networks have their averaged weights and are in eval mode."""
        self.average.store(self.parameters)
        self.average.copy_to(self.parameters)
        try:
            yield self.subject.networks.eval()
        finally:
            self.average.restore(self.parameters)
            self.subject.networks.train()
