"""DiffEdit's mask (Couairon et al. 2022) as diffusers computes it, on the same weights as our own maps.

diffusers' own pipeline runs; the map that it binarises is computed from the noise
predictions that its UNet returns.

Shapes: M noise maps, C latent channels, h w latent size, H W picture size.
"""

from __future__ import annotations

from collections.abc import Callable

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
    pipeline: StableDiffusionDiffEditPipeline,
    picture: np.ndarray,
    own: str,
    twin: str,
    seed: int,
    maps: int = 10,
    skip_empty: bool = False,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Run `generate_mask` on a picture uint8 [H,W,3] with the prompts `own` as target and `twin` as source.

    Returns the map before binarising, float [h,w], the pipeline's own mask, bool [h,w], and how many samples the UNet was
    asked for: 4 for each of the `maps` noises. Half of them, the empty prompt's, cancel in the difference of the two guided
    predictions: with `skip_empty` the UNet is not asked for those, and map and mask are the same at 2 a noise.
    """
    seen: list[Tensor] = []
    if skip_empty:
        pipeline.unet.forward = _without_empty(pipeline.unet.forward)
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
        if skip_empty:
            del pipeline.unet.forward  # the class's own is there again
    (predictions,) = seen
    return soft_map(predictions).numpy(), mask[0].astype(bool), len(predictions) // (2 if skip_empty else 1)


def _without_empty(forward: Callable) -> Callable:
    """The UNet's forward that gives 0 for the empty prompt without computing it.

    Its blocks are the second and the fourth: diffusers 0.42 takes what `encode_prompt` returns in the other order than it
    comes, so that guidance leads away from the prompts there, which only the sign of the difference shows.
    """

    def prompts_alone(sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **others: object) -> object:
        asked = torch.arange(len(sample)).unflatten(0, (4, -1))[[0, 2]].flatten()
        answer = forward(sample[asked], timestep, encoder_hidden_states=encoder_hidden_states[asked], **others)
        answer.sample = torch.zeros_like(sample).index_copy(0, asked, answer.sample)
        return answer

    return prompts_alone
