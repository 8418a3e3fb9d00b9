"""Noise levels, noise and noised latents: diffusers' numbers, and clear words for what can't be noised."""

from __future__ import annotations

import math
from dataclasses import replace

import analytic
import pytest
import torch
from diffusers import DDIMScheduler
from sdexplain.nodes.maths.method import noising


def latents(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_noise_is_what_diffusers_and_comfyui_draw_for_the_seed() -> None:
    expected = torch.randn((1, 4, 6, 5), generator=torch.manual_seed(42))
    drawn = noising.draw_noise((4, 6, 5), 42, samples=1, steps=3, per_step=False)
    assert drawn.shape == (1, 1, 4, 6, 5)
    assert torch.equal(drawn[0], expected)


def test_the_first_step_of_fresh_noise_is_the_noise_of_the_seed() -> None:
    fresh = noising.draw_noise((4, 6, 5), 42, samples=1, steps=3, per_step=True)
    same = noising.draw_noise((4, 6, 5), 42, samples=1, steps=3, per_step=False)
    assert torch.equal(fresh[:, :1], same)
    assert not torch.allclose(fresh[0, 0], fresh[0, 1])


@pytest.mark.parametrize("per_step", [True, False])
def test_more_samples_and_more_steps_leave_the_earlier_noise_as_it_is(per_step: bool) -> None:
    few = noising.draw_noise((4, 3, 3), 7, samples=2, steps=5, per_step=per_step)
    many = noising.draw_noise((4, 3, 3), 7, samples=4, steps=9, per_step=per_step)
    assert torch.equal(many[:2, : few.shape[1]], few)


@pytest.mark.parametrize("per_step", [True, False])
def test_pairs_are_opposite_and_start_with_the_noise_that_single_samples_have(per_step: bool) -> None:
    single = noising.draw_noise((4, 3, 3), 7, samples=4, steps=5, per_step=per_step)
    pairs = noising.draw_noise((4, 3, 3), 7, samples=4, steps=5, per_step=per_step, antithetic=True)
    assert torch.equal(pairs[::2], single[::2])
    assert torch.equal(pairs[1::2], -pairs[::2])


def test_more_pairs_leave_the_earlier_ones_as_they_are() -> None:
    four, eight = (noising.draw_noise((4, 3, 3), 7, samples, 5, per_step=True, antithetic=True) for samples in (4, 8))
    assert torch.equal(eight[:4], four)
    base = analytic.noised_latents(latents(1, 4, 3, 3), steps=5)
    few, more = (replace(base, noise=noise, antithetic=True) for noise in (four, eight))
    assert len(noising.shared_levels(more, few)) == 4 * 5, "all that was predicted for four samples serves eight"


def test_a_pair_is_one_estimate_and_noise_is_fresh_where_every_step_has_its_own() -> None:
    def noised(samples: int, per_step: bool, antithetic: bool) -> noising.NoisedLatents:
        noise = noising.draw_noise((4, 3, 3), 7, samples, 5, per_step, antithetic)
        return replace(analytic.noised_latents(latents(1, 4, 3, 3), steps=5), noise=noise, antithetic=antithetic)

    assert (noised(6, True, True).estimates, noised(6, True, False).estimates) == (3, 6)
    assert noised(2, True, False).fresh_noise and not noised(2, False, False).fresh_noise


def test_all_noise_is_independent_and_unit_gaussian() -> None:
    noise = noising.draw_noise((4, 32, 32), 0, samples=3, steps=3, per_step=True).flatten(2).flatten(0, 1)
    correlations = torch.corrcoef(noise)
    # 4096 values: a standard error of 1/64, and five of them.
    assert (correlations - torch.eye(9)).abs().max() < 5 / 64
    assert noise.mean(1).abs().max() < 5 / 64
    assert (noise.std(1) - 1).abs().max() < 5 / 64


def test_seeds_and_samples_do_not_meet() -> None:
    seeds = [noising.draw_noise((4, 3, 3), seed, samples=3, steps=1, per_step=False) for seed in range(4)]
    rows = torch.cat(seeds).flatten(1)
    assert len(torch.unique(rows, dim=0)) == 12


def test_the_largest_seed_of_a_node_works() -> None:
    assert torch.isfinite(noising.draw_noise((4, 2, 2), 0xFFFFFFFFFFFFFFFF, samples=2, steps=1, per_step=False)).all()


def test_noised_latents_are_those_of_diffusers() -> None:
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    scheduler.set_timesteps(10)
    alphas_bar = scheduler.alphas_cumprod[scheduler.timesteps]
    sigmas = ((1 - alphas_bar) / alphas_bar).sqrt()
    noised = replace(analytic.noised_latents(latents(2, 4, 8, 8), steps=10), sigmas=sigmas)
    theirs = [
        scheduler.add_noise(noised.x0, noised.noise_at(0, step)[None], timestep)
        for step, timestep in enumerate(scheduler.timesteps)
    ]
    assert torch.allclose(noised.viewable(), torch.cat(theirs), atol=1e-5)


def test_viewable_latents_are_the_same_for_every_family() -> None:
    noised = analytic.noised_latents(latents(2, 4, 5, 6), samples=2)
    assert torch.allclose(analytic.as_flow(noised).viewable(1), noised.viewable(1), atol=1e-5)


def test_viewable_latents_come_step_by_step_and_within_a_step_image_by_image() -> None:
    noised = analytic.noised_latents(latents(3, 4, 5, 6), steps=4)
    alone = replace(noised, x0=noised.x0[2:])
    assert torch.equal(noised.viewable()[2::3], alone.viewable())


def test_log_snr_of_flow_and_exploding_models() -> None:
    noised = analytic.noised_latents(latents(1, 4, 2, 2), steps=3, reach=(10.0, 0.1))
    assert torch.allclose(noised.log_snr, torch.tensor([-2 * math.log(10), 0.0, 2 * math.log(10)]), atol=1e-5)
    assert torch.allclose(analytic.as_flow(noised).log_snr, noised.log_snr, atol=1e-5)


@pytest.mark.parametrize(
    ("log_snrs", "shares"),
    [
        ([-4.0, -1.0, 0.0, 5.0], [1.5, 2.0, 3.0, 2.5]),
        ([-math.inf, -1.0, 0.0, 3.0], [0.0, 0.5, 2.0, 1.5]),
        ([-math.inf, 2.0], [0.0, 1.0]),
        ([2.0], [1.0]),
        ([-math.inf], [0.0]),
    ],
)
def test_step_shares_follow_the_midpoint_rule(log_snrs: list[float], shares: list[float]) -> None:
    assert noising.step_shares(torch.tensor(log_snrs)).tolist() == shares


def test_pure_noise_of_a_flow_model_has_no_share() -> None:
    noised = analytic.as_flow(analytic.noised_latents(latents(1, 4, 2, 2), steps=4))
    noised = replace(
        noised,
        sigmas=torch.cat([torch.ones(1), noised.sigmas[1:]]),
        alphas=torch.cat([torch.zeros(1), noised.alphas[1:]]),
    )
    assert noised.log_snr[0] == -math.inf
    assert noised.step_shares[0] == 0
    assert noised.step_shares.sum().item() == pytest.approx((noised.log_snr[-1] - noised.log_snr[1]).item())
    assert torch.equal(noised.at(0, 0)[0], noised.noise_at(0, 0))


def test_vae_space_is_scaled_and_shifted_channel_by_channel() -> None:
    noised = analytic.noised_latents(torch.ones(1, 3, 2, 2))
    assert noised.to_vae(noised.x0)[0, :, 0, 0].tolist() == [5.5, 5.625, 5.75]


def test_shared_levels_are_those_with_the_same_image_level_and_noise() -> None:
    few = analytic.noised_latents(latents(1, 4, 3, 3), samples=1, steps=6)
    more = replace(few, noise=noising.draw_noise((4, 3, 3), 0, samples=2, steps=6, per_step=True))
    assert noising.shared_levels(more, few) == {(0, step): (0, step) for step in range(6)}
    part = replace(few, sigmas=few.sigmas[2:5], alphas=few.alphas[2:5], noise=few.noise[:, 2:5])
    assert noising.shared_levels(few, part) == {(0, 2): (0, 0), (0, 3): (0, 1), (0, 4): (0, 2)}
    assert noising.shared_levels(few, analytic.noised_latents(latents(1, 4, 3, 3), seed=1, steps=6)) == {}
    assert noising.shared_levels(few, replace(few, x0=few.x0 + 1e-6)) == {}
    assert noising.shared_levels(few, analytic.as_flow(few)) == {}


class Nested:
    is_nested = True


@pytest.mark.parametrize(
    ("latent", "words"),
    [
        (torch.zeros(1, 4, 3, 8, 8), r"five dimensions are a video's"),
        (torch.zeros(4, 8, 8), r"shape \[4, 8, 8\]; expected \[images, channels, height, width\]"),
        (torch.zeros(0, 4, 8, 8), "none of them 0"),
        (torch.zeros(1, 4, 0, 8), "none of them 0"),
        (torch.full((1, 4, 8, 8), math.nan), "NaN or infinity. Encode the picture again"),
        (torch.full((1, 4, 8, 8), math.inf), "NaN or infinity. Encode the picture again"),
        (torch.zeros(1, 16, 8, 8), "16 channels, but the model takes 4"),
        (Nested(), "several latents in one"),
    ],
)
def test_latents_that_cannot_be_noised_are_refused(latent: torch.Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        noising.check_latent(latent, channels=4)


@pytest.mark.parametrize(
    ("sigmas", "words"),
    [
        ([], "there is no step"),
        ([3.0, 2.0, 2.5], "rise from 2 at step 1 to 2.5 at step 2"),
        ([3.0, math.nan], "contain NaN or infinity"),
        ([math.inf, 1.0], "contain NaN or infinity"),
        ([1.0, 0.0], "contain 0; expected levels above 0"),
        ([1.0, -1.0], "contain -1; expected levels above 0"),
    ],
)
def test_levels_that_are_no_schedule_are_refused(sigmas: list[float], words: str) -> None:
    levels = torch.tensor(sigmas)
    with pytest.raises(ValueError, match=words):
        noising.check_levels(levels, torch.ones_like(levels))


def test_levels_of_another_kind_of_model_are_refused() -> None:
    levels = torch.tensor([14.6, 0.5])
    with pytest.raises(ValueError, match="run up to 14.6, where this model's share of the image is -13.6"):
        noising.check_levels(levels, 1 - levels)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise": torch.zeros(1, 3, 4, 8, 8)}, r"shape \[1, 3, 4, 8, 8\]; expected \[samples, 10 or 1 steps"),
        ({"noise": torch.zeros(0, 1, 4, 8, 8)}, "expected"),
        (
            {"noise": torch.zeros(1, 1, 4, 8, 9)},
            r"noise is for latents of shape \[4, 8, 9\], the image's latent has \[4, 8, 8\]",
        ),
        ({"noise": torch.full((1, 1, 4, 8, 8), math.nan)}, "noise contains NaN"),
        ({"alphas": torch.ones(3)}, "10 noise levels, but 3 image factors"),
        ({"latent_scale": torch.ones(3)}, "one value for each of the 4 channels"),
        ({"x0": torch.zeros(1, 4, 3, 8, 8)}, "video"),
        ({"noise": torch.ones(2, 1, 4, 8, 8), "antithetic": True}, "not each other's negative"),
        ({"noise": torch.ones(3, 1, 4, 8, 8), "antithetic": True}, "not each other's negative"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(changes: dict[str, torch.Tensor], words: str) -> None:
    noised = analytic.noised_latents(latents(1, 4, 8, 8), steps=10)
    with pytest.raises(ValueError, match=words):
        replace(noised, **changes)


@pytest.mark.parametrize("arguments", [(0, 0, 5), (0, 1, 0), (-1, 1, 5)])
def test_numbers_that_no_noise_can_have_are_refused(arguments: tuple[int, int, int]) -> None:
    seed, samples, steps = arguments
    with pytest.raises(ValueError, match=f"samples is {samples}, steps is {steps}, seed is {seed}; expected at least 1"):
        noising.draw_noise((4, 2, 2), seed, samples, steps, per_step=True)


def test_pairs_of_an_odd_number_are_refused() -> None:
    with pytest.raises(ValueError, match="samples is 3; antithetic pairs need an even number"):
        noising.draw_noise((4, 2, 2), 0, 3, 1, per_step=True, antithetic=True)


# ------------------------------------------------------------------------------------------------------- connected noise


class Drawn:
    """What core's RandomNoise gives, and the batches that it was asked for."""

    def __init__(self) -> None:
        self.batches = []

    def generate_noise(self, latent: dict[str, torch.Tensor]) -> torch.Tensor:
        self.batches.append(len(latent["samples"]))
        return torch.randn(latent["samples"].shape, generator=torch.Generator().manual_seed(4))


def test_connected_noise_is_asked_for_once_for_each_pair() -> None:
    from sdexplain.nodes.host.noise import generated_noise

    single, halves = Drawn(), Drawn()
    independent = generated_noise(single, 4, 5, (4, 3, 3), paired=False)
    pairs = generated_noise(halves, 4, 5, (4, 3, 3), paired=True)
    assert independent.shape == pairs.shape == (4, 5, 4, 3, 3)
    assert (single.batches, halves.batches) == ([20], [10])
    assert torch.equal(pairs[1::2], -pairs[::2])
    assert not torch.equal(pairs[0], pairs[2])
