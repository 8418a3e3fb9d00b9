"""Pictures that a model makes of every class, to see what it has learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image
from torchvision.utils import make_grid

from ..train_denoiser import TextConditionedUNet
from .subjects import Subject
from .verdicts import PROMPT

GUIDANCE, STEPS = 2.0, 20


@torch.no_grad()
def draw(
    subject: Subject, networks: TextConditionedUNet, classes: Sequence[str], each: int = 4, device: torch.device | str = "cpu"
) -> Tensor:
    """`each` pictures of every class, [K*each,3,S,S] in -1..1, by DDIM with guidance; always from the same noise."""
    scheduler = type(subject.pipeline.scheduler).from_config(subject.pipeline.scheduler.config)
    scheduler.set_timesteps(STEPS, device=device)
    ids = subject.prompt_ids([PROMPT.format(name) for name in classes]).repeat_interleave(each, 0)
    both = torch.cat([ids, subject.prompt_ids([""]).expand(len(ids), -1)]).to(device)
    cells = subject.size // 2 ** (len(subject.vae.config.block_out_channels) - 1)
    shape = (each, subject.vae.config.latent_channels, cells, cells)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0)).repeat(len(classes), 1, 1, 1).to(device)
    for timestep in scheduler.timesteps:
        asked = networks(latents.repeat(2, 1, 1, 1), timestep.expand(len(both)), both).float()
        own, empty = asked.chunk(2)
        latents = scheduler.step(empty + GUIDANCE * (own - empty), timestep, latents).prev_sample
    return subject.decode(latents)


def grid(pictures: Tensor, columns: int, scale: int = 1) -> Image.Image:
    """Pictures [B,3,S,S] in -1..1 side by side, `columns` in a row, every pixel `scale` wide."""
    sheet = make_grid(pictures.cpu(), columns, padding=2, pad_value=1.0, value_range=(-1, 1), normalize=True)
    image = to_pil_image(sheet)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
