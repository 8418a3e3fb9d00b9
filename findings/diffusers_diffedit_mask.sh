#!/usr/bin/env bash
# The masks of DiffEdit in diffusers 0.42.1 (PyPI).
#
# A good guess: generate_mask clips outliers, divides by the largest value and cuts at one half. So where two prompts' noise
# predictions differ and elsewhere do not, the mask is that place, however large, whatever other pictures are in the batch. And
# what the target's negative prompt speaks of is less in the mask than what the target speaks of.
# What happens: (1) it cuts at mask_thresholding_ratio / 2 times the mean difference, with the usual 3.0 at 1.5 times. A place of
# more than two thirds of the picture makes the mean so large that nothing lies above it. (2) The mean is that of all pictures in
# the batch. (3) encode_prompt returns prompt and negative prompt, and is read as negative prompt and prompt: guidance leads away
# from the prompt. (generate_mask in diffusers/pipelines/deprecated/stable_diffusion_diffedit.)
# Seen: two prompts differ by 1 in the left part and by 0 elsewhere. If it is 50 % or 62 % of the picture, so is the mask; if it
# is 69 % or 100 %, the mask is empty. That of 50 % is empty beside a picture whose difference is four times as strong. Of a
# prompt about the left half and a negative prompt about the right half, with guidance 1.5, the mask is the right half. Fails if
# that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check diffusers==0.42.1 transformers==5.23.0 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionDiffEditPipeline
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

SIDE = 16  # of the latent picture


class TwoParts(ModelMixin, ConfigMixin):
    """Predicts for every picture its prompt's first value in the left columns, and the second elsewhere."""

    @register_to_config
    def __init__(self, columns: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(
        self, latents: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: object
    ) -> UNet2DConditionOutput:
        place = (torch.arange(SIDE) >= self.config.columns).long()
        return UNet2DConditionOutput(sample=encoder_hidden_states[:, 0][:, place].reshape(-1, 1, 1, SIDE).expand_as(latents))


torch.manual_seed(0)
vae = AutoencoderKL(
    down_block_types=["DownEncoderBlock2D"] * 2,
    up_block_types=["UpDecoderBlock2D"] * 2,
    block_out_channels=(4, 4),
    norm_num_groups=1,
)


def masks(columns: int, *differences: float, negative: float = 0, **options: float) -> torch.Tensor:
    """Of pictures where the target differs so much in the left columns, and its negative prompt in the others."""
    pipeline = StableDiffusionDiffEditPipeline(
        vae, None, None, TwoParts(columns), DDIMScheduler(steps_offset=1, clip_sample=False), None, None, None, False
    )
    target = torch.tensor([[[value, 0.0]] for value in differences])
    nothing = torch.zeros_like(target)
    found = pipeline.generate_mask(
        torch.rand(len(target), 3, 2 * SIDE, 2 * SIDE),
        target_prompt_embeds=target,
        target_negative_prompt_embeds=nothing + torch.tensor([0.0, negative]),
        source_prompt_embeds=nothing,
        source_negative_prompt_embeds=nothing,
        **options,
    )
    return torch.from_numpy(found).float()


print(f"diffusers {version('diffusers')}: share of the picture where the prompts differ, and share of the mask")
found = {columns / SIDE: masks(columns, 1.0).mean().item() for columns in (8, 10, 11, 16)}
print(", ".join(f"{share:.0%}: {mask:.0%}" for share, mask in found.items()))
beside = masks(8, 1.0, 4.0).mean((1, 2)).tolist()
print(f"50 % beside another with a difference four times as strong: {beside[0]:.0%} and {beside[1]:.0%}")
halves = masks(8, 1.0, negative=1.0, guidance_scale=1.5, mask_thresholding_ratio=2.0)[0].mean(0).reshape(2, -1).mean(1).tolist()
print(f"target left, negative prompt right: {halves[0]:.0%} of the left half in the mask, {halves[1]:.0%} of the right half")
sys.exit(not (found == {0.5: 0.5, 0.625: 0.625, 0.6875: 0, 1: 0} and beside == [0, 0.5] and halves == [0, 1]))
PYTHON
DIFFUSERS_VERBOSITY=error "$work/venv/bin/python" -W ignore "$work/try.py"
