"""A diffusers scheduler's noise levels and the kind of prediction that it was trained for, in ComfyUI's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.model_sampling

from .diffusers_files import Settings, require_settings

# ComfyUI's names for what diffusers calls by these; its "linear" is the square of a line, as in Stable Diffusion.
BETA_SCHEDULES = {"scaled_linear": "linear", "linear": "sqrt_linear", "squaredcos_cap_v2": "cosine"}
PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")

DDPM = ("linear", 0.0001, 0.02)
K_DIFFUSION = ("linear", 0.00085, 0.012)
STABLE_DIFFUSION = ("scaled_linear", 0.00085, 0.012)
# diffusers' schedulers with betas, and the beta_schedule, beta_start and beta_end that each has if none are stated.
BETA_SCHEDULERS = {
    "DDIMInverseScheduler": DDPM,
    "DDIMParallelScheduler": DDPM,
    "DDIMScheduler": DDPM,
    "DDPMParallelScheduler": DDPM,
    "DDPMScheduler": DDPM,
    "DEISMultistepScheduler": DDPM,
    "DPMSolverMultistepInverseScheduler": DDPM,
    "DPMSolverMultistepScheduler": DDPM,
    "DPMSolverSinglestepScheduler": DDPM,
    "EulerAncestralDiscreteScheduler": DDPM,
    "EulerDiscreteScheduler": DDPM,
    "LMSDiscreteScheduler": DDPM,
    "PNDMScheduler": DDPM,
    "RePaintScheduler": DDPM,
    "SASolverScheduler": DDPM,
    "UniPCMultistepScheduler": DDPM,
    "DPMSolverSDEScheduler": K_DIFFUSION,
    "HeunDiscreteScheduler": K_DIFFUSION,
    "KDPM2AncestralDiscreteScheduler": K_DIFFUSION,
    "KDPM2DiscreteScheduler": K_DIFFUSION,
    "LCMScheduler": STABLE_DIFFUSION,
    "TCDScheduler": STABLE_DIFFUSION,
}
FLOW_SCHEDULERS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler")
FLOW = "flow_prediction"
"""diffusers' name for a network that predicts noise - x0 for x = (1 - sigma) * x0 + sigma * noise."""


class X0Sampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.X0):
    """The discrete schedule for a network that predicts the clean latent."""


def any_scheduler_settings(settings: Settings, source: Path) -> Settings:
    """Return the settings of any scheduler of `BETA_SCHEDULERS` or of flow matching, as `scheduler_settings` does.

    Raises:
        ValueError: another scheduler, or settings that can't be mapped.
    """
    kind = settings.get("_class_name")
    if kind in FLOW_SCHEDULERS:
        return flow_settings(settings, settings.get("shift", 1.0), source)
    if kind not in BETA_SCHEDULERS:
        raise ValueError(
            f"{source} is of a {kind or 'scheduler without a name'}; this node knows the noise levels of schedulers with betas "
            f"(DDPMScheduler, DDIMScheduler ...) and of flow matching ({', '.join(FLOW_SCHEDULERS)}). The answers of a model "
            "that was trained with others (EDM, Karras VE, score SDEs ...) would be misread. Choose another model."
        )
    if settings.get("use_flow_sigmas") and settings.get("prediction_type") == FLOW:
        return flow_settings(settings, settings.get("flow_shift", 1.0), source)
    schedule, start, end = BETA_SCHEDULERS[kind]
    return scheduler_settings({"beta_schedule": schedule, "beta_start": start, "beta_end": end, **settings}, source)


def flow_settings(settings: Settings, shift: float, source: Path) -> Settings:
    """Return the settings of flow matching; a shift that depends on the size, a choice of levels only, counts as none."""
    require_settings(settings, {"invert_sigmas": (False,)}, source)
    return {**settings, "prediction_type": FLOW, "shift": 1.0 if settings.get("use_dynamic_shifting") else shift}


def scheduler_settings(settings: Settings, source: Path) -> Settings:
    """Return the scheduler's settings after checking that ComfyUI has this schedule and this kind of prediction."""
    # 1000: ComfyUI's percentages of a schedule count so many training steps.
    legal = {
        "beta_schedule": tuple(BETA_SCHEDULES),
        "num_train_timesteps": (1000,),
        "prediction_type": PREDICTION_TYPES,
        "timestep_type": ("discrete",),
        "trained_betas": (None,),
        "use_flow_sigmas": (None, False),
    }
    require_settings(settings, legal, source)
    return {"prediction_type": "epsilon", **settings}


def sampling_settings(scheduler: Settings) -> dict[str, Any]:
    """Return the schedule in ComfyUI's terms: its shift and the network's time at sigma = 1, or its betas."""
    if scheduler["prediction_type"] == FLOW:
        return {"shift": scheduler["shift"], "multiplier": scheduler.get("num_train_timesteps", 1000)}
    return {
        "beta_schedule": BETA_SCHEDULES[scheduler["beta_schedule"]],
        "linear_start": scheduler["beta_start"],
        "linear_end": scheduler["beta_end"],
        "timesteps": scheduler.get("num_train_timesteps", 1000),
        "zsnr": bool(scheduler.get("rescale_betas_zero_snr")),
    }


def model_type(scheduler: Settings) -> comfy.model_base.ModelType:
    """Return ComfyUI's name for what the network predicts; ComfyUI has no name for "sample", see `X0Sampling`."""
    kinds = comfy.model_base.ModelType
    return {"v_prediction": kinds.V_PREDICTION, FLOW: kinds.FLOW}.get(scheduler["prediction_type"], kinds.EPS)
