"""Noise Latent Across Schedule: an image's latent with noise at every level of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.samplers
from comfy_api.latest import io
from torch import Tensor

from . import types
from .host import schedule
from .host.noise import FRESH, SAME, noise_for
from .inputs.schema import schema
from .maths.method.noising import NoisedLatents

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher


class NoiseLatent(io.ComfyNode):
    """Asks the model for its levels, draws the noise, and hands on what noised latents are made of."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="SDExplainNoiseLatent",
            display_name="Noise Latent Across Schedule",
            category="SDExplain",
            description="Adds noise to an image's latent, at every level of a schedule. Nothing is denoised.",
            search_aliases=["add noise", "forward diffusion", "noise levels", "q sample", "antithetic"],
            advanced=["step_noise", "antithetic"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="The model to explain: it tells which noise levels there are. It is left unchanged."
                ),
                io.Latent.Input("latent", tooltip="The image, from VAE Encode. Batches work; a noise mask in it is ignored."),
                io.Int.Input(
                    "steps",
                    default=50,
                    min=1,
                    max=1000,
                    tooltip="How many noise levels. Step 0 is the noisiest. The time to predict grows with it. A few "
                    "schedulers make a few levels more or fewer. Not used when sigmas are connected.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.SCHEDULER_NAMES,
                    default="normal",
                    tooltip="How the levels are spread. normal covers the model's whole range (SD 1.x: log SNR, the logarithm "
                    "of the signal-to-noise ratio, from -5.4 to +7); ddim_uniform gives the timesteps of diffusers' DDIM. Not "
                    "used when sigmas are connected.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the noise, drawn on the CPU as ComfyUI's samplers do. Not used when noise is connected.",
                ),
                io.Int.Input(
                    "samples",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="How many noise samples (R): each level gets noise that many times, each time other noise. 1 is "
                    "quickest. With more, the noise averages out; the earlier samples stay as they are. The time to predict "
                    "grows with it.",
                ),
                io.Combo.Input(
                    "step_noise",
                    display_name="noise at each step",
                    options=[FRESH, SAME],
                    default=FRESH,
                    tooltip="fresh per step: new noise at every level, so that errors average out over a range. same at "
                    "every step: one noise for the whole schedule, as when an image is sampled.",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Noise levels of your own, falling, for example from BasicScheduler; a final 0 does not count as a "
                    "step. They replace steps and scheduler.",
                ),
                io.Noise.Input(
                    "noise",
                    optional=True,
                    tooltip="Noise of your own, for example from RandomNoise: unit Gaussian. It replaces seed.",
                ),
                io.Boolean.Input(
                    "antithetic",
                    display_name="antithetic pairs",
                    default=True,
                    optional=True,
                    tooltip="On: an even number of samples comes in antithetic pairs, that is, the same noise once with + and "
                    "once with −. Much of the noise in the evidence then cancels; a cell's standard error needs 4 samples or "
                    "more. Off, or an odd number: all samples are independent.",
                ),
            ],
            outputs=[
                types.NoisedLatents.Output(
                    display_name="noised",
                    tooltip="Image, noise and levels of all noised latents, for Collect Noise Predictions.",
                ),
                io.Latent.Output(
                    display_name="latents to view",
                    tooltip="The noised latents of the first noise sample, to decode and look at: step 0 (noisiest) first, and "
                    "within a step all images. Divided by sqrt(alpha^2 + sigma^2), so that every level has the image's scale.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        latent: dict[str, Any],
        steps: int,
        scheduler: str,
        seed: int,
        samples: int,
        step_noise: str,
        sigmas: Tensor | None = None,
        noise: Any = None,
        antithetic: bool = True,
    ) -> io.NodeOutput:
        x0 = schedule.model_latent(model, latent["samples"])
        sigmas = schedule.scheduled_sigmas(model, scheduler, steps) if sigmas is None else schedule.without_final_zero(sigmas)
        alphas = schedule.image_factors(model, sigmas)
        paired = antithetic and samples % 2 == 0
        drawn = noise_for(x0, len(sigmas), seed if noise is None else noise, samples, step_noise, paired)
        space = schedule.latent_space(model).of_noised()
        noised = NoisedLatents(x0, drawn, sigmas, alphas, antithetic=paired, **space)
        return io.NodeOutput(noised, {"samples": noised.to_vae(noised.viewable())})
