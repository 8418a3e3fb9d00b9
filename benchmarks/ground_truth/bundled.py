"""The bundled model outside ComfyUI: diffusers' networks in float32, asked by this pack's own maths.

Shapes: R noise samples, S steps, B images (one here), C latent channels, h w latent size.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from ...nodes.maths.method.noising import NoisedLatents
from ...nodes.maths.method.prediction import collect_prompt
from .cases import Case
from .diffedit import as_diffedit, diffedit
from .questions import MaskQuestion, Question, Setting, prompt_of

CHUNK = 50  # noised latents in one call of the network


class Bundled:
    """The networks of a setting's model; asks a question at a time."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.pipeline = StableDiffusionPipeline.from_pretrained(
            setting.model, dtype=torch.float32, safety_checker=None, local_files_only=True
        )
        self.pipeline.unet.to(memory_format=torch.channels_last)  # the same answers, a little sooner
        self.size = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        self.diffedit = as_diffedit(self.pipeline)
        self.diffedit.set_progress_bar_config(disable=True)
        self.states, self.latent = lru_cache(self._encode_prompt), lru_cache(maxsize=1)(self._encode)

    @torch.no_grad()
    def _encode_prompt(self, prompt: str) -> Tensor:
        tokens = self.pipeline.tokenizer(prompt, padding="max_length", truncation=True, return_tensors="pt")
        return self.pipeline.text_encoder(tokens.input_ids).last_hidden_state

    @torch.no_grad()
    def _encode(self, case: Case) -> Tensor:
        """The picture's latent in model space, [1,C,h,w]."""
        pixels = torch.from_numpy(case.picture(self.size)).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.pipeline.vae.encode(pixels).latent_dist.mean * self.pipeline.vae.config.scaling_factor

    def answer(self, question: Question | MaskQuestion) -> dict[str, Tensor]:
        """The picture's latent "x0" [C,h,w] with the noise "predictions" [R,S,C,h,w],
        or DiffEdit's "soft" map and "mask" [h,w]."""
        if isinstance(question, MaskQuestion):
            return self._edit(question)
        return {"x0": self.latent(question.case)[0], "predictions": self._predict(question)}

    @torch.no_grad()
    def _predict(self, question: Question) -> Tensor:
        timesteps, sigmas = self.setting.timesteps(question.spacing), self.setting.sigmas(question.spacing)
        x0, states = self.latent(question.case), self.states(prompt_of(question.label))

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            timestep = timesteps[(sigmas[None] - sigma[:, None]).abs().argmin(1)]
            sigma = sigma.view(-1, 1, 1, 1)
            prediction = self.pipeline.unet(x / (1 + sigma**2).sqrt(), timestep, states.expand(len(x), -1, -1)).sample
            return x - sigma * prediction

        channels = torch.ones(x0.shape[1])
        noised = NoisedLatents(x0, self.setting.noise(question), sigmas, torch.ones_like(sigmas), channels, 0 * channels)
        return collect_prompt(noised, denoise, chunk=CHUNK)[:, :, 0]

    def _edit(self, question: MaskQuestion) -> dict[str, Tensor]:
        case = question.case
        prompts = prompt_of(case.label), prompt_of(case.twin)
        soft, mask, _ = diffedit(self.diffedit, case.picture(self.size), *prompts, question.seed, question.maps, skip_empty=True)
        return {"soft": torch.from_numpy(soft), "mask": torch.from_numpy(mask)}
