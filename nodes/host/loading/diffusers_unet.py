"""A diffusers UNet2DConditionModel of any size as ComfyUI's MODEL, with the folder's noise schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.supported_models
import comfy.utils
import torch

from .diffusers_files import PipelineFolder, Settings, load_weights, require_settings
from .diffusers_scheduler import X0Sampling, sampling_settings, scheduler_settings

# The settings that change what the network computes and for which ComfyUI's UNet has one way only.
LEGAL_UNET = {
    "act_fn": ("silu",),
    "addition_embed_type": (None,),
    "attention_type": ("default",),
    "center_input_sample": (False,),
    "class_embed_type": (None,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "cross_attention_norm": (None,),
    "downsample_padding": (1,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_scale_factor": (1,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn", None),
    "norm_eps": (1e-5,),
    "num_attention_heads": (None,),
    "num_class_embeds": (None,),
    "only_cross_attention": (False,),
    "resnet_out_scale_factor": (1,),
    "resnet_skip_time_act": (False,),
    "resnet_time_scale_shift": ("default",),
    "reverse_transformer_layers_per_block": (None,),
    "time_cond_proj_dim": (None,),
    "time_embedding_act_fn": (None,),
    "time_embedding_dim": (None,),
    "time_embedding_type": ("positional",),
    "timestep_post_act": (None,),
}
# Whether a block of this type attends to the text.
BLOCK_TYPES = {"DownBlock2D": False, "UpBlock2D": False, "CrossAttnDownBlock2D": True, "CrossAttnUpBlock2D": True}
LEVEL_LISTS = (
    "down_block_types",
    "up_block_types",
    "layers_per_block",
    "attention_head_dim",
    "transformer_layers_per_block",
)
RESNET_NAMES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
STANDARD_GROUPS = 32


class WidthRatio(float):
    """A level's width over the first's, where that is not a whole number: 1.5 times 64 is then 96 channels, not 96.0."""

    def __mul__(self, width: int) -> int:
        return round(float(self) * width)

    __rmul__ = __mul__


class FolderModel(comfy.supported_models.SD15):
    """SD 1.x as ComfyUI describes it, with the widths, heads, latents and schedule of a pipeline folder."""

    unet_config: dict[str, Any] = {}
    unet_extra_config: dict[str, Any] = {}

    def __init__(self, unet_config: dict[str, Any], scheduler: Settings, latents: comfy.latent_formats.LatentFormat) -> None:
        super().__init__(unet_config)
        self.latent_format = latents
        self.prediction_type = scheduler["prediction_type"]
        self.sampling_settings = sampling_settings(scheduler)

    def model_type(self, state_dict: dict, prefix: str = "") -> comfy.model_base.ModelType:
        is_v = self.prediction_type == "v_prediction"
        return comfy.model_base.ModelType.V_PREDICTION if is_v else comfy.model_base.ModelType.EPS

    def inpaint_model(self) -> bool:
        return False  # core takes every latent of more than four channels for an inpainting model's

    def get_model(self, *args: Any, **kwargs: Any) -> comfy.model_base.BaseModel:
        model = super().get_model(*args, **kwargs)
        if self.prediction_type == "sample":
            model.model_sampling = X0Sampling(self)
        return model


def load_unet(folder: PipelineFolder, latents: comfy.latent_formats.LatentFormat) -> comfy.model_patcher.ModelPatcher:
    """Return the folder's UNet as a MODEL, in the type and on the devices that ComfyUI chooses for a UNet of its size.

    Raises:
        ValueError: a setting or weight without a counterpart in ComfyUI, or that doesn't fit the other parts.
    """
    _require_fitting_parts(folder)
    scheduler = scheduler_settings(folder.scheduler, folder.path / "scheduler" / "scheduler_config.json")
    model_config = FolderModel(unet_config(folder), scheduler, latents)
    weights = folder.weights("unet")
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(weights.tensors),
        supported_dtypes=list(model_config.supported_inference_dtypes),
        weight_dtype=comfy.utils.weight_dtype(weights.tensors),
    )
    compute_dtype = comfy.model_management.unet_manual_cast(dtype, device, model_config.supported_inference_dtypes)
    model_config.set_inference_dtype(dtype, compute_dtype)
    if folder.unet.get("norm_num_groups", STANDARD_GROUPS) != STANDARD_GROUPS:
        operations = comfy.ops.pick_operations(dtype, compute_dtype)
        model_config.custom_operations = with_groups(operations, folder.unet["norm_num_groups"])
    offload_device = comfy.model_management.unet_offload_device()
    model = model_config.get_model({}, "").to(offload_device)
    load_weights(model.diffusion_model, weights, module_names(folder.unet))
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload_device)


def unet_config(folder: PipelineFolder) -> dict[str, Any]:
    """Return the settings in ComfyUI's terms: lists go from the top level down, one entry a level or a block."""
    settings, source = folder.unet, folder.path / "unet" / "config.json"
    require_settings(settings, LEGAL_UNET, source)
    widths = settings["block_out_channels"]
    layers, depths = _layers(settings), _transformer_depths(settings, source)
    _require_levels(settings, source)
    down = [_attends(kind, source) * depth for kind, depth in zip(settings["down_block_types"], depths, strict=True)]
    up = [_attends(kind, source) * depth for kind, depth in zip(settings["up_block_types"][::-1], depths, strict=True)]
    has_middle = settings.get("mid_block_type", "UNetMidBlock2DCrossAttn") is not None
    attending = [level for level in range(len(widths)) if down[level] or up[level]]
    attending += [len(widths) - 1] if has_middle else []
    return {
        "image_size": 32,
        "in_channels": folder.vae["latent_channels"],
        "out_channels": folder.vae["latent_channels"],
        "model_channels": widths[0],
        "channel_mult": [_ratio(width, widths[0]) for width in widths],
        "num_res_blocks": layers,
        "transformer_depth": [depth for level, depth in enumerate(down) for _ in range(layers[level])],
        "transformer_depth_output": [depth for level, depth in enumerate(up) for _ in range(layers[level] + 1)],
        "transformer_depth_middle": depths[-1] if has_middle else -2,
        "context_dim": settings["cross_attention_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": bool(settings.get("use_linear_projection")),
        "attn_precision": torch.float32 if settings.get("upcast_attention") else None,
        "adm_in_channels": None,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "use_checkpoint": False,
        "legacy": False,
        **_heads(settings, attending, source),
    }


def _require_levels(settings: Settings, source: Path) -> None:
    levels = len(settings["block_out_channels"])
    lists = {name: settings[name] for name in LEVEL_LISTS if isinstance(settings.get(name), list)}
    for name, values in lists.items():
        if len(values) != levels:
            raise ValueError(
                f"{source} states {len(values)} {name} ({values}) for {levels} block_out_channels: expected one for "
                "each. Download or save the file again."
            )


def _ratio(width: int, first: int) -> int | WidthRatio:
    return width // first if width % first == 0 else WidthRatio(width / first)


def _per_level(value: int | list[int], levels: int) -> list[int]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * levels


def _layers(settings: Settings) -> list[int]:
    return _per_level(settings.get("layers_per_block", 2), len(settings["block_out_channels"]))


def _transformer_depths(settings: Settings, source: Path) -> list[int]:
    depths = _per_level(settings.get("transformer_layers_per_block", 1), len(settings["block_out_channels"]))
    if not all(isinstance(depth, int) for depth in depths):
        raise ValueError(f"{source} sets transformer_layers_per_block to {depths}, expected one number, or one for each level.")
    return depths


def _attends(kind: str, source: Path) -> bool:
    if kind not in BLOCK_TYPES:
        raise ValueError(
            f"{source} has blocks of the type {kind}; ComfyUI's UNet knows {', '.join(BLOCK_TYPES)}. Choose another model."
        )
    return BLOCK_TYPES[kind]


def _heads(settings: Settings, attending: list[int], source: Path) -> dict[str, int]:
    # By attention_head_dim diffusers means the number of heads (huggingface/diffusers#2011: kept for old files' sake).
    widths = settings["block_out_channels"]
    heads = _per_level(settings.get("attention_head_dim", 8), len(widths))
    numbers = {heads[level] for level in attending} or {heads[0]}
    head_widths = {widths[level] // heads[level] for level in attending}
    if len(numbers) == 1:
        return {"num_heads": numbers.pop(), "num_head_channels": -1}
    if len(head_widths) == 1:
        return {"num_heads": -1, "num_head_channels": head_widths.pop()}
    raise ValueError(
        f"{source} has attention_head_dim {heads} for the widths {widths}; ComfyUI's UNet has either the same "
        "number of heads at every level that attends, or heads of the same width. Choose another model."
    )


def _require_fitting_parts(folder: PipelineFolder) -> None:
    latent_channels, text_width = folder.vae["latent_channels"], folder.text_encoder["hidden_size"]
    channels = {name: folder.unet.get(name, 4) for name in ("in_channels", "out_channels")}
    if set(channels.values()) != {latent_channels}:
        raise ValueError(
            f"The UNet of {folder.path} has {channels}, but its VAE has {latent_channels} latent channels: expected "
            "the same number. UNets for inpainting, depth or upscaling take more: load their checkpoints with "
            "CheckpointLoaderSimple."
        )
    if folder.unet["cross_attention_dim"] != text_width:
        raise ValueError(
            f"The UNet of {folder.path} attends to text of width {folder.unet['cross_attention_dim']}, but its text "
            f"encoder gives {text_width}: expected the same width. Take both folders from the same model."
        )


def with_groups(operations: type, groups: int) -> type:
    """Return ComfyUI's operations with this number of groups in every group norm, where its UNet always asks for 32."""

    class Operations(operations):
        class GroupNorm(operations.GroupNorm):
            def __init__(self, num_groups: int, num_channels: int, **kwargs: Any) -> None:
                super().__init__(groups, num_channels, **kwargs)

    return Operations


def module_names(settings: Settings) -> dict[str, str]:
    """Return ComfyUI's name for each module of diffusers' UNet; inside a transformer all names are the same.

    ComfyUI numbers all blocks of the way down, and all of the way up, in one row: input_blocks.0 is the first
    convolution, and a level's downsampler is a block of its own, while an upsampler is part of its level's last block.
    """
    layers = _layers(settings)
    names = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.attentions.0": "middle_block.1",
        **_resnet_names("mid_block.resnets.0", "middle_block.0"),
        **_resnet_names("mid_block.resnets.1", "middle_block.2"),
    }
    block = 1
    for level, count in enumerate(layers):
        for layer in range(count):
            names |= _resnet_names(f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{block}.0")
            names[f"down_blocks.{level}.attentions.{layer}"] = f"input_blocks.{block}.1"
            block += 1
        if level < len(layers) - 1:
            names[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{block}.0.op"
            block += 1
    block = 0
    for level, (count, kind) in enumerate(zip(layers[::-1], settings["up_block_types"], strict=True)):
        for layer in range(count + 1):
            names |= _resnet_names(f"up_blocks.{level}.resnets.{layer}", f"output_blocks.{block}.0")
            names[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{block}.1"
            block += 1
        if level < len(layers) - 1:
            upsampler = 2 if BLOCK_TYPES[kind] else 1
            names[f"up_blocks.{level}.upsamplers.0.conv"] = f"output_blocks.{block - 1}.{upsampler}.conv"
    return names


def _resnet_names(prefix: str, native_prefix: str) -> dict[str, str]:
    return {f"{prefix}.{name}": f"{native_prefix}.{native}" for name, native in RESNET_NAMES.items()}
