"""Measure how true the bundled model's maps are, on held-out scenes whose twins say which pixels tell the labels apart.

`python demo/evaluate.py --seed 0` prints Markdown tables; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: give it its place in the package (PEP 366)
    sys.path.append(str(ROOT.parent))
    __package__ = f"{ROOT.name}.demo"
    importlib.import_module(__package__)
    importlib.import_module(f"{__package__}.environment").enter(__file__)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import StableDiffusionPipeline  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402
from tqdm import tqdm  # noqa: E402

from ..nodes.maths.agreement import Scores, mean_scores, score  # noqa: E402
from ..nodes.maths.difference import sum_steps  # noqa: E402
from ..nodes.maths.heatmap import is_signed, scalar_map  # noqa: E402
from ..nodes.maths.noising import NoisedLatents, draw_noise  # noqa: E402
from ..nodes.maths.prediction import NoisePredictions, collect_prompt  # noqa: E402
from .scenes import PAIRS, draw, object_mask, sample_scene, truth_mask, twin_of  # noqa: E402
from .training_data import FIRST_HELD_OUT_SEED  # noqa: E402
from .trivial_maps import TRIVIAL_MAPS  # noqa: E402

CHUNK = 50  # noised latents in one call of the network
RANGES = 5
MEASURED_SIZE = 128  # maps and masks are compared at this size: four pixels to a latent cell
MAPS = {  # name: reading, scalar
    "magnitude of the sum": ("difference", "channel norm"),
    "sum of magnitudes": ("absolute", "channel norm"),
    "information": ("information", "channel norm"),
    "evidence": ("evidence", "channel norm"),
    "channel mean": ("difference", "channel mean"),
    "decoded luminance": ("difference", "decoded luminance"),
}
WHOLE_SCHEDULE_ONLY = ("channel mean", "decoded luminance")

Key = tuple[str, str, str]  # prompts, steps, map


@dataclass(frozen=True)
class Case:
    """One held-out picture: a scene of a pair, drawn as one of its classes."""

    seed: int
    label: str

    @property
    def twin(self) -> str:
        return twin_of(self.label)

    @property
    def pair(self) -> str:
        return "/".join(next(pair for pair in PAIRS if self.label in pair))

    def picture(self, size: int) -> np.ndarray:
        """uint8 [size,size,3]."""
        return draw(sample_scene(self.label, self.seed), self.label, size)

    def truth(self) -> np.ndarray:
        """Which pixels differ from the twin's, bool at MEASURED_SIZE."""
        return truth_mask(sample_scene(self.label, self.seed), MEASURED_SIZE)

    def silhouette(self) -> np.ndarray:
        """Which pixels are the object's, bool at MEASURED_SIZE."""
        return object_mask(sample_scene(self.label, self.seed), MEASURED_SIZE)


@dataclass(frozen=True)
class Result:
    """What one picture gave: the scores of every map, and the evidence for its own label over the whole schedule."""

    case: Case
    scores: dict[Key, Scores]
    evidence: float


class Evaluation:
    """The bundled model outside ComfyUI: diffusers' networks in float32, asked by this pack's own maths."""

    def __init__(self, folder: Path, steps: int, samples: int, seed: int) -> None:
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None)
        self.size = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        self.pipeline.scheduler.set_timesteps(steps)
        self.timesteps = self.pipeline.scheduler.timesteps
        cumulative = self.pipeline.scheduler.alphas_cumprod[self.timesteps].float()
        self.sigmas = ((1 - cumulative) / cumulative).sqrt()
        self.samples, self.seed = samples, seed
        self.states = {label: self._encode_prompt(label) for pair in PAIRS for label in (*pair, "")}

    @torch.no_grad()
    def _encode_prompt(self, label: str) -> Tensor:
        text = f"a photo of a {label}" if label else ""
        tokens = self.pipeline.tokenizer(text, padding="max_length", truncation=True, return_tensors="pt")
        return self.pipeline.text_encoder(tokens.input_ids).last_hidden_state

    @torch.no_grad()
    def noised(self, picture: np.ndarray) -> NoisedLatents:
        """Encode one picture and noise it across the schedule, with fresh noise at every step."""
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        scale = self.pipeline.vae.config.scaling_factor
        x0 = self.pipeline.vae.encode(pixels).latent_dist.mean * scale
        noise = draw_noise(tuple(x0.shape[1:]), self.seed, self.samples, len(self.sigmas), per_step=True)
        channels = torch.ones(x0.shape[1])
        alphas = torch.ones_like(self.sigmas)
        return NoisedLatents(x0, noise, self.sigmas, alphas, channels / scale, 0 * channels)

    @torch.no_grad()
    def predict(self, noised: NoisedLatents, label: str) -> Tensor:
        """Noise predictions [R,S,B,C,h,w] under one label's prompt, "" for the empty prompt."""
        states = self.states[label]

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            timestep = self.timesteps[(self.sigmas[None] - sigma[:, None]).abs().argmin(1)]
            sigma = sigma.view(-1, 1, 1, 1)
            prediction = self.pipeline.unet(x / (1 + sigma**2).sqrt(), timestep, states.expand(len(x), -1, -1)).sample
            return x - sigma * prediction

        return collect_prompt(noised, denoise, chunk=CHUNK)

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Decode VAE-space latents [B,C,h,w] to pictures [B,H,W,3] in 0..1, as ComfyUI's VAE does."""
        return (self.pipeline.vae.decode(latent).sample.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)

    def maps(self, predictions: NoisePredictions) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield steps, name and values of every map, for the whole schedule and its parts.

        Where a sign is no more than brightness or texture, the magnitude is what is measured.
        """
        steps = predictions.noised.steps
        parts = [(steps * i // RANGES, steps * (i + 1) // RANGES) for i in range(RANGES)]
        for start, end in [(0, steps), *parts]:
            for name, (reading, scalar) in MAPS.items():
                if name in WHOLE_SCHEDULE_ONLY and (start, end) != (0, steps):
                    continue
                summed = sum_steps(predictions, start, end, reading)
                values = scalar_map(summed, scalar, self.decode)
                if is_signed(summed, scalar) and reading != "evidence":
                    values = values.abs()
                enlarged = functional.interpolate(values[:, None], (MEASURED_SIZE, MEASURED_SIZE), mode="bilinear")
                yield f"{start}–{end}", name, enlarged[0, 0].numpy()

    def measure(self, case: Case, everywhere: np.ndarray) -> Result:
        """Score every map of one picture, against its twin's label and against the empty prompt."""
        truth, silhouette = case.truth(), case.silhouette()
        noised = self.noised(case.picture(self.size))
        own, twin, empty = (self.predict(noised, label) for label in (case.label, case.twin, ""))
        against = NoisePredictions(noised, own, twin, case.label, case.twin)
        scores: dict[Key, Scores] = {}
        for prompts, predictions in (("A − B", against), ("A − empty", replace(against, contrast=empty))):
            for steps, name, values in self.maps(predictions):
                scores[prompts, steps, name] = score(values, truth, silhouette, everywhere - truth)
        for name, trivial in TRIVIAL_MAPS.items():
            values = trivial(case.picture(MEASURED_SIZE), silhouette)
            scores["–", "–", name] = score(values, truth, silhouette, everywhere - truth)
        return Result(case, scores, sum_steps(against, reading="evidence").values.sum().item())


def held_out_cases(scenes: int, seed: int) -> list[Case]:
    """`scenes` held-out scenes of each pair, each as both of its classes; seeds never share a scene."""
    first = FIRST_HELD_OUT_SEED + seed * scenes
    return [Case(first + number, label) for pair in PAIRS for number in range(scenes) for label in pair]


_evaluation: Evaluation


def _start_worker(*arguments: object) -> None:
    global _evaluation
    torch.set_num_threads(1)
    _evaluation = Evaluation(*arguments)


def _measure(job: tuple[Case, np.ndarray]) -> Result:
    return _evaluation.measure(*job)


def evaluate(cases: list[Case], folder: Path, steps: int, samples: int, seed: int) -> list[Result]:
    """Measure all cases, one processor core each at a time."""
    everywhere = sum(case.truth().astype(np.float64) for case in cases)
    with multiprocessing.Pool(initializer=_start_worker, initargs=(folder, steps, samples, seed)) as pool:
        jobs = ((case, everywhere) for case in cases)
        return list(tqdm(pool.imap(_measure, jobs), "evaluating", total=len(cases), unit="picture"))


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])


def figures(scores: list[Scores]) -> list[str]:
    return [f"{value:.3f}" for value in astuple(mean_scores(scores))]


def score_tables(results: list[Result]) -> str:
    """Markdown: every map averaged over all pictures, then for each pair and direction."""
    everything, directions = defaultdict(list), defaultdict(list)
    for result in results:
        for key, scores in result.scores.items():
            everything[key].append(scores)
            directions[(*key, result.case.pair, result.case.label)].append(scores)
    head = ["prompts", "steps", "map"]
    return "\n\n".join([
        table([*head, *Scores.names()], [[*key, *figures(scores)] for key, scores in everything.items()]),
        table([*head, "pair", "picture", *Scores.names()], [[*key, *figures(scores)] for key, scores in directions.items()]),
    ])


def verdict_table(results: list[Result]) -> str:
    """Markdown: how often the evidence over the whole schedule prefers the picture's own label."""
    right = defaultdict(list)
    for result in results:
        for pair in (result.case.pair, "all"):
            right[pair].append(result.evidence > 0)
    rows = [[pair, f"{np.mean(verdicts):.3f}", str(len(verdicts))] for pair, verdicts in right.items()]
    return table(["pair", "verdict right", "pictures"], rows)


def write_csv(file: Path, results: list[Result]) -> None:
    """Write one line a picture and map."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["seed", "picture", "prompts", "steps", "map", *Scores.names()])
        for result in results:
            writer.writerows([result.case.seed, result.case.label, *key, *astuple(scores)]
                             for key, scores in result.scores.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="which held-out scenes, and which noise")
    parser.add_argument("--scenes", type=int, default=60, help="held-out scenes a pair; each is measured as both classes")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--samples", type=int, default=1, help="noise samples R")
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--csv", type=Path, help="also write every picture's scores to this file")
    options = parser.parse_args()
    cases = held_out_cases(options.scenes, options.seed)
    results = evaluate(cases, options.model, options.steps, options.samples, options.seed)
    print(score_tables(results), verdict_table(results), sep="\n\n")
    if options.csv:
        write_csv(options.csv, results)


if __name__ == "__main__":
    main()
