"""Make the bundled model from nothing: draw the pictures, train VAE, text encoder and UNet, save a diffusers pipeline.

`python dev.py run training.train` takes two to three hours on two processor cores. If it is stopped, it goes on from its last
checkpoint. With `--train-on FOLDER` the UNet and the text encoder of a finished model are trained further; its VAE stays as
it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from ..tools.environment import ROOT
from .architecture import build_pipeline, build_vae, save_pipeline
from .train_denoiser import LEARNING_RATE, networks_of, train_denoiser
from .train_vae import encode, train_vae, whiten
from .training_data import twin_pictures

HELD_OUT_SCENES = 60  # a multiple of the number of pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "output" / "training", help="pictures and checkpoints")
    parser.add_argument("--model", type=Path, default=ROOT / "bundled" / "model", help="where the pipeline is saved")
    parser.add_argument("--scenes", type=int, default=10_000, help="twin pairs to draw")
    parser.add_argument("--size", type=int, default=256, help="picture size in pixels")
    parser.add_argument("--vae-steps", type=int, default=6_000)
    parser.add_argument("--steps", type=int, default=7_000, help="training steps of UNet and text encoder")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE, help="the highest of UNet and text encoder")
    parser.add_argument("--train-on", type=Path, metavar="FOLDER", help="a finished model to go on from, such as bundled/model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    options.work.mkdir(parents=True, exist_ok=True)

    pictures = twin_pictures(options.work, options.scenes, options.size)
    if options.train_on:
        finished = StableDiffusionPipeline.from_pretrained(options.train_on, torch_dtype=torch.float32, safety_checker=None)
        vae, networks = build_vae(), networks_of(finished)
        vae.load_state_dict(finished.vae.state_dict())
        latents = encode(vae, pictures, options.work / "latents.pt")
    else:
        vae, networks = train_vae(options.work, pictures, options.vae_steps), None
        latents = whiten(vae, encode(vae, pictures, options.work / "latents.pt"))
    # The first scenes are kept from the UNet's training, to print verdicts on; scene n is of pair n mod 3 in both parts.
    networks = train_denoiser(
        options.work, latents[HELD_OUT_SCENES:], latents[:HELD_OUT_SCENES], options.steps, networks, options.learning_rate
    )
    save_pipeline(build_pipeline(vae, networks.unet, networks.text_encoder), options.model)
    print(f"saved {options.model}")
