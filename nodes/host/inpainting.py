"""Places of a picture painted anew by the diffusion model: sampled by ComfyUI, as KSampler with a latent's noise mask does it.

What is painted depends on the picture, the places, the model and the seed alone. It is kept, so that a second map of the same
picture, or a second one who is asked, costs only what is new: the random orders are the same for all.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import comfy.model_management
import comfy.sample
import torch
import torch.nn.functional as F
from torch import Tensor

from ..maths.answers.faithfulness import PICTURES, Hide, cover
from ..maths.images import resize
from ..maths.method.placing import covered_box
from . import fingerprint
from .prediction import Conditioning, check_conditioning
from .schedule import latent_space

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from comfy.sd import VAE

STEPS, SAMPLER, SCHEDULER = 6, "euler", "normal"
MOST_BYTES = 1 << 29
"""Of painted pictures that are kept, 8 bits to a colour: some 2,700 of 256 × 256 pixels, 170 of 1024 × 1024."""

_painted: OrderedDict[str, Tensor] = OrderedDict()
"""Pictures uint8 [H,W,3], those used last at the end."""


@dataclass(frozen=True, eq=False)
class Painter:
    """Paints without words, each time from the same noise, and so that only the places differ."""

    model: ModelPatcher
    vae: VAE
    no_words: Conditioning
    seed: int
    called: Callable[[int], None] = lambda pictures: None
    """Is told, before pictures are painted, how many; it may raise to cancel."""

    def __post_init__(self) -> None:
        check_conditioning(self.no_words, "no_words")

    @cached_property
    def made_by(self) -> str:
        """What all that it paints depends on, but for the picture and the places."""
        made_by = [fingerprint.of_model(self.model), fingerprint.of_vae(self.vae), fingerprint.of_conditioning(self.no_words)]
        return f"{made_by} {self.seed}"

    def __call__(self, picture: Tensor) -> Hide:
        """What covers places of a picture [H,W,3], see `faithfulness.Coverer`."""
        return lambda places: self.hide(picture, places)

    def hide(self, picture: Tensor, places: Tensor) -> Tensor:
        """The picture with each of the places [n,H,W] painted anew, [n,H,W,3]."""
        keys = [self._key(picture, place) for place in places]
        new = [n for n, key in enumerate(keys) if key not in _painted and places[n].any()]
        found = {key: _painted[key] for key in keys if key in _painted}
        for start in range(0, len(new), self._call):
            part = new[start : start + self._call]
            self.called(len(part))
            found |= {keys[n]: each for n, each in zip(part, self._paint(picture, places[part]), strict=True)}
        _keep(found)
        shown = [found[key].float() / 255 if place.any() else picture for key, place in zip(keys, places, strict=True)]
        return torch.where(places[..., None], torch.stack(shown), picture)

    @property
    def _call(self) -> int:
        """Pictures in one call: a model of videos takes a batch for the frames of one."""
        return 1 if latent_space(self.model).single_frame else PICTURES

    def _key(self, picture: Tensor, place: Tensor) -> str:
        digest = hashlib.sha256(self.made_by.encode())
        for part in (picture.contiguous(), place.contiguous()):
            digest.update(str(tuple(part.shape)).encode() + part.numpy().tobytes())
        return digest.hexdigest()

    def _paint(self, picture: Tensor, places: Tensor) -> Tensor:
        """Sample the places [n,H,W] of a picture from noise, the rest staying as it is; uint8 [n,H,W,3].

        The VAE gets the places without detail, so that nothing of what they showed reaches the cells beside them.
        """
        filled = torch.where(places[..., None], cover(picture, "blur"), picture)
        latents = comfy.sample.fix_empty_latent_channels(self.model, self.vae.encode(filled))
        noise = comfy.sample.prepare_noise(latents[:1], self.seed).expand_as(latents)
        cells = tuple(latents.shape[-2:])
        box = covered_box(tuple(picture.shape[:2]), cells, latent_space(self.model).downscale)
        inside = (slice(None), slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
        asked = F.adaptive_max_pool2d(places[inside][:, None].float(), cells)
        samples = self._sample(latents, noise, asked)
        painted = self.vae.decode(samples)
        painted = painted.flatten(0, -4) if painted.ndim == 5 else painted
        filled[inside] = resize(painted.float().cpu().clamp(0, 1), (box.height, box.width))
        return (filled * 255).round().to(torch.uint8)

    def _sample(self, latents: Tensor, noise: Tensor, asked: Tensor) -> Tensor:
        """By core's sampler, with one prompt and without guidance: one evaluation a step."""
        return comfy.sample.sample(
            self.model,
            noise.contiguous(),
            STEPS,
            1.0,
            SAMPLER,
            SCHEDULER,
            self.no_words,
            self.no_words,
            latents,
            noise_mask=asked,
            callback=lambda *_: comfy.model_management.throw_exception_if_processing_interrupted(),
            disable_pbar=True,
            seed=self.seed,
        )


def _keep(pictures: dict[str, Tensor]) -> None:
    """Keep these, and let go of those that were used longest ago where all take too much."""
    for key, picture in pictures.items():
        _painted[key] = picture
        _painted.move_to_end(key)
    while sum(each.nbytes for each in _painted.values()) > MOST_BYTES:
        _painted.popitem(last=False)
