"""Lets a network fail at a chosen call, and says afterwards whether anything is still held."""

from __future__ import annotations

import builtins
import ctypes
import errno
import gc
import hashlib
import io as files
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import torch
from comfy_api.latest import io

from .values import facts

NETWORKS = ("model.diffusion_model", "cond_stage_model", "first_stage_model")
"""Where a MODEL, a CLIP and a VAE have theirs."""


class BrokenNetworkError(RuntimeError):
    """Stands for any error of a network."""


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (injected by a test)")


def breaks() -> None:
    raise BrokenNetworkError("the network broke (injected by a test)")


_hooks: list[Any] = []
_really_open = builtins.open
FAULTS: dict[str, Callable[[], None]] = {"out of memory": out_of_memory, "breaks": breaks}


class ProbeFault(io.ComfyNode):
    """Passes a MODEL, VAE or CLIP on, whose network fails at its calls from number `first` on, `times` of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            "ProbeFault",
            inputs=[
                io.MultiType.Input("owner", [io.Model, io.Vae, io.Clip]),
                io.String.Input("fault"),
                io.Int.Input("first"),
                io.Int.Input("times", default=1),
            ],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        return float("nan")

    @classmethod
    def execute(cls, owner: Any, fault: str, first: int, times: int) -> io.NodeOutput:
        while _hooks:
            _hooks.pop().remove()
        calls = iter(range(1 << 30))

        def fail(*_: Any) -> None:
            if first <= next(calls) < first + times:
                FAULTS[fault]()

        if fault:
            _hooks.append(network(owner).register_forward_pre_hook(fail))
        return io.NodeOutput(owner, owner, owner)


def network(owner: Any) -> torch.nn.Module:
    for path in NETWORKS:
        found = owner
        for name in path.split("."):
            found = getattr(found, name, None)
        if isinstance(found, torch.nn.Module):
            return found
    raise ValueError(f"{type(owner).__name__} has no network")


class ProbeFullDisk(io.ComfyNode):
    """From now on files below ComfyUI's output and temp folders that grow over `bytes` find the disk full; -1 ends it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("ProbeFullDisk", inputs=[io.Int.Input("bytes", default=-1, min=-1)], is_output_node=True)

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        return float("nan")

    @classmethod
    def execute(cls, bytes: int) -> io.NodeOutput:
        folders = [folder_paths.get_output_directory(), folder_paths.get_temp_directory()]

        def watched(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            opened = _really_open(file, mode, *more, **named)
            inside = isinstance(file, (str, os.PathLike)) and any(Path(file).is_relative_to(folder) for folder in folders)
            return _Full(opened, bytes) if inside and set(mode) & set("wax+") else opened

        # `open`, which Pillow takes from builtins, and what pathlib calls
        builtins.open = files.open = _really_open if bytes < 0 else watched
        return io.NodeOutput(ui={"facts": [bytes]})


class _Full:
    """A file on a disk with room for `room` bytes of it."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, content: Any) -> int:
        size = len(content) if isinstance(content, str) else memoryview(content).nbytes
        if self.file.tell() + size > self.room:
            self.file.write(content[: max(0, self.room - self.file.tell())])  # as a disk does it: what fits is written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> _Full:
        self.file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self.file.__exit__(*error)


class ProbeState(io.ComfyNode):
    """Says what a MODEL is and what the process holds: weights, patches, loaded models, tensors, memory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("ProbeState", inputs=[io.Model.Input("model")], is_output_node=True)

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        return float("nan")

    @classmethod
    def execute(cls, model: Any) -> io.NodeOutput:
        gc.collect()
        weights = {name: weight.detach().cpu() for name, weight in model.model.state_dict().items()}
        storages = {}
        for thing in gc.get_objects():
            if isinstance(thing, torch.Tensor) and type(thing) in (torch.Tensor, torch.nn.Parameter):
                storage = thing.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
        loaded = comfy.model_management.current_loaded_models
        network_of = model.model.diffusion_model
        told = {
            "weights": facts(weights)["digest"],
            "patched": len(model.patches) + len(model.backup) + len(model.object_patches) + len(model.object_patches_backup),
            "hooks": sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in network_of.modules()),
            "options": hashlib.sha256(repr(sorted(model.model_options)).encode()).hexdigest(),
            "training": network_of.training,
            "loaded": len(loaded),
            "loaded_twice": len(loaded) - len({id(one.model.model) for one in loaded if one.model is not None}),
            "grad": torch.is_grad_enabled(),
            "tensor_bytes": sum(storages.values()),
        }
        _give_back()
        told["resident_bytes"] = resident_bytes()
        return io.NodeOutput(ui={"facts": [told]})


def _give_back() -> None:
    """Let the C library return what is free, so that what is still resident is really held (Linux alone has this)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass


def resident_bytes() -> int:
    import psutil

    return psutil.Process().memory_info().rss
