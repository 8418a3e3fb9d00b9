"""Digests that show whether two models, or two prompts, are the same, also on another day and another machine."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import comfy.model_patcher
import torch
from torch import Tensor

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import VAE

    from .prediction import Conditioning

WHOLE = 4 << 30
"""Bytes of a model's weights that are read; of a larger model's, evenly spread rows of every tensor that come to as much."""

ROW = 512
"""Words of 8 bytes that are summed up to one; both sums take about 0.2 s for each GB on one core."""

SMALL = 1 << 16
"""Bytes of a tensor that go into a digest as they are."""

DEEPEST = 24
"""How far into the attributes of attributes a digest looks."""


def of_model(model: ModelPatcher) -> str:
    """A digest of a model: its class, latents, noise levels, weights, the types that it computes in, and all its patches.

    Weights are those of the file, whether or not a patch is in effect just now. They are read whole up to `WHOLE`, as sums that
    any single edit changes. Counting edits instead (`Tensor._version`) would miss those through `.data`, and tensors made in
    inference mode, as nodes make them, have no such count. Functions that nodes add to the model are distinguished by their
    names, constants and what they hold: parameters of FreeU, the weights of a bypass LoRA.
    """
    digest = _Digest(model)
    with model.use_ejected():
        digest.add(_parts(model))
    return digest.hexdigest()


def of_vae(vae: VAE) -> str:
    """A digest of a VAE: its class and its weights, as in `of_model`."""
    digest = _Digest()
    digest.add([_kind(vae.first_stage_model), dict(tensors(vae.first_stage_model))])
    return digest.hexdigest()


def of_conditioning(conditioning: Conditioning) -> str:
    """A digest of a prompt as the model gets it: every value of every tensor, on any device, and everything attached to it."""
    digest = _Digest()
    digest.add(conditioning)
    return digest.hexdigest()


def of_pair(model: ModelPatcher, target: Conditioning, contrast: Conditioning) -> dict[str, str]:
    """What made the predictions under two prompts, as `NoisePredictions.fingerprints` has it."""
    return {"model": of_model(model), "target": of_conditioning(target), "contrast": of_conditioning(contrast)}


def _parts(model: ModelPatcher) -> list[Any]:
    """Everything of a MODEL that may change what it predicts."""
    inner = model.model
    latents, levels = model.get_model_object("latent_format"), model.get_model_object("model_sampling")
    kinds = [_kind(part) for part in (inner, latents)] + [base.__name__ for base in type(levels).__mro__]
    types = [model.model_dtype(), model.get_model_object("manual_cast_dtype"), model.force_cast_weights]
    hooked = [
        model.injections,
        _filled(model.wrappers),
        _filled(model.callbacks),
        model.weight_wrapper_patches,
        model.forced_hooks,
    ]
    added = [model.additional_models, model.attachments]
    weights = {name: _original(model, name, tensor) for name, tensor in tensors(inner)}
    return [kinds, levels, types, weights, model.patches, model.object_patches, model.model_options, hooked, added]


def _original(model: ModelPatcher, name: str, tensor: Tensor) -> Tensor:
    """A weight as it was before ComfyUI patched it, from where ComfyUI keeps it meanwhile."""
    if name in model.hook_backup:
        return model.hook_backup[name][0]
    return model.backup[name].weight if name in model.backup else tensor


def _filled(nested: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, list[Any]]]:
    """Without the empty lists, which come and go."""
    return {kind: full for kind, keyed in nested.items() if (full := {key: some for key, some in keyed.items() if some})}


def tensors(module: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A module's weights and buffers by name, as they are;
    `state_dict()` has stand-ins without values for layers of GGUF files."""
    for prefix, part in module.named_modules():
        buffers = {name: buffer for name, buffer in part._buffers.items() if name not in part._non_persistent_buffers_set}
        for name, tensor in (part._parameters | buffers).items():
            if tensor is not None:
                yield f"{prefix}.{name}" if prefix else name, tensor


class _Digest:
    """Takes in plain data by content, functions by names, constants and what they hold, other things by their attributes."""

    def __init__(self, model: ModelPatcher | None = None) -> None:
        self._sha = hashlib.sha256()
        # a part of the model that a patch holds is identified by its name in the model
        self._seen = (
            {} if model is None else {id(part): name for name, part in model.model.named_modules()} | {id(model): "model"}
        )
        self._alive: list[object] = []
        """Things made on the way, so that none of them takes the id of another."""
        size = 0 if model is None else sum(tensor.nbytes for _, tensor in tensors(model.model))
        self._stride = max(1, -(-size // WHOLE))

    def hexdigest(self) -> str:
        return self._sha.hexdigest()

    def add(self, value: object, depth: int = 0) -> None:
        """Take in a value with all that it holds; objects `DEEPEST` deep, and one in several places once."""
        if isinstance(value, Tensor):
            self._add_tensor(value)
        elif isinstance(value, dict):
            self._word(f"{{{len(value)}")
            for key in sorted(value, key=str):
                self._word(str(key) if isinstance(key, (str, int, float, tuple)) else _kind(key))
                self.add(value[key], depth)
        elif isinstance(value, (list, tuple)):
            self._word(f"[{len(value)}")
            for part in value:
                self.add(part, depth)
        elif isinstance(value, (bool, int, float, complex, str, bytes, type(None), torch.dtype)):
            self._word(f"{type(value).__name__} {value!r}")
        elif depth > DEEPEST or id(value) in self._seen:
            self._word(f"known {self._seen.get(id(value), _kind(value))}")
        else:
            self._seen[id(value)] = _kind(value)
            self._alive.append(value)
            self._add_object(value, depth + 1)

    def _add_object(self, value: Any, depth: int) -> None:
        self._word(_kind(value))
        if isinstance(value, comfy.model_patcher.ModelPatcher):
            self.add(_parts(value), depth)
        elif isinstance(value, torch.nn.Module):
            self.add([dict(tensors(value)), _numbers(value)], depth)
        elif isinstance(value, functools.partial):
            self.add([value.func, value.args, value.keywords], depth)
        elif inspect.ismethod(value):
            self.add([value.__self__, value.__func__], depth)
        elif inspect.isfunction(value):
            self.add([value.__defaults__, value.__kwdefaults__, _constants(value.__code__), _held(value)], depth)
        elif not isinstance(value, type):
            self.add(_attributes(value), depth)

    def _add_tensor(self, tensor: Tensor) -> None:
        self._word(f"{tensor.dtype}{list(tensor.shape)}")
        if hasattr(tensor, "__tensor_flatten__"):  # a quantised one: its bits, and the scales that go with them
            names, settings = tensor.__tensor_flatten__()
            self.add([settings, *(getattr(tensor, name) for name in names)])
        elif tensor.device.type != "meta":
            self._sha.update(_bytes(tensor, self._stride))

    def _word(self, word: str) -> None:
        self._sha.update(word.encode() + b"\n")


def _attributes(value: object) -> dict[str, Any]:
    """An object's attributes by name, but those of nothing, or of a module's method,
    which a hook puts aside while it is in effect."""
    names = [*getattr(value, "__dict__", ()), *(name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ()))]
    found = {name: getattr(value, name, None) for name in names if isinstance(name, str) and not name.startswith("__")}
    return {name: part for name, part in found.items() if part is not None and not _is_modules_method(part)}


def _is_modules_method(value: object) -> bool:
    return inspect.ismethod(value) and isinstance(value.__self__, torch.nn.Module)


def _numbers(module: torch.nn.Module) -> dict[str, Any]:
    """A module's own settings, but those of ComfyUI about where its weights are."""
    plain = (bool, int, float, str)
    return {name: value for name, value in vars(module).items() if isinstance(value, plain) and "comfy_" not in name}


def _constants(code: Any) -> list[Any]:
    """The names and constants of a function's code, which are the same on every machine; the code of those within it as well."""
    inner = [_constants(constant) if inspect.iscode(constant) else constant for constant in code.co_consts]
    return [code.co_names, [constant if _is_plain(constant) else str(type(constant)) for constant in inner]]


def _is_plain(constant: object) -> bool:
    return isinstance(constant, (bool, int, float, complex, str, bytes, tuple, list, type(None)))


def _held(function: Any) -> dict[str, Any]:
    """What a function holds of the place where it was made."""
    held = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # nothing yet
            held[name] = None
    return held


def _bytes(tensor: Tensor, stride: int) -> Any:
    """A small tensor's bytes, or a large one's sums along rows and columns of 8-byte words, of every `stride`-th row."""
    plain = tensor.detach().as_subclass(Tensor).contiguous().reshape(-1)
    raw = plain.view(torch.uint8) if plain.numel() else torch.empty(0, dtype=torch.uint8)
    if raw.numel() <= SMALL:
        return raw.cpu().numpy().tobytes()
    whole = raw.numel() // (8 * ROW) * (8 * ROW)
    if raw.storage_offset() % 8:
        raw = raw.clone()
    rows = raw[:whole].view(torch.int64).view(-1, ROW)[::stride]
    sums = torch.cat([rows.sum(1), rows.sum(0)]).cpu()
    return sums.numpy().tobytes() + raw[whole:].cpu().numpy().tobytes()


def _kind(value: object) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
