"""Held-out drawings that neither the training nor any benchmark uses, for what is measured on a finished model."""

from __future__ import annotations

from collections.abc import Sequence

from ..bundled.scenes import PAIRS, draw, sample_scene
from ..nodes.maths.method.noising import NoisedLatents
from .finished import Model
from .training_data import FIRST_HELD_OUT_SEED

FIRST_SCENE = 2 * FIRST_HELD_OUT_SEED  # no benchmark uses these

Picture = tuple[str, int]
"""A label, and the seed of the scene that is drawn as it."""


def pictures(scenes: int) -> list[Picture]:
    """So many scenes a pair, each drawn as both classes."""
    return [(label, FIRST_SCENE + number) for number in range(scenes) for pair in PAIRS for label in pair]


def other_label(label: str) -> str:
    """The other one of its pair."""
    pair = next(pair for pair in PAIRS if label in pair)
    return pair[1 - pair.index(label)]


def noised(model: Model, picture: Picture, timesteps: Sequence[int], samples: int = 2) -> NoisedLatents:
    """The drawing's noised latents, see `Model.noise`."""
    label, seed = picture
    drawn = draw(sample_scene(label, seed), label, model.size)
    return model.noise(model.encode_picture(drawn), seed, timesteps, samples)
