"""Audit a classifier: where does it look that a model of the data does not?

`python dev.py run training.audit --data FOLDER --classifier FILE --model FOLDER --out FOLDER` asks both about every held-out
picture. It also looks for a place that decides by itself: a window of one class's pictures is put into those of the others, and
the classifier asked again, see auditing/transplant.py. It writes audit.html, which shows the places that decide and the
pictures on which both part most, and the tables audit.parquet, audit.csv and regions.csv. The folder of pictures is read as
`training.own` reads it, so that the same pictures are held out.

If it is stopped, it goes on from there. With several processors run it by accelerate:
`.venv/bin/accelerate launch tools/launch.py training.audit ...`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor
from tqdm import tqdm

from . import digests
from .auditing import gallery, kept
from .auditing.maps import REPLACED, TIMESTEPS, Auditor
from .auditing.transplant import Finding, Transplants
from .finished import Model
from .own_pictures import classifier, reading
from .own_pictures.pictures import PictureSet, evenly
from .own_pictures.run import in_plain_words, work_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of pictures, or a CSV table")
    parser.add_argument("--classifier", type=Path, required=True, help="its .safetensors file")
    parser.add_argument("--model", type=Path, required=True, help="a diffusion model of the data, such as training.own makes")
    parser.add_argument("--out", type=Path, required=True, help="where the audit is written")
    parser.add_argument("--layer", default="", help="of Grad-CAM; the last that keeps places if it is left out")
    parser.add_argument("--regions", type=int, default=4, help="along each side (%(default)s)")
    parser.add_argument("--pictures", type=int, default=500, help="held-out pictures at most (%(default)s)")
    parser.add_argument("--test-share", type=float, default=reading.TEST_SHARE, help="held out if nothing is said (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    audit(**vars(parser.parse_args()))


def audit(
    data: Path,
    classifier: Path,
    model: Path,
    out: Path,
    layer: str = "",
    regions: int = 4,
    pictures: int = 500,
    test_share: float = reading.TEST_SHARE,
    seed: int = 0,
) -> None:
    """Ask about every picture that was not asked about before, then write page and tables."""
    processes = PartialState(cpu=not torch.cuda.is_available())
    with in_plain_words():
        found = reading.read(data, seed, test_share)
        found = reading.keep_apart(found, set().union(*(reading.trained_on(work_of(one)) for one in (classifier, model))))
        asked = read_classifier(classifier, found.classes)
        auditor = Auditor(asked, Model(model), regions, layer)
        size = auditor.size
    if processes.is_main_process:
        print("\n".join([found.summary(), *(f"- {note}" for note in found.notes)]))
    held_out = PictureSet(found.held_out, size)
    chosen = evenly(found.held_out, pictures)
    settings = depends_on(auditor, found) | {"data": str(data.resolve()), "seed": seed}
    with processes.main_process_first():
        answers = kept.Answers(out / "answers", settings)
    with processes.split_between_processes([number for number in chosen if not answers.has(number)]) as own:
        for number in tqdm(own, "asking", unit="picture", disable=not processes.is_main_process):
            picture, label = held_out[number]
            answers.put(number, auditor(picture, label, others(held_out, chosen, number), number))
    processes.wait_for_everyone()
    if processes.is_main_process:
        test = Transplants(asked, *held_out.stack(chosen), seed)
        findings = transplant(test, auditor.model)
        names = classifier.stem, model.name
        gallery.write(out, {n: answers.get(n) for n in chosen}, held_out, names, regions, test, findings)
        for one in (one for one in findings if one.conspicuous):
            print(gallery.sentence(one, found.classes, auditor.size))
        print(f"wrote {out / 'audit.html'}")


def depends_on(auditor: Auditor, pictures: reading.Pictures) -> dict[str, str | int]:
    """What the answers about these pictures change with."""
    asked, pipeline = auditor.classifier, auditor.model.pipeline
    return {
        "networks": digests.of_weights(asked.network, pipeline.unet, pipeline.vae, pipeline.text_encoder),
        "preprocessing": str(asked.preprocessing),
        "layer": auditor.choices.layer,
        "regions": auditor.regions,
        "size": auditor.size,
        "timesteps": str(TIMESTEPS),
        "pictures": digests.of_files(item.file for item in pictures.held_out),
    }


def transplant(test: Transplants, model: Model) -> list[Finding]:
    """The place that does most for each class; the data's model is asked about those that decide."""
    return [test.ask_data(one, model) if one.conspicuous else one for one in tqdm(test.find(), "places that decide")]


def read_classifier(file: Path, classes: tuple[str, ...]) -> classifier.Classifier:
    """The classifier, if it has the classes of the pictures.

    Raises:
        ValueError: other classes.
    """
    found = classifier.read(file)
    if found.classes != classes:
        raise ValueError(f"{file} has the classes {', '.join(found.classes)}; the pictures have {', '.join(classes)}.")
    return found


def others(pictures: PictureSet, chosen: list[int], number: int) -> Tensor:
    """Some held-out pictures of other classes than that of one, uint8 [n,3,S,S], the same every time."""
    label = pictures.items[number].label
    foreign = [each for each in chosen if pictures.items[each].label != label]
    drawn = np.random.default_rng(number).permutation(foreign)[:REPLACED]
    return pictures.stack([int(each) for each in drawn])[0]
