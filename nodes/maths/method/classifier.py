"""An image classifier: its network, the names of its classes, and a question to it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .preprocessing import Preprocessing

CALLS = 16
"""Pictures in one call of the network, unless its device has less memory."""
ANY_OTHER = "any other class"
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network from pictures to one logit for each class."""

    network: nn.Module
    """[n,3,h,w], as `preprocessing` makes it, to logits [n,K]."""
    classes: tuple[str, ...]
    """The K names, in the order of the logits."""
    preprocessing: Preprocessing
    name: str
    """What to call it."""
    load: Callable[[], torch.device] = lambda: torch.device("cpu")
    """Brings the network to where it computes, and says where that is."""

    def index(self, name: str, side: str = "class A") -> int:
        """The number of a class by its name, by one of the names that commas part in it, or by the number itself.

        `side` is what errors call it.

        Raises:
            ValueError: no such class, or several.
        """
        wanted = name.strip().casefold()
        names = [each.strip().casefold() for each in self.classes]
        for found in (
            [number for number, each in enumerate(names) if each == wanted],
            [number for number, each in enumerate(names) if wanted in [part.strip() for part in each.split(",")]],
        ):
            if len(found) == 1:
                return found[0]
            if found:
                numbers = _listed(found)
                raise ValueError(
                    f"{side}: the classifier {self.name} has {len(found)} classes {name.strip()!r}, numbers {numbers}. Give the "
                    "number of the one that is meant."
                )
        if wanted.isdecimal() and int(wanted) < len(names):
            return int(wanted)
        raise ValueError(f"{side}: {self._no_such_class(name.strip(), wanted)}")

    def _no_such_class(self, name: str, wanted: str) -> str:
        count = len(self.classes)
        if wanted.lstrip("-").isdecimal():
            return (
                f"there is no number {name}; the classifier {self.name} has {count} classes. Give a number from 0 to {count - 1}."
            )
        parts = {part.strip().casefold(): part.strip() for each in self.classes for part in each.split(",")}
        near = [parts[each] for each in difflib.get_close_matches(wanted, parts, 5)]
        told = f"Did you mean {_listed(near)}?" if near else f"Some of its {count} classes: {_listed(self.classes[:12])}."
        return f"the classifier {self.name} has no class {name!r}. {told} Give one of them, or a class's number from 0 on."


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))


@dataclass(frozen=True, eq=False)
class Question:
    """Why one class and not another: the difference of a classifier's two logits is what is explained."""

    classifier: Classifier
    target: int
    contrast: int | None = None
    """None: all other classes together."""
    called: Callable[[int], None] = lambda pictures: None
    """Is told, before every call of the network, about how many pictures it is; it may raise to cancel."""

    @property
    def labels(self) -> tuple[str, str]:
        """What to call both sides."""
        classes = self.classifier.classes
        return classes[self.target], ANY_OTHER if self.contrast is None else classes[self.contrast]

    def margin(self, x: Tensor) -> Tensor:
        """The log-odds [n] of the target for inputs x [n,3,h,w], in nats: log p(target) - log p(contrast), p from a softmax.

        That is logit(target) - logit(contrast), or logit(target) - log sum exp of all other logits.

        Raises:
            ValueError: the network does not give a logit for each class, or NaN.
        """
        self.called(len(x))
        logits = self.classifier.network(x)
        expected = (len(x), len(self.classifier.classes))
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            came = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"The classifier {self.classifier.name} answered {len(x)} pictures with {came}; expected {list(expected)}, one "
                "logit for each class. Its class names and its weights don't belong together."
            )
        if not torch.isfinite(logits).all():
            raise ValueError(f"The classifier {self.classifier.name} answered with NaN or infinity. Its weights are damaged.")
        return margins(logits.float(), self.target, self.contrast)


def margins(logits: Tensor, target: int, contrast: int | None) -> Tensor:
    """logit(target) - logit(contrast), [n] of [n,K]; a contrast of None is the log of the sum of all other exp(logit)."""
    if contrast is not None:
        return logits[:, target] - logits[:, contrast]
    others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
    return logits[:, target] - others.logsumexp(1)


def ask(
    classifier: Classifier, target: str, contrast: str = "", called: Callable[[int], None] = lambda pictures: None
) -> Question:
    """A question by the names of both classes; an empty contrast stands for all other classes.

    Raises:
        ValueError: a class that the classifier does not have, twice the same, or a single class.
    """
    if len(classifier.classes) < 2:
        raise ValueError(f"The classifier {classifier.name} has {len(classifier.classes)} class; expected 2 or more.")
    first = classifier.index(target)
    second = classifier.index(contrast, "class B") if contrast.strip() else None
    if first == second:
        raise ValueError(
            f"Both classes are {classifier.classes[first]!r}: there is no difference to explain. Choose another class B, or "
            "leave it empty for all other classes together."
        )
    return Question(classifier, first, second, called)


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Within it a network is in eval mode and gradients flow, also under inference mode; then it is as it was before.

    Restored, whatever happens: which modules train, which parameters want a gradient, their `.grad`, and all hooks.
    """
    with torch.inference_mode(False):
        leave_inference(network)
    training = [(module, module.training) for module in network.modules()]
    wanted = [(parameter, parameter.requires_grad, parameter.grad) for parameter in network.parameters()]
    hooks = [
        (module, name, dict(found))
        for module in network.modules()
        for name, found in vars(module).items()
        if "_hooks" in name and isinstance(found, dict)
    ]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            network.train(False)
            for parameter, _, _ in wanted:
                parameter.requires_grad_(False)
            yield
    finally:
        for module, was in training:
            module.training = was
        for parameter, requires_grad, gradient in wanted:
            parameter.requires_grad_(requires_grad)
            parameter.grad = gradient
        for module, name, before in hooks:
            found = vars(module)[name]
            found.clear()
            found.update(before)


def leave_inference(network: nn.Module) -> None:
    """Give a network ordinary tensors: those made under inference mode, as when it is moved then, can't be differentiated.

    Call it outside of inference mode, after the network was brought to its device.
    """
    for module in network.modules():
        kinds: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for tensors in kinds:
            for name, tensor in tensors.items():
                if tensor is not None and tensor.is_inference():
                    tensors[name] = _ordinary(tensor)


def _ordinary(tensor: Tensor) -> Tensor:
    copied = tensor.detach().clone()
    return nn.Parameter(copied, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied


def within_memory(call: Callable[[int], Answer], chunk: int) -> Answer:
    """What `call` gives for so many pictures at a time, or for half as many where the device runs out of memory."""
    while True:
        try:
            return call(chunk)
        except torch.OutOfMemoryError:
            if chunk == 1:
                raise
        chunk //= 2  # outside of the except clause, which holds on to the failed call's tensors
