"""Noise predictions by ComfyUI: its loading, memory management, hooks and clean-up, without any sampling."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import comfy.model_management
import comfy.samplers
import comfy.utils
import torch
from torch import Tensor

from ..maths.method.noising import NoisedLatents
from ..maths.method.prediction import Evaluation, predict_into
from .coverage import TIMED, Conditioning, check_switched_on
from .patches import Layers, countable, interruptible, names_of_patches
from .schedule import noise_scale

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

CELLS = 65536
"""Latent cells in one model call, about (16 pictures of 512 px for SD): progress and cancel stay prompt on any device."""

CELLS_CPU = 16384
"""The same on a CPU, where larger calls are no faster: they leave its caches."""

FAILURES = (RuntimeError, TypeError, LookupError, AttributeError)
"""What a network raises if its input does not fit."""

SAME = 0.005
"""How far the answer to the same question may be from the first, as a share of its size; beyond it, the model remembers."""


def predict(
    model: ModelPatcher,
    noised: NoisedLatents,
    conditioning: Conditioning,
    predictions: Tensor,
    evaluations: list[Evaluation],
    called: Callable[[int], None] = lambda count: None,
    cells: int | None = None,
    name: str = "",
) -> None:
    """Predict the noise under one prompt for the (sample, step, image) of `evaluations`, into `predictions` [R,S,B,C,h,w].

    All in one session: see `PromptPredictor`, also for the arguments and what is raised.
    """
    PromptPredictor(model, noised, conditioning, predictions, called, cells, name).ask(evaluations, last=True)


class PromptPredictor:
    """Predicts the noise under one prompt into `predictions` [R,S,B,C,h,w], in as many sessions of ComfyUI as one likes.

    One prompt a session, never two in one: ComfyUI copies a conditioning that has an area into every other one, patches such as
    image adapters take the second prompt of a call for the negative one, and what a prompt gives must not depend on its
    company, so that it can be kept. The evaluations are cut into model calls of the same size for every prompt, hence equal
    prompts give equal predictions to the last bit.

    If something is attached to the model, it is asked one of its first questions again in the last session: see
    `ModelRemembersError`.

    Args:
        called: called with the number of evaluations after every model call.
        cells: about how many latent cells a call should have, if not what suits the device; never half as many again.
        name: what errors call the conditioning, "target" for example.

    Raises:
        ValueError: a conditioning that is switched off at a noise level, a model that can't take it, or that answers with NaN or
            infinity, or otherwise each time.
    """

    def __init__(
        self,
        model: ModelPatcher,
        noised: NoisedLatents,
        conditioning: Conditioning,
        predictions: Tensor,
        called: Callable[[int], None] = lambda count: None,
        cells: int | None = None,
        name: str = "",
    ) -> None:
        if cells is None:
            cells = CELLS_CPU if model.load_device.type == "cpu" else CELLS
        self.model, self.conditioning, self.name = model, conditioning, name
        patches = names_of_patches(model) + (["hooks"] if any("hooks" in entry for _, entry in conditioning) else [])
        self._sampler = _Collector(noised, predictions, may_mix_levels(model, conditioning), called, cells, patches)

    @property
    def call(self) -> int:
        """About how many evaluations a model call has."""
        return max(1, round(self._sampler.wished)) * self._sampler.unit

    @property
    def bare(self) -> bool:
        """Whether nothing is attached to model or prompt, so that sessions can be as short as one likes."""
        return not self._sampler.patches

    @property
    def answered(self) -> list[Evaluation]:
        """What was asked so far and may be kept: of a model with something attached nothing, before the last session is over."""
        return [evaluation for part, _ in self._sampler.asked for evaluation in part] if self._sampler.trusted else []

    def ask(self, evaluations: list[Evaluation], last: bool = False) -> None:
        """Ask for these evaluations in one session; where it is the `last`, a model that may remember is asked again.

        Raises:
            ValueError: see the class.
        """
        sampler = self._sampler
        check_switched_on(self.model, sampler.noised, self.conditioning, {step for _, step, _ in evaluations}, self.name)
        if not sampler.begin(evaluations, last):
            return
        guider = _PromptGuider(self.model)
        guider.inner_set_conds({"prompt": self.conditioning})
        # ComfyUI reserves memory for twice the batch that it is shown. Per-image conditionings must see the true batch.
        batch = -(-sampler.size // 2) if sampler.mix_levels else sampler.noised.images
        placeholder = _as_frames(torch.zeros(batch, *sampler.noised.x0.shape[1:]), sampler.noised.single_frame)
        try:
            with torch.inference_mode():
                guider.sample(placeholder, placeholder, sampler, sampler.noised.sigmas, disable_pbar=True, seed=0)
        except FAILURES as error:
            if isinstance(error, RuntimeError) and _is_out_of_memory(error):
                raise
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ValueError:
        patches = ", ".join(self._sampler.patches)
        attached = f" Something is attached to the MODEL ({patches}): try without it." if patches else ""
        return ValueError(
            f"The model failed under the {self.name} conditioning ({type(error).__name__}: {error}). Take a prompt that was "
            "encoded with the model's own CLIP, with areas and control nets of this picture's size; where it is one, see "
            f"ComfyUI's log for the cause.{attached}"
        )


def check_conditioning(conditioning: Conditioning, name: str) -> None:
    """Refuse a conditioning that holds no prompt, or that contains NaN or infinity.

    Raises:
        ValueError: as above; `name` says which input it came from.
    """
    if not isinstance(conditioning, list) or not conditioning:
        raise ValueError(
            f"The {name} conditioning is {'empty' if conditioning == [] else repr(conditioning)[:40]}; expected at least one "
            "prompt. Connect a CLIP Text Encode node; an empty text there is the empty prompt."
        )
    if any(isinstance(entry[0], Tensor) and not torch.isfinite(entry[0]).all() for entry in conditioning):
        raise ValueError(
            f"The {name} conditioning contains NaN or infinity. Encode the prompt again, with another CLIP if it stays so."
        )


def may_mix_levels(model: ModelPatcher, conditioning: Conditioning) -> bool:
    """Whether one model call may hold several noise levels, and any of the images.

    ComfyUI looks at the first level of a call only for a conditioning's start and end, control nets and hooks, and many
    model patches do. So only a bare model with a conditioning of plain values may mix; everything else gets one level a
    call, with all images in their order, as when sampling.
    """
    return not names_of_patches(model) and all(
        not TIMED & set(entry) and all(map(_is_plain, [cond, *entry.values()])) for cond, entry in conditioning
    )


def _is_plain(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 0 or value.shape[0] == 1
    return value is None or isinstance(value, (bool, int, float, str))


class ModelRemembersError(ValueError):
    """What the model answers depends on what it was asked before, as with a step cache; says so, and what to do."""


class _PromptGuider(comfy.samplers.CFGGuider):
    """A guider without guidance: one prompt's denoised estimate as the model gives it."""

    def denoise(self, x: Tensor, sigma: Tensor, model_options: dict[str, Any]) -> Tensor:
        """D, the estimate of x0, for noised latents x [N,C,h,w] at the levels sigma [N]."""
        conditionings = [self.conds["prompt"]]
        return comfy.samplers.calc_cond_batch(self.inner_model, conditionings, x, sigma, model_options)[0]


@dataclass
class _Collector(comfy.samplers.Sampler):
    """Takes a sampler's place in ComfyUI's sampling and asks the model for noise predictions instead."""

    noised: NoisedLatents
    predictions: Tensor
    mix_levels: bool
    called: Callable[[int], None]
    cells: int
    patches: list[str]
    """Names of what is attached to the model and runs with it."""

    def __post_init__(self) -> None:
        self.unit = 1 if self.mix_levels else self.noised.images
        """Evaluations that can't be parted: where each image may have a conditioning of its own, all of a batch."""
        self.size = self.unit
        """Evaluations in one call of this session at most."""
        self.wished = self.cells / self.noised.x0[0, 0].numel() / self.unit
        """Units in one call, about; rarely a whole number."""
        if not self.mix_levels and self.noised.images > 1:
            self.wished = 1  # patches that bring something for each image count on the images alone, as when sampling
        self.evaluations: list[Evaluation] = []
        """What this session asks for."""
        self.asked: list[tuple[list[Evaluation], float]] = []
        """The calls of all sessions, with how many layers of the network ran in each."""
        self.last = self.trusted = self.unchecked = False
        self.most = math.inf
        """Evaluations in one call at most, where memory has set it: it is halved, a little less of it seldom changes it."""

    def begin(self, evaluations: list[Evaluation], last: bool) -> bool:
        """Get ready for a session; False if there is nothing to do in it."""
        self.evaluations, self.last = evaluations, last
        check = last and bool(self.patches) and (self.unchecked or bool(evaluations))
        self.unchecked |= bool(evaluations)
        self.trusted = not self.patches or not self.unchecked
        if evaluations:
            units = len(evaluations) // self.unit
            calls = min(max(round(units / self.wished), 1), units)
            self.size = int(min(self.unit * -(-units // calls), self.most))
        return bool(evaluations) or check

    def sample(
        self,
        model_wrap: _PromptGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: object,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """What ComfyUI calls with the model loaded and the conditioning prepared; returns the placeholder unchanged."""
        self._fit_into_memory(model_wrap.inner_model, noise.device)
        scale = noise_scale(model_wrap.model_patcher)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            x = _as_frames(x * scale, self.noised.single_frame).to(noise.device)
            with self._same_chance(noise.device):
                denoised = model_wrap.denoise(x, sigma.to(noise.device), extra_args["model_options"]) / scale
            return denoised.squeeze(2) if self.noised.single_frame else denoised

        network = getattr(model_wrap.inner_model, "diffusion_model", None)
        hooked = network if countable(model_wrap.model_patcher) else None
        layers = Layers(hooked if self.patches else None)
        with layers.watched(), interruptible(hooked if noise.device.type == "cpu" else None):
            self._ask_all(denoise, layers)
            if self.patches and self.last:
                self._ask_again(denoise, self.asked)
                self.trusted, self.unchecked = True, False
        return noise

    def _ask_all(self, denoise: Callable[[Tensor, Tensor], Tensor], layers: Layers) -> None:
        """Ask for all evaluations of this session."""
        done = 0
        while done < len(self.evaluations):
            comfy.model_management.throw_exception_if_processing_interrupted()
            part = self._next_part(done)
            layers.take()
            try:
                predict_into(self.predictions, self.noised, part, denoise)
            except RuntimeError as error:
                if not _is_out_of_memory(error) or len(part) <= self.unit:
                    raise
                part = []
            if part:
                done += len(part)
                self.asked.append((part, layers.take()))
                self.called(len(part))
            else:  # outside of the except clause, which holds on to the failed call's tensors
                self._halve()

    def _ask_again(self, denoise: Callable[[Tensor, Tensor], Tensor], asked: list[tuple[list[Evaluation], float]]) -> None:
        """Repeat the call in which the fewest layers ran, or the first where that is the same for all, and compare.

        Where the model may remember that very call, or where layers were left out, it is asked something far from it before.
        So a model that remembers nothing is asked once more, rarely twice.

        Raises:
            ModelRemembersError: another answer.
        """
        part, fewest = min(asked, key=lambda call: call[1])  # the first of those
        samples, steps, images = (list(indices) for indices in zip(*part, strict=True))
        before = self.predictions[samples, steps, images]
        try:
            if fewest < max(share for _, share in asked) or len(self._steps()) == 1:
                self._ask_far_away(denoise, part)
            comfy.model_management.throw_exception_if_processing_interrupted()
            predict_into(self.predictions, self.noised, part, denoise)
        except FAILURES as error:
            if isinstance(error, RuntimeError) and _is_out_of_memory(error):
                raise
            raise self._remembers(steps[0], f"fails ({type(error).__name__}: {error})") from error
        after = self.predictions[samples, steps, images]
        self.predictions[samples, steps, images] = before
        self.called(0)
        moved = ((after.float() - before.float()).norm() / before.float().norm().clamp_min(1e-20)).item()
        if moved > SAME:
            raise self._remembers(steps[0], f"answers otherwise, by {100 * moved:.3g} %")

    def _remembers(self, step: int, what: str) -> ModelRemembersError:
        return ModelRemembersError(
            f"Asked the same again (step {step}), the model {what}: its answers depend on what it was asked before. Step caches "
            "do that: EasyCache, LazyCache, TeaCache, First Block Cache and the like answer with what they computed for another "
            f"noise level or prompt. Take it off the MODEL of this node (found there: {', '.join(self.patches)}). Nothing of "
            "this run is kept."
        )

    def _ask_far_away(self, denoise: Callable[[Tensor, Tensor], Tensor], part: list[Evaluation]) -> None:
        """Ask about the negative of a call's noised latents at the level farthest from its own, only to be remembered."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        log_snr = self.noised.log_snr.nan_to_num()
        own = part[0][1]
        step = max(self._steps(), key=lambda other: abs(log_snr[other] - log_snr[own]))
        x = torch.stack([self.noised.at(sample, step)[image] for sample, _, image in part])
        denoise(-x, self.noised.sigmas[[step] * len(part)])
        self.called(0)

    def _steps(self) -> list[int]:
        """The steps that all sessions asked about."""
        return sorted({step for part, _ in self.asked for _, step, _ in part})

    @contextmanager
    def _same_chance(self, device: torch.device) -> Iterator[None]:
        """Let a patch that draws random numbers, such as HyperTile, draw the same for every call, and so for every prompt."""
        if not self.patches:
            yield
            return
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            yield

    def _next_part(self, done: int) -> list[Evaluation]:
        """The evaluations of the next call, as many as in the calls after it: a small last call would use the device badly."""
        end = len(self.evaluations)
        if not self.mix_levels:
            step = self.evaluations[done][1]
            end = next((other for other in range(done, end) if self.evaluations[other][1] != step), end)
        units = (end - done) // self.unit
        calls = max(-(-units // (self.size // self.unit)), round(units / self.wished))
        return self.evaluations[done : done + -(-units // calls) * self.unit]

    def _halve(self) -> None:
        self._shrink()
        logging.warning("SDExplain: out of memory; going on with %d evaluations in a model call", self.size)
        comfy.model_management.soft_empty_cache()

    def _fit_into_memory(self, inner_model: Any, device: torch.device) -> None:
        free = comfy.model_management.get_free_memory(device)
        shape = self.noised.x0.shape[1:]
        # The same estimate and margin as in ComfyUI's calc_cond_batch.
        while self.size > self.unit and inner_model.memory_required([self.size, *shape]) * 1.5 > free:
            self._shrink()

    def _shrink(self) -> None:
        self.size = self.most = self.unit * max(self.size // self.unit // 2, 1)


def _as_frames(x: Tensor, single_frame: bool) -> Tensor:
    """[N,C,h,w] as the model takes it: [N,C,1,h,w], videos of one frame, if it is `single_frame`."""
    return x[:, :, None] if single_frame else x


def _is_out_of_memory(error: RuntimeError) -> bool:
    # CUDA's error has a class; other devices and the CPU say it in words.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(word in str(error).lower() for word in words)
