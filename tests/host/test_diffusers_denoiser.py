"""A denoiser that ComfyUI has no class for gives behind ComfyUI's MODEL what it gives in diffusers."""

from __future__ import annotations

import builtins
import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DiTPipeline,
    DiTTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    LDMPipeline,
    UNet2DModel,
    UniPCMultistepScheduler,
    VQModel,
)
from families import randomise
from safetensors.torch import load_file, save_file
from sdexplain.tools.client import Client, NodeFailed
from sdexplain.tools.docs import Graph
from sdexplain.tools.server import Server
from torch import Tensor
from watching import assert_same_state, state_of

pytestmark = pytest.mark.usefixtures("comfy_host")

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
NAMES = {0: "tiger", 1: "zebra", 2: "sorrel, horse", 3: "tiger shark, Galeocerdo cuvieri"}
PIXELS, CELLS = 16, 8


# --------------------------------------------------------------------------------------------------------------- small folders


def unet(classes: int | None = None, channels: int = 3) -> UNet2DModel:
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    sizes = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "sample_size": PIXELS}
    return UNet2DModel(in_channels=channels, out_channels=channels, num_class_embeds=classes, **blocks, **sizes)


def dit(learns_variance: bool = True) -> DiTTransformer2DModel:
    return DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8 if learns_variance else 4,
        num_layers=2,
        sample_size=CELLS,
        num_embeds_ada_norm=len(NAMES),
    )


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
    )


def random(network: Any) -> Any:
    randomise(network)
    return network.eval()


def save_pixels(
    folder: Path, classes: int | None, names: dict[int, str] | None = None, channels: int = 3, **scheduler: Any
) -> UNet2DModel:
    network = random(unet(classes, channels))
    DDPMPipeline(network, DDPMScheduler(**scheduler)).save_pretrained(folder)
    if names:
        index = folder / "model_index.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), "id2label": names}))
    return network


def save_dit(folder: Path, learns_variance: bool = True) -> DiTPipeline:
    pipeline = DiTPipeline(random(dit(learns_variance)), random(vae()), DDIMScheduler(), id2label=NAMES)
    pipeline.save_pretrained(folder)
    # what DiT's published folders have, and this class's own save leaves out
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "id2label": NAMES}))
    return pipeline


def load(folder: Path) -> tuple[Any, Any, Any]:
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    return load_pipeline(folder, [])


def noise(model: Any, latents: Tensor, steps: int = 4, samples: int = 1) -> Any:
    from sdexplain.nodes.noising import NoiseLatent

    return NoiseLatent.execute(model, {"samples": latents}, steps, "ddim_uniform", 0, samples, "fresh per step").result[0]


def predict(model: Any, noised: Any, clip: Any, text: str) -> Tensor:
    return predict_under(model, noised, clip.encode_from_tokens_scheduled(clip.tokenize(text)))


def predict_under(model: Any, noised: Any, conditioning: Any) -> Tensor:
    from sdexplain.nodes.host import prediction
    from sdexplain.nodes.maths.method.prediction import list_evaluations, predictions_shape

    predictions = torch.empty(predictions_shape(noised))
    prediction.predict(model, noised, conditioning, predictions, list_evaluations(noised))
    return predictions


# ------------------------------------------------------------------------------------------------------ agreement with diffusers


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@torch.inference_mode()
def test_a_model_of_pixels_predicts_what_diffusers_does(tmp_path: Path, prediction_type: str) -> None:
    """By diffusers' network on diffusers' noised pictures, and its own scheduler's way from the output to x0."""
    network = save_pixels(tmp_path, len(NAMES) + 1, NAMES, prediction_type=prediction_type)
    model, clip, pixels = load(tmp_path)
    scheduler = DDIMScheduler.from_pretrained(tmp_path / "scheduler", clip_sample=False, steps_offset=1)
    scheduler.set_timesteps(4)
    picture = torch.rand(2, PIXELS, PIXELS + 8, 3)
    noised = noise(model, pixels.encode(picture))
    torch.testing.assert_close(noised.x0, picture.movedim(-1, 1) * 2 - 1)
    before = state_of(model)
    for text, label in (("zebra", 1), ("a photo of a horse", 2), ("3", 3), ("", 4)):
        found = predict(model, noised, clip, text)[0]
        for step, timestep in enumerate(scheduler.timesteps):
            x_t = scheduler.add_noise(noised.x0, noised.noise_at(0, step)[None], timestep)
            output = network(x_t, timestep, torch.tensor([label, label])).sample
            x0 = scheduler.step(output, timestep, x_t).pred_original_sample
            kept = scheduler.alphas_cumprod[timestep]
            # where little noise is left, what float32 loses in x_t - x0 is divided by its root
            exact = 1e-5 / (1 - kept).sqrt().item() / (1 if prediction_type == "epsilon" else (1 - kept).sqrt().item())
            torch.testing.assert_close(found[step], (x_t - kept.sqrt() * x0) / (1 - kept).sqrt(), atol=exact, rtol=1e-4)
    assert_same_state(state_of(model), before)


@torch.inference_mode()
def test_the_network_itself_is_diffusers_own(tmp_path: Path) -> None:
    network = save_pixels(tmp_path, 5, NAMES)
    x, timesteps, labels = torch.randn(3, 3, PIXELS, PIXELS), torch.tensor([1, 500, 999]), torch.tensor([0, 3, 4])
    found = load(tmp_path)[0].model.diffusion_model(x, timesteps, class_labels=labels)
    torch.testing.assert_close(found, network(x, timesteps, labels).sample, **TOLERANCE)


@pytest.mark.parametrize("learns_variance", [True, False])
@torch.inference_mode()
def test_a_dit_predicts_what_diffusers_does(tmp_path: Path, learns_variance: bool) -> None:
    pipeline = save_dit(tmp_path, learns_variance)
    model, clip, autoencoder = load(tmp_path)
    picture = torch.rand(1, 2 * CELLS, 2 * CELLS, 3)
    latents = autoencoder.encode(picture)
    expected = pipeline.vae.encode(picture.movedim(-1, 1) * 2 - 1).latent_dist.mean
    torch.testing.assert_close(latents, expected, **TOLERANCE)
    noised = noise(model, latents)
    torch.testing.assert_close(noised.x0, expected * pipeline.vae.config.scaling_factor, **TOLERANCE)
    scheduler = pipeline.scheduler
    scheduler.register_to_config(steps_offset=1)
    scheduler.set_timesteps(4)
    for text, label in (("tiger", 0), ("a photo of a tiger shark", 3), ("", len(NAMES))):
        found = predict(model, noised, clip, text)[0]
        for step, timestep in enumerate(scheduler.timesteps):
            x_t = scheduler.add_noise(noised.x0, noised.noise_at(0, step)[None], timestep)
            output = pipeline.transformer(x_t, timestep[None], torch.tensor([label])).sample[:, :4]
            rest = (
                (1 - scheduler.alphas_cumprod[timestep]).sqrt().item()
            )  # what of the noise is left, by which the last bits of x0 are divided
            torch.testing.assert_close(found[step], output, atol=1e-5 / rest, rtol=1e-5)
    decoded = pipeline.vae.decode(expected).sample.movedim(1, -1) / 2 + 0.5
    torch.testing.assert_close(autoencoder.decode(latents), decoded.clamp(0, 1), **TOLERANCE)


@torch.inference_mode()
def test_an_unconditional_model_has_one_prediction(tmp_path: Path) -> None:
    network = save_pixels(tmp_path, None)
    model, clip, pixels = load(tmp_path)
    noised = noise(model, pixels.encode(torch.rand(1, PIXELS, PIXELS, 3)))
    found, sigma = predict(model, noised, clip, "")[0, 0], noised.sigmas[0]
    expected = network(noised.at(0, 0) / (1 + sigma**2).sqrt(), model.model.model_sampling.timestep(sigma[None])).sample
    torch.testing.assert_close(found, expected, **TOLERANCE)
    with pytest.raises(ValueError, match="knows no classes, so 'zebra' means nothing to it. Leave the prompt empty"):
        clip.tokenize("zebra")


@torch.inference_mode()
def test_weights_that_are_shuffled_for_a_check_come_back(tmp_path: Path) -> None:
    from sdexplain.nodes.host.randomised import shuffled_weights

    save_dit(tmp_path)
    model, clip, autoencoder = load(tmp_path)
    noised = noise(model, autoencoder.encode(torch.rand(1, 2 * CELLS, 2 * CELLS, 3)))
    before, found = state_of(model), predict(model, noised, clip, "zebra")
    with shuffled_weights(model, seed=0) as shuffled:
        assert (predict(shuffled, noised, clip, "zebra") - found).abs().max() > 0.01
    assert_same_state(state_of(model), before)
    assert torch.equal(predict(model, noised, clip, "zebra"), found)


@torch.inference_mode()
def test_grey_pictures_of_any_colour_have_one_channel(tmp_path: Path) -> None:
    network = save_pixels(tmp_path, 10, channels=1)
    model, clip, pixels = load(tmp_path)
    picture = torch.rand(1, PIXELS, PIXELS, 3)
    latents = pixels.encode(picture)
    torch.testing.assert_close(latents, picture.mean(-1)[:, None] * 2 - 1)
    torch.testing.assert_close(pixels.decode(latents), picture.mean(-1, keepdim=True).expand(-1, -1, -1, 3))
    noised = noise(model, latents)
    sigma = noised.sigmas[0]
    x, timestep = noised.at(0, 0) / (1 + sigma**2).sqrt(), model.model.model_sampling.timestep(sigma[None])
    expected = network(x, timestep, torch.tensor([7])).sample
    torch.testing.assert_close(predict(model, noised, clip, "7")[0, 0], expected, **TOLERANCE)


@torch.inference_mode()
def test_a_lone_denoiser_and_ddpms_flat_folder_load_too(tmp_path: Path) -> None:
    network = random(unet(5))
    network.save_pretrained(tmp_path)
    DDPMScheduler().save_pretrained(tmp_path)
    x, timesteps, labels = torch.randn(1, 3, PIXELS, PIXELS), torch.tensor([7]), torch.tensor([2])
    expected = network(x, timesteps, labels).sample
    torch.testing.assert_close(load(tmp_path)[0].model.diffusion_model(x, timesteps, class_labels=labels), expected, **TOLERANCE)
    index = {
        "_class_name": "DDPMPipeline",
        "unet": ["diffusers", "UNet2DModel"],
        "scheduler": ["diffusers", "DDPMScheduler"],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    torch.testing.assert_close(load(tmp_path)[0].model.diffusion_model(x, timesteps, class_labels=labels), expected, **TOLERANCE)


@torch.inference_mode()
def test_older_names_of_the_same_weights_and_of_dits_class(tmp_path: Path) -> None:
    network = save_pixels(tmp_path / "pixels", 5)
    file = tmp_path / "pixels" / "unet" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(file)
    assert any(".attentions.0.to_q." in name for name in tensors)
    for new, name in old.items():
        tensors = {key.replace(f".attentions.0.{new}.", f".attentions.0.{name}."): tensor for key, tensor in tensors.items()}
    save_file(tensors, file)
    x, timesteps, labels = torch.randn(1, 3, PIXELS, PIXELS), torch.tensor([7]), torch.tensor([2])
    found = load(tmp_path / "pixels")[0].model.diffusion_model(x, timesteps, class_labels=labels)
    torch.testing.assert_close(found, network(x, timesteps, labels).sample, **TOLERANCE)

    pipeline = save_dit(tmp_path / "dit")
    config = tmp_path / "dit" / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "Transformer2DModel"}))
    x = torch.randn(1, 4, CELLS, CELLS)
    found = load(tmp_path / "dit")[0].model.diffusion_model(x, timesteps, class_labels=labels)
    torch.testing.assert_close(found, pipeline.transformer(x, timesteps, labels).sample[:, :4], **TOLERANCE)


# ------------------------------------------------------------------------------------------------------------------- schedulers


@pytest.mark.parametrize("kind", ["pixels", "dit"])
@torch.inference_mode()
def test_a_flow_matching_model_predicts_what_diffusers_does(tmp_path: Path, kind: str) -> None:
    """By diffusers' network on what its scheduler makes of picture and noise, and the scheduler's own last step to x0."""
    if kind == "dit":
        network = save_dit(tmp_path, learns_variance=False).transformer
    else:
        network = save_pixels(tmp_path, len(NAMES) + 1, NAMES)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.save_pretrained(tmp_path / "scheduler")
    model, clip, autoencoder = load(tmp_path)
    torch.testing.assert_close(model.model.model_sampling.sigmas.flip(0), scheduler.sigmas, atol=1e-6, rtol=1e-5)
    size = 2 * CELLS if kind == "dit" else PIXELS
    noised = noise(model, autoencoder.encode(torch.rand(1, size, size, 3)))
    found = predict(model, noised, clip, "zebra")[0]
    for step, sigma in enumerate(noised.sigmas.tolist()):
        timestep = scheduler.timesteps[(scheduler.sigmas - sigma).abs().argmin()]
        x_t = scheduler.scale_noise(noised.x0, timestep[None], noised.noise_at(0, step)[None])
        torch.testing.assert_close(x_t, noised.at(0, step), **TOLERANCE)
        velocity = network(x_t, timestep[None], class_labels=torch.tensor([1])).sample
        x0 = x_t - sigma * velocity
        torch.testing.assert_close(found[step], (x_t - (1 - sigma) * x0) / sigma, atol=1e-5 / sigma, rtol=1e-4)
    assert len(noised.sigmas) == 4


@torch.inference_mode()
def test_a_solver_of_flow_matching_has_its_own_shift(tmp_path: Path) -> None:
    save_pixels(tmp_path, 5)
    solver = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0)
    solver.save_pretrained(tmp_path / "scheduler")
    sampling = load(tmp_path)[0].model.model_sampling
    expected = FlowMatchEulerDiscreteScheduler(shift=2.0).sigmas
    torch.testing.assert_close(sampling.sigmas.flip(0), expected, atol=1e-6, rtol=1e-5)
    assert sampling.timestep(torch.tensor(0.5)).item() == 500


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("EDMEulerScheduler", {}),
        ("EDMDPMSolverMultistepScheduler", {}),
        ("KarrasVeScheduler", {}),
        ("ScoreSdeVeScheduler", {}),
        ("CMStochasticIterativeScheduler", {}),
        ("SCMScheduler", {}),
    ],
)
def test_other_schedulers_are_refused_by_name(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    save_pixels(tmp_path, 5)
    getattr(diffusers, kind)(**settings).save_pretrained(tmp_path / "scheduler")
    with pytest.raises(ValueError, match=f"scheduler_config.json is of a {kind}; this node knows .* Choose another model"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "sets invert_sigmas to True"),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True}, "sets use_flow_sigmas to True"),
        ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction"}, "sets prediction_type to 'flow_prediction'"),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous"}, "sets timestep_type to 'continuous'"),
    ],
)
def test_settings_that_mean_other_noise_levels_are_refused(
    tmp_path: Path, kind: str, settings: dict[str, Any], words: str
) -> None:
    save_pixels(tmp_path, 5)
    getattr(diffusers, kind)(**settings).save_pretrained(tmp_path / "scheduler")
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


def test_schedulers_have_diffusers_own_defaults(comfy_host: Path) -> None:
    from sdexplain.nodes.host.loading.diffusers_scheduler import BETA_SCHEDULERS, FLOW_SCHEDULERS

    for kind, defaults in BETA_SCHEDULERS.items():
        if hasattr(diffusers, kind):
            stated = inspect.signature(getattr(diffusers, kind).__init__).parameters
            assert tuple(stated[name].default for name in ("beta_schedule", "beta_start", "beta_end")) == defaults, kind
    for kind in FLOW_SCHEDULERS:
        stated = inspect.signature(getattr(diffusers, kind).__init__).parameters
        assert (stated["num_train_timesteps"].default, stated["shift"].default) == (1000, 1.0), kind


# ------------------------------------------------------------------------------------------------------------latent UNet2DModels


def test_a_unet_of_a_vq_models_latents_is_refused(tmp_path: Path) -> None:
    """As in CompVis/ldm-celebahq-256, whose UNet has three channels too."""
    vq = VQModel(block_out_channels=(8,), norm_num_groups=4, latent_channels=3)
    LDMPipeline(vq, random(unet()), DDIMScheduler()).save_pretrained(tmp_path)
    words = "works on the latents of the VQModel beside it; this node runs a UNet2DModel on pixels only"
    with pytest.raises(ValueError, match=words):
        load(tmp_path)
    (tmp_path / "model_index.json").unlink()
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


def test_a_unet_of_a_vaes_latents_is_refused_too(tmp_path: Path) -> None:
    save_pixels(tmp_path, 5)
    vae().save_pretrained(tmp_path / "vae")
    with pytest.raises(ValueError, match="works on the latents of the AutoencoderKL beside it"):
        load(tmp_path)


# ------------------------------------------------------------------------------------------------------------ wrong conditionings


@pytest.mark.parametrize("classes", [None, 5], ids=["unconditional", "classes"])
@torch.inference_mode()
def test_conditioning_that_is_not_a_class_of_the_model_is_refused(tmp_path: Path, classes: int | None) -> None:
    """Text's, whose first number would be read as a class, and what core's nodes make of a class."""
    from sdexplain.nodes.host.loading.class_labels import Classes, load_labels

    import nodes

    save_pixels(tmp_path, classes)
    model, clip, pixels = load(tmp_path)
    noised = noise(model, pixels.encode(torch.rand(1, PIXELS, PIXELS, 3)))
    own = [nodes.CLIPTextEncode().encode(clip, text)[0] for text in (("", "") if classes is None else ("1", "2"))]
    text = [[torch.randn(1, 77, 768), {"pooled_output": torch.randn(1, 768)}]]
    zero = nodes.ConditioningZeroOut().zero_out(own[0])[0]
    joined = nodes.ConditioningConcat().concat(own[0], own[1])[0]
    other = nodes.CLIPTextEncode().encode(load_labels(Classes(10, {}, None)), "7")[0]
    wrong = [(text, r"has the shape \[1, 77, 768\], as text has it"), (joined, r"has the shape \[1, 2, 1\]")]
    wrong += [(zero, "stands for no class of this model: it was set to zero"), (other, "encoded for another model")]
    if classes is not None:
        wrong += [(nodes.ConditioningAverage().addWeighted(own[0], own[1], 0.5)[0], "averaged with another")]
    for conditioning, words in wrong:
        with pytest.raises(ValueError, match=words + ".* Encode the prompt with the CLIP that Load Diffusers Model gives"):
            predict_under(model, noised, conditioning)
    for conditioning in own:
        assert torch.isfinite(predict_under(model, noised, conditioning)).all()


# ------------------------------------------------------------------------------------------------------------------ class names


@pytest.fixture
def classes(comfy_host: Path) -> Any:
    from sdexplain.nodes.host.loading.class_labels import Classes

    return Classes(4, NAMES, any_class=4)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("zebra", 1),
        ("  ZEBRA ", 1),
        ("horse", 2),
        ("sorrel", 2),
        ("a sorrel horse", 2),
        ("a photo of a tiger", 0),
        ("tiger shark", 3),
        ("a tiger shark.", 3),
        ("2", 2),
        ("a photo of a 3", 3),
        ("", 4),
        ("\n", 4),
    ],
)
def test_a_prompt_names_a_class(classes: Any, text: str, number: int) -> None:
    assert classes.number(text) == number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a cat",
            r"'a cat' names no class of this model. "
            r"Type a name \(tiger, zebra, sorrel, tiger shark\) or a number from 0 to 3, or",
        ),
        ("zebras", "names no class"),
        ("a zebra and a horse", "names several classes"),
        ("1 or 2", "names several classes"),
        ("4", "names no class"),
        ("-1", "names no class"),
        ("1.5", "names no class"),
    ],
)
def test_a_prompt_that_names_no_class_says_which_there_are(classes: Any, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        classes.number(text)


def test_without_names_or_an_any_class_numbers_are_asked_for(comfy_host: Path) -> None:
    from sdexplain.nodes.host.loading.class_labels import Classes

    assert Classes(10, {}, None).number("class 7") == 7
    with pytest.raises(ValueError, match="trained with a class for every picture. Type a number from 0 to 9.$"):
        Classes(10, {}, None).number("")


def test_cores_nodes_take_the_class_names_for_a_clip(tmp_path: Path) -> None:
    from sdexplain.nodes.host.loading.class_labels import Classes, read_numbers

    import nodes

    save_pixels(tmp_path, 5, NAMES)
    _, clip, _ = load(tmp_path)
    for given in (clip, clip.clone(), nodes.CLIPSetLastLayer().set_last_layer(clip, -2)[0]):
        [[number, rest]] = nodes.CLIPTextEncode().encode(given, "a photo of a zebra")[0]
        assert read_numbers(number, Classes(4, NAMES, None)).tolist() == [1] and rest["pooled_output"] is None


# ---------------------------------------------------------------------------------------------------------------- broken folders


def test_diffusers_is_asked_for_where_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_pixels(tmp_path, None)
    real = builtins.__import__

    def without_diffusers(name: str, *rest: Any, **named: Any) -> Any:
        if name == "diffusers":
            raise ImportError("No module named 'diffusers'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_diffusers)
    with pytest.raises(
        ValueError,
        match="holds a UNet2DModel, .* run by diffusers, which is not installed: python -m pip install diffusers",
    ):
        load(tmp_path)


def test_what_is_missing_or_does_not_fit_is_named(tmp_path: Path) -> None:
    save_pixels(tmp_path, 5)
    config, weights = tmp_path / "unet" / "config.json", tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    settings = json.loads(config.read_text())

    def refused(words: str) -> None:
        with pytest.raises(ValueError, match=words):
            load(tmp_path)

    config.write_text(json.dumps({**settings, "class_embed_type": "timestep"}))
    refused("sets class_embed_type to 'timestep'")
    config.write_text(json.dumps({**settings, "in_channels": 4}))
    refused("sets in_channels to 4")
    config.write_text(json.dumps({**settings, "down_block_types": ["DownBlock2D", "NoSuchBlock"]}))
    refused("diffusers can't make a UNet2DModel of .*config.json: .*NoSuchBlock.* Save the folder again")
    config.write_text(json.dumps({**settings, "num_class_embeds": 7}))
    refused("class_embedding.weight has the shape .5, 64., expected .7, 64.")
    config.write_text(json.dumps(settings))
    scheduler = tmp_path / "scheduler" / "scheduler_config.json"
    stated = scheduler.read_text()
    scheduler.write_text(json.dumps({**json.loads(stated), "beta_schedule": "sigmoid"}))
    refused("sets beta_schedule to 'sigmoid'")
    scheduler.unlink()
    refused("no scheduler/scheduler_config.json, so it is unknown which noise levels")
    scheduler.write_text(stated)
    weights.write_bytes(weights.read_bytes()[:-100])
    refused("is truncated or not a safetensors file")
    weights.rename(weights.with_suffix(".bin"))
    refused("unet/diffusion_pytorch_model.bin only.* never loaded")


@torch.inference_mode()
def test_pictures_of_a_size_that_the_network_cannot_take_are_refused(tmp_path: Path) -> None:
    save_pixels(tmp_path / "pixels", None)
    save_dit(tmp_path / "dit")
    for folder, shape, words in (
        (
            "pixels",
            (1, PIXELS + 1, PIXELS, 3),
            "halves the picture 1 times, but it has 17 x 16 pixels. Crop or resize it to multiples of 2",
        ),
        ("dit", (1, 2 * CELLS, 4 * CELLS, 3), "takes square pictures only, but the latent has 8 x 16 cells"),
    ):
        model, clip, autoencoder = load(tmp_path / folder)
        noised = noise(model, autoencoder.encode(torch.rand(shape)))
        with pytest.raises(ValueError, match=words):
            predict(model, noised, clip, "")


def test_lone_denoisers_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import folder_paths
    from sdexplain.nodes.host.loading import folders

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "diffusers", ([str(tmp_path)], {"folder"}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "config.json").write_text('{"_class_name": "CLIPTextModel"}')
    unet(5).save_pretrained(tmp_path / "lone")
    save_pixels(tmp_path / "pipeline", None)
    assert list(folders.pipeline_folders()) == [folders.BUNDLED, "lone", "pipeline"]


# ------------------------------------------------------------------------------------------------------------ on a real server


@pytest.mark.parametrize("kind", ["pixels", "dit"])
def test_the_whole_graph_on_a_real_server(comfyui: Client, comfyui_server: Server, kind: str) -> None:
    name = f"test-denoiser-{kind}"
    folder = comfyui_server.base / "models" / "diffusers" / name
    if kind == "dit":
        save_dit(folder)
    else:
        save_pixels(folder, 5, NAMES)
    graph = Graph(comfyui.object_info())
    loaded = graph.add("SDExplainLoadDiffusers", folder=name)
    model, clip, vae = ([loaded, output] for output in range(3))
    picture = graph.add("SDExplainExamplePicture", class_name="zebra")
    small = [
        graph.add("ImageScale", image=[picture, 0], width=2 * CELLS, height=2 * CELLS, upscale_method="area", crop="disabled"),
        0,
    ]
    noising = graph.add("SDExplainNoiseLatent", model=model, latent=[graph.add("VAEEncode", pixels=small, vae=vae), 0], steps=6)
    zebra, horse = (graph.add("CLIPTextEncode", clip=clip, text=f"a photo of a {animal}") for animal in ("zebra", "horse"))
    prompts = {"target": [zebra, 0], "contrast": [horse, 0]}
    predictions = [graph.add("SDExplainPredictNoise", model=model, noised=[noising, 0], **prompts), 0]
    difference = graph.add("SDExplainSumDifference", predictions=predictions)
    [decoded] = graph.show([graph.add("VAEDecode", samples=[difference, 1], vae=vae), 0])
    overlay = graph.add("SDExplainHeatmap", image=small, difference=[difference, 0])
    run = comfyui.run(graph.prompt)
    assert comfyui.image(run.pictures(decoded)[0]).size == (2 * CELLS, 2 * CELLS)
    assert run.pictures(overlay)
    graph.prompt[horse]["inputs"]["text"] = "a photo of a cat"
    with pytest.raises(NodeFailed, match="names no class of this model"):
        comfyui.run(graph.prompt)
