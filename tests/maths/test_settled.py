"""When an answer counts as settled: the agreement of halves, the verdict's interval, and both together."""

from __future__ import annotations

import math
from dataclasses import replace

import analytic
import numpy as np
import pytest
import torch
from scipy import stats
from sdexplain.nodes.maths.answers.settled import AGREEMENT, FEWEST, agreement, stability
from sdexplain.nodes.maths.answers.verdict import CONFIDENCE, judge
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.order import asking_order
from sdexplain.nodes.maths.method.prediction import NoisePredictions, part_of
from sdexplain.nodes.maths.method.uncertainty import scatter
from sdexplain.nodes.maths.pictures.preview import preview, progress_words
from sdexplain.nodes.maths.wording import format_value

STEPS = 12


def predictions(noise: float, strength: float = 0.3, seed: int = 0) -> NoisePredictions:
    """Predictions whose difference is one pattern, half of the picture, and noise of its own at each step."""
    generator = torch.Generator().manual_seed(seed)
    noised = analytic.noised_latents(torch.zeros(1, 4, 8, 8), samples=2, steps=STEPS)
    pattern = torch.zeros(1, 1, 1, 4, 8, 8)
    pattern[..., :4] = strength
    moved = pattern + noise * torch.randn(2, STEPS, 1, 4, 8, 8, generator=generator)
    truth = noised.noise[:, :, None]
    return NoisePredictions(noised, truth.clone(), truth + moved, "zebra", "horse")


def test_halves_that_agree_are_corrected_for_their_length() -> None:
    """Two halves that correlate by r predict 2 r / (1 + r) for two wholes: with noise as large as the signal r is 1/2."""
    generator = torch.Generator().manual_seed(1)
    signal, noise = torch.randn(100, 100, generator=generator), torch.randn(2, 100, 100, generator=generator)
    assert agreement((signal + noise)[:, None]).item() == pytest.approx(2 / 3, abs=0.02)


def test_a_single_map_has_no_agreement_and_equal_maps_agree_wholly() -> None:
    maps = torch.rand(1, 2, 5, 5)
    assert agreement(maps).isnan().all()
    assert torch.allclose(agreement(maps.repeat(4, 1, 1, 1)), torch.ones(2))


def test_halves_against_each_other_never_agree() -> None:
    first = torch.rand(1, 1, 5, 5)
    assert agreement(torch.cat([first, -first])).item() == 0


def test_the_scatter_is_the_variance_of_noise_around_any_line() -> None:
    generator = torch.Generator().manual_seed(2)
    log_snr = torch.rand(400, generator=generator).sort().values
    density = (3 + 5 * log_snr)[:, None] + 0.1 * torch.randn(400, 50, generator=generator)
    variance, degrees = scatter(density, log_snr)
    assert variance.mean().item() == pytest.approx(0.01, rel=0.05)
    assert degrees == 199


def test_a_line_has_no_scatter_and_two_points_have_no_degrees() -> None:
    line = torch.linspace(0, 1, 5)[:, None]
    assert scatter(line, torch.linspace(0, 1, 5))[0].abs().max() < 1e-10
    assert scatter(line[:2], torch.linspace(0, 1, 5)[:2])[1] == 0


def test_beside_pure_noise_a_step_is_compared_with_the_next_alone() -> None:
    """And so as if pure noise were further and further away."""
    density = torch.tensor([[9.0], [1.0], [4.0], [2.0]])
    found, far = (scatter(density, torch.tensor([first, 0.0, 1.0, 3.0]))[0] for first in (-math.inf, -1e6))
    assert found[1].item() == (1 - 4) ** 2 / 2
    torch.testing.assert_close(found, far, rtol=1e-4, atol=0)


@pytest.mark.parametrize("strength", [0.02, 0.05, 0.1])
def test_what_has_settled_has_an_interval_that_leaves_0_and_a_map_that_repeats_itself(strength: float) -> None:
    """Of 8 answers with noise of their own, with as many steps as it takes: some are clear sooner than others."""
    stops = set()
    for seed in range(8):
        whole = predictions(0.1, strength, seed)
        parts = (part_of(whole, asking_order(STEPS)[:count], 2) for count in range(1, STEPS + 1))
        settled = next((part for part in parts if stability(part).settled), None)
        if settled is not None:
            stops.add(len(settled.noised.asked_steps))
            verdict = judge(settled)
            assert verdict.log_odds.abs() > verdict.half_width and stability(settled).agreement.item() >= AGREEMENT
    assert not stops or min(stops) >= FEWEST
    assert stops or strength < 0.1


def test_a_clear_answer_settles_and_noise_alone_does_not() -> None:
    clear = stability(predictions(0.05))
    assert clear.settled and clear.agreement.item() > 0.98 and clear.log_odds.abs() > clear.half_width
    nothing = stability(predictions(0.3, strength=0.0))
    assert not nothing.settled and nothing.agreement.item() < AGREEMENT


def test_few_steps_never_settle() -> None:
    whole = predictions(0.01)
    assert not stability(part_of(whole, range(0, STEPS, 4), 2)).settled
    assert stability(part_of(whole, range(FEWEST), 2)).settled


def test_without_noise_of_their_own_the_steps_tell_no_error_and_nothing_settles() -> None:
    whole = predictions(0.05)
    shared = replace(whole, noised=analytic.noised_latents(torch.zeros(1, 4, 8, 8), samples=2, steps=STEPS, per_step=False))
    found = stability(part_of(shared, range(STEPS), 1))
    assert found.agreement.item() > AGREEMENT and found.half_width.isinf().all() and not found.settled
    words = " ".join(progress_words(found, ("zebra", "horse"), STEPS))
    assert "standard error unknown" in words and "too early" not in words


def test_of_labels_that_are_equally_good_the_interval_rarely_ever_leaves_0() -> None:
    """However often one looks: the truth lies midway between both predictions of 200 images, evidence is noise about 0."""
    steps, images = 20, 200
    noised = analytic.noised_latents(torch.zeros(images, 4, 8, 8), samples=2, steps=steps)
    half = torch.zeros(1, 1, 1, 4, 8, 8)
    half[..., :4] = 0.15
    generator = torch.Generator().manual_seed(0)
    middle = noised.noise[:, :, None] + 0.3 * torch.randn(2, steps, images, 4, 8, 8, generator=generator)
    whole = NoisePredictions(noised, middle - half, middle + half, "zebra", "horse")
    looks = [stability(part_of(whole, asking_order(steps)[:count], 2)) for count in range(FEWEST, steps + 1)]
    decided = torch.stack([look.log_odds.abs() > look.half_width for look in looks]).any(dim=0)
    assert decided.sum().item() <= stats.binom.ppf(0.999, images, 1 - CONFIDENCE)


def test_every_image_must_have_settled() -> None:
    clear, noisy = predictions(0.05), predictions(0.3, strength=0.0)
    joined = [torch.cat([getattr(clear, name), getattr(noisy, name)], dim=2) for name in ("target", "contrast")]
    both = NoisePredictions(analytic.noised_latents(torch.zeros(2, 4, 8, 8), samples=2, steps=STEPS), *joined, "a", "b")
    assert stability(clear).settled and not stability(both).settled


def test_what_is_shown_says_how_far_it_has_come() -> None:
    part = part_of(predictions(0.05), (1, 4, 7, 10), 2)
    words = " ".join(progress_words(stability(part), ("zebra", "horse"), STEPS))
    assert "4 of 12 steps" in words and "zebra" in words and "nats" in words and "correlation" in words
    first = progress_words(stability(part_of(part, (4,), 1)), ("zebra", "horse"), STEPS)
    assert "too early" in " ".join(first) and "correlation" not in " ".join(first)
    assert "assumed" not in words


@pytest.mark.parametrize("labels", [("zebra", "horse"), ("horse", "zebra")])
def test_what_is_shown_meanwhile_says_how_much_of_it_is_assumed(labels: tuple[str, str]) -> None:
    part = replace(part_of(predictions(0.05), (4, 6, 7), 2), target_label=labels[0], contrast_label=labels[1])
    if labels[0] == "horse":
        part = replace(part, target=part.contrast, contrast=part.target)
    assumed = stability(part).assumed.item()
    assert abs(assumed) == pytest.approx(sum_steps(part, 0, None, "evidence", "information").assumed.abs().item(), rel=1e-4)
    (told,) = (text for text in progress_words(stability(part), labels, STEPS) if "nats" in text)
    assert told.startswith("“zebra” by ") and told.endswith(f", {format_value(abs(assumed))} of them assumed")


@pytest.mark.parametrize("size", [(8, 8), (4, 40), (40, 4)])
def test_the_map_is_where_the_picture_is(size: tuple[int, int]) -> None:
    noised = analytic.noised_latents(torch.zeros(1, 4, *size), steps=4)
    truth = noised.noise[:, :, None].clone()
    moved = truth.clone()
    moved[..., : size[1] // 2] += 1
    sheet = preview(stability(NoisePredictions(noised, truth, moved, "a", "b")), ("a", "b"), 4)
    columns = torch.from_numpy(np.asarray(sheet.convert("L")).copy())[: sheet.height // 3]
    drawn = columns[:, (columns.float().mean(0) < 250)].float()
    half = drawn.shape[1] // 2
    assert drawn[:, : half - 20].mean() > drawn[:, half + 20 :].mean() + 50
