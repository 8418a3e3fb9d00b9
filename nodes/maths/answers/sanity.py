"""Does a map mean anything? Checks that a map of evidence must pass before it is believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..method.cases import ERRORS, Cases, few_levels
from ..method.difference import NoiseDifference, Reading, read_step, split_steps, step_weights, sum_steps
from ..method.familiarity import measure
from ..method.noising import NoisedLatents
from ..method.prediction import NoisePredictions
from ..method.reliability import agreements_needed
from ..method.scalar import ROUNDING_PER_STEP
from ..method.uncertainty import independent
from ..wording import differing_part, format_value, format_with_error, plain_text, quoted
from . import measures
from .verdict import CONFIDENCE, judge

SMALLEST_RESIDUAL = 1e-4
"""What float32 sums may be off by, relative to what is summed."""

PARAPHRASE_STAYS = 0.7
"""Spearman's rank correlation that two wordings of one question have at least. With the bundled model, 8 steps and one pair of
noise samples, known wordings had 0.99 and more, wordings that it never saw 0.4 and less."""

RANDOMISED_FALLS = 0.3
"""Spearman's rank correlation, of magnitudes, that a shuffled network may have at most. The bundled model's had 0.17 at most."""

DOUBTFUL = 0.9
"""Agreement of independent maps that noise alone reaches in 1 to 10 of 100 trials is unclear: it neither passes nor fails."""

LEAST_EVIDENCE = 1.0
"""Nats: odds of less than e to 1 are "not worth more than a bare mention" (Kass & Raftery 1995)."""


@dataclass(frozen=True)
class Check:
    """What came of one check."""

    name: str
    passed: bool | None
    """None: it was not made, or is unclear."""
    figure: str
    """The number that decides, with its bound."""
    words: str
    """What was compared, and what a failure means."""
    unclear: bool = False
    """Whether it was made and tells neither way."""

    def __str__(self) -> str:
        return f"{self.mark} · {self.name}: {self.figure}. {self.words}"

    @property
    def mark(self) -> str:
        return {True: "PASS", False: "FAIL", None: "UNCLEAR" if self.unclear else "SKIPPED"}[self.passed]


@dataclass(frozen=True, eq=False)
class Answers:
    """What the model said, every time on the same noised latents of one image, and was really asked for."""

    first: NoisePredictions
    """With `cases` if the model was asked without words as well."""
    swapped: NoisePredictions
    """Asked again, with target and contrast in each other's place."""
    randomised: NoisePredictions
    """The same prompts, with shuffled weights."""
    paraphrased: NoisePredictions | None = None
    """The same question in other words."""
    without_words: int = 0
    """How many predictions were made under the empty prompt."""

    @property
    def predictions(self) -> int:
        """How many predictions were made."""
        asked = [each for each in (self.first, self.swapped, self.randomised, self.paraphrased) if each is not None]
        return self.without_words + sum(array[..., 0, 0, 0].numel() for each in asked for array in (each.target, each.contrast))


def take_part(noised: NoisedLatents, steps: int, samples: int) -> NoisedLatents:
    """The first image with its first noise samples, at `steps` steps that are spread evenly over the schedule.

    All of them if there are fewer. An odd number of samples breaks an antithetic pair.

    Raises:
        ValueError: no steps or samples.
    """
    if steps < 1 or samples < 1:
        raise ValueError(f"steps is {steps}, samples is {samples}; expected at least 1 of each.")
    steps, samples = min(steps, noised.steps), min(samples, noised.samples)
    chosen = ((torch.arange(steps) + 0.5) * noised.steps / steps).long()
    return replace(
        noised,
        x0=noised.x0[:1],
        noise=noised.noise[:samples, chosen] if noised.fresh_noise else noised.noise[:samples],
        sigmas=noised.sigmas[chosen],
        alphas=noised.alphas[chosen],
        antithetic=noised.antithetic and samples % 2 == 0,
    )


def source_words(answers: Answers, steps: int) -> str:
    """What the answers are made of, out of a schedule of so many steps."""
    noised = answers.first.noised
    return f"{noised.steps} of {steps} steps, {noised.samples} noise samples, {answers.predictions} predictions"


def all_passed(checks: list[Check]) -> bool:
    """Whether every check that was made passed; an unclear one did not."""
    return not any(check.passed is False or check.unclear for check in checks)


def check_all(answers: Answers) -> list[Check]:
    """All checks, in the order of the report."""
    return [
        check_same_prompt(answers.first, answers.swapped),
        check_swapped(answers.first, answers.swapped),
        check_additivity(answers.first),
        check_paraphrase(answers.first, answers.paraphrased),
        check_randomised(answers.first, answers.randomised),
        check_other_noise(answers.first),
        check_evidence(answers.first),
        check_familiar(answers.first),
        check_words(answers.first, answers.without_words),
    ]


def check_same_prompt(first: NoisePredictions, swapped: NoisePredictions) -> Check:
    """A prompt that is asked for twice gives the same predictions, and the other prompt gives different ones.

    Raises:
        ValueError: the predictions are for different noised latents.
    """
    again = max(_largest(first.target - swapped.contrast), _largest(first.contrast - swapped.target))
    between = _largest(first.target - first.contrast)
    steady, heard = again <= ROUNDING_PER_STEP, between > max(again, ROUNDING_PER_STEP)
    figure = "asked twice, 0 exactly" if again == 0 else f"asked twice, {format_value(again)}" + " (float rounding)" * steady
    words = f"The largest difference, in noise standard deviations; between the two prompts it is {format_value(between)}."
    if not steady:
        words += " The model does not give the same answer twice, so its differences are partly chance."
    if not heard:
        words += " The two prompts make no difference to the model: it has nothing to explain."
    return Check("Same prompt → 0", steady and heard, figure, words)


def check_swapped(first: NoisePredictions, swapped: NoisePredictions) -> Check:
    """With the prompts asked for in each other's place, difference and evidence are the negative."""
    off = max(
        _relative(_largest(evidence.values + other.values), _largest(evidence.values))
        for evidence, other in ((summed(first, reading), summed(swapped, reading)) for reading in ("difference", "evidence"))
    )
    figure = "the negative exactly" if off == 0 else f"the negative except for {format_value(off)} of the largest value"
    words = f"Bound: {format_value(SMALLEST_RESIDUAL)}, for float rounding. Difference and evidence with both prompts asked anew."
    return Check("Prompts swapped → negative", off <= SMALLEST_RESIDUAL, figure, words)


def check_additivity(predictions: NoisePredictions) -> Check:
    """The sums of the parts are the sum of the whole, and the cells add up to the log-odds of a diffusion classifier."""
    spans = split_steps(predictions.noised.steps, min(3, predictions.noised.steps))
    ranges = 0.0
    for reading in ("difference", "evidence"):
        whole = summed(predictions, reading).values
        parts = sum(sum_steps(predictions, start, end, reading, "information").values for start, end in spans)
        ranges = max(ranges, _relative(_largest(parts - whole), _largest(whole)))
    cells = summed(predictions, "evidence").values.double()
    odds = log_odds(predictions)
    total = _relative(abs(cells.sum().item() / len(cells) - odds), cells.abs().sum().item() / len(cells))
    off = max(ranges, total)
    figure = f"off by {format_value(off)}, bound {format_value(SMALLEST_RESIDUAL)}"
    words = (
        f"{len(spans)} ranges of steps against the whole: {format_value(ranges)} of the largest value. The cells against the "
        f"log-odds from both prompts' squared errors ({format_value(odds)} nats): {format_value(total)} of the cells' magnitudes."
    )
    return Check("Parts add up to the whole", off <= SMALLEST_RESIDUAL, figure, words)


def log_odds(predictions: NoisePredictions) -> float:
    """Sum over steps of delta-lambda / 2 * (|noise - eps_contrast|^2 - |noise - eps_target|^2), mean over the samples, in nats.

    As a diffusion classifier computes it (Li et al. 2023), in float64 and from both errors, unlike the reading "evidence".
    """
    noised, total = predictions.noised, 0.0
    for step, share in enumerate(noised.step_shares.tolist()):
        noise = noised.noise_of(step)[:, None].double()
        contrast = (noise - predictions.contrast[:, step].double()).square().sum()
        target = (noise - predictions.target[:, step].double()).square().sum()
        total += share / 2 * (contrast - target).item() / noised.samples
    return total


def check_paraphrase(first: NoisePredictions, paraphrased: NoisePredictions | None) -> Check:
    """The map stays the same if the question is put in other words."""
    name = "Other words, same map"
    if paraphrased is None:
        words = "Connect target_paraphrase or contrast_paraphrase: the same prompts in other words."
        return Check(name, None, "no paraphrase", words)
    correlation = rank_correlation(evidence_map(first), evidence_map(paraphrased))
    figure = f"Spearman {correlation:.2f}, bound ≥ {PARAPHRASE_STAYS:g}".replace("-", "−")
    words = "The maps of both wordings. Below the bound the map is about the wording, or the model does not know one of them."
    return Check(name, has_map(first) and correlation >= PARAPHRASE_STAYS, figure, words)


def check_randomised(first: NoisePredictions, randomised: NoisePredictions) -> Check:
    """The map is lost if the network has forgotten everything (Adebayo et al. 2018)."""
    correlation = rank_correlation(evidence_map(first).abs(), evidence_map(randomised).abs())
    passed = has_map(first) and abs(correlation) <= RANDOMISED_FALLS
    figure = f"Spearman {correlation:.2f}, bound ±{RANDOMISED_FALLS:g}".replace("-", "−")
    words = "The maps' magnitudes, as trained and shuffled. Beyond the bound the map shows the picture, not what was learned."
    if not has_map(first):
        words = "There is no map to compare."
    return Check("Shuffled weights, no map", passed, figure, words)


def check_other_noise(first: NoisePredictions) -> Check:
    """Maps of independent noise agree; if there were only noise, they would agree in half of the comparisons.

    Each of the `independent_maps` is compared with the next. Where the difference of the predictions is nothing but chance, the
    sign of one map tells nothing of the sign of another, and so each comparison is the toss of a coin, independent of the others:
    the sign test of `reliability`. The mean of a map does not count: a constant shows no places.
    """
    name, maps = "Other noise, same map", independent_maps(first)
    if not has_map(first):
        return Check(name, False, "0 everywhere", "There is no map to compare.")
    patterns = maps - maps.mean(dim=(1, 2), keepdim=True)
    agreeing, compared = int(((patterns[1:] * patterns[:-1]).sum(dim=(1, 2)) > 0).sum()), len(maps) - 1
    needed = agreements_needed(compared)
    figure = f"{agreeing} of {compared} comparisons agree, bound ≥ {needed}"
    if needed > compared:
        return Check(name, None, figure, "Too few maps of independent noise to tell. Take more steps or samples.")
    correlation = rank_correlation(maps[: len(maps) // 2 * 2 : 2].sum(dim=0), maps[1::2].sum(dim=0))
    halves = f"{correlation:.2f}".replace("-", "−")
    words = f"Maps of independent noise, each against the next; every second one against the others: Spearman {halves}."
    if agreeing >= needed:
        return Check(name, True, figure, words)
    if agreeing >= agreements_needed(compared, DOUBTFUL):
        return Check(name, None, figure, f"{words} That is not clearly more than chance. Take more steps or samples.", True)
    return Check(name, False, figure, f"{words} Noise alone agrees in half of them: this map is no more than chance.")


def check_evidence(first: NoisePredictions) -> Check:
    """The evidence is more than its own uncertainty, and more than a bare mention.

    The uncertainty is the verdict's: of the noise, and of the few steps. What is beyond ERRORS standard errors, but within the
    interval that few samples and steps make so wide, is unclear.
    """
    name, verdict = "Evidence against its standard error", judge(first)
    odds = float(verdict.log_odds[0])
    error, half_width = (None if each is None else float(each[0]) for each in (verdict.error, verdict.half_width))
    figure = f"{format_with_error(odds, error)} nats"
    if abs(odds) < LEAST_EVIDENCE:
        words = f"Less than {LEAST_EVIDENCE:g} nat in all: the prompts hardly matter to the model, or both fit this picture."
        return Check(name, False, f"{figure}, bound {LEAST_EVIDENCE:g}", words)
    if error is None or half_width is None:
        words = "Its uncertainty is unknown. Take 4 noise samples or more, or 3 steps or more with fresh noise per step."
        return Check(name, None, f"{figure}, uncertainty unknown", words)
    figure += f", bound ± {format_value(half_width)}"
    words = f"The {CONFIDENCE:.0%} interval of the verdict over these steps: noise, and that the steps are few."
    if abs(odds) >= half_width:
        return Check(name, True, figure, words)
    if abs(odds) > ERRORS * error:
        words += " Too little was asked to tell: so few steps and samples make it that wide. Take more. The map is not refuted."
        return Check(name, None, figure, words, unclear=True)
    words += (
        " It contains 0: neither prompt is clearly preferred. Take more steps or samples. The map can still show for and against."
    )
    return Check(name, False, figure, words)


def check_familiar(first: NoisePredictions) -> Check:
    """The model knows more of the picture than its smoothness, see `familiarity.Familiarity`."""
    name, found = "The model knows this picture", measure(first)
    if found.ratios is None:
        return Check(name, None, "no step to tell it by", f"{found.answer(0)} Take more steps.")
    figure = f"{float(found.ratios[0]):.2f} of smoothing’s noise error, bound ≤ {found.limit:.2f}"
    if found.may_be_sure[0] and not found.foreign[0]:
        own = "" if found.own is None else f" The model’s own pictures: mostly below {found.own.ratios[-1]:.2f}."
        return Check(name, True, figure, f"Smoothing, which knows of the picture only how smooth it is, has 1.{own}")
    return Check(name, False, figure, f"{found.words(0)} Nothing that it says about the picture is to be believed.")


def check_words(first: NoisePredictions, asked: int) -> Check:
    """At least one prompt describes the picture better than no words at all, of which `asked` predictions were made.

    It passes beyond ERRORS standard errors of the better one, and fails where both lose, see `cases.loses`.
    """
    name, cases = "The words say more than no words", first.cases
    if first.unseen:
        return Check(name, False, "unknown words", first.unseen)
    if cases is not None:
        return _compared_with_none(name, cases, bool(measure(first).may_be_sure[0]))
    if asked:
        words = "One of the prompts is the empty one: the evidence itself compares the other with it."
    elif few_levels(first.noised) is None:
        words = "Fewer than two steps are at noise levels that tell whether words fit. Take more steps."
    else:
        words = "Connect no_words: the empty prompt."
    return Check(name, None, "not compared", words)


def _compared_with_none(name: str, cases: Cases, known: bool) -> Check:
    labels = plain_text(cases.target_label), plain_text(cases.contrast_label)
    both = [
        (float(nats[0]), 0.0 if error is None else float(error[0]))
        for nats, error in ((cases.target, cases.target_error), (cases.contrast, cases.contrast_error))
    ]
    called = quoted(differing_part(*labels)), quoted(differing_part(*labels[::-1]))
    figure = ", ".join(f"{label} {format_with_error(*each)} nats" for label, each in zip(called, both, strict=True))
    if cases.neither[0]:
        return Check(name, False, figure, f"{cases.words(0)} The map compares two descriptions that are both wrong.")
    if not known:
        return Check(name, None, figure, "The model does not know this picture, so that this says nothing.")
    nats, error = max(both)
    if nats > ERRORS * error:
        return Check(name, True, f"{figure}, bound > {format_value(ERRORS * error)}", cases.words(0))
    words = "Neither prompt describes this picture clearly better than no words at all, and not both clearly worse."
    return Check(name, None, f"{figure}, bound > {format_value(ERRORS * error)}", words, unclear=True)


def independent_maps(predictions: NoisePredictions) -> Tensor:
    """Maps of evidence whose noise has nothing in common, [N,h,w] in nats, for one image.

    One for each step and each independent estimate (sample, or antithetic pair), step by step; if all steps share one noise,
    one for each estimate, summed over the steps. Steps that don't count are left out.
    """
    noised = predictions.noised
    maps = [
        independent(weight * read_step(predictions, step, "evidence"), noised.antithetic)[:, 0].sum(dim=1)
        for step, weight in enumerate(step_weights(noised, "information"))
        if weight != 0
    ]
    return torch.cat(maps) if noised.fresh_noise else torch.stack(maps).sum(dim=0)


def evidence_map(predictions: NoisePredictions) -> Tensor:
    """Evidence in nats for each latent cell over all steps, [h,w], for one image."""
    return summed(predictions, "evidence").mean[0, 0]


def has_map(predictions: NoisePredictions) -> bool:
    """Whether the evidence is more than rounding anywhere."""
    return _largest(evidence_map(predictions)) > ROUNDING_PER_STEP


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation of two maps; 0 where one of them is the same everywhere and orders nothing."""
    if first.unique().numel() == 1 or second.unique().numel() == 1:
        return 0.0
    return measures.rank_correlation(first.numpy(), second.numpy())


def report(checks: list[Check], predictions: NoisePredictions, source: str) -> str:
    """The checks in words, a paragraph each, below what they are about and what came of them all."""
    failed = sum(check.passed is False for check in checks)
    unclear = sum(check.unclear for check in checks)
    made = sum(check.passed is not None for check in checks) + unclear
    labels = f"{quoted(predictions.target_label)} vs {quoted(predictions.contrast_label)}"
    verdict = f"{failed} of {made} checks failed" if failed else f"all {made} checks passed"
    if unclear:
        verdict = f"{verdict}, {unclear} unclear" if failed else f"{made - unclear} of {made} checks passed, {unclear} unclear"
    return "\n\n".join([f"{labels}: {verdict}", source, *map(str, checks)])


def summed(predictions: NoisePredictions, reading: Reading) -> NoiseDifference:
    return sum_steps(predictions, reading=reading, weighting="information")


def _largest(values: Tensor) -> float:
    return values.abs().max().item()


def _relative(off: float, size: float) -> float:
    return off / size if size else off
