"""A LoRA of a model's attention, by peft, written under the names that ComfyUI maps to its own layers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from ..permissions import as_usual
from .subjects import Subject

UNET_LAYERS = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT_LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj"]
FILE = "lora.safetensors"


def add(subject: Subject, rank: int) -> None:
    """Freeze the networks and give their attention a LoRA of this rank, which is all that is trained then.

    Raises:
        ValueError: a rank below 1.
    """
    if rank < 1:
        raise ValueError(f"The LoRA's rank is {rank}; expected 1 or more, 4 to 16 are usual.")
    subject.networks.requires_grad_(False)
    for network, layers in ((subject.pipeline.unet, UNET_LAYERS), (subject.pipeline.text_encoder, TEXT_LAYERS)):
        network.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers))


def save(subject: Subject, file: Path) -> None:
    """Write the LoRA; ComfyUI's Load LoRA applies every pair of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".part")
    save_file(dict(tensors(subject)), beside)
    as_usual(beside)
    os.replace(beside, file)


def tensors(subject: Subject) -> Iterator[tuple[str, Tensor]]:
    """Names and weights: lora_unet_… and lora_te_… with .lora_down.weight, .lora_up.weight and .alpha for each layer."""
    for prefix, network in (("lora_unet_", subject.pipeline.unet), ("lora_te_", subject.pipeline.text_encoder)):
        for name, layer in network.named_modules():
            if isinstance(layer, LoraLayer) and layer.lora_A:
                yield from _pair(prefix + _native(name, prefix).replace(".", "_"), layer)


def _native(name: str, prefix: str) -> str:
    """The layer's name as files have it: transformers 5 leaves out the text encoder's own text_model."""
    return f"text_model.{name}" if prefix == "lora_te_" and not name.startswith("text_model.") else name


def _pair(name: str, layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    (adapter,) = layer.lora_A
    yield f"{name}.lora_down.weight", layer.lora_A[adapter].weight.detach().float().cpu().contiguous()
    yield f"{name}.lora_up.weight", layer.lora_B[adapter].weight.detach().float().cpu().contiguous()
    yield f"{name}.alpha", torch.tensor(float(layer.lora_alpha[adapter]))
