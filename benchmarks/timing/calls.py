"""How long what follows the predictions takes: sums, heatmaps, legends and sheets, by the nodes themselves."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from ...nodes.maths.method.difference import sum_steps
from ...nodes.maths.method.heatmap import make_heatmap
from ...nodes.maths.method.noising import NoisedLatents, draw_noise
from ...nodes.maths.method.prediction import NoisePredictions
from ...nodes.maths.method.reading import read_map
from ...nodes.maths.pictures.legend import draw_legend, legend_lengths
from .graph import Graph

STEPS, SAMPLES, CELLS = 50, 2, 128
PICTURE = 8 * CELLS


def time_calls(repetitions: int) -> dict[str, list[float]]:
    """Milliseconds of each call: median, and the fastest; over random predictions of 50 steps of 128 × 128 cells, 1024 pixels."""
    predictions, graph = random_predictions(), Graph()
    given = {"predictions": predictions, "image": torch.rand(1, PICTURE, PICTURE, 3)}

    def run(node: str, inputs: dict[str, Any]) -> Callable[[int], Any]:
        def call(number: int) -> None:
            # another number every time, so that nothing is taken from ComfyUI's cache
            wired = {name: value(number) if callable(value) else value for name, value in inputs.items()}
            graph.run({"node": {"class_type": node, "inputs": defaults(node) | wired}}, ["node", 0], **given)

        return call

    def summed(reading: str) -> Callable[[int], Any]:
        of = {"predictions": ["predictions", 0], "reading": reading, "end": lambda number: STEPS - 1 - number}
        return run("SDExplainSumDifference", of)

    def overlay(reading: str) -> Callable[[int], Any]:
        difference = sum_steps(predictions, 0, STEPS, reading, "information")
        of = {"image": ["image", 0], "difference": ["difference", 0], "opacity": lambda number: 0.5 + 0.01 * number}
        given["difference"] = difference
        return run("SDExplainHeatmap", of)

    heatmap = make_heatmap(read_map(sum_steps(predictions, 0, STEPS, "evidence", "information")))
    sheet = {
        "image": ["image", 0],
        "predictions": ["predictions", 0],
        "reading": "evidence",
        "opacity": lambda number: 0.5 + 0.01 * number,
    }
    calls = {
        "re-sum, difference": summed("difference"),
        "re-sum, information": summed("information"),
        "re-sum, evidence": summed("evidence"),
        "heatmap overlay with legend": overlay("evidence"),
        "legend alone": lambda number: draw_legend(heatmap, 0, legend_lengths(PICTURE, PICTURE)),
        "step range sheet": run("SDExplainStepSheet", sheet),
    }
    return {name: timings(call, repetitions) for name, call in calls.items()}


def timings(call: Callable[[int], Any], repetitions: int) -> list[float]:
    call(repetitions)  # the first one loads fonts and code
    spent = []
    for number in range(repetitions):
        began = time.perf_counter()
        call(number)
        spent.append(1000 * (time.perf_counter() - began))
    return [statistics.median(spent), min(spent)]


def defaults(node: str) -> dict[str, Any]:
    """The values that a node's inputs have in a new workflow; those that must be connected are left out."""
    import nodes

    inputs = nodes.NODE_CLASS_MAPPINGS[node].INPUT_TYPES()
    values = {}
    for name, (kind, *options) in {**inputs.get("required", {}), **inputs.get("optional", {})}.items():
        given = options[0] if options else {}
        if "default" in given:
            values[name] = given["default"]
        elif kind == "COMBO" or isinstance(kind, list):
            values[name] = (given.get("options") or kind)[0]
    return values


def random_predictions() -> NoisePredictions:
    """Of STEPS steps and SAMPLES samples of CELLS × CELLS cells, drawn at random; in float16, as they are kept."""
    shape = (4, CELLS, CELLS)
    noise = draw_noise(shape, 1, SAMPLES, STEPS, per_step=True)
    noised = NoisedLatents(
        torch.randn(1, *shape), noise, torch.logspace(1, -1, STEPS), torch.ones(STEPS), torch.ones(4), torch.zeros(4)
    )
    contrast = noise[:, :, None] + 0.3 * torch.randn(SAMPLES, STEPS, 1, *shape)
    return NoisePredictions(noised, (contrast + 0.1 * noised.x0).half(), contrast.half(), "one", "other")
