"""Digests that tell whether two models, or two prompts, are the same ones, also on another day and another machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import VAE

    from .prediction import Conditioning

SAMPLED = 64
"""Values that are looked at in each tensor of a model: a few milliseconds for all of them, nothing is loaded or moved."""


def of_model(model: ModelPatcher) -> str:
    """A digest of a model: its class, its latents, its noise levels, its weights by a sample, and what patches them.

    Weights are those of the file, whether or not a patch is in effect just now. Functions that nodes hang into the model
    are told apart by name only.
    """
    own = model.model.state_dict()
    weights = {name: model.backup[name].weight if name in model.backup else own[name] for name in own}
    latents, levels = model.get_model_object("latent_format"), model.get_model_object("model_sampling")
    reach = [float(levels.sigma_min), float(levels.sigma_max)]
    kinds = [_kind(part) for part in (model.model, latents)] + [base.__name__ for base in type(levels).__mro__]
    digest = hashlib.sha256()
    _update(digest, [kinds, reach, weights, model.patches, model.object_patches, model.model_options], sampled=True)
    return digest.hexdigest()


def of_vae(vae: VAE) -> str:
    """A digest of a VAE: its class and its weights by a sample, as in `of_model`."""
    digest = hashlib.sha256()
    _update(digest, [_kind(vae.first_stage_model), vae.first_stage_model.state_dict()], sampled=True)
    return digest.hexdigest()


def of_conditioning(conditioning: Conditioning) -> str:
    """A digest of a prompt as the model gets it: every value of every tensor, on any device."""
    digest = hashlib.sha256()
    _update(digest, conditioning, sampled=False)
    return digest.hexdigest()


def of_pair(model: ModelPatcher, target: Conditioning, contrast: Conditioning) -> dict[str, str]:
    """What made the predictions under two prompts, as `NoisePredictions.fingerprints` has it."""
    return {"model": of_model(model), "target": of_conditioning(target), "contrast": of_conditioning(contrast)}


def _update(digest: Any, value: object, sampled: bool) -> None:
    """Add a value to a digest: plain data by content, anything else by its class, and what it calls weights."""
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype}{list(value.shape)}".encode())
        digest.update(_values(value, sampled).view(torch.uint8).numpy())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            _update(digest, [str(key), value[key]], sampled)
    elif isinstance(value, (list, tuple)):
        digest.update(f"[{len(value)}".encode())
        for part in value:
            _update(digest, part, sampled)
    elif isinstance(value, (bool, int, float, str, bytes, type(None))):
        digest.update(f"{type(value).__name__} {value!r}".encode())
    else:
        digest.update(_kind(value).encode())
        _update(digest, getattr(value, "weights", None), sampled)


def _values(tensor: Tensor, sampled: bool) -> Tensor:
    """A tensor's values, or a few of them evenly spread, [n] on the CPU; none of a quantised one, whose layout is its own."""
    if type(tensor) not in (Tensor, torch.nn.Parameter):
        return torch.empty(0)
    flat = tensor.detach().reshape(-1)
    return (flat[:: max(1, flat.numel() // SAMPLED)] if sampled else flat).cpu().contiguous()


def _kind(value: object) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"
