"""From stored answers to measures: one record a scene, of both its pictures.

Shapes: H W the size at which maps are measured, S steps, h w latent size. Everything here is made without the diffusion
model; only the rival classifier runs, once for each picture.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...bundled import scenes
from ...nodes.maths.answers import measures, verdict
from ...nodes.maths.answers.measures import Scores, auroc, score
from ...nodes.maths.answers.verdict import evidence_of_steps
from ...nodes.maths.method import difference, scalar
from ...nodes.maths.method.prediction import NoisePredictions
from . import answers, attributions, cases, classifier, cost, maps, records, stored
from .attributions import VARIANTS, Variant
from .cases import MEASURED_SIZE, Case
from .cost import evenly
from .maps import READINGS, WEIGHTINGS, Recipe, enlarge, parts_of
from .questions import DIFFEDIT_MAPS
from .stored import Stored, select
from .trivial_maps import TRIVIAL_MAPS

AIMS = ("inside", "shuffled", "iou", "pointing")
"""The measures that the choice is made by: their mean."""
MEASURES = (*Scores.names(), "present", "absent")
SMALLEST = 16  # pixels that a part of the truth needs to be measured apart
BUDGETS = {  # of a verdict: the part of the schedule, steps out of it (None: all), samples
    "all steps, a pair": ((0, 1), None, (0, 1)),
    "all steps, one sample": ((0, 1), None, (0,)),
    "5 steps, one sample": ((0, 1), 5, (0,)),
    "1 step, one sample": ((0, 1), 1, (0,)),
    "1 step of the noisiest fifth, one sample": ((0, 0.2), 1, (0,)),
    "1 step of the cleanest fifth, one sample": ((0.8, 1), 1, (0,)),
}
NOT_OURS = ("–", "–", "–", "–")
CODE = records.source_digest(
    [sys.modules[__name__], scenes, measures, difference, scalar, verdict, attributions, cases, cost, maps, stored]
)
"""A digest of the code that makes the records, as it was loaded."""

Name = tuple[str, str, str, str, str]
"""A map: what it is, against which label, steps, weighting, noise samples."""


@dataclass(frozen=True, eq=False)
class Target:
    """What is true of a picture, bool [H,W] each, and how often other pictures have their truth at a pixel."""

    truth: np.ndarray
    present: np.ndarray
    silhouette: np.ndarray
    others: np.ndarray

    @staticmethod
    def of(case: Case, everywhere: np.ndarray) -> Target:
        truth = case.truth()
        return Target(truth, case.present(), case.silhouette(), everywhere - truth)

    @cached_property
    def inside(self) -> np.ndarray:
        return self.silhouette | self.truth

    def measure(self, values: np.ndarray) -> list[float]:
        """MEASURES of a map [H,W]; present and absent features are ranked against what both twins share of the object."""
        whole = score(values, self.truth, self.silhouette, self.others)
        return [*astuple(whole), self._part(values, self.present), self._part(values, self.truth & ~self.present)]

    def aims(self, values: np.ndarray) -> list[float]:
        """AIMS of a map [H,W], in half the time."""
        truth, inside = self.truth, self.inside
        return [
            auroc(values[inside], truth[inside]),
            auroc(values, truth, np.where(truth, 1, self.others)),
            measures.overlap(measures.largest(values, int(truth.sum())), truth),
            measures.pointing(values, truth, max(1, round(measures.POINTING_TOLERANCE * truth.shape[1]))),
        ]

    def _part(self, values: np.ndarray, part: np.ndarray) -> float:
        among = part | (self.silhouette & ~self.truth)
        if part.sum() < SMALLEST or (part == among).all():
            return float("nan")
        return auroc(values[among], part[among])


@dataclass(frozen=True, eq=False)
class Bench:
    """What measuring needs besides a scene."""

    stored: Stored
    records: Path
    everywhere: np.ndarray
    """[H,W] how many of the split's pictures have their truth at a pixel."""
    classifier: Path
    chosen: tuple[Recipe, ...] = ()
    """Of each reading, the range and weighting that the choice split gave; the best of them first."""
    variants: tuple[Variant, ...] = VARIANTS
    deep: frozenset[Case] = field(default_factory=frozenset)

    def key(self, scene: tuple[Case, Case]) -> str:
        """Everything that a record depends on."""
        parts = [
            self.stored.setting.fingerprint,
            str(self.stored.setting.steps),
            hashlib.sha256(self.everywhere.tobytes()).hexdigest(),
            CODE,
            self.attribution_key,
            repr(self.chosen),
            repr(scene),
            repr([case in self.deep for case in scene]),
            repr(sorted((path.name, path.stat().st_mtime_ns) for path in self.answer_files(scene))),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def answer_files(self, scene: tuple[Case, Case]) -> list[Path]:
        """The diffusion model's answers about a scene, as many as there are."""
        return [path for case in scene for path in (self.stored.folder / case.name).glob("*-*.safetensors")]

    @cached_property
    def attribution_key(self) -> str:
        return hashlib.sha256(self.classifier.read_bytes() + repr(self.variants).encode()).hexdigest()

    @cached_property
    def network(self) -> classifier.Classifier:
        return classifier.load(self.classifier)


# ------------------------------------------------------------------------------------------------- what the choice needs


def measure_choice(bench: Bench, scene: tuple[Case, Case], with_variants: bool) -> dict:
    """AIMS of all candidates on both pictures of a scene, of the rivals' variants too where asked, and the verdicts."""
    pictures = {}
    for case in scene:
        predictions = bench.stored.predictions(case, case.label, case.twin)
        if predictions is None:
            return {}
        target = Target.of(case, bench.everywhere)
        found = {repr(recipe): target.aims(recipe.draw(predictions)) for recipe in maps.candidates(predictions.noised.steps)}
        if with_variants:
            picture = case.picture(bench.stored.setting.picture_size)
            drawn = attributions.attributions(bench.network, picture, case.label, case.twin, bench.variants, case.noise_seed)
            found |= {name: target.aims(values) for name, values in drawn.items()}
        pictures[case.label] = {"aims": found, "log_odds": verdicts(predictions)}
    return {"pair": scene[0].pair, "seed": scene[0].seed, "pictures": pictures}


# -------------------------------------------------------------------------------------------------- what the report needs


def measure_scene(bench: Bench, scene: tuple[Case, Case]) -> dict:
    """Everything that the report says of a scene: {} where an answer is missing that all scenes need."""
    found = [bench.stored.predictions(case, case.label, case.twin) for case in scene]
    if any(predictions is None for predictions in found):
        return {}
    pictures = {case.label: measure_picture(bench, case, predictions) for case, predictions in zip(scene, found)}
    evidence = Recipe("evidence", 0, found[0].noised.steps)
    own = [evidence.draw(predictions) > 0 for predictions in found]
    flips = (own[0] & own[1])[scene[0].truth()].mean()
    return {"pair": scene[0].pair, "seed": scene[0].seed, "pictures": pictures, "flipping": float(flips)}


def measure_picture(bench: Bench, case: Case, predictions: NoisePredictions) -> dict:
    """The measures of every map, and the facts that need no map."""
    target = Target.of(case, bench.everywhere)
    drawn = dict(our_maps(bench, predictions)) | dict(rival_maps(bench, case, target))
    result = {"log_odds": verdicts(predictions), "steps": evidence_of_steps(predictions).mean(0)[:, 0].tolist()}
    result |= {"signs": signs(predictions, target), "clutter": clutter_densities(bench, case, predictions, target)}
    if case in bench.deep:
        drawn |= dict(deep_maps(bench, case))
        result |= {"labels": foreign_verdicts(bench, case), "spent": costs(bench, case, target)}
    return result | {"maps": [[*name, target.measure(values)] for name, values in drawn.items()]}


def recipes(bench: Bench, steps: int) -> list[Recipe]:
    """Every reading over the whole schedule in both weightings, the chosen ones, and all parts of the schedule."""
    whole = [Recipe(name, 0, steps, weighting) for name in READINGS for weighting in WEIGHTINGS]
    parts = [Recipe(name, *part) for name in READINGS if name != "channel mean" for part in parts_of(steps)]
    return list(dict.fromkeys([*whole, *bench.chosen, *parts]))


def name_of(recipe: Recipe, against: str = "twin", samples: int = 2) -> Name:
    return (recipe.name, against, recipe.range, recipe.weighting, str(samples))


def our_maps(bench: Bench, predictions: NoisePredictions) -> Iterator[tuple[Name, np.ndarray]]:
    for recipe in recipes(bench, predictions.noised.steps):
        yield name_of(recipe), recipe.draw(predictions)


def rival_maps(bench: Bench, case: Case, target: Target) -> Iterator[tuple[Name, np.ndarray]]:
    """DiffEdit's, the classifier's and the trivial maps."""
    edit = bench.stored.mask(case, DIFFEDIT_MAPS)
    if edit is not None:
        yield ("DiffEdit, before binarising", *NOT_OURS), enlarge(edit["soft"])
        yield ("DiffEdit, mask", *NOT_OURS), enlarge(edit["mask"].float())
    for name, values in attribution_maps(bench, case).items():
        yield (name, *NOT_OURS), values
    for name, trivial in TRIVIAL_MAPS.items():
        yield (name, *NOT_OURS), trivial(case.picture(MEASURED_SIZE), target.silhouette)


def attribution_maps(bench: Bench, case: Case) -> dict[str, np.ndarray]:
    """The chosen variants' maps [H,W], made once and kept beside the model's answers."""
    picture = case.picture(bench.stored.setting.picture_size)
    key = json.dumps({"classifier": bench.attribution_key, "picture": hashlib.sha256(picture.tobytes()).hexdigest()})
    file = bench.stored.folder / case.name / "attributions.safetensors"
    kept = answers.read(file, key)
    if kept is None:
        drawn = attributions.attributions(bench.network, picture, case.label, case.twin, bench.variants, case.noise_seed)
        kept = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in drawn.items()}
        answers.write(file, kept, key)
    return {name: values.numpy() for name, values in kept.items()}


def deep_maps(bench: Bench, case: Case) -> Iterator[tuple[Name, np.ndarray]]:
    """The chosen maps from 1, 2, 4 and 16 noise samples, and from other prompts."""
    many = bench.stored.predictions(case, case.label, case.twin, samples=16)
    for count in (1, 2, 4, 16) if many else ():
        part = select(many, range(count), range(many.noised.steps))
        for recipe in bench.chosen:
            yield name_of(recipe, "twin, the deep scenes", count), recipe.draw(part)
    others = {
        "empty prompt": (case.label, ""),
        "a label of another pair": (case.label, case.foreign[0]),
        "another pair's labels": case.foreign,
    }
    for against, labels in others.items():
        predictions = bench.stored.predictions(case, *labels)
        for recipe in bench.chosen if predictions else ():
            yield name_of(recipe, against), recipe.draw(predictions)


def verdicts(predictions: NoisePredictions) -> dict[str, float]:
    """The log-odds of the target, in nats, for each of BUDGETS."""
    steps, odds = predictions.noised.steps, {}
    for name, (part, count, samples) in BUDGETS.items():
        first, last = (round(steps * end) for end in part)
        taken = evenly(min(first, steps - 1), max(last, 1), count or steps)
        odds[name] = float(evidence_of_steps(select(predictions, samples, taken)).sum(1).mean())
    return odds


def foreign_verdicts(bench: Bench, case: Case) -> dict[str, float]:
    """Log-odds, in nats, where one label or both are in neither twin; what is missing is left out."""
    asked = {
        "own against its twin's": (case.label, case.twin),
        "own against another pair's": (case.label, case.foreign[0]),
        "its twin's against another pair's": (case.twin, case.foreign[0]),
        "two of another pair": case.foreign,
    }
    found = {name: bench.stored.predictions(case, *labels) for name, labels in asked.items()}
    return {name: float(evidence_of_steps(p).sum(1).mean()) for name, p in found.items() if p is not None}


def signs(predictions: NoisePredictions, target: Target) -> dict[str, float]:
    """The share of pixels with evidence for the own label, over all steps: in the truth, its parts, and where twins agree."""
    positive = Recipe("evidence", 0, predictions.noised.steps).draw(predictions) > 0
    parts = {
        "truth": target.truth,
        "present": target.present,
        "absent": target.truth & ~target.present,
        "shared object": target.silhouette & ~target.truth,
        "background": ~target.inside,
    }
    return {name: float(positive[part].mean()) if part.sum() >= SMALLEST else float("nan") for name, part in parts.items()}


def clutter_densities(
    bench: Bench, case: Case, predictions: NoisePredictions, target: Target
) -> list[tuple[str, dict[str, list[float]]]]:
    """For each thing that stands about apart from the object, the maps' mean on it, on plain background and on the truth.

    Maps are the best one and the evidence over all steps.
    """
    clutter = case.clutter()
    plain = ~target.inside & ~np.any([mask for _, mask in clutter], axis=0) if clutter else None
    drawn = {"best map": bench.chosen[0].draw(predictions)}
    drawn["evidence"] = Recipe("evidence", 0, predictions.noised.steps).draw(predictions)
    return [
        (
            kind,
            {
                name: [float(values[part].mean()) for part in (mask & ~target.inside, plain, target.truth)]
                for name, values in drawn.items()
            },
        )
        for kind, mask in clutter
        if (mask & ~target.inside).sum() >= SMALLEST
    ]


def costs(bench: Bench, case: Case, target: Target) -> list[dict]:
    """What each way of spending evaluations gives on this picture; nothing where answers are missing."""
    many = bench.stored.predictions(case, case.label, case.twin, samples=16)
    two, four = (bench.stored.predictions(case, case.label, case.twin, n, "information") for n in (2, 4))
    spaced = four or two
    if many is None or spaced is None:
        return []
    chosen = {recipe.name: recipe for recipe in bench.chosen}

    def soft(maps: int, draw: int) -> Tensor | None:
        edit = bench.stored.mask(case, maps, draw)
        return None if edit is None else edit["soft"]

    return [asdict(spent) for spent in cost.spend(many, spaced, soft, chosen, target.truth, target.inside)]
