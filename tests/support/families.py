"""The families of image models that ComfyUI knows: a tiny network of each, with random weights, and what is known of it by heart.

`FAMILIES` is the one table: `test_families.py` holds the pack to it, `families_table.py` writes it into docs/models.md. Each
network is built by ComfyUI's own classes from a configuration as its detection would give it, only smaller. What the tests
compare with is written here without them: how an image is noised, what number stands for a noise level, what the network's output
means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from comfy.model_base import BaseModel
    from comfy.model_patcher import ModelPatcher

Prediction = Literal["noise", "v", "EDM", "flow", "Cosmos flow"]
Call = Callable[[Tensor, Tensor, int], dict[str, Tensor]]


@dataclass(frozen=True)
class Family:
    name: str
    """Models that people know by name."""
    config: str
    """ComfyUI's class of this family, in `comfy.supported_models`."""
    network: dict[str, Any]
    """The network's settings."""
    prediction: Prediction
    """What the network's output is."""
    timestep: Callable[[Tensor], Tensor]
    """What the network is told of the noise levels sigma [N]."""
    text: tuple[int, int] = (7, 16)
    """Tokens of a prompt, and how wide they are."""
    pooled: int | None = None
    """How wide a prompt's pooled output is, where the network takes one."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What else a conditioning says."""
    call: Call = lambda text, pooled, batch: {"context": text}
    """The network's arguments beside the noised latent and the timestep,
    for a prompt's text [N,tokens,width] and pooled [N,width]."""
    latent: tuple[int, int, int] = (4, 8, 6)
    frames: bool = False
    """Whether the network takes a picture for a video of one frame."""
    sigma_data: float = 1.0
    beside: int = 0
    """Channels of a picture (and its mask) that the network takes beside the noised latent."""
    state: dict[str, Tensor] = field(default_factory=dict)
    """Keys of a checkpoint from which ComfyUI tells this variant from its sisters."""
    newer: dict[str, Any] = field(default_factory=dict)
    """Settings of the network that newer hosts ask for and older ones do not know."""


# ---------------------------------------------------------------------------------------------------- noise levels, as published


def scaled_linear(start: float = 0.00085, end: float = 0.012) -> Tensor:
    """Stable Diffusion's 1000 noise levels: betas that are the squares of a line."""
    betas = torch.linspace(math.sqrt(start), math.sqrt(end), 1000, dtype=torch.float64) ** 2
    return _levels(betas)


def linear(start: float = 0.0001, end: float = 0.02) -> Tensor:
    return _levels(torch.linspace(start, end, 1000, dtype=torch.float64))


def _levels(betas: Tensor) -> Tensor:
    kept = torch.cumprod(1 - betas, 0)
    return ((1 - kept) / kept).sqrt()


def nearest(levels: Tensor) -> Callable[[Tensor], Tensor]:
    """The number of the nearest level, by its logarithm."""
    return lambda sigma: (sigma.double()[:, None].log() - levels.log()).abs().argmin(1).float()


def times(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda sigma: sigma * factor


def quarter_log(sigma: Tensor) -> Tensor:
    """Karras et al. 2022, table 1: c_noise = ln(sigma) / 4."""
    return sigma.log() / 4


def flow_time(sigma: Tensor) -> Tensor:
    """A flow's time t with sigma = t / (1 - t)."""
    return sigma / (1 + sigma)


def cosine_time(sigma: Tensor) -> Tensor:
    """Nichol & Dhariwal's cosine schedule: alpha_bar(t) = cos^2((t + s) / (1 + s) * pi / 2) / cos^2(s / (1 + s) * pi / 2),
    s = 0.008."""
    # in this order: at the clean end acos takes the last bit of what it is given for a tenth of a step
    shift, kept = torch.tensor(0.008), 1 / (sigma * sigma + 1)
    first = torch.cos(shift / (1 + shift) * torch.pi / 2) ** 2
    return ((kept * first) ** 0.5).acos() / (torch.pi / 2) * (1 + shift) - shift


def longcat_start(text: Tensor) -> float:
    """Where ComfyUI places a picture's first token: after the prompt's,
    before 0.19 after the 512 that LongCat's own prompts have."""
    from comfyui_version import __version__

    return float(text.shape[1]) if tuple(map(int, __version__.split("."))) >= (0, 19) else 512.0


# ------------------------------------------------------------------------------------------------------ what an output means


def image_factor(family: Family, sigma: Tensor) -> Tensor:
    """alpha in x = alpha * x0 + sigma * noise."""
    return 1 - sigma if family.prediction == "flow" else torch.ones_like(sigma)


def network_input(family: Family, x: Tensor, sigma: Tensor) -> Tensor:
    """What the network is given for a noised latent x at one level."""
    if family.prediction == "flow":
        return x
    if family.prediction == "Cosmos flow":
        return x / (1 + sigma)
    return x / (sigma**2 + family.sigma_data**2).sqrt()


def noise_from_output(family: Family, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
    """The noise that the network's output stands for, each by its own parametrisation's words.

    noise: the output itself. v = a * noise - s * x0 in the variance preserving form with a^2 + s^2 = 1, so noise = a * v + s *
    x_vp.
    flow: velocity = noise - x0, so noise = x + (1 - t) * velocity. EDM: Karras et al. 2022, equation 7.
    """
    if family.prediction == "noise":
        return output
    if family.prediction == "v":
        scale = (1 + sigma**2).sqrt()
        return output / scale + (sigma / scale) * (x / scale)
    if family.prediction == "flow":
        return x + (1 - sigma) * output
    if family.prediction == "Cosmos flow":
        time = flow_time(sigma)
        return (1 - time) * x + (1 - time) * output
    data = family.sigma_data
    skip, out = data**2 / (sigma**2 + data**2), sigma * data / (sigma**2 + data**2).sqrt()
    return (x - (skip * x + out * output)) / sigma


def nothing_beside(family: Family, x: Tensor) -> Tensor:
    """What an inpainting or instruct model is given that is shown no picture, [N,beside,h,w].

    For Stable Diffusion's inpainting all is masked (1), and the picture is the latent of mid grey in SD 1.x's VAE. Flux Fill has
    the mask of 8 x 8 pixels in each cell, after a latent of zeros (in VAE space); instruct models get zeros.
    """
    sizes = (len(x), 1, *x.shape[2:])
    if family.beside == 5:
        grey = torch.tensor([0.8223, -0.6876, 0.6364, 0.1380]).view(1, 4, 1, 1)
        return torch.cat([torch.ones(sizes), grey.expand_as(x)], 1)
    if family.beside == 80:
        return torch.cat([torch.full_like(x, -0.1159 * 0.3611), torch.ones(sizes).expand(-1, 64, -1, -1)], 1)
    return torch.zeros_like(x)


# ------------------------------------------------------------------------------------------------------------- the networks

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "channel_mult": [1, 2],
    "num_res_blocks": [1, 1],
    "transformer_depth": [0, 1],
    "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 16,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "use_checkpoint": False,
    "legacy": False,
}
SDXL_UNET = {**UNET, "num_classes": "sequential", "adm_in_channels": 24 + 6 * 256}
REFINER_UNET = {**UNET, "num_classes": "sequential", "adm_in_channels": 24 + 5 * 256}
FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": 12,
    "context_in_dim": 16,
    "hidden_size": 48,
    "num_heads": 2,
    "axes_dim": [8, 8, 8],
    "theta": 10000,
    "mlp_ratio": 2.0,
    "depth": 2,
    "depth_single_blocks": 2,
    "qkv_bias": True,
    "guidance_embed": True,
}
CHROMA = {
    **{name: value for name, value in FLUX.items() if name not in ("vec_in_dim", "guidance_embed")},
    "image_model": "chroma",
    "in_channels": 64,
    "out_channels": 64,
    "in_dim": 64,
    "out_dim": 48,
    "hidden_dim": 32,
    "n_layers": 2,
}
NEWER_CHROMA = {"txt_ids_dims": [], "vec_in_dim": None}
LUMINA = {
    "image_model": "lumina2",
    "patch_size": 2,
    "in_channels": 16,
    "dim": 48,
    "cap_feat_dim": 16,
    "n_layers": 2,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 1,
    "multiple_of": 16,
    "qk_norm": True,
    "axes_dims": [8, 8, 8],
    "axes_lens": [32, 32, 32],
    "rope_theta": 10000.0,
    "ffn_dim_multiplier": 1.0,
}


def sinusoids(numbers: list[float], width: int = 256) -> Tensor:
    """The positional embedding of Stable Diffusion's numbers: cosines, then sines, [1,len(numbers) * width]."""
    rates = torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2))
    angles = torch.tensor(numbers)[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1).reshape(1, -1)


def with_sizes(*numbers: float) -> Call:
    """SDXL's call: text, and as y the pooled output with height, width, crop and target size (or aesthetic score)."""
    return lambda text, pooled, batch: {
        "context": text,
        "y": torch.cat([pooled, sinusoids(list(numbers)).expand(batch, -1)], 1),
    }


def with_pooled(**numbers: float) -> Call:
    """Text, pooled output as y, and numbers such as the guidance."""
    return lambda text, pooled, batch: {
        "context": text,
        **({} if pooled is None else {"y": pooled}),
        **{name: torch.full((batch,), float(value)) for name, value in numbers.items()},
    }


def with_token_count(text: Tensor, pooled: Tensor | None, batch: int) -> dict[str, Any]:
    """Lumina's call: text, and how many tokens it has."""
    return {"context": text, "num_tokens": text.shape[1]}


FAMILIES = (
    Family("Stable Diffusion 1.x", "SD15", UNET, "noise", nearest(scaled_linear())),
    Family(
        "Stable Diffusion 2.x (768-v)",
        "SD20",
        UNET,
        "v",
        nearest(scaled_linear()),
        latent=(4, 8, 8),
        state={"output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.tensor([-1.0, 1.0])},
    ),
    Family(
        "SDXL",
        "SDXL",
        SDXL_UNET,
        "noise",
        nearest(scaled_linear()),
        pooled=24,
        settings={"width": 64, "height": 48, "crop_w": 4, "crop_h": 8, "target_width": 32, "target_height": 40},
        call=with_sizes(48, 64, 8, 4, 40, 32),
    ),
    Family(
        "SDXL, v prediction (NoobAI)",
        "SDXL",
        SDXL_UNET,
        "v",
        nearest(scaled_linear()),
        pooled=24,
        call=with_sizes(64, 48, 0, 0, 64, 48),
        state={"v_pred": torch.zeros(0)},
    ),
    Family(
        "SDXL refiner",
        "SDXLRefiner",
        REFINER_UNET,
        "noise",
        nearest(scaled_linear()),
        pooled=24,
        call=with_sizes(64, 48, 0, 0, 6),
    ),
    Family(
        "Playground 2.5 (EDM)",
        "SDXL",
        SDXL_UNET,
        "EDM",
        quarter_log,
        pooled=24,
        call=with_sizes(64, 48, 0, 0, 64, 48),
        sigma_data=0.5,
        state={"edm_mean": torch.zeros(4), "edm_std": torch.ones(4)},
    ),
    Family(
        "CosXL (EDM, v prediction)",
        "SDXL",
        SDXL_UNET,
        "v",
        quarter_log,
        pooled=24,
        call=with_sizes(64, 48, 0, 0, 64, 48),
        state={"edm_vpred.sigma_max": torch.tensor(120.0), "edm_vpred.sigma_min": torch.tensor(0.002)},
    ),
    Family("SD 1.5 inpainting", "SD15", {**UNET, "in_channels": 9}, "noise", nearest(scaled_linear()), beside=5),
    Family(
        "InstructPix2Pix",
        "SD15_instructpix2pix",
        {**UNET, "in_channels": 8},
        "noise",
        nearest(scaled_linear()),
        beside=4,
    ),
    Family(
        "Stable Diffusion 3, 3.5",
        "SD3",
        {
            "in_channels": 16,
            "out_channels": 16,
            "patch_size": 2,
            "depth": 2,
            "input_size": None,
            "adm_in_channels": 12,
            "context_embedder_config": {
                "target": "torch.nn.Linear",
                "params": {"in_features": 16, "out_features": 128},
            },
            "num_patches": 64,
            "pos_embed_max_size": 8,
            "pos_embed_scaling_factor": None,
            "qk_norm": "rms",
            "x_block_self_attn_layers": [0],
        },
        "flow",
        times(1000),
        pooled=12,
        call=with_pooled(),
        latent=(16, 8, 6),
    ),
    Family(
        "Flux dev",
        "Flux",
        FLUX,
        "flow",
        times(1),
        pooled=12,
        call=with_pooled(guidance=3.5),
        latent=(16, 8, 6),
        newer={"txt_ids_dims": []},
    ),
    Family(
        "Flux schnell",
        "FluxSchnell",
        {**FLUX, "guidance_embed": False},
        "flow",
        times(1),
        pooled=12,
        call=with_pooled(),
        latent=(16, 8, 6),
        newer={"txt_ids_dims": []},
    ),
    Family(
        "Flux Fill (inpainting)",
        "FluxInpaint",
        {**FLUX, "in_channels": 96},
        "flow",
        times(1),
        pooled=12,
        call=with_pooled(guidance=30.0),
        settings={"guidance": 30.0},
        latent=(16, 8, 6),
        beside=80,
        newer={"txt_ids_dims": []},
    ),
    Family(
        "Flux 2",
        "Flux2",
        {
            **FLUX,
            "image_model": "flux2",
            "in_channels": 128,
            "out_channels": 128,
            "patch_size": 1,
            "vec_in_dim": None,
            "axes_dim": [6, 6, 6, 6],
            "theta": 2000,
            "global_modulation": True,
            "mlp_silu_act": True,
            "qkv_bias": False,
            "ops_bias": False,
        },
        "flow",
        times(1),
        text=(512, 16),
        call=with_pooled(guidance=3.5),
        latent=(128, 4, 3),
        newer={"txt_ids_dims": []},
    ),
    Family(
        "Chroma",
        "Chroma",
        CHROMA,
        "flow",
        times(1),
        call=with_pooled(guidance=0),
        latent=(16, 8, 6),
        newer=NEWER_CHROMA,
    ),
    Family(
        "Chroma Radiance (pixels)",
        "ChromaRadiance",
        {
            **CHROMA,
            "image_model": "chroma_radiance",
            "in_channels": 3,
            "out_channels": 3,
            "patch_size": 8,
            "nerf_hidden_size": 8,
            "nerf_mlp_ratio": 2,
            "nerf_depth": 1,
            "nerf_max_freqs": 4,
            "nerf_tile_size": 512,
            "nerf_final_head_type": "conv",
            "nerf_embedder_dtype": torch.float32,
        },
        "flow",
        times(1),
        call=with_pooled(guidance=0),
        latent=(3, 16, 24),
        newer={**NEWER_CHROMA, "use_x0": False, "use_sequential_txt_ids": False},
    ),
    Family(
        "Lumina 2",
        "Lumina2",
        LUMINA,
        "flow",
        times(1),
        call=with_token_count,
        latent=(16, 8, 6),
    ),
    Family(
        "Z-Image",
        "ZImage",
        {
            **LUMINA,
            "dim": 256,
            "n_layers": 1,
            "n_heads": 8,
            "n_kv_heads": 8,
            "axes_dims": [8, 12, 12],
            "z_image_modulation": True,
            "time_scale": 1000.0,
            "pad_tokens_multiple": 32,
        },
        "flow",
        times(1),
        call=with_token_count,
        latent=(16, 8, 6),
    ),
    Family(
        "AuraFlow",
        "AuraFlow",
        {
            "cond_seq_dim": 16,
            "dim": 48,
            "global_conddim": 48,
            "n_heads": 2,
            "n_layers": 3,
            "n_double_layers": 1,
            "max_seq": 64,
        },
        "flow",
        times(1),
    ),
    Family(
        "Qwen-Image",
        "QwenImage",
        {
            "image_model": "qwen_image",
            "in_channels": 64,
            "num_layers": 2,
            "attention_head_dim": 24,
            "num_attention_heads": 2,
            "joint_attention_dim": 16,
            "axes_dims_rope": (8, 8, 8),
        },
        "flow",
        times(1),
        latent=(16, 8, 6),
        frames=True,
    ),
    Family(
        "Cosmos Predict 2",
        "CosmosT2IPredict2",
        {
            "image_model": "cosmos_predict2",
            "max_img_h": 32,
            "max_img_w": 32,
            "max_frames": 8,
            "in_channels": 16,
            "out_channels": 16,
            "patch_spatial": 2,
            "patch_temporal": 1,
            "concat_padding_mask": True,
            "model_channels": 48,
            "num_blocks": 2,
            "num_heads": 2,
            "crossattn_emb_channels": 16,
            "pos_emb_cls": "rope3d",
            "pos_emb_learnable": True,
            "use_adaln_lora": True,
            "adaln_lora_dim": 8,
            "rope_enable_fps_modulation": False,
        },
        "Cosmos flow",
        flow_time,
        latent=(16, 8, 6),
        frames=True,
    ),
    Family(
        "Hunyuan Image 2.1",
        "HunyuanImage21",
        {
            "image_model": "hunyuan_video",
            "in_channels": 64,
            "out_channels": 64,
            "patch_size": [1, 1],
            "vec_in_dim": None,
            "context_in_dim": 16,
            "hidden_size": 32,
            "num_heads": 2,
            "axes_dim": [8, 8],
            "theta": 256,
            "mlp_ratio": 2.0,
            "depth": 1,
            "depth_single_blocks": 1,
            "qkv_bias": True,
            "guidance_embed": False,
            "byt5": False,
            "meanflow": False,
            "use_cond_type_embedding": False,
            "vision_in_dim": None,
        },
        "flow",
        times(1000),
        latent=(64, 4, 3),
        newer={"meanflow_sum": False},
    ),
    Family(
        "HiDream I1",
        "HiDream",
        {
            "image_model": "hidream",
            "patch_size": 2,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 24,
            "num_attention_heads": 2,
            "axes_dims_rope": [8, 8, 8],
            "caption_channels": [16, 16],
            "text_emb_dim": 12,
            "num_routed_experts": 2,
            "num_activated_experts": 2,
            "max_resolution": [16, 16],
            "llama_layers": [0, 1],
        },
        "flow",
        times(1000),
        pooled=12,
        settings={"conditioning_llama3": torch.linspace(-1, 1, 2 * 5 * 16).reshape(1, 2, 5, 16)},
        call=lambda text, pooled, batch: {
            "context": text,
            "y": pooled,
            "encoder_hidden_states_llama3": torch.linspace(-1, 1, 2 * 5 * 16).reshape(1, 2, 5, 16).expand(batch, -1, -1, -1),
        },
        latent=(16, 8, 6),
    ),
    Family(
        "OmniGen 2",
        "Omnigen2",
        {
            "image_model": "omnigen2",
            "patch_size": 2,
            "in_channels": 16,
            "hidden_size": 48,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "multiple_of": 16,
            "axes_dim_rope": [8, 8, 8],
            "axes_lens": [32, 32, 32],
            "text_feat_dim": 16,
            "timestep_scale": 1000.0,
        },
        "flow",
        times(1),
        settings={"attention_mask": torch.ones(1, 7, dtype=torch.long)},
        call=with_token_count,
        latent=(16, 8, 6),
    ),
    Family(
        "PixArt Sigma",
        "PixArtSigma",
        {
            "image_model": "pixart_sigma",
            "patch_size": 2,
            "in_channels": 4,
            "hidden_size": 48,
            "num_heads": 2,
            "depth": 2,
            "caption_channels": 16,
            "model_max_length": 7,
            "micro_condition": False,
            "input_size": 32,
            "pe_interpolation": 1,
        },
        "noise",
        nearest(linear()),
        latent=(4, 34, 32),
    ),
    Family(
        "Hunyuan DiT",
        "HunyuanDiT",
        {
            "image_model": "hydit",
            "hidden_size": 32,
            "depth": 2,
            "num_heads": 2,
            "text_states_dim": 16,
            "text_states_dim_t5": 8,
            "text_len": 7,
            "text_len_t5": 5,
            "mlp_ratio": 2.0,
        },
        "v",
        nearest(scaled_linear(end=0.018)),
        settings={
            "attention_mask": torch.ones(1, 7),
            "conditioning_mt5xl": torch.linspace(-1, 1, 40).reshape(1, 5, 8),
            "attention_mask_mt5xl": torch.ones(1, 5),
        },
        call=lambda text, pooled, batch: {
            "context": text,
            "text_embedding_mask": torch.ones(batch, 7),
            "encoder_hidden_states_t5": torch.linspace(-1, 1, 40).reshape(1, 5, 8).repeat(batch, 1, 1),
            "text_embedding_mask_t5": torch.ones(batch, 5),
            "image_meta_size": torch.tensor([[64.0, 64, 64, 64, 0, 0]]).expand(batch, -1),
        },
        latent=(4, 8, 8),
    ),
    Family(
        "Stable Cascade, stage C",
        "Stable_Cascade_C",
        {
            "stable_cascade_stage": "c",
            "c_cond": 32,
            "c_hidden": [32, 32],
            "nhead": [2, 2],
            "blocks": [[1, 1], [1, 1]],
            "c_clip_text": 16,
            "c_clip_text_pooled": 12,
        },
        "noise",
        cosine_time,
        pooled=12,
        call=lambda text, pooled, batch: {
            "clip_text": text,
            "clip_text_pooled": pooled[:, None],
            "clip_img": torch.zeros(batch, 1, 768),
            "sca": torch.zeros(batch),
            "crp": torch.zeros(batch),
        },
        latent=(16, 8, 6),
    ),
    # known to newer hosts only
    Family(
        "LongCat-Image",
        "LongCatImage",
        {**FLUX, "guidance_embed": False, "vec_in_dim": None},
        "flow",
        times(1),
        call=lambda text, pooled, batch: {
            "context": text,
            "transformer_options": {
                "rope_options": {"shift_t": 1.0, "shift_y": longcat_start(text), "shift_x": longcat_start(text)}
            },
        },
        latent=(16, 8, 6),
        newer={"txt_ids_dims": [1, 2]},
    ),
    Family(
        "Ernie-Image",
        "ErnieImage",
        {
            "image_model": "ernie",
            "hidden_size": 48,
            "num_attention_heads": 2,
            "num_layers": 2,
            "ffn_hidden_size": 64,
            "text_in_dim": 16,
            "rope_axes_dim": (8, 8, 8),
        },
        "flow",
        times(1000),
        latent=(128, 4, 3),
    ),
    Family(
        "Krea 2",
        "Krea2",
        {
            "image_model": "krea2",
            "features": 64,
            "tdim": 32,
            "txtdim": 16,
            "heads": 4,
            "kvheads": 2,
            "layers": 2,
            "txtlayers": 2,
            "txtheads": 2,
            "txtkvheads": 2,
        },
        "flow",
        times(1),
        text=(7, 32),
        latent=(16, 8, 6),
        frames=True,
    ),
    Family(
        "Kandinsky 5 Image",
        "Kandinsky5Image",
        {
            "image_model": "kandinsky5",
            "in_text_dim": 16,
            "in_text_dim2": 12,
            "time_dim": 32,
            "model_dim": 48,
            "ff_dim": 64,
            "visual_embed_dim": 64,
            "num_text_blocks": 1,
            "num_visual_blocks": 2,
            "axes_dims": (8, 8, 8),
            "rope_scale_factor": (1.0, 1.0, 1.0),
        },
        "flow",
        times(1000),
        pooled=12,
        call=with_pooled(),
        latent=(16, 8, 6),
    ),
    Family(
        "PixelDiT (pixels)",
        "PixelDiTT2I",
        {
            "image_model": "pixeldit_t2i",
            "num_groups": 2,
            "hidden_size": 32,
            "pixel_hidden_size": 4,
            "pixel_attn_hidden_size": 32,
            "pixel_num_groups": 2,
            "patch_depth": 1,
            "pixel_depth": 1,
            "patch_size": 8,
            "txt_embed_dim": 16,
            "txt_max_length": 7,
        },
        "flow",
        times(1000),
        latent=(3, 16, 24),
    ),
)


# ------------------------------------------------------------------------------------------------------------ made by ComfyUI


def build(family: Family, dtype: torch.dtype = torch.float32) -> ModelPatcher:
    """The family's network with random weights behind ComfyUI's MODEL, stored as `dtype`, computed in float32 on the CPU."""
    import comfy.model_patcher

    network = {**family.network, **family.newer}
    while True:
        try:
            model = _model(family, network, dtype)
            break
        except TypeError as error:  # an older ComfyUI that does not know one of them
            unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if unknown is None or unknown[1] not in family.newer:
                raise
            del network[unknown[1]]
    randomise(model.diffusion_model)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model.eval(), load_device=cpu, offload_device=cpu)


def _model(family: Family, network: dict[str, Any], dtype: torch.dtype) -> BaseModel:
    import comfy.supported_models

    config = getattr(comfy.supported_models, family.config)(network)
    config.set_inference_dtype(dtype, None if dtype == torch.float32 else torch.float32)
    return config.get_model(family.state, "")


def without_network(config: str, prediction: str | None = "FLOW", **network: Any) -> ModelPatcher:
    """A MODEL of one of ComfyUI's families that is never asked to predict anything; of the family's own class for None."""
    import comfy.model_base
    import comfy.model_patcher
    import comfy.supported_models

    described = getattr(comfy.supported_models, config)({"disable_unet_model_creation": True, "hidden_size": 48, **network})
    described.set_inference_dtype(torch.float32, None)
    if prediction is None:
        model = described.get_model({}, "")
    else:
        model = comfy.model_base.BaseModel(described, comfy.model_base.ModelType[prediction])
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def randomise(network: torch.nn.Module) -> None:
    """Weights for which every output depends on every input: matrices that keep a vector's length, norms near one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim < 2:
                parameter.copy_(0.2 * drawn + (not name.endswith("bias")))
            else:
                parameter.copy_(drawn / math.sqrt(parameter[0].numel()))


def known_to_host(family: Family) -> bool:
    import comfy.supported_models

    return hasattr(comfy.supported_models, family.config)


def conditioning(family: Family, seed: int) -> list[list[Any]]:
    """A prompt as the family's text encoder would give it, of random numbers."""
    text, pooled = prompt(family, seed)
    return [[text, {"pooled_output": pooled, **family.settings}]]


def prompt(family: Family, seed: int) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(1, *family.text, generator=generator)
    return text, None if family.pooled is None else torch.randn(1, family.pooled, generator=generator)
