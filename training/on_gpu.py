"""Train the bundled model's UNet and text encoder anew for some minutes on a GPU, on scenes that all cores draw meanwhile.

The machine needs PyTorch with CUDA, this folder and the wheels of `benchmarks.wheels` (see `benchmarks.gpu`); no network. There:

    python3 tools/launch.py training.on_gpu --wheels output/wheels --minutes 8 --output output/trained

It writes output/trained/model.zip.00, .01 and so on, below 16 MB each, and a checkpoint in --work, from which the same command
goes on for further minutes. Back at home, put the pieces together and measure the model. Only if it is better, make it the
bundled one:

    python dev.py run training.on_gpu --join output/trained --model output/trained/model
    python dev.py run training.familiarity --model output/trained/model
    python dev.py run benchmarks.truth --model output/trained/model --output output/truth-trained --scenes 150

The VAE stays the bundled one. In bfloat16, with an average of the weights; the rate falls to 0 as the minutes pass.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tools.environment import ROOT
from ..tools.wheels import use

if TYPE_CHECKING:
    import torch
    from diffusers import AutoencoderKL
    from torch import Tensor

HELD_OUT = 60  # scenes, to print verdicts on: a multiple of the number of pairs
SIZE = 256  # pixels of a picture
AT_ONCE = 64  # scenes at most that are encoded between two steps
SAVE_EVERY = 20.0  # seconds
PIECE = 15_000_000  # bytes


def main() -> None:
    options = parser().parse_args()
    if options.join:
        join(options.join, options.model)
        return
    if options.wheels:
        use(options.wheels)
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made = options.work / "model"
    run = Run(options.model, options.work, options.minutes, options.batch, device, options.train_on)
    print(run.train(options.workers), flush=True)
    run.save(made)
    for piece in save_pieces(made, options.output):
        print(f"{piece}: {piece.stat().st_size / 1e6:.1f} MB", flush=True)
    print(run.verdicts())


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--wheels", type=Path, help="what benchmarks.wheels collected; without it, what is installed is taken")
    made.add_argument("--minutes", type=float, default=8.0, help="of training, those of earlier runs not counted (default: 8)")
    made.add_argument("--batch", type=int, default=64, help="scenes in a step, two pictures each (default: 64)")
    made.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 2), help="processes that draw")
    made.add_argument("--train-on", action="store_true", help="go on from the bundled weights instead of new ones")
    made.add_argument(
        "--model", type=Path, default=ROOT / "bundled" / "model", help="whose VAE is taken; with --join: to be made"
    )
    made.add_argument("--work", type=Path, default=ROOT / "output" / "on_gpu", help="checkpoint and finished model")
    made.add_argument("--output", type=Path, default=ROOT / "output" / "trained", help="the pieces")
    made.add_argument("--join", type=Path, metavar="FOLDER", help="put the pieces in a folder together, and nothing else")
    return made


class Clock:
    """How long the training has run, and how many scenes it has drawn, in all of its runs; a part of the checkpoint."""

    def __init__(self) -> None:
        self.seconds, self.scenes = 0.0, HELD_OUT

    def state_dict(self) -> dict[str, float]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.seconds, self.scenes = float(state["seconds"]), int(state["scenes"])


@dataclass(eq=False)
class Run:
    """A training of so many minutes, which begins where the one before in the same folder ended."""

    model: Path
    work: Path
    minutes: float
    batch: int
    device: torch.device
    train_on: bool = False
    size: int = SIZE

    def train(self, workers: int) -> str:
        """Train until the time is over; returns what came out, in words."""
        from . import checkpoint

        self._build()
        steps = checkpoint.restore(self.work / "on_gpu.pt", self.parts)
        before, began, saved, loss = self.clock.seconds, time.monotonic(), time.monotonic(), math.nan
        with multiprocessing.get_context("spawn" if self.device.type == "cuda" else None).Pool(workers) as pool:
            jobs = ((index, self.size) for index in itertools.chain(range(HELD_OUT), itertools.count(self.clock.scenes)))
            drawing = Drawing(pool, jobs, 4 * workers)
            while (gone := time.monotonic() - began) < 60 * self.minutes:
                self._take(drawing)
                if self.count < 2 * self.batch or len(self.held) < HELD_OUT:
                    continue
                self.clock.seconds = before + gone
                loss = self._step(steps, gone / (60 * self.minutes))
                steps += 1
                if time.monotonic() - saved > SAVE_EVERY:
                    saved = time.monotonic()
                    checkpoint.save(self.work / "on_gpu.pt", self.parts, steps)
                    print(f"{gone:.0f} s, step {steps}, {self.count} scenes, loss {loss:.4f}", flush=True)
            pool.terminate()
        checkpoint.save(self.work / "on_gpu.pt", self.parts, steps)
        return f"{steps} steps in {self.clock.seconds:.0f} s in all, {self.count} scenes, loss {loss:.4f}"

    def verdicts(self) -> str:
        """How the averaged networks judge the scenes that were held out, on the CPU, in words."""
        import torch

        from .train_denoiser import verdicts

        if not self.held:
            return "no scene was drawn"
        held = torch.stack([self.held[index] for index in sorted(self.held)])
        networks = self.average.module.cpu().float().eval()  # `save` makes them half
        return verdicts(networks, held, self.tokenizer, self.scheduler)

    def save(self, folder: Path) -> None:
        """Write the averaged networks with the VAE as a pipeline."""
        from .architecture import build_pipeline, save_pipeline

        networks = self.average.module.cpu()
        save_pipeline(build_pipeline(self.vae.cpu(), networks.unet, networks.text_encoder), folder)

    def _build(self) -> None:
        import torch
        from diffusers.models.attention_processor import AttnProcessor2_0
        from torch.optim.swa_utils import AveragedModel

        from . import architecture
        from .tokenizer import build_tokenizer
        from .train_denoiser import LEARNING_RATE, PromptSampler, build_networks, warmed_up_average

        torch.manual_seed(0)
        self.work.mkdir(parents=True, exist_ok=True)
        self.tokenizer, self.scheduler = build_tokenizer(), architecture.build_scheduler()
        self.prompts, self.vae = PromptSampler(self.tokenizer), self._load_vae()
        self.networks = self._finished() if self.train_on else build_networks(self.tokenizer)
        self.networks.unet.set_attn_processor(AttnProcessor2_0())  # flash attention, where the plain one keeps every weight
        self.networks.to(self.device)
        fused = self.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(), LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2, fused=fused
        )
        self.average = AveragedModel(self.networks, multi_avg_fn=warmed_up_average)
        self.clock = Clock()
        self.parts: dict[str, Any] = {
            "networks": self.networks,
            "optimizer": self.optimizer,
            "average": self.average,
            "clock": self.clock,
        }
        self.latents: list[Tensor] = []
        self.indices: list[int] = []
        self.held: dict[int, Tensor] = {}

    @property
    def count(self) -> int:
        """How many scenes there are to train on."""
        return len(self.latents)

    def _load_vae(self) -> AutoencoderKL:
        import torch
        from diffusers import AutoencoderKL

        vae = AutoencoderKL.from_pretrained(self.model, subfolder="vae", dtype=torch.float32, local_files_only=True)
        return vae.to(self.device).eval().requires_grad_(False)

    def _finished(self) -> Any:
        import torch
        from diffusers import StableDiffusionPipeline

        from .train_denoiser import networks_of

        return networks_of(
            StableDiffusionPipeline.from_pretrained(self.model, dtype=torch.float32, safety_checker=None, local_files_only=True)
        )

    def _take(self, drawing: Drawing) -> None:
        """Encode what has been drawn by now; waits if there is hardly anything to train on."""
        import numpy as np
        import torch

        from .train_vae import to_model_range

        drawn = drawing.take(AT_ONCE, wait=self.count < 2 * self.batch)
        if not drawn:
            return
        pictures = to_model_range(np.concatenate([twins for _, twins in drawn])).to(self.device)
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            latents = self.vae.encode(pictures).latent_dist.mean.float().unflatten(0, (-1, 2))
        for (index, _), twins in zip(drawn, latents, strict=True):
            if index < HELD_OUT:
                self.held[index] = twins.cpu()
            else:
                self.latents.append(twins)
                self.indices.append(index)
                self.clock.scenes = max(self.clock.scenes, index + 1)

    def _step(self, number: int, gone: float) -> float:
        """One step of the training, with `gone` of the time over; returns the loss."""
        import numpy as np
        import torch

        from .train_denoiser import LEARNING_RATE, WARM_UP, draw_timesteps, for_twins, improve

        generator = np.random.default_rng((number, 5))
        chosen = generator.choice(self.count, self.batch, replace=False)
        clean = torch.stack([self.latents[place] for place in chosen]).flatten(0, 1)
        chance = torch.Generator(self.device).manual_seed(number)  # a checkpoint keeps the CPU's random state alone
        noise = for_twins(torch.randn(self.batch, *clean.shape[1:], generator=chance, device=self.device))
        timesteps = for_twins(draw_timesteps(self.batch, generator))
        prompts = self.prompts.draw(np.array([self.indices[place] for place in chosen]), generator).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (number + 1) / WARM_UP) * (1 + math.cos(math.pi * min(gone, 1))) / 2
        loss = improve(self.networks, self.optimizer, self.scheduler, clean, noise, timesteps, prompts)
        self.average.update_parameters(self.networks)
        return float(loss)


class Drawing:
    """Scenes that other processes draw, always so many of them on the way, so that none waits and none piles up."""

    def __init__(self, pool: Any, jobs: Any, most: int) -> None:
        self.pool, self.jobs = pool, iter(jobs)
        self.waiting = [self._next() for _ in range(most)]

    def _next(self) -> tuple[int, Any]:
        from .training_data import draw_twins

        job = next(self.jobs)
        return job[0], self.pool.apply_async(draw_twins, (job,))

    def take(self, most: int, wait: bool) -> list[tuple[int, Any]]:
        """(index, twins [2,H,W,3]) of at most so many that are drawn; the oldest at least, if it is to wait."""
        if wait:
            self.waiting[0][1].wait()
        ready = [pending for pending in self.waiting if pending[1].ready()][:most]
        indices = {index for index, _ in ready}
        self.waiting = [pending for pending in self.waiting if pending[0] not in indices]
        self.waiting += [self._next() for _ in ready]
        return [(index, result.get()) for index, result in ready]


def save_pieces(folder: Path, output: Path, most: int = PIECE) -> list[Path]:
    """The folder as model.zip, cut into files of at most so many bytes, in place of earlier ones."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("model.zip.*"):
        old.unlink()
    archive = Path(shutil.make_archive(str(output / "model"), "zip", folder))
    content, pieces = archive.read_bytes(), []
    for number, start in enumerate(range(0, len(content), most)):
        pieces.append(output / f"model.zip.{number:02d}")
        pieces[-1].write_bytes(content[start : start + most])
    archive.unlink()
    return pieces


def join(pieces: Path, folder: Path) -> None:
    """Put `save_pieces` together again.

    Raises:
        SystemExit: there are no pieces, or the folder is there already.
    """
    found = sorted(pieces.glob("model.zip.*"))
    if not found or folder.exists():
        raise SystemExit(
            f"{pieces} has {len(found)} pieces; {folder} {'is there already' if folder.exists() else 'is to be made'}."
        )
    archive = pieces / "model.zip"
    archive.write_bytes(b"".join(piece.read_bytes() for piece in found))
    shutil.unpack_archive(archive, folder)
    archive.unlink()
