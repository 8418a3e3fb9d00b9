"""Do the words fit the picture? Each label against no words: one fits, both, or neither; and words that were never seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..method.noising import NoisedLatents
from ..wording import plain_text, quoted

Case = Literal["target", "contrast", "both fit", "neither"]

MARGIN = 8.0
"""Nats by which a label must lose to the empty prompt before it is said not to fit: the right one sometimes loses by a few."""

ERRORS = 2.0
"""By how many standard errors it must lose in addition."""

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
    """[B] its standard error; None if the samples are too few."""
    contrast_error: Tensor | None
    """[B] the same for the contrast."""
    target_label: str
    """Untrusted text of any length, as the next."""
    contrast_label: str
    margin: float = MARGIN
    """See MARGIN."""

    @property
    def cases(self) -> list[Case]:
        """What to say about each image; "target" and "contrast": it fits better. How surely is for the verdict to say."""
        fits = [lost.logical_not() for lost in (self.target_lost, self.contrast_lost)]
        both = _wins(self.target, self.target_error, self.margin) & _wins(self.contrast, self.contrast_error, self.margin)
        neither = ~(fits[0] | fits[1])
        return [
            "neither" if no else "both fit" if yes else "target" if ahead else "contrast"
            for no, yes, ahead in zip(neither.tolist(), both.tolist(), (self.target >= self.contrast).tolist(), strict=True)
        ]

    @property
    def target_lost(self) -> Tensor:
        """[B] whether the target describes the image clearly worse than no words."""
        return _wins(-self.target, self.target_error, self.margin)

    @property
    def contrast_lost(self) -> Tensor:
        """[B] the same for the contrast."""
        return _wins(-self.contrast, self.contrast_error, self.margin)

    def words(self, image: int) -> str:
        """The case of one image in a sentence."""
        target, contrast = quoted(plain_text(self.target_label)), quoted(plain_text(self.contrast_label))
        case = self.cases[image]
        if case == "neither":
            return f"Neither {target} nor {contrast} describes this picture better than no words at all."
        if case == "both fit":
            return f"Both {target} and {contrast} describe this picture better than no words at all."
        better, other = (target, contrast) if case == "target" else (contrast, target)
        lost = self.contrast_lost if case == "target" else self.target_lost
        worse = "worse" if lost[image] else "hardly better"
        return f"{better} describes this picture best; {other} describes it {worse} than no words at all."


def _wins(nats: Tensor, error: Tensor | None, margin: float) -> Tensor:
    """[B] whether evidence lies beyond the margin and, in addition, ERRORS standard errors."""
    return nats > margin + ERRORS * (torch.zeros_like(nats) if error is None else error)


def meaningful_steps(noised: NoisedLatents) -> list[int]:
    """The steps whose evidence tells whether words fit: those up to the log SNR CLEANEST that are not pure noise."""
    return [step for step, level in enumerate(noised.log_snr.tolist()) if -float("inf") < level <= CLEANEST]


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
    which = "this word" if len(words) == 1 else "these words"
    return f"The model was never shown {which}: {listed}. What it answers then means nothing."
