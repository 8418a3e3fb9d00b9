"""One job after the other on each of several processes of one thread, with a progress bar."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tqdm import tqdm

_shared: Any


def spread(work: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any], workers: int, title: str, unit: str) -> list:
    """`work(shared, job)` for all jobs, in their order; `shared` goes to each process once. A single one is this process itself.

    Several are forked, where gradients fail if this process has computed any before.
    """
    if workers == 1:
        _start(shared)
        return [work(shared, job) for job in tqdm(jobs, title, unit=unit)]
    with multiprocessing.Pool(workers, _start, (shared,)) as pool:
        results = pool.imap(_call, ((work, job) for job in jobs))
        return list(tqdm(results, title, total=len(jobs), unit=unit))


def _start(shared: Any) -> None:
    global _shared
    torch.set_num_threads(1)
    _shared = shared


def _call(job: tuple[Callable[[Any, Any], Any], Any]) -> Any:
    work, argument = job
    return work(_shared, argument)
