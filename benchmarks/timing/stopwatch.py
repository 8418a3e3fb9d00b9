"""Time and memory of a function in this process, and a log of measurements, so that a stopped run can go on."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(function: Callable[[], Any]) -> dict[str, float | None]:
    """Run it once: "seconds", "processor" seconds of all "threads", "extra" bytes at the peak on top of what was there before,
    and "resident" bytes of the whole process at the peak. Bytes are None if the system does not tell (all but Linux)."""
    gc.collect()
    before = _forget_peak()
    synchronise()
    began, spent = time.perf_counter(), time.process_time()
    kept = function()
    synchronise()
    seconds, processor = time.perf_counter() - began, time.process_time() - spent
    peak = _kilobytes("VmHWM")
    del kept
    extra, resident = (None, None) if before is None else (1024 * (peak - before), 1024 * peak)
    return {"seconds": seconds, "processor": processor, "threads": torch.get_num_threads(), "extra": extra, "resident": resident}


def synchronise() -> None:
    """Wait until a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _forget_peak() -> int | None:
    """Give free memory back to the system and begin a new peak; returns the kB that the process has."""
    try:
        ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim(0)
        CLEAR.write_text("5")
        return _kilobytes("VmRSS")
    except (OSError, AttributeError):
        return None


def _kilobytes(name: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


@contextmanager
def timed(times: dict[str, float], name: str, owner: Any, attribute: str) -> Iterator[None]:
    """For as long as it lasts, what a function of a module or object takes in all its calls is added to `times[name]`."""
    real = getattr(owner, attribute)
    own = attribute in vars(owner)

    def watched(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return real(*arguments, **options)
        finally:
            times[name] = times.get(name, 0.0) + time.perf_counter() - began

    setattr(owner, attribute, watched)
    try:
        yield
    finally:
        if own:
            setattr(owner, attribute, real)
        else:
            delattr(owner, attribute)


class Log:
    """Measurements by key, a line each in a file; those of other code of the pack, or another torch, don't count."""

    def __init__(self, file: Path) -> None:
        self.file, self.code = file, fingerprint()
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
        self.values = {line["key"]: line["value"] for line in lines if line["code"] == self.code}

    def has(self, key: Any) -> bool:
        return str(key) in self.values

    def get(self, key: Any) -> Any:
        return self.values.get(str(key))

    def add(self, key: Any, value: Any) -> None:
        self.values[str(key)] = value
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": str(key), "code": self.code, "value": value}) + "\n")


def fingerprint() -> str:
    """Of the pack's nodes, what this benchmark runs, and torch."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256(torch.__version__.encode())
    for file in [
        *sorted((here.parents[1] / "nodes").rglob("*.py")),
        *(here / f"{name}.py" for name in ("graph", "networks", "work")),
    ]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
