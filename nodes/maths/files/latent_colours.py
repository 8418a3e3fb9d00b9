"""What each channel of a latent adds to red, green and blue: for pages that can't ask the VAE at every step range."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import Size, decode_pictures
from ..method.difference import Weighting, sum_steps
from ..method.noising import NoisedLatents
from ..method.placing import covered_box
from ..method.prediction import NoisePredictions


def picture_colours(pictures: Tensor, noised: NoisedLatents) -> Tensor:
    """The colours of a latent channel, [B,C,3]: least squares of each picture's cells [B,H,W,3] on its own latent.

    It serves every model without its VAE; a ridge of 1 % of the latent's variance keeps flat pictures from wild colours.
    """
    size = noised.x0.shape[2:]
    top, left, height, width = covered_box(pictures.shape[1:3], size, noised.downscale)
    cells = cell_means(pictures[:, top : top + height, left : left + width], size)
    latents = noised.x0.flatten(2).mT
    cells, latents = (values - values.mean(dim=1, keepdim=True) for values in (cells, latents))
    squares = latents.mT @ latents
    ridge = 0.01 * squares.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-6)
    colours: Tensor = torch.linalg.solve(squares + ridge[:, None, None] * torch.eye(squares.shape[-1]), latents.mT @ cells)
    return colours


def decoder_colours(
    predictions: NoisePredictions, weighting: Weighting, decode: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The decoder's colours of a cell as a linear function of -sum d, [B,C+1,3] with the constant last, and how well it fits,
    [B].

    The least squares are over the cells of what the decoder makes of nothing, of the whole schedule's sum and of its halves'. The
    fit is R², the share of the colours' variance that the function explains; 1 if there is none.
    """
    noised, size = predictions.noised, predictions.noised.x0.shape[2:]
    asked, steps = noised.asked_steps, noised.steps
    middle = asked[len(asked) // 2]
    ranges = [(0, steps)] if len(asked) < 2 else [(0, steps), (0, middle), (middle, steps)]
    sums = [sum_steps(predictions, *part, "difference", weighting) for part in ranges]
    latents = [torch.zeros_like(sums[0].mean), *(-part.mean for part in sums)]
    known = torch.cat([latent.flatten(2).mT for latent in latents], dim=1)  # [B, ranges * cells, C]
    known = torch.cat([known, torch.ones_like(known[..., :1])], dim=2)
    seen = torch.cat([cell_means(decode_pictures(decode, sums[0].to_vae(latent)), size) for latent in latents], dim=1)
    colours = torch.linalg.lstsq(known.double(), seen.double(), driver="gelsd").solution  # channels may be all alike
    left = (seen - known.double() @ colours).square().sum(dim=(1, 2))
    spread = (seen - seen.mean(dim=1, keepdim=True)).double().square().sum(dim=(1, 2))
    return colours.float(), torch.where(spread > 0, 1 - left / spread.clamp(min=1e-30), 1.0).float()


def cell_means(pictures: Tensor, size: Size) -> Tensor:
    """The mean colour of each latent cell of pictures [B,H,W,3], [B,cells,3]."""
    return F.interpolate(pictures.movedim(-1, 1), size, mode="area").flatten(2).mT
