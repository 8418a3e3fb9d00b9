"""A model whose weights are shuffled, for as long as it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch
from comfy.weight_adapter.base import WeightAdapterBase
from torch import Tensor

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

NETWORK = "diffusion_model."
"""What ComfyUI calls the network within a model; the rest of its state are noise levels."""


@contextmanager
def shuffled_weights(model: ModelPatcher, seed: int) -> Iterator[ModelPatcher]:
    """A clone of the model with every tensor of its network permuted; afterwards the weights are the old ones, whatever happened.

    The values of each tensor stay, so that what the layers give out keeps its size, but nothing of what was learned is
    left (Adebayo et al. 2018, "Sanity Checks for Saliency Maps"). ComfyUI applies it like a LoRA over all layers: tensor by
    tensor where they are loaded, with the originals kept off the device meanwhile.

    Raises:
        ValueError: a model without weights of its own to shuffle.
    """
    clone = model.clone()
    weights = {name for name, weight in model.model.state_dict().items() if name.startswith(NETWORK) and weight.numel() > 1}
    if not clone.add_patches(dict.fromkeys(weights, Shuffle(seed))):
        raise ValueError(f"This model ({type(model.model).__name__}) has no weights that could be shuffled.")
    try:
        yield clone
    finally:
        unload(clone)


class Shuffle(WeightAdapterBase):
    """Permutes a weight, in a way that depends on the seed and the weight's name alone."""

    name = "shuffle"

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loaded_keys: set[str] = set()
        self.weights: list[Tensor] = []

    def calculate_weight(self, weight: Tensor, key: str, *_: Any, **__: Any) -> Tensor:
        """The permuted weight, of the same shape, on the same device."""
        seed = hashlib.sha256(f"{self.seed} {key}".encode()).digest()[:7]
        generator = torch.Generator(weight.device).manual_seed(int.from_bytes(seed, "big"))
        order = torch.randperm(weight.numel(), generator=generator, device=weight.device)
        return weight.flatten()[order].reshape(weight.shape)


def unload(model: ModelPatcher) -> None:
    """Take a model, and every clone that shares its weights, off the device and restore the weights.

    ComfyUI would do so when it loads another clone; until then whoever reads the weights would find the patched ones.
    """
    loaded_models = comfy.model_management.current_loaded_models
    for loaded in [loaded for loaded in loaded_models if loaded.model is not None and loaded.model.is_clone(model)]:
        loaded.model_unload()
        loaded_models.remove(loaded)
    model.detach()  # what a load that broke off half-way has patched
