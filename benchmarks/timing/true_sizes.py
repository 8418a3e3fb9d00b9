"""Networks at the true sizes of the public models with random weights, made where they run: on a GPU without a detour.

How long a network takes does not depend on what it has learned, as long as its values stay ordinary numbers. Call `graph.start`
first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from ..ground_truth.diffedit import as_diffedit
from .networks import CONFIGS, PROMPTS, SD15, SDXL, Network, fill, silent

FLUX = "Flux, 1024 px"
UNET: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "use_checkpoint": False,
    "use_spatial_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "legacy": False,
}


@dataclass(frozen=True)
class Shape:
    """What a network of ComfyUI's looks like."""

    family: str
    """ComfyUI's class of it, in `comfy.supported_models`."""
    network: dict[str, Any]
    """Its settings, in ComfyUI's terms."""
    latent: tuple[int, int, int]
    """(C, h, w)."""
    text: tuple[int, int]
    """A prompt's tokens, and their width."""
    steps: int
    """How many a person would take: what is timed."""
    pooled: int = 0
    """Width of what it takes of a prompt besides; 0 for nothing."""
    asks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of what ComfyUI gives the bare network besides, for a batch of 1."""
    told: dict[str, Any] = field(default_factory=dict)
    """What a conditioning says besides."""
    diffusers: dict[str, Any] | None = None
    """The settings of diffusers' UNet of the same size, for `generate_mask`; None if diffusers has no such mask for it."""


SHAPES = {
    SD15: Shape(
        "SD15",
        UNET
        | {
            "adm_in_channels": None,
            "num_res_blocks": [2, 2, 2, 2],
            "channel_mult": [1, 2, 4, 4],
            "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
            "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
            "transformer_depth_middle": 1,
            "use_linear_in_transformer": False,
            "context_dim": 768,
            "num_heads": 8,
        },
        (4, 64, 64),
        (77, 768),
        steps=50,
        diffusers=CONFIGS[SD15],
    ),
    SDXL: Shape(
        "SDXL",
        UNET
        | {
            "num_classes": "sequential",
            "adm_in_channels": 2816,
            "num_res_blocks": [2, 2, 2],
            "channel_mult": [1, 2, 4],
            "transformer_depth": [0, 0, 2, 2, 10, 10],
            "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
            "transformer_depth_middle": 10,
            "use_linear_in_transformer": True,
            "context_dim": 2048,
            "num_head_channels": 64,
        },
        (4, 128, 128),
        (77, 2048),
        steps=20,
        pooled=1280,
        asks={"y": (1, 2816)},
        diffusers=CONFIGS[SDXL],
    ),
    FLUX: Shape(
        "Flux",
        {
            "image_model": "flux",
            "in_channels": 16,
            "out_channels": 16,
            "patch_size": 2,
            "vec_in_dim": 768,
            "context_in_dim": 4096,
            "hidden_size": 3072,
            "num_heads": 24,
            "axes_dim": [16, 56, 56],
            "theta": 10000,
            "mlp_ratio": 4.0,
            "depth": 19,
            "depth_single_blocks": 38,
            "qkv_bias": True,
            "guidance_embed": True,
        },
        (16, 128, 128),
        (512, 4096),
        steps=6,
        pooled=768,
        asks={"y": (1, 768), "guidance": (1,)},
        told={"guidance": 3.5},
    ),
}

USUAL = {SD15: torch.float16, SDXL: torch.float16, FLUX: torch.bfloat16}
"""What ComfyUI takes on a GPU by itself; a run that has time for one format only measures these."""
OTHER = {SD15: torch.bfloat16, SDXL: torch.bfloat16, FLUX: torch.float16}
SMALL = dict.fromkeys(SHAPES, torch.float32)


def tiny(name: str) -> Shape:
    """The same kind of network, so small that a CPU runs it in no time."""
    shape = SHAPES[name]
    if name == FLUX:
        sizes = {"vec_in_dim": 12, "context_in_dim": 16, "hidden_size": 48, "num_heads": 2, "axes_dim": [8, 8, 8]}
        small = shape.network | sizes | {"depth": 2, "depth_single_blocks": 2}
        return replace(shape, network=small, latent=(16, 8, 8), text=(8, 16), pooled=12, asks={"y": (1, 12), "guidance": (1,)})
    sizes = {"model_channels": 32, "num_res_blocks": [1, 1], "channel_mult": [1, 2], "context_dim": 16, "num_heads": 2}
    depths = {"transformer_depth": [0, 1], "transformer_depth_output": [0, 0, 1, 1], "transformer_depth_middle": 1}
    small = {key: value for key, value in shape.network.items() if key != "num_head_channels"} | sizes | depths
    unet = {
        "sample_size": 8,
        "block_out_channels": [32, 64],
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "attention_head_dim": 2,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    }
    if name == SD15:
        return replace(shape, network=small, latent=(4, 8, 8), text=(8, 16), steps=4, diffusers=unet)
    width = 24 + 6 * 256  # ComfyUI adds six sizes of 256 numbers to what is pooled
    unet |= {"addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": width}
    small |= {"adm_in_channels": width}
    return replace(
        shape, network=small, latent=(4, 8, 8), text=(8, 16), steps=4, pooled=24, asks={"y": (1, width)}, diffusers=unet
    )


def build(name: str, shape: Shape, dtype: torch.dtype, device: torch.device) -> Network:
    """The network on a device, and diffusers' mask over one of the same size, where there is such a mask."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    config = getattr(comfy.supported_models, shape.family)(dict(shape.network))
    config.set_inference_dtype(dtype, None)
    model = config.get_model({}, "", device=device).eval()
    for key, weight in model.diffusion_model.state_dict().items():
        fill(key, weight)
    offload = comfy.model_management.unet_offload_device()
    asks = {key: torch.ones(size, dtype=dtype, device=device) for key, size in shape.asks.items()}
    told = shape.told | ({"pooled_output": torch.randn(1, shape.pooled)} if shape.pooled else {})
    return Network(
        name,
        comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload),
        [torch.randn(1, *shape.text, dtype=dtype, device=device) for _ in PROMPTS],
        shape.latent,
        None,
        told,
        asks,
    )


def with_mask(network: Network, shape: Shape) -> Network:
    """The network, and diffusers' pipeline of the same size, which is not small: make it when it is needed."""
    if shape.diffusers is None:
        raise ValueError(f"diffusers makes no mask with {network.name}.")
    device = network.prompts[0].device
    with torch.device("meta"):
        unet = UNet2DConditionModel(**shape.diffusers)
    unet = unet.to(network.dtype).to_empty(device=device).eval()
    for key, weight in unet.state_dict().items():
        fill(key, weight)
    if "y" in network.asks:
        told = {"text_embeds": (1, shape.pooled), "time_ids": (1, 6)}
        unet.forward = _told(
            unet.forward, {key: torch.ones(size, dtype=network.dtype, device=device) for key, size in told.items()}
        )
    small = AutoencoderKL(
        block_out_channels=[32] * 4, down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4
    )
    pipeline = StableDiffusionPipeline(
        vae=small.to(device, network.dtype),  # not run: the pipeline is given latents
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return replace(network, diffedit=silent(as_diffedit(pipeline)))


def _told(forward: Callable[..., Any], conditions: dict[str, Tensor]) -> Callable[..., Any]:
    """The UNet's forward with what SDXL's takes besides, which `generate_mask` does not know of."""

    def told(sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **others: Any) -> Any:
        added = {key: value.expand(len(sample), -1) for key, value in conditions.items()}
        return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states, added_cond_kwargs=added, **others)

    return told
