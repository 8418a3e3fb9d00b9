"""How much sooner Explain Image answers where it stops by itself, when its first map is there, and what showing maps costs.

Processor time throughout: it hardly depends on what else the machine does. Call `graph.start` first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ...bundled.scenes import PAIRS, draw, sample_scene
from .graph import Graph, Prompt
from .stopwatch import measure

SCENE = 1_000_027  # held out; more of them from round to round
QUALITIES = ("exact", "settled", "quick")
WORKS = {"Explain Image as it comes": (20, 4), "50 steps, 1 sample": (50, 1)}
"""Steps and noise samples."""
SHOWING, SHOWN, UNSHOWN = "showing", "maps shown", "no map shown"
SHOWING_WORK = "50 steps, 1 sample"


def run(
    work: str, quality: str, number: int, parts: dict[str, Any], around: AbstractContextManager[dict[str, float]] | None = None
) -> dict[str, float | None]:
    """Explain Image about a drawn zebra: see `measure`, with what `watched` sees, and what is seen by what is put around it."""
    from ...nodes.host import kept

    kept.forget_all()  # what an earlier round left
    steps, samples = WORKS[work]
    picture = torch.from_numpy(draw(sample_scene(PAIRS[0], SCENE + number), PAIRS[0][0], 256)).float()[None] / 255
    prompt: Prompt = {"explain": {"class_type": "SDExplainExplain", "inputs": inputs(steps, samples, quality)}}
    graph, times, seen = Graph(), {"first": 0.0, "showing": 0.0, "evaluations": 0.0, "calls": 0.0, "maps": 0.0}, {}

    def explain() -> Any:
        # within what is measured: clearing up before it is not part of the run
        with around or nullcontext({}) as found, watched(times, parts["model"]):
            given = graph.run(prompt, ["explain", 0], image=picture, **parts)
        seen.update(found)
        return given

    measured = measure(explain)
    kept.forget_all()
    return {**measured, **times, **seen}


def run_shown(work: str, way: str, number: int, parts: dict[str, Any]) -> dict[str, float | None]:
    """`run` at exact, with maps SHOWN or UNSHOWN; what they take "alone" is a share of the run's processor time."""
    measured = run(work, "exact", number, parts, served() if way == SHOWN else unshown())
    return {**measured, "alone": (measured["showing"] + measured.get("encoding", 0.0)) / measured["processor"]}


@contextmanager
def served() -> Iterator[dict[str, float]]:
    """For as long as it lasts, maps are encoded in another thread, as ComfyUI's server does; gives the seconds of "encoding"."""
    import comfy.utils
    from server import PromptServer

    page, times = SimpleNamespace(send_bytes=_drop), {"encoding": 0.0}

    def encode(preview: tuple) -> None:
        before = time.thread_time()
        asyncio.run(PromptServer.send_image(page, preview))
        times["encoding"] += time.thread_time() - before

    def show(value: int, total: int, preview: tuple | None, **_: Any) -> None:
        if preview is not None:
            encoded.append(thread.submit(encode, preview))

    encoded: list[Future[None]] = []
    before = comfy.utils.PROGRESS_BAR_HOOK
    with ThreadPoolExecutor(1) as thread:
        comfy.utils.set_progress_bar_global_hook(show)
        try:
            yield times
        finally:
            comfy.utils.set_progress_bar_global_hook(before)
    for one in encoded:
        one.result()  # raises what went wrong


async def _drop(*message: Any, **_: Any) -> None:
    """A page that nobody looks at."""


@contextmanager
def unshown() -> Iterator[dict[str, float]]:
    """For as long as it lasts, no map is shown while the model is asked."""
    from ...nodes.host.progressive import Share

    real, Share.allows = Share.allows, lambda self: False
    try:
        yield {}
    finally:
        Share.allows = real


def load() -> dict[str, Any]:
    """The bundled model in ComfyUI, by the names of Explain Image's inputs."""
    from ...nodes.host.loading.diffusers_folder import load_pipeline

    model, clip, vae = load_pipeline(Path(__file__).resolve().parents[2] / "bundled" / "model", [])
    return {"model": model, "clip": clip, "vae": vae}


def inputs(steps: int, samples: int, quality: str) -> dict[str, Any]:
    """What Explain Image is given; the rest is as it comes."""
    from .calls import defaults

    wired = {name: [name, 0] for name in ("image", "model", "clip", "vae")}
    prompts = {"target_prompt": f"a photo of a {PAIRS[0][0]}", "contrast_prompt": f"a photo of a {PAIRS[0][1]}"}
    return defaults("SDExplainExplain") | wired | prompts | {"steps": steps, "samples": samples, "quality": quality}


@contextmanager
def watched(times: dict[str, float], model: Any) -> Iterator[None]:
    """For as long as it lasts: when the "first" of the "maps" is there, what "showing" takes after "calls", and "evaluations"."""
    import comfy.utils

    from ...nodes.host.progressive import Progress

    began, real_enough, real_update = time.process_time(), Progress.enough, comfy.utils.ProgressBar.update_absolute

    def enough(self: Any, *arguments: Any) -> bool:
        before = time.process_time()
        answer = real_enough(self, *arguments)
        times["showing"] += time.process_time() - before
        times["calls"] += 1
        return answer

    def update(self: Any, value: int, total: int | None = None, preview: Any = None) -> None:
        if preview is not None:
            times["maps"] += 1
            times["first"] = times["first"] or time.process_time() - began
        real_update(self, value, total, preview)

    def count(module: Any, arguments: tuple, *_: Any) -> None:
        times["evaluations"] += len(arguments[0])

    hook = model.model.diffusion_model.register_forward_pre_hook(count)
    Progress.enough, comfy.utils.ProgressBar.update_absolute = enough, update
    try:
        yield
    finally:
        hook.remove()
        Progress.enough, comfy.utils.ProgressBar.update_absolute = real_enough, real_update
