"""Do the words fit the picture? Each label against no words: one fits, both, or neither; and words that were never seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..wording import Sentence, plain_text, quoted, say
from .noising import NoisedLatents
from .order import Level
from .uncertainty import error_of_sum

Case = Literal["target", "contrast", "both fit", "neither"]

MARGIN = 8.0
"""Nats by which a label must lose to the empty prompt before it is said not to fit: the right one sometimes loses by a few."""

ERRORS = 2.0
"""By how many standard errors it must lose in addition."""

MOST_STEPS = 6
"""At so many steps, spread evenly over those that tell, the model is asked without words."""

CLEANEST = 2.5
"""Up to this log SNR steps tell whether words fit: beyond it are details of a few pixels, much noise and no meaning."""


@dataclass(frozen=True, eq=False)
class Cases:
    """For each of B images, how the target and the contrast compare with the empty prompt, in nats of evidence."""

    target: Tensor
    """[B] log p(image|target) - log p(image|no words): above 0 the words help."""
    contrast: Tensor
    """[B] the same for the contrast."""
    target_error: Tensor | None
    """[B] its standard error; None if it is unknown."""
    contrast_error: Tensor | None
    """[B] the same for the contrast."""
    target_label: str
    """Untrusted text of any length, as the next."""
    contrast_label: str

    @property
    def cases(self) -> list[Case]:
        """What to say about each image; "target" and "contrast": it fits better. How surely is for the verdict to say."""
        both = wins(self.target, self.target_error) & wins(self.contrast, self.contrast_error)
        return [
            "neither" if no else "both fit" if yes else "target" if ahead else "contrast"
            for no, yes, ahead in zip(self.neither.tolist(), both.tolist(), (self.target >= self.contrast).tolist(), strict=True)
        ]

    @property
    def decided(self) -> Tensor:
        """[B] whether one label helps and the other hinders, each by more than a standard error.

        More evaluations will then hardly say that neither fits, or both: for that, one would have to come out beyond MARGIN
        and ERRORS on the other side of 0.
        """
        signs = [
            nats.sign() * (nats.abs() > (torch.zeros_like(nats) if error is None else error))
            for nats, error in ((self.target, self.target_error), (self.contrast, self.contrast_error))
        ]
        return signs[0] * signs[1] < 0

    @property
    def neither(self) -> Tensor:
        """[B] whether both describe the image clearly worse than no words."""
        return self.target_lost & self.contrast_lost

    @property
    def target_lost(self) -> Tensor:
        """[B] whether the target describes the image clearly worse than no words."""
        return loses(self.target, self.target_error)

    @property
    def contrast_lost(self) -> Tensor:
        """[B] the same for the contrast."""
        return loses(self.contrast, self.contrast_error)

    def told(self, image: int) -> Sentence | None:
        """The case of one image, if that is more than which label is ahead: "neither" or "both fit"."""
        name = {"neither": "neither", "both fit": "both"}.get(self.cases[image])
        return Sentence(name, {"target": _named(self.target_label), "contrast": _named(self.contrast_label)}) if name else None

    def words(self, image: int) -> str:
        """The case of one image in a sentence."""
        if told := self.told(image):
            return str(told)
        target, contrast = quoted(plain_text(self.target_label)), quoted(plain_text(self.contrast_label))
        case = self.cases[image]
        better, other = (target, contrast) if case == "target" else (contrast, target)
        lost = self.contrast_lost if case == "target" else self.target_lost
        worse = "worse" if lost[image] else "hardly better"
        return f"{better} describes this picture best; {other} describes it {worse} than no words at all."


def _named(label: str) -> str | Sentence:
    return quoted(plain_text(label)) if plain_text(label) else Sentence("unnamed", {})


def wins(nats: Tensor, error: Tensor | None) -> Tensor:
    """[B] whether evidence lies beyond MARGIN and, in addition, ERRORS standard errors."""
    return nats > MARGIN + ERRORS * (torch.zeros_like(nats) if error is None else error)


def loses(nats: Tensor, error: Tensor | None) -> Tensor:
    """[B] whether it lies as far below 0."""
    return wins(-nats, error)


def meaningful_steps(noised: NoisedLatents) -> list[int]:
    """The steps whose evidence tells whether words fit: asked ones up to the log SNR CLEANEST that are not pure noise."""
    return [step for step, level in enumerate(noised.log_snr.tolist()) if level <= CLEANEST and noised.step_shares[step] > 0]


@dataclass(frozen=True, eq=False)
class FewLevels:
    """The part of the noised latents that the model is asked about without words: few steps, one sample or pair."""

    noised: NoisedLatents
    """With these steps alone."""
    steps: tuple[int, ...]
    """Their numbers in the whole schedule."""

    @property
    def order(self) -> list[Level]:
        """All of it, the middle levels first: there words tell most. Samples of a level come together."""
        steps = sorted(range(self.noised.steps), key=lambda step: (abs(2 * step - self.noised.steps + 1), -step))
        return [(sample, step) for step in steps for sample in range(self.noised.samples)]

    def first(self, levels: int) -> FewLevels:
        """The same with the first so many levels of `order` asked about; they stand for the others."""
        asked = {step for _, step in self.order[: levels * self.noised.samples]}
        return replace(self, noised=self.noised.only(asked, self.noised.samples))

    def errors(self, predictions: Tensor, reached: Tensor) -> Tensor:
        """Delta-lambda/2 * sum over C of (noise - eps)^2 at reached cells, [R,S,B,h,w] nats; predictions of this part alone.

        Two prompts' difference is the evidence of one against the other, see `difference.read_step`.
        """
        noise = torch.stack([self.noised.noise_of(step) for step in range(self.noised.steps)], dim=1)
        squares = (noise[:, :, None].double() - predictions.double()).square().sum(dim=3)
        return self.noised.step_shares.double().view(1, -1, 1, 1, 1) / 2 * squares * reached

    def of(self, predictions: Tensor) -> Tensor:
        """This part of predictions of all noised latents, [R,S,B,C,h,w]."""
        return predictions[: self.noised.samples, list(self.steps)]


def few_levels(noised: NoisedLatents) -> FewLevels | None:
    """Where to ask without words; None if fewer than two steps tell anything."""
    telling = meaningful_steps(noised)
    if len(telling) < 2:
        return None
    places = torch.linspace(0, len(telling) - 1, min(MOST_STEPS, len(telling))).round().long()
    steps, samples = [telling[place] for place in places], min(2, noised.samples)
    part = replace(
        noised,
        noise=noised.noise[:samples, steps] if noised.fresh_noise else noised.noise[:samples],
        sigmas=noised.sigmas[steps],
        alphas=noised.alphas[steps],
        antithetic=noised.antithetic and samples == 2,
        asked=None,
    )
    return FewLevels(part, tuple(steps))


def compare_with_none(few: FewLevels, prompt: Tensor, empty: Tensor, reached: Tensor) -> tuple[Tensor, Tensor]:
    """Nats for a prompt against the empty one, [B], and their standard error, [B].

    prompt, empty: the predictions of this part, [R,S,B,C,h,w]. reached: see `reached_cells`, [S,B,h,w]. With a single
    independent estimate the error is that of a sum of independent cells, each off by as much as it lies from its step's mean:
    the picture's own contrasts are then taken for noise, so that it is rather too large.
    """
    gain = few.errors(empty, reached) - few.errors(prompt, reached)
    totals = gain.sum(dim=(3, 4))
    error = error_of_sum(totals, few.noised.antithetic, few.noised.fresh_noise)
    if error is None:
        steps = gain.mean(dim=0)
        error = (steps - steps.mean(dim=(2, 3), keepdim=True)).square().sum(dim=(0, 2, 3)).sqrt()
    return totals.sum(dim=1).mean(dim=0).float(), error.float()


def unknown_words(prompt: str, vocabulary: Collection[str]) -> list[str]:
    """The words of a prompt that are not in a vocabulary, in their order and each once; case and punctuation don't count."""
    known = {word.casefold() for word in vocabulary}
    words = "".join(character if _belongs_to_word(character) else " " for character in plain_text(prompt)).split()
    return [word for word in dict.fromkeys(words) if word.casefold() not in known]


def _belongs_to_word(character: str) -> bool:
    """Letters, marks and digits, of any script, and signs that stand for a word, such as emoji."""
    return unicodedata.category(character)[0] in "LMN" or unicodedata.category(character) == "So"


def unknown_words_note(words: list[str]) -> str:
    """A sentence on the words that a model never saw, "" if there are none."""
    if not words:
        return ""
    listed = ", ".join(map(quoted, words[:5])) + (" …" if len(words) > 5 else "")
    return say("unknown_word" if len(words) == 1 else "unknown_words", words=listed)
