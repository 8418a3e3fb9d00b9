"""Every family of image models that ComfyUI knows, by ComfyUI's own network classes, tiny and with random weights.

What is proven is the way from image to noise prediction: levels, scalings, parametrisation, conditioning. That real weights of
a family predict well is another matter, and nothing that random weights could show.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from families import FAMILIES, Family
from sdexplain.nodes.maths.method.noising import NoisedLatents
from torch import Tensor
from watching import assert_same_state, state_of, watch_calls

pytestmark = pytest.mark.usefixtures("comfy_host")

STEPS = 4
# Random weights give outputs of size 1; float32 sums in another order then differ by a few 1e-6, more behind many layers.
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
# ComfyUI gives the image, not the noise: of x - alpha * D the last bits of x remain, and the level divides them.
LAST_BITS = 1e-6


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest, comfy_host: Any) -> Family:
    if not families.known_to_host(request.param):
        pytest.skip(f"this ComfyUI has no {request.param.config}")
    return request.param


@pytest.fixture(scope="module")
def built(family: Family) -> Any:
    return families.build(family)


@pytest.fixture
def model(built: Any) -> Any:
    """The family's MODEL; every test also proves that it leaves it as it was."""
    before = state_of(built)
    yield built
    assert_same_state(state_of(built), before)


def image_latents(family: Family, images: int) -> Tensor:
    """What VAE Encode gives for pictures: with an axis for frames where the VAE is one of videos."""
    latents = torch.randn(images, *family.latent, generator=torch.Generator().manual_seed(9))
    return latents[:, :, None] if family.frames else latents


def noise(model: Any, family: Family, images: int = 1, samples: int = 1) -> NoisedLatents:
    from sdexplain.nodes.noising import NoiseLatent

    latent = {"samples": image_latents(family, images)}
    return NoiseLatent.execute(model, latent, STEPS, "normal", 0, samples, "fresh per step").result[0]


def predict(model: Any, noised: NoisedLatents, conditioning: Any, **options: Any) -> Tensor:
    from sdexplain.nodes.host import prediction
    from sdexplain.nodes.maths.method.prediction import list_evaluations, predictions_shape

    predictions = torch.empty(predictions_shape(noised))
    prediction.predict(model, noised, conditioning, predictions, list_evaluations(noised), **options)
    return predictions


def test_image_and_noise_are_mixed_as_the_family_does_it(model: Any, family: Family) -> None:
    noised = noise(model, family, images=2)
    alphas = families.image_factor(family, noised.sigmas)
    torch.testing.assert_close(noised.alphas, alphas)
    torch.testing.assert_close(noised.log_snr, 2 * (alphas / noised.sigmas).log(), atol=1e-5, rtol=1e-5)
    expected = image_latents(family, 2)
    x0 = model.model.latent_format.process_in(expected).reshape(2, *family.latent)
    sampling = model.get_model_object("model_sampling")
    for step, (alpha, sigma) in enumerate(zip(alphas, noised.sigmas, strict=True)):
        drawn = noised.noise_at(0, step)
        torch.testing.assert_close(noised.at(0, step), alpha * x0 + sigma * drawn, **TOLERANCE)
        theirs = sampling.noise_scaling(sigma[None], drawn[None].clone(), x0[:1])
        torch.testing.assert_close(noised.at(0, step)[:1], theirs, **TOLERANCE)
    torch.testing.assert_close(noised.to_vae(noised.x0), expected, **TOLERANCE)


@torch.inference_mode()
def test_the_noise_is_read_from_the_networks_own_output(model: Any, family: Family) -> None:
    """The network itself, called by hand at every level, and its output turned into noise by the family's own formula."""
    noised = noise(model, family, images=2)
    found = predict(model, noised, families.conditioning(family, 1))[0]
    for step, sigma in enumerate(noised.sigmas):
        x = noised.at(0, step)
        eps = families.noise_from_output(family, by_hand(model, family, x, sigma, 1), x, sigma)
        assert eps.std() > 0.05
        torch.testing.assert_close(found[step], eps, atol=1e-4 * (1 + 1 / sigma.item()), rtol=1e-3)


def by_hand(model: Any, family: Family, x: Tensor, sigma: Tensor, seed: int) -> Tensor:
    """The network's raw output [B,C,h,w] under a prompt, without anything of ComfyUI's around it."""
    batch = len(x)
    text, pooled = families.prompt(family, seed)
    arguments = family.call(text.repeat(batch, 1, 1), None if pooled is None else pooled.repeat(batch, 1), batch)
    given = families.network_input(family, x, sigma)
    if family.beside:
        given = torch.cat([given, families.nothing_beside(family, given)], dim=1)
    given = given[:, :, None] if family.frames else given
    output = model.model.diffusion_model(given, family.timestep(sigma.expand(batch)), **arguments)
    return output.reshape(x.shape)


def test_prompts_differ_swap_and_cancel(model: Any, family: Family) -> None:
    from sdexplain.nodes.host import kept

    noised = noise(model, family)
    first, second = families.conditioning(family, 1), families.conditioning(family, 2)
    target, contrast, _ = kept.collect(model, noised, first, second, "pair")
    assert (target - contrast).abs().max() > 1e-3
    fresh = model.clone()  # nothing is kept for it
    swapped, back, _ = kept.collect(fresh, noised, second, first, "pair")
    assert torch.equal(swapped - back, -(target - contrast))
    one, same, _ = kept.collect(model, noised, first, families.conditioning(family, 1), "same")
    assert not (one - same).any()


def test_levels_share_a_call_where_the_prompt_allows_it(model: Any, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    noised, calls = noise(model, family), watch_calls(monkeypatch)
    mixed = predict(model, noised, families.conditioning(family, 1))
    assert [len(set(call)) for call in calls] == [STEPS]
    calls.clear()
    [[text, settings]] = families.conditioning(family, 1)
    timed = predict(model, noised, [[text, {**settings, "start_percent": 0.0, "end_percent": 1.0}]])
    assert [len(set(call)) for call in calls] == [1] * STEPS
    assert_close(timed, mixed, noised)


def test_a_batch_equals_single_pictures_in_any_chunk(model: Any, family: Family) -> None:
    noised, prompt = noise(model, family, images=2, samples=2), families.conditioning(family, 1)
    together = predict(model, noised, prompt)
    cells = noised.x0[0, 0].numel()
    assert_close(predict(model, noised, prompt, cells=cells), together, noised)
    alone = replace(noised, x0=noised.x0[1:])
    assert_close(predict(model, alone, prompt, cells=3 * cells)[:, :, 0], together[:, :, 1], noised)


def assert_close(found: Tensor, expected: Tensor, noised: NoisedLatents) -> None:
    for step, sigma in enumerate(noised.sigmas.tolist()):
        atol = TOLERANCE["atol"] + LAST_BITS / sigma
        torch.testing.assert_close(found[:, step], expected[:, step], atol=atol, rtol=TOLERANCE["rtol"])


def test_a_failure_leaves_the_model_as_it_was(model: Any, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    noised, prompt = noise(model, family), families.conditioning(family, 1)
    before = predict(model, noised, prompt)
    with monkeypatch.context() as patch:
        patch.setattr(type(model.model.diffusion_model), "forward", broken)
        with pytest.raises(ValueError, match="KeyError: 'broken'"):
            predict(model, noised, prompt)
    assert torch.equal(predict(model, noised, prompt), before)


def broken(*arguments: Any, **named: Any) -> None:
    raise KeyError("broken")


# ------------------------------------------------------------------------------------------------------- videos, sounds, shapes


@pytest.mark.parametrize(
    ("config", "network", "latent", "words"),
    [
        ("WAN21_T2V", {}, (1, 16, 5, 8, 8), "a video of 5 frames .* one picture at a time .* Latent Batch"),
        ("WAN22_T2V", {}, (1, 48, 2, 8, 8), "a video of 2 frames"),
        ("HunyuanVideo", {}, (1, 16, 9, 8, 8), "a video of 9 frames"),
        ("QwenImage", {}, (1, 16, 2, 8, 8), "a video of 2 frames"),
        ("Flux", {}, (1, 16, 3, 8, 8), "a video of 3 frames"),
        (
            "Flux",
            {},
            (1, 16, 1, 8, 8),
            "a video's with one frame, but this model takes pictures. Encode the picture with the VAE",
        ),
        ("QwenImage", {}, (1, 4, 1, 8, 8), "4 channels, but the model takes 16"),
        ("StableAudio", {}, (1, 64, 32), "works on sounds or shapes .its latents are StableAudio1"),
        ("ACEStep", {}, (1, 8, 16, 32), "works on sounds or shapes .its latents are ACEAudio"),
        ("Hunyuan3Dv2", {}, (1, 64, 32), "works on sounds or shapes"),
        (
            "SVD_img2vid",
            {"use_temporal_attention": True},
            (14, 4, 8, 8),
            "makes videos: it takes the pictures of a batch for",
        ),
        ("LotusD", {}, (1, 4, 8, 8), "makes one picture of another at once: it does not predict noise"),
        ("HunyuanImage21Refiner", {}, (1, 64, 1, 8, 8), "HunyuanImage21Refiner does more than scale and shift"),
    ],
)
def test_videos_sounds_and_shapes_are_refused(config: str, network: dict[str, Any], latent: tuple[int, ...], words: str) -> None:
    from sdexplain.nodes.noising import NoiseLatent

    prediction = "IMG_TO_IMG" if config == "LotusD" else "FLOW"
    with pytest.raises(ValueError, match=words):
        model = families.without_network(config, prediction, **network)
        NoiseLatent.execute(model, {"samples": torch.zeros(latent)}, STEPS, "normal", 0, 1, "fresh per step")


# Models that are of sounds, shapes or videos of another kind, or make no pictures from noise, in any host that was looked at.
NO_IMAGE_MODELS = {
    *("SV3D_u", "SV3D_p", "SVD_img2vid", "LotusD", "HunyuanImage21Refiner", "WAN21_FlowRVS"),
    *("StableAudio", "StableAudio3", "ACEStep", "ACEStep15", "MiniMaxMusic3"),
    *("Hunyuan3Dv2", "Hunyuan3Dv2_1", "Hunyuan3Dv2mini", "TripoSplat", "Trellis2"),
}


def test_no_image_model_of_this_host_is_refused() -> None:
    """Every class that ComfyUI has, with its own latents and noise levels, and no network."""
    import comfy.supported_models
    from sdexplain.nodes.noising import NoiseLatent

    refused = {}
    for config in comfy.supported_models.models:
        network = {"in_channels": 4, **config.unet_config}
        try:
            model = families.without_network(config.__name__, None, **network)
        except (KeyError, RuntimeError):  # those that need a checkpoint to be made
            model = families.without_network(config.__name__, **network)
        latents = model.model.latent_format
        sizes = {1: (32,), 2: (8, 8), 3: (1, 8, 8)}[latents.latent_dimensions]
        try:
            samples = torch.zeros(1, latents.latent_channels, *sizes)
            NoiseLatent.execute(model, {"samples": samples}, STEPS, "normal", 0, 1, "fresh per step")
        except ValueError as error:
            refused[config.__name__] = str(error)
    assert set(refused) <= NO_IMAGE_MODELS, refused
    assert len(refused) < len(comfy.supported_models.models) / 3


@pytest.mark.parametrize("shape", [(2, 16, 1, 4, 6), (2, 16, 4, 6)])
def test_a_video_models_picture_is_one_frame(shape: tuple[int, ...]) -> None:
    """As VAE Encode gives it and as it was before, and back to what a VAE of videos decodes."""
    from sdexplain.nodes.noising import NoiseLatent

    samples, model = torch.randn(shape), families.without_network("QwenImage")
    noised, view = NoiseLatent.execute(model, {"samples": samples}, STEPS, "normal", 0, 1, "fresh per step").result
    assert noised.x0.shape == (2, 16, 4, 6) and noised.single_frame
    torch.testing.assert_close(noised.to_vae(noised.x0), samples.reshape(2, 16, 1, 4, 6))
    assert view["samples"].shape == (STEPS * 2, 16, 1, 4, 6)


def test_frames_are_decoded_and_saved_as_frames(tmp_path: Path) -> None:
    """What a VAE of videos gives back, [n,1,H,W,3], is pictures; a saved file knows that they were frames."""
    from sdexplain.nodes.maths.files import archive
    from sdexplain.nodes.maths.images import decode_pictures
    from sdexplain.nodes.maths.method.difference import latent as as_latent
    from sdexplain.nodes.maths.method.difference import sum_steps
    from sdexplain.nodes.maths.method.prediction import NoisePredictions, predictions_shape
    from sdexplain.nodes.noising import NoiseLatent

    model = families.without_network("QwenImage")
    latent = {"samples": torch.randn(2, 16, 1, 4, 6)}
    noised = NoiseLatent.execute(model, latent, STEPS, "normal", 0, 1, "fresh per step").result[0]
    both = torch.randn(2, *predictions_shape(noised))
    archive.write(tmp_path / "frames.safetensors", archive.pack(NoisePredictions(noised, *both, "zebra", "horse")))
    predictions = archive.read(tmp_path / "frames.safetensors")
    assert predictions.noised.single_frame
    difference = sum_steps(predictions)
    decoded = torch.rand(2, 1, 32, 48, 3)
    pictures = decode_pictures(lambda latents: decoded, difference.to_vae(difference.mean))
    assert torch.equal(pictures, decoded[:, 0])
    shown = as_latent(difference, predictions.noised.x0, "target - contrast", "added to the image")
    assert shown.shape == (2, 16, 1, 4, 6)


def test_latents_of_pictures_and_of_frames_are_told_apart() -> None:
    from sdexplain.nodes.host.schedule import check_same_model
    from sdexplain.nodes.noising import NoiseLatent

    model = families.without_network("QwenImage")
    noised = NoiseLatent.execute(model, {"samples": torch.zeros(1, 16, 4, 6)}, STEPS, "normal", 0, 1, "fresh per step").result[0]
    check_same_model(model, noised)
    with pytest.raises(
        ValueError, match="noised latents are pictures, but the model takes videos of one frame. Connect the model"
    ):
        check_same_model(model, replace(noised, single_frame=False))


@pytest.mark.parametrize(
    ("config", "pixels"),
    [("SD15", 8), ("QwenImage", 8), ("Flux2", 16), ("HunyuanImage21", 32), ("ChromaRadiance", 1), ("WAN22_T2V", 16)],
)
def test_a_cell_is_as_many_pixels_wide_as_the_familys_vae_makes_it(config: str, pixels: int) -> None:
    from sdexplain.nodes.host.schedule import latent_space

    assert latent_space(families.without_network(config)).downscale == pixels
