"""The bundled model outside ComfyUI: diffusers' networks in float32, asked by this pack's own maths.

Shapes: R noise samples, S steps, B images (one here), C latent channels, h w latent size.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ...nodes.maths.method.noising import NoisedLatents
from ...training.finished import Model
from .cases import Case
from .diffedit import as_diffedit, diffedit
from .questions import MaskQuestion, Question, Setting, prompt_of

CHUNK = 50  # noised latents in one call of the network


class Bundled:
    """The networks of a setting's model; asks a question at a time."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.model = Model(setting.model)
        self.model.pipeline.unet.to(memory_format=torch.channels_last)  # the same answers, a little sooner
        self.diffedit = as_diffedit(self.model.pipeline)
        self.diffedit.set_progress_bar_config(disable=True)
        self.latent = lru_cache(maxsize=1)(self._encode)

    def _encode(self, case: Case) -> Tensor:
        """The picture's latent in model space, [1,C,h,w]."""
        return self.model.encode_picture(case.picture(self.model.size))

    def answer(self, question: Question | MaskQuestion) -> dict[str, Tensor]:
        """The picture's latent "x0" [C,h,w] with the noise "predictions" [R,S,C,h,w],
        or DiffEdit's "soft" map and "mask" [h,w]."""
        if isinstance(question, MaskQuestion):
            return self._edit(question)
        return {"x0": self.latent(question.case)[0], "predictions": self._predict(question)}

    def _predict(self, question: Question) -> Tensor:
        timesteps, sigmas = self.setting.timesteps(question.spacing), self.setting.sigmas(question.spacing)
        x0 = self.latent(question.case)
        channels = torch.ones(x0.shape[1])
        noised = NoisedLatents(x0, self.setting.noise(question), sigmas, torch.ones_like(sigmas), channels, 0 * channels)
        return self.model.predict(noised, timesteps, prompt_of(question.label), CHUNK)[:, :, 0]

    def _edit(self, question: MaskQuestion) -> dict[str, Tensor]:
        case = question.case
        prompts = prompt_of(case.label), prompt_of(case.twin)
        picture = case.picture(self.model.size)
        soft, mask, _ = diffedit(self.diffedit, picture, *prompts, question.seed, question.maps, skip_empty=True)
        return {"soft": torch.from_numpy(soft), "mask": torch.from_numpy(mask)}
