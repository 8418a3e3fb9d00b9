"""One piece of work, done in five ways: noise predictions of so many steps, images and samples under two prompts."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from .graph import Graph, Prompt
from .networks import Network
from .stopwatch import measure, timed

OURS, BARE, SINGLY = "the graph", "bare network, best batch", "bare network, one step and prompt at a time"
MASK, LOOP = "diffusers' generate_mask", "plain diffusers loop"
BATCHES = (1, 2, 4, 8, 12, 16, 24, 32)
MOST_CELLS = 32768  # tried in one call of a small network to find its best batch, and half of it of a large one

NETWORK, CALL, EVALUATION, SESSION, COLLECTION = "network", "call", "evaluation", "session", "collection"
_seeds = itertools.count(1)


@dataclass(frozen=True)
class Work:
    """How many steps of how many images with how many noise samples; two prompts each."""

    steps: int
    images: int = 1
    samples: int = 1

    @property
    def evaluations(self) -> int:
        return 2 * self.steps * self.images * self.samples

    def __str__(self) -> str:
        return f"{self.steps} steps, {self.images} images, {self.samples} samples"

    def run(self, variant: str, network: Network, batch: int) -> dict[str, Any]:
        """Time and memory of one way, see `stopwatch.measure`;
        of ours also the seconds that its "parts" took, one within the other."""
        if variant == OURS:
            return _graph(network, self)
        ways = {
            BARE: lambda: forwards(network, self.evaluations, batch),
            SINGLY: lambda: forwards(network, self.evaluations, self.images),
            MASK: lambda: _mask(network, self),
            LOOP: lambda: _loop(network, self),
        }
        with torch.inference_mode():
            return measure(ways[variant])


def best_batch(network: Network) -> dict[str, Any]:
    """At which batch size an evaluation of the bare network is quickest: "best", and the "seconds" for each."""
    cells = network.latent[1] * network.latent[2]
    small = cells < 64 * 64
    sizes = [size for size in BATCHES if size * cells <= (MOST_CELLS if small else MOST_CELLS // 2)]
    if len(sizes) == 1:
        return {"best": sizes[0], "seconds": {}}
    seconds: dict[int, float] = {}
    with torch.inference_mode():
        forwards(network, sizes[0], sizes[0])
        for _ in range(3 if small else 1):
            for size in sizes:
                count = max(sizes) // size * size if small else size  # whole batches alone
                began = time.perf_counter()
                forwards(network, count, size)
                spent = (time.perf_counter() - began) / count
                seconds[size] = min(spent, seconds.get(size, spent))
    return {"best": min(seconds, key=seconds.__getitem__), "seconds": seconds}


def forwards(network: Network, evaluations: int, batch: int) -> None:
    """In calls of even size, at most the batch: a small last one would be slow."""
    calls = -(-evaluations // batch)
    for number in range(calls):
        network.forward((evaluations + number) // calls)


def _graph(network: Network, work: Work) -> dict[str, Any]:
    import comfy.samplers

    from ...nodes.host import kept, prediction

    kept.forget_all()  # what an earlier round left
    graph, times, given = Graph(), {}, given_to_graph(network, work)
    with ExitStack() as watching:
        for name, owner, attribute in (
            (NETWORK, network.model.model.diffusion_model, "forward"),
            (CALL, comfy.samplers, "calc_cond_batch"),
            (EVALUATION, prediction, "predict_into"),
            (SESSION, prediction.PromptPredictor, "ask"),
            (COLLECTION, kept, "collect"),
        ):
            watching.enter_context(timed(times, name, owner, attribute))
        measured = measure(lambda: graph.run(graph_prompt(work), ["predict", 0], **given))
    kept.forget_all()
    return {**measured, "parts": times}


def given_to_graph(network: Network, work: Work) -> dict[str, Any]:
    """What the nodes of `graph_prompt` take besides."""
    return {
        "model": network.model,
        "latent": {"samples": torch.randn(work.images, *network.latent)},
        "target": network.conditioning(0),
        "contrast": network.conditioning(1),
    }


def graph_prompt(work: Work, seed: int | None = None, precision: str = "float16") -> Prompt:
    """Noise and predictions of this work, each time with another seed unless one is given; take ["predict", 0]."""
    noise = {
        "model": ["model", 0],
        "latent": ["latent", 0],
        "steps": work.steps,
        "scheduler": "normal",
        "seed": next(_seeds) if seed is None else seed,
        "samples": work.samples,
        "step_noise": "fresh per step",
    }
    predict = {
        "model": ["model", 0],
        "noised": ["noise", 0],
        "target": ["target", 0],
        "contrast": ["contrast", 0],
        "target_label": "zebra",
        "contrast_label": "horse",
        "precision": precision,
    }
    return {
        "noise": {"class_type": "SDExplainNoiseLatent", "inputs": noise},
        "predict": {"class_type": "SDExplainPredictNoise", "inputs": predict},
    }


def _mask(network: Network, work: Work) -> list[Any]:
    """As many evaluations by `generate_mask` as diffusers runs it, which takes 4 for each noise, and images one by one."""
    target, contrast, empty = network.prompts
    return [
        network.diffedit.generate_mask(
            image=torch.randn(1, *network.latent, dtype=network.dtype, device=target.device),  # latents are not encoded again
            target_prompt_embeds=target,
            source_prompt_embeds=contrast,
            target_negative_prompt_embeds=empty,
            source_negative_prompt_embeds=empty,
            num_maps_per_mask=work.evaluations // work.images // 4,
            generator=torch.Generator().manual_seed(0),
        )
        for _ in range(work.images)
    ]


def _loop(network: Network, work: Work) -> list[Any]:
    """Step by step: noise the images, and ask the UNet for both prompts in one batch, as samplers do."""
    pipeline, prompts = network.diffedit, torch.cat(network.prompts[:2]).repeat_interleave(work.images, dim=0)
    x0, found = torch.randn(work.images, *network.latent, dtype=network.dtype), []
    pipeline.scheduler.set_timesteps(work.steps)
    for timestep in pipeline.scheduler.timesteps:
        for _ in range(work.samples):
            noised = pipeline.scheduler.add_noise(x0, torch.randn_like(x0), timestep)
            found.append(pipeline.unet(torch.cat([noised] * 2), timestep, encoder_hidden_states=prompts).sample)
    return found
