"""What the kind of a model or prompt means for its noise predictions, in words, as far as the inputs show it.

A checkpoint that was distilled without another schedule or network (SDXL turbo and lightning, most LoRAs) looks the same as
its teacher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.model_base
import torch

from .fingerprint import tensors
from .patches import names_of_guidance

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

    from .prediction import Conditioning

DISTILLED_SAMPLING = {"ModelSamplingDiscreteDistilled", "LCM"}
"""Classes of LCM's schedule, recognised by name: ComfyUI loads the file that defines them under names of its own."""

GUIDANCE = {"Flux": 3.5, "Flux2": 3.5, "HunyuanImage21": 6.0}
"""The guidance that ComfyUI uses if a prompt has none."""

DISTILLED = (
    "This model is distilled ({kind}): it was trained to jump to the picture from few noise levels, not to predict noise at all "
    "of them. Read its maps as what it answers, not as evidence: nats and log-odds are not to be trusted. For those take the "
    "model that it was distilled from."
)
GUIDED = (
    "This model is guidance-distilled: its predictions are those of guidance {guidance:g} at once, so differences are larger "
    "than without guidance, and nats are not log-odds. FluxGuidance 1 in both prompts comes closest to no guidance."
)
BLIND = (
    "This model looks at a picture beside the noised latent, and {prompts} none. It predicts as if the whole picture were "
    "masked or blank. Put InpaintModelConditioning (inpainting) or InstructPixToPixConditioning (instruct, edit) between the "
    "prompts and this node to show it the picture."
)
GUIDANCE_NODES = (
    "{names}: without effect here. Guidance acts while a picture is sampled, on what becomes of several predictions; here "
    "each prompt is asked for alone. The maps are those of the model without it."
)
FEW_BITS = (
    "This model's weights are stored in few bits ({kinds}). That moves predictions, and the small differences between two "
    "prompts far more: maps and nats are those of this file, not of the model that it was made from. For that one take the "
    "file in 16 bits."
)


def caveats(model: ModelPatcher, prompts: dict[str, Conditioning]) -> list[str]:
    """Sentences about the model and the prompts, which are given by the name of their input; none for most models."""
    network = getattr(model.model.model_config, "unet_config", {})
    words = [DISTILLED.format(kind=kind) for kind in _distilled(model, network)]
    if network.get("guidance_embed"):
        asked = {_guidance(model, entry) for prompt in prompts.values() for _, entry in prompt} - {None, 1.0}
        words += [GUIDED.format(guidance=guidance) for guidance in sorted(asked)]
    blind = [name for name, prompt in prompts.items() if not any("concat_latent_image" in entry for _, entry in prompt)]
    if blind and _looks_at_a_picture(model):
        words.append(BLIND.format(prompts="the prompts bring" if len(blind) == len(prompts) else f"{', '.join(blind)} brings"))
    if guidance := names_of_guidance(model):
        words.append(GUIDANCE_NODES.format(names=", ".join(guidance)))
    if kinds := _few_bits(model):
        words.append(FEW_BITS.format(kinds=", ".join(kinds)))
    return words


def _few_bits(model: ModelPatcher) -> list[str]:
    """How weights are stored in less than 16 bits, by the name of the type or layout;
    those that are a twentieth or more of all."""
    sizes: dict[str, int] = {}
    for _, tensor in tensors(model.model):
        quantised = type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.dtype.itemsize < 2
        kind = _stored_as(tensor) if quantised else ""
        sizes[kind] = sizes.get(kind, 0) + tensor.nbytes
    total = sum(sizes.values())
    return sorted(kind for kind, size in sizes.items() if kind and size > total / 20)


def _stored_as(tensor: torch.Tensor) -> str:
    ggml = getattr(tensor, "tensor_type", None)  # as City96's loader marks what comes from a GGUF file
    if ggml is not None:
        return f"GGUF {getattr(ggml, 'name', ggml)}"
    layout = getattr(tensor, "_layout_type", getattr(tensor, "_layout_cls", None))
    if layout is not None:
        return str(getattr(layout, "__name__", layout))
    return str(tensor.dtype).removeprefix("torch.")


def _distilled(model: ModelPatcher, network: dict[str, Any]) -> list[str]:
    sampling = type(model.get_model_object("model_sampling"))
    if DISTILLED_SAMPLING & {base.__name__ for base in sampling.__mro__}:
        return ["LCM"]
    if type(model.model).__name__ == "Flux" and network.get("image_model") == "flux" and not network.get("guidance_embed"):
        return ["Flux schnell, or another Flux without a guidance input"]
    return ["MeanFlow"] if network.get("meanflow") else []


def _guidance(model: ModelPatcher, entry: dict[str, Any]) -> float | None:
    """The guidance that ComfyUI gives to the model; None if a node (FluxDisableGuidance) removes it."""
    return entry.get("guidance", GUIDANCE.get(type(model.model).__name__, 3.5))


def _looks_at_a_picture(model: ModelPatcher) -> bool:
    """Whether ComfyUI puts channels beside the noised latent, asked of the model for a latent of zeros."""
    inner = model.model
    if type(inner).concat_cond is comfy.model_base.BaseModel.concat_cond:
        return bool(inner.concat_keys)
    frame = (1,) if inner.latent_format.latent_dimensions == 3 else ()
    zeros = torch.zeros(1, inner.latent_format.latent_channels, *frame, 8, 8)
    try:
        return inner.concat_cond(noise=zeros, latent_image=zeros, device=zeros.device) is not None
    except Exception:  # a model that needs more than this: it fails with its own words when it predicts
        return False
