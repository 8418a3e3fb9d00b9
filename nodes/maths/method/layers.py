"""The layers of a classifier that have places: what a convolution gives, or the tokens of a transformer."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..images import Size
from .classifier import Question

MOST_PREFIXES = 8
"""Tokens before those of the picture: the class token, registers."""


@dataclass
class Calls:
    """What was seen of a layer in one call of the network."""

    count: int = 0
    output: Tensor | None = None


@dataclass
class Watched:
    """The layers of a network during one call of it, by name, in the order in which they ended."""

    calls: dict[str, Calls] = field(default_factory=dict)

    def saw(self, name: str, output: object) -> object:
        """Notes an output and gives it on as a copy, so that what changes it in place does not change what was noted."""
        seen = self.calls.pop(name, Calls())
        seen.count += 1
        self.calls[name] = seen
        tensor = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(tensor, Tensor) or tensor.ndim not in (3, 4):
            return output
        seen.output = tensor
        return (tensor.clone(), *output[1:]) if isinstance(output, tuple) else tensor.clone()


def watch(question: Question, x: Tensor, names: list[str]) -> tuple[Tensor, Watched]:
    """Ask for the margins of x while layers are watched; their hooks are gone afterwards, whatever happens."""
    watched, modules = Watched(), dict(question.classifier.network.named_modules())

    def hook(name: str) -> Callable[[nn.Module, object, object], object]:
        return lambda module, given, output: watched.saw(name, output)

    handles = [modules[name].register_forward_hook(hook(name)) for name in names]
    try:
        return question.margin(x.detach().requires_grad_()), watched
    finally:
        for handle in handles:
            handle.remove()


def as_cells(output: Tensor, size: Size) -> Tensor | None:
    """A layer's output as [n,K,r,c] with more than one cell, for an input of height and width `size`; None if it has no places.

    [n,K,r,c] stays; [n,r,c,K], with the channels last, is turned; of tokens [n,T,K] those of the picture are laid in rows, and
    what stands before them, such as the class token, is left out.
    """
    if output.ndim == 4:
        first, last = (_off_shape(sides, size) for sides in (output.shape[1:3], output.shape[2:4]))
        cells = output.movedim(-1, 1) if first < min(last, max(size)) else output
        return cells if cells.shape[-2] * cells.shape[-1] > 1 else None
    grid = _grid_of_tokens(output.shape[1], size)
    return output[:, -grid[0] * grid[1] :].unflatten(1, grid).movedim(-1, 1) if grid else None


def _grid_of_tokens(tokens: int, size: Size) -> Size | None:
    """Rows and columns of more than one token that come closest to the input's shape, with few tokens before them."""
    grids: list[tuple[int, int, Size]] = []
    for prefixes in range(min(MOST_PREFIXES, tokens - 1)):
        rows = round(math.sqrt((tokens - prefixes) * size[0] / size[1]))
        if rows and (tokens - prefixes) % rows == 0:
            grid = (rows, (tokens - prefixes) // rows)
            grids.append((_off_shape(grid, size), prefixes, grid))
    off, _, closest = min(grids, default=(max(size), 0, (1, 1)))
    return closest if off < max(size) and closest != (1, 1) else None


def _off_shape(sides: Size | torch.Size, size: Size) -> int:
    """How far rows and columns are from the shape of the input; less than its longer side where they are whole cells of it."""
    rows, columns = sides
    return abs(rows * size[1] - columns * size[0])


def find_layer(question: Question, x: Tensor, name: str = "") -> str:
    """The name of the layer that is meant; "" is the last that keeps space and that the answer depends on, place by place.

    Raises:
        ValueError: no such layer, one that is called twice or never, one without places, or no layer at all with places.
    """
    named = [each for each, _ in question.classifier.network.named_modules() if each]
    if name and name not in named:
        raise ValueError(_no_such_layer(question, x, name, named))
    margin, watched = watch(question, x, named)
    if name:
        _check_layer(name, watched.calls.get(name, Calls()), tuple(x.shape[-2:]))
        return name
    usable = _usable(margin, watched, tuple(x.shape[-2:]))
    if not usable:
        raise ValueError(
            f"The classifier {question.classifier.name} has no layer that keeps places, so there is nothing for Grad-CAM or "
            "LayerCAM to show. Choose Integrated Gradients, Gradient SHAP or occlusion."
        )
    return usable[-1]


def _usable(margin: Tensor, watched: Watched, size: Size) -> list[str]:
    """Layers that are called once, keep space, and whose places the margin depends on, in the order in which they end."""
    once = {name: seen.output for name, seen in watched.calls.items() if seen.count == 1 and seen.output is not None}
    outputs = {name: output for name, output in once.items() if output.requires_grad and as_cells(output, size) is not None}
    if not outputs:
        return []
    gradients = torch.autograd.grad(margin.sum(), list(outputs.values()), allow_unused=True)
    cells = {name: None if found is None else as_cells(found, size) for name, found in zip(outputs, gradients, strict=True)}
    return [name for name, found in cells.items() if found is not None and bool(found.any())]


def _check_layer(name: str, seen: Calls, size: Size) -> None:
    if seen.count > 1:
        raise ValueError(
            f"The layer {name!r} is called {seen.count} times in one pass of the network, so its output is not one map. Choose "
            "the block that it is part of, or leave the layer empty for the last that keeps space."
        )
    if not seen.count:
        raise ValueError(f"The layer {name!r} is never called. Choose another, or leave it empty for the last that keeps space.")
    if seen.output is None or as_cells(seen.output, size) is None:
        shape = "no tensor of 3 or 4 dimensions" if seen.output is None else f"the shape {list(seen.output.shape)}"
        raise ValueError(
            f"The layer {name!r} gives {shape}, which has no places of a {size[1]}×{size[0]} input. Choose an earlier layer, or "
            "leave it empty for the last that keeps space."
        )


def _no_such_layer(question: Question, x: Tensor, name: str, named: list[str]) -> str:
    margin, watched = watch(question, x, named)
    usable = _usable(margin, watched, tuple(x.shape[-2:]))
    near = difflib.get_close_matches(name, usable, 3)
    return (
        f"The classifier {question.classifier.name} has no layer {name!r}. "
        + (f"Did you mean {', '.join(near)}? " if near else "")
        + f"The last ones that keep space: {', '.join(usable[-8:])}. Leave it empty for the very last."
    )


def at_layer(question: Question, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """A layer's output for x [n,3,h,w] and the gradient of each one's margin by it, both [n,K,r,c].

    Raises:
        ValueError: a layer whose output is not a tensor of 3 or 4 dimensions, or has no places.
    """
    size = (int(x.shape[-2]), int(x.shape[-1]))
    margin, watched = watch(question, x, [name])
    output = watched.calls[name].output
    if output is None:
        raise ValueError(f"The layer {name!r} gives no tensor of 3 or 4 dimensions. Choose another.")
    (gradient,) = torch.autograd.grad(margin.sum(), output, allow_unused=True)
    activations = as_cells(output.detach(), size)
    gradients = as_cells(torch.zeros_like(output) if gradient is None else gradient, size)
    if activations is None or gradients is None:
        raise ValueError(f"The layer {name!r} gives the shape {list(output.shape)}, which has no places. Choose another.")
    return activations, gradients
