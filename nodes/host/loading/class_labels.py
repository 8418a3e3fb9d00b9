"""The class names of a class-conditional model as ComfyUI's CLIP: what is typed as a prompt becomes the number of a class.

So every node that takes a CLIP works with such a model: CLIP Text Encode, Rival Labels, Explain Image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import comfy.sd
import comfy.supported_models_base
import torch
from torch import Tensor

TOLD_AT_MOST = 12
"""Class names that an error gives as examples."""


@dataclass(frozen=True)
class Classes:
    """The classes that a model knows, by number."""

    count: int
    """How many, numbered from 0; 0 for an unconditional model."""
    names: dict[int, str]
    """Their names, if they are known; synonyms are separated by commas."""
    any_class: int | None
    """The number that stands for any class, which is what an empty prompt means; None if there is no such number."""

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each name and synonym, in lower case."""
        parted = ((name.strip().lower(), number) for number, names in self.names.items() for name in names.split(","))
        return {name: number for name, number in parted if name}

    def number(self, text: str) -> int:
        """The class that a text names: by its whole name, its number, or a sentence with one of either in it; "" is any class.

        In "a photo of a tiger shark" the longest name counts, not tiger.

        Raises:
            ValueError: a text that names no class, or several.
        """
        text = text.strip().lower()
        if self.count == 0 and text:
            raise ValueError(f"This model knows no classes, so {text[:60]!r} means nothing to it. Leave the prompt empty.")
        if not text:
            return self._any_number()
        found = {self.numbers[text]} if text in self.numbers else self._named_in(text) or self._numbered_in(text)
        if len(found) != 1:
            raise ValueError(
                f"The prompt {text[:60]!r} names {'several classes' if found else 'no class'} of this model. {self._legal()}"
            )
        return found.pop()

    def _any_number(self) -> int:
        if self.count == 0:
            return 0
        if self.any_class is None:
            raise ValueError(f"The prompt is empty, but this model was trained with a class for every picture. {self._legal()}")
        return self.any_class

    def _named_in(self, text: str) -> set[int]:
        names = [name for name in self.numbers if name in text and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]
        return {self.numbers[name] for name in names if not any(name != other and name in other for other in names)}

    def _numbered_in(self, text: str) -> set[int]:
        numbers = {int(digits) for digits in re.findall(r"(?<![\w.-])\d{1,9}(?![\w.])", text)}
        return {number for number in numbers if number < self.count}

    def _legal(self) -> str:
        examples = [names.split(",")[0].strip() for names in list(self.names.values())[:TOLD_AT_MOST]]
        more = ", ..." if len(self.names) > len(examples) else ""
        named = f"Type a name ({', '.join(examples)}{more}) or a number" if examples else "Type a number"
        nothing = "" if self.any_class is None else ", or nothing for any class"
        return f"{named} from 0 to {self.count - 1}{nothing}."


class Tokenizer:
    """ComfyUI's interface of a tokenizer; a prompt's only token is the number of its class."""

    def __init__(self, classes: Classes, **_: Any) -> None:
        self.classes = classes

    def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **_: Any) -> dict[str, list[list[tuple]]]:
        token = (self.classes.number(text), 1.0, *([1] if return_word_ids else []))
        return {"class": [[token]]}

    def state_dict(self) -> dict[str, Any]:
        return {}


class Encoder(torch.nn.Module):
    """ComfyUI's interface of a text encoder; the conditioning is the number plus 1, [1,1,1], so that no class is zero."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.dtypes = {torch.float32}

    def set_clip_options(self, options: dict[str, Any]) -> None:
        pass

    def reset_clip_options(self) -> None:
        pass

    def encode_token_weights(self, tokens: dict[str, list[list[tuple]]]) -> tuple[Tensor, None]:
        return torch.tensor([[[float(tokens["class"][0][0][0] + 1)]]]), None


def read_numbers(conditioning: Tensor, classes: Classes) -> Tensor:
    """The numbers of classes that an `Encoder`'s conditioning [B,1,1] stands for, [B].

    Raises:
        ValueError: a text encoder's conditioning, one that was zeroed or mixed, or a class that the model doesn't have.
    """
    remedy = "Encode the prompt with the CLIP that Load Diffusers Model gives with this model; an empty prompt is any class."
    if conditioning.ndim != 3 or conditioning.shape[1:] != (1, 1):
        raise ValueError(
            f"This model takes the number of a class, but the conditioning has the shape {list(conditioning.shape)}, as text has "
            f"it. {remedy}"
        )
    numbers = conditioning[:, 0, 0].round().long() - 1
    known = max(classes.count + (classes.any_class is not None), 1)
    if not torch.equal(numbers + 1, conditioning[:, 0, 0]) or numbers.min() < 0 or numbers.max() >= known:
        raise ValueError(
            "The conditioning stands for no class of this model: it was set to zero, averaged with another, or encoded for "
            f"another model. {remedy}"
        )
    return numbers


def load_labels(classes: Classes) -> comfy.sd.CLIP:
    """A CLIP whose prompts are the names or numbers of classes."""
    target = comfy.supported_models_base.ClipTarget(lambda **_: Tokenizer(classes), Encoder)
    return comfy.sd.CLIP(target)
