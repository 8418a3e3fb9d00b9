"""What a test keeps an eye on while ComfyUI predicts: the calls of the model, and everything that is to stay as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor


def watch_calls(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """A list that fills with the noise levels of each model call."""
    import comfy.samplers

    seen: list[list[float]] = []
    real = comfy.samplers.calc_cond_batch

    def watched(inner: Any, conds: Any, x: Tensor, sigma: Tensor, options: Any) -> Any:
        seen.append(sigma.tolist())
        return real(inner, conds, x, sigma, options)

    monkeypatch.setattr(comfy.samplers, "calc_cond_batch", watched)
    return seen


def state_of(patcher: Any) -> dict[str, Any]:
    """Everything of a MODEL that predicting might change."""
    return {
        "weights": {name: tensor.clone() for name, tensor in patcher.model.diffusion_model.state_dict().items()},
        "options": copy.deepcopy(patcher.model_options),
        "objects": dict(patcher.object_patches),
        "patches": dict(patcher.patches),
        "wrappers": copy.deepcopy(patcher.wrappers),
        "callbacks": copy.deepcopy(patcher.callbacks),
        "hooks": dict(patcher.hook_patches),
        "hook mode": patcher.hook_mode,
        "sampling": type(patcher.get_model_object("model_sampling")),
        "attributes": set(vars(patcher.model)),
        "current hooks": patcher.current_hooks,
    }


def assert_same_state(state: dict[str, Any], before: dict[str, Any]) -> None:
    weights, weights_before = state.pop("weights"), before.pop("weights")
    assert weights.keys() == weights_before.keys()
    assert all(torch.equal(weights[name], weights_before[name]) for name in weights)
    assert state == before
