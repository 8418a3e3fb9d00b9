"""Two maps of one picture, and how far they agree: where a classifier looks, and where a model of the data sees the difference.

Both are asked the same: what makes the picture the class that the classifier calls, and not the next likely one?
Shapes: S the size of the diffusion model's pictures, G regions along a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats
from torch import Tensor
from torch.nn import functional

from ...nodes.maths.method.attribution import Choices, attribute
from ...nodes.maths.method.classifier import Classifier
from ...nodes.maths.method.difference import sum_steps
from ...nodes.maths.method.prediction import NoisePredictions
from ..finished import PROMPT, Model
from ..own_pictures import classifier as classifiers
from ..own_pictures.pictures import to_model_range

TIMESTEPS = (701, 601, 501, 401, 301)
REPLACED = 4  # other pictures that a region is taken from


@dataclass(frozen=True)
class Answer:
    """One picture's two maps, as shares of their mass, and what both say of it."""

    label: int
    called: int
    """The class that the classifier calls, of which both maps are."""
    other: int
    """The class that it finds next likely."""
    classifier_nats: float
    """log p(called) - log p(other) of the classifier."""
    data_nats: float
    """The same of the diffusion model, above 0 if it agrees."""
    classifier_map: np.ndarray
    """[S,S] share of the magnitude of Grad-CAM of the log-odds; adds up to 1."""
    data_map: np.ndarray
    """[S,S] share of the information by which the model tells the two classes apart; adds up to 1."""
    region: int
    """The region, counted along the rows, in which the classifier's share exceeds the data's by most."""
    changed: float
    """In how many of `REPLACED` tries the classifier calls another class once the region shows another picture's."""

    @property
    def parted(self) -> float:
        """The share of the mass that lies where the other map has none, 0 ... 1: the total variation of the two."""
        return float(np.abs(self.classifier_map - self.data_map).sum() / 2)

    def agreement(self, regions: int) -> float:
        """Spearman's rank correlation of the two maps over the regions; 0 where one of them is flat."""
        both = [in_regions(values, regions) for values in (self.classifier_map, self.data_map)]
        return 0.0 if min(np.ptp(values) for values in both) == 0 else float(stats.spearmanr(*both).statistic)


class Auditor:
    """Asks a classifier and a diffusion model about pictures uint8 [3,S,S]."""

    def __init__(self, classifier: Classifier, model: Model, regions: int = 4, layer: str = "") -> None:
        self.classifier, self.model, self.regions, self.choices = classifier, model, regions, Choices(layer=layer)

    @cached_property
    def size(self) -> int:
        """S, the size of the model's pictures."""
        return self.model.size

    def __call__(self, picture: Tensor, label: int, others: Tensor, seed: int) -> Answer:
        """Both maps of a picture; regions of it are replaced by those of `others` [n,3,S,S], pictures of other classes."""
        logits = classifiers.logits(self.classifier, picture[None])[0]
        called, other = logits.topk(2).indices.tolist()
        names = self.classifier.classes[called], self.classifier.classes[other]
        seen = attribute(self.classifier, picture[None].movedim(1, -1) / 255, *names, self.choices).values
        seen = functional.interpolate(seen[None].float(), picture.shape[-2:], mode="area")[0, 0]
        known, nats = self.ask_model(picture, names, seed)
        both = [as_shares(values.abs().numpy()) for values in (seen, known)]
        excess = in_regions(both[0], self.regions) - in_regions(both[1], self.regions)
        region = int(excess.argmax())
        return Answer(
            label,
            called,
            other,
            float(logits[called] - logits[other]),
            nats,
            *both,
            region=region,
            changed=self.change(picture, called, others, region),
        )

    def ask_model(self, picture: Tensor, names: tuple[str, str], seed: int) -> tuple[Tensor, float]:
        """The data's map [S,S], not negative, and the model's log-odds in nats for the first name."""
        predictions = ask(self.model, picture[None], names, seed)
        information = sum_steps(predictions, reading="information", weighting="uniform").values
        evidence = sum_steps(predictions, reading="evidence", weighting="information").values
        cells = information.flatten(0, -3).mean(0)[None, None].float()
        return functional.interpolate(cells, picture.shape[-2:], mode="nearest")[0, 0], float(evidence.sum())

    def change(self, picture: Tensor, called: int, others: Tensor, region: int) -> float:
        """The share of tries in which the classifier no longer calls the class; 0 without other pictures."""
        if not len(others):
            return 0.0
        rows, columns = window(region, self.regions, picture.shape[-1])
        tried = picture.repeat(len(others), 1, 1, 1)
        tried[:, :, rows, columns] = others[:, :, rows, columns]
        return float((classifiers.logits(self.classifier, tried).argmax(1) != called).float().mean())


def ask(model: Model, pictures: Tensor, names: tuple[str, str], seed: int) -> NoisePredictions:
    """What the model predicts for pictures uint8 [B,3,S,S] under the names of two classes."""
    noised = model.noise(model.encode(to_model_range(pictures)), seed, TIMESTEPS)
    predicted = (model.predict(noised, TIMESTEPS, PROMPT.format(name)) for name in names)
    return NoisePredictions(noised, *predicted, *names)


def as_shares(values: np.ndarray) -> np.ndarray:
    """A map that is not negative, divided by its sum; one without any mass is spread evenly."""
    total = values.sum()
    return np.full_like(values, 1 / values.size) if total <= 0 else values / total


def window(region: int, regions: int, size: int) -> tuple[slice, slice]:
    """Rows and columns of a region in a picture of this size."""
    edges = np.linspace(0, size, regions + 1).round().astype(int)
    row, column = divmod(region, regions)
    return slice(int(edges[row]), int(edges[row + 1])), slice(int(edges[column]), int(edges[column + 1]))


def in_regions(values: np.ndarray, regions: int) -> np.ndarray:
    """The sum of a map [S,S] in each of G² regions, along the rows."""
    return np.array([values[window(region, regions, len(values))].sum() for region in range(regions * regions)])
