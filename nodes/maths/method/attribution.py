"""Where a classifier sees the difference of two classes: attribution methods, as maps of what speaks for either.

All explain one number, the log-odds of class A against class B: logit(A) - logit(B). The map is signed, without a ReLU, on one
scale: a ReLU would hide what speaks for B, and the difference of two maps that were normalised one by one often has another sign.

Shapes: n pictures, 3 colours, h w the network's input, r c a layer's cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ..images import Size
from ..wording import differing_part, format_value, format_with_error, quoted
from .classifier import CALLS, Classifier, Question, ask, undisturbed, within_memory
from .layers import at_layer, find_layer
from .map import Map
from .preprocessing import check_pictures
from .scalar import ROUNDING_PER_STEP

Method = Literal["Grad-CAM", "LayerCAM", "Integrated Gradients", "Gradient SHAP", "occlusion"]
Baseline = Literal["blurred", "mean colour", "black", "grey", "white"]

ADDS_UP = ("Integrated Gradients", "Gradient SHAP")
"""The methods whose values add up to the log-odds minus those of the baseline."""
OF_A_LAYER = ("Grad-CAM", "LayerCAM")
QUANTITIES = {
    "Grad-CAM": ("Grad-CAM of the log-odds", "activation × mean gradient"),
    "LayerCAM": ("LayerCAM of the log-odds", "activation × gradient"),
    "Integrated Gradients": ("Integrated Gradients of the log-odds", "nats per place"),
    "Gradient SHAP": ("Gradient SHAP of the log-odds", "nats per place"),
    "occlusion": ("Occlusion: log-odds lost where covered", "nats"),
}
FEWEST_STEPS, MOST_STEPS = 32, 1024
LARGEST_GAP = 0.05
"""The share of the log-odds' change that Integrated Gradients may miss."""
GROUPS = 16
"""Independent estimates of Gradient SHAP, whose spread gives its standard error; 8 pairs are the fewest that can agree surely."""
BLUR = 1 / 8
"""Standard deviation of the blurred baseline, of the input's shorter side."""


@dataclass(frozen=True)
class Choices:
    """How an attribution is made.

    Raises:
        ValueError: an unknown method or baseline, too few samples, a window out of range.
    """

    method: Method = "Grad-CAM"
    layer: str = ""
    """The layer of Grad-CAM and LayerCAM by name; "" is the last that keeps space."""
    baseline: Baseline = "blurred"
    """What nothing looks like, for all others."""
    samples: int = 64
    """Random points of Gradient SHAP."""
    window: float = 0.125
    """Side of the square that occlusion covers, as a share of the input's shorter side."""
    seed: int = 0
    """Of Gradient SHAP."""

    def __post_init__(self) -> None:
        for name, choices in (("method", Method), ("baseline", Baseline)):
            if (chosen := getattr(self, name)) not in get_args(choices):
                raise ValueError(f"The {name} is {chosen!r}; expected one of {', '.join(get_args(choices))}.")
        if self.samples < GROUPS:
            raise ValueError(f"The samples are {self.samples}; expected {GROUPS} or more, so that their spread is known.")
        if not 0 < self.window <= 1:
            raise ValueError(f"The window is {self.window:g}; expected a share of the picture, above 0 and at most 1.")


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method says of one picture."""

    values: Tensor
    """[h,w] at the network's input."""
    words: str = ""
    """What the method says of itself, at the end of the map's source."""
    total: str = ""
    """How well the values add up, if they should."""
    estimates: Tensor | None = None
    """[G,h,w] independent estimates whose mean the values are."""


def attribute(
    classifier: Classifier,
    pictures: Tensor,
    target: str,
    contrast: str = "",
    choices: Choices | None = None,
    background: Tensor | None = None,
    called: Callable[[int], None] = lambda pictures: None,
) -> Map:
    """A map of what in each picture [B,H,W,3 or 4] makes the classifier say the target and not the contrast; see `Choices`.

    contrast: "" stands for all other classes together. background: pictures of which Gradient SHAP draws its baselines, in place
    of the one that was chosen. called: is told before each call of the network how many pictures it gets; it may raise to cancel.
    The network is left as it was, also then, and so are the random numbers of the caller.

    Raises:
        ValueError: what `ask`, `Choices`, `find_layer` and `Preprocessing` refuse, and logits that are no numbers.
    """
    choices = choices or Choices()
    question = ask(classifier, target, contrast, called)
    device = classifier.load()
    with undisturbed(classifier.network):
        x = prepare(classifier, pictures, device)
        drawn = None if background is None else prepare(classifier, background, device)
        with torch.no_grad():
            log_odds = torch.cat([question.margin(part).cpu() for part in x.split(CALLS)])
        layer = find_layer(question, x[:1], choices.layer) if choices.method in OF_A_LAYER else ""
        choices = replace(choices, layer=layer)
        found = [explain(question, picture[None], choices, drawn) for picture in x]
    return make_map(question, choices, found, log_odds, tuple(pictures.shape[1:3]))


def prepare(classifier: Classifier, pictures: Tensor, device: torch.device) -> Tensor:
    """The network's input for pictures [B,H,W,3 or 4], ordinary float32 tensors on its device, [B,3,h,w]."""
    check_pictures(pictures)
    return classifier.preprocessing.prepare(pictures.detach().clone().cpu()).to(device)


def explain(question: Question, x: Tensor, choices: Choices, background: Tensor | None) -> Attribution:
    """One picture's attribution, x [1,3,h,w]."""
    if choices.method in OF_A_LAYER:
        return class_activation(question, x, choices)
    baseline = make_baseline(question.classifier, x, choices.baseline)
    if choices.method == "Integrated Gradients":
        return integrated_gradients(question, x, baseline, choices.baseline)
    if choices.method == "Gradient SHAP":
        return gradient_shap(question, x, baseline if background is None else background, choices)
    return occlusion(question, x, baseline, choices)


def make_baseline(classifier: Classifier, x: Tensor, baseline: Baseline) -> Tensor:
    """What nothing looks like, at the network's input, [1,3,h,w]: a plain picture, or the picture without detail."""
    if baseline == "mean colour":
        return x.mean((2, 3), keepdim=True).expand_as(x).clone()
    if baseline == "blurred":
        width = BLUR * min(x.shape[-2:])
        return torch.from_numpy(ndimage.gaussian_filter(x.cpu().numpy(), (0, 0, width, width), mode="nearest")).to(x)
    level = {"black": 0.0, "grey": 0.5, "white": 1.0}[baseline]
    return classifier.preprocessing.normalise(torch.full_like(x, level))


# ------------------------------------------------------------------------------------------------------------- the methods


def class_activation(question: Question, x: Tensor, choices: Choices) -> Attribution:
    """A layer's activations A times the gradient g of the log-odds by them, added up over the channels k, signed.

    Grad-CAM (Selvaraju et al. 2017): sum over k of mean(g_k) * A_k, without its ReLU. LayerCAM (Jiang et al. 2021) weighs each
    cell by its own positive gradient; what speaks for the target minus what speaks for the contrast is then
    sum over k of (max(g_k, 0) - max(-g_k, 0)) * A_k = sum over k of g_k * A_k, which is HiResCAM (Draelos and Carin 2020).
    """
    activations, gradients = at_layer(question, x, choices.layer)
    weights = gradients.mean((2, 3), keepdim=True) if choices.method == "Grad-CAM" else gradients
    cells = (weights * activations).sum(1, keepdim=True)
    rows, columns = cells.shape[-2:]
    values = F.interpolate(cells, x.shape[-2:], mode="bilinear", align_corners=False)[0, 0]
    return Attribution(values.cpu(), f"layer {choices.layer}, enlarged from {columns}×{rows} cells (bilinear)")


def integrated_gradients(question: Question, x: Tensor, baseline: Tensor, name: str) -> Attribution:
    """Integrated Gradients (Sundararajan et al. 2017): gradients on the straight way from the baseline, times the difference.

    They add up to the change of the log-odds. The steps are doubled until less than `LARGEST_GAP` of it is missing.
    """
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(question.margin)
    change = _change(question, x, baseline)
    steps = FEWEST_STEPS
    while True:
        values = within_memory(
            lambda chunk, steps=steps: method.attribute(x, baseline, n_steps=steps, internal_batch_size=chunk),  # type: ignore[misc]
            CALLS,
        )
        gap = abs(float(values.sum(dtype=torch.float64)) - change)
        if gap < LARGEST_GAP * abs(change) or gap == 0 or steps >= MOST_STEPS:
            break
        steps *= 2
    words = f"from {_a(name)} baseline, {steps} steps"
    return Attribution(values[0].sum(0).cpu(), words, _sum_words(float(values.sum()), change, gap, f"{steps} steps"))


def gradient_shap(question: Question, x: Tensor, baselines: Tensor, choices: Choices) -> Attribution:
    """Gradient SHAP (Lundberg and Lee 2017): gradients at random points on the way from random baselines, [n,3,h,w]."""
    from captum.attr import GradientShap

    method, each = GradientShap(question.margin), math.ceil(choices.samples / GROUPS)
    estimates = []
    for group in range(GROUPS):
        with seeded(choices.seed * GROUPS + group, x.device):
            estimates.append(method.attribute(x, baselines, n_samples=each, stdevs=0.0)[0].sum(0).cpu())
    values = torch.stack(estimates)
    with torch.no_grad():
        levels = torch.cat([question.margin(part) for part in baselines.split(CALLS)])
        change = float(question.margin(x)) - float(levels.mean())
    sums = values.sum((1, 2))
    total, error = float(sums.mean()), float(sums.std() / GROUPS**0.5)
    start = f"{len(baselines)} pictures" if len(baselines) > 1 else f"{_a(choices.baseline)} baseline"
    words = f"from {start}, {each * GROUPS} samples, seed {choices.seed}"
    gap = abs(total - change)
    return Attribution(values.mean(0), words, _sum_words(total, change, gap, f"{each * GROUPS} samples", error), values)


def occlusion(question: Question, x: Tensor, baseline: Tensor, choices: Choices) -> Attribution:
    """Occlusion (Zeiler and Fergus 2014): the log-odds lost where a square shows the baseline, moved by half its width."""
    from captum.attr import Occlusion

    side = max(1, round(choices.window * min(x.shape[-2:])))
    step = max(1, side // 2)
    with torch.no_grad():
        values = within_memory(
            lambda chunk: Occlusion(question.margin).attribute(
                x, (3, side, side), (3, step, step), baseline, perturbations_per_eval=chunk
            ),
            CALLS,
        )
    words = f"squares of {side}×{side} of {x.shape[-1]}×{x.shape[-2]} pixels, covered by {_a(choices.baseline)} picture"
    return Attribution(values[0, 0].cpu(), words)


def _change(question: Question, x: Tensor, baseline: Tensor) -> float:
    """By how much the log-odds change from the baseline to the picture."""
    with torch.no_grad():
        at_picture, at_baseline = question.margin(torch.cat([x, baseline])).double().tolist()
    return float(at_picture - at_baseline)


def _a(name: str) -> str:
    return f"a {name}"


def _sum_words(total: float, change: float, gap: float, effort: str, error: float | None = None) -> str:
    """How far the values add up to the change of the log-odds, and that they don't if so."""
    share = gap / abs(change) if change else math.inf
    told = f"gap {share:.1%}" if math.isfinite(share) else f"gap {format_value(gap)}"
    within = share < LARGEST_GAP or gap == 0 or (error is not None and gap < 2 * error)
    lacking = "" if within else f"; {effort} were not enough"
    return f"Adds up to {format_with_error(total, error)} of {format_value(change)} nats from the baseline ({told}{lacking})"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that captum draws from, torch's and numpy's global ones, and leave them as they were."""
    state = np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(state)


# ----------------------------------------------------------------------------------------------------------------- the map


def make_map(question: Question, choices: Choices, found: list[Attribution], log_odds: Tensor, size: Size) -> Map:
    """The attributions of all pictures of height and width `size` as a map like any other."""
    preprocessing = question.classifier.preprocessing
    adds_up = choices.method in ADDS_UP
    grid = preprocessing.grid(size)

    def placed(values: Tensor) -> Tensor:
        return preprocessing.place(values.float(), size, adds_up)

    values = placed(torch.stack([each.values for each in found]))
    target, contrast = question.labels
    ends = quoted(differing_part(target, contrast)), quoted(differing_part(contrast, target))
    quantity, unit = QUANTITIES[choices.method]
    spread = _spread([placed(each.estimates) for each in found if each.estimates is not None])
    return Map(
        values=values,
        signed=True,
        positive=f"speaks for {ends[0]}",
        negative=f"speaks for {ends[1]}",
        strongest="counts most",
        quantity=quantity,
        noun="attribution",
        unit=unit,
        source=f"Classifier {question.classifier.name}: {choices.method}, {found[0].words}{_part_words(question, size)}",
        target_label=target,
        contrast_label=contrast,
        latent_size=(grid.rows, grid.columns),
        downscale=grid.pixels,
        floor=float(ROUNDING_PER_STEP * values.abs().max()) * 1e-3,
        error_missing=f", which {choices.method} does not have. Choose the method 'Gradient SHAP', or the reliability 'all'.",
        totals=tuple(_told(each, odds, map, ends) for each, odds, map in zip(found, log_odds.tolist(), values, strict=True)),
        doubts=_doubts(values),
        **spread,
    )


def _part_words(question: Question, size: Size) -> str:
    """Which part of the picture the classifier sees, if not all of it."""
    high, wide = question.classifier.preprocessing.seen(size)
    return "" if high == wide == 1 else f"; it sees the middle {wide:.0%} of the width and {high:.0%} of the height"


def _told(found: Attribution, log_odds: float, values: Tensor, ends: tuple[str, str]) -> str:
    """What the classifier says of a picture, how well the map adds up to it, and that the map is all of one sign if so."""
    side = ends[0] if log_odds > 0 else ends[1]
    told = [f"The classifier: {format_value(abs(log_odds))} nats for {side}" if log_odds else "The classifier: neither side"]
    told += [found.total] if found.total else []
    if values.any() and not (values > 0).any():
        told.append(f"All of one sign: nothing speaks for {ends[0]}")
    elif values.any() and not (values < 0).any():
        told.append(f"All of one sign: nothing speaks for {ends[1]}")
    return ". ".join(told) + "."


def _doubts(values: Tensor) -> tuple[str, ...]:
    """What to say in place of a scale of a picture whose map is 0 everywhere; () if there is none."""
    empty = [not bool(map.any()) for map in values]
    said = "The map is 0 everywhere: nothing that was changed or asked for moves the log-odds."
    return tuple(said if each else "" for each in empty) if any(empty) else ()


def _spread(estimates: list[Tensor]) -> dict[str, Any]:
    """The standard error of each place, and how often independent estimates agree, from [G,rows,columns] of each picture."""
    if not estimates:
        return {}
    each = torch.stack(estimates)
    alike = ((each[:, 0::2] * each[:, 1::2]).sum((2, 3)) > 0).sum(1)
    return {
        "error": each.std(1) / GROUPS**0.5,
        "estimates": GROUPS,
        "agreeing": alike,
        "compared": torch.full_like(alike, GROUPS // 2),
    }
