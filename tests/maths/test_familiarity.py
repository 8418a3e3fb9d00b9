"""How much more than smoothness a model knows of a picture, held to denoisers whose error is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from sdexplain.nodes.maths.method.familiarity import (
    LEVELS,
    LIMIT,
    Familiarity,
    measure,
    measure_prompts,
    power_spectrum,
    smoothing_error,
)
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.own_pictures import OwnPictures, beyond
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from torch import Tensor

OWN = OwnPictures(200, LEVELS, (0.2, 0.22, 0.3, 0.36, 0.4), (0.15, 0.2, 0.3, 0.4, 0.5))


def noised_at(x0: Tensor, levels: list[float], samples: int = 2, flow: bool = False, antithetic: bool = True) -> NoisedLatents:
    """Noised latents at levels of log SNR, in the exploding or the flow-matching form."""
    ratio = torch.exp(-torch.tensor(levels) / 2)  # sigma / alpha
    sigmas, alphas = (ratio / (1 + ratio), 1 / (1 + ratio)) if flow else (ratio, torch.ones(len(levels)))
    noise = draw_noise(tuple(x0.shape[1:]), 5, samples, len(levels), per_step=True, antithetic=antithetic)
    channels = torch.ones(x0.shape[1])
    return NoisedLatents(x0, noise, sigmas, alphas, channels, 0 * channels, antithetic=antithetic)


def predicted(noised: NoisedLatents, predict: Callable[[Tensor, int], Tensor]) -> Tensor:
    """[R,S,B,C,h,w] of predict(x, step)."""
    return torch.stack([torch.stack([predict(noised.at(r, s), s) for s in range(noised.steps)]) for r in range(noised.samples)])


def field(shape: tuple[int, ...], slope: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A Gaussian field [B,C,h,w] and the spectrum [h,w] that it was drawn from: 30 / (1 + (20 f)^slope)."""
    height, width = shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    spectrum = 30 / (1 + (20 * f) ** slope)
    spectrum[0, 0] = 0
    white = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return torch.fft.ifft2(torch.fft.fft2(white) * spectrum.sqrt()).real, spectrum


def wiener(noised: NoisedLatents, spectrum: Tensor) -> Callable[[Tensor, int], Tensor]:
    """The linear denoiser that knows the true spectrum, as noise prediction: sigma alpha / (alpha^2 S + sigma^2) ... of x."""

    def predict(x: Tensor, step: int) -> Tensor:
        sigma, alpha = noised.sigmas[step], noised.alphas[step]
        gain = sigma / (alpha**2 * spectrum + sigma**2)
        return torch.fft.ifft2(torch.fft.fft2(x) * gain).real

    return predict


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 32, 32), (1, 1, 48, 20)])
def test_a_denoiser_that_knows_the_true_spectrum_alone_does_as_well_as_smoothing(shape: tuple[int, ...], flow: bool) -> None:
    x0, spectrum = field(shape, slope=2)
    noised = noised_at(x0, [-0.3, 0.0, 0.4, 1.1], samples=4, flow=flow)
    ratios = measure_prompts(noised, [predicted(noised, wiener(noised, spectrum))]).ratios
    assert torch.allclose(ratios, torch.ones(shape[0]), atol=0.08)


def test_a_denoiser_that_knows_the_picture_has_ratio_0_and_no_nan() -> None:
    noised = noised_at(torch.randn(2, 4, 8, 8), [0.0, 1.0])
    perfect = noised.noise[:, :, None].expand(-1, -1, 2, -1, -1, -1)
    found = measure_prompts(noised, [perfect], OWN)
    assert torch.equal(found.ratios, torch.zeros(2)) and torch.equal(found.cleanest_error, torch.zeros(2))
    assert not found.foreign.any()
    assert measure_prompts(noised, [perfect]).verdicts == ["known", "known"]


def test_white_noise_cannot_be_smoothed_better_than_shrunk() -> None:
    variance, sigma = 2.0, 0.8
    x0 = variance**0.5 * torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    assert float(smoothing_error(power_spectrum(x0), sigma, 1)) == pytest.approx(variance / (variance + sigma**2), rel=0.01)


def test_a_wave_has_its_power_at_its_frequency_alone() -> None:
    width, cycles = 32, 5
    wave = torch.cos(2 * math.pi * cycles * torch.arange(width) / width).expand(1, 1, 16, width)
    spectrum = power_spectrum(7 + wave)[0, 0]
    assert float(spectrum.mean()) == pytest.approx(0.5, rel=1e-5)  # a cosine's variance; its mean is left out
    ring = torch.hypot(torch.fft.fftfreq(16)[:, None], torch.fft.fftfreq(width)[None]) * 16
    assert torch.equal(spectrum > 1e-6, (ring.round() == round(cycles * 16 / width)))


def test_halving_picture_and_noise_level_changes_nothing() -> None:
    x0, spectrum = field((1, 4, 16, 16), slope=2)
    assert torch.allclose(
        smoothing_error(power_spectrum(x0), 0.7, 1), smoothing_error(power_spectrum(x0 / 2), 0.35, 1), rtol=1e-5
    )
    assert torch.allclose(smoothing_error(power_spectrum(x0), 0.7, 0.5), smoothing_error(power_spectrum(x0), 1.4, 1), rtol=1e-5)


def test_an_added_constant_changes_nothing() -> None:
    x0, _ = field((1, 2, 9, 13), slope=2)
    assert torch.allclose(power_spectrum(x0), power_spectrum(x0 + 3), atol=1e-4)


def test_only_steps_within_the_levels_count_and_each_counts_the_same() -> None:
    levels = [-4.0, LEVELS[0] - 0.01, 0.0, 1.0, LEVELS[1] + 0.01, 6.0]
    x0, _ = field((1, 4, 16, 16), slope=2)
    noised = noised_at(x0, levels)
    factors = torch.tensor([50.0, 50, 0.5, 0.2, 50, 50])
    wrong = noised.noise[:, :, None] * (1 - factors.view(-1, 1, 1, 1, 1))
    found = measure_prompts(noised, [wrong])
    assert found.steps == (2, 3)
    spectrum = power_spectrum(x0)
    each = [
        factors[s] ** 2 * noised.noise_of(s).square().mean() / smoothing_error(spectrum, float(noised.sigmas[s]), 1)
        for s in (2, 3)
    ]
    assert float(found.ratios) == pytest.approx(float((each[0] * each[1]).sqrt()), rel=1e-4)
    assert float(found.cleanest_error) == pytest.approx(50**2, rel=1e-4)


def test_a_schedule_without_such_a_step_measures_nothing_and_says_so() -> None:
    noised = noised_at(torch.randn(3, 4, 8, 8), [-5.0, 3.0])
    found = measure_prompts(noised, [torch.zeros(2, 2, 3, 4, 8, 8)])
    assert found.ratios is None and found.verdicts == ["not measured"] * 3 and found.may_be_sure.all()
    assert "can't be told" in found.words(0)


def test_pure_noise_at_the_start_of_flow_matching_does_no_harm() -> None:
    noised = noised_at(torch.randn(1, 4, 8, 8), [0.0, 1.0], flow=True)
    noised = replace(noised, sigmas=torch.tensor([1.0, 0.4]), alphas=torch.tensor([0.0, 0.6]))
    assert torch.isfinite(measure_prompts(noised, [torch.zeros(2, 2, 1, 4, 8, 8)]).ratios).all()


def test_the_better_prompt_counts_in_every_step_and_image() -> None:
    x0, _ = field((2, 4, 8, 8), slope=2)
    noised = noised_at(x0, [0.0, 1.0])
    perfect = noised.noise[:, :, None].expand(-1, -1, 2, -1, -1, -1)
    target, contrast = perfect.clone(), perfect.clone()
    target[:, 0, 0] += 1  # one prompt is wrong at one step, the other at the other
    contrast[:, 1, 0] += 1
    target[:, :, 1] += 1
    contrast[:, :, 1] += 1
    found = measure(NoisePredictions(noised, target, contrast, "a", "b"))
    assert float(found.ratios[0]) == 0 and float(found.ratios[1]) > 0


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 4, 1, 7), (2, 1, 8, 8), (1, 16, 5, 12)])
def test_any_latent_gives_a_number(shape: tuple[int, ...]) -> None:
    x0 = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    noised = noised_at(x0, [0.5], samples=1, antithetic=False)
    found = measure_prompts(noised, [torch.zeros(1, 1, *shape)], OWN)
    assert not found.ratios.isnan().any() and not found.cleanest_error.isnan().any()
    assert all(found.words(image) for image in range(shape[0]))


def test_a_constant_picture_leaves_smoothing_nothing_to_do() -> None:
    noised = noised_at(torch.full((1, 4, 8, 8), 0.3), [0.0, 1.0])
    assert float(smoothing_error(power_spectrum(noised.x0), 0.5, 1)) == 0
    wrong = measure_prompts(noised, [torch.zeros(2, 2, 1, 4, 8, 8)])
    assert wrong.verdicts == ["not known"] and "over 100" in wrong.words(0)
    right = measure_prompts(noised, [noised.noise[:, :, None]])
    assert float(right.ratios) == 1


def test_half_precision_gives_the_same_number() -> None:
    x0, spectrum = field((1, 4, 16, 16), slope=2)
    noised = noised_at(x0, [0.0, 1.0])
    exact = predicted(noised, wiener(noised, spectrum))
    assert torch.allclose(measure_prompts(noised, [exact]).ratios, measure_prompts(noised, [exact.half()]).ratios, rtol=1e-3)


def test_a_batch_says_what_single_pictures_say() -> None:
    x0 = torch.cat([field((1, 4, 8, 12), slope)[0] for slope in (1.0, 3.0)])
    noised = noised_at(x0, [0.0, 1.0])
    array = torch.randn(2, 2, 2, 4, 8, 12, generator=torch.Generator().manual_seed(4))
    both = measure_prompts(noised, [array]).ratios
    single = [measure_prompts(replace(noised, x0=x0[i : i + 1]), [array[:, :, i : i + 1]]).ratios for i in range(2)]
    assert torch.allclose(both, torch.cat(single), rtol=1e-6)


def of_ratios(*ratios: float, own: OwnPictures | None = OWN, structure: float = 0.3, cleanest: float = 0.7) -> Familiarity:
    count = len(ratios)
    return Familiarity(torch.tensor(ratios), (3,), torch.full((count,), structure), torch.full((count,), cleanest), own)


def test_own_pictures_set_the_limits_by_the_tails_of_their_quantiles() -> None:
    assert OWN.limit == pytest.approx(0.4 * 0.4 / 0.36)
    assert OWN.structure_limits == pytest.approx((0.15**2 / 0.2, 0.5**2 / 0.4))
    ratios = (0.3, OWN.limit + 0.01, OWN.limit**0.5 + 0.01, 1.2)
    held = of_ratios(*ratios)
    assert held.verdicts == ["known", "doubtful", "not known", "not known"]
    assert held.may_be_sure.tolist() == [True, False, False, False]
    free = of_ratios(*ratios, own=None)
    assert free.limit == LIMIT and free.verdicts == ["known", "known", "known", "not known"]


def test_the_tail_is_that_of_an_exponential_in_logarithms() -> None:
    """Of values exp(x), x exponential, the 99.9 % quantile is e^(ln 1000), by the 90 % and 99 % ones e^(ln 10), e^(ln 100)."""
    assert beyond(10.0, 100.0) == pytest.approx(1000.0)


@pytest.mark.parametrize(("structure", "amount"), [(0.05, "less"), (0.7, "more")])
def test_a_picture_with_less_or_more_in_it_than_its_own_is_doubtful_even_if_predicted_well(structure: float, amount: str) -> None:
    found = of_ratios(0.3, structure=structure)
    assert found.verdicts == ["doubtful"] and f"There is {amount} in the latent" in found.words(0)
    assert of_ratios(0.3, structure=structure, own=None).verdicts == ["known"]


def test_the_structure_is_that_of_the_picture_alone() -> None:
    x0 = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    found = measure_prompts(noised_at(x0, [-5.0, 5.0]), [torch.zeros(2, 2, 1, 4, 64, 64)])
    assert float(found.structure) == pytest.approx(0.5, rel=0.02)  # variance 1 in noise of 1: half of it is missed


def test_the_words_name_the_ratio_and_what_the_latent_may_be() -> None:
    unknown, hardly, known = of_ratios(1.13, cleanest=2.3).words(0), of_ratios(0.7).words(0), of_ratios(0.31).words(0)
    assert unknown.startswith(
        "The model does not know this picture: it predicts the noise no better than smoothing (its error is 1.1 times that"
    )
    assert "2.3 times that of predicting nothing" in unknown and "another VAE" in unknown
    number = "(its error is 0.70 times that of smoothing; on its own pictures mostly below 0.40)"
    assert f"hardly better than smoothing {number}" in hardly
    assert known.startswith("The model knows such pictures") and "VAE" not in known


@pytest.mark.parametrize(
    "quantiles", [(0.1, 0.2, 0.3), (0.1, 0.2, 0.3, 0.5, 0.4), (0.0, 0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.4, math.inf)]
)
def test_quantiles_that_cannot_be_are_refused(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ratios of the model's own pictures"):
        OwnPictures(10, LEVELS, quantiles, OWN.structures)
    with pytest.raises(ValueError, match="structures of the model's own pictures"):
        OwnPictures(10, LEVELS, OWN.ratios, quantiles)


def test_a_latent_at_half_scale_is_doubtful_though_it_passes_both_limits_alone() -> None:
    """Little in it, and predicted badly: either happens to 1 in 100 of the model's own pictures, both hardly ever."""
    little, badly = OWN.structures[0] * 0.95, OWN.ratios[-1] * 1.02
    assert OWN.structure_limits[0] < little and badly < OWN.limit
    assert of_ratios(badly, structure=little).verdicts == ["doubtful"]
    assert of_ratios(badly).verdicts == of_ratios(OWN.ratios[-2], structure=little).verdicts == ["known"]


def test_cells_that_no_prompt_reaches_are_left_out() -> None:
    """Half of the picture is asked about: the ratio is that of this half alone."""
    x0, spectrum = field((1, 2, 32, 32), slope=2)
    noised = noised_at(x0, [0.0, 1.0])
    whole = predicted(noised, wiener(noised, spectrum))
    half = whole.clone()
    for step in range(2):
        half[:, step, ..., :16] = torch.stack([noised.at(sample, step) for sample in range(2)])[..., :16] / noised.sigmas[step]
    left = replace(noised, x0=x0[..., 16:], noise=noised.noise[..., 16:])
    found, alone = measure_prompts(noised, [half]), measure_prompts(left, [whole[..., 16:]])
    assert found.ratios.item() == pytest.approx(alone.ratios.item(), rel=1e-4)
    assert found.structure.item() == pytest.approx(alone.structure.item(), rel=1e-4)
    assert found.cleanest_error.item() == pytest.approx(alone.cleanest_error.item(), rel=0.1)
