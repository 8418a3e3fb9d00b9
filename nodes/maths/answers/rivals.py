"""More than two labels at once: what the model holds for each, which are clearly out, and from which sample on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..method.cases import Cases, FewLevels, compare_with_none, loses, wins
from ..method.familiarity import Familiarity, measure
from ..method.noising import NoisedLatents, assumed_of_shares
from ..method.order import Level, golden_order
from ..method.own_pictures import OwnPictures
from ..method.prediction import NoisePredictions, part_of
from ..method.reached import reached_cells
from ..method.uncertainty import error_of_total, reach, sum_blocks, variance_for_test, variance_of_total
from .labels import check_count

EARLY = 8
"""At so many steps of a schedule of at least twice as many there is a test before the others are asked: see `Contest`."""

LEAST_BY_SCATTER = 0.99
"""The confidence of a test by how the steps scatter is at least this, see `variance_for_test`."""


@dataclass(frozen=True)
class Standing:
    """Where one label stands for one image."""

    label: int
    """Its number."""
    log_odds: float
    """Nats against the winner, log p(image|label) - log p(image|winner): 0 for the winner, below 0 for nearly all others."""
    error: float | None
    """Standard error of the log-odds; None for the winner, and if it is unknown."""
    assumed: float
    """How many of these nats stand for the ends of the schedule, at which the label was not asked."""
    probability: float
    """Softmax over the log-odds of all labels / temperature, if no other label is possible and all are equally likely before."""
    samples: int
    """Noise samples that it was compared over."""
    steps: int
    """Steps that it was compared over."""
    out: bool
    """Whether it is clearly behind a label, see `Contest`."""


class Contest:
    """Compares K labels over the same noise and says which of them need more samples.

    Label k's error is e_k = sum over steps, cells and channels of Delta-lambda/2 * (noise - eps_k)^2, and e_b - e_a are the
    log-odds of a against b that a diffusion classifier reports (Li et al. 2023). Since all labels see the same noise, the
    differences are paired.

    After 2, 4, 8 ... independent estimates (samples, or antithetic pairs) every label that is left is tested against the
    leader, the one with the smallest mean error: it is out if its mean deficit is above 0 by more than noise makes it, see
    `is_above_noise`. The level is divided by the rivals and by the looks (Bonferroni): the best label is out in at most
    1 - confidence of all contests. What is out keeps its samples and gets no more. Every image has a contest of its own; a label
    is predicted as long as one image needs it, but counts for each image only up to where that image dropped it, so that a batch
    says what single runs say. Of a single estimate there is one test, after all steps, by how these scatter.

    Of three labels or more those that are far behind need not be asked at all steps: the first test comes after the first
    `EARLY` steps of `golden_order`, which are spread over the schedule, with two independent estimates. It leaves two labels in
    at least, the leader and the rival next to it, so that what is explained has all steps.
    """

    def __init__(
        self,
        noised: NoisedLatents,
        labels: Sequence[str],
        confidence: float = 0.99,
        stop_early: bool = True,
        temperature: float = 1.0,
        own_pictures: OwnPictures | None = None,
        unseen: str = "",
    ) -> None:
        """Begin a contest of at least two labels; without `stop_early` all samples are taken, and tested once at the end.

        temperature: what the log-odds are divided by to be probabilities; 1 if none was fitted.
        own_pictures, unseen: see `NoisePredictions`.

        Raises:
            ValueError: fewer than 2 labels or too many, a confidence that is not between 0.5 and 1, or a temperature that is not
                above 0.
        """
        check_count(labels)
        if not 0.5 <= confidence < 1:
            raise ValueError(f"The confidence is {confidence:g}; expected 0.5 or more, and less than 1.")
        if not 0 < temperature < torch.inf:
            raise ValueError(f"The temperature is {temperature:g}; expected a number above 0, 1 if none was fitted.")
        self.noised, self.labels, self.confidence, self.temperature = noised, tuple(labels), confidence, temperature
        self.own_pictures, self.unseen = own_pictures, unseen
        self.familiarity: list[Familiarity] = []
        """Of each image, once `recognise` was asked."""
        self.without: tuple[Tensor, Tensor] | None = None
        """Nats of each label against no words at all, [K,B], and their standard errors, once `compare_with_none` was asked."""
        self.looks = look_times(noised.estimates, stop_early)
        """After how many independent estimates there is a test."""
        self.first_steps = first_steps(noised, len(labels)) if stop_early else []
        """The steps, rising, after which there is one before all of them are asked; none for no such test."""
        shape = len(labels), noised.samples, noised.steps, noised.images
        self.errors = torch.full(shape, torch.nan, dtype=torch.float64)
        """[K,R,S,B] nats; float64, since they are large and their differences are small."""
        self.blocks = torch.full((*shape, len(sum_blocks(noised.x0[0, 0]))), torch.nan)
        """[K,R,S,B,P] the same in each of P blocks of the picture."""
        self.samples = torch.zeros(len(labels), noised.images, dtype=torch.long)
        """[K,B] how many samples count for each label and image."""
        self.out = torch.zeros(len(labels), noised.images, dtype=torch.bool)
        """[K,B] see the class."""
        self.early = torch.zeros_like(self.out)
        """[K,B] whether it was out after the first steps, and has no others."""
        self.first_errors = torch.zeros(0)
        """[K,R,n,B] nats of the n first steps alone, each standing for its share of the schedule."""
        self._looked = -1 if self.first_steps else 0

    def needed(self) -> list[int] | None:
        """How many samples of each label to predict next, or None when all is decided."""
        if self._looked < 0:
            return [self._first_samples] * len(self.labels)
        wanted = self._wanted()
        if self._looked == len(self.looks) or torch.equal(wanted, self.samples):
            return None
        return torch.where(self.early, self._first_samples, wanted).amax(dim=1).tolist()

    def levels(self) -> list[list[Level]] | None:
        """The same as each label's (sample, step)s, those of earlier rounds among them."""
        samples, few, every = self.needed(), self.first_steps, range(self.noised.steps)
        if samples is None:
            return None
        short = [True] * len(samples) if self._looked < 0 else self.early.all(dim=1).tolist()
        return [
            [(sample, step) for step in (few if only_few else every) for sample in range(count)]
            for count, only_few in zip(samples, short, strict=True)
        ]

    def look(self, predictions: Sequence[Tensor]) -> None:
        """Take in what was `needed`, each label's predictions [R,S,B,C,h,w], and drop the labels that are now out."""
        if self._looked < 0:
            self._look_at_first_steps(predictions)
            self._looked = 0
            return
        wanted, before = self._wanted(), self.samples
        for label, array in enumerate(predictions):
            start, end = int(before[label].max()), int(wanted[label].max())
            if end > start:
                self.errors[label, start:end], self.blocks[label, start:end] = squared_errors(self.noised, array, start, end)
        self.samples = wanted
        self._drop(self.looks[self._looked] * self._per_estimate)
        self._looked += 1

    def _look_at_first_steps(self, predictions: Sequence[Tensor]) -> None:
        """Test every label but the leader and the one next to it, after the first steps."""
        found = [squared_errors(self._first, array, 0, self._first_samples) for array in predictions]
        self.first_errors = torch.stack([errors for errors, _ in found])
        means = self.first_errors.sum(dim=2).mean(dim=1)
        blocks = torch.stack([blocks for _, blocks in found])
        behind = self._behind(self._first, self.first_errors, blocks, means.argmin(dim=0))
        nearest = means.argsort(dim=0, stable=True)[:2]
        self.out = self.early = behind.scatter(0, nearest, False)

    @property
    def _first_samples(self) -> int:
        return self.looks[0] * self._per_estimate

    @cached_property
    def _first(self) -> NoisedLatents:
        """The noised latents that the first steps are tested with."""
        return self.noised.only(self.first_steps, self._first_samples)

    def _wanted(self) -> Tensor:
        """[K,B] how many samples of all steps are to count after the next look."""
        if self._looked == len(self.looks):
            return self.samples
        still = ~self.out & ((~self.out).sum(dim=0) > 1)
        return torch.where(still, self.looks[self._looked] * self._per_estimate, self.samples)

    @property
    def _per_estimate(self) -> int:
        return 2 if self.noised.antithetic else 1

    def _drop(self, samples: int) -> None:
        """Test every label against its image's leader; those that are still in have so many samples."""
        inside = ~self.out & ((~self.out).sum(dim=0) > 1)
        leaders = torch.tensor([self.winner(image) for image in range(self.noised.images)])
        self.out = self.out | inside & self._behind(self.noised, self.errors[:, :samples], self.blocks[:, :samples], leaders)

    def _behind(self, noised: NoisedLatents, errors: Tensor, blocks: Tensor, leaders: Tensor) -> Tensor:
        """[K,B] which labels are clearly behind each image's leader [B]; errors [K,R,S,B], blocks [K,R,S,B,P]."""
        tests = len(self.looks) + bool(self.first_steps)
        confidence = 1 - (1 - self.certainty) / ((len(self.labels) - 1) * tests)
        deficits = ((_deficit(errors, k, leaders), _deficit(blocks, k, leaders)) for k in range(len(self.labels)))
        return torch.stack([is_above_noise(nats, parts, noised, confidence) for nats, parts in deficits])

    def winner(self, image: int) -> int:
        """The label with the smallest mean error among those that are not out."""
        inside = [label for label in range(len(self.labels)) if not self.out[label, image]]
        return min(inside, key=lambda label: float(self._mean_error(label, image)))

    @property
    def winners(self) -> list[str]:
        """Each image's winner by name."""
        return [self.labels[self.winner(image)] for image in range(self.noised.images)]

    def rivals(self, target: int, image: int) -> list[int]:
        """All labels but the target, the strongest first."""
        return [standing.label for standing in self.standings(image) if standing.label != target]

    def sides(self, target: int | None, contrast: int | None) -> tuple[list[int], int]:
        """Each image's label to explain, and the one that the first image's is compared with.

        Where none is chosen they are each image's winner, and the strongest rival in the first image.
        """
        targets = [self.winner(image) if target is None else target for image in range(self.noised.images)]
        if contrast in (None, targets[0]):  # the same only where the winner turned out to be the chosen contrast
            contrast = self.rivals(targets[0], image=0)[0]
        return targets, contrast

    def _mean_error(self, label: int, image: int) -> Tensor:
        return self.errors[label, : self.samples[label, image], :, image].sum(dim=1).mean()

    def shared_samples(self, first: int, second: int, image: int) -> int:
        """How many samples count for both of two labels."""
        if self.early[[first, second], image].any():
            return self._first_samples
        return int(self.samples[[first, second], image].min())

    def steps(self, label: int, image: int) -> int:
        """How many steps a label was asked at for an image."""
        return len(self.first_steps) if self.early[label, image] else self.noised.steps

    def log_odds(self, first: int, second: int, image: int) -> LogOdds:
        """log p(image|first) - log p(image|second) over the samples that both have."""
        count = self.shared_samples(first, second, image)
        early = bool(self.early[[first, second], image].any())
        errors = self.first_errors if early else self.errors
        parts = errors[second, :count, :, image] - errors[first, :count, :, image]
        error = self._error(parts, early)
        ends = assumed_of_shares(self.noised.log_snr, self.first_steps)[self.first_steps] if early else torch.zeros(1)
        assumed = float((ends * parts).sum(dim=1).mean())
        return LogOdds(float(parts.sum(dim=1).mean()), None if error is None else float(error), assumed)

    def _error(self, parts: Tensor, early: bool) -> Tensor | None:
        """Standard error [1] of the mean over the samples of a sum over steps, [R,n], see `error_of_total`."""
        noised = self._first if early else self.noised
        steps = noised.asked_steps
        shares, log_snr = noised.step_shares[steps], noised.log_snr[steps]
        return error_of_total(parts[:, :, None], shares, log_snr, noised.antithetic, noised.fresh_noise)

    @property
    def certainty(self) -> float:
        """The confidence that it takes to be out: of a test by how the steps scatter `LEAST_BY_SCATTER` at least."""
        return self.confidence if self.noised.estimates > 1 else max(self.confidence, LEAST_BY_SCATTER)

    @property
    def tested(self) -> bool:
        """Whether there is a standard error, and so a test: from the samples, or from how the steps scatter."""
        return self.log_odds(0, 1, image=0).error is not None

    def pair(self, predictions: Sequence[Tensor], target: int, contrast: int, image: int | None = None) -> NoisePredictions:
        """Two labels' predictions for one image, over the samples that count for both there; or for all images.

        For all images these are the samples, and steps, that were predicted for both.
        """
        both = [target, contrast]
        if image is None:
            images, early = slice(None), bool(self.early[both].all(dim=1).any())
            count = self._first_samples if early else int(self.samples[both].amax(dim=1).min())
        else:
            images, early = slice(image, image + 1), bool(self.early[both, image].any())
            count = self.shared_samples(target, contrast, image)
        whole = NoisePredictions(
            noised=replace(self.noised, x0=self.noised.x0[images]),
            target=predictions[target][:, :, images],
            contrast=predictions[contrast][:, :, images],
            target_label=self.labels[target],
            contrast_label=self.labels[contrast],
            own_pictures=self.own_pictures,
            unseen=self.unseen,
            temperature=self.temperature if self.temperature != 1 else None,
            cases=self._cases(target, contrast, images),
        )
        return part_of(whole, self.first_steps if early else self.noised.asked_steps, count)

    def _cases(self, target: int, contrast: int, images: slice) -> Cases | None:
        if self.without is None:
            return None
        (first, second), (first_error, second_error) = (array[[target, contrast], images] for array in self.without)
        return Cases(first, second, first_error, second_error, self.labels[target], self.labels[contrast])

    @property
    def in_common(self) -> NoisedLatents:
        """The noised latents with the steps alone that every label was asked at."""
        short = self.early.all(dim=1).any()
        return self.noised.only(self.first_steps, self.noised.samples) if short else self.noised

    def compare_with_none(self, predictions: Sequence[Tensor], few: FewLevels, empty: Tensor) -> None:
        """Find out how much better than no words the labels describe each image; `empty` [R,S,B,C,h,w] is of the few levels.

        These must be among those `in_common`.

        Every label has the first samples, which the few levels have: nothing is out before two of them.
        """
        own = [few.of(array) for array in predictions]
        reached = torch.stack([reached_cells(few.noised, own, step) for step in range(few.noised.steps)])
        nats, errors = zip(*(compare_with_none(few, array, empty, reached) for array in own), strict=True)
        self.without = torch.stack(nats), torch.stack(errors)

    def fitting(self, image: int) -> list[str]:
        """The labels that describe an image clearly better than no words at all, as far as that was asked."""
        if self.without is None:
            return []
        better = wins(self.without[0][:, image], self.without[1][:, image])
        return [label for label, fits in zip(self.labels, better.tolist(), strict=True) if fits]

    def fits_none(self, image: int) -> bool:
        """Whether all labels describe an image clearly worse than no words at all."""
        return self.without is not None and bool(loses(self.without[0][:, image], self.without[1][:, image]).all())

    def recognise(self, predictions: Sequence[Tensor]) -> None:
        """Find out whether the model knows each image, under its winner or the strongest rival."""
        for image in range(self.noised.images):
            winner = self.winner(image)
            self.familiarity.append(measure(self.pair(predictions, winner, self.rivals(winner, image)[0], image)))

    def is_strange(self, image: int) -> bool:
        """Whether the model does not know an image, or hardly, or was never shown all labels: then no answer is sure."""
        return bool(self.unseen) or any(not known.may_be_sure[0] for known in self.familiarity[image : image + 1])

    def against_none(self, label: int, image: int) -> LogOdds | None:
        """A label against no words at all, if that was asked."""
        return None if self.without is None else LogOdds(*(float(array[label, image]) for array in self.without))

    def standings(self, image: int) -> list[Standing]:
        """All labels, the winner first, the others by their log-odds against it."""
        winner = self.winner(image)
        found = [self.log_odds(label, winner, image) for label in range(len(self.labels))]
        means = torch.tensor([odds.mean for odds in found], dtype=torch.float64)
        probabilities = (means / self.temperature).softmax(dim=0).tolist()
        standings = [
            Standing(
                label=label,
                log_odds=odds.mean,
                error=None if label == winner else odds.error,
                assumed=odds.assumed,
                probability=probabilities[label],
                samples=self._first_samples if self.early[label, image] else int(self.samples[label, image]),
                steps=self.steps(label, image),
                out=bool(self.out[label, image]),
            )
            for label, odds in enumerate(found)
        ]
        return sorted(standings, key=lambda standing: (standing.label != winner, -standing.log_odds, standing.label))


@dataclass(frozen=True)
class LogOdds:
    """A mean in nats with its standard error, or with None if that is unknown."""

    mean: float
    error: float | None
    assumed: float = 0.0
    """How much of the mean stands for the ends of the schedule, at which not both labels were asked."""


def _deficit(errors: Tensor, label: int, leaders: Tensor) -> Tensor:
    """How much larger a label's errors are than each image's leader's, [K,R,S,B,...] and leaders [B] to [R,S,B,...]."""
    of_leaders = errors[leaders, :, :, torch.arange(len(leaders))]  # [B,R,S,...]
    return errors[label] - of_leaders.movedim(0, 2)


def is_above_noise(parts: Tensor, blocks: Tensor, noised: NoisedLatents, confidence: float) -> Tensor:
    """Whether the mean of each total is above 0 with this confidence, [B]; nowhere if no standard error is known.

    parts [R,S,B] and blocks [R,S,B,P] of every sample, and of the steps that were asked. A one-sided t test with what
    `variance_of_total` knows of the noise, so that it holds where one step carries nearly all of it, or `variance_for_test`.
    """
    pairs, fresh, steps = noised.antithetic, noised.fresh_noise, noised.asked_steps
    found = variance_of_total(parts, blocks, pairs, fresh)
    if found is None:
        found = variance_for_test(parts, noised.step_shares[steps], noised.log_snr[steps], fresh)
    if found is None:
        return torch.zeros(parts.shape[2], dtype=torch.bool)
    return parts.sum(dim=1).mean(dim=0) > reach(*found, confidence)


def look_times(estimates: int, stop_early: bool) -> list[int]:
    """After how many of the independent estimates the labels are tested: 2, 4, 8 ... and at the end, or at the end alone."""
    early = [2**power for power in range(1, estimates.bit_length()) if 2**power < estimates]
    return [*early, estimates] if stop_early else [estimates]


def first_steps(noised: NoisedLatents, labels: int) -> list[int]:
    """The steps after which there is an early test, rising; none where it would spare too little, or prove nothing."""
    if labels < 3 or noised.estimates < 2 or not noised.fresh_noise or noised.asked is not None or noised.steps < 2 * EARLY:
        return []
    return sorted(golden_order(noised.steps)[:EARLY])


def squared_errors(noised: NoisedLatents, predictions: Tensor, start: int, end: int) -> tuple[Tensor, Tensor]:
    """Delta-lambda/2 * sum over cells and channels of (noise - eps)^2 for the samples start ... end - 1, [end-start,S,B] float64.

    S are the steps that were asked.

    predictions [R,S,B,C,h,w]. Two labels' difference is the evidence of `difference.read_step`, added up over the cells. The
    second tensor is the same in each block of the picture, [end-start,S,B,P], see `sum_blocks`.
    """
    errors, blocks = [], []
    for step in noised.asked_steps:
        noise, share = noised.noise_of(step)[start:end, None].double(), noised.step_shares[step].double()
        squares = share / 2 * (noise - predictions[start:end, step].double()).square()
        errors.append(squares.sum(dim=(2, 3, 4)))
        blocks.append(sum_blocks(squares.sum(dim=2)))
    return torch.stack(errors, dim=1), torch.stack(blocks, dim=1)
