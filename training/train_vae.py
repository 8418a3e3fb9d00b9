"""Training of the bundled model's VAE on crops of the drawn pictures, and the latents it gives.

Shapes: N scenes, 2 twins, C latent channels, h w latent size.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from . import architecture, checkpoint, digests
from .training_data import TwinPictures

BATCH, CROP, LEARNING_RATE = 4, 128, 2e-3
KL_WEIGHT = 1e-6  # only keeps the latents bounded; ten times as much silenced one of the four channels, and with it pink
EDGE_WEIGHT = 0.5  # small cues are edges: the difference of neighbouring pixels counts beside the pixels
SAVE_EVERY = 500


def random_crops(pictures: np.ndarray, generator: np.random.Generator) -> Tensor:
    """Return BATCH random crops as [BATCH,3,CROP,CROP] in -1..1."""
    scenes, twins, height, width, _ = pictures.shape
    crops = np.empty((BATCH, CROP, CROP, 3), np.uint8)
    for i in range(BATCH):
        y, x = generator.integers(height - CROP + 1), generator.integers(width - CROP + 1)
        crops[i] = pictures[generator.integers(scenes), generator.integers(twins), y : y + CROP, x : x + CROP]
    return to_model_range(crops)


def to_model_range(pictures: np.ndarray) -> Tensor:
    """Convert uint8 [B,H,W,3] to float [B,3,H,W] in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of horizontally and vertically neighbouring pixels."""
    return picture.diff(dim=-1), picture.diff(dim=-2)


def reconstruction_loss(decoded: Tensor, picture: Tensor) -> Tensor:
    """Mean absolute and squared error of the pixels, and the mean absolute error of the edges."""
    pixels = functional.l1_loss(decoded, picture) + functional.mse_loss(decoded, picture)
    return pixels + EDGE_WEIGHT * sum(functional.l1_loss(a, b) for a, b in zip(edges(decoded), edges(picture)))


def train_vae(folder: Path, data: TwinPictures, steps: int) -> AutoencoderKL:
    """Train for `steps`, going on from `folder/vae.pt` if there is one; return the averaged VAE."""
    vae = architecture.build_vae()
    optimizer = torch.optim.AdamW(vae.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.05)
    average = AveragedModel(vae, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    parts = {"vae": vae, "optimizer": optimizer, "schedule": schedule, "average": average}
    done = checkpoint.restore(folder / "vae.pt", parts)
    with tqdm(range(done, steps), "training the VAE", initial=done, total=steps, unit="step") as progress:
        for step in progress:
            picture = random_crops(data.pictures, np.random.default_rng((step, 2)))
            with torch.autocast("cpu", torch.bfloat16):
                posterior = vae.encode(picture).latent_dist
                decoded = vae.decode(posterior.sample()).sample
            loss = reconstruction_loss(decoded.float(), picture)
            loss = loss + KL_WEIGHT * posterior.kl().float().mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(vae)
            if step % 50 == 0:
                decibel = -10 * functional.mse_loss(decoded.float() / 2, picture / 2).log10()
                progress.set_postfix(loss=f"{loss.item():.4f}", psnr=f"{decibel.item():.1f} dB")
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
                checkpoint.save(folder / "vae.pt", parts, step + 1)
    return average.module.eval()


@torch.no_grad()
def encode(vae: AutoencoderKL, data: TwinPictures, file: Path, batch: int = 16) -> Tensor:
    """Return the latents' means [N,2,C,h,w] of all pictures, kept in `file` for the next call with the same VAE and pictures."""
    key = f"{digests.of_weights(vae)} {data.pictures.shape}"
    known = torch.load(file, weights_only=True) if file.exists() else None
    if isinstance(known, dict) and known["key"] == key:
        return known["latents"]
    vae = vae.to(memory_format=torch.channels_last)  # twice as fast here; training is faster without
    flat = data.pictures.reshape(-1, *data.pictures.shape[2:])
    latents = []
    for start in tqdm(range(0, len(flat), batch), "encoding", unit="batch"):
        picture = to_model_range(flat[start : start + batch]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents.append(vae.encode(picture).latent_dist.mean.float())
    encoded = torch.cat(latents).unflatten(0, (len(data), 2))
    torch.save({"key": key, "latents": encoded}, file)
    return encoded


@torch.no_grad()
def whiten(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Give the latent channels mean 0, variance 1 and no correlation, in the latents and in the VAE itself.

    z' = W (z - m) with W the inverse square root of the channels' covariance, which changes them as little as possible (Kessy et
    al. 2018). It is folded into `quant_conv` and its inverse into `post_quant_conv`, so that the pipeline keeps the
    ordinary layout with scaling_factor 1. The log variances, which have no such map, move by their mean change.
    """
    flat = latents.movedim(2, 0).flatten(1).double()
    mean, covariance = flat.mean(1), flat.cov()
    values, vectors = torch.linalg.eigh(covariance)
    forth = (vectors / values.sqrt()) @ vectors.T
    back = (vectors * values.sqrt()) @ vectors.T
    mean, forth, back = mean.float(), forth.float(), back.float()
    channels = len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.weight[:channels] = mix(forth, quant.weight[:channels])
    quant.bias[:channels] = forth @ (quant.bias[:channels] - mean)
    variances = quant.bias[channels:].exp()
    quant.bias[channels:] = (forth.square() @ variances).log()
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight[:, :, 0, 0] = post.weight[:, :, 0, 0] @ back
    return mix(forth, (latents - mean.view(-1, 1, 1)).movedim(2, 0)).movedim(0, 2)


def mix(matrix: Tensor, channels: Tensor) -> Tensor:
    """matrix [c,C] times channels [C,...] along their first dimension."""
    return torch.tensordot(matrix, channels, dims=1)
