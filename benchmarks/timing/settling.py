"""How much sooner an answer is there that stops by itself, with networks at the public models' true sizes.

Random weights have no answer that could settle. So short runs tell what an evaluation takes, and what a run takes besides; how
many evaluations it needs is what held-out drawings needed with the bundled model. Call `graph.start` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL

from .calls import defaults
from .graph import Graph
from .networks import SD15, SDXL, Network, random_weight
from .stopwatch import measure
from .work import Work, given_to_graph, graph_prompt

STEPS, SAMPLES = 20, 4
"""Explain Image as it comes."""
VAE: dict[str, Any] = {  # what vae/config.json of both public models says
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
}
ENCODING, WITHOUT_WORDS = "encoding", "without words"


@dataclass(frozen=True)
class Short:
    """A short run: "settled" that is told to have settled after some steps, or "exact" on a schedule of no more than these."""

    quality: str
    steps: int

    def run(self, network: Network) -> dict[str, Any]:
        """Collect Noise Predictions and Sum Noise Difference: see `measure`, with how many "evaluations" were asked for."""
        from ...nodes.host import kept

        kept.forget_all()
        work = Work(STEPS if self.quality == "settled" else self.steps, samples=SAMPLES)
        prompt, asked = graph_prompt(work), [0]
        prompt["predict"]["inputs"]["quality"] = self.quality
        inputs = defaults("SDExplainSumDifference") | {"predictions": ["predict", 0]}
        prompt["sum"] = {"class_type": "SDExplainSumDifference", "inputs": inputs}
        count = network.model.model.diffusion_model.register_forward_pre_hook(lambda _, given: asked.append(len(given[0])))
        given = given_to_graph(network, work)
        try:
            with settles_after(self.steps):
                measured = measure(lambda: Graph().run(prompt, ["sum", 0], **given))
        finally:
            count.remove()
        kept.forget_all()
        return {**measured, "evaluations": sum(asked)}


RUNS = {
    SD15: (Short("settled", 1), Short("settled", 6)),
    SDXL: (Short("settled", 1), Short("settled", 2)),  # an evaluation takes 24 s of one core
}
"""Of each network: few evaluations and more. That those of "exact" take as long, though some more are in a call, is in the table
of batch sizes."""


@contextmanager
def settles_after(steps: int) -> Iterator[None]:
    """For as long as it lasts, every answer counts as settled after so many steps."""
    from ...nodes.maths.answers.settled import Stability

    real = Stability.settled
    Stability.settled = property(lambda found: found.steps >= steps)
    try:
        yield
    finally:
        Stability.settled = real


def encode(size: int) -> dict[str, float | None]:
    """What it takes to encode a picture of size × size pixels with a VAE of random weights: see `measure`."""
    import comfy.sd

    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in AutoencoderKL(**VAE).state_dict().items()}
    vae = comfy.sd.VAE(sd={key: random_weight(key, shape) for key, shape in shapes.items()})
    picture = torch.rand(1, size, size, 3)
    return measure(lambda: vae.encode(picture))


def most_without_words(network: Network) -> int:
    """How many evaluations without words come on top of the exact answer; of a settled one they are the most."""
    from ...nodes.host.noise import FRESH
    from ...nodes.maths.method.cases import few_levels
    from ...nodes.noising import NoiseLatent

    latent = {"samples": torch.zeros(1, *network.latent)}
    few = few_levels(NoiseLatent.execute(network.model, latent, STEPS, "normal", 0, SAMPLES, FRESH).result[0])
    return 0 if few is None else few.noised.steps * few.noised.samples


@dataclass(frozen=True)
class Costs:
    """What the short runs of a network say, in seconds of processor time."""

    evaluation: float
    besides: float
    """A run without its evaluations."""

    @classmethod
    def of(cls, few: dict[str, Any], more: dict[str, Any]) -> Costs:
        """The straight line through few evaluations and more."""
        slope = (more["processor"] - few["processor"]) / (more["evaluations"] - few["evaluations"])
        return cls(slope, few["processor"] - slope * few["evaluations"])

    def share(self, settled: float, exact: float, before: float = 0.0) -> float:
        """The time of so many evaluations of "settled" through that of so many of "exact", both after the same time before."""
        besides = before + self.besides
        return (besides + self.evaluation * settled) / (besides + self.evaluation * exact)
