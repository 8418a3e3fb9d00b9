"""Train a diffusion model on your own labelled pictures: `python dev.py run training.own --data FOLDER --model FOLDER`.

The folder has a folder of pictures for each class, or these in `train` and `test`; or give a CSV table with the columns file,
label and, if you like, split. A small model is trained from nothing, in pixels up to 64, in a VAE's latents above (--vae); or a
local diffusers folder is trained further (--start), whole or by a LoRA (--lora).

With --classifier a classifier is trained on the same pictures instead: --model is then its .safetensors file.

If it is stopped, it goes on from its last checkpoint. With several processors run it by accelerate:
`.venv/bin/accelerate launch tools/launch.py training.own ...`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .own_pictures import reading
from .own_pictures.classifier import ARCHITECTURE
from .own_pictures.run import EPOCHS, MOST, STEPS, Options, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of pictures, or a CSV table")
    parser.add_argument("--model", type=Path, required=True, help="the model's folder, made if it is missing")
    parser.add_argument("--size", type=int, help="width and height in pixels (32, or what the model of --start has)")
    parser.add_argument("--vae", type=Path, help="train in the latents of the VAE in this folder, such as bundled/model/vae")
    parser.add_argument("--start", type=Path, help="a local diffusers folder to train further")
    parser.add_argument("--lora", type=int, metavar="RANK", help="of --start train a LoRA of this rank only")
    parser.add_argument(
        "--steps",
        type=int,
        help=f"training steps at most ({STEPS:,}; of a classifier {EPOCHS} times all pictures, up to {MOST:,})",
    )
    parser.add_argument("--minutes", type=float, help="minutes of training at most, those before a stop included")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step (%(default)s)")
    parser.add_argument("--learning-rate", type=float, help="the highest (6e-4 from nothing, 1e-5 of --start, 1e-4 of a LoRA)")
    parser.add_argument("--flip", action="store_true", help="mirror half of the pictures: not for writing")
    parser.add_argument(
        "--test-share", type=float, default=reading.TEST_SHARE, help="held out where no split is given (%(default)s)"
    )
    parser.add_argument(
        "--judged", type=int, default=500, help="held-out pictures at most that verdicts are measured on (%(default)s)"
    )
    parser.add_argument("--report-every", type=float, default=5, help="minutes between samples and verdicts (%(default)s)")
    parser.add_argument(
        "--classifier", nargs="?", const=ARCHITECTURE, metavar="ARCHITECTURE", help=f"train a classifier ({ARCHITECTURE})"
    )
    parser.add_argument("--library", default="torchvision", choices=("torchvision", "timm"), help="that knows its architecture")
    parser.add_argument("--seed", type=int, default=0)
    try:
        run(Options(**vars(parser.parse_args())))
    except KeyboardInterrupt:
        raise SystemExit("Stopped. The same command goes on from the last checkpoint.") from None
