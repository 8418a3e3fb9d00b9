"""Which cells of a picture a prompt reaches: areas and masks keep prompts from parts of it, and there ComfyUI answers 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .noising import NoisedLatents, add_noise


def reached_cells(noised: NoisedLatents, predictions: Sequence[Tensor], step: int) -> Tensor:
    """The cells that any of the prompts reaches, [B,h,w] bool; predictions [R,S,B,C,h,w] of one or more prompts.

    Where no prompt reaches, ComfyUI returns the estimate D = 0 of the picture, so that the noise prediction is x / sigma to the
    last bit. In an image of which that is true everywhere, all cells count as reached: a model may have said so.
    """
    sigma, alpha = noised.sigmas[step], noised.alphas[step]
    nothing = add_noise(noised.x0, noised.noise_of(step)[: len(predictions[0]), None], sigma, alpha) / sigma
    empty = [(prompt[:, step] == nothing.to(prompt.dtype)).all(dim=2).all(dim=0) for prompt in predictions]
    reached = ~torch.stack(empty).all(dim=0)
    return reached | ~reached.any(dim=2, keepdim=True).any(dim=1, keepdim=True)
