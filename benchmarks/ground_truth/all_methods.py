"""Every method's map of the same picture: how well it finds the truth, and how fast covering in its order changes the answer.

The maps are the pack's own, as its nodes give them. Shapes: S the size of a picture, M that of the measuring, K shares.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...nodes.maths.answers.comparison import compare, whole_scale
from ...nodes.maths.answers.faithfulness import Judge, follow, plain, region_labels, region_means, strongest_first
from ...nodes.maths.answers.measures import auroc, largest_share, overlap
from ...nodes.maths.method.attribution import Choices, Method, attribute
from ...nodes.maths.method.classifier import ask
from ...nodes.maths.method.difference import Reading, Weighting, sum_steps
from ...nodes.maths.method.map import Map
from ...nodes.maths.method.placing import place
from ...nodes.maths.method.prediction import NoisePredictions
from ...nodes.maths.method.reading import read_map
from ...training.finished import PROMPT
from ...training.own_pictures.pictures import to_model_range
from .subjects import Asked, Subject

READINGS: dict[Reading, Weighting] = {"evidence": "information", "information": "uniform", "combined": "uniform"}
METHODS: tuple[Method, ...] = get_args(Method)
OURS = tuple(READINGS)
RANDOM = "random"
NAMES = (*OURS, *METHODS, RANDOM)
FINISHES = {f"{sign}, blur {blur:g}": (sign, blur) for sign in ("magnitude", "positive") for blur in (0, 1 / 64, 1 / 32, 1 / 16)}
"""What is done to a map before it is held against the truth: with its sign, and its blur as a share of the picture."""
REGIONS = 8
LEAST_CHANGE = 1.0
"""Nats by which covering everything must change an answer for its areas to count."""


def measure(subject: Subject, asked: Asked) -> dict[str, Any]:
    """AUROC and IoU of every map and finish; for pictures to report on, also its agreement with ours, and its four areas."""
    maps = all_maps(subject, asked)
    truth = {name: {finish: against_truth(map, asked, *how) for finish, how in FINISHES.items()} for name, map in maps.items()}
    found: dict[str, Any] = {"picture": asked.name, "split": asked.split, "own": asked.own, "other": asked.other, "truth": truth}
    if asked.split == "report":
        found["agreement"] = {name: {ours: agreement(map, maps[ours]) for ours in OURS} for name, map in maps.items()}
        judges = {"classifier": classifier_judge(subject, asked), "diffusion": diffusion_judge(subject, asked)}
        found["areas"] = {who: areas(subject, asked, maps, judge) for who, judge in judges.items()}
    return found


# ------------------------------------------------------------------------------------------------------------------- the maps


def all_maps(subject: Subject, asked: Asked) -> dict[str, Map]:
    """The diffusion model's readings, the attributions of the classifier, and chance."""
    predictions = predict(subject, asked)
    maps = {reading: read_map(sum_steps(predictions, reading=reading, weighting=READINGS[reading])) for reading in READINGS}
    picture = as_image(asked)
    maps |= {
        method: attribute(subject.classifier, picture, asked.own, asked.other, Choices(method, subject.layer, seed=asked.seed))
        for method in METHODS
    }
    chance = torch.rand(1, REGIONS, REGIONS, generator=torch.Generator().manual_seed(asked.seed))
    whole = replace(
        maps["Grad-CAM"], values=chance, signed=False, latent_size=(REGIONS, REGIONS), downscale=picture.shape[1] // REGIONS
    )
    return maps | {RANDOM: whole}


def as_image(asked: Asked) -> Tensor:
    """[1,S,S,3] in 0..1, as ComfyUI has it."""
    return torch.from_numpy(asked.picture.copy())[None].float() / 255


def predict(subject: Subject, asked: Asked) -> NoisePredictions:
    """What the diffusion model predicts under both labels, with one antithetic pair of noise samples."""
    pixels = to_model_range(torch.from_numpy(asked.picture.copy())[None].movedim(-1, 1))
    noised = subject.model.noise(subject.model.encode(pixels), asked.seed, subject.timesteps)
    under = (subject.model.predict(noised, subject.timesteps, PROMPT.format(label)) for label in (asked.own, asked.other))
    return NoisePredictions(noised, *under, asked.own, asked.other)


# ------------------------------------------------------------------------------------------------------------ against the truth


def against_truth(map: Map, asked: Asked, sign: str, blur: float) -> tuple[float, float]:
    """AUROC, and the IoU of as many of the largest places as the truth has."""
    size = len(asked.truth)
    values = place(whole_scale(map), asked.picture.shape[:2], "smooth", (size, size))[0].numpy()
    values = np.abs(values) if sign == "magnitude" else np.maximum(values, 0)
    values = ndimage.gaussian_filter(values, blur * size) if blur else values
    return auroc(values, asked.truth), overlap(largest_share(values, int(asked.truth.sum())), asked.truth)


def agreement(map: Map, ours: Map) -> float:
    """Spearman's rank correlation of two maps' magnitudes, place by place, as the node Compare Maps gives it."""
    return compare(map, ours, "magnitude").agreement(0).spearman


# --------------------------------------------------------------------------------------------------------- deletion, insertion


def classifier_judge(subject: Subject, asked: Asked) -> Judge:
    """The classifier's log-odds for the picture's own label."""
    classifier = subject.classifier
    question = ask(classifier, asked.own, asked.other)

    @torch.no_grad()
    def judge(pictures: Tensor) -> Tensor:
        return question.margin(classifier.preprocessing.prepare(pictures))

    return judge


def diffusion_judge(subject: Subject, asked: Asked) -> Judge:
    """The diffusion model's log-odds for it, every picture with the same noise."""
    model, timesteps = subject.model, subject.judged_at

    def judge(pictures: Tensor) -> Tensor:
        noised = model.noise(model.encode(2 * pictures.movedim(-1, 1) - 1), asked.seed + 1, timesteps)
        under = (model.predict(noised, timesteps, PROMPT.format(label)) for label in (asked.own, asked.other))
        return sum_steps(NoisePredictions(noised, *under, asked.own, asked.other), 0, None, "evidence", "information").total

    return judge


def areas(subject: Subject, asked: Asked, maps: dict[str, Map], judge: Judge) -> dict[str, Any]:
    """Deletion's and insertion's area of every map, where the whole picture is 1 and the covered one 0; NaN without a scale.

    Maps that cover the same places in each share are asked about once.
    """
    picture = as_image(asked)[0]
    hide = plain(subject.cover)(picture)
    labels = region_labels(tuple(picture.shape[:2]), REGIONS)
    ends = judge(hide(torch.stack([labels < 0, labels >= 0]))).float()
    scale = float(ends[0] - ends[1])
    found: dict[str, Any] = {"whole": float(ends[0]), "nothing": float(ends[1])}
    if abs(scale) < LEAST_CHANGE:
        return found | dict.fromkeys(maps, [float("nan")] * 2)
    known: dict[tuple[frozenset[int], ...], list[float]] = {}
    for name, map in maps.items():
        strength = region_means(place(whole_scale(map), tuple(picture.shape[:2]), "cells"), labels)[0]
        order = strongest_first(strength, map.signed, ends)
        covered = tuple(frozenset(order[: round(n / subject.shares * len(order))].tolist()) for n in range(1, subject.shares))
        if covered not in known:
            curves = follow(hide, labels, order, subject.shares, judge, ends)
            known[covered] = [area(curve, ends) for curve in curves]
        found[name] = known[covered]
    return found


def area(curve: Tensor, ends: Tensor) -> float:
    """Below a curve [K+1] on the scale of its ends."""
    return float(torch.trapezoid((curve - ends[1]) / (ends[0] - ends[1]), dx=1 / (len(curve) - 1)))
