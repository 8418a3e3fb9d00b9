"""Measure how true the bundled model's maps are, on held-out scenes whose twins say which pixels tell the labels apart.

`python demo/evaluate.py --seed 0` prints Markdown tables; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import csv
import importlib
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

import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import StableDiffusionPipeline  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402
from tqdm import tqdm  # noqa: E402

from ..nodes.maths.difference import sum_steps  # noqa: E402
from ..nodes.maths.heatmap import scalar_map  # noqa: E402
from ..nodes.maths.noising import NoisedLatents, draw_noise  # noqa: E402
from ..nodes.maths.prediction import NoisePredictions, collect_prompt  # noqa: E402
from .measures import TRIVIAL_MAPS, Scores, mean_scores, score  # noqa: E402
from .scenes import PAIRS, draw, object_mask, sample_scene, truth_mask, twin_of  # noqa: E402
from .training_data import FIRST_HELD_OUT_SEED  # noqa: E402

CHUNK = 50
MAPS = {  # name: reading, scalar
    "magnitude of the sum": ("difference", "channel norm"),
    "sum of magnitudes": ("absolute", "channel norm"),
    "channel mean": ("difference", "channel mean"),
    "decoded luminance": ("difference", "decoded luminance"),
}


@dataclass(frozen=True)
class Case:
    """One held-out picture with its truth: picture uint8 [H,W,3], truth and silhouette bool [H,W]."""

    label: str
    picture: np.ndarray
    truth: np.ndarray
    silhouette: np.ndarray

    @property
    def twin(self) -> str:
        return twin_of(self.label)


class Evaluation:
    """The bundled model outside ComfyUI: diffusers' networks in float32, asked by this pack's own maths."""

    def __init__(self, folder: Path, steps: int, samples: int, seed: int) -> None:
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None)
        self.scheduler = self.pipeline.scheduler
        self.scheduler.set_timesteps(steps)
        self.timesteps = self.scheduler.timesteps
        cumulative = self.scheduler.alphas_cumprod[self.timesteps].float()
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
        """Encode one picture and noise it across the schedule, fresh noise at every step."""
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
        x0 = self.pipeline.vae.encode(pixels).latent_dist.mean * self.pipeline.vae.config.scaling_factor
        channels = torch.ones(x0.shape[1])
        noise = draw_noise(tuple(x0.shape[1:]), self.seed, self.samples, len(self.sigmas), per_step=True)
        return NoisedLatents(x0, noise, self.sigmas, torch.ones_like(self.sigmas),
                             channels / self.pipeline.vae.config.scaling_factor, torch.zeros_like(channels))

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


def held_out_cases(scenes: int, seed: int, size: int) -> list[Case]:
    """Draw `scenes` held-out scenes of each pair, as both of its classes."""
    cases = []
    for pair in PAIRS:
        for number in range(scenes):
            scene = sample_scene(pair[0], seed=FIRST_HELD_OUT_SEED + seed * scenes + number)
            masks = truth_mask(scene, size), object_mask(scene, size)
            cases += [Case(label, draw(scene, label, size), *masks) for label in pair]
    return cases


def maps_of(evaluation: Evaluation, predictions: NoisePredictions, width: int) -> Iterator[tuple[tuple, np.ndarray]]:
    """Yield (range, map name) with the map's magnitude at the picture's size, for every range and reading."""
    steps = predictions.noised.steps
    parts = [(steps * i // 5, steps * (i + 1) // 5) for i in range(5)]
    for start, end in [(0, steps), *parts]:
        for name, (reading, scalar) in MAPS.items():
            if scalar == "decoded luminance" and (start, end) != (0, steps):
                continue
            values = scalar_map(sum_steps(predictions, start, end, reading), scalar, evaluation.decode)
            enlarged = functional.interpolate(values[:, None].abs(), (width, width), mode="bilinear")
            yield (f"{start}–{end}", name), enlarged[0, 0].numpy()


def evidence_total(predictions: NoisePredictions) -> float:
    """Sum of (noise - eps_B)^2 - (noise - eps_A)^2 over everything: above 0 where the model prefers the target."""
    noise = predictions.noised.noise[:, :, None]
    return float(((noise - predictions.contrast) ** 2 - (noise - predictions.target) ** 2).sum())


def evaluate(evaluation: Evaluation, cases: list[Case]) -> tuple[dict, dict]:
    """Return the scores {(against, range, map, pair, picture's label): [Scores]} and the verdicts {pair: [right?]}."""
    scores, verdicts = defaultdict(list), defaultdict(list)
    everywhere = sum(case.truth.astype(np.float64) for case in cases)
    for case in tqdm(cases, "evaluating", unit="picture"):
        pair = "/".join(sorted((case.label, case.twin)))

        def measure(key: tuple, values: np.ndarray) -> None:
            scores[*key, pair, case.label].append(score(values, case.truth, case.silhouette, everywhere - case.truth))

        noised = evaluation.noised(case.picture)
        against = NoisePredictions(noised, evaluation.predict(noised, case.label),
                                   evaluation.predict(noised, case.twin), case.label, case.twin)
        empty = replace(against, contrast=evaluation.predict(noised, ""), contrast_label="")
        verdicts[pair].append(evidence_total(against) > 0)
        for name, predictions in (("A against B", against), ("A against empty", empty)):
            for key, values in maps_of(evaluation, predictions, case.truth.shape[1]):
                measure((name, *key), values)
        for name, trivial in TRIVIAL_MAPS.items():
            measure(("–", "–", name), trivial(case.picture, case.silhouette))
    return scores, verdicts


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def tables(scores: dict, verdicts: dict) -> str:
    """Markdown: every map averaged over all pictures, then each pair and direction, then the verdicts."""
    head = ["prompts", "steps", "map", *Scores.names()]
    summary = defaultdict(list)
    for (*key, _pair, _label), values in scores.items():
        summary[tuple(key)] += values
    lines = [row(head), row(["---"] * len(head))]
    lines += [row([*key, *(f"{v:.3f}" for v in astuple(mean_scores(values)))]) for key, values in summary.items()]
    head = ["prompts", "steps", "map", "pair", "picture", *Scores.names()]
    lines += ["", row(head), row(["---"] * len(head))]
    lines += [row([*key, *(f"{v:.3f}" for v in astuple(mean_scores(values)))]) for key, values in scores.items()]
    lines += ["", row(["pair", "verdict right", "pictures"]), row(["---"] * 3)]
    lines += [row([pair, f"{np.mean(right):.3f}", str(len(right))]) for pair, right in verdicts.items()]
    right = np.concatenate(list(verdicts.values()))
    return "\n".join([*lines, row(["all", f"{right.mean():.3f}", str(len(right))])])


def write_csv(file: Path, scores: dict) -> None:
    """Write one line a picture and map."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["prompts", "steps", "map", "pair", "picture", "number", *Scores.names()])
        for key, values in scores.items():
            writer.writerows([*key, number, *astuple(value)] for number, value in enumerate(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="which held-out scenes, and which noise")
    parser.add_argument("--scenes", type=int, default=60, help="held-out scenes a pair; each is measured as both classes")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--samples", type=int, default=1, help="noise samples R")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--csv", type=Path, help="also write every picture's scores to this file")
    options = parser.parse_args()
    evaluation = Evaluation(options.model, options.steps, options.samples, options.seed)
    scores, verdicts = evaluate(evaluation, held_out_cases(options.scenes, options.seed, options.size))
    print(tables(scores, verdicts))
    if options.csv:
        write_csv(options.csv, scores)


if __name__ == "__main__":
    main()
