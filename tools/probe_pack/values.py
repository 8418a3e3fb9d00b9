"""Values of every link type, good and bad, made from a few words, and a description of a value in a few words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

FILLS = {"nan": float("nan"), "infinite": float("inf"), "huge": 1e30, "negative": -5.0, "zero": 0.0, "one": 1.0}


class _Anything(str):
    """A link type that ComfyUI lets into every input."""

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class ProbeValue(io.ComfyNode):
    """A value for any input, such as `{"type": "IMAGE", "shape": [1, 64, 64, 3], "fill": "nan"}`, or `{"value":
    3}` as it stands."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        anything = io.Custom(_Anything("*"))
        return io.Schema("ProbeValue", inputs=[io.String.Input("made_from")], outputs=[anything.Output()])

    @classmethod
    def execute(cls, made_from: str) -> io.NodeOutput:
        return io.NodeOutput(make(**json.loads(made_from)))


def make(type: str = "", shape: tuple[int, ...] = (), fill: str = "random", value: Any = None, **more: Any) -> Any:
    """A link's value: a tensor where the type is one, or what wraps it. `fill` names a value, "one nan" spoils a single place."""
    if not type:
        return value
    tensor = filled(tuple(shape), fill)
    if type == "LATENT":
        return {"samples": tensor} | more
    if type == "CONDITIONING":
        pooled = {} if more.get("pooled", True) is False else {"pooled_output": torch.zeros(1, shape[-1])}
        return [[tensor, pooled | more.get("options", {})] for _ in range(more.get("parts", 1))]
    if type == "SIGMAS":
        return torch.tensor(more["levels"], dtype=torch.float32) if "levels" in more else tensor
    if type == "NOISE":
        return _Noise(fill, more.get("wrong_shape", False))
    return tensor.clamp(0, 1) if fill == "random" and type in ("IMAGE", "MASK") else tensor


def filled(shape: tuple[int, ...], fill: str) -> Tensor:
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if fill in FILLS:
        tensor.fill_(FILLS[fill])
    elif fill == "one nan" and tensor.numel():
        tensor.view(-1)[-1] = FILLS["nan"]
    elif fill == "half":
        tensor = tensor.half()
    elif fill == "double":
        tensor = tensor.double()
    return tensor


class _Noise:
    seed = 0

    def __init__(self, fill: str, wrong_shape: bool) -> None:
        self.fill, self.wrong_shape = fill, wrong_shape

    def generate_noise(self, latent: dict[str, Any]) -> Tensor:
        return filled((3, 3) if self.wrong_shape else tuple(latent["samples"].shape), self.fill)


class ProbeReport(io.ComfyNode):
    """Describes any value as JSON: its shapes, limits, whether all is finite, and a digest of its content.

    ComfyUI shows only one of several nodes that have the same inputs: the `name` makes them different.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("ProbeReport", inputs=[io.AnyType.Input("value"), io.String.Input("name")], is_output_node=True)

    @classmethod
    def execute(cls, value: Any, name: str) -> io.NodeOutput:
        return io.NodeOutput(ui={"facts": [facts(value)]})


def facts(value: Any) -> dict[str, Any]:
    found: list[tuple[str, Any]] = []
    collect(value, "", found)
    digest = hashlib.sha256()
    for name, part in found:
        digest.update(name.encode(errors="surrogatepass"))
        digest.update(
            part.detach().cpu().contiguous().view(torch.uint8).numpy() if isinstance(part, Tensor) else repr(part).encode()
        )
    tensors = [part for _, part in found if isinstance(part, Tensor)]
    numbers = [part for part in tensors if part.numel()]
    shown = value if isinstance(value, (int, str)) or (isinstance(value, float) and abs(value) < float("inf")) else None
    return {
        "kind": type(value).__name__,
        "value": shown,
        "shapes": [list(part.shape) for part in tensors],
        "finite": all(bool(torch.isfinite(part).all()) for part in tensors) and value == value
        if not tensors
        else all(bool(torch.isfinite(part).all()) for part in tensors),
        "lowest": min((part.min().item() for part in numbers), default=0.0),
        "highest": max((part.max().item() for part in numbers), default=0.0),
        "digest": digest.hexdigest(),
    }


def collect(value: Any, name: str, found: list[tuple[str, Any]]) -> None:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            collect(value[key], f"{name}.{key}", found)
    elif isinstance(value, (list, tuple)):
        for place, part in enumerate(value):
            collect(part, f"{name}[{place}]", found)
    elif is_dataclass(value):
        for field in fields(value):
            collect(getattr(value, field.name), f"{name}.{field.name}", found)
    elif isinstance(value, (Tensor, bool, int, float, str, type(None))):
        found.append((name, value))
