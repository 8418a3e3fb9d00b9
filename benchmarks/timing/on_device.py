"""What is measured on a device, a GPU above all: whether it predicts the same, how long that takes, and how it ends early.

Every function adds lines to a `Report`. Call `graph.start` first.
"""

from __future__ import annotations

import csv
import gc
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .graph import Graph
from .networks import BUNDLED, PROMPTS, Network
from .stopwatch import synchronise
from .true_sizes import SHAPES, Shape, build, tiny, with_mask
from .work import BARE, MASK, OURS, Work, forwards, given_to_graph, graph_prompt

HEAD = ("network", "number format", "what", "value", "unit", "note")
NAMES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
STEPS_OF_ROUNDING = {torch.float32: 256, torch.float16: 8, torch.bfloat16: 8}
"""How many rounding steps of its format a prediction may lie from the CPU's in float32, relative to its size."""
TF32 = 2**-10
"""A rounding step of the format that a GPU may take for convolutions in float32."""
BATCHES = (1, 2, 4, 8, 16, 32, 64)
CALLS = (8192, 16384, 32768, 65536, 131072, 262144)
"""Latent cells in a model call that are tried."""
ROUNDS = 3
LONGEST = 20.0
"""Seconds that one batch size, or one number of cells in a call, may take: larger ones are left out."""
ENOUGH = 32
"""Steps whose calls grow to their full size, since the first ones are small, so that something is soon to be seen."""


@dataclass(eq=False)
class Report:
    """Lines in a CSV file, written as they come, and the time that is left."""

    file: Path
    minutes: float
    began: float = field(default_factory=time.monotonic)
    lines: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, network: str, dtype: str, what: str, value: float | None, unit: str, note: str = "") -> None:
        line = (network, dtype, what, None if value is None else float(f"{value:.5g}"), unit, note)
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            if not self.lines:
                writer.writerow(HEAD)
            writer.writerow(line)
        self.lines.append(line)
        print(f"{60 * self.minutes - self.left:4.0f} s", *(part for part in line if part not in (None, "")), sep="  ", flush=True)

    @property
    def left(self) -> float:
        """Seconds."""
        return 60 * self.minutes - (time.monotonic() - self.began)

    @contextmanager
    def part(self, network: str, dtype: str, what: str, least: float = 15) -> Iterator[None]:
        """A measurement that may fail: then a line says how, and the others go on. Left out if too little time is left.

        One may stand within another.

        Raises:
            TooLateError: less than `least` seconds are left.
        """
        if self.left < least:
            self.add(network, dtype, what, None, "", "left out: no time")
            raise TooLateError
        try:
            yield
        except TooLateError:
            raise
        except Exception as error:  # noqa: BLE001  (what fails on a machine that nobody sees must be told)
            traceback.print_exc()
            self.add(network, dtype, what, None, "", f"failed: {type(error).__name__}: {str(error)[:200]}")


class TooLateError(Exception):
    """The time is over."""


# ------------------------------------------------------------------------------------------------------------- the same?


def check(report: Report, device: torch.device, steps: int) -> bool:
    """Whether the bundled model predicts the same on the device as in float32 on the CPU, but for rounding."""
    latent, right = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0)), True
    reference = predicted(bundled(torch.float32, torch.device("cpu")), latent, steps)
    size = (reference[0] - reference[1]).norm()
    for dtype, strict in ((torch.float32, True), (torch.float32, False), (torch.float16, True), (torch.bfloat16, True)):
        if device.type == "cpu" and dtype == torch.float16:
            continue  # slow there, and nobody takes it
        torch.backends.cudnn.allow_tf32 = not strict
        found = predicted(bundled(dtype, device), latent, steps)
        error = ((found - reference).norm() / reference.norm()).item()
        step = torch.finfo(dtype).eps if strict else TF32
        limit = (STEPS_OF_ROUNDING[dtype] if strict else STEPS_OF_ROUNDING[torch.float16]) * step
        right &= error <= limit
        name = NAMES[dtype] + ("" if strict else ", TF32 convolutions")
        words = "kept" if error <= limit else "EXCEEDED"
        report.add(BUNDLED, name, "predictions differ from the CPU's by", error, "of their size", f"limit {limit:.2g}: {words}")
        moved = ((found[0] - found[1]) - (reference[0] - reference[1])).norm() / size
        report.add(BUNDLED, name, "the difference of both prompts moves by", moved.item(), "of its size")
    torch.backends.cudnn.allow_tf32 = True
    free()
    return right


def bundled(dtype: torch.dtype, device: torch.device) -> Network:
    """The bundled model on a device, computed in a number format."""
    from comfy.cli_args import args

    from ...nodes.host.loading.diffusers_folder import load_pipeline

    flags = {torch.float32: "fp32_unet", torch.float16: "fp16_unet", torch.bfloat16: "bf16_unet"}
    for kind, flag in flags.items():
        setattr(args, flag, kind == dtype)
    try:
        model, clip, _ = load_pipeline(Path(__file__).resolve().parents[2] / "bundled" / "model", [])
    finally:
        setattr(args, flags[dtype], False)
    model.load_device = device
    if device.type == "cpu" or dtype == torch.float32:
        model.model.manual_cast_dtype = None if dtype == torch.float32 else torch.float32
    prompts = [clip.encode_from_tokens_scheduled(clip.tokenize(text))[0][0] for text in PROMPTS]
    return Network(BUNDLED, model, prompts, (4, 32, 32), None)


def predicted(network: Network, latent: Tensor, steps: int) -> Tensor:
    """Both prompts' predictions through the graph, [2,…] float32."""
    from ...nodes.host import kept

    kept.forget_all()
    work = Work(steps)
    given = given_to_graph(network, work) | {"latent": {"samples": latent}}
    found = Graph().run(graph_prompt(work, seed=7, precision="float32"), ["predict", 0], **given)
    kept.forget_all()
    return torch.stack([found.target, found.contrast]).float()


# ------------------------------------------------------------------------------------------------------------- how long?


def measure_network(report: Report, name: str, dtype: torch.dtype, device: torch.device, small: bool) -> None:
    """Everything about one network in one number format."""
    with suppress(TooLateError):
        _every_way(report, name, tiny(name) if small else SHAPES[name], dtype, device, small)
    free()


def _every_way(report: Report, name: str, shape: Shape, dtype: torch.dtype, device: torch.device, small: bool) -> None:
    called, work, network, seconds = NAMES[dtype], Work(shape.steps), None, {1: 0.0}
    with report.part(name, called, "building", least=30):
        began = time.perf_counter()
        network = build(name, shape, dtype, device)
        Work(2).run(OURS, network, 1)
        report.add(name, called, "built, loaded and asked once", time.perf_counter() - began, "s")
    if network is None:
        return
    with report.part(name, called, "best batch", least=30):
        seconds = try_batches(report, network, called, small)
    best = min(seconds, key=seconds.__getitem__)
    least = 15 + 4 * ENOUGH * seconds[best]  # evaluations that the longest of these asks for
    with report.part(name, called, "time", least):
        compare(report, network, shape, work, best, called)
    with report.part(name, called, "first map", least):
        first_map(report, network, work, called)
    with report.part(name, called, "cancel", least):
        cancel(report, network, work, called)
    with report.part(name, called, "out of memory", least):
        run_out_of_memory(report, network, work, called)
    with report.part(name, called, "cells in a call", least):
        try_calls(report, network, called, small)


def try_batches(report: Report, network: Network, called: str, small: bool) -> dict[int, float]:
    """Seconds that an evaluation of the bare network takes, by batch size.

    Raises:
        RuntimeError: there is no memory for one.
    """
    seconds: dict[int, float] = {}
    with torch.inference_mode():
        load(network)
        for size in BATCHES[:3] if small else BATCHES:
            try:
                forwards(network, size, size)
                synchronise()
                repeats, began = 2, time.perf_counter()
                forwards(network, repeats * size, size)
                synchronise()
                seconds[size] = (time.perf_counter() - began) / (repeats * size)
            except torch.cuda.OutOfMemoryError:
                free_cache()
                report.add(network.name, called, f"bare network, batch {size}", None, "", "out of memory")
                break
            report.add(network.name, called, f"bare network, batch {size}", 1000 * seconds[size], "ms an evaluation")
            if seconds[size] > 1.2 * min(seconds.values()) or 6 * size * seconds[size] > LONGEST:  # of the next one
                break
    if not seconds:
        raise RuntimeError("no memory for one evaluation")
    return seconds


def compare(report: Report, network: Network, shape: Shape, work: Work, batch: int, called: str) -> None:
    """Explain's predictions beside as many forwards of the bare network, and beside `generate_mask`, in turns."""
    spent: dict[str, list[float]] = {OURS: [], BARE: []}
    for number in range(ROUNDS):
        for variant in (OURS, BARE) if number % 2 else (BARE, OURS):
            reset_peak()
            spent[variant].append(work.run(variant, network, batch)["seconds"])
            if number == 0 and (peak := peak_bytes()) is not None:
                report.add(network.name, called, f"memory, {variant}", peak / 1e9, "GB", "peak, weights included")
    for variant, seconds in spent.items():
        report.add(network.name, called, f"time, {variant}", statistics.median(seconds), "s", f"{work}, median of {ROUNDS}")
    ratios = [ours / bare for ours, bare in zip(spent[OURS], spent[BARE], strict=True)]
    report.add(network.name, called, "ours ÷ bare network, best batch", statistics.median(ratios), "×", "goal ≤ 1.03")
    if shape.diffusers is None:
        report.add(network.name, called, "ours ÷ generate_mask", None, "", "diffusers has no such mask for it")
        return
    with report.part(network.name, called, "generate_mask"):
        masking = with_mask(network, shape)
        few = replace(work, steps=min(work.steps, 20))  # 40 evaluations: what diffusers' default asks for, all in one call
        Work(2).run(MASK, masking, batch)
        mask = [few.run(MASK, masking, batch)["seconds"] for _ in range(ROUNDS)]
        ours = [few.run(OURS, network, batch)["seconds"] for _ in range(ROUNDS)]
        note = f"{few.evaluations} evaluations each; {statistics.median(mask):.3f} s the mask"
        report.add(network.name, called, "ours ÷ generate_mask", statistics.median(a / b for a, b in zip(ours, mask)), "×", note)
        reset_peak()
        few.run(MASK, masking, batch)
        if (peak := peak_bytes()) is not None:
            report.add(network.name, called, f"memory, {MASK}", peak / 1e9, "GB", "peak, both networks' weights included")


def first_map(report: Report, network: Network, work: Work, called: str) -> None:
    """When both prompts have their first answers, and how long a map of them takes."""
    from ...nodes.host import kept
    from ...nodes.maths.method.difference import sum_steps
    from ...nodes.maths.method.reading import read_map

    kept.forget_all()
    moments: dict[int, float] = {}
    given = given_to_graph(network, work)

    def answered(predictions: Tensor) -> None:
        moments.setdefault(predictions.data_ptr(), time.perf_counter())

    with after_calls(answered):
        began = time.perf_counter()
        found = Graph().run(graph_prompt(work), ["predict", 0], **given)
        whole = time.perf_counter() - began
    first = max(list(moments.values())[:2]) - began
    began = time.perf_counter()
    read_map(sum_steps(found, 0, min(2, found.noised.steps), "information"))
    drawn = time.perf_counter() - began
    note = f"{100 * (first + drawn) / whole:.3g} % of the whole run of {work.evaluations} evaluations, {whole:.3f} s"
    report.add(network.name, called, "time to first map", first + drawn, "s", note)
    kept.forget_all()


@contextmanager
def after_calls(answered: Callable[[Tensor], None]) -> Iterator[None]:
    """While it lasts, `answered` is told the array that each model call has written to."""
    from ...nodes.host import prediction

    real = prediction.predict_into

    def watched(predictions: Tensor, *arguments: Any, **options: Any) -> None:
        real(predictions, *arguments, **options)
        answered(predictions)

    prediction.predict_into = watched
    try:
        yield
    finally:
        prediction.predict_into = real


def try_calls(report: Report, network: Network, called: str, small: bool) -> None:
    """How long an evaluation takes with other numbers of cells in a model call than the pack's."""
    from ...nodes.host import prediction

    cells = network.latent[1] * network.latent[2]
    usual = prediction.CELLS, prediction.CELLS_CPU
    batches, seconds = [4, 16] if small else sorted({max(1, wanted // cells) for wanted in CALLS}), 0.0
    try:
        for size in batches:
            if report.left < 10:
                raise TooLateError
            prediction.CELLS = prediction.CELLS_CPU = size * cells
            work = Work(steps=max(2, min(4 * size, 128)))
            if work.evaluations * seconds > LONGEST:
                report.add(network.name, called, f"ours, {size * cells} cells in a call", None, "", "left out: too long")
                break
            seconds = work.run(OURS, network, size)["seconds"] / work.evaluations
            note = f"{size} in a call" + (", the pack's choice on a GPU" if size == max(1, usual[0] // cells) else "")
            report.add(network.name, called, f"ours, {size * cells} cells in a call", 1000 * seconds, "ms an evaluation", note)
    finally:
        prediction.CELLS, prediction.CELLS_CPU = usual


# ------------------------------------------------------------------------------------------------------------- how it ends


def run_out_of_memory(report: Report, network: Network, work: Work, called: str) -> None:
    """Ask for more in a call than the memory that is allowed, and see that the answers come all the same."""
    from ...nodes.host import kept, prediction

    latent = torch.randn(1, *network.latent, generator=torch.Generator().manual_seed(1))
    steps = max(work.steps, ENOUGH)
    expected = predicted(network, latent, steps)
    usual, calls = (prediction.CELLS, prediction.CELLS_CPU), Calls(network, most=2)
    prediction.CELLS = prediction.CELLS_CPU = 1 << 30  # all in one call
    try:
        with calls.watched(), little_memory(network):
            found = predicted(network, latent, steps)
    finally:
        prediction.CELLS, prediction.CELLS_CPU = usual
        kept.forget_all()
        free_cache()
    failed = len(calls.begun) - len(calls.ended)
    moved = ((found - expected).norm() / expected.norm()).item()
    note = f"largest call asked {max(calls.begun)}, largest answered {max(calls.ended)}; predictions moved by {moved:.2g}"
    report.add(network.name, called, "out of memory, provoked and survived", failed, "times", note)
    if not failed:
        raise RuntimeError("memory did not run out")


@contextmanager
def little_memory(network: Network) -> Iterator[None]:
    """On a GPU: memory for calls of two or three, and no more."""
    if network.prompts[0].device.type == "cpu":
        yield
        return
    device = network.prompts[0].device
    load(network)
    before = torch.cuda.memory_allocated(device)
    reset_peak()
    with torch.inference_mode():
        network.forward(2)
    call = torch.cuda.max_memory_allocated(device) - before
    free_cache()
    whole = torch.cuda.get_device_properties(device).total_memory
    allowed = torch.cuda.memory_reserved(device) + 3 * call // 2
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / whole), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


class Calls:
    """Sizes of the network's calls that began and that ended; on a CPU those above `most` fail as on a full GPU."""

    def __init__(self, network: Network, most: int | None = None, began: Callable[[int], None] = lambda size: None) -> None:
        self.network, self.on_began = network.model.model.diffusion_model, began
        self.most = most if network.prompts[0].device.type == "cpu" else None
        self.begun: list[int] = []
        self.ended: list[int] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        before = self.network.register_forward_pre_hook(lambda module, arguments: self._begin(len(arguments[0])))
        after = self.network.register_forward_hook(lambda module, arguments, output: self.ended.append(len(output)))
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def _begin(self, size: int) -> None:
        self.begun.append(size)
        self.on_began(size)
        if self.most is not None and size > self.most:
            raise torch.cuda.OutOfMemoryError("out of memory, as the benchmark wants it")


def cancel(report: Report, network: Network, work: Work, called: str) -> None:
    """How long a run goes on if it is cancelled when a call of full size has just begun: the longest that a person waits."""
    import comfy.model_management

    from ...nodes.host import kept, prediction

    many = Work(steps=4 * work.steps)
    full = max(1, min(prediction.CELLS // (network.latent[1] * network.latent[2]), work.steps))
    pressed: list[float] = []

    def press(size: int) -> None:
        if size >= full and not pressed:
            pressed.append(time.perf_counter())
            comfy.model_management.interrupt_current_processing(True)

    kept.forget_all()
    calls = Calls(network, began=press)
    with calls.watched(), suppress(RuntimeError):
        Graph().run(graph_prompt(many), ["predict", 0], **given_to_graph(network, many))
    synchronise()
    ended = time.perf_counter()
    comfy.model_management.interrupt_current_processing(False)
    kept.forget_all()
    asked = sum(calls.ended)
    if not pressed or asked >= many.evaluations:
        raise RuntimeError(f"{asked} of {many.evaluations} evaluations were made: the run was not cancelled")
    note = f"pressed as a call of {full} evaluations began; {asked} of {many.evaluations} were made"
    report.add(network.name, called, "cancel latency", ended - pressed[0], "s", note)


# ---------------------------------------------------------------------------------------------------------------- memory


def load(network: Network) -> None:
    import comfy.model_management

    comfy.model_management.load_models_gpu([network.model])


def free() -> None:
    """Forget all models; they are not moved to the CPU's memory first, as ComfyUI's unloading would."""
    import comfy.model_management

    comfy.model_management.current_loaded_models.clear()
    free_cache()


def free_cache() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int | None:
    """The most that was taken of the GPU since `reset_peak`; None without one."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
