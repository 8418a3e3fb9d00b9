"""Heatmaps with values that a test chooses."""

from __future__ import annotations

import torch
from sdexplain.nodes.maths.method.heatmap import Heatmap
from torch import Tensor


def a_heatmap(values: Tensor, limit: float = 1.0, signed: bool = True, downscale: int = 8) -> Heatmap:
    """values [B,h,w], of zebra against horse."""
    return Heatmap(
        values=values,
        limits=torch.full((len(values),), limit),
        signed=signed,
        latent_size=tuple(values.shape[1:]),
        downscale=downscale,
        target_label="zebra",
        contrast_label="horse",
        positive="higher",
        negative="lower",
        quantity="Number",
        noun="number",
        unit="units",
        floor=0.0,
        source="Steps 0–1 of 1",
    )
