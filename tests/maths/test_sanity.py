"""The sanity check's answers: what is sound passes, and each thing that is not fails by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from analytic import noised_latents
from sdexplain.nodes.maths.answers import sanity
from sdexplain.nodes.maths.answers.no_words import find_cases
from sdexplain.nodes.maths.answers.verdict import judge
from sdexplain.nodes.maths.method.cases import Cases, FewLevels, few_levels
from sdexplain.nodes.maths.method.familiarity import measure
from sdexplain.nodes.maths.method.noising import in_pairs
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect, collect_prompt
from sdexplain.nodes.maths.pictures.sanity_sheet import sanity_sheet
from torch import Tensor

Denoise = Callable[[Tensor, Tensor, str], Tensor]
SHAPE = (4, 16, 16)
STEPS, SAMPLES = 8, 4


@dataclass
class Pictures:
    """A model that knows one picture for each prompt, [C,h,w], with a spread of 0.5 around it; without words, grey."""

    target: Tensor
    contrast: Tensor

    def __call__(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        sigma = sigma[:, None, None, None]
        known = {"target": self.target, "contrast": self.contrast}.get(prompt, torch.zeros(SHAPE))
        return (0.25 * x + sigma**2 * known) / (0.25 + sigma**2)


def drawn(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


TRAINED = Pictures(drawn(1), drawn(2))
OTHER_WORDS = Pictures(drawn(1) + 0.02 * drawn(3), drawn(2) + 0.02 * drawn(4))
UNTRAINED = Pictures(drawn(5), drawn(6))
DEAF = Pictures(drawn(1), drawn(1))


class Moody:
    """Answers a little differently every time."""

    def __call__(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        return TRAINED(x, sigma, prompt) + 1e-3 * torch.randn(x.shape)


def swapped_prompts(model: Denoise) -> Denoise:
    return lambda x, sigma, prompt: model(x, sigma, "contrast" if prompt == "target" else "target")


def answers(model: Denoise = TRAINED, randomised: Denoise = UNTRAINED, paraphrased: Denoise | None = None) -> sanity.Answers:
    noised = noised_latents(0.9 * drawn(1)[None] + 0.1 * drawn(7)[None], steps=STEPS, samples=SAMPLES)
    of = lambda denoise: collect(noised, denoise, target_label="zebra", contrast_label="horse")  # noqa: E731
    few = few_levels(noised)
    assert few is not None
    first = compared(of(model), few, collect_prompt(few.noised, lambda x, sigma: model(x, sigma, "")))
    reworded = None if paraphrased is None else of(paraphrased)
    return sanity.Answers(first, of(swapped_prompts(model)), of(randomised), reworded, without_words=12)


def compared(first: NoisePredictions, few: FewLevels, empty: Tensor) -> NoisePredictions:
    return replace(first, cases=find_cases(first, few, empty))


def passed(asked: sanity.Answers) -> dict[str, bool | None]:
    return dict(zip(NAMES, (check.passed for check in sanity.check_all(asked)), strict=True))


NAMES = ("same", "swapped", "additivity", "paraphrase", "randomised", "noise", "evidence", "familiar", "words")
ALL_PASS = dict.fromkeys(NAMES, True)


def test_a_sound_model_passes_everything_and_to_the_last_bit() -> None:
    asked = answers(paraphrased=OTHER_WORDS)
    assert set(passed(asked).values()) == {True}
    same, swapped, *_ = sanity.check_all(asked)
    assert "0 exactly" in same.figure and "exactly" in swapped.figure


def test_without_a_paraphrase_that_check_is_skipped_in_words() -> None:
    asked = answers()
    assert passed(asked) == ALL_PASS | {"paraphrase": None}
    assert "SKIPPED · Other words, same map: no paraphrase. Connect target_paraphrase" in str(sanity.check_all(asked)[3])


def test_a_model_that_ignores_the_prompt_has_nothing_to_explain() -> None:
    asked = answers(DEAF, paraphrased=DEAF)
    assert {name for name, outcome in passed(asked).items() if not outcome} == {
        "same",
        "paraphrase",
        "randomised",
        "noise",
        "evidence",
    }
    assert "make no difference to the model" in str(sanity.check_all(asked)[0])
    assert "There is no map" in str(sanity.check_all(asked)[4])


def test_a_model_that_answers_by_chance_fails_both_times_it_is_asked() -> None:
    outcome = passed(answers(Moody()))
    assert (outcome["same"], outcome["swapped"]) == (False, False)


def test_rounding_alone_is_no_chance() -> None:
    asked = answers()
    off = replace(asked.swapped, contrast=asked.swapped.contrast + 1e-6)
    same, swapped, *_ = sanity.check_all(replace(asked, swapped=off))
    assert same.passed and "float rounding" in same.figure
    assert swapped.passed and "exactly" not in swapped.figure


def test_a_map_that_does_not_depend_on_the_weights_fails() -> None:
    outcome = passed(answers(randomised=TRAINED))
    assert outcome == ALL_PASS | {"paraphrase": None, "randomised": False}
    assert passed(answers(randomised=swapped_prompts(TRAINED)))["randomised"] is False


def test_a_shuffled_model_without_any_map_passes() -> None:
    assert passed(answers(randomised=DEAF))["randomised"] is True


def test_other_words_with_another_map_fail() -> None:
    assert passed(answers(paraphrased=UNTRAINED))["paraphrase"] is False
    assert passed(answers(paraphrased=swapped_prompts(TRAINED)))["paraphrase"] is False


# ----------------------------------------------------------------------------------------- more than noise, more than nothing


def random_answers(seed: int, kind: str, steps: int = 8, samples: int = 2, antithetic: bool = False) -> NoisePredictions:
    """Two predictions that differ by chance alone, about as much as those of a trained model do."""
    noised = noised_latents(drawn(1)[None], seed, samples=samples, steps=steps)
    noised = replace(noised, noise=in_pairs(noised.noise[::2]), antithetic=True) if antithetic else noised
    generator = torch.Generator().manual_seed(seed)
    both = [torch.randn(samples, steps, 1, *SHAPE, generator=generator) for _ in range(2)]
    if kind == "smooth":  # neighbouring cells have nearly the same error
        both = [3 * torch.nn.functional.avg_pool2d(each.flatten(0, 2), 7, 1, 3).view(each.shape) for each in both]
    if kind == "one side":
        both[1] = torch.zeros_like(both[1])
    noise = noised.noise[:, :, None]
    return NoisePredictions(noised, noise + 0.3 * both[0], noise + 0.3 * both[1], "zebra", "horse")


@pytest.mark.parametrize("kind", ["both sides", "one side", "smooth"])
@pytest.mark.parametrize(("samples", "antithetic"), [(2, False), (2, True)], ids=["independent", "one pair"])
def test_a_random_difference_is_seldom_the_same_map_under_other_noise(kind: str, samples: int, antithetic: bool) -> None:
    trials = 200
    outcomes = [
        sanity.check_other_noise(random_answers(seed, kind, samples=samples, antithetic=antithetic)).passed
        for seed in range(trials)
    ]
    assert outcomes.count(True) / trials <= 0.01 + 3 * (0.01 * 0.99 / trials) ** 0.5
    assert outcomes.count(False) / trials > 0.8


def test_a_random_difference_does_not_pass_as_a_whole() -> None:
    first = random_answers(3, "both sides")
    checks = sanity.check_all(sanity.Answers(first, swap_sides(first), random_answers(4, "both sides")))
    by_name = {check.name: check for check in checks}
    assert all(check.passed is not False for check in checks[:5]), "what the first checks don't see"
    assert by_name["Other noise, same map"].passed is False
    assert by_name["Evidence against its standard error"].passed is False
    assert not sanity.all_passed(checks)


def swap_sides(first: NoisePredictions) -> NoisePredictions:
    return replace(first, target=first.contrast, contrast=first.target)


@pytest.mark.parametrize("samples", [1, 2])
def test_a_nearly_deaf_model_has_too_little_evidence_however_few_the_samples(samples: int) -> None:
    nearly_deaf = Pictures(drawn(1), drawn(1) + 1e-4 * drawn(2))
    noised = noised_latents(drawn(1)[None], steps=STEPS, samples=samples)
    check = sanity.check_evidence(collect(noised, nearly_deaf, target_label="zebra", contrast_label="horse"))
    assert check.passed is False and "the prompts hardly matter" in check.words
    outcome = passed(answers(nearly_deaf))
    assert outcome["same"] and outcome["evidence"] is False, "the predictions do differ, though by nothing that counts"


def test_of_a_single_estimate_the_steps_are_compared() -> None:
    noised = noised_latents(0.5 * drawn(1)[None] + 0.5 * drawn(7)[None], steps=20, samples=1)
    first = collect(noised, TRAINED, target_label="zebra", contrast_label="horse")
    found = judge(first)
    assert sanity.check_evidence(first).passed == bool(found.log_odds.abs() >= found.half_width)
    marks = set()
    for steps in range(3, 12):
        fewer = collect(sanity.take_part(noised, steps, 1), TRAINED)
        check, verdict = sanity.check_evidence(fewer), judge(fewer)
        noise, all_of_it = bool(verdict.log_odds.abs() > 2 * verdict.error), bool(verdict.log_odds.abs() >= verdict.half_width)
        assert check.mark == ("PASS" if all_of_it else "UNCLEAR" if noise else "FAIL")
        assert sanity.all_passed([check]) == all_of_it and ("The map is not refuted." in check.words) == (check.mark == "UNCLEAR")
        marks.add(check.mark)
    assert "UNCLEAR" in marks
    two = sanity.check_evidence(collect(sanity.take_part(noised, 2, 1), TRAINED))
    assert two.passed is None and "uncertainty unknown" in two.figure
    assert sanity.check_other_noise(first).passed
    few = sanity.check_other_noise(collect(sanity.take_part(noised, 5, 1), TRAINED))
    assert few.passed is None and "Too few" in few.words


def test_maps_of_independent_noise_add_up_to_the_map_and_one_noise_for_all_steps_gives_one_for_each_sample() -> None:
    for per_step, count in ((True, 3 * STEPS), (False, 3)):
        noised = noised_latents(drawn(7)[None], steps=STEPS, samples=3, per_step=per_step)
        first = collect(noised, TRAINED)
        maps = sanity.independent_maps(first)
        assert maps.shape == (count, *SHAPE[1:])
        torch.testing.assert_close(maps.sum(dim=0) / 3, sanity.evidence_map(first), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("target", "contrast", "outcome", "said"),
    [
        (40.0, -30.0, "PASS", "“zebra” describes this picture best"),
        (-30.0, 40.0, "PASS", "“horse” describes this picture best"),
        (30.0, 40.0, "PASS", "Both “zebra” and “horse” describe this picture better"),
        (3.9, -30.0, "UNCLEAR", "Neither prompt describes this picture clearly better than no words at all"),
        (-3.0, -30.0, "UNCLEAR", "not both clearly worse"),
        (-30.0, -40.0, "FAIL", "The map compares two descriptions that are both wrong"),
    ],
)
def test_words_must_say_more_than_none(target: float, contrast: float, outcome: str, said: str) -> None:
    error = torch.tensor([2.0])
    cases = Cases(torch.tensor([target]), torch.tensor([contrast]), error, error, "zebra", "horse")
    check = sanity.check_words(replace(answers().first, cases=cases), 12)
    assert check.mark == outcome and said in check.words


def test_what_could_not_be_compared_with_no_words_says_why() -> None:
    first = answers().first
    unknown = sanity.check_words(replace(first, unseen="The model was never shown this word: “zebu”."), 12)
    assert unknown.passed is False and "“zebu”" in unknown.words
    alone = replace(first, cases=None)
    assert "Connect no_words" in sanity.check_words(alone, 0).words
    assert "One of the prompts is the empty one" in sanity.check_words(alone, 12).words
    clean = replace(first.noised, sigmas=torch.full((STEPS,), 0.01))
    few = sanity.check_words(replace(alone, noised=clean), 0)
    assert few.passed is None and "Fewer than two steps" in few.words


def test_an_unclear_check_is_counted_apart_and_is_not_passed() -> None:
    asked = answers()
    good = sanity.check_all(asked)
    unclear = replace(good[-1], passed=None, unclear=True)
    assert sanity.all_passed(good) and not sanity.all_passed([*good[:-1], unclear])
    assert str(unclear).startswith("UNCLEAR · ")
    assert sanity.report([*good[:-1], unclear], asked.first, "").startswith("“zebra” vs “horse”: 7 of 8 checks passed, 1 unclear")


def test_a_picture_that_the_model_does_not_know_fails() -> None:
    x0 = torch.nn.functional.avg_pool2d(3 * drawn(7)[None], 5, 1, 2)
    noised = noised_latents(x0, steps=STEPS, samples=SAMPLES)
    known = sanity.check_familiar(collect(noised, Pictures(x0[0], drawn(2))))
    assert known.passed and "Smoothing, which knows of the picture only how smooth it is, has 1" in known.words
    first = collect(noised, Pictures(drawn(1), drawn(2)))
    check = sanity.check_familiar(first)
    assert check.passed is False and "does not know this picture" in check.words and "is to be believed" in check.words
    assert all(f"{ratio:.2f} of smoothing" in check.figure for ratio in measure(first).ratios.tolist())
    elsewhere = sanity.check_familiar(replace(first, noised=replace(noised, sigmas=torch.full((STEPS,), 0.01))))
    assert elsewhere.passed is None and "no step has a log SNR" in elsewhere.words


def test_sums_that_lose_a_step_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = sanity.sum_steps

    def forgetful(predictions: NoisePredictions, start: int = 0, *rest: Any, **options: Any) -> Any:
        return complete(predictions, max(start, 1), *rest, **options)

    monkeypatch.setattr(sanity, "sum_steps", forgetful)
    assert sanity.check_additivity(answers().first).passed is False


def test_the_log_odds_are_the_squared_errors_of_both_prompts() -> None:
    first = answers().first
    noise = first.noised.noise[:, :, None].double()
    errors = [((noise - array.double()) ** 2).sum((2, 3, 4, 5)).mean(0) for array in (first.contrast, first.target)]
    expected = (first.noised.step_shares.double() * (errors[0] - errors[1]) / 2).sum().item()
    assert sanity.log_odds(first) == pytest.approx(expected, rel=1e-9)


def test_thinning_takes_even_steps_first_samples_and_the_first_image() -> None:
    noised = noised_latents(torch.stack([drawn(1), drawn(2)]), steps=50, samples=4)
    few = sanity.take_part(noised, 5, 2)
    assert torch.equal(few.sigmas, noised.sigmas[[5, 15, 25, 35, 45]])
    assert torch.equal(few.noise, noised.noise[:2, [5, 15, 25, 35, 45]]) and torch.equal(few.x0, noised.x0[:1])
    every = sanity.take_part(noised, 999, 999)
    assert torch.equal(every.noise, noised.noise) and every.steps == 50
    same = sanity.take_part(replace(noised, noise=noised.noise[:, :1]), 3, 1)
    assert same.noise.shape[:2] == (1, 1) and same.steps == 3
    with pytest.raises(ValueError, match="at least 1"):
        sanity.take_part(noised, 0, 1)


def test_thinning_keeps_antithetic_pairs_whole_or_says_that_they_are_none() -> None:
    noised = noised_latents(drawn(1)[None], steps=4, samples=2)
    pairs = replace(noised, noise=torch.cat([noised.noise[:1], -noised.noise[:1]]), antithetic=True)
    assert sanity.take_part(pairs, 2, 2).antithetic and not sanity.take_part(pairs, 2, 1).antithetic


def test_the_sheet_has_a_panel_for_every_answer_and_the_report_a_line_for_every_check() -> None:
    picture = torch.rand(1, 128, 128, 3)
    widths = []
    for asked in (answers(), answers(paraphrased=OTHER_WORDS), answers(DEAF)):
        checks = sanity.check_all(asked)
        sheet = sanity_sheet(picture, asked, checks, "5 of 5 steps")
        assert sheet.ndim == 4 and len(sheet) == 1 and 0 <= sheet.min() and sheet.max() <= 1
        widths.append(sheet.shape[2])
        lines = sanity.report(checks, asked.first, "5 of 5 steps").split("\n\n")
        assert [line.split(" · ")[0] for line in lines[2:]] == [check.mark for check in checks]
    assert widths[1] > widths[0]
    assert "4 of 8 checks failed" in lines[0]


def test_labels_of_any_text_are_drawn_and_reported_as_text() -> None:
    asked = answers()
    labelled = replace(asked, first=replace(asked.first, target_label="$\\frac{1}{0}$ <b>🦓</b>", contrast_label="حصان" * 200))
    checks = sanity.check_all(labelled)
    assert sanity_sheet(torch.rand(1, 64, 64, 3), labelled, checks, "").shape[3] == 3
    assert "<b>🦓</b>" in sanity.report(checks, labelled.first, "")
