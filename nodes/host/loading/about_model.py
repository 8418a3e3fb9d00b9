"""What a model's folder says about the model besides its weights: `sdexplain.json`, carried along with the MODEL.

The file is written by `python dev.py run training.familiarity`, every entry but the version may be missing:

    {"version": 1,
     "familiarity": {"count": 240, "levels": [-0.35, 1.15], "ratios": [...], "structures": [...]},
     "temperature": 9.5,
     "vocabulary": ["a", "photo", ...]}

"familiarity" has the quantiles SHARES of the model's own held-out pictures, see `OwnPictures`; "temperature" is the divisor of
log-odds, fitted on labelled pictures; "vocabulary" has all words of the training's prompts.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...maths.method.familiarity import LEVELS
from ...maths.method.own_pictures import OwnPictures

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

FILE = "sdexplain.json"
VERSION = 1
ATTRIBUTE = "sdexplain_about_model"


@dataclass(frozen=True)
class AboutModel:
    """What is known about a model; None if its folder does not say."""

    own_pictures: OwnPictures | None = None
    temperature: float | None = None
    vocabulary: frozenset[str] | None = None


def read(folder: Path) -> AboutModel | None:
    """What the folder's `sdexplain.json` says; None if there is no such file.

    Quantiles over other noise levels than are measured today are left out.

    Raises:
        ValueError: the file is not JSON of this form, or of a later version.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']!r}, expected {VERSION}")
        return AboutModel(
            own_pictures=_own_pictures(content.get("familiarity")),
            temperature=_temperature(content.get("temperature")),
            vocabulary=None if content.get("vocabulary") is None else frozenset(map(str, content["vocabulary"])),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{file} can't be read: {error}. Make it anew with `python dev.py run training.familiarity`, or delete it."
        ) from error


def _own_pictures(entry: dict[str, Any] | None) -> OwnPictures | None:
    if entry is None:
        return None
    low, high = map(float, entry["levels"])
    quantiles = {name: tuple(map(float, entry[name])) for name in ("ratios", "structures")}
    own = OwnPictures(count=int(entry["count"]), levels=(low, high), **quantiles)
    return own if own.levels == LEVELS else None


def _temperature(entry: Any) -> float | None:
    if entry is None:
        return None
    if not 0 < float(entry) < math.inf:
        raise ValueError(f"the temperature is {entry!r}, expected a number above 0")
    return float(entry)


def attach(model: ModelPatcher, folder: Path) -> None:
    """Let the MODEL carry what its folder says, on the network's own object: all clones share it, neither predictions nor digests
    see it. ComfyUI's attachments go with clones too, but belong to the digest.

    Raises:
        ValueError: see `read`.
    """
    about = read(folder)
    if about is not None:
        setattr(model.model, ATTRIBUTE, about)


def about_model(model: ModelPatcher) -> AboutModel:
    """What is known about a MODEL: nothing if its weights are patched (a LoRA), because it is then another model."""
    if model.patches:
        return AboutModel()
    about = getattr(model.model, ATTRIBUTE, None)
    return about if isinstance(about, AboutModel) else AboutModel()
