"""A diffusers AutoencoderKL of any size as ComfyUI's VAE."""

from __future__ import annotations

from functools import partial

import comfy.latent_formats
import comfy.ldm.modules.diffusionmodules.model as blocks
import comfy.model_management
import comfy.ops
import comfy.sd
import torch
from torch import Tensor

from .diffusers_files import PipelineFolder, Settings, Weights, load_weights, require_settings

LEGAL_VAE = {
    "act_fn": ("silu",),
    "in_channels": (3,),
    "out_channels": (3,),
    # StableDiffusionPipeline itself never applies these three, so a folder that states them means another pipeline.
    "shift_factor": (None, 0),
    "latents_mean": (None,),
    "latents_std": (None,),
}
# diffusers' names in the attention of the middle, today's and those of files from before 0.17, with ComfyUI's.
ATTENTION_NAMES = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OLD_ATTENTION_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# What ComfyUI's estimate of the memory for decoding stands for: 8 pixels a latent cell.
STANDARD_DOWNSCALE = 8
# The smallest VAE that ComfyUI builds by itself.
STAND_IN = {
    "embed_dim": 1,
    "ddconfig": {
        "double_z": True,
        "z_channels": 1,
        "resolution": 8,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1],
        "num_res_blocks": 1,
        "attn_resolutions": [],
    },
}

ops = comfy.ops.disable_weight_init


class Middle(torch.nn.Module):
    """Two residual blocks at the lowest level, with attention between them where the VAE has it."""

    def __init__(self, width: int, groups: int, attention: bool) -> None:
        super().__init__()
        self.block_1 = _resnet(width, width, groups)
        norm = partial(_norm, groups=groups)
        self.attn_1 = blocks.AttnBlock(width, norm_op=norm) if attention else torch.nn.Identity()
        self.block_2 = _resnet(width, width, groups)

    def forward(self, h: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(h)))


class Level(torch.nn.Module):
    """The residual blocks of one level, then its change of size, if any."""

    def __init__(self, width_in: int, width: int, layers: int, groups: int) -> None:
        super().__init__()
        inputs = [width_in, *[width] * (layers - 1)]
        self.block = torch.nn.ModuleList(_resnet(width_in, width, groups) for width_in in inputs)

    def forward(self, h: Tensor) -> Tensor:
        for block in self.block:
            h = block(h)
        return h


class Encoder(torch.nn.Module):
    """Picture [B,3,H,W] -> mean and log-variance [B,2C,h,w], built of ComfyUI's blocks, with its names for them."""

    def __init__(self, widths: list[int], layers: int, groups: int, attention: bool, channels: int) -> None:
        super().__init__()
        self.conv_in = ops.Conv2d(3, widths[0], 3, padding=1)
        inputs = [widths[0], *widths]
        self.down = torch.nn.ModuleList(Level(inputs[i], width, layers, groups) for i, width in enumerate(widths))
        for level in self.down[:-1]:
            level.downsample = blocks.Downsample(level.block[-1].out_channels, with_conv=True)
        self.mid = Middle(widths[-1], groups, attention)
        self.norm_out = _norm(widths[-1], groups)
        self.conv_out = ops.Conv2d(widths[-1], 2 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down[:-1]:
            h = level.downsample(level(h))
        h = self.mid(self.down[-1](h))
        return self.conv_out(torch.nn.functional.silu(self.norm_out(h)))


class Decoder(torch.nn.Module):
    """Latent [B,C,h,w] -> picture [B,3,H,W]; as in ComfyUI, up.0 is the level that comes last."""

    def __init__(self, widths: list[int], layers: int, groups: int, attention: bool, channels: int) -> None:
        super().__init__()
        self.conv_in = ops.Conv2d(channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], groups, attention)
        inputs = [*widths[1:], widths[-1]]
        self.up = torch.nn.ModuleList(Level(inputs[i], width, layers + 1, groups) for i, width in enumerate(widths))
        for level in self.up[1:]:
            level.upsample = blocks.Upsample(level.block[-1].out_channels, with_conv=True)
        self.norm_out = _norm(widths[0], groups)
        self.conv_out = ops.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up[1:]):
            h = level.upsample(level(h))
        h = self.up[0](h)
        return self.conv_out(torch.nn.functional.silu(self.norm_out(h)))


class Autoencoder(torch.nn.Module):
    """The two halves with the interface of ComfyUI's AutoencoderKL, which itself has 32 norm groups in any size."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        channels = settings["latent_channels"]
        shape = {
            "widths": list(settings["block_out_channels"]),
            "layers": settings.get("layers_per_block", 1),
            "groups": settings.get("norm_num_groups", 32),
            "attention": settings.get("mid_block_add_attention", True),
            "channels": channels,
        }
        self.encoder = Encoder(**shape)
        self.decoder = Decoder(**shape)
        has_quant, has_post_quant = (settings.get(name, True) for name in ("use_quant_conv", "use_post_quant_conv"))
        self.quant_conv = ops.Conv2d(2 * channels, 2 * channels, 1) if has_quant else torch.nn.Identity()
        self.post_quant_conv = ops.Conv2d(channels, channels, 1) if has_post_quant else torch.nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        """Return the posterior's mean, as ComfyUI does, not a sample of it."""
        return self.quant_conv(self.encoder(x)).chunk(2, dim=1)[0]

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(z))


def _norm(width: int, groups: int) -> torch.nn.Module:
    return ops.GroupNorm(groups, width, eps=1e-6)


def _resnet(width_in: int, width: int, groups: int) -> torch.nn.Module:
    norm = partial(_norm, groups=groups)
    return blocks.ResnetBlock(in_channels=width_in, out_channels=width, temb_channels=0, norm_op=norm)


def load_vae(folder: PipelineFolder) -> comfy.sd.VAE:
    """Return the folder's VAE, in the type and on the devices that ComfyUI chooses for a VAE.

    Raises:
        ValueError: a setting or weight for which there is no counterpart.
    """
    settings = folder.vae
    _require_vae(folder)
    model = Autoencoder(settings).train(False)
    load_weights(model, _with_todays_attention(folder.weights("vae")), module_names(settings))
    # A VAE object that ComfyUI made itself, whatever attributes its version gives one, then takes the model.
    stand_in = comfy.sd.AutoencoderKL(**STAND_IN)
    vae = comfy.sd.VAE(sd=stand_in.state_dict(), config={"params": STAND_IN})
    vae.first_stage_model = model.to(vae.vae_dtype)
    offload_device = comfy.model_management.vae_offload_device()
    vae.patcher = type(vae.patcher)(model, load_device=vae.device, offload_device=offload_device)
    vae.size = comfy.model_management.module_size(model)
    vae.latent_channels = settings["latent_channels"]
    vae.downscale_ratio = vae.upscale_ratio = downscale(settings)
    memory_used, area = vae.memory_used_decode, (downscale(settings) / STANDARD_DOWNSCALE) ** 2
    vae.memory_used_decode = lambda shape, dtype: memory_used(shape, dtype) * area
    return vae


def downscale(settings: Settings) -> int:
    """Return how many pixels wide a latent cell is: each level but the last halves the picture."""
    return 2 ** (len(settings["block_out_channels"]) - 1)


def latent_format(settings: Settings) -> comfy.latent_formats.LatentFormat:
    """Return how ComfyUI gets from the VAE's latents to the UNet's: scaling_factor times the latent."""
    latents = comfy.latent_formats.LatentFormat()
    latents.scale_factor = settings.get("scaling_factor", 0.18215)
    latents.latent_channels = settings["latent_channels"]
    latents.spacial_downscale_ratio = downscale(settings)  # read by hosts that size empty latents by it
    return latents


def _require_vae(folder: PipelineFolder) -> None:
    source = folder.path / "vae" / "config.json"
    levels = len(folder.vae["block_out_channels"])
    down, up = ["DownEncoderBlock2D"] * levels, ["UpDecoderBlock2D"] * levels
    require_settings(folder.vae, {**LEGAL_VAE, "down_block_types": (down,), "up_block_types": (up,)}, source)


def module_names(settings: Settings) -> dict[str, str]:
    """Return ComfyUI's name for each module of an AutoencoderKL; diffusers counts the way up from the latent."""
    levels = len(settings["block_out_channels"])
    layers = settings.get("layers_per_block", 1)
    names = {}
    for half in ("encoder", "decoder"):
        names[f"{half}.conv_norm_out"] = f"{half}.norm_out"
        for block in range(2):
            names[f"{half}.mid_block.resnets.{block}"] = f"{half}.mid.block_{block + 1}"
        for name, native in ATTENTION_NAMES.items():
            names[f"{half}.mid_block.attentions.0.{name}"] = f"{half}.mid.attn_1.{native}"
    for level in range(levels):
        for layer in range(layers):
            names |= _resnet_names(f"encoder.down_blocks.{level}.resnets.{layer}", f"encoder.down.{level}.block.{layer}")
        names[f"encoder.down_blocks.{level}.downsamplers.0"] = f"encoder.down.{level}.downsample"
        up = levels - 1 - level
        for layer in range(layers + 1):
            names |= _resnet_names(f"decoder.up_blocks.{up}.resnets.{layer}", f"decoder.up.{level}.block.{layer}")
        names[f"decoder.up_blocks.{up}.upsamplers.0"] = f"decoder.up.{level}.upsample"
    return names


def _resnet_names(prefix: str, native_prefix: str) -> dict[str, str]:
    return {prefix: native_prefix, f"{prefix}.conv_shortcut": f"{native_prefix}.nin_shortcut"}


def _with_todays_attention(weights: Weights) -> Weights:
    """Return the weights with today's names in the attention, and its matrices as ComfyUI's 1x1 convolutions."""
    tensors = {}
    for name, tensor in weights.tensors.items():
        prefix, attention, rest = name.partition(".mid_block.attentions.0.")
        part, _, kind = rest.rpartition(".")
        if attention:
            name = f"{prefix}{attention}{OLD_ATTENTION_NAMES.get(part, part)}.{kind}"
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        tensors[name] = tensor
    return Weights(tensors, weights.source)
