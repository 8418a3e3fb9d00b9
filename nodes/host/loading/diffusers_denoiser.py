"""A diffusers denoiser that ComfyUI has no class for, run as it is by diffusers behind ComfyUI's MODEL.

That is a `UNet2DModel` (of pixels, with classes or without) and a `DiTTransformer2DModel` (of a VAE's latents, with classes).
Their conditioning is the number of a class; see `class_labels` for where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models_base
import torch
from torch import Tensor

from .class_labels import Classes, load_labels, read_numbers
from .diffusers_files import (
    PipelineFolder,
    Settings,
    Weights,
    load_weights,
    read_settings,
    read_weights,
    require_settings,
    require_weights,
    weight_file,
)
from .diffusers_scheduler import X0Sampling, any_scheduler_settings, model_type, sampling_settings
from .diffusers_vae import OLD_ATTENTION_NAMES, latent_format, load_vae

# What a denoiser's config.json may call its class, and diffusers' class for it today.
DENOISERS = {
    "UNet2DModel": "UNet2DModel",
    "DiTTransformer2DModel": "DiTTransformer2DModel",
    "Transformer2DModel": "DiTTransformer2DModel",  # until diffusers 0.30, DiT's own published folders
}
PLACES = ("unet", "transformer", ".")
LEGAL_UNET2D = {"class_embed_type": (None,), "in_channels": (1, 3)}
LEGAL_DIT = {"norm_type": ("ada_norm_zero",)}


@dataclass(frozen=True)
class DenoiserFolder:
    """The parts of a folder with a denoiser, whether each has a folder of its own or all lie in one, as DDPM's do."""

    path: Path
    place: str
    """Where the denoiser lies below `path`, "." for `path` itself."""
    settings: Settings
    scheduler: Settings
    names: dict[int, str]
    """The classes' names, where the folder has them; synonyms are separated by commas, as in ImageNet's."""

    @property
    def kind(self) -> str:
        """diffusers' class."""
        return DENOISERS[self.settings["_class_name"]]

    @property
    def classes(self) -> Classes:
        """What the denoiser's class numbers stand for; the last one is any class where it was trained without labels too."""
        if self.kind == "DiTTransformer2DModel":
            count = self.settings.get("num_embeds_ada_norm", 1000)
            return Classes(count, self.names, any_class=count)
        numbers = self.settings.get("num_class_embeds") or 0
        has_any = bool(self.names) and numbers == len(self.names) + 1
        return Classes(numbers - has_any, self.names, any_class=numbers - 1 if has_any else None)


def is_denoiser(path: Path) -> bool:
    """Whether the folder holds one of `DENOISERS`, without a text encoder."""
    return not (path / "text_encoder").is_dir() and _place(path) is not None


def _place(path: Path) -> str | None:
    for place in PLACES:
        config = path / place / "config.json"
        if config.is_file() and read_settings(config).get("_class_name") in DENOISERS:
            return place
    return None


def read_denoiser(path: Path) -> DenoiserFolder:
    """The folder's settings, after checking that all is there.

    Raises:
        ValueError: missing files, or settings that can't be read or mapped.
    """
    place = _place(path) or "."
    config = path / place / "config.json"
    settings = read_settings(config)
    with_vae = DENOISERS[settings["_class_name"]] == "DiTTransformer2DModel"
    require_settings(settings, LEGAL_DIT if with_vae else LEGAL_UNET2D, config)
    index = path / "model_index.json"
    components = read_settings(index) if index.is_file() else {}
    if not with_vae:
        _require_pixels(path, components)
    require_weights(path, [place, "vae"] if with_vae else [place])
    names = components.get("id2label") or {}
    return DenoiserFolder(
        path=path,
        place=place,
        settings=settings,
        scheduler=_read_scheduler(path, place),
        names={int(number): str(name) for number, name in names.items()},
    )


def _require_pixels(path: Path, components: Settings) -> None:
    """Refuse a folder with an autoencoder: its UNet2DModel works on latents, which would be taken for pixels here.

    Raises:
        ValueError: as above.
    """
    stated = [str(entry[1]) for entry in components.values() if isinstance(entry, list) and len(entry) == 2]
    beside = [str(read_settings(file).get("_class_name")) for file in sorted(path.glob("*/config.json"))]
    found = next((kind for kind in stated + beside if "VQModel" in kind or "Autoencoder" in kind), None)
    if found is not None:
        raise ValueError(
            f"The UNet2DModel of {path} works on the latents of the {found} beside it; this node runs a UNet2DModel on pixels "
            "only. Choose a model of pixels, such as DDPM's, or a DiT, which comes with an AutoencoderKL."
        )


def _read_scheduler(path: Path, place: str) -> Settings:
    candidates = (path / "scheduler" / "scheduler_config.json", path / place / "scheduler_config.json")
    source = next((file for file in candidates if file.is_file()), None)
    if source is None:
        raise ValueError(
            f"{path} has no scheduler/scheduler_config.json, so it is unknown which noise levels the model was trained with. "
            "Save its scheduler with it: scheduler.save_pretrained(folder + '/scheduler')."
        )
    return any_scheduler_settings(read_settings(source), source)


class Denoiser(torch.nn.Module):
    """diffusers' module with the interface of ComfyUI's networks."""

    def __init__(self, network: torch.nn.Module, channels: int) -> None:
        super().__init__()
        self.network = network
        self.channels = channels
        self.dtype = torch.float32

    def forward(self, x: Tensor, timesteps: Tensor, class_labels: Tensor | None = None, **_: Any) -> Tensor:
        """The prediction for noised pictures x [N,C,h,w]; the mean alone, where the network learned the variance as well."""
        self._check_size(*x.shape[-2:])
        labels = {} if class_labels is None else {"class_labels": class_labels}
        return self.network(x, timesteps, **labels, return_dict=False)[0][:, : self.channels]

    def _check_size(self, height: int, width: int) -> None:
        settings = self.network.config
        if "patch_size" in settings:  # diffusers' DiT gives back a square, whatever it is given
            if height != width or height % settings.patch_size:
                raise ValueError(
                    f"This DiT takes square pictures only, but the latent has {height} x {width} cells. Crop the picture to a "
                    f"square, at best one that gives the {settings.sample_size} x {settings.sample_size} cells that it was "
                    "trained on."
                )
            return
        halvings = len(settings.block_out_channels) - 1
        if height % 2**halvings or width % 2**halvings:
            raise ValueError(
                f"This UNet halves the picture {halvings} times, but it has {height} x {width} pixels. Crop or resize it to "
                f"multiples of {2**halvings}."
            )


class Description(comfy.supported_models_base.BASE):
    """What ComfyUI must know about a model whose network diffusers makes."""

    def __init__(self, folder: DenoiserFolder, latents: comfy.latent_formats.LatentFormat) -> None:
        super().__init__({"disable_unet_model_creation": True, "in_channels": latents.latent_channels, "dtype": torch.float32})
        self.latent_format = latents
        self.sampling_settings = sampling_settings(folder.scheduler)


class DenoiserModel(comfy.model_base.BaseModel):
    """ComfyUI's model around a `Denoiser`; its conditioning is the number of a class."""

    def __init__(self, folder: DenoiserFolder, latents: comfy.latent_formats.LatentFormat, network: torch.nn.Module) -> None:
        description = Description(folder, latents)
        super().__init__(description, model_type(folder.scheduler))
        self.diffusion_model = Denoiser(network, latents.latent_channels).train(False)
        self.classes = folder.classes
        if folder.scheduler["prediction_type"] == "sample":
            self.model_sampling = X0Sampling(description)

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        numbers = read_numbers(kwargs["cross_attn"], self.classes)
        return {"class_labels": comfy.conds.CONDRegular(numbers)} if self.classes.count else {}


class PixelFormat(comfy.latent_formats.LatentFormat):
    """Pixels from -1 to 1, as diffusers' pixel models have them."""

    scale_factor = 1.0
    spacial_downscale_ratio = 1

    def __init__(self, channels: int) -> None:
        self.latent_channels = channels


class Grey(torch.nn.Module):
    """In place of a VAE: the picture's grey as the one channel of a latent, and back."""

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels.mean(1, keepdim=True)

    def decode(self, samples: Tensor) -> Tensor:
        return samples.repeat(1, 3, 1, 1)


def load_denoiser(path: Path) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]:
    """The folder's denoiser as MODEL, its class names as CLIP, and its VAE; for a model of pixels one that changes nothing.

    It is computed in float32, on the devices that ComfyUI chooses.

    Raises:
        ValueError: files that are missing, truncated or don't fit, settings that can't be mapped, or no diffusers.
    """
    folder = read_denoiser(path)
    network = _load_network(folder)
    if folder.kind == "DiTTransformer2DModel":
        parts = PipelineFolder(path, vae=read_settings(path / "vae" / "config.json"), scheduler=folder.scheduler)
        vae, latents = load_vae(parts), latent_format(parts.vae)
    else:
        channels = folder.settings.get("in_channels", 3)
        vae, latents = _pixels(channels), PixelFormat(channels)
    device, offload_device = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    model = DenoiserModel(folder, latents, network).to(offload_device)
    patcher = comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload_device)
    return patcher, load_labels(folder.classes), vae


def _load_network(folder: DenoiserFolder) -> torch.nn.Module:
    try:
        import diffusers
    except ImportError as error:
        raise ValueError(
            f"{folder.path} holds a {folder.kind}, which ComfyUI itself has no network for. It is run by diffusers, which is not "
            "installed: python -m pip install diffusers (with ComfyUI's own Python), then restart ComfyUI."
        ) from error
    source = folder.path / folder.place / "config.json"
    try:
        network = getattr(diffusers, folder.kind).from_config(folder.settings)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        raise ValueError(f"diffusers can't make a {folder.kind} of {source}: {error}. Save the folder again.") from error
    weights = read_weights(weight_file(folder.path, folder.place))
    load_weights(network, _with_todays_names(weights), {})
    return network


def _with_todays_names(weights: Weights) -> Weights:
    """The weights with today's names in the attention, where the file is from before diffusers 0.17."""
    renamed = {}
    for name, tensor in weights.tensors.items():
        before, attention, rest = name.partition(".attentions.")
        number, _, rest = rest.partition(".")
        part, _, kind = rest.rpartition(".")
        renamed[f"{before}{attention}{number}.{OLD_ATTENTION_NAMES[part]}.{kind}" if part in OLD_ATTENTION_NAMES else name] = (
            tensor
        )
    return Weights(renamed, weights.source)


def _pixels(channels: int) -> comfy.sd.VAE:
    """ComfyUI's own VAE for models of pixels, at any size."""
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})
    if channels == 1:
        vae.first_stage_model = Grey()
        vae.patcher = type(vae.patcher)(vae.first_stage_model, vae.device, comfy.model_management.vae_offload_device())
        vae.latent_channels = 1
    return vae
