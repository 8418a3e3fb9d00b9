"""Training pictures: twin pairs drawn once by all processor cores into one memory-mapped file.

Shapes: N scenes, 2 twins (the pair's first and second class), H W picture size.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..bundled.scenes import PAIRS, draw, sample_scene

# Seeds below this are for training; evaluation and tests draw their scenes from above it.
FIRST_HELD_OUT_SEED = 1_000_000
EASIEST_LEVEL = 0.25


def training_scene(index: int):
    """Return the scene of one index: pairs take turns, and the level of difficulty is spread evenly."""
    pair = PAIRS[index % len(PAIRS)]
    level = np.random.default_rng((index, 1)).uniform(EASIEST_LEVEL, 1.0)
    return sample_scene(pair[0], seed=index, level=level)


@dataclass(frozen=True)
class TwinPictures:
    """Twin pictures on disk: `pictures` uint8 [N,2,H,W,3]; scene n belongs to pair n mod 3."""

    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


def draw_twins(job: tuple[int, int]) -> np.ndarray:
    """The pictures [2,H,W,3] of one scene and its twin, of a job (index, size)."""
    index, size = job
    scene = training_scene(index)
    return np.stack([draw(scene, label, size) for label in PAIRS[index % len(PAIRS)]])


def twin_pictures(folder: Path, scenes: int, size: int) -> TwinPictures:
    """Open the drawn pictures in `folder`, drawing them first if they are too few or were drawn with other settings.

    Of more scenes the first are taken: they are the same whatever their number.
    """
    file, note = folder / "pictures.npy", folder / "pictures.json"
    wanted = {"scenes": scenes, "size": size, "level": EASIEST_LEVEL}
    known = json.loads(note.read_text()) if note.exists() else {"scenes": 0}
    if known["scenes"] < scenes or known | {"scenes": scenes} != wanted:
        beside = file.with_suffix(".part")
        pictures = np.lib.format.open_memmap(beside, "w+", np.uint8, (scenes, 2, size, size, 3))
        jobs = ((index, size) for index in range(scenes))
        with multiprocessing.Pool() as pool:
            drawn = pool.imap(draw_twins, jobs, chunksize=32)
            for index, twins in enumerate(tqdm(drawn, "drawing scenes", total=scenes, unit="scene")):
                pictures[index] = twins
        pictures.flush()
        os.replace(beside, file)
        note.write_text(json.dumps(wanted))
    return TwinPictures(np.load(file, mmap_mode="r")[:scenes])
