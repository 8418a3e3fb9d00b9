"""Joint training of the bundled model's UNet and text encoder on the latents of twin pictures.

Both twins of a scene stand in one batch with the same noise and timestep, so that what differs in their losses is
what the prompt has to explain. Shapes: N scenes, 2 twins, C latent channels, h w latent size.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm
from transformers import CLIPTextModel

from ..bundled.scenes import PAIRS
from . import architecture, checkpoint
from .tokenizer import build_tokenizer

SCENES_PER_BATCH, LEARNING_RATE, WARM_UP = 8, 6e-4, 200
EMPTY_PROMPT_SHARE = 0.12
MIDDLE_TIMESTEPS, MIDDLE_SHARE = (300, 850), 0.5  # where the label matters most; the rest is spread over all timesteps
TEMPLATES = ("{}", "a {}", "a photo of a {}", "a picture of a {}", "a drawing of a {}", "a {} outside")
LARGEST_WEIGHT = 20.0
SAVE_EVERY, REPORT_EVERY = 250, 500
AVERAGE_DECAY = 0.999


class TextConditionedUNet(nn.Module):
    """The two networks that are trained together: token ids [B,T] become the UNet's encoder states."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, noisy: Tensor, timestep: Tensor, token_ids: Tensor) -> Tensor:
        """Predict the noise [B,C,h,w]; each distinct prompt is encoded once."""
        distinct, index = torch.unique(token_ids, dim=0, return_inverse=True)
        states = self.text_encoder(distinct).last_hidden_state[index]
        return self.unet(noisy, timestep, states, return_dict=False)[0]


def build_networks(tokenizer) -> TextConditionedUNet:
    """Build the untrained networks; the plain attention processor is the faster one at these sizes on a CPU."""
    unet = architecture.build_unet().to(memory_format=torch.channels_last)
    unet.set_attn_processor(AttnProcessor())
    return TextConditionedUNet(unet, architecture.build_text_encoder(tokenizer))


def networks_of(pipeline: StableDiffusionPipeline) -> TextConditionedUNet:
    """The networks with the weights of a finished pipeline, to train them on."""
    networks = build_networks(pipeline.tokenizer)
    networks.unet.load_state_dict(pipeline.unet.state_dict())
    networks.text_encoder.load_state_dict(pipeline.text_encoder.state_dict())
    return networks


def prompt_ids(tokenizer, label: str, template: str = "a photo of a {}") -> Tensor:
    """Token ids [T] of a label's prompt, padded to the text encoder's length."""
    return torch.tensor(tokenizer(template.format(label) if label else "", padding="max_length").input_ids)


class PromptSampler:
    """Draws the prompts of a batch of scenes: both twins get the same template, some get the empty prompt."""

    def __init__(self, tokenizer) -> None:
        self.ids = {
            (label, template): prompt_ids(tokenizer, label, template)
            for pair in PAIRS
            for label in pair
            for template in TEMPLATES
        }
        self.empty = prompt_ids(tokenizer, "")

    def draw(self, scenes: np.ndarray, generator: np.random.Generator) -> Tensor:
        """Return token ids [scenes*2,T]."""
        ids = []
        for scene in scenes:
            template, empty = generator.choice(TEMPLATES), generator.random() < EMPTY_PROMPT_SHARE
            ids += [self.empty if empty else self.ids[label, template] for label in PAIRS[scene % len(PAIRS)]]
        return torch.stack(ids)


def draw_timesteps(count: int, generator: np.random.Generator) -> Tensor:
    """Timesteps [count]: a share from the middle of the schedule, the rest from all of it."""
    low, high = np.where(generator.random((count, 1)) < MIDDLE_SHARE, MIDDLE_TIMESTEPS, (0, 1000)).T
    return torch.from_numpy(generator.integers(low, high))


def loss_weights(scheduler: DDIMScheduler, timesteps: Tensor) -> Tensor:
    """1 / alpha^2 [n], the weight of v-prediction's loss (Salimans and Ho 2022, appendix D), up to LARGEST_WEIGHT.

    Unweighted, the fine texture of the least noisy steps hides the noisier steps, and only there does the label matter.
    """
    return (1 / scheduler.alphas_cumprod[timesteps]).clamp(max=LARGEST_WEIGHT)


def improve(
    networks: TextConditionedUNet,
    optimizer: torch.optim.Optimizer,
    scheduler: DDIMScheduler,
    clean: Tensor,
    noise: Tensor,
    timesteps: Tensor,
    prompts: Tensor,
) -> Tensor:
    """One step of the optimizer on latents [n,C,h,w] and their noise, in bfloat16 on their device; returns the weighted loss."""
    device = clean.device
    noisy = scheduler.add_noise(clean, noise, timesteps.to(device)).to(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16):
        predicted = networks(noisy, timesteps.to(device), prompts)
    errors = functional.mse_loss(predicted.float(), noise, reduction="none").mean((1, 2, 3))
    loss = (errors * loss_weights(scheduler, timesteps).to(device)).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def for_twins(values: Tensor) -> Tensor:
    """Repeat each scene's value for its two twins: [n,...] becomes [2n,...]."""
    return values.repeat_interleave(2, dim=0)


@torch.no_grad()
def verdicts(networks: TextConditionedUNet, latents: Tensor, tokenizer, scheduler: DDIMScheduler) -> str:
    """Say, per pair, how often the right prompt predicts the noise better, and by which share of the loss.

    latents [N,2,C,h,w] of scenes that are not trained on.
    """
    generator, report = torch.Generator().manual_seed(0), []
    timesteps = torch.tensor([300, 500, 700])
    for number, pair in enumerate(PAIRS):
        twins = latents[number :: len(PAIRS)]
        errors = torch.zeros(len(twins), 2, 2)  # scene, twin shown, prompt asked
        for t in timesteps:
            noise = for_twins(torch.randn(twins[:, 0].shape, generator=generator))
            noisy = scheduler.add_noise(twins.flatten(0, 1), noise, t)
            for asked, label in enumerate(pair):
                ids = prompt_ids(tokenizer, label).expand(len(noisy), -1)
                with torch.autocast("cpu", torch.bfloat16):
                    predicted = networks(noisy, t.expand(len(noisy)), ids).float()
                errors[:, :, asked] += (predicted - noise).square().mean((1, 2, 3)).view(-1, 2)
        right = torch.stack([errors[:, 0, 0] < errors[:, 0, 1], errors[:, 1, 1] < errors[:, 1, 0]])
        wrong_minus_right = errors[:, 0, 1] + errors[:, 1, 0] - errors[:, 0, 0] - errors[:, 1, 1]
        gap = wrong_minus_right.mean() / (errors[:, 0, 0] + errors[:, 1, 1]).mean()
        report.append(f"{'/'.join(pair)} {right.float().mean():.2f} gap {gap:.3f}")
    return ", ".join(report)


def train_denoiser(
    folder: Path,
    latents: Tensor,
    held_out: Tensor,
    steps: int,
    networks: TextConditionedUNet | None = None,
    learning_rate: float = LEARNING_RATE,
) -> TextConditionedUNet:
    """Train for `steps`, going on from `folder/denoiser.pt` if there is one; return the averaged networks.

    latents [N,2,C,h,w], scene n of pair n mod 3; held_out likewise, only for the printed verdicts. Without `networks` to
    train on with, the training begins with new ones.
    """
    tokenizer = build_tokenizer()
    prompts = PromptSampler(tokenizer)
    scheduler = architecture.build_scheduler()
    networks = networks or build_networks(tokenizer)
    optimizer = torch.optim.AdamW(networks.parameters(), learning_rate, betas=(0.9, 0.99), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, steps, pct_start=min(WARM_UP / steps, 0.3), cycle_momentum=False
    )
    average = AveragedModel(networks, avg_fn=None, multi_avg_fn=warmed_up_average)
    parts = {"networks": networks, "optimizer": optimizer, "schedule": schedule, "average": average}
    done = checkpoint.restore(folder / "denoiser.pt", parts)
    begun, mean_loss = time.time(), None
    with tqdm(range(done, steps), "training the UNet", initial=done, total=steps, unit="step") as progress:
        for step in progress:
            generator = np.random.default_rng((step, 3))
            scenes = generator.choice(len(latents), SCENES_PER_BATCH, replace=False)
            clean = latents[scenes].flatten(0, 1)
            noise = for_twins(torch.randn(SCENES_PER_BATCH, *clean.shape[1:]))
            timesteps = for_twins(draw_timesteps(SCENES_PER_BATCH, generator))
            loss = improve(networks, optimizer, scheduler, clean, noise, timesteps, prompts.draw(scenes, generator))
            schedule.step()
            average.update_parameters(networks)
            mean_loss = loss.item() if mean_loss is None else 0.99 * mean_loss + 0.01 * loss.item()
            progress.set_postfix(loss=f"{mean_loss:.4f}", refresh=False)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
                checkpoint.save(folder / "denoiser.pt", parts, step + 1)
            if (step + 1) % REPORT_EVERY == 0:
                report = verdicts(average.module, held_out, tokenizer, scheduler)
                progress.write(f"step {step + 1}, {time.time() - begun:.0f} s, loss {mean_loss:.4f}: {report}")
    return average.module.eval()


@torch.no_grad()
def warmed_up_average(averaged: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
    """Move the averaged weights towards the current ones; early on faster, so that the start is forgotten."""
    decay = min(AVERAGE_DECAY, (1 + int(updates)) / (10 + int(updates)))
    torch._foreach_lerp_(averaged, current, 1 - decay)
