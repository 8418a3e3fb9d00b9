"""How the pack writes labels and numbers: quoted, shortened, to the digits that mean something."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

ELLIPSIS = "…"

WEIGHTING_WORDS = {"uniform": "equally weighted", "information": "weighted by their share of the log signal-to-noise ratio"}
UNITS = {"uniform": "noise variances", "information": "nats"}
"""The unit of squares of predictions, by their weighting."""
WORTH_TELLING = 0.2
"""The share of a value that must be assumed to be told."""
NATS = "2.3 nats mean ten times as likely."
"""What the unit means, in a sentence: e to the power of 2.3 is 10."""
PER_CELL = " per latent cell"
"""What the unit of a cell's number says in addition to that of a sum over cells."""
SENTENCES = {
    "source": "Steps {start}–{end} of {steps}, noisiest first{asked}, {weighting}",
    "total": "Whole picture: {value} {unit} for {label}",
    "no_total": "Whole picture: no evidence either way",
    "unsure_total": "{total}, standard error unknown",
    "assumed": "{told}, {assumed} of them assumed",
    "why_assumed": "No step was asked at the ends of the schedule. Quality exact asks there",
    "take_more": "Take 4 samples or more at quality exact, or 3 steps or more with fresh noise per step",
    "reliable": "Beyond {threshold} standard errors: {count} of {cells} cells (by chance at most {expected})",
    "not_reliable": "No reliable {noun}: the noise samples agree in {agreeing} of {compared} comparisons, by chance in half of "
    "them",
    "too_few": "No reliable {noun}: {compared} comparisons of noise samples are too few to tell, 7 are needed. Take more samples "
    "or steps, with fresh noise per step",
    "no_difference": "No difference: both prompts give the same noise predictions.",
    "no_weight": "Pure noise alone: nothing of the picture is left in these steps, and they have no weight.",
    "same_everywhere": "No difference between places: {value} everywhere.",
    "end": "{colour}: {meaning}",
    "clear": "clear: no difference",
    "at_most": "≤ {value}",
    "at_least": "≥ {value}",
    "quantity": "{quantity}, {unit}",
    "in_errors": "standard errors",
    "unnamed": "an unnamed prompt",
}
"""What a map's legend says, for the values in braces: said by Python on a picture, and by the Explorer's page while one drags."""
RECOGNITION = {
    "knows": "The model knows such pictures {number}.",
    "doubtful": "It is doubtful whether the model knows this picture {number}.",
    "no_better": "The model does not know this picture: it predicts the noise no better than smoothing {number}.",
    "hardly_better": "The model does not know this picture: it predicts the noise hardly better than smoothing {number}.",
    "error": "(its error is {ratio} times that of smoothing)",
    "error_and_own": "(its error is {ratio} times that of smoothing; on its own pictures mostly below {own})",
    "over": "over {value}",
    "no_level": "Whether the model knows this picture can't be told: no step has a log SNR from {low} to {high}.",
    "neither": "Neither {target} nor {contrast} describes this picture better than no words at all.",
    "neither_although": "Neither {target} nor {contrast} describes this picture better than no words at all, although the model "
    "knows such pictures {number}.",
    "both": "Both {target} and {contrast} describe this picture better than no words at all.",
    "in_turn": "{first} {second}",
    "as_written": "{text}",
    "unknown_word": "The model was never shown this word: {words}. What it answers then means nothing.",
    "unknown_words": "The model was never shown these words: {words}. What it answers then means nothing.",
}
"""Whether the model knows picture and words, for `Sentence`: {number}, {first} and {second} are sentences themselves."""


@dataclass(frozen=True)
class Sentence:
    """One of `RECOGNITION` with its values, some of which may be sentences: the Explorer's page says it in its own language."""

    name: str
    values: Mapping[str, str | Sentence]

    def __str__(self) -> str:
        return say(self.name, **self.values)


def sentence_of(text: str, *names: str) -> Sentence | None:
    """The one of these sentences, each with a single value, that says this text."""
    for name in names:
        before, _, rest = RECOGNITION[name].partition("{")
        value, _, after = rest.partition("}")
        if text.startswith(before) and text.endswith(after):
            return Sentence(name, {value: text[len(before) : len(text) - len(after)]})
    return None


def asked_words(asked: int | None) -> str:
    """How many of the steps just named the model was asked about, to follow them; nothing where it was all of them."""
    return "" if asked is None else f" (the model was asked at {asked})"


def say(name: str, **values: object) -> str:
    """One of `SENTENCES` or `RECOGNITION` with its values."""
    return (SENTENCES if name in SENTENCES else RECOGNITION)[name].format(**values)


def quoted(label: str) -> str:
    """A label in quotation marks, as legends write it."""
    return f"“{label.strip()}”" if label.strip() else say("unnamed")


def differing_part(label: str, other: str, longest: int = 32) -> str:
    """A label of more than `longest` characters with an ellipsis for the words that both labels have in the same places.

    One word stays on each side of those that differ. What is still too long is shortened in its middle.
    """
    words, room = label.split(), 3 * longest // 2
    kept = set() if len(label) <= longest else _near_the_difference(words, other.split())
    if not kept:
        return label if len(label) <= room else shorten(label, longest)
    pieces = [words[place] if place in kept else ELLIPSIS for place in range(len(words))]
    runs = [piece for place, piece in enumerate(pieces) if piece != ELLIPSIS or pieces[place - 1 : place] != [ELLIPSIS]]
    part = " ".join(runs).replace(f"{ELLIPSIS} ", ELLIPSIS).replace(f" {ELLIPSIS}", ELLIPSIS)
    return part if len(part) <= room else shorten(part, longest)


def _near_the_difference(words: list[str], others: list[str]) -> set[int]:
    """The places of the words that the other label lacks there, and of one word on each side of them."""
    changes = [change for change in SequenceMatcher(None, words, others).get_opcodes() if change[0] != "equal"]
    near = {place for _, start, end, *_ in changes for place in range(start - 1, end + 1) if end > start}
    return near & set(range(len(words)))


def format_value(value: float) -> str:
    """At most three significant digits, with a true minus sign: 0.0123, −1.5, 1230, 2.1e−07."""
    return f"{float(f'{value:.3g}'):g}".replace("-", "−")


def format_with_error(value: float, error: float | None) -> str:
    """A value to the second significant digit of its error, as far as float32 has digits: 68.9 ± 2.1; alone without one."""
    if error is None:
        return format_value(value)
    shown = float(f"{error:.2g}")
    decimals = max(0, 1 - _magnitude(shown)) if shown else 0
    if not shown or decimals + _magnitude(value) > 6:
        return f"{format_value(value)} ± {shown:g}"
    return f"{value:.{decimals}f} ± {shown:.{decimals}f}".replace("-", "−")


def assumed_words(assumed: float, value: float) -> str:
    """How much of a value is assumed, "" where that is little or nothing; against the value's own sign where it is against it."""
    return format_value(assumed) if assumed and abs(assumed) >= WORTH_TELLING * abs(value) else ""


def beside_size(assumed: float, value: float) -> float:
    """How much of a value is assumed, as it is told beside the value's size: below 0 where it is against the value."""
    return math.copysign(assumed, assumed * value)


def with_assumed(told: str, assumed: float, value: float) -> str:
    """A value in words, followed by how much of it is assumed, see `assumed_words`."""
    words = assumed_words(assumed, value)
    return say("assumed", told=told, assumed=words) if words else told


def _magnitude(value: float) -> int:
    """The power of ten of the first digit: 2 for 350, −1 for 0.2, 0 for 0."""
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0


def plain_text(text: str) -> str:
    """One line of visible characters: white space becomes single spaces, control and format characters go."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if character.isspace() else character for character in text)
    return " ".join("".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf") and not _selects_variant(c)).split())


def _selects_variant(character: str) -> bool:
    """True for U+FE00 to U+FE0F, which choose between forms of the character before and draw nothing."""
    return "\ufe00" <= character <= "\ufe0f"


def shorten(text: str, kept: int) -> str:
    """The beginning and the end of a text, at most `kept` characters of it, at whole words where these are short."""
    head, tail = text[: (kept + 1) // 2], text[len(text) - kept // 2 :] if kept > 1 else ""
    head_word, tail_word = head.rpartition(" ")[2], tail.partition(" ")[0]
    if len(head_word) < min(12, len(head)):
        head = head.removesuffix(head_word)
    if len(tail_word) < min(12, len(tail)):
        tail = tail.removeprefix(tail_word)
    return f"{head.rstrip()} {ELLIPSIS} {tail.lstrip()}".strip()
