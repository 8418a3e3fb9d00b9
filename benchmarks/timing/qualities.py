"""How much sooner Explain Image answers where it stops by itself, when its first map is there, and what showing maps costs.

Processor time throughout: it hardly depends on what else the machine does. Call `graph.start` first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...bundled.scenes import PAIRS, draw, sample_scene
from .graph import Graph, Prompt
from .stopwatch import measure

SCENE = 1_000_027  # held out; more of them from round to round
QUALITIES = ("exact", "settled", "quick")
WORKS = {"Explain Image as it comes": (20, 4), "50 steps, 1 sample": (50, 1)}
"""Steps and noise samples."""


def run(work: str, quality: str, number: int, parts: dict[str, Any]) -> dict[str, float | None]:
    """Explain Image about a drawn zebra: see `measure`, with the "first" map's time, that of "showing", and "evaluations"."""
    from ...nodes.host import kept

    kept._runs.clear()  # what an earlier round left
    steps, samples = WORKS[work]
    picture = torch.from_numpy(draw(sample_scene(PAIRS[0], SCENE + number), PAIRS[0][0], 256)).float()[None] / 255
    prompt: Prompt = {"explain": {"class_type": "SDExplainExplain", "inputs": inputs(steps, samples, quality)}}
    graph, times = Graph(), {"first": 0.0, "showing": 0.0, "evaluations": 0.0}

    def explain() -> Any:
        with watched(times, parts["model"]):  # within what is measured: clearing up before it is not part of the run
            return graph.run(prompt, ["explain", 0], image=picture, **parts)

    measured = measure(explain)
    kept._runs.clear()
    return {**measured, **times}


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
    """For as long as it lasts: when the first map is shown, what showing takes, and how often the network is asked."""
    import comfy.utils

    from ...nodes.host.progressive import Progress

    began, real_enough, real_update = time.process_time(), Progress.enough, comfy.utils.ProgressBar.update_absolute

    def enough(self: Any, *arguments: Any) -> bool:
        before = time.process_time()
        answer = real_enough(self, *arguments)
        times["showing"] += time.process_time() - before
        return answer

    def update(self: Any, value: int, total: int | None = None, preview: Any = None) -> None:
        if preview is not None:
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
