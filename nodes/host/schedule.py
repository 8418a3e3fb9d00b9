"""A ComfyUI model's noise levels and latent space, found by asking the model itself, so that no family needs its own case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.samplers
import torch
from torch import Tensor

from ..maths.method.noising import NoisedLatents, check_latent, check_levels, to_vae_space

if TYPE_CHECKING:
    from comfy.latent_formats import LatentFormat
    from comfy.model_patcher import ModelPatcher

NO_PICTURES = {"ACEAudio", "TripoSplat", "Trellis2"}
"""Latent formats of sounds and shapes that say of themselves that they have two dimensions, as a picture has."""

DOWNSCALES = {"ChromaRadiance": 1, "Flux2": 16, "HunyuanImage21": 32, "SC_B": 4, "SC_Prior": 42, "Wan22": 16}
"""Image pixels per latent cell where that is not 8, for hosts whose latent formats do not say it themselves."""


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """How a model's latents relate to its VAE's: VAE space = model space * scale + shift, per channel."""

    scale: Tensor
    """[C] float32 on the CPU."""
    shift: Tensor
    """[C] float32 on the CPU."""
    downscale: int
    """Image pixels per latent cell, along one side."""
    single_frame: bool
    """Whether the model takes a picture for a video of one frame, [B,C,1,h,w]."""

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""
        return self.scale.shape[0]

    def of_noised(self) -> dict[str, Any]:
        """The fields of `NoisedLatents` that are about the latent space."""
        return {
            "latent_scale": self.scale,
            "latent_shift": self.shift,
            "downscale": self.downscale,
            "single_frame": self.single_frame,
        }


def scheduled_sigmas(model: ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """The noise levels of one of ComfyUI's schedulers without the final 0, [S] falling, float32 on the CPU.

    Some schedulers give a few levels more or fewer than `steps`, as they do when sampling.

    Raises:
        ValueError: steps below 1, an unknown scheduler, or one that can't make so few steps.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; expected at least 1.")
    if scheduler not in comfy.samplers.SCHEDULER_NAMES:
        raise ValueError(f"The scheduler is {scheduler!r}; expected one of {', '.join(comfy.samplers.SCHEDULER_NAMES)}.")
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
    if not torch.isfinite(sigmas).all():
        raise ValueError(f"The scheduler {scheduler} has no schedule of {steps} steps. Take more steps or another one.")
    return without_final_zero(sigmas)


def without_final_zero(sigmas: Tensor) -> Tensor:
    """The noise levels as float32 on the CPU, [S], without the 0 at their end, which is not a step."""
    sigmas = sigmas.detach().to(device="cpu", dtype=torch.float32)
    return sigmas[:-1] if sigmas.ndim == 1 and sigmas.numel() and sigmas[-1] == 0 else sigmas


def image_factors(model: ModelPatcher, sigmas: Tensor) -> Tensor:
    """alpha(sigma) of x = alpha * x0 + sigma * noise, [S], found by letting the model add a noise of 0 to an image of 1.

    Raises:
        ValueError: levels that are not a schedule or lie outside the model's, or a model that noises in another way.
    """
    check_levels(sigmas, torch.ones_like(sigmas))
    model_sampling = model.get_model_object("model_sampling")
    if "IMG_TO_IMG" in {base.__name__ for base in type(model_sampling).__mro__}:
        raise ValueError(
            f"This model ({type(model.model).__name__}) makes one picture of another at once: it does not predict noise, so it "
            "can't explain anything. Load a model that makes pictures from noise."
        )
    check_reach(sigmas, float(model_sampling.sigma_min), float(model_sampling.sigma_max))
    column = sigmas[:, None, None, None]
    # Fresh tensors for each call: ComfyUI's EPS models change the noise that they are given in place.
    alphas = model_sampling.noise_scaling(column, torch.zeros_like(column), torch.ones_like(column)).flatten()
    noise_factors = model_sampling.noise_scaling(column, torch.ones_like(column), torch.zeros_like(column)).flatten()
    if not torch.allclose(noise_factors, sigmas * noise_scale(model), rtol=1e-5) or not noise_factors.all():
        raise ValueError(
            f"This model ({type(model.model).__name__}) adds {noise_factors[0].item():g} times the noise at level "
            f"{sigmas[0].item():g}; expected the level itself, or one multiple of it. Its way of noising is not supported."
        )
    return alphas


def noise_scale(model: ModelPatcher) -> float:
    """How many times the level the model takes of the noise: 1, but 8 for HiDream-O1.

    The pack's model space is the model's own divided by it, so that x = alpha * x0 + sigma * noise holds for every model.
    """
    level = torch.full((1, 1, 1, 1), 0.5)
    model_sampling = model.get_model_object("model_sampling")
    return model_sampling.noise_scaling(level, torch.ones_like(level), torch.zeros_like(level)).item() / level.item()


def check_reach(sigmas: Tensor, sigma_min: float, sigma_max: float) -> None:
    """Refuse noise levels that the model was never trained on (beyond its own range by more than 1 %).

    Raises:
        ValueError: as above.
    """
    if sigmas.max() > sigma_max * 1.01 or sigmas.min() < sigma_min * 0.99:
        raise ValueError(
            f"The noise levels (SIGMAS) run from {sigmas.max().item():g} to {sigmas.min().item():g}, but this model knows "
            f"those from {sigma_max:g} to {sigma_min:g}. They were made for another model."
        )


def latent_space(model: ModelPatcher) -> LatentSpace:
    """The model's latent space, found by passing known latents through its `process_out`.

    A model of videos is one of pictures as well: Qwen-Image and others know a picture as a video of one frame.

    Raises:
        ValueError: a model whose latents are not images, or are not scaled and shifted channel by channel.
    """
    latent_format = model.get_model_object("latent_format")
    _check_pictures(model, latent_format)
    channels, single_frame = latent_format.latent_channels, latent_format.latent_dimensions == 3
    frame = (1,) if single_frame else ()
    # the least that shows what becomes of a latent: the first cell gives the shift, the second the scale
    probe = torch.linspace(-3, 3, channels * 4).reshape(1, channels, 2, 2)
    probe[..., 0, 0], probe[..., 0, 1] = 0, 1
    there = latent_format.process_out(probe.reshape(1, channels, *frame, 2, 2))
    if there.shape == (1, channels, *frame, 2, 2):
        there = there.reshape(probe.shape)
        shift = there[0, :, 0, 0].clone()
        scale = there[0, :, 0, 1] - shift
        if torch.allclose(there, to_vae_space(probe, scale, shift), rtol=1e-4, atol=1e-5):
            return LatentSpace(scale * noise_scale(model), shift, _downscale(latent_format), single_frame)
    raise ValueError(
        f"The latent format {type(latent_format).__name__} does more than scale and shift each channel. Models that "
        "use it are not supported."
    )


def _check_pictures(model: ModelPatcher, latent_format: LatentFormat) -> None:
    name, kind = type(model.model).__name__, type(latent_format).__name__
    network = model.model.model_config.unet_config
    if latent_format.latent_dimensions not in (2, 3) or kind in NO_PICTURES:
        raise ValueError(
            f"This model ({name}) works on sounds or shapes (its latents are {kind}). Only image models can be explained: load "
            "one of those."
        )
    if network.get("use_temporal_attention") or network.get("use_temporal_resblock"):
        raise ValueError(
            f"This model ({name}) makes videos: it takes the pictures of a batch for the frames of one. Only image models can be "
            "explained: load one of those."
        )


def _downscale(latent_format: LatentFormat) -> int:
    named = (DOWNSCALES.get(kind.__name__) for kind in type(latent_format).__mro__)
    return int(getattr(latent_format, "spacial_downscale_ratio", None) or next(filter(None, named), 8))


def model_latent(model: ModelPatcher, samples: Tensor) -> Tensor:
    """A LATENT's samples in model space, x0 [B,C,h,w], float32 on the CPU; [B,C,1,h,w] is a picture as well.

    Raises:
        ValueError: samples that are not a finite image latent with the model's channels.
    """
    space = latent_space(model)
    samples = _without_frames(samples, space.single_frame)
    check_latent(samples, space.channels)
    samples = samples.detach().to(device="cpu", dtype=torch.float32)
    process_in = model.get_model_object("latent_format").process_in
    x0 = process_in(samples[:, :, None]).squeeze(2) if space.single_frame else process_in(samples)
    return x0 / noise_scale(model)


def _without_frames(samples: Tensor, single_frame: bool) -> Tensor:
    """[B,C,1,h,w] as [B,C,h,w] where the model takes videos; a latent that is not a video is left as it is.

    Raises:
        ValueError: a video of several frames, or a frame for a model that knows none.
    """
    if getattr(samples, "is_nested", False) or samples.ndim != 5:
        return samples
    frames = samples.shape[2]
    if frames == 1 and single_frame:
        return samples.squeeze(2)
    if frames == 1:
        raise ValueError(
            f"The latent has shape {list(samples.shape)}, a video's with one frame, but this model takes pictures. Encode the "
            "picture with the VAE that belongs to this model."
        )
    raise ValueError(
        f"The latent is a video of {frames} frames (shape {list(samples.shape)}). Only pictures can be explained: give VAE "
        "Encode one picture at a time (it takes a batch for the frames of a video) and join their latents with Latent Batch."
    )


def check_same_model(model: ModelPatcher, noised: NoisedLatents) -> None:
    """Refuse noised latents that were made for a model with other latents or other noise levels.

    Raises:
        ValueError: as above.
    """
    remedy = "Connect the model that the noising node has, or noise the latent again with this one."
    space = latent_space(model)
    channels = noised.x0.shape[1]
    if space.channels != channels:
        raise ValueError(f"The noised latents have {channels} channels, but the model takes {space.channels}. {remedy}")
    if space.single_frame != noised.single_frame:
        kinds = ("pictures", "videos of one frame")
        raise ValueError(
            f"The noised latents are {kinds[noised.single_frame]}, but the model takes {kinds[space.single_frame]}. {remedy}"
        )
    if not torch.allclose(space.scale, noised.latent_scale) or not torch.allclose(space.shift, noised.latent_shift):
        raise ValueError(f"The noised latents were scaled for another model's latent space. {remedy}")
    try:
        alphas = image_factors(model, noised.sigmas)
    except ValueError as error:
        raise ValueError(f"The noised latents do not fit the model: {error} {remedy}") from error
    if not torch.allclose(alphas, noised.alphas, atol=1e-6):
        raise ValueError(f"The noised latents were mixed with noise in another way than this model does it. {remedy}")
