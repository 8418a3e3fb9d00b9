"""Where in the picture, and at which noise levels, a conditioning with areas and masks has a prompt."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

if TYPE_CHECKING:
    from ..maths.method.noising import NoisedLatents

Conditioning = list[list[Any]]
"""ComfyUI's: entries of a prompt's tensor and a dict of what goes with it."""

PLACED = {"area", "mask", "strength", "mask_strength"}
"""Keys that may keep an entry of a conditioning from a part of the picture."""
TIMED = {"start_percent", "end_percent", "clip_start_percent", "clip_end_percent"}
"""Keys that switch an entry on and off by noise level."""
WHERE_AND_WHEN = (*PLACED, "default", "timestep_start", "timestep_end", "uuid")
"""What ComfyUI looks at when it puts entries together; a control net or a hook has no say in it."""


def check_coverage(model: ModelPatcher, noised: NoisedLatents, prompts: dict[str, Conditioning]) -> float:
    """Refuse prompts, given by name, if one reaches cells that another does not; returns the share that no prompt reaches.

    ComfyUI answers 0 where no entry of a conditioning reaches. Against a prompt that does reach there, that zero would read as
    millions of nats. Prompts that leave out the same cells have no difference there, and can be compared.

    Raises:
        ValueError: as above, or no prompt that reaches any part of the picture.
    """
    missing = 0.0
    for step, reached in _reached(model, noised, prompts):
        anywhere = torch.stack([*reached.values()]).any(0)
        if not anywhere.any():
            raise ValueError(
                f"The {' and '.join(prompts)} conditioning reaches no part of the picture at step {step}: areas outside of it, "
                "empty masks or strengths of 0. Draw the mask larger or raise the strength, or leave both out."
            )
        for name, own in reached.items():
            missed = (anywhere & ~own).float().mean().item()
            if missed:
                raise ValueError(
                    f"The {name} conditioning does not reach {100 * missed:.3g} % of the picture at step {step}, where another "
                    "prompt does: ComfyUI answers 0 there, which is not a prediction. Join it (Conditioning Combine) with a "
                    "prompt for the rest, the empty prompt for example, or give all prompts the same area, mask, start and end."
                )
        missing = max(missing, 1 - anywhere.float().mean().item())
    return missing


def _reached(model: ModelPatcher, noised: NoisedLatents, prompts: dict[str, Conditioning]) -> list[tuple[int, dict[str, Tensor]]]:
    """The cells that each prompt reaches, [B,1,…,h,w] bool, for the first of all neighbouring steps with the same entries in
    effect.

    Nothing for prompts without areas and masks. A prompt with no entry in effect is left out: `predict` refuses it by name.
    """
    if not any(PLACED & set(entry) for prompt in prompts.values() for _, entry in prompt):
        return []
    frames = (1,) if noised.single_frame else ()
    x = torch.ones(noised.images, 1, *frames, *noised.x0.shape[2:])
    entries = {name: _resolved(model, prompt, x, name) for name, prompt in prompts.items()}
    found: list[tuple[int, dict[str, Tensor]]] = []
    before: list[bool] | None = None
    for step, sigma in enumerate(noised.sigmas.tolist()):
        in_effect = [is_on(entry, sigma) for own in entries.values() for entry in own]
        if in_effect != before:
            on = {name: own for name, own in entries.items() if any(is_on(entry, sigma) for entry in own)}
            if on:
                found.append((step, {name: _cells(own, x, noised.sigmas[step], name) for name, own in on.items()}))
        before = in_effect
    return found


def check_switched_on(
    model: ModelPatcher, noised: NoisedLatents, prompt: Conditioning, steps: Collection[int], name: str
) -> None:
    """Refuse a conditioning, called `name`, that is not meant for one of these steps, by its start and end percentages.

    Raises:
        ValueError: there is such a step.
    """
    if not all(TIMED & set(entry) for _, entry in prompt):
        return
    entries = _with_noise_levels(model, comfy.sampler_helpers.convert_cond(prompt))
    for step in sorted(steps):
        sigma = noised.sigmas[step].item()
        if not any(is_on(entry, sigma) for entry in entries):
            raise ValueError(
                f"The {name} conditioning is switched off at step {step} (noise level {sigma:g}) by its start and end "
                "percentages, so there is nothing to predict with. Let it reach over the whole schedule, or combine it with one "
                "for the remaining steps."
            )


def is_on(entry: dict[str, Any], sigma: float) -> bool:
    """Whether an entry of a conditioning, as ComfyUI prepares it for sampling, is in effect at a noise level."""
    return entry.get("timestep_end", 0.0) <= sigma <= entry.get("timestep_start", float("inf"))


def _resolved(model: ModelPatcher, prompt: Conditioning, x: Tensor, name: str) -> list[dict[str, Any]]:
    """Entries with areas in cells, masks of the latent's size, and noise levels for percentages, by ComfyUI's own code."""
    entries = comfy.sampler_helpers.convert_cond(prompt)
    try:
        comfy.samplers.resolve_areas_and_cond_masks_multidim(entries, x.shape[2:], x.device)
    except (RuntimeError, TypeError, LookupError) as error:
        raise _misplaced(name, error) from error
    entries = _with_noise_levels(model, entries)
    return [{key: entry[key] for key in WHERE_AND_WHEN if key in entry} | {"model_conds": {}} for entry in entries]


def _with_noise_levels(model: ModelPatcher, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries with noise levels in place of percentages."""
    levels = SimpleNamespace(model_sampling=model.get_model_object("model_sampling"))
    comfy.samplers.calculate_start_end_timesteps(levels, entries)
    return entries


def _cells(entries: list[dict[str, Any]], x: Tensor, sigma: Tensor, name: str) -> Tensor:
    """Where ComfyUI lets a model that answers 1 everywhere answer 1."""
    ones = SimpleNamespace(
        apply_model=lambda x, *_, **__: torch.ones_like(x),
        memory_required=lambda *_, **__: 0,
        current_patcher=ModelPatcher(torch.nn.Module(), x.device, x.device),  # versions of ComfyUI ask it for different things
    )
    try:
        return comfy.samplers.calc_cond_batch(ones, [entries], x, sigma.expand(len(x)), {})[0] > 0.5
    except (RuntimeError, TypeError, LookupError) as error:
        raise _misplaced(name, error) from error


def _misplaced(name: str, error: Exception) -> ValueError:
    return ValueError(
        f"The {name} conditioning has an area or mask that does not fit this picture ({type(error).__name__}: {error}). Set "
        "areas within the picture, and masks of its shape."
    )
