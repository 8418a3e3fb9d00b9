"""Answers on disk, one file for each picture: an audit that was stopped goes on, and several processes share one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
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


def digest_names(files: Iterable[Path]) -> str:
    """A number that changes when other files come in these places, or these are changed."""
    known = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def digest(file: Path) -> str:
    """A number that changes with the content of a file, or of all the weights in a folder."""
    files = [file] if file.is_file() else sorted(file.rglob("*.safetensors"))
    found = hashlib.sha256()
    for one in files:
        with one.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest() if hasattr(hashlib, "file_digest") else stream.read())
    return found.hexdigest()
