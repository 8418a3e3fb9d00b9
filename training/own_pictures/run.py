"""From a folder of pictures to a model with its report: the stages of `training.own` in their order."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.utils import logging as diffusers_logging
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from ..architecture import save_pipeline
from ..intervals import Interval, share
from ..train_denoiser import TextConditionedUNet
from . import classifier, findings, lora, reading, report, samples, subjects, verdicts
from .denoiser import CHECKPOINT, Plan, Progress, Training
from .pictures import PictureSet, evenly, to_model_range, variation
from .pixel_vae import colours

QUICK_JUDGED, QUICK_TIMESTEPS = 100, (701, 501, 301, 151)  # for the curve over time
MEASURED_COLOURS = 2_000
FAMILIAR = 200  # held-out pictures that familiarity is measured on
CLASSIFIER_INPUT = 128  # standard architectures halve their input five times: 4 × 4 cells are left for Grad-CAM
CLASSIFIER_CHECKPOINT = "classifier.pt"
STEPS = 20_000
EPOCHS, MOST, FEWEST = 40, 3_000, 200  # of a classifier: its training pictures, and steps
RATES = {"new": 6e-4, "whole": 1e-5, "lora": 1e-4}


@dataclass(frozen=True)
class Options:
    """What `training.own` is asked for, see its help."""

    data: Path
    model: Path
    size: int | None = None
    vae: Path | None = None
    start: Path | None = None
    lora: int | None = None
    steps: int | None = None
    """None: `STEPS`, or of a classifier as many as show it each picture `EPOCHS` times, up to `MOST`."""
    minutes: float | None = None
    batch: int = 32
    learning_rate: float | None = None
    flip: bool = False
    test_share: float = reading.TEST_SHARE
    judged: int = 500
    report_every: float = 5
    seed: int = 0
    classifier: str | None = None
    """An architecture: then a classifier is trained, and no diffusion model."""
    library: str = "torchvision"

    @property
    def work(self) -> Path:
        """Checkpoints, samples and tables; the model's own folder stays clean."""
        return work_of(self.model)

    def plan(self) -> Plan:
        kind = "new" if self.start is None else "whole" if self.lora is None else "lora"
        rate = self.learning_rate or RATES[kind]
        return Plan(
            self.steps or STEPS, self.minutes, self.batch, rate, self.flip, self.seed, report_every=60 * self.report_every
        )


def work_of(model: Path) -> Path:
    """Where the training of a model keeps what it needs; a classifier may be named with or without its ending."""
    name = model.stem if model.suffix == ".safetensors" else model.name
    return model.with_name(f"{name}_training")


def run(options: Options) -> None:
    """Read, train, save and report; each stage says what it found."""
    quieten()
    with in_plain_words():
        pictures = reading.read(options.data, options.seed, options.test_share)
        pictures = reading.keep_apart(pictures, reading.trained_on(options.work))
    print("\n".join([pictures.summary(), *(f"- {note}" for note in pictures.notes)]))
    options.work.mkdir(parents=True, exist_ok=True)
    with in_plain_words():
        check_same(options, pictures.classes)
        subject = None if options.classifier else subject_of(options, pictures)
    reading.note_trained(pictures, options.work)
    if subject is None:
        train_classifier(options, pictures)
        return
    train, held_out = (PictureSet(items, subject.size) for items in (pictures.train, pictures.held_out))
    training = Training(subject, train, pictures.classes, options.plan(), options.work)
    training.run(Curve(training, options, held_out))
    if training.accelerator.is_main_process:
        with training.averaged():
            finish(options, pictures, training, held_out)


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Within it, what is wrong with the files or the options ends the script with its message alone."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def quieten() -> None:
    """Leave out the progress bars of single files, and warnings that nobody can act on."""
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


def check_same(options: Options, classes: tuple[str, ...]) -> None:
    """Refuse to go on with a training of something else; what is trained is noted for the next time.

    Raises:
        ValueError: as above.
    """
    file = options.work / "trained.json"
    own = {name: getattr(options, name) for name in ("size", "vae", "start", "lora", "classifier", "library", "seed")}
    now = {name: value if isinstance(value, (int, type(None))) else str(value) for name, value in own.items()}
    now["classes"] = ", ".join(classes)
    begun = any((options.work / name).exists() for name in (CHECKPOINT, CLASSIFIER_CHECKPOINT))
    before = json.loads(file.read_text(encoding="utf-8")) if begun and file.exists() else now
    if changed := [name for name in now if before.get(name) != now[name]]:
        said = "; ".join(f"{name} was {before.get(name)}, now {now[name]}" for name in changed)
        raise ValueError(
            f"{options.work} holds a training of something else ({said}). Give --model another name, or delete that folder to "
            "begin anew."
        )
    file.write_text(json.dumps(now), encoding="utf-8")


def subject_of(options: Options, pictures: reading.Pictures) -> subjects.Subject:
    """The model that is to be trained."""
    if options.start is not None:
        subject = subjects.finished(options.start, options.size)
        if options.lora is not None:
            lora.add(subject, options.lora)
        return subject
    size = options.size or 32
    few = PictureSet(pictures.train, size).stack(evenly(pictures.train, MEASURED_COLOURS))[0]
    return subjects.new(pictures.classes, size, *colours(to_model_range(few)), options.vae)


def finish(options: Options, pictures: reading.Pictures, training: Training, held_out: PictureSet) -> None:
    """Save the averaged weights, measure them on held-out pictures, save what the nodes use of that, and write the report."""
    subject, classes = training.subject, pictures.classes
    networks = training.accelerator.unwrap_model(training.networks, keep_fp32_wrapper=False)  # float32 again
    networks.cpu(), subject.vae.cpu()
    if options.lora is None:
        save_pipeline(subject.pipeline, options.model, torch.float32, subject.words)
    else:
        lora.save(subject, options.model / lora.FILE)
    drawn = samples.grid(samples.draw(subject, networks, classes, each=8), 8, scale=max(1, 64 // subject.size))
    drawn.save(options.work / "samples.png")
    found = measured(options, subject, networks, held_out, classes)
    if found is not None and options.lora is None:
        findings.save(options.model, found, classes)
    file = report.write(options.work, f"Training of {options.model.name}", pictures, found, drawn)
    right = "" if found is None else f", {found.right.percent()} of the held-out verdicts are right{found.doubt}"
    print(f"saved {options.model}{right}\nthe report is {file}\n{use(options, classes)}")


def use(options: Options, classes: tuple[str, ...]) -> str:
    """What to do with what was trained."""
    if options.lora is not None:
        return (
            f"To use it, put {lora.FILE} into ComfyUI's models/loras: Load LoRA applies it to the model that it was trained on."
        )
    return (
        f"To use it, put the folder {options.model.name} into ComfyUI's models/diffusers: Load Diffusers Model lists it. Its "
        f"prompts are such as “{verdicts.PROMPT.format(classes[0])}”."
    )


def measured(
    options: Options,
    subject: subjects.Subject,
    networks: TextConditionedUNet,
    held_out: PictureSet,
    classes: tuple[str, ...],
) -> findings.Findings | None:
    """Verdicts, temperature and familiarity; None if no picture is held out."""
    indices = evenly(held_out.items, options.judged)
    if not indices:
        return None
    asked = verdicts.score(subject, networks, held_out, indices, classes)
    scores = verdicts.together(list(tqdm(asked, "judging", total=-(-len(indices) // verdicts.AT_ONCE), unit="batch")))
    np.savez(options.work / "scores.npz", classes=classes, **vars(scores))
    known = evenly(held_out.items, min(options.judged, FAMILIAR))
    own = None if options.lora is not None else findings.own_pictures(options.model, held_out, known, classes)
    return findings.measure(scores, own)


def train_classifier(options: Options, pictures: reading.Pictures) -> None:
    """Train a classifier on the same pictures, judge it on the held-out ones and save it as `--model`, a .safetensors file."""
    size = options.size or 32
    train, held_out = (PictureSet(items, size) for items in (pictures.train, pictures.held_out))
    recipe = classifier.Recipe(
        pictures.classes,
        max(size, CLASSIFIER_INPUT),
        options.steps or min(max(EPOCHS * len(train) // options.batch, FEWEST), MOST),
        options.minutes,
        options.classifier or classifier.ARCHITECTURE,
        options.library,
        seed=options.seed,
    )
    batch = classifier.batches(*train.stack(), options.batch, options.seed, variation(size, options.flip))
    file = options.model.with_suffix(".safetensors")
    network = classifier.settle(classifier.train(recipe, batch, options.work / CLASSIFIER_CHECKPOINT), recipe, batch)
    classifier.save(network, recipe, file)
    right = ""
    if len(held_out):
        shown, labels = held_out.stack()
        called = classifier.logits(classifier.read(file), shown).argmax(1)
        right = told(share((called == labels).numpy()), len(labels), len(pictures.classes))
    print(f"saved {file}{right}\nTo use it, put it into ComfyUI's models/classifiers: Load Image Classifier lists it.")


def told(right: Interval, count: int, classes: int) -> str:
    """How many held-out pictures a classifier calls rightly, and whether it may be guessing."""
    return f": {right.percent()} of {count} held-out pictures are right{findings.doubt(right, classes)}"


class Curve:
    """Reports while a model is trained: samples as pictures, and a table of verdicts over time."""

    COLUMNS = ("steps", "minutes", "loss", "judged", "right", "right low", "right high")

    def __init__(self, training: Training, options: Options, held_out: PictureSet) -> None:
        self.training, self.options, self.held_out = training, options, held_out
        self.file = options.work / "curve.csv"

    def __call__(self, progress: Progress) -> str:
        """Write what there is after these steps, and say it in a line."""
        training = self.training
        device = training.accelerator.device
        indices = evenly(self.held_out.items, QUICK_JUDGED)
        with training.averaged() as networks:
            drawn = samples.draw(training.subject, networks, training.classes, device=device)
            samples.grid(drawn, 4).save(self.options.work / f"samples_{progress.steps:06}.png")
            parts = verdicts.score(training.subject, networks, self.held_out, indices, training.classes, QUICK_TIMESTEPS, device)
            right = share(verdicts.together(list(parts)).right) if indices else None
        self._add(progress, len(indices), right)
        said = f", {right.percent()} of {len(indices)} held-out verdicts right" if right else ""
        return f"step {progress.steps}, {progress.seconds / 60:.1f} min, loss {progress.loss:.4f}{said}"

    def _add(self, progress: Progress, judged: int, right: object) -> None:
        begins = not self.file.exists()
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            if begins:
                table.writerow(self.COLUMNS)
            values = [getattr(right, name, "") for name in ("value", "low", "high")]
            table.writerow([progress.steps, round(progress.seconds / 60, 2), progress.loss, judged, *values])
