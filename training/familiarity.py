"""Measure how well a finished model knows its own held-out pictures, and write that into its folder as `sdexplain.json`.

`python dev.py run training.familiarity` takes some minutes of one processor core. The same model gives the same file; other
entries of a file that is there already are kept. The meaning of the file is explained in `nodes/host/loading/about_model.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..bundled.scenes import CLASSES
from ..nodes.maths.method.familiarity import LEVELS, Familiarity, measure_prompts
from ..nodes.maths.method.own_pictures import SHARES, OwnPictures
from ..tools.environment import ROOT
from . import about
from .finished import PROMPT, Model
from .held_out import Picture, noised, pictures
from .tokenizer import words_of
from .train_denoiser import TEMPLATES

TIMESTEPS = (401, 301, 201)  # within LEVELS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "bundled" / "model", help="the finished pipeline's folder")
    parser.add_argument("--scenes", type=int, default=40, help="held-out scenes a pair; each is drawn as both classes")
    options = parser.parse_args()
    own = own_pictures(Model(options.model), options.scenes)
    file = about.write(options.model, familiarity=asdict(own), vocabulary=training_words())
    print(f"wrote {file}: 99 % of {own.count} pictures have a ratio below {own.ratios[-1]:.3f}, the limit is {own.limit:.3f}")


def own_pictures(model: Model, scenes: int) -> OwnPictures:
    """The quantiles of held-out pictures of all classes, each under its own label, over one pair of noise samples."""
    found = [familiarity_of(model, picture) for picture in tqdm(pictures(scenes), "measuring", unit="picture")]
    return summary(found)


def summary(found: Sequence[Familiarity]) -> OwnPictures:
    """The quantiles of what was measured on pictures of the model's own."""
    ratios = torch.cat([one.ratios for one in found if one.ratios is not None])
    structures = torch.cat([one.structure for one in found])
    return OwnPictures(len(found), LEVELS, _quantiles(ratios), _quantiles(structures))


def _quantiles(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in np.quantile(values.numpy(), SHARES))


def familiarity_of(model: Model, picture: Picture) -> Familiarity:
    """How well the model knows one held-out drawing under its own label."""
    drawing = noised(model, picture, TIMESTEPS)
    return measure_prompts(drawing, [model.predict(drawing, TIMESTEPS, PROMPT.format(picture[0]))])


def training_words() -> list[str]:
    """All words of the prompts that the bundled model was trained on."""
    return words_of(TEMPLATES, CLASSES)
