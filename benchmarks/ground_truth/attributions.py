"""Where a classifier sees the difference between a picture's label and its twin's: attribution methods to compare with.

All of them explain logit(own) − logit(twin), the classifier's counterpart of the difference of two noise predictions, and
all of them are captum's, so that one dependency is enough.

Shapes: B pictures, C = 3 colours, or 1 for a method that works on a layer; maps have the classifier's input size, 128 x 128.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from captum.attr import (
    GradientShap,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    LayerGradientXActivation,
    Occlusion,
)
from scipy import ndimage
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from ...bundled.scenes import CLASSES, PAIRS, draw
from ...nodes.maths.method.attribution import seeded
from ...training.training_data import training_scene
from .classifier import INPUT_SIZE, Classifier, as_input

Sign = Literal["magnitude", "positive", "net"]
Margin = Callable[[Tensor], Tensor]  # pictures [B,3,128,128] to logit(own) - logit(twin) [B]

SAMPLES = 32  # steps of the path, and noises of Gradient SHAP
CALLS = 32  # pictures in one call of the classifier
BACKGROUND_SCENES = 12
BLUR = INPUT_SIZE / 8  # of the baseline that is the picture itself, without finer detail than this


@dataclass(frozen=True)
class Question:
    """One picture [1,3,128,128] and the margin between two of a classifier's logits that is to be explained."""

    classifier: Classifier
    x: Tensor
    own: int
    twin: int

    def margin(self, x: Tensor) -> Tensor:
        """logit(own) - logit(twin) [B] of pictures [B,3,128,128]."""
        logits = self.classifier(x)
        return logits[:, self.own] - logits[:, self.twin]


def black(x: Tensor) -> Tensor:
    return torch.full_like(x, -1)


def mean_colour(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True).expand_as(x)


def blurred(x: Tensor) -> Tensor:
    return gaussian_blur(x, 2 * int(1.5 * BLUR) + 1, BLUR)


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {"black": black, "mean colour": mean_colour, "blurred": blurred}


@functools.cache
def background() -> Tensor:
    """Training pictures of all classes [24,3,128,128]: what Gradient SHAP draws its baselines from."""
    drawn = [draw(training_scene(n), label) for n in range(BACKGROUND_SCENES) for label in PAIRS[n % len(PAIRS)]]
    return as_input(np.stack(drawn))


def _enlarged(values: Tensor) -> Tensor:
    return LayerAttribution.interpolate(values, (INPUT_SIZE, INPUT_SIZE), "bilinear")


def grad_cam(question: Question, layer: nn.Module) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017): the layer's channels, weighted by their mean gradients. [1,1,128,128]."""
    return _enlarged(LayerGradCam(question.margin, layer).attribute(question.x))


def layer_cam(question: Question, layer: nn.Module, positive: bool) -> Tensor:
    """LayerCAM (Jiang et al. 2021): channels weighted by their positive gradients, cell by cell. [1,1,128,128].

    Both layers end in sums of ReLUs, none below zero, so that the positive part of gradient times activation is the
    activation times the positive gradient. With all gradients it is HiResCAM (Draelos and Carin 2020).
    """
    values = LayerGradientXActivation(question.margin, layer).attribute(question.x)
    return _enlarged((values.clamp(min=0) if positive else values).sum(1, keepdim=True))


def integrated_gradients(question: Question, baseline: str) -> Tensor:
    """Integrated Gradients (Sundararajan et al. 2017) from a baseline picture; they add up to the margins' difference."""
    explained = IntegratedGradients(question.margin)
    return explained.attribute(question.x, BASELINES[baseline](question.x), n_steps=SAMPLES, internal_batch_size=CALLS)


def gradient_shap(question: Question) -> Tensor:
    """Gradient SHAP (Lundberg and Lee 2017): expected gradients on the way from training pictures."""
    return GradientShap(question.margin).attribute(question.x, background(), n_samples=SAMPLES)


def occlusion(question: Question, window: int, baseline: str) -> Tensor:
    """Occlusion (Zeiler and Fergus 2014): what the margin loses where a square is covered, at every half of its width."""
    return Occlusion(question.margin).attribute(
        question.x,
        (3, window, window),
        (3, window // 2, window // 2),
        BASELINES[baseline](question.x),
        perturbations_per_eval=CALLS,
    )


METHODS: dict[str, Callable[[Question], Tensor]] = {
    "Grad-CAM 16": lambda question: grad_cam(question, question.classifier.coarse),
    "Grad-CAM 32": lambda question: grad_cam(question, question.classifier.fine),
    "HiResCAM 32": lambda question: layer_cam(question, question.classifier.fine, positive=False),
    "LayerCAM 16": lambda question: layer_cam(question, question.classifier.coarse, positive=True),
    "LayerCAM 32": lambda question: layer_cam(question, question.classifier.fine, positive=True),
    "Integrated Gradients, black": lambda question: integrated_gradients(question, "black"),
    "Integrated Gradients, mean colour": lambda question: integrated_gradients(question, "mean colour"),
    "Integrated Gradients, blurred": lambda question: integrated_gradients(question, "blurred"),
    "Gradient SHAP": gradient_shap,
    "Occlusion 16, mean colour": lambda question: occlusion(question, 16, "mean colour"),
    "Occlusion 16, blurred": lambda question: occlusion(question, 16, "blurred"),
    "Occlusion 24, mean colour": lambda question: occlusion(question, 24, "mean colour"),
    "Occlusion 24, blurred": lambda question: occlusion(question, 24, "blurred"),
}


@dataclass(frozen=True)
class Variant:
    """One way to make a map of a method: what is done with the sign, and the Gaussian blur after it in pixels of 128.

    "magnitude" is the absolute value, "positive" the part for the own label; colours are summed afterwards. "net" is
    the absolute value of what is left of both signs after colours are summed and the blur.
    """

    method: str
    sign: Sign
    sigma: float

    @property
    def name(self) -> str:
        return f"{self.method}, {self.sign}, blur {self.sigma:g}"

    def finish(self, values: np.ndarray) -> np.ndarray:
        """Make signed attributions float [C,128,128] a map float [128,128], nowhere below 0."""
        if self.sign == "net":
            return np.abs(smooth(values.sum(0), self.sigma))
        return smooth((np.abs(values) if self.sign == "magnitude" else np.maximum(values, 0)).sum(0), self.sigma)


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a map [H,W] with a Gaussian of `sigma` pixels; 0 leaves it as it is."""
    return ndimage.gaussian_filter(values, sigma) if sigma else values


def _variants() -> Iterator[Variant]:
    for method in METHODS:
        pixelwise = method.startswith(("Integrated", "Gradient"))
        signs: tuple[Sign, ...] = ("magnitude", "positive", "net") if pixelwise else ("magnitude", "positive")
        for sign in signs:
            for sigma in (1.0, 2.0, 4.0, 6.0, 8.0) if pixelwise else (0.0, 3.0, 6.0):
                yield Variant(method, sign, sigma)


VARIANTS: tuple[Variant, ...] = tuple(_variants())


def attributions(
    classifier: Classifier,
    picture: np.ndarray,
    own: str,
    twin: str,
    variants: Iterable[Variant] = VARIANTS,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Maps float32 [128,128] of what speaks for `own` and not `twin` in a picture uint8 [H,W,3], by the variants' names.

    Each method runs once, whatever the number of its variants; the same seed gives the same maps.
    """
    question = Question(classifier, as_input(picture[None]), CLASSES.index(own), CLASSES.index(twin))
    variants = tuple(variants)
    raw = {}
    for method in dict.fromkeys(variant.method for variant in variants):
        with seeded(seed, torch.device("cpu")):
            raw[method] = METHODS[method](question)[0].detach().numpy().astype(np.float32)
    return {variant.name: variant.finish(raw[variant.method]) for variant in variants}
