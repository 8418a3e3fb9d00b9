"""Does one place alone decide a classifier's answer? A window of one class's pictures is put into those of the others.

If the answer becomes that class wherever the window goes, the classifier calls the class by what lies there. That may be a real
difference, or a shortcut; the data's own model, asked about the same pictures, tells which. Half of the pictures serve to find a
place for each class, the other half to count what it does, so that the search does not flatter the count.

Shapes: B pictures, S their width and height, K classes, M pairs of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from ...nodes.maths.method.classifier import Classifier
from ...nodes.maths.method.difference import sum_steps
from ..finished import Model
from ..intervals import Interval, share
from ..own_pictures.classifier import logits
from .maps import ask

SIDES = (1 / 4, 3 / 8)
"""Windows of these shares of the picture's side, half a window apart; and a frame along the edges, half as wide as the first."""
SEARCHED = 120  # pairs in each window while a place is searched, of all classes together
FEWEST = 4  # of each class
COUNTED = 100  # pairs for each class, in the place that was found
ASKED = 16  # of these the data's model is asked about
KEEPS = 0.9
"""A place is made smaller as long as this share of its flips is left."""
FLIPS = 0.5
"""A place is conspicuous if surely more than this share of the answers become the class: clean trainings stay below."""
CHANCE = 0.05
"""That a clean classifier shows any conspicuous place; it is shared out among the classes."""


@dataclass(frozen=True)
class Place:
    """A square of pixels; or with a border only its edge, so many pixels wide."""

    top: int
    left: int
    side: int
    border: int = 0

    def mask(self, size: int) -> Tensor:
        """Its pixels in a picture, bool [S,S]."""
        found = torch.zeros(size, size, dtype=torch.bool)
        self.cut(found)[:] = True
        if self.border:
            self.cut(found)[self.border : -self.border, self.border : -self.border] = False
        return found

    def cut(self, pictures: Tensor) -> Tensor:
        """This square of pictures [...,S,S]."""
        return pictures[..., self.top : self.top + self.side, self.left : self.left + self.side]

    def smaller(self, step: int) -> list[Place]:
        """The places that are this much narrower: a square may shrink to any of its corners."""
        if self.border:
            return [replace(self, border=self.border - step)] if self.border > step else []
        shifts = [(down, right) for down in (0, step) for right in (0, step)] if self.side > 2 * step else []
        return [Place(self.top + down, self.left + right, self.side - step) for down, right in shifts]

    def moved(self, step: int, size: int) -> list[Place]:
        """The places beside it, inside a picture; a frame has none."""
        shifts = [] if self.border else [(-step, 0), (step, 0), (0, -step), (0, step)]
        found = [Place(self.top + down, self.left + right, self.side) for down, right in shifts]
        return [one for one in found if min(one.top, one.left) >= 0 and max(one.top, one.left) + one.side <= size]

    def words(self, size: int) -> str:
        """Where it lies: rows 1 to 4, columns 13 to 16 of 16."""
        if self.border:
            return f"a frame along the edges, {self.border} of {size} pixels wide"
        rows, columns = (f"{start + 1} to {start + self.side}" for start in (self.top, self.left))
        return f"rows {rows}, columns {columns} of {size}"


@dataclass(frozen=True)
class Pairs:
    """M pairs: the picture that gives a window, and the one that receives it, which is not of the giver's class."""

    donors: np.ndarray
    receivers: np.ndarray

    def first(self, count: int) -> Pairs:
        return Pairs(self.donors[:count], self.receivers[:count])


@dataclass(frozen=True)
class Finding:
    """What the place that does most for a class does to pictures of other classes."""

    called: int
    """The class."""
    place: Place
    pairs: Pairs
    """From pictures that were not searched."""
    flipped: np.ndarray
    """[M] whether the answer became the class."""
    control: np.ndarray
    """[M] the same with the window of a third picture, which is not of the class either."""
    elsewhere: np.ndarray
    """[M] the same with an ordinary place, the median of those that don't touch this one: a large mark fills several."""
    classes: int
    """K, among which the chance of a false alarm is shared out."""
    asked: int = 0
    """Of how many pictures the data's model was asked."""
    followed: np.ndarray | None = None
    """Of those which it told from the class before: whether it comes to prefer the class. None before it is asked."""

    @property
    def flips(self) -> Interval:
        """The share of answers that become the class."""
        return share(self.flipped, 1 - CHANCE / self.classes)

    @property
    def data(self) -> Interval | None:
        """The share of answers of the data's model that become the class; None if it told no picture from the class."""
        told = self.followed is not None and len(self.followed)
        return share(self.followed, 1 - CHANCE / self.classes) if told else None

    @property
    def conspicuous(self) -> bool:
        """Whether the place decides: it flips many answers, surely more than another class's window and than another place."""
        chance = CHANCE / self.classes
        return self.flips.low > FLIPS and all(
            surely_more(self.flipped, other, chance) for other in (self.control, self.elsewhere)
        )

    @property
    def tells(self) -> bool:
        """Whether there are pictures enough to find any place conspicuous, were all their answers to become the class."""
        whole, none = np.ones_like(self.flipped), np.zeros_like(self.control)
        return replace(self, flipped=whole, control=none, elsewhere=none).conspicuous

    @property
    def unknown_to_data(self) -> bool:
        """Whether the data's model surely follows the place less than the classifier does: this is no difference of the data."""
        return self.conspicuous and self.data is not None and self.data.high < self.flips.low


class Transplants:
    """A classifier, and labelled pictures uint8 [B,3,S,S] whose windows are put into one another."""

    def __init__(self, classifier: Classifier, pictures: Tensor, labels: Tensor, seed: int = 0) -> None:
        self.classifier, self.pictures, self.labels = classifier, pictures, labels.numpy()
        self.called = logits(classifier, pictures).argmax(1).numpy()
        self.size, self.classes = pictures.shape[-1], len(classifier.classes)
        self.generator = np.random.default_rng(seed)
        order = self.generator.permutation(len(labels))
        order = order[np.argsort(self.labels[order], kind="stable")]
        self.halves = order[::2], order[1::2]

    def find(self) -> list[Finding]:
        """The place that does most for each class, the most conspicuous first."""
        places = candidates(self.size)
        pairs, answers = self.search(places)
        found = []
        for called in range(self.classes):
            if len(self.pairs(called, self.halves[1], 1).donors):
                gains = self.gains(called, pairs, answers)
                areas = np.array([place.mask(self.size).sum() for place in places])
                enough = gains >= KEEPS * gains.max()
                best = places[int(np.where(enough, gains - areas, -np.inf).argmax())]  # the smallest, of those the best
                apart = [n for n, other in enumerate(places) if not (best.mask(self.size) & other.mask(self.size)).any()]
                rival = places[sorted(apart, key=lambda n: gains[n])[len(apart) // 2]] if apart else best
                found.append(self.count(called, self.settle(called, best), rival))
        return sorted(found, key=lambda one: (one.conspicuous, one.flips.value), reverse=True)

    def search(self, places: Sequence[Place]) -> tuple[Pairs, np.ndarray]:
        """Pairs of all classes, and what the classifier answers in each place, [P,M]."""
        count = max(FEWEST, SEARCHED // self.classes)
        parts = [self.pairs(called, self.halves[0], count) for called in range(self.classes)]
        pairs = Pairs(np.concatenate([one.donors for one in parts]), np.concatenate([one.receivers for one in parts]))
        return pairs, np.array([self.answers(pairs, place) for place in places])

    def gains(self, called: int, pairs: Pairs, answers: np.ndarray) -> np.ndarray:
        """How much oftener each place makes the answer `called` if it comes from that class than if from another, [P]."""
        flipped = answers == called
        own = self.labels[pairs.donors] == called
        others = ~own & (self.called[pairs.receivers] != called)
        return _mean(flipped[:, own]) - _mean(flipped[:, others])

    def settle(self, called: int, place: Place) -> Place:
        """The place moved to where it flips most, and then made as small as keeps most of it, if there are many flips."""
        pairs, step = self.pairs(called, self.halves[0], COUNTED), max(1, self.size // 32)

        def flips(there: Place) -> float:
            return float((self.answers(pairs, there) == called).mean()) if len(pairs.donors) else 0.0

        most = flips(place)
        if most <= FLIPS:
            return place
        while beside := [(flips(other), other) for other in place.moved(step, self.size)]:
            better, there = max(beside, key=lambda one: one[0])
            if better <= most:
                break
            most, place = better, there
        while inside := [(flips(other), other) for other in place.smaller(step)]:
            kept, there = max(inside, key=lambda one: one[0])
            if kept < KEEPS * most:
                break
            place = there
        return place

    def count(self, called: int, place: Place, rival: Place) -> Finding:
        """What a place does to pictures that were not searched."""
        pairs = self.pairs(called, self.halves[1], COUNTED)
        foreign = self.halves[1][self.labels[self.halves[1]] != called]
        control = Pairs(self.generator.choice(foreign, len(pairs.donors)), pairs.receivers)
        flipped, controlled, elsewhere = (
            self.answers(each, there) == called for each, there in ((pairs, place), (control, place), (pairs, rival))
        )
        return Finding(called, place, pairs, flipped, controlled, elsewhere, self.classes)

    def ask_data(self, finding: Finding, model: Model) -> Finding:
        """The finding with what the data's model says of the same pictures, the class against the receiver's own."""
        pairs, follows = finding.pairs.first(ASKED), []
        for label in np.unique(self.labels[pairs.receivers]):
            chosen = self.labels[pairs.receivers] == label
            few = Pairs(pairs.donors[chosen], pairs.receivers[chosen])
            names = self.classifier.classes[finding.called], self.classifier.classes[label]
            shown = self.pictures[few.receivers], self.transplanted(few, finding.place)
            before, after = (log_odds(model, pictures, names) for pictures in shown)
            follows += (after > 0)[before <= 0].tolist()
        return replace(finding, asked=len(pairs.donors), followed=np.array(follows, bool))

    def pairs(self, called: int, among: np.ndarray, count: int) -> Pairs:
        """Up to `count` pairs with donors of a class; the receivers, each taken once, are neither of it nor called it."""
        donors = self.generator.permutation(among[self.labels[among] == called])
        foreign = (self.labels[among] != called) & (self.called[among] != called)
        receivers = self.generator.permutation(among[foreign])[: count if len(donors) else 0]
        return Pairs(np.resize(donors, len(receivers)), receivers)

    def transplanted(self, pairs: Pairs, place: Place) -> Tensor:
        """The receivers with the donors' pixels in the place, uint8 [M,3,S,S]."""
        return torch.where(place.mask(self.size), self.pictures[pairs.donors], self.pictures[pairs.receivers])

    def answers(self, pairs: Pairs, place: Place) -> np.ndarray:
        """[M] the classes that the classifier calls after the transplant."""
        if not len(pairs.donors):  # so few pictures that no half has two classes
            return np.zeros(0, dtype=int)
        return logits(self.classifier, self.transplanted(pairs, place)).argmax(1).numpy()


def candidates(size: int) -> list[Place]:
    """The windows that are tried, and the frame."""
    found = [Place(0, 0, size, max(1, round(SIDES[0] * size / 2)))]
    for side in (max(1, round(part * size)) for part in SIDES):
        starts = np.linspace(0, size - side, int(np.ceil(2 * (size - side) / side)) + 1).round().astype(int).tolist()
        found += [Place(top, left, side) for top in starts for left in starts]
    return found


def surely_more(often: np.ndarray, seldom: np.ndarray, chance: float) -> bool:
    """Whether one thing holds more often than another in the same pairs: the exact test of McNemar, one-sided."""
    alone, other = int((often & ~seldom).sum()), int((seldom & ~often).sum())
    return alone > 0 and binomtest(alone, alone + other, 0.5, "greater").pvalue <= chance


def log_odds(model: Model, pictures: Tensor, names: tuple[str, str]) -> Tensor:
    """The model's preference for the first name, [B], every step counting as much, always under the same noise."""
    return sum_steps(ask(model, pictures, names, 0), reading="evidence").values.mean(0).flatten(1).sum(1)


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(1) if values.shape[1] else np.zeros(len(values))
