"""Measure how well a finished model knows its own held-out pictures, and write that into its folder as `sdexplain.json`.

`python dev.py run training.familiarity` takes some minutes of one processor core. The same model gives the same file; other
entries of a file that is there already are kept. The meaning of the file is explained in `nodes/host/loading/about_model.py`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from tqdm import tqdm

from ..bundled.scenes import CLASSES, PAIRS, draw, sample_scene
from ..nodes.maths.method.familiarity import LEVELS, Familiarity, measure_prompts
from ..nodes.maths.method.noising import NoisedLatents, draw_noise
from ..nodes.maths.method.own_pictures import SHARES, OwnPictures
from ..nodes.maths.method.prediction import collect_prompt
from ..tools.environment import ROOT
from .train_denoiser import TEMPLATES
from .training_data import FIRST_HELD_OUT_SEED

FIRST_SCENE = 2 * FIRST_HELD_OUT_SEED  # no benchmark uses these
TIMESTEPS = (401, 301, 201)  # within LEVELS
VERSION = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "bundled" / "model", help="the finished pipeline's folder")
    parser.add_argument("--scenes", type=int, default=40, help="held-out scenes a pair; each is drawn as both classes")
    options = parser.parse_args()
    own = own_pictures(options.model, options.scenes)
    file = options.model / "sdexplain.json"
    write(file, own)
    print(f"wrote {file}: 99 % of {own.count} pictures have a ratio below {own.ratios[-1]:.3f}, the limit is {own.limit:.3f}")


def own_pictures(folder: Path, scenes: int) -> OwnPictures:
    """The quantiles of held-out pictures of all classes, each under its own label, over one pair of noise samples."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, safety_checker=None, local_files_only=True)
    asked = [(label, FIRST_SCENE + number) for number in range(scenes) for pair in PAIRS for label in pair]
    found = [familiarity_of(pipeline, label, seed) for label, seed in tqdm(asked, "measuring", unit="picture")]
    ratios = torch.cat([one.ratios for one in found if one.ratios is not None])
    structures = torch.cat([one.structure for one in found])
    return OwnPictures(len(found), LEVELS, _quantiles(ratios), _quantiles(structures))


def _quantiles(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in np.quantile(values.numpy(), SHARES))


@torch.no_grad()
def familiarity_of(pipeline: StableDiffusionPipeline, label: str, seed: int) -> Familiarity:
    """How well the model knows one held-out scene drawn as the label, under the prompt "a photo of a" label."""
    size = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    picture = torch.from_numpy(draw(sample_scene(label, seed), label, size).copy())
    pixels = picture.permute(2, 0, 1)[None].float() / 127.5 - 1
    x0 = pipeline.vae.encode(pixels).latent_dist.mean * pipeline.vae.config.scaling_factor
    tokens = pipeline.tokenizer(f"a photo of a {label}", padding="max_length", truncation=True, return_tensors="pt")
    states = pipeline.text_encoder(tokens.input_ids).last_hidden_state
    cumulative = pipeline.scheduler.alphas_cumprod[list(TIMESTEPS)].float()
    sigmas, timesteps = ((1 - cumulative) / cumulative).sqrt(), torch.tensor(TIMESTEPS)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        timestep = timesteps[(sigmas[None] - sigma[:, None]).abs().argmin(1)]
        sigma = sigma.view(-1, 1, 1, 1)
        return x - sigma * pipeline.unet(x / (1 + sigma**2).sqrt(), timestep, states.expand(len(x), -1, -1)).sample

    noise = draw_noise(tuple(x0.shape[1:]), seed, samples=2, steps=len(sigmas), per_step=True, antithetic=True)
    channels = torch.ones(x0.shape[1])
    noised = NoisedLatents(x0, noise, sigmas, torch.ones_like(sigmas), channels, 0 * channels, antithetic=True)
    return measure_prompts(noised, [collect_prompt(noised, denoise)])


def training_words() -> list[str]:
    """All words of the prompts that the bundled model was trained on."""
    return sorted({word for template in TEMPLATES for label in CLASSES for word in template.format(label).split()})


def write(file: Path, own: OwnPictures) -> None:
    """Put the quantiles and the vocabulary into the file, and leave its other entries as they are."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    content = before | {"version": VERSION, "familiarity": asdict(own), "vocabulary": training_words()}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
