"""One denoiser with a known answer, behind ComfyUI's MODEL as a network of every parametrisation that core's patch nodes set.

The network knows D, the mean of a Gaussian class given the noised latent, and gives out whatever its parametrisation calls for;
the patch node tells ComfyUI how to read it. Every one of them has to give the same noise: (x - alpha * D) / sigma.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import analytic
import families
import pytest
import torch
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents
from sdexplain.nodes.maths.method.prediction import NoisePredictions, list_evaluations, predictions_shape
from torch import Tensor

pytestmark = pytest.mark.usefixtures("comfy_host")

STEPS = 12
GAUSSIANS = analytic.Gaussians(torch.tensor([0.5, -0.2, 0.1, 0.9]), torch.tensor([-0.3, 0.4, 0.1, 0.0]), spread=0.8)


class Network(torch.nn.Module):
    """Gives out noise, v, x0, EDM's F or a flow's velocity for the exact D; the prompt is the sign of its text."""

    def __init__(self, kind: str, sampling: Any) -> None:
        super().__init__()
        self.kind, self.dtype, self.sampling = kind, torch.float32, [sampling]
        self.noise_scale = getattr(sampling, "noise_scale", 1.0)
        self.register_parameter("unused", torch.nn.Parameter(torch.zeros(1)))

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, **_: Any) -> Tensor:
        sampling = self.sampling[0]
        flow = self.kind == "flow"  # whose networks are told the level itself, or a multiple of it
        sigma = timesteps / getattr(sampling, "multiplier", 1) if flow else sampling.sigma(timesteps)
        sigma = sigma.view(-1, 1, 1, 1)
        prompt = "target" if context[0, 0, 0] > 0 else "contrast"
        if flow:
            x = x / self.noise_scale
            return self.noise_scale * (x - denoised(x, sigma, 1 - sigma, prompt)) / sigma
        data = getattr(sampling, "sigma_data", 1.0)
        scale = (sigma**2 + data**2).sqrt()
        x = x * scale
        clean = denoised(x, sigma, torch.ones_like(sigma), prompt)
        if self.kind == "x0":
            return clean
        if self.kind == "eps":
            return (x - clean) / sigma
        velocity = (x * data**2 / scale**2 - clean) * scale / (sigma * data)
        return velocity if self.kind == "v" else -velocity


def denoised(x: Tensor, sigma: Tensor, alpha: Tensor, prompt: str) -> Tensor:
    """E[x0 | x = alpha * x0 + sigma * noise] of the class; its mean where there is no image left in x."""
    exploding = GAUSSIANS.posterior_mean(x / alpha, sigma / alpha, prompt)
    return torch.where(alpha == 0, GAUSSIANS.mean(prompt), exploding)


def discrete(kind: str, zero_snr: bool = False) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

        return ModelSamplingDiscrete().patch(model, kind, zero_snr)[0]

    return patch


def edm(kind: str) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        from comfy_extras.nodes_model_advanced import ModelSamplingContinuousEDM

        return ModelSamplingContinuousEDM().patch(model, kind, 80.0, 0.02)[0]

    return patch


def continuous_v(model: Any) -> Any:
    from comfy_extras.nodes_model_advanced import ModelSamplingContinuousV

    return ModelSamplingContinuousV().patch(model, "v_prediction", 80.0, 0.02)[0]


def sd3(model: Any) -> Any:
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    return ModelSamplingSD3().patch(model, 3.0)[0]


def aura(model: Any) -> Any:
    from comfy_extras.nodes_model_advanced import ModelSamplingAuraFlow

    return ModelSamplingAuraFlow().patch_aura(model, 1.73)[0]


def flux(model: Any) -> Any:
    from comfy_extras.nodes_model_advanced import ModelSamplingFlux

    return ModelSamplingFlux().patch(model, 1.15, 0.5, 1024, 1024)[0]


def louder(model: Any) -> Any:
    """HiDream-O1's way: eight times the noise. Newer hosts have it in CONST itself."""
    import comfy.model_sampling

    class Louder(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        noise_scale = 8.0

        def noise_scaling(self, sigma: Tensor, noise: Tensor, latent_image: Tensor, max_denoise: bool = False) -> Tensor:
            return sigma * self.noise_scale * noise + (1 - sigma) * latent_image

    patched = model.clone()
    patched.add_object_patch("model_sampling", Louder())
    return patched


# The patch, and what the network gives out.
PARAMETRISATIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "none (noise)": (lambda model: model, "eps"),
    "ModelSamplingDiscrete eps": (discrete("eps"), "eps"),
    "ModelSamplingDiscrete v_prediction": (discrete("v_prediction"), "v"),
    "ModelSamplingDiscrete v_prediction, zero terminal SNR": (discrete("v_prediction", zero_snr=True), "v"),
    "ModelSamplingDiscrete x0": (discrete("x0"), "x0"),
    "ModelSamplingContinuousEDM eps": (edm("eps"), "eps"),
    "ModelSamplingContinuousEDM v_prediction": (edm("v_prediction"), "v"),
    "ModelSamplingContinuousEDM edm": (edm("edm"), "edm"),
    "ModelSamplingContinuousEDM edm_playground_v2.5": (edm("edm_playground_v2.5"), "edm"),
    "ModelSamplingContinuousV": (continuous_v, "v"),
    "ModelSamplingSD3": (sd3, "flow"),
    "ModelSamplingAuraFlow": (aura, "flow"),
    "ModelSamplingFlux": (flux, "flow"),
    "flow with eight times the noise": (louder, "flow"),
}


def explained(name: str) -> NoisePredictions:
    """Predictions of the parametrisation's network under both prompts, by the pack in a real ComfyUI."""
    from sdexplain.nodes.host import prediction
    from sdexplain.nodes.noising import NoiseLatent

    patch, kind = PARAMETRISATIONS[name]
    bare = families.without_network("SD15", "EPS")
    model = patch(bare)
    bare.model.diffusion_model = Network(kind, model.get_model_object("model_sampling"))
    x0 = GAUSSIANS.draw((2, 4, 8, 8), torch.Generator().manual_seed(0))
    scale = getattr(model.get_model_object("model_sampling"), "noise_scale", 1.0)
    latent = {"samples": model.get_model_object("latent_format").process_out(x0 * scale)}
    noised = NoiseLatent.execute(model, latent, STEPS, "simple", 0, 2, "fresh per step").result[0]
    torch.testing.assert_close(noised.to_vae(x0), latent["samples"])
    both = []
    for sign in (1, -1):
        predictions = torch.empty(predictions_shape(noised))
        text = torch.full((1, 1, 1), float(sign))
        prediction.predict(model, noised, [[text, {}]], predictions, list_evaluations(noised))
        both.append(predictions)
    return NoisePredictions(noised, *both, "target", "contrast")


def exact(noised: NoisedLatents, prompt: str) -> Tensor:
    """(x - alpha * D) / sigma in float64, [R,S,B,C,h,w]."""
    predictions = torch.empty(predictions_shape(noised), dtype=torch.float64)
    for sample, step, image in list_evaluations(noised):
        x, sigma, alpha = (
            noised.at(sample, step)[image].double(),
            noised.sigmas[step].double(),
            noised.alphas[step].double(),
        )
        predictions[sample, step, image] = (x - alpha * denoised(x, sigma, alpha, prompt)) / sigma
    return predictions


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_every_parametrisation_gives_the_known_noise(name: str) -> None:
    predictions = explained(name)
    noised = predictions.noised
    for prompt, found in (("target", predictions.target), ("contrast", predictions.contrast)):
        expected = exact(noised, prompt)
        for step, sigma in enumerate(noised.sigmas.tolist()):
            # float32 keeps 7 digits of x, which is as large as sigma, and the noise is what remains after division by sigma
            atol = 1e-5 * (1 + 1 / sigma)
            torch.testing.assert_close(found[:, step].double(), expected[:, step], atol=atol, rtol=1e-4)


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_every_parametrisation_finds_the_known_log_odds(name: str) -> None:
    """The exact log-odds of Gaussians times the part that these levels cover: the sum over them of
    share * s^2 r^2 / (s^2 + r^2)^2.

    r is the level as an exploding model has it, sigma / alpha. Antithetic pairs leave nothing of the noise in it.
    """
    predictions = explained(name)
    noised = predictions.noised
    evidence = sum_steps(predictions, reading="evidence", weighting="information")
    variance = GAUSSIANS.spread**2
    levels = (noised.sigmas / noised.alphas)[torch.isfinite(noised.log_snr)].double()
    # each step's share of the axis at its own level, as the sum has it; pure noise has none
    weights = noised.step_shares[torch.isfinite(noised.log_snr)].double()
    expected_share = (weights * levels**2 / (variance + levels**2) ** 2).sum() * variance
    log_odds = GAUSSIANS.log_odds(noised.x0).double().sum(dim=(1, 2, 3)) * expected_share
    assert evidence.total.double().tolist() == pytest.approx(log_odds.tolist(), rel=0.02)
