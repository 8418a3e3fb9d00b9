"""Answers on disk, one file for each picture: an audit that was stopped goes on, and several processes share one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .maps import Answer

MAPS = ("classifier_map", "data_map")


class Answers:
    """The answers in a folder, by the picture's number; those to other settings are thrown away."""

    def __init__(self, folder: Path, settings: dict[str, str | int]) -> None:
        self.folder, note = folder, folder / "settings.json"
        if note.exists() and json.loads(note.read_text()) != settings:
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(settings))

    def file(self, number: int) -> Path:
        return self.folder / f"{number:06}.npz"

    def has(self, number: int) -> bool:
        return self.file(number).exists()

    def put(self, number: int, answer: Answer) -> None:
        """Write an answer at once or not at all."""
        beside = self.folder / f"{number:06}.part.npz"
        np.savez_compressed(beside, **asdict(answer))
        os.replace(beside, self.file(number))

    def get(self, number: int) -> Answer:
        with np.load(self.file(number)) as stored:
            return Answer(**{name: stored[name] if name in MAPS else stored[name].item() for name in stored.files})
