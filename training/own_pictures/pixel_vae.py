"""A VAE without a loss: its latent is the picture itself, each colour with mean 0 and variance 1.

A diffusion model in pixels has thus the ordinary layout of a latent one, and every tool that opens such a folder opens it too.

The encoder's and the decoder's blocks have normalisations and SiLUs that can't be left out. Eight channels carry the picture past
them: each colour with both signs, and two constants +K and -K. Their mean is 0 and their variance K²/4 as long as K is much
larger than the picture, so that a group norm with that gain leaves them as they are, up to a relative error of x²/K². And
silu(x) - silu(-x) = x exactly.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from .. import architecture

CHANNELS = 8
CONSTANT = 512.0
SMALLEST_LOG_VARIANCE = -30.0  # the latent is no distribution: its samples are its mean


@torch.no_grad()
def build_pixel_vae(size: int, mean: Tensor, deviation: Tensor) -> AutoencoderKL:
    """Return the VAE for pictures of this size whose colours have this mean and deviation [3] in the range -1..1."""
    vae = architecture.build_vae((CHANNELS,), latent_channels=3, groups=1)
    vae.register_to_config(sample_size=size)
    for half in (vae.encoder, vae.decoder):
        _let_pass(half)
    signs = torch.zeros(CHANNELS, 3)
    signs[0:3], signs[3:6] = torch.eye(3), -torch.eye(3)
    constants = torch.tensor([0.0] * 6 + [CONSTANT, -CONSTANT])
    for half in (vae.encoder, vae.decoder):
        _set(half.conv_in, signs, constants)
    _set(vae.encoder.conv_out, torch.cat([signs.T, torch.zeros(3, CHANNELS)]), torch.zeros(6))
    _set(vae.decoder.conv_out, signs.T, torch.zeros(3))
    forth = torch.block_diag(torch.diag(1 / deviation), torch.zeros(3, 3))
    _set(vae.quant_conv, forth, torch.cat([-mean / deviation, torch.full((3,), SMALLEST_LOG_VARIANCE)]))
    _set(vae.post_quant_conv, torch.diag(deviation), mean)
    return vae.eval().requires_grad_(False)


def _let_pass(half: nn.Module) -> None:
    """Residual blocks that add nothing, and a last norm that undoes itself."""
    for name, module in half.named_modules():
        if name.endswith("conv2"):
            module.weight.zero_()
            module.bias.zero_()
    half.conv_norm_out.weight.fill_(CONSTANT / 2)
    half.conv_norm_out.bias.zero_()


def _set(layer: nn.Conv2d, matrix: Tensor, bias: Tensor) -> None:
    """Make a convolution mix the channels of each pixel by a matrix [out,in]."""
    layer.weight.zero_()
    middle = layer.kernel_size[0] // 2
    layer.weight[:, :, middle, middle] = matrix
    layer.bias.copy_(bias)


def colours(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation [3] of pictures [B,3,S,S]; a colour that never varies keeps its scale."""
    values = pictures.movedim(1, 0).flatten(1)
    deviation = values.std(1)
    return values.mean(1), torch.where(deviation < 1e-3, torch.ones_like(deviation), deviation)
