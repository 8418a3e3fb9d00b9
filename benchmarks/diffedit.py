"""DiffEdit's mask (Couairon et al. 2022) as diffusers computes it, on the weights that our own maps are read from.

Nothing of it is written again here: diffusers' own pipeline runs, and the map that it binarises is formed from the noise
predictions that its UNet is seen to return.

Shapes: M noise maps, C latent channels, h w latent size, H W picture size.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionDiffEditPipeline, StableDiffusionPipeline
from PIL import Image
from torch import Tensor

# diffusers' defaults
THRESHOLDING_RATIO = 3.0
GUIDANCE = 7.5


def as_diffedit(pipeline: StableDiffusionPipeline) -> StableDiffusionDiffEditPipeline:
    """Return diffusers' DiffEdit over a pipeline's own networks, with schedulers of its own."""
    return StableDiffusionDiffEditPipeline(
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        tokenizer=pipeline.tokenizer,
        unet=pipeline.unet,
        scheduler=DDIMScheduler.from_config(pipeline.scheduler.config),
        inverse_scheduler=DDIMInverseScheduler.from_config(pipeline.scheduler.config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def soft_map(predictions: Tensor) -> Tensor:
    """The map [h,w] that `generate_mask` binarises (its stages 7 and 8), in units of what it clamps at: its mask is map > ½.

    `predictions` [4M,C,h,w] are the UNet's in the pipeline's order: two blocks of M for the source, two for the target.
    Not clamped, so that the largest values keep their order.
    """
    source_base, source, target_base, target = predictions.chunk(4)
    source, target = (base + GUIDANCE * (to - base) for base, to in ((source_base, source), (target_base, target)))
    values = (target - source).abs().mean((0, 1))
    return values / (values.mean() * THRESHOLDING_RATIO)


def diffedit(
    pipeline: StableDiffusionDiffEditPipeline, picture: np.ndarray, own: str, twin: str, seed: int, maps: int = 10
) -> tuple[np.ndarray, np.ndarray, int]:
    """Run `generate_mask` on a picture uint8 [H,W,3] with the prompts `own` as target and `twin` as source.

    Returns the map before binarising, float [h,w], the pipeline's own mask, bool [h,w], and how many samples the UNet was
    asked for: 4 for each of the `maps` noises. Half of them, the empty prompt's, cancel in the difference of the two guided
    predictions, so that the map needs no more than 2 a noise; a comparison of costs should say so.
    """
    seen: list[Tensor] = []
    hook = pipeline.unet.register_forward_hook(lambda network, arguments, output: seen.append(output.sample))
    try:
        mask = pipeline.generate_mask(
            image=Image.fromarray(picture),
            target_prompt=own,
            source_prompt=twin,
            num_maps_per_mask=maps,
            mask_thresholding_ratio=THRESHOLDING_RATIO,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(seed),
        )
    finally:
        hook.remove()
    (predictions,) = seen
    return soft_map(predictions).numpy(), mask[0].astype(bool), len(predictions)
