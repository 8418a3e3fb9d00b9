"""Noise levels, noised latents and predictions of a real ComfyUI model,
against diffusers on the same weights and against itself."""

from __future__ import annotations

import gc
import math
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.prediction import list_evaluations, predictions_shape
from sdexplain.training import architecture
from small_pipeline import small_pipeline
from torch import Tensor
from watching import assert_same_state, state_of, watch_calls

pytestmark = pytest.mark.usefixtures("comfy_host")

SHAPE = (4, 8, 6)
CELLS = SHAPE[1] * SHAPE[2]
# Untrained weights give outputs of size 1; float32 sums in another order then differ by a few 1e-6.
TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}


# -------------------------------------------------------------------------------------------------------------- a small model


def save(pipeline: StableDiffusionPipeline, folder: Path) -> Path:
    architecture.save_pipeline(pipeline, folder, torch.float32)
    return folder


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[StableDiffusionPipeline, Path]]:
    """One network, said to predict the noise, the velocity and the image, in diffusers and in the folder it was saved to."""
    kinds = ("epsilon", "v_prediction", "sample")
    return {kind: (built := small_pipeline(kind), save(built, tmp_path_factory.mktemp(kind))) for kind in kinds}


@pytest.fixture(scope="module")
def models(pipelines: dict[str, Any], comfy_host: Path) -> dict[str, Any]:
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    loaded = {kind: load_pipeline(folder, [])[0] for kind, (_, folder) in pipelines.items()}
    return {**loaded, "flow": ModelSamplingSD3().patch(loaded["epsilon"], 3.0)[0]}


@pytest.fixture
def model(models: dict[str, Any]) -> Iterator[Any]:
    """The noise predicting model; every test also proves that it leaves it as it was."""
    patcher = models["epsilon"].clone()
    before = state_of(patcher)
    yield patcher
    assert_same_state(state_of(patcher), before)


def text(seed: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 77, 32, generator=torch.Generator().manual_seed(seed))


def prompt(seed: int, **settings: Any) -> list[list[Any]]:
    """A conditioning as CLIP Text Encode makes it; new objects every time."""
    return [[text(seed), {"pooled_output": text(seed)[:, 0], **settings}]]


def image_latents(images: int = 1) -> Tensor:
    return torch.randn(images, *SHAPE, generator=torch.Generator().manual_seed(9))


def noise_for(
    model: Any, steps: int = 5, samples: int = 1, images: int = 1, scheduler: str = "normal", seed: int = 0
) -> NoisedLatents:
    from sdexplain.nodes.host import schedule

    space, sigmas = schedule.latent_space(model), schedule.scheduled_sigmas(model, scheduler, steps)
    return NoisedLatents(
        x0=schedule.model_latent(model, image_latents(images)),
        noise=draw_noise(SHAPE, seed, samples, len(sigmas), per_step=True),
        sigmas=sigmas,
        alphas=schedule.image_factors(model, sigmas),
        latent_scale=space.scale,
        latent_shift=space.shift,
        downscale=space.downscale,
    )


def predict(model: Any, noised: NoisedLatents, conditioning: list[list[Any]], **options: Any) -> Tensor:
    from sdexplain.nodes.host import prediction

    predictions = torch.full(predictions_shape(noised), math.nan)
    prediction.predict(model, noised, conditioning, predictions, list_evaluations(noised), **options)
    return predictions


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The noise levels in each model call."""
    return watch_calls(monkeypatch)


def fail_in_call(monkeypatch: pytest.MonkeyPatch, when: Callable[[int, int], BaseException | None]) -> list[int]:
    """Let model calls raise what `when(number of the call, evaluations in it)` gives; returns the sizes of all calls."""
    import comfy.samplers

    sizes: list[int] = []
    real = comfy.samplers.calc_cond_batch

    def failing(inner: Any, conds: Any, x: Tensor, sigma: Tensor, options: Any) -> Any:
        sizes.append(len(x))
        if error := when(len(sizes) - 1, len(x)):
            raise error
        return real(inner, conds, x, sigma, options)

    monkeypatch.setattr(comfy.samplers, "calc_cond_batch", failing)
    return sizes


# ------------------------------------------------------------------------------------------------------------------- schedule


def test_ddim_uniform_gives_the_levels_of_diffusers_ddim(model: Any, pipelines: dict[str, Any]) -> None:
    scheduler = pipelines["epsilon"][0].scheduler
    scheduler.set_timesteps(10)
    noised = noise_for(model, 10, scheduler="ddim_uniform")
    alphas_bar = scheduler.alphas_cumprod[scheduler.timesteps]
    torch.testing.assert_close(noised.sigmas, ((1 - alphas_bar) / alphas_bar).sqrt(), rtol=1e-5, atol=0)
    assert noised.alphas.tolist() == [1] * 10


def test_fifty_normal_steps_span_the_log_snr_of_stable_diffusion(model: Any) -> None:
    log_snr = noise_for(model, 50).log_snr
    assert (log_snr[0].item(), log_snr[-1].item()) == pytest.approx((-5.36, 7.07), abs=0.01)
    assert (log_snr[10].item(), log_snr[20].item()) == pytest.approx((-3.2, -1.6), abs=0.05)


def test_every_scheduler_falls_within_the_models_reach(models: dict[str, Any]) -> None:
    import comfy.samplers

    for model in (models["epsilon"], models["flow"]):
        for scheduler in comfy.samplers.SCHEDULER_NAMES:
            for steps in (2, 7, 50, 1000):
                noised = noise_for(model, steps, scheduler=scheduler)
                assert noised.steps == steps or scheduler in ("ddim_uniform", "beta")


def test_a_flow_model_shares_out_image_and_noise(models: dict[str, Any]) -> None:
    noised = noise_for(models["flow"])
    assert torch.equal(noised.alphas, 1 - noised.sigmas)
    assert noised.sigmas[0] == 1
    assert noised.log_snr[0] == -math.inf


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample", "flow"])
def test_the_factors_are_those_that_the_model_samples_with(models: dict[str, Any], kind: str) -> None:
    noised = noise_for(models[kind])
    sampling = models[kind].get_model_object("model_sampling")
    for step in range(noised.steps):
        theirs = sampling.noise_scaling(noised.sigmas[step], noised.noise_at(0, step)[None].clone(), noised.x0)
        torch.testing.assert_close(noised.at(0, step), theirs, rtol=1e-6, atol=1e-6)


def test_latents_are_scaled_and_shifted_as_the_latent_format_does_it(model: Any) -> None:
    import comfy.latent_formats
    from sdexplain.nodes.host import schedule

    for latent_format in (
        comfy.latent_formats.SD15(),
        comfy.latent_formats.Flux(),
        comfy.latent_formats.SDXL_Playground_2_5(),
    ):
        patched = model.clone()
        patched.add_object_patch("latent_format", latent_format)
        samples = torch.randn(2, latent_format.latent_channels, 3, 4)
        space, x0 = schedule.latent_space(patched), schedule.model_latent(patched, samples)
        torch.testing.assert_close(x0, latent_format.process_in(samples))
        torch.testing.assert_close(x0 * space.scale.view(-1, 1, 1) + space.shift.view(-1, 1, 1), samples, rtol=1e-4, atol=1e-5)


def test_levels_end_before_zero() -> None:
    from sdexplain.nodes.host import schedule

    assert schedule.without_final_zero(torch.tensor([3.0, 1.0, 0.0])).tolist() == [3, 1]
    assert schedule.without_final_zero(torch.tensor([3.0, 1.0])).tolist() == [3, 1]
    assert schedule.without_final_zero(torch.tensor([0.0])).tolist() == []


@pytest.mark.parametrize(
    ("sigmas", "words"),
    [
        ([], "there is no step"),
        ([1.0, 2.0], "rise from 1 at step 0 to 2 at step 1"),
        ([1.0, math.nan], "NaN or infinity"),
        ([80.0, 1.0], "run from 80 to 1, but this model knows those from 14.6146 to 0.0291672"),
        ([1.0, 0.002], "run from 1 to 0.002, but this model knows"),
    ],
)
def test_levels_that_the_model_does_not_know_are_refused(model: Any, sigmas: list[float], words: str) -> None:
    from sdexplain.nodes.host import schedule

    with pytest.raises(ValueError, match=words):
        schedule.image_factors(model, torch.tensor(sigmas))


@pytest.mark.parametrize(
    ("scheduler", "steps", "words"),
    [
        ("normal", 0, "steps is 0; expected at least 1"),
        ("evil", 5, "scheduler is 'evil'; expected one of simple"),
        ("kl_optimal", 1, "kl_optimal has no schedule of 1 steps"),
    ],
)
def test_schedules_that_do_not_exist_are_refused(model: Any, scheduler: str, steps: int, words: str) -> None:
    from sdexplain.nodes.host import schedule

    with pytest.raises(ValueError, match=words):
        schedule.scheduled_sigmas(model, scheduler, steps)


def test_models_of_sound_and_of_crooked_latents_are_refused(model: Any) -> None:
    import comfy.latent_formats
    from sdexplain.nodes.host import schedule

    class Crooked(comfy.latent_formats.SD15):
        def process_out(self, latent: Tensor) -> Tensor:
            return latent**3

    for latent_format, words in (
        (comfy.latent_formats.StableAudio1(), "works on sounds or shapes .its latents are StableAudio1"),
        (Crooked(), "Crooked does more than scale"),
    ):
        patched = model.clone()
        patched.add_object_patch("latent_format", latent_format)
        with pytest.raises(ValueError, match=words):
            schedule.latent_space(patched)


def test_noised_latents_of_another_model_are_refused(model: Any, models: dict[str, Any]) -> None:
    import comfy.latent_formats
    from sdexplain.nodes.host import schedule

    noised = noise_for(model)
    schedule.check_same_model(model, noised)
    wider, scaled = model.clone(), model.clone()
    wider.add_object_patch("latent_format", comfy.latent_formats.Flux())
    scaled.add_object_patch("latent_format", comfy.latent_formats.SDXL())
    for other, words in (
        (wider, "noised latents have 4 channels, but the model takes 16. Connect the model that the noising node has"),
        (scaled, "scaled for another model's latent space"),
        (models["flow"], "do not fit the model: The noise levels"),
    ):
        with pytest.raises(ValueError, match=words):
            schedule.check_same_model(other, noised)
    exploding = replace(noise_for(models["flow"]), alphas=torch.ones(5))
    with pytest.raises(ValueError, match="mixed with noise in another way"):
        schedule.check_same_model(models["flow"], exploding)


# -------------------------------------------------------------------------------------------------------- parity with diffusers


@torch.inference_mode()
def test_latents_and_predictions_are_those_of_diffusers(model: Any, pipelines: dict[str, Any]) -> None:
    """All steps of a schedule and both prompts: DDIM's add_noise, then the UNet. Stated tolerance: 2e-5 (measured: 4e-6)."""
    pipeline = pipelines["epsilon"][0]
    pipeline.scheduler.set_timesteps(10)
    noised = noise_for(model, 10, images=2, scheduler="ddim_uniform")
    viewable = noised.viewable().unflatten(0, (10, 2))
    found = [predict(model, noised, prompt(seed))[0] for seed in (1, 2)]
    for step, timestep in enumerate(pipeline.scheduler.timesteps):
        theirs = pipeline.scheduler.add_noise(noised.x0, noised.noise_at(0, step)[None], timestep)
        torch.testing.assert_close(viewable[step], theirs, **TOLERANCE)
        for seed, predictions in zip((1, 2), found, strict=True):
            eps = pipeline.unet(theirs, timestep, text(seed).expand(2, -1, -1)).sample
            torch.testing.assert_close(predictions[step], eps, **TOLERANCE)
    assert (found[0] - found[1]).std() > 0.01


@pytest.mark.parametrize("kind", ["v_prediction", "sample"])
@torch.inference_mode()
def test_other_kinds_of_prediction_come_back_as_noise(models: dict[str, Any], pipelines: dict[str, Any], kind: str) -> None:
    """By diffusers' own conversion to x0, which leaves the noise: x_t = sqrt(abar) x0 + sqrt(1 - abar) eps."""
    pipeline, model = pipelines[kind][0], models[kind]
    scheduler: DDIMScheduler = pipeline.scheduler
    scheduler.set_timesteps(5)
    noised = noise_for(model, 5, scheduler="ddim_uniform")
    predictions = predict(model, noised, prompt(1))[0]
    for step, timestep in enumerate(scheduler.timesteps):
        x_t = scheduler.add_noise(noised.x0, noised.noise_at(0, step)[None], timestep)
        clean = scheduler.step(pipeline.unet(x_t, timestep, text(1)).sample, timestep, x_t).pred_original_sample
        alpha_bar = scheduler.alphas_cumprod[timestep]
        eps = (x_t - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()
        # At the last step 1 - abar is 0.0017: what float32 loses in x_t - x0 is divided by its root.
        torch.testing.assert_close(predictions[step], eps, atol=2e-4, rtol=1e-3)


@torch.inference_mode()
def test_a_flow_models_noise_is_what_its_velocity_leaves(models: dict[str, Any], pipelines: dict[str, Any]) -> None:
    """x = (1 - t) x0 + t eps and velocity = eps - x0, so eps = x + (1 - t) * velocity."""
    noised = noise_for(models["flow"], 6)
    predictions = predict(models["flow"], noised, prompt(1))[0]
    for step, level in enumerate(noised.sigmas):
        x = noised.at(0, step)
        velocity = pipelines["epsilon"][0].unet(x, level * 1000, text(1)).sample
        torch.testing.assert_close(predictions[step], x + (1 - level) * velocity, atol=1e-4, rtol=1e-3)


# ----------------------------------------------------------------------------------------------------------------- model calls


def test_the_same_prompt_gives_the_same_predictions_to_the_last_bit(model: Any) -> None:
    noised = noise_for(model, 7, samples=2, images=2)
    assert torch.equal(predict(model, noised, prompt(1)), predict(model, noised, prompt(1)))


@pytest.mark.parametrize("evaluations", [1, 2, 5, 20, 100])
def test_the_chunk_never_changes_a_result(model: Any, calls: list[list[float]], evaluations: int) -> None:
    noised = noise_for(model, 5, samples=2, images=3)
    whole = predict(model, noised, prompt(1))
    assert [len(call) for call in calls] == [30]
    calls.clear()
    chunked = predict(model, noised, prompt(1), cells=evaluations * CELLS)
    torch.testing.assert_close(chunked, whole, **TOLERANCE)
    assert max(len(call) for call in calls) <= 1.5 * evaluations
    assert sum(len(call) for call in calls) == 30


@pytest.mark.parametrize(
    ("count", "wished", "sizes"),
    [
        (10, 8, [10]),
        (12, 8, [6, 6]),
        (13, 8, [7, 6]),
        (17, 4, [5, 4, 4, 4]),
        (50, 4, [5, 5] + [4] * 10),
        (9, 16, [9]),
        (3, 0.2, [1, 1, 1]),
    ],
)
def test_calls_are_of_even_size(model: Any, calls: list[list[float]], count: int, wished: float, sizes: list[int]) -> None:
    predict(model, noise_for(model, count), prompt(1), cells=wished * CELLS)
    assert [len(call) for call in calls] == sizes


def test_a_batch_of_images_equals_single_runs(model: Any) -> None:
    noised = noise_for(model, 4, samples=2, images=3)
    together = predict(model, noised, prompt(1))
    for image in range(3):
        alone = predict(model, replace(noised, x0=noised.x0[image : image + 1]), prompt(1))
        torch.testing.assert_close(alone[:, :, 0], together[:, :, image], **TOLERANCE)


def test_plain_prompts_mix_noise_levels_in_a_call(model: Any, calls: list[list[float]]) -> None:
    predict(model, noise_for(model, 8), prompt(1))
    assert [len(set(call)) for call in calls] == [8]


def test_what_looks_at_the_noise_level_gets_one_a_call(model: Any, calls: list[list[float]]) -> None:
    noised = noise_for(model, 4, samples=2, images=3)
    plain = predict(model, noised, prompt(1))
    patched, guided = model.clone(), model.clone()
    patched.set_model_attn1_patch(lambda q, k, v, extra: (q, k, v))
    guided.set_model_sampler_post_cfg_function(lambda arguments: arguments["denoised"])
    timed = prompt(1, start_percent=0.0, end_percent=1.0)
    per_image = [[text(1).expand(3, -1, -1), {}]]
    for patcher, conditioning, alone in (
        (model, timed, True),
        (model, per_image, True),
        (model, prompt(1, hooks=None, control=SimpleNamespace()), None),
        (patched, prompt(1), True),
        (guided, prompt(1), False),
    ):
        from sdexplain.nodes.host.prediction import may_mix_levels

        assert may_mix_levels(patcher, conditioning) is (alone is False)
        if alone is None:
            continue
        calls.clear()
        torch.testing.assert_close(predict(patcher, noised, conditioning), plain, **TOLERANCE)
        if alone:
            assert all(len(set(call)) == 1 for call in calls)
            assert sum(len(call) for call in calls) == 24 + (3 if patcher is patched else 0)  # a call of 3 images is repeated


@pytest.mark.parametrize("evaluations", [1, 3, 100])
def test_conditionings_of_their_own_stay_with_their_images(model: Any, evaluations: int) -> None:
    noised = noise_for(model, 3, samples=2, images=2)
    conditioning = [[torch.cat([text(1), text(2)]), {}]]
    both = predict(model, noised, conditioning, cells=evaluations * CELLS)
    for image, seed in enumerate((1, 2)):
        alone = predict(model, replace(noised, x0=noised.x0[image : image + 1]), prompt(seed))
        torch.testing.assert_close(both[:, :, image], alone[:, :, 0], **TOLERANCE)


def test_a_prompt_for_a_part_of_the_schedule_counts_there(model: Any) -> None:
    noised = noise_for(model, 8)
    first, second = predict(model, noised, prompt(1)), predict(model, noised, prompt(2))
    switching = prompt(1, start_percent=0.0, end_percent=0.5) + prompt(2, start_percent=0.5, end_percent=1.0)
    found = predict(model, noised, switching)
    torch.testing.assert_close(found[:, :4], first[:, :4], **TOLERANCE)
    torch.testing.assert_close(found[:, 4:], second[:, 4:], **TOLERANCE)
    assert (first - second).abs().max() > 0.01


def test_a_prompt_that_is_switched_off_is_refused_before_the_model_runs(model: Any, calls: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="switched off at step 4 .*Let it reach over the whole schedule"):
        predict(model, noise_for(model, 8), prompt(1, start_percent=0.0, end_percent=0.5))
    assert calls == []


@pytest.mark.parametrize("quality", ["settled", "exact"])
def test_of_an_answer_that_sharpens_too_and_whichever_prompt_it_is(model: Any, calls: list[list[float]], quality: str) -> None:
    from sdexplain.nodes.host import kept
    from sdexplain.nodes.host.progressive import Progress

    noised, short = noise_for(model, 8), prompt(2, start_percent=0.0, end_percent=0.9)
    with pytest.raises(ValueError, match="The contrast conditioning is switched off at step 7"):
        kept.collect(model, noised, prompt(1), short, "1", "float32", Progress(noised, ("zebra", "horse"), quality))
    assert calls == []


def test_an_area_of_one_prompt_does_not_reach_another(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 3)
    area = [*prompt(1), *prompt(3, area=(8, 3, 0, 0))]
    _, beside, _ = kept.collect(model, noised, area, prompt(2), "area", "float32")
    torch.testing.assert_close(beside, predict(model, noised, prompt(2)), **TOLERANCE)


def test_a_patch_that_acts_on_the_positive_prompt_acts_on_both(model: Any) -> None:
    """Image adapters and the like take whatever comes second in a call for the negative prompt, and give it something else."""
    from sdexplain.nodes.host import kept

    noised, patched, places = noise_for(model, 3), model.clone(), []

    def doubled_for_positive(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        places.append(extra["cond_or_uncond"])
        return q, k, v * 2 if extra["cond_or_uncond"] == [0] else v

    patched.set_model_attn2_patch(doubled_for_positive)
    target, contrast, _ = kept.collect(patched, noised, prompt(1), prompt(2), "patched", "float32")
    assert places and all(place == [0] for place in places)
    swapped, back, _ = kept.collect(patched.clone(), noised, prompt(2), prompt(1), "patched", "float32")
    assert torch.equal(target, back) and torch.equal(contrast, swapped)


@pytest.mark.parametrize("wrong", [[], None, "a zebra", 5])
def test_no_prompt_at_all_is_refused(wrong: object) -> None:
    from sdexplain.nodes.host.prediction import check_conditioning

    with pytest.raises(ValueError, match="The contrast conditioning is .* expected at least one prompt"):
        check_conditioning(wrong, "contrast")


def test_a_conditioning_of_nan_is_refused_by_name() -> None:
    from sdexplain.nodes.host.prediction import check_conditioning

    check_conditioning([[torch.zeros(1, 2, 3), {}]], "target")
    with pytest.raises(ValueError, match="The target conditioning contains NaN or infinity. Encode the prompt again"):
        check_conditioning([[torch.full((1, 2, 3), math.nan), {}]], "target")


# ---------------------------------------------------------------------------------------------------- memory, cancel, failures


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_out_of_memory_halves_the_chunk_and_goes_on(model: Any, monkeypatch: pytest.MonkeyPatch, error: RuntimeError) -> None:
    noised = noise_for(model, 5, samples=2, images=2)
    whole, told = predict(model, noised, prompt(1)), []
    sizes = fail_in_call(monkeypatch, lambda number, size: error if size > 3 else None)
    found = predict(model, noised, prompt(1), called=told.append)
    torch.testing.assert_close(found, whole, **TOLERANCE)
    assert sizes == [20, 10, 5, *[2] * 10]
    assert told == [2] * 10


def test_out_of_memory_with_a_single_evaluation_is_the_end(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = fail_in_call(monkeypatch, lambda number, size: torch.cuda.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        predict(model, noise_for(model, 4), prompt(1))
    assert sizes == [4, 2, 1]


def test_the_chunk_fits_into_the_memory_that_comfyui_estimates(
    model: Any, monkeypatch: pytest.MonkeyPatch, calls: list[list[float]]
) -> None:
    import comfy.model_management

    noised = noise_for(model, 9)
    free = model.model.memory_required([4, *SHAPE]) * 1.5 * 1.2

    def little_memory(device: object = None, torch_free_too: bool = False) -> Any:
        return (free, free) if torch_free_too else free

    monkeypatch.setattr(comfy.model_management, "get_free_memory", little_memory)
    predict(model, noised, prompt(1))
    assert [len(call) for call in calls] == [3, 3, 3]


def test_memory_is_reserved_for_a_chunk(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI reserves for twice the batch that it is shown, as sampling has two prompts."""
    import comfy.sampler_helpers

    shown = []
    real = comfy.sampler_helpers.prepare_sampling
    monkeypatch.setattr(
        comfy.sampler_helpers,
        "prepare_sampling",
        lambda model, shape, *rest, **options: shown.append(shape) or real(model, shape, *rest, **options),
    )
    predict(model, noise_for(model, 16), prompt(1))
    assert [tuple(shape) for shape in shown] == [(8, *SHAPE)]


def test_cancel_takes_effect_within_one_model_call(model: Any, calls: list[list[float]]) -> None:
    import comfy.model_management

    noised = noise_for(model, 8)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        predict(
            model,
            noised,
            prompt(1),
            called=lambda count: comfy.model_management.interrupt_current_processing(),
            cells=2 * CELLS,
        )
    assert [len(call) for call in calls] == [2]
    assert torch.isfinite(predict(model, noised, prompt(1))).all()


def test_cancel_takes_effect_within_a_model_call_before_its_next_layer(model: Any) -> None:
    import comfy.model_management

    parts = [part for part in model.model.diffusion_model.modules() if next(part.children(), None) is None]
    ran: list[torch.nn.Module] = []

    def note(layer: torch.nn.Module, *_: Any) -> None:
        ran.append(layer)
        if len(ran) == 3:
            comfy.model_management.interrupt_current_processing()

    hooks = [part.register_forward_hook(note) for part in parts]
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            predict(model, noise_for(model, 8), prompt(1))
    finally:
        for hook in hooks:
            hook.remove()
    assert len(ran) == 3 and not any(part._forward_pre_hooks for part in parts)


def test_the_cost_of_a_big_picture_is_said_before_the_first_call_and_none_follows_a_cancel(
    model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import comfy.model_management
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 4)
    noised = replace(noised, x0=torch.rand(1, 4, 512, 512), noise=torch.randn(1, 4, 4, 512, 512))
    said: list[str] = []

    def cancelled_within_the_second_call(x: Tensor, *_: Any, **__: Any) -> Tensor:
        said.append(caplog.text)
        if len(said) == 2:
            comfy.model_management.interrupt_current_processing()
        return x

    monkeypatch.setattr(model.model, "apply_model", cancelled_within_the_second_call)
    with caplog.at_level("INFO"), pytest.raises(comfy.model_management.InterruptProcessingException):
        kept.collect(model, noised, prompt(1), prompt(2), "1")
    assert len(said) == 2
    pixels = 512 * noised.downscale
    assert f"up to 8 predictions of {pixels}×{pixels} pixels, about 1 in a call" in said[0]
    expected = float(re.findall(r"take (\S+) GB", said[0])[0])
    assert expected == pytest.approx(model.model.memory_required([1, 4, 512, 512]) / 1e9, rel=0.01)


def test_a_failing_model_is_left_as_it_was(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noised = noise_for(model, 8)
    before = predict(model, noised, prompt(1))
    with monkeypatch.context() as patch:
        fail_in_call(patch, lambda number, size: KeyError("a broken patch") if number == 1 else None)
        with pytest.raises(ValueError, match="under the target conditioning .KeyError: 'a broken patch'") as failed:
            predict(model, noised, prompt(1), cells=2 * CELLS, name="target")
    assert isinstance(failed.value.__cause__, KeyError)
    assert torch.equal(predict(model, noised, prompt(1)), before)


def test_a_model_that_breaks_down_is_named_with_its_step(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.samplers

    monkeypatch.setattr(comfy.samplers, "calc_cond_batch", lambda inner, conds, x, sigma, options: [x * math.nan])
    with pytest.raises(ValueError, match="predicted NaN or infinity between step 0 and step 3 of 4"):
        predict(model, noise_for(model, 4), prompt(1))


# ------------------------------------------------------------------------------------------------------------ kept predictions


def collected(model: Any, noised: NoisedLatents, target: Any, contrast: Any, node: str = "1") -> tuple[Tensor, Tensor, int]:
    """Both prompts' predictions and how many of them the model was asked for."""
    from sdexplain.nodes.host import kept

    first, second, effort = kept.collect(model, noised, target, contrast, node, "float32")
    assert effort.wanted == 2 * noised.samples * noised.steps * noised.images
    return first, second, effort.predicted


def test_changing_one_prompt_predicts_that_prompt_alone(model: Any, calls: list[list[float]]) -> None:
    noised = noise_for(model, 6)
    zebra, horse, asked = collected(model, noised, prompt(1), prompt(2))
    assert asked == sum(map(len, calls)) == 12
    same, donkey, asked = collected(model, noised, prompt(1), prompt(3))
    assert asked == 6
    assert torch.equal(same, zebra)
    torch.testing.assert_close(donkey, predict(model, noised, prompt(3)), rtol=0, atol=0)


def test_swapped_prompts_are_not_predicted_again_and_give_the_negative(model: Any) -> None:
    noised = noise_for(model, 6)
    zebra, horse, _ = collected(model, noised, prompt(1), prompt(2))
    first, second, asked = collected(model, noised, prompt(2), prompt(1))
    assert asked == 0
    assert torch.equal(first - second, -(zebra - horse))


def test_swapped_prompts_give_exactly_the_negative_without_anything_kept(model: Any) -> None:
    noised = noise_for(model, 6, samples=3)
    first = predict(model, noised, prompt(1)) - predict(model, noised, prompt(2))
    swapped = predict(model, noised, prompt(2)) - predict(model, noised, prompt(1))
    assert torch.equal(first, -swapped)


def test_the_same_prompt_twice_is_predicted_once_and_differs_by_exactly_zero(model: Any) -> None:
    target, contrast, asked = collected(model, noise_for(model, 6), prompt(1), prompt(1))
    assert asked == 6
    assert not (target - contrast).any()


def test_another_node_finds_the_prompt_that_it_shares(model: Any) -> None:
    noised = noise_for(model, 6)
    zebra, _, _ = collected(model, noised, prompt(1), prompt(2), node="label against label")
    again, _, asked = collected(model, noised, prompt(1), prompt(0), node="label against empty")
    assert asked == 6
    assert torch.equal(again, zebra)


def test_more_samples_predict_only_the_new_ones(model: Any) -> None:
    few, _, _ = collected(model, noise_for(model, 4, samples=1, images=2), prompt(1), prompt(2))
    noised = noise_for(model, 4, samples=3, images=2)
    more, _, asked = collected(model, noised, prompt(1), prompt(2))
    assert asked == 2 * 2 * 4 * 2  # prompts, new samples, steps, images
    assert torch.equal(more[:1], few)
    torch.testing.assert_close(more, predict(model, noised, prompt(1)), **TOLERANCE)


def test_more_steps_predict_only_the_new_ones(model: Any) -> None:
    whole = noise_for(model, 8)
    part = replace(whole, sigmas=whole.sigmas[2:5], alphas=whole.alphas[2:5], noise=whole.noise[:, 2:5])
    kept_part, _, _ = collected(model, part, prompt(1), prompt(2))
    found, _, asked = collected(model, whole, prompt(1), prompt(2))
    assert asked == 2 * 5
    assert torch.equal(found[:, 2:5], kept_part)
    torch.testing.assert_close(found, predict(model, whole, prompt(1)), **TOLERANCE)


def test_a_repeated_level_is_taken_from_the_right_step(model: Any) -> None:
    whole = noise_for(model, 4)
    falling = replace(whole, sigmas=whole.sigmas[1:3], alphas=whole.alphas[1:3], noise=whole.noise[:, :1])
    repeated = replace(falling, sigmas=whole.sigmas[[1, 1]])
    first, _, _ = collected(model, falling, prompt(1), prompt(2))
    twice, _, asked = collected(model, repeated, prompt(1), prompt(2))
    assert asked == 0
    assert torch.equal(twice, first[:, [0, 0]])


@pytest.mark.parametrize("change", ["seed", "image", "model", "strength"])
def test_whatever_changes_the_prediction_is_predicted_again(model: Any, change: str) -> None:
    noised = noise_for(model, 4)
    collected(model, noised, prompt(1), prompt(2))
    other_model = model.clone() if change == "model" else model
    other = noise_for(model, 4, seed=1) if change == "seed" else noised
    other = replace(other, x0=other.x0 + 0.5) if change == "image" else other
    target = prompt(1, strength=0.5) if change == "strength" else prompt(1)
    _, _, asked = collected(other_model, other, target, prompt(2))
    assert asked == (4 if change == "strength" else 8)


def test_a_cancelled_run_leaves_what_was_kept_before(model: Any) -> None:
    import comfy.model_management

    noised = noise_for(model, 4)
    collected(model, noised, prompt(1), prompt(2))
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        collected(model, noised, prompt(1), prompt(3))
    assert collected(model, noised, prompt(1), prompt(2))[2] == 0


def test_a_run_that_stops_leaves_what_it_has_and_the_last_whole_run(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    import comfy.utils
    from sdexplain.nodes.host import kept, prediction

    noised = noise_for(model, 4)
    collected(model, noised, prompt(1), prompt(2))

    def cancel_within_the_second(value: int, *_: Any, **where: Any) -> None:
        if value == 4 + 2:
            comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", cancel_within_the_second)
    monkeypatch.setattr(prediction, "CELLS_CPU", 2 * noised.x0[0, 0].numel())
    collection = kept.Collection(model, noised, [prompt(3), prompt(4)], "1", "float32")
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        collection.predict([1, 1])
    monkeypatch.undo()
    assert collection.effort.predicted == 4 + 2
    assert collected(model, noised, prompt(1), prompt(2), node="another")[2] == 0  # the last whole run
    assert collected(model, noised, prompt(4), prompt(5), node="half")[2] == 2 + 4  # half of prompt 4 is there, prompt 5 is new
    assert collected(model, noised, prompt(3), prompt(5))[2] == 0
    assert not [node for node in kept._runs[model] if node.endswith("stopped")]


def test_kept_predictions_go_with_their_model_and_are_few(models: dict[str, Any]) -> None:
    from sdexplain.nodes.host import kept

    patcher = models["epsilon"].clone()
    noised = noise_for(patcher, 2)
    for node in range(20):
        collected(patcher, noised, prompt(1), prompt(node), node=str(node))
    assert list(kept._runs[patcher]) == [str(node) for node in range(20)][-kept.MOST_RUNS :]
    gone = weakref.ref(kept._runs[patcher]["19"])
    del patcher
    gc.collect()
    assert gone() is None


def test_kept_runs_are_bounded_in_bytes_and_the_oldest_go_first(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 4)
    collected(model, noised, prompt(1), prompt(2), node="0")
    one_prompt, shared = noised.noise.nbytes, noised.noise.nbytes + noised.x0.nbytes  # float32, one image
    room = 5 * one_prompt + shared
    monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda device: room / kept.MOST_MEMORY)
    for node in range(1, 6):
        collected(model, noised, prompt(1), prompt(node + 2), node=str(node))
        held = [tensor for run in kept._runs[model].values() for tensor in run.tensors()]
        assert kept.bytes_of(held) <= room
    # prompt 1 is in all of them, and what runs share counts once
    assert list(kept._runs[model]) == ["2", "3", "4", "5"]
    assert collected(model, noised, prompt(1), prompt(5), node="6")[2] == 0
    assert collected(model, noised, prompt(1), prompt(2), node="7")[2] == 4


def test_the_newest_run_stays_however_large_it_is(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 4)
    collected(model, noised, prompt(1), prompt(2), node="small")
    monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda device: 0)
    collected(model, noised, prompt(1), prompt(3), node="large")
    assert list(kept._runs[model]) == ["large"]
    assert collected(model, noised, prompt(1), prompt(3), node="large")[2] == 0


def test_half_precision_is_single_precision_rounded(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 4, samples=2, images=2)
    whole = predict(model, noised, prompt(1))
    target, contrast, _ = kept.collect(model, noised, prompt(1), prompt(2), "half")
    assert target.dtype == contrast.dtype == torch.float16
    assert torch.equal(target, whole.half())
    swapped, again, effort = kept.collect(model, noised, prompt(2), prompt(1), "half")
    assert effort.predicted == 0 and torch.equal(swapped, contrast) and torch.equal(again, target)


def test_single_precision_is_not_made_of_half_but_half_of_single(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 4)
    half, _, _ = kept.collect(model, noised, prompt(1), prompt(2), "1")
    single, _, effort = kept.collect(model, noised, prompt(1), prompt(2), "1", "float32")
    assert effort.predicted == 8 and torch.equal(single, predict(model, noised, prompt(1)))
    again, _, effort = kept.collect(model, noised, prompt(1), prompt(2), "1")
    assert effort.predicted == 0 and torch.equal(again, half)


def test_predictions_too_large_for_half_precision_are_refused_and_kept_in_single(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.samplers
    from sdexplain.nodes.host import kept

    monkeypatch.setattr(comfy.samplers, "calc_cond_batch", lambda inner, conds, x, sigma, options: [x * 1e8])
    noised = noise_for(model, 4)
    for _ in range(2):  # also where the same are kept in float32
        with pytest.raises(ValueError, match="step 0 and step 3 are too large for float16 .* float32"):
            kept.collect(model, noised, prompt(1), prompt(2), "1")
        assert kept.collect(model, noised, prompt(1), prompt(2), "2", "float32")[0].abs().max() > 65504


def test_a_collection_of_two_prompts_is_that_of_a_pair_to_the_last_bit(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 6, samples=2)
    pair = kept.collect(model, noised, prompt(1), prompt(2), "pair")
    other = model.clone()  # nothing is kept for it
    collection = kept.Collection(other, noised, [prompt(1), prompt(2)], "several")
    assert all(map(torch.equal, collection.predict([2, 2]), pair))
    assert str(collection.effort) == str(pair[2])


def test_every_prompt_gets_as_many_samples_as_it_needs(model: Any, calls: list[list[float]]) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 3, samples=4, images=2)
    whole = [predict(model, noised, prompt(seed)) for seed in (1, 2, 3)]
    calls.clear()
    collection = kept.Collection(model, noised, [prompt(seed) for seed in (1, 2, 3)], "1", "float32")
    collection.predict([2, 2, 2])
    found = collection.predict([4, 2, 3])
    assert sum(map(len, calls)) == (4 + 2 + 3) * 3 * 2
    for array, same, count in zip(found, whole, (4, 2, 3), strict=True):
        torch.testing.assert_close(array[:count], same[:count], **TOLERANCE)
    effort = collection.effort
    assert (effort.wanted, effort.predicted, effort.spared) == (54, 54, 18)
    assert str(effort).endswith("0 were there already. 18 more were not needed.")


def test_samples_that_were_not_needed_before_are_predicted_when_they_are(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 3, samples=4)
    few = kept.Collection(model, noised, [prompt(1), prompt(2), prompt(3)], "several", "float32").predict([4, 2, 1])
    zebra, horse, asked = collected(model, noised, prompt(1), prompt(2), node="pair")
    assert asked == 2 * 3
    assert torch.equal(zebra, few[0])
    assert torch.equal(horse[:2], few[1][:2])
    again = kept.Collection(model, noised, [prompt(3), prompt(2), prompt(1), prompt(4)], "several", "float32")
    again.predict([1, 4, 4, 2])
    assert again.effort.predicted == 2 * 3  # the new prompt's alone


def test_a_later_run_never_changes_the_arrays_of_an_earlier_one(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 3, samples=2)
    (first,) = kept.Collection(model, noised, [prompt(1)], "1", "float32").predict([1])
    first[1:] = math.nan
    (second,) = kept.Collection(model, noised, [prompt(1)], "2", "float32").predict([2])
    assert first[1:].isnan().all()
    assert second.isfinite().all()
    assert torch.equal(second[:1], first[:1])


def test_prompts_of_the_same_content_share_an_array_and_its_samples(model: Any, calls: list[list[float]]) -> None:
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 3, samples=2)
    first, other, same = kept.Collection(model, noised, [prompt(1), prompt(2), prompt(1)], "1", "float32").predict([1, 1, 2])
    assert first is same and first is not other
    assert sum(map(len, calls)) == (2 + 1) * 3


def test_a_collection_that_is_cancelled_later_keeps_its_first_samples(model: Any) -> None:
    import comfy.model_management
    from sdexplain.nodes.host import kept

    noised = noise_for(model, 4, samples=2)
    collection = kept.Collection(model, noised, [prompt(1), prompt(2)], "1", "float32")
    collection.predict([1, 1])
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        collection.predict([2, 2])
    again = kept.Collection(model, noised, [prompt(1), prompt(2)], "1", "float32")
    again.predict([2, 2])
    assert again.effort.predicted == 2 * 4


def test_conditionings_are_compared_by_content(model: Any) -> None:
    from sdexplain.nodes.host.kept import same_content

    control = SimpleNamespace()
    assert same_content(prompt(1), prompt(1))
    assert same_content(prompt(1, control=control), prompt(1, control=control))
    assert not same_content(prompt(1), prompt(2))
    assert not same_content(prompt(1), prompt(1, strength=0.5))
    assert not same_content(prompt(1), prompt(1) + prompt(1))
    assert not same_content(prompt(1, control=SimpleNamespace()), prompt(1, control=SimpleNamespace()))
    assert not same_content(prompt(1, guidance=1), prompt(1, guidance=True))
    assert not same_content([[text(1), {}]], [[text(1).double(), {}]])


def test_progress_is_told_after_every_model_call(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.utils

    told = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **where: told.append((value, total)))
    for limit in ("INTERVAL", "PERCENT"):  # newer hosts pass on only a part of what they are told
        monkeypatch.setattr(comfy.utils, f"PROGRESS_THROTTLE_MIN_{limit}", 0, raising=False)
    collected(model, noise_for(model, 5), prompt(1), prompt(2))
    assert told == [(5, 10), (10, 10)]
