"""Which of two labels a model prefers for a picture: the evidence of all its cells, in each step and over a range of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..method.cases import Cases
from ..method.difference import check_any_asked, check_range, read_step, step_weights
from ..method.familiarity import Familiarity, measure
from ..method.noising import FALL, assumed_of_shares, step_shares
from ..method.prediction import NoisePredictions
from ..method.scalar import ROUNDING_PER_STEP
from ..method.uncertainty import (
    error_of_sum,
    error_of_total,
    reach,
    scatter_of_steps,
    sum_blocks,
    variance_of_mean,
    variance_of_total,
)
from ..wording import (
    NATS,
    asked_words,
    assumed_words,
    beside_size,
    differing_part,
    format_value,
    format_with_error,
    plain_text,
    quoted,
    say,
    shorten,
    with_assumed,
)

CONFIDENCE = 0.95  # a verdict is undecided if the interval of this confidence contains 0
LONGEST_LABEL = 60  # characters, of a label within a sentence
EXTREME = 1e-4  # a probability nearer to 1 is written as more than this


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the model says about each of B images: target or contrast, from the evidence of the steps start ... end - 1.

    Over all its cells and steps the evidence adds up to log p(image|target) - log p(image|contrast), the log-odds of a
    diffusion classifier (Li et al. 2023): above 0 it speaks for the target, below 0 for the contrast.
    """

    evidence: Tensor
    """[R,S,B] nats of every step of the whole schedule, for each noise sample, positive for the target."""
    blocks: Tensor
    """[R,S,B,P] the same in each of P blocks of the picture."""
    differs: Tensor
    """[B] whether the predictions differ at all within the range."""
    log_snr: Tensor
    """[S] lambda of each step, rising."""
    start: int
    """First step of the range."""
    end: int
    """The step after the last one of the range."""
    temperature: float
    """What the log-odds are divided by to be a probability."""
    antithetic: bool
    """See `NoisedLatents`; so for the next."""
    fresh_noise: bool
    target_label: str
    """Untrusted text of any length, as the next."""
    contrast_label: str
    familiarity: Familiarity | None = None
    """Whether the model knows the images: of one that it does not know, nothing is decided."""
    unseen: str = ""
    """A sentence on words of the prompts that the model was never shown: then nothing is decided either; "" for none."""
    cases: Cases | None = None
    """How both labels compare with no words at all, if that was asked: where neither fits, nothing is decided."""
    asked: tuple[int, ...] | None = None
    """The steps that the model was asked about, see `NoisedLatents`; the others have no evidence of their own."""

    @property
    def images(self) -> int:
        """B, the number of images."""
        return self.evidence.shape[2]

    @property
    def steps(self) -> int:
        """S, the number of steps of the schedule."""
        return self.evidence.shape[1]

    @property
    def whole(self) -> bool:
        """Whether the range is all of the schedule."""
        return (self.start, self.end) == (0, self.steps)

    @property
    def shares(self) -> Tensor:
        """[S] each step's share of the log SNR axis, see `step_shares`."""
        return step_shares(self.log_snr, self.asked)

    @property
    def counted(self) -> Tensor:
        """[S] which steps count: those with a share of the log SNR axis, and so not pure noise (log SNR -inf)."""
        return self.shares > 0

    @property
    def weightless(self) -> bool:
        """Whether the steps of the range are pure noise alone, which says nothing of the images."""
        return not bool(self.counted[self.start : self.end].any())

    @property
    def step_evidence(self) -> Tensor:
        """[S,B] nats of each step, the mean over the noise samples."""
        return self.evidence.mean(dim=0)

    @property
    def step_error(self) -> Tensor | None:
        """[S,B] its standard error over the samples, None if these are a single estimate."""
        return error_of_sum(self.evidence[:, None], self.antithetic, self.fresh_noise)

    @property
    def sums(self) -> Tensor:
        """[end-start,B] nats from the first step of the range up to each of its steps; the last are the log-odds."""
        return self.step_evidence[self.start : self.end].cumsum(dim=0)

    @property
    def sums_half_width(self) -> Tensor | None:
        """[end-start,B] half the width of their confidence intervals, without the schedule's own error; None if it is unknown."""
        sampled = [found for end in range(self.start, self.end) if (found := self._sampled(end + 1)) is not None]
        if sampled:
            return torch.stack([_reach(*found) for found in sampled])
        scattered = self._scattered
        return None if scattered is None else _reach(scattered[0].cumsum(dim=0), scattered[1])

    @property
    def log_odds(self) -> Tensor:
        """[B] nats, above 0 for the target."""
        return self.step_evidence[self.start : self.end].sum(dim=0)

    @property
    def error(self) -> Tensor | None:
        """[B] the standard error of the log-odds, see `error_of_total`; None if it is unknown."""
        steps = slice(self.start, self.end)
        return error_of_total(self.evidence[:, steps], self.shares[steps], self.log_snr[steps], self.antithetic, self.fresh_noise)

    @property
    def half_width(self) -> Tensor | None:
        """[B] half the width of the confidence interval of the log-odds, None if it is unknown.

        By Student's t, which few samples and steps widen. The schedule's own error is added, and what is assumed of the ends,
        which may be all wrong, at either end for itself. How steps scatter has a part of these in it: then the squares are added.
        """
        others = torch.stack([schedule_error(self), assumed_parts(self).abs().sum(dim=0)])
        sampled, scattered = self._sampled(self.end), self._scattered
        if sampled is not None:
            return _reach(*sampled) + others.sum(dim=0)
        if scattered is None:
            return None
        return torch.stack([_reach(scattered[0].sum(dim=0), scattered[1]), *others]).square().sum(dim=0).sqrt()

    def _sampled(self, end: int) -> tuple[Tensor, Tensor] | None:
        """Squared standard error and degrees of freedom of the sum up to a step, [B], over samples: see `variance_of_total`."""
        steps = slice(self.start, end)
        return variance_of_total(self.evidence[:, steps], self.blocks[:, steps], self.antithetic, self.fresh_noise)

    @property
    def _scattered(self) -> tuple[Tensor, Tensor] | None:
        """Squared standard error of each step of the range, [end-start,B], and degrees of freedom [B], see `scatter_of_steps`."""
        steps = slice(self.start, self.end)
        return scatter_of_steps(self.evidence[:, steps], self.shares[steps], self.log_snr[steps], self.fresh_noise)

    @property
    def probability(self) -> Tensor:
        """[B] of the target: sigmoid(log-odds / temperature), if there is no other label and both are equally likely before."""
        return torch.sigmoid(self.log_odds.double() / self.temperature)

    @property
    def decided(self) -> Tensor:
        """[B] whether the confidence interval of the log-odds lies on one side of 0.

        If none is known, whether they are not 0. Never where the model does not know the image, or hardly.
        """
        half_width = self.half_width
        sure = self.log_odds.abs() >= (0 if half_width is None else half_width)
        return self.differs & (self.log_odds != 0) & sure & ~self.strange

    @property
    def strange(self) -> Tensor:
        """[B] whether the model does not know the image, or hardly, or the words, or neither fits: then no answer is sure."""
        if self.unseen:
            return torch.ones(self.images, dtype=torch.bool)
        known = torch.ones(self.images, dtype=torch.bool) if self.familiarity is None else self.familiarity.may_be_sure
        return ~known if self.cases is None else ~known | self.cases.neither

    def agreeing(self, image: int) -> tuple[int, int]:
        """How many steps of the range speak for the same label as their sum does, and how many there are that count."""
        counted = self.counted[self.start : self.end]
        signs = self.step_evidence[self.start : self.end, image].sign()
        return int((signs[counted] == self.log_odds[image].sign()).sum()), int(counted.sum())


def _reach(variance: Tensor, degrees: Tensor) -> Tensor:
    """Half the width of the confidence interval for a variance, [...,B], and its degrees of freedom, [B]."""
    return reach(variance, degrees, (1 + CONFIDENCE) / 2).float()


def judge(predictions: NoisePredictions, start: int = 0, end: int | None = None, temperature: float = 1.0) -> Verdict:
    """The verdict of the steps start ... end - 1; an end of None is that of the schedule.

    temperature: what the log-odds are divided by to be a probability; 1: what was fitted for the model, if that is known.

    Raises:
        ValueError: a range that is empty, leaves the schedule or has no asked step, a temperature that is not above 0, NaN.
    """
    noised = predictions.noised
    check_range(start, end, noised.steps)
    if not 0 < temperature < math.inf:
        raise ValueError(f"The temperature is {temperature:g}; expected a number above 0, 1 to leave the log-odds as they are.")
    end = noised.steps if end is None else end
    check_any_asked(noised, start, end)
    evidence, blocks = _evidence(predictions)
    if not torch.isfinite(evidence).all():
        raise ValueError("The noise predictions contain NaN or infinity. Check the latent, the prompts and the model.")
    counted = [step for step in noised.asked_within(start, end) if noised.step_shares[step] > 0]
    differs = torch.stack([_differs(predictions, step) for step in counted] or [torch.zeros(noised.images, dtype=torch.bool)])
    return Verdict(
        evidence=evidence,
        blocks=blocks,
        differs=differs.any(dim=0),
        log_snr=noised.log_snr,
        start=start,
        end=end,
        temperature=temperature if temperature != 1 else predictions.temperature or 1.0,
        antithetic=noised.antithetic,
        fresh_noise=noised.fresh_noise,
        target_label=predictions.target_label,
        contrast_label=predictions.contrast_label,
        familiarity=measure(predictions),
        unseen=predictions.unseen,
        cases=predictions.cases,
        asked=noised.asked,
    )


def evidence_of_steps(predictions: NoisePredictions) -> Tensor:
    """Delta-lambda/2 * sum over cells and C of (noise - eps_contrast)^2 - (noise - eps_target)^2, [R,S,B] nats of each step.

    "evidence" weighted by "information" as `sum_steps` sums it, here before the sum over steps and after that over cells.
    """
    return _evidence(predictions)[0]


def _evidence(predictions: NoisePredictions) -> tuple[Tensor, Tensor]:
    """What `evidence_of_steps` gives, and the same for each block of the picture, [R,S,B,P]."""
    noised, asked = predictions.noised, predictions.noised.asked_steps
    weights, steps, blocks = step_weights(noised, "information"), [], []
    for step in asked:
        evidence = read_step(predictions, step, "evidence")
        steps.append(weights[step] * evidence.sum((2, 3, 4)))
        blocks.append(weights[step] * sum_blocks(evidence.sum(2)))
    of_steps, of_blocks = (_of_all_steps(torch.stack(parts, dim=1), asked, noised.steps) for parts in (steps, blocks))
    return of_steps, of_blocks


def _of_all_steps(values: Tensor, asked: list[int], steps: int) -> Tensor:
    """Values of the asked steps, [R,n,...], with 0 for the others, [R,S,...]."""
    out = values.new_zeros(len(values), steps, *values.shape[2:])
    out[:, asked] = values
    return out


def schedule_error(verdict: Verdict) -> Tensor:
    """How far the sum over the steps may be from the integral over log SNR for which it stands, [B] nats.

    Two parts, each as far as it is more than noise: a third of what taking every second step changes (Richardson's estimate for
    a rule of the second order), and, where the range is the whole schedule, what lies beyond its two ends. The evidence of
    Gaussians falls off there as e^(-|lambda|), so that as much lies beyond an end as stands at it; twice that is counted. Where
    no step was asked at an end, what stands there is what `FALL` leaves of the nearest one.
    """
    steps = torch.arange(verdict.start, verdict.end)[verdict.counted[verdict.start : verdict.end]]
    if len(steps) < 3:
        return torch.zeros(verdict.images)
    density = verdict.evidence[:, steps] / verdict.shares[steps, None]
    half = torch.zeros(len(steps))
    kept = sorted({*range(0, len(steps), 2), len(steps) - 1})
    half[kept] = step_shares(verdict.log_snr[steps][kept])
    parts = [(step_shares(verdict.log_snr[steps]) - half) / 3]
    if verdict.whole:
        axis, places = verdict.log_snr[torch.isfinite(verdict.log_snr)], verdict.log_snr[steps]
        ends = (-FALL * torch.stack([places[0] - axis[0], axis[-1] - places[-1]])).exp()
        parts += [2 * ends[0] * torch.eye(len(steps))[0], 2 * ends[1] * torch.eye(len(steps))[-1]]
    return sum((_beyond_noise(verdict, (density * part[:, None]).sum(dim=1)) for part in parts), torch.zeros(verdict.images))


def assumed_parts(verdict: Verdict) -> Tensor:
    """Which part of each step's evidence stands for the ends of the log SNR axis, [end-start,B] nats for the target.

    No step was asked there. The first and the last one that were have shares beyond them, see `assumed_shares`.
    """
    steps = slice(verdict.start, verdict.end)
    return assumed_of_shares(verdict.log_snr, verdict.asked)[steps, None] * verdict.step_evidence[steps]


def _beyond_noise(verdict: Verdict, values: Tensor) -> Tensor:
    """The magnitude of a mean over the samples, [R,B] to [B], minus what its own noise adds to it."""
    variance = variance_of_mean(values, verdict.antithetic)
    square = values.mean(dim=0).square()
    return (square if variance is None else square - variance).clamp(min=0).sqrt()


def _differs(predictions: NoisePredictions, step: int) -> Tensor:
    """Whether one step's predictions differ by more than rounding, [B]."""
    return read_step(predictions, step, "difference").abs().amax((0, 2, 3, 4)) > ROUNDING_PER_STEP


# ------------------------------------------------------------------------------------------------------------- in words


def report(verdict: Verdict) -> str:
    """The verdict as plain text: what was compared, one line for each image, and how to read it."""
    lines = [f"{quoted(plain_text(verdict.target_label))} against {quoted(plain_text(verdict.contrast_label))}"]
    for image in range(verdict.images):
        number = f"Image {image + 1}: " if verdict.images > 1 else ""
        lines.append(" ".join([f"{number}{headline(verdict, image)}.", *details(verdict, image)]))
    return "\n".join([*lines, reading_rule(verdict)])


def headline(verdict: Verdict, image: int) -> str:
    """The answer in one line, without a full stop."""
    target, contrast = label_words(verdict)
    if not verdict.differs[image]:
        return say("no_weight" if verdict.weightless else "no_difference").removesuffix(".")
    nats = float(verdict.log_odds[image])
    if verdict.strange[image]:
        leading = f"{_with_error(verdict, image, abs(nats))} nats for {_leading(verdict, image)}"
        return f"No label is preferred, because {_why_not(verdict, image)}: {leading}"
    if not verdict.decided[image]:
        return f"Undecided between {target} and {contrast}: {_with_error(verdict, image, nats)} nats"
    if verdict.error is None:
        return f"{_leading(verdict, image)} is ahead by {_with_error(verdict, image, abs(nats))} nats"
    return f"The model prefers {_leading(verdict, image)} by {_with_error(verdict, image, abs(nats))} nats"


def _why_not(verdict: Verdict, image: int) -> str:
    if verdict.unseen:
        return "the model was never shown all of these words"
    if _only_unfit(verdict, image):
        return "neither describes this picture better than no words at all"
    return "the model does not know this picture well enough"


def _only_unfit(verdict: Verdict, image: int) -> bool:
    """Whether the model knows the picture and the words, but neither label fits."""
    return not verdict.unseen and (verdict.familiarity is None or bool(verdict.familiarity.may_be_sure[image]))


def preferences(verdict: Verdict) -> list[str]:
    """Each image's log-odds in a few words: “zebra” by 13.0 ± 1.0 nats."""
    return [
        with_assumed(f"{_leading(verdict, image)} by {_with_error(verdict, image, abs(nats))} nats", *_assumed(verdict, image))
        + _hedge(verdict, image)
        if verdict.differs[image]
        else ("pure noise alone" if verdict.weightless else "no difference")
        for image, nats in enumerate(verdict.log_odds.tolist())
    ]


def _hedge(verdict: Verdict, image: int) -> str:
    if verdict.strange[image]:
        unknown = "words" if verdict.unseen else "picture"
        return ", but neither fits" if _only_unfit(verdict, image) else f", but the model does not know the {unknown}"
    if verdict.error is None:
        return say("unsure_total", total="")
    return "" if verdict.decided[image] else ", undecided"


def details(verdict: Verdict, image: int) -> list[str]:
    """Sentences on the leading label's probability, how far the steps agree, and what a standard error needs."""
    sentences = []
    if verdict.differs[image]:
        # at temperature 1 the log-odds are far too sure for a probability; of what is not known or not decided there is none
        if verdict.temperature != 1 and verdict.decided[image] and verdict.error is not None:
            sentences.append(_probability_words(verdict, image))
        sentences += _agreement_words(verdict, image) + _interval_words(verdict, image) + _assumed_words(verdict, image)
    if verdict.differs[image] and verdict.error is None:
        sentences.append(f"Uncertainty unknown. {say('take_more')}.")
    sentences += [verdict.unseen] * bool(verdict.unseen)
    if verdict.cases is not None and (verdict.cases.neither[image] or not verdict.strange[image]):
        sentences += _case_words(verdict, verdict.cases, image)  # of what the model does not know, no words are said to fit
    if verdict.familiarity is not None:
        sentences.append(verdict.familiarity.words(image))
    return sentences


def _interval_words(verdict: Verdict, image: int) -> list[str]:
    """Why something many standard errors from 0 is undecided all the same: few samples or steps make a wide interval."""
    half_width = verdict.half_width
    if half_width is None or verdict.decided[image] or verdict.strange[image] or not torch.isfinite(half_width[image]):
        return []
    middle, half = float(verdict.log_odds[image]), float(half_width[image])
    low, high = format_value(middle - half), format_value(middle + half)
    return [f"The {CONFIDENCE:.0%} interval is {low} to {high} nats; more steps and samples narrow it."]


def _assumed_words(verdict: Verdict, image: int) -> list[str]:
    """That a large part of the log-odds is assumed, see `assumed_parts`: at the clean end evidence often falls or turns."""
    said = assumed_words(*_assumed(verdict, image))
    if not said:
        return []
    return [f"{said} of these nats are assumed: no step was asked at the ends of the schedule.", "Quality exact asks there."]


def _assumed(verdict: Verdict, image: int) -> tuple[float, float]:
    """How many of the leading label's nats are assumed, below 0 where they are against it; and all nats for the target."""
    nats, total = float(assumed_parts(verdict)[:, image].sum()), float(verdict.log_odds[image])
    return beside_size(nats, total), total


def _case_words(verdict: Verdict, cases: Cases, image: int) -> list[str]:
    """How the labels compare with no words, without a word against the verdict, and one prompt told but once."""
    target, case = plain_text(verdict.target_label), cases.cases[image]
    if not verdict.differs[image] and target == plain_text(verdict.contrast_label):
        better = {"neither": "worse", "both fit": "better"}.get(case, "hardly better")
        return [f"{quoted(target)} describes this picture {better} than no words at all."]
    ahead = "target" if verdict.log_odds[image] > 0 else "contrast"
    if case in ("target", "contrast") and (case != ahead or not verdict.differs[image]):
        return []  # both are within the chance of few samples
    return [cases.words(image)]


def label_words(verdict: Verdict) -> tuple[str, str]:
    """Target and contrast in quotation marks, short enough for a sentence, but still different."""
    target, contrast = plain_text(verdict.target_label), plain_text(verdict.contrast_label)
    return _short_words(differing_part(target, contrast)), _short_words(differing_part(contrast, target))


def _short_words(label: str) -> str:
    return quoted(label if len(label) <= LONGEST_LABEL else shorten(label, LONGEST_LABEL))


def range_words(verdict: Verdict) -> str:
    """Which steps the verdict is about."""
    asked = asked_words(None if verdict.asked is None else int(verdict.counted[verdict.start : verdict.end].sum()))
    if verdict.whole:
        return f"all {verdict.steps} steps{asked}" if verdict.steps > 1 else "the only step"
    return f"steps {verdict.start}–{verdict.end} of {verdict.steps}{asked}"


def reading_rule(verdict: Verdict) -> str:
    """Which steps and samples the numbers are from, and what ±, "undecided" and nats mean."""
    samples = len(verdict.evidence)
    taken = "one noise sample" if samples == 1 else f"mean over {samples} noise samples"
    made = f"Sum over {range_words(verdict)}, {taken}{' in pairs of opposite noise' if verdict.antithetic else ''}"
    if verdict.error is None:
        return f"{made}. {NATS}"
    return f"{made}; ± is one standard error. If the {CONFIDENCE:.0%} interval contains 0, it is undecided. {NATS}"


def _leading(verdict: Verdict, image: int) -> str:
    return label_words(verdict)[int(verdict.log_odds[image] < 0)]


def _with_error(verdict: Verdict, image: int, nats: float) -> str:
    return format_with_error(nats, None if verdict.error is None else float(verdict.error[image]))


def _agreement_words(verdict: Verdict, image: int) -> list[str]:
    agreeing, counted = verdict.agreeing(image)
    says = "agree" if verdict.decided[image] else f"speak for {_leading(verdict, image)}"
    return [f"{agreeing} of {counted} steps {says}."] if counted > 1 else []


def _probability_words(verdict: Verdict, image: int) -> str:
    target = float(verdict.probability[image])
    leading = max(target, 1 - target)
    at = f" at temperature {format_value(verdict.temperature)}"
    share = f"over {1 - EXTREME:.2%}" if leading > 1 - EXTREME else f"{leading:.2%}"
    return f"Probability of {_leading(verdict, image)}{at}: {share}."
