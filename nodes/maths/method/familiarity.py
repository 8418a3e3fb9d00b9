"""Does the model know this picture? Its noise error compared with that of smoothing, which knows only the picture's spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..wording import Sentence, differing_part, format_value, plain_text, sentence_of
from .cases import Cases
from .noising import NoisedLatents
from .own_pictures import OwnPictures
from .prediction import NoisePredictions
from .reached import reached_cells

Recognition = Literal["known", "doubtful", "not known", "not measured"]

LEVELS = (-0.35, 1.15)
"""The log SNR of the steps that count, t = 200 ... 405 of Stable Diffusion's schedule: there a model's own pictures differ most
from all others. At noisier levels no model does much better than smoothing."""

LIMIT = 0.8
"""Up to this share of smoothing's error a model counts as knowing a picture, if nothing is known about its own pictures."""

WORSE_THAN_NOTHING = 1.05
"""A little above 1: around 1 lies a network that predicts almost nothing at the cleanest step."""


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How much more than its smoothness a model knows about each of B pictures.

    The ratio is the model's mean squared noise error over that of the best linear denoiser that knows only the picture's own
    power spectrum, the geometric mean over the steps that count. Well below 1 the model knows the picture; at or above 1 it
    does no better than smoothing.
    """

    ratios: Tensor | None
    """[B], 0 or more; None if no step of the schedule lies within LEVELS."""
    steps: tuple[int, ...]
    """The steps that count."""
    structure: Tensor
    """[B] how much detail the picture has, 0 ... 1: the share that smoothing misses of noise of strength 1."""
    cleanest_error: Tensor
    """[B] the model's mean squared error at the last step, over that of predicting no noise at all."""
    own: OwnPictures | None = None
    """What the model's own pictures gave, if that is known."""

    @property
    def limit(self) -> float:
        """The ratio up to which a picture is known."""
        return self.own.limit if self.own else LIMIT

    @property
    def ceiling(self) -> float:
        """The ratio from which it is not known: in logarithms, nearer to smoothing (1) than to the limit."""
        return math.sqrt(self.limit)

    @property
    def verdicts(self) -> list[Recognition]:
        """What to say about each picture."""
        if self.ratios is None:
            return ["not measured"] * len(self.cleanest_error)
        unusual = self.unusual.tolist()
        return [self._verdict(ratio, unusual[image]) for image, ratio in enumerate(self.ratios.tolist())]

    def _verdict(self, ratio: float, unusual: bool) -> Recognition:
        if ratio <= self.limit:
            return "doubtful" if unusual else "known"
        return "doubtful" if ratio < self.ceiling else "not known"

    @property
    def unusual(self) -> Tensor:
        """[B] whether there is less or more in the picture than in the model's own ones, if they are known.

        Also where it is among the outermost 2 in 100 both in that and in how badly it is predicted, as latents of half the scale.
        """
        if self.own is None or self.ratios is None:
            return torch.zeros(len(self.structure), dtype=torch.bool)
        (low, high), rare = self.own.structure_limits, self.own.structures
        outermost = (self.structure < rare[0]) | (self.structure > rare[-1])
        return (self.structure < low) | (self.structure > high) | outermost & (self.ratios > self.own.ratios[-1])

    @property
    def may_be_sure(self) -> Tensor:
        """[B] whether an answer may be called sure: not for pictures that are not known, or perhaps not."""
        return torch.tensor([verdict in ("known", "not measured") for verdict in self.verdicts])

    @property
    def foreign(self) -> Tensor:
        """[B] whether the model does worse than nothing at the cleanest step: often another VAE's latent, or a wrong scale."""
        return self.cleanest_error > WORSE_THAN_NOTHING

    def words(self, image: int) -> str:
        """One to three sentences about one picture, for reports."""
        return " ".join([str(self.answer(image)), *self._words_on_structure(image), *self._words_on_cleanest(image)])

    def answer(self, image: int) -> Sentence:
        """The first of them, for legends: whether the model knows the picture, and the number behind it."""
        if self.ratios is None:
            low, high = map(format_value, LEVELS)
            return Sentence("no_level", {"low": low, "high": high})
        ratio, verdict = float(self.ratios[image]), self.verdicts[image]
        error = Sentence("error", {"ratio": _two_digits(ratio)})
        if self.own is not None:
            error = Sentence("error_and_own", {**error.values, "own": _two_digits(self.own.ratios[-1])})
        not_known = "no_better" if ratio > 0.95 else "hardly_better"
        return Sentence({"known": "knows", "doubtful": "doubtful"}.get(verdict, not_known), {"number": error})

    def _words_on_structure(self, image: int) -> list[str]:
        if self.own is None or not self.unusual[image]:
            return []
        amount = "less" if self.structure[image] < self.own.structures[0] else "more"
        return [f"There is {amount} in the latent than in the model's own: it is another kind of picture or scale."]

    def _words_on_cleanest(self, image: int) -> list[str]:
        if not self.foreign[image]:
            return []
        error = _two_digits(float(self.cleanest_error[image]))
        return [
            f"At the cleanest step its error is {error} times that of predicting nothing: the latent may be another VAE's, or "
            "wrongly scaled."
        ]


_measured: WeakKeyDictionary[NoisePredictions, Familiarity] = WeakKeyDictionary()


def measure(predictions: NoisePredictions) -> Familiarity:
    """The familiarity of each image under the prompt that fits it better, see `measure_prompts`; measured once."""
    if predictions not in _measured:
        both = [predictions.target, predictions.contrast]
        _measured[predictions] = measure_prompts(predictions.noised, both, predictions.own_pictures)
    return _measured[predictions]


def recognise(predictions: NoisePredictions) -> tuple[tuple[Sentence, ...], tuple[bool, ...]]:
    """Each image's sentences for a legend, and whether no sure answer is in order: picture or words are not known, or unfit."""
    found, cases = measure(predictions), predictions.cases
    words = tuple(_recognition(predictions, found, image) for image in range(predictions.noised.images))
    sure = found.may_be_sure if cases is None else found.may_be_sure & ~cases.neither
    return words, tuple(bool(predictions.unseen) or not value for value in sure.tolist())


def _recognition(predictions: NoisePredictions, found: Familiarity, image: int) -> Sentence:
    """The reason why no sure answer is in order comes first. Of what the model does not know, no words are said to fit."""
    if predictions.unseen:
        return _unseen(predictions.unseen)
    answer, cases = found.answer(image), predictions.cases and _shortly(predictions.cases)
    if cases is None or not (cases.neither[image] or found.may_be_sure[image]):
        return answer
    if cases.target_label == cases.contrast_label and not cases.neither[image]:
        return answer  # of one prompt twice, there are not two to compare
    told = cases.told(image)
    if told and cases.neither[image] and found.verdicts[image] == "known":
        return Sentence("neither_although", {**told.values, **answer.values})
    return Sentence("in_turn", {"first": answer, "second": told}) if told else answer


def _shortly(cases: Cases) -> Cases:
    """The same with labels that leave room for what is said about them in a legend."""
    target, contrast = plain_text(cases.target_label), plain_text(cases.contrast_label)
    return replace(cases, target_label=differing_part(target, contrast), contrast_label=differing_part(contrast, target))


def _unseen(text: str) -> Sentence:
    """The note on words that the model never saw, which predictions bring as text."""
    return sentence_of(text, "unknown_word", "unknown_words") or Sentence("as_written", {"text": text})


def measure_prompts(noised: NoisedLatents, predictions: Sequence[Tensor], own: OwnPictures | None = None) -> Familiarity:
    """The familiarity of each image from its predictions [R,S,B,C,h,w] under one or more prompts, each step under its best.

    ratio = exp(mean over steps of ln(m / w)), m the mean of (eps_hat - eps)^2 over samples, channels and cells, w that of
    `smoothing_error`. Where both are 0 (nothing to see, and nothing wrong) the ratio is 1. Cells that no prompt reaches are left
    out, see `reached_cells`.
    """
    low, high = LEVELS
    steps = tuple(step for step in noised.asked_steps if low <= noised.log_snr[step] <= high)
    cleanest = noised.asked_steps[-1]
    reached = {step: reached_cells(noised, predictions, step) for step in {*steps, cleanest}}
    spectra = _spectra(noised.x0, torch.stack([*reached.values()]).any(dim=0))
    smoothing = [torch.cat([smoothing_error(part, *_level(noised, step)) for part in spectra]) for step in steps]
    errors = [_error(noised, predictions, step, reached[step]) for step in steps]
    ratios = [_ratio(error, best) for error, best in zip(errors, smoothing, strict=True)]
    nothing = noised.noise_of(cleanest).square().mean()
    return Familiarity(
        ratios=torch.stack(ratios).log().mean(dim=0).exp() if ratios else None,
        steps=steps,
        structure=torch.cat([smoothing_error(part, 1, 1) for part in spectra]),
        cleanest_error=_error(noised, predictions, cleanest, reached[cleanest]) / nothing,
        own=own,
    )


def power_spectrum(x0: Tensor) -> Tensor:
    """S(f) of each channel, [B,C,h,w]: the periodogram (orthonormal FFT, mean removed) averaged over rings of equal frequency.

    The rings are one cycle of the shorter side wide. The mean of S is the channel's variance (Parseval).
    """
    height, width = x0.shape[-2:]
    exact = x0.double()  # a constant picture has then no power at all
    varying = exact - exact.mean(dim=(2, 3), keepdim=True)
    periodogram = torch.fft.fft2(varying, norm="ortho").abs().square().flatten(2)
    across, down = torch.fft.fftfreq(width), torch.fft.fftfreq(height)
    rings = (torch.hypot(down[:, None], across[None]) * min(height, width)).round().long().flatten()
    sums = torch.zeros(*periodogram.shape[:2], int(rings.max()) + 1, dtype=periodogram.dtype).index_add(2, rings, periodogram)
    sizes = torch.bincount(rings).clamp(min=1)
    return (sums / sizes)[:, :, rings].view(x0.shape).float()


def smoothing_error(spectrum: Tensor, sigma: float, alpha: float) -> Tensor:
    """w = mean over frequencies and channels of S / (S + (sigma/alpha)^2), [B]: the noise error of the best linear denoiser.

    That is the Wiener filter (Wiener 1949): it takes the share S / (S + sigma^2) of each frequency as picture, and misses
    the noise in it. Spectrum [B,C,h,w]; alpha above 0.
    """
    return (spectrum / (spectrum + (sigma / alpha) ** 2)).mean(dim=(1, 2, 3))


def _level(noised: NoisedLatents, step: int) -> tuple[float, float]:
    return float(noised.sigmas[step]), float(noised.alphas[step])


def _spectra(x0: Tensor, reached: Tensor) -> list[Tensor]:
    """The spectra of all images [B,C,h,w] at once, or of each image's smallest rectangle around its `reached` cells [B,h,w]."""
    if reached.all():
        return [power_spectrum(x0)]
    found = []
    for image, cells in zip(x0, reached, strict=True):
        rows, columns = (cells.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
        found.append(power_spectrum(image[None, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    return found


def _error(noised: NoisedLatents, predictions: Sequence[Tensor], step: int, reached: Tensor) -> Tensor:
    """The mean squared noise error of one step under its best prompt over `reached` cells [B,h,w], [B]."""
    noise = noised.noise_of(step)[:, None]
    squares = [(prompt[:, step].float() - noise).square().mean(dim=(0, 2)) for prompt in predictions]
    errors = [(each * reached).sum(dim=(1, 2)) / reached.sum(dim=(1, 2)) for each in squares]
    return torch.stack(errors).amin(dim=0)


def _ratio(model: Tensor, smoothing: Tensor) -> Tensor:
    return torch.where((model == 0) & (smoothing == 0), 1.0, model / smoothing)


def _two_digits(value: float) -> str | Sentence:
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else Sentence("over", {"value": "100"})
