"""A pipeline folder of any size computes in ComfyUI what it computes in diffusers; a broken one says what to do."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DDIMInverseScheduler,
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionDiffEditPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from sdexplain.nodes.host.loading.diffusers_files import PIPELINES, read_pipeline
from sdexplain.training import architecture
from sdexplain.training.tokenizer import build_tokenizer
from torch import Tensor

pytestmark = pytest.mark.usefixtures("comfy_host")

# Untrained weights give outputs of size 1; float32 sums in another order then differ by a few 1e-6.
TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}
PROMPTS = [
    "",
    "a photo of a zebra",
    "Two  HORSES, outside!\n",
    "🦓 zèbre شريط",
    "several mice with striped tails " * 30,
]


def bundled() -> StableDiffusionPipeline:
    return architecture.build_pipeline()


def wide_cells() -> StableDiffusionPipeline:
    """Three VAE levels with attention and three channels, scaled; a UNet without a middle, widened by 1.5."""
    tokenizer = build_tokenizer()
    unet = architecture.build_unet((32, 48), layers=2, heads=2, groups=8, latent_channels=3, text_width=32)
    return architecture.build_pipeline(
        vae=architecture.build_vae((8, 16, 24), 3, layers=2, groups=4, mid_attention=True, scaling_factor=0.7),
        unet=UNet2DConditionModel.from_config({**unet.config, "mid_block_type": None}),
        text_encoder=architecture.build_text_encoder(tokenizer, width=32, layers=3, heads=2, activation="gelu"),
        tokenizer=tokenizer,
        scheduler=architecture.build_scheduler("v_prediction", rescale_betas_zero_snr=True),
    )


def like_sd2() -> StableDiffusionPipeline:
    """Heads of one width instead of one number, linear projections, uneven layers, eight channels."""
    tokenizer = build_tokenizer()
    return architecture.build_pipeline(
        vae=architecture.build_vae((16, 32), 8, groups=16),
        unet=architecture.build_unet((32, 64, 96), (1, 2, 3), (1, 2, 3), 32, 8, text_width=64, linear_projection=True),
        text_encoder=architecture.build_text_encoder(tokenizer, width=64),
        tokenizer=tokenizer,
        scheduler=architecture.build_scheduler("sample"),
    )


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 123456789\n"
BUILDERS = (bundled, wide_cells, like_sd2)


@pytest.fixture(scope="module", params=BUILDERS, ids=lambda build: build.__name__)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[StableDiffusionPipeline, Path]:
    """A pipeline with random weights, in float32, and the folder that it was saved to."""
    torch.manual_seed(0)
    pipeline = request.param()
    randomise_norms(pipeline)
    folder = tmp_path_factory.mktemp(request.param.__name__)
    architecture.save_pipeline(pipeline, folder, torch.float32)
    return pipeline, folder


@pytest.fixture(scope="module")
def loaded(saved: tuple[StableDiffusionPipeline, Path], comfy_host: Path) -> tuple[Any, Any, Any]:
    return load(saved[1])


@pytest.fixture
def broken(tmp_path: Path, small_folder: Path) -> Path:
    """A copy of a whole pipeline folder, for a test to break."""
    return Path(shutil.copytree(small_folder, tmp_path / "pipeline"))


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    torch.manual_seed(0)
    return wide_cells()


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    architecture.save_pipeline(wide_cells(), folder)
    return folder


def randomise_norms(pipeline: StableDiffusionPipeline) -> None:
    """Norms start as ones and biases often as zeros: as long as they do, it wouldn't show if two were exchanged."""
    for module in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.2 * torch.randn_like(parameter)


def load(folder: Path) -> tuple[Any, Any, Any]:
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    return load_pipeline(folder, [])


def change_settings(file: Path, **settings: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def random_inputs(pipeline: StableDiffusionPipeline) -> tuple[Tensor, Tensor]:
    """Three latents, of a height and width that differ, and text for them."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(3, pipeline.unet.config.in_channels, 16, 24, generator=generator)
    return latents, torch.randn(3, 77, pipeline.unet.config.cross_attention_dim, generator=generator)


class TestAgreementWithDiffusers:
    @torch.inference_mode()
    def test_unet(self, saved: tuple, loaded: tuple) -> None:
        latents, text = random_inputs(saved[0])
        timesteps = torch.tensor([1, 500, 999])
        expected = saved[0].unet(latents, timesteps, text).sample
        assert expected.std() > 0.05
        torch.testing.assert_close(loaded[0].model.diffusion_model(latents, timesteps, text), expected, **TOLERANCE)

    @torch.inference_mode()
    def test_denoised_estimate_at_every_noise_level(self, saved: tuple, loaded: tuple) -> None:
        pipeline, model = saved[0], loaded[0].model
        clean, text = random_inputs(pipeline)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
        scheduler = pipeline.scheduler
        scheduler.set_timesteps(1000)
        for timestep in (0, 300, 901):
            noised = scheduler.add_noise(clean, noise, torch.tensor([timestep]))
            prediction = pipeline.unet(noised, timestep, text).sample
            expected = scheduler.step(prediction, timestep, noised).pred_original_sample
            sigma = model.model_sampling.sigmas[timestep].expand(3)
            denoised = model.apply_model(clean + sigma.view(-1, 1, 1, 1) * noise, sigma, c_crossattn=text)
            # Both divide the network's rounding error by alpha, which is small where the noise is large.
            tolerance = 2e-5 * (1 + sigma[0].item())
            torch.testing.assert_close(denoised, expected, atol=tolerance, rtol=1e-4)

    @pytest.mark.parametrize("prompt", PROMPTS, ids=["empty", "plain", "capitals", "emoji", "long"])
    @torch.inference_mode()
    def test_text(self, saved: tuple, loaded: tuple, prompt: str) -> None:
        pipeline, clip = saved[0], loaded[1]
        expected, _ = pipeline.encode_prompt(prompt, "cpu", 1, False)
        tokens = clip.tokenize(prompt)
        ids = pipeline.tokenizer(prompt, padding="max_length", truncation=True).input_ids
        assert [token for token, _ in tokens["l"][0]] == ids
        # ComfyUI goes on after 77 tokens, in further parts, where diffusers stops.
        encoded, pooled = clip.encode_from_tokens(tokens, return_pooled=True)
        torch.testing.assert_close(encoded[:, :77], expected, **TOLERANCE)
        assert torch.isfinite(pooled).all()

    @torch.inference_mode()
    def test_vae(self, saved: tuple, loaded: tuple) -> None:
        reference, vae = saved[0].vae, loaded[2]
        pictures = torch.rand(2, 64, 96, 3, generator=torch.Generator().manual_seed(3))
        expected = reference.encode(pictures.movedim(-1, 1) * 2 - 1).latent_dist.mean
        encoded = vae.encode(pictures)
        torch.testing.assert_close(encoded, expected, **TOLERANCE)
        scale = 2 ** (len(reference.config.block_out_channels) - 1)
        assert encoded.shape == (2, reference.config.latent_channels, 64 // scale, 96 // scale)
        decoded = (reference.decode(expected).sample / 2 + 0.5).clamp(0, 1).movedim(1, -1)
        assert decoded.std() > 0.01
        torch.testing.assert_close(vae.decode(expected), decoded, **TOLERANCE)

    def test_latent_scale(self, saved: tuple, loaded: tuple) -> None:
        latents, _ = random_inputs(saved[0])
        scaled = latents * saved[0].vae.config.scaling_factor
        torch.testing.assert_close(loaded[0].model.process_latent_in(latents), scaled)
        torch.testing.assert_close(loaded[0].model.process_latent_out(scaled), latents)

    @pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
    @pytest.mark.parametrize("rescale", [False, True], ids=["plain", "zero terminal snr"])
    def test_schedule(self, broken: Path, beta_schedule: str, rescale: bool) -> None:
        scheduler = DDIMScheduler(1000, 1e-4, 0.02, beta_schedule, rescale_betas_zero_snr=rescale)
        scheduler.save_pretrained(broken / "scheduler")
        sigmas = load(broken)[0].model.model_sampling.sigmas
        expected = (1 / scheduler.alphas_cumprod.double() - 1).sqrt().float()
        # Where hardly any signal is left sigma goes to infinity and has few right digits in either.
        last = -5 if rescale or beta_schedule == "squaredcos_cap_v2" else None
        torch.testing.assert_close(sigmas[:last], expected[:last], atol=0, rtol=2e-3)
        assert sigmas[-1] > 1000 or not rescale

    def test_half_precision_file_is_computed_in_float32(self, small_folder: Path) -> None:
        model, clip, vae = load(small_folder)
        pipeline = StableDiffusionPipeline.from_pretrained(small_folder, dtype=torch.float32)
        latents, text = random_inputs(pipeline)
        with torch.inference_mode():
            expected = pipeline.unet(latents, 500, text).sample
            found = model.model.diffusion_model(latents, torch.tensor([500] * 3), text)
            embedded, _ = pipeline.encode_prompt("a rat", "cpu", 1, False)
        torch.testing.assert_close(found, expected, **TOLERANCE)
        torch.testing.assert_close(clip.encode_from_tokens(clip.tokenize("a rat")), embedded, **TOLERANCE)
        assert vae.vae_dtype == torch.float32


class TestNativeObjects:
    @torch.inference_mode()
    def test_sampling_gives_the_pipelines_picture(self, saved: tuple, loaded: tuple) -> None:
        import comfy.sample

        pipeline, (model, clip, vae) = saved[0], loaded
        empty = torch.zeros(1, 4, 16, 16)
        empty = comfy.sample.fix_empty_latent_channels(model, empty)
        noise = comfy.sample.prepare_noise(empty, seed=5)
        positive, negative = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a zebra", ""))
        sampled = comfy.sample.sample(
            model, noise, 4, 3.0, "euler", "ddim_uniform", positive, negative, empty, disable_pbar=True, seed=5
        )

        scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing="leading")
        parts = {**pipeline.components, "scheduler": scheduler}
        reference = StableDiffusionPipeline(**parts, requires_safety_checker=False)
        reference.set_progress_bar_config(disable=True)
        scheduler.set_timesteps(4)
        start = noise * scheduler.sigmas[0] / scheduler.init_noise_sigma
        size = {"height": 16 * vae.downscale_ratio, "width": 16 * vae.downscale_ratio}
        options = {"num_inference_steps": 4, "guidance_scale": 3.0, "latents": start, "output_type": "np", **size}
        pictures = reference("a zebra", negative_prompt="", **options).images
        torch.testing.assert_close(vae.decode(sampled), torch.from_numpy(pictures), atol=1e-3, rtol=0)

    @torch.inference_mode()
    def test_lora_on_a_clone_leaves_the_model_as_it_was(self, saved: tuple, loaded: tuple) -> None:
        import comfy.model_management
        import comfy.sd

        pipeline, (model, clip, _) = saved[0], loaded
        latents, text = random_inputs(pipeline)
        timesteps = torch.tensor([500] * 3)
        layer = pipeline.unet.up_blocks[0].attentions[0].transformer_blocks[0].attn2.to_v
        generator = torch.Generator().manual_seed(4)
        up = 3 * torch.randn(layer.out_features, 2, generator=generator)
        down = torch.randn(2, layer.in_features, generator=generator)
        name = "lora_unet_up_blocks_0_attentions_0_transformer_blocks_0_attn2_to_v"
        lora = {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}
        patched, _ = comfy.sd.load_lora_for_models(model, clip, lora, 1.0, 1.0)

        plain = pipeline.unet(latents, timesteps, text).sample
        layer.weight += up @ down
        changed = pipeline.unet(latents, timesteps, text).sample
        layer.weight -= up @ down
        for patcher, expected in ((patched, changed), (model, plain)):
            comfy.model_management.load_models_gpu([patcher])
            found = patcher.model.diffusion_model(latents, timesteps, text)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
        assert (changed - plain).abs().max() > 0.01

    def test_tiled_decoding_has_the_size_of_the_whole(self, loaded: tuple) -> None:
        model, _, vae = loaded
        latents = torch.randn(1, model.model.latent_format.latent_channels, 12, 16)
        assert vae.decode_tiled(latents, tile_x=8, tile_y=8, overlap=2).shape == vae.decode(latents).shape

    def test_standard_vae_has_cores_own_names(self, comfy_host: Path) -> None:
        import comfy.sd
        from sdexplain.nodes.host.loading.diffusers_vae import Autoencoder

        standard = {
            "z_channels": 4,
            "resolution": 256,
            "in_channels": 3,
            "out_ch": 3,
            "ch": 128,
            "ch_mult": [1, 2, 4, 4],
        }
        with torch.device("meta"):
            core = comfy.sd.AutoencoderKL(
                ddconfig={"double_z": True, "num_res_blocks": 2, "attn_resolutions": [], **standard}, embed_dim=4
            )
            own = Autoencoder({"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4})
        assert shapes(own) == shapes(core)

    def test_standard_unet_names_are_cores_own(self, comfy_host: Path) -> None:
        import comfy.utils
        from sdexplain.nodes.host.loading.diffusers_files import rename
        from sdexplain.nodes.host.loading.diffusers_unet import module_names

        core = comfy.utils.unet_to_diffusers(
            {
                "num_res_blocks": [2, 2, 2, 2],
                "channel_mult": [1, 2, 4, 4],
                "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
                "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
                "transformer_depth_middle": 1,
            }
        )
        names = module_names(
            {"block_out_channels": [320, 640, 1280, 1280], "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3]}
        )
        # Core's table also has the class embeddings of other models, and samplers beyond the last level.
        ignored = ("class_embedding", "add_embedding", "down_blocks.3.downsamplers", "up_blocks.3.upsamplers")
        core = {key: value for key, value in core.items() if not key.startswith(ignored)}
        assert {key: rename(key, names) for key in core} == core


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


class TestBrokenFolders:
    def test_folder_that_is_no_pipeline(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="is not a diffusers pipeline: it has no model_index.json. Choose the folder"):
            load(tmp_path)

    @pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
    def test_truncated_weight_file(self, broken: Path, component: str) -> None:
        file = next((broken / component).glob("*.safetensors"))
        file.write_bytes(file.read_bytes()[:-1000])
        match = rf"{file.name} \(\d+ bytes\) is truncated or not a safetensors file .* Download or save it again"
        with pytest.raises(ValueError, match=match):
            load(broken)

    @pytest.mark.parametrize(
        "file",
        [
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
            "text_encoder/model.safetensors",
            "tokenizer/tokenizer.json",
            "tokenizer/merges.txt",
            "unet/config.json",
            "model_index.json",
        ],
    )
    def test_a_git_lfs_pointer_is_called_what_it_is(self, broken: Path, file: str) -> None:
        (broken / file).write_text(POINTER)
        name = file.rpartition("/")[2]
        with pytest.raises(ValueError, match=rf"{name} is a git-lfs pointer \(134 bytes\).* Run `git lfs pull` .* or download"):
            load(broken)

    def test_a_git_lfs_pointer_among_the_parts(self, tmp_path: Path, pipeline: StableDiffusionPipeline) -> None:
        pipeline.save_pretrained(tmp_path, max_shard_size="50KB")
        part = sorted((tmp_path / "unet").glob("*-00002-of-*.safetensors"))[0]
        part.write_text(POINTER)
        with pytest.raises(ValueError, match=f"{part.name} is a git-lfs pointer"):
            load(tmp_path)

    def test_missing_components_are_all_named(self, broken: Path) -> None:
        shutil.rmtree(broken / "vae")
        shutil.rmtree(broken / "tokenizer")
        (broken / "text_encoder" / "model.safetensors").unlink()
        (broken / "scheduler" / "scheduler_config.json").unlink()
        with pytest.raises(ValueError) as error:
            load(broken)
        missing = [
            "vae/config.json",
            "scheduler/scheduler_config.json",
            "tokenizer/tokenizer.json",
            "tokenizer/vocab.json",
        ]
        missing += ["vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"]
        assert [name for name in missing if name not in str(error.value)] == []
        assert "unet/" not in str(error.value)

    @pytest.mark.parametrize("name", ["StableDiffusionXLPipeline", "FluxPipeline", "StableDiffusionXLInpaintPipeline", None])
    def test_pipeline_class_that_cannot_be_mapped(self, broken: Path, name: str | None) -> None:
        change_settings(broken / "model_index.json", _class_name=name)
        match = f"is a {name}; this node can map StableDiffusionPipeline .* with CheckpointLoaderSimple"
        with pytest.raises(ValueError, match=match):
            load(broken)

    def test_component_class_that_cannot_be_mapped(self, broken: Path) -> None:
        change_settings(broken / "model_index.json", text_encoder=["transformers", "T5EncoderModel"])
        with pytest.raises(ValueError, match="text_encoder of .* is a T5EncoderModel; this node can map CLIPTextModel"):
            load(broken)

    def test_pickles_are_never_loaded(self, broken: Path) -> None:
        weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
        torch.save(load_file(weights), weights.with_suffix(".bin"))
        weights.unlink()
        match = "unet/diffusion_pytorch_model.bin only.* never loaded: save the pipeline as safetensors"
        with pytest.raises(ValueError, match=match):
            load(broken)

    @pytest.mark.parametrize(
        ("component", "stem"), [("unet", "conv_in"), ("vae", "encoder.conv_in"), ("text_encoder", "final_layer_norm")]
    )
    def test_missing_unexpected_and_misshapen_weights(self, broken: Path, component: str, stem: str) -> None:
        file = next((broken / component).glob("*.safetensors"))
        tensors = load_file(file)
        save_file({**tensors, f"{stem}.weight": tensors[f"{stem}.weight"][:3]}, file)
        with pytest.raises(ValueError, match=rf"{stem}.weight has the shape \(3,.*expected \("):
            load(broken)
        save_file({("surplus" if name == f"{stem}.bias" else name): tensor for name, tensor in tensors.items()}, file)
        with pytest.raises(ValueError, match=f"missing weights: {stem}.bias; unexpected weights: surplus. Both files"):
            load(broken)

    @pytest.mark.parametrize(
        ("component", "settings", "match"),
        [
            ("unet", {"freq_shift": 1}, "sets freq_shift to 1, but ComfyUI's own network computes only 0"),
            ("unet", {"mid_block_type": "UNetMidBlock2D"}, "sets mid_block_type to 'UNetMidBlock2D'"),
            ("unet", {"down_block_types": ["DownBlock2D", "AttnDownBlock2D"]}, "blocks of the type AttnDownBlock2D"),
            ("unet", {"transformer_layers_per_block": [1, [1, 2]]}, "expected one number, or one for each level"),
            (
                "unet",
                {"attention_head_dim": [2, 4], "down_block_types": ["CrossAttnDownBlock2D"] * 2},
                "heads of the same",
            ),
            (
                "unet",
                {"layers_per_block": [1]},
                r"states 1 layers_per_block \(\[1\]\) for 2 block_out_channels: expected one",
            ),
            ("unet", {"in_channels": 9}, "9.* its VAE has 3 latent channels: expected the same number"),
            ("unet", {"cross_attention_dim": 768}, "text of width 768, but its text encoder gives 32"),
            ("vae", {"shift_factor": 0.1}, "sets shift_factor to 0.1"),
            ("vae", {"up_block_types": ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]}, "sets up_block_types to"),
            ("text_encoder", {"hidden_act": "relu"}, "sets hidden_act to 'relu'"),
            ("text_encoder", {"vocab_size": 100}, "tokens up to number 880, but its text encoder knows 100"),
            ("scheduler", {"prediction_type": "flow_prediction"}, "sets prediction_type to 'flow_prediction'"),
            ("scheduler", {"trained_betas": [0.1]}, "sets trained_betas"),
            ("scheduler", {"num_train_timesteps": 100}, "sets num_train_timesteps to 100"),
        ],
    )
    def test_settings_without_a_counterpart(self, broken: Path, component: str, settings: dict, match: str) -> None:
        file = "scheduler_config.json" if component == "scheduler" else "config.json"
        change_settings(broken / component / file, **settings)
        with pytest.raises(ValueError, match=match):
            load(broken)

    def test_scheduler_without_betas(self, broken: Path) -> None:
        settings = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
        (broken / "scheduler" / "scheduler_config.json").write_text(json.dumps(settings))
        match = r"\(FlowMatchEulerDiscreteScheduler\) doesn't state beta_schedule, beta_start, beta_end: expected"
        with pytest.raises(ValueError, match=match):
            load(broken)

    @pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
    def test_settings_of_something_else(self, broken: Path, component: str) -> None:
        (broken / component / "config.json").write_text("{}")
        with pytest.raises(ValueError, match=rf"{component}/config.json \(of no stated class\) doesn't state"):
            load(broken)

    def test_truncated_tokenizer(self, broken: Path) -> None:
        file = broken / "tokenizer" / "tokenizer.json"
        file.write_text(file.read_text()[:-1000])
        with pytest.raises(ValueError, match="tokenizer can't be read .* Download or save the folder again"):
            load(broken)

    @pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
    def test_settings_that_are_no_json_object(self, broken: Path, text: str) -> None:
        (broken / "unet" / "config.json").write_text(text)
        with pytest.raises(ValueError, match="config.json (can't be read as JSON|holds a JSON list, expected an object)"):
            load(broken)


class TestWeightFiles:
    def test_weights_in_parts(self, broken: Path) -> None:
        file = broken / "unet" / "diffusion_pytorch_model.safetensors"
        whole = load_file(file)
        parts = {name: f"part-{index % 2}.safetensors" for index, name in enumerate(whole)}
        for part in set(parts.values()):
            save_file({name: whole[name] for name in whole if parts[name] == part}, file.with_name(part))
        file.unlink()
        index = file.with_name(f"{file.name}.index.json")
        index.write_text(json.dumps({"weight_map": parts}))
        tensors = read_pipeline(broken).weights("unet").tensors
        assert tensors.keys() == whole.keys()
        assert all(torch.equal(tensors[name], whole[name]) for name in whole)
        index.write_text(json.dumps({"weight_map": {"conv_in.weight": "../vae/diffusion_pytorch_model.safetensors"}}))
        with pytest.raises(ValueError, match=r"lists the parts \.\./vae/.*expected files beside it"):
            read_pipeline(broken).weights("unet")

    @pytest.mark.parametrize("variant", [None, "fp16", "bf16"])
    def test_parts_as_diffusers_writes_them(self, tmp_path: Path, variant: str | None) -> None:
        torch.manual_seed(0)
        dtype = {None: torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[variant]
        pipeline = wide_cells().to(dtype)
        pipeline.save_pretrained(tmp_path, variant=variant, max_shard_size="50KB")
        dotted = f".{variant}" if variant else ""
        for component, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
            assert (tmp_path / component / f"{stem}.safetensors.index{dotted}.json").is_file()
            assert list((tmp_path / component).glob(f"{stem}{dotted}-00001-of-*.safetensors"))
            assert not (tmp_path / component / f"{stem}{dotted}.safetensors").exists()
        assert_loads_as(tmp_path, pipeline.to(torch.float32))

    def test_the_most_exact_weights_are_taken(self, tmp_path: Path, pipeline: StableDiffusionPipeline) -> None:
        architecture.save_pipeline(pipeline, tmp_path, torch.float32)
        unet = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
        unet.to(torch.float16).save_pretrained(tmp_path / "unet", variant="fp16", max_shard_size="50KB")
        assert (tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.fp16.json").is_file()
        assert read_pipeline(tmp_path).weights("unet").tensors["conv_in.weight"].dtype == torch.float32

    @torch.inference_mode()
    def test_older_names_of_the_same_weights(self, broken: Path, small_folder: Path) -> None:
        old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

        def aged(name: str) -> str:
            for new_name, old_name in old.items():
                name = name.replace(f"attentions.0.{new_name}", f"attentions.0.{old_name}")
            return name

        rewrite(broken / "vae" / "diffusion_pytorch_model.safetensors", aged)
        rewrite(broken / "text_encoder" / "model.safetensors", lambda name: f"text_model.{name}")
        pictures = torch.rand(1, 32, 32, 3)
        for found, expected in zip(load(broken)[1:], load(small_folder)[1:], strict=True):
            if hasattr(found, "encode_from_tokens"):
                assert torch.equal(found.encode("a horse"), expected.encode("a horse"))
            else:
                assert torch.equal(found.encode(pictures), expected.encode(pictures))


def assert_loads_as(folder: Path, pipeline: DiffusionPipeline) -> None:
    """The folder's UNet, text encoder and VAE answer as the pipeline's own do."""
    model, clip, vae = load(folder)
    latents, text = random_inputs(pipeline)
    pictures = torch.rand(1, 32, 48, 3, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        expected = pipeline.unet(latents, 500, text).sample
        found = model.model.diffusion_model(latents, torch.tensor([500] * 3), text)
        ids = pipeline.tokenizer("a rat", padding="max_length", max_length=77, return_tensors="pt").input_ids
        torch.testing.assert_close(found, expected, **TOLERANCE)
        torch.testing.assert_close(clip.encode("a rat"), pipeline.text_encoder(ids)[0], **TOLERANCE)
        encoded = pipeline.vae.encode(pictures.movedim(-1, 1) * 2 - 1).latent_dist.mean
        torch.testing.assert_close(vae.encode(pictures), encoded, **TOLERANCE)


class TestClosePipelines:
    """Folders of pipelines that only sample in another way, or bring a further network."""

    @pytest.mark.parametrize("kind", ["inpaint", "ControlNet", "DiffEdit", "PAG"])
    def test_their_folders_load_as_the_plain_pipelines_do(
        self, tmp_path: Path, pipeline: StableDiffusionPipeline, kind: str
    ) -> None:
        names = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
        parts = {name: pipeline.components[name] for name in names}
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        if kind == "inpaint":
            close = StableDiffusionInpaintPipeline(**parts)
        elif kind == "ControlNet":
            close = StableDiffusionControlNetPipeline(**parts, controlnet=control_net(pipeline.unet))
        elif kind == "DiffEdit":
            inverse = DDIMInverseScheduler.from_config(pipeline.scheduler.config)
            close = StableDiffusionDiffEditPipeline(**parts, inverse_scheduler=inverse)
        else:
            close = StableDiffusionPAGPipeline(**parts, pag_applied_layers="down")
        close.save_pretrained(tmp_path)
        assert json.loads((tmp_path / "model_index.json").read_text())["_class_name"] == type(close).__name__
        assert_loads_as(tmp_path, pipeline)

    def test_an_inpainting_unet_is_refused_for_its_channels(self, tmp_path: Path, pipeline: StableDiffusionPipeline) -> None:
        unet = UNet2DConditionModel.from_config({**pipeline.unet.config, "in_channels": 7})
        parts = {**pipeline.components, "unet": unet, "requires_safety_checker": False}
        StableDiffusionInpaintPipeline(**parts).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match="7.* its VAE has 3 latent channels: expected the same number. UNets for inpainting"):
            load(tmp_path)

    def test_each_of_them_has_stable_diffusions_own_parts(self) -> None:
        known = [getattr(diffusers, name) for name in PIPELINES if hasattr(diffusers, name)]
        assert len(known) > 10
        for pipeline in known:
            parts = inspect.signature(pipeline.__init__).parameters
            assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= set(parts), pipeline
            assert not {"text_encoder_2", "motion_adapter", "prior"} & set(parts), pipeline
            assert str(parts["unet"].annotation) in (str(UNet2DConditionModel), "UNet2DConditionModel"), pipeline


def control_net(unet: UNet2DConditionModel) -> ControlNetModel:
    return ControlNetModel(
        in_channels=unet.config.in_channels,
        block_out_channels=unet.config.block_out_channels,
        down_block_types=unet.config.down_block_types,
        layers_per_block=unet.config.layers_per_block,
        norm_num_groups=unet.config.norm_num_groups,
        cross_attention_dim=unet.config.cross_attention_dim,
        attention_head_dim=unet.config.attention_head_dim,
    )


class TestTokenizerFiles:
    PROMPT = "a photo of two Zebras, outside! 🦓"

    def test_either_form_gives_the_same_tokens(self, broken: Path, small_folder: Path) -> None:
        expected = load(small_folder)[1].tokenize(self.PROMPT)
        whole = broken / "tokenizer"
        (whole / "tokenizer.json").unlink()
        assert load(broken)[1].tokenize(self.PROMPT) == expected
        shutil.copy(small_folder / "tokenizer" / "tokenizer.json", whole)
        (whole / "vocab.json").unlink()
        (whole / "merges.txt").unlink()
        assert load(broken)[1].tokenize(self.PROMPT) == expected

    def test_tokenizer_json_alone_where_clip_tokenizer_reads_none(
        self, broken: Path, small_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in transformers before 5, whose fast class alone reads tokenizer.json."""
        from sdexplain.nodes.host.loading import diffusers_clip

        class CLIPTokenizer(diffusers_clip.CLIPTokenizer):
            @classmethod
            def from_pretrained(cls, path: Path, **options: Any) -> Any:
                if not (Path(path) / "vocab.json").is_file():
                    raise TypeError("expected str, bytes or os.PathLike object, not NoneType")
                return super().from_pretrained(path, **options)

        expected = load(small_folder)[1].tokenize(self.PROMPT)
        monkeypatch.setattr(diffusers_clip, "CLIPTokenizer", CLIPTokenizer)
        (broken / "tokenizer" / "vocab.json").unlink()
        (broken / "tokenizer" / "merges.txt").unlink()
        assert load(broken)[1].tokenize(self.PROMPT) == expected


def rewrite(file: Path, rename: Callable[[str], str]) -> None:
    save_file({rename(name): tensor for name, tensor in load_file(file).items()}, file)


class TestNode:
    @pytest.fixture
    def node(self, comfy_host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The node's module, with ComfyUI's `diffusers` folder in tmp_path and no bundled model."""
        import folder_paths
        from sdexplain.nodes import load_diffusers
        from sdexplain.nodes.host.loading import folders

        below = ([str(tmp_path / "diffusers")], {"folder"})
        monkeypatch.setitem(folder_paths.folder_names_and_paths, "diffusers", below)
        monkeypatch.setattr(folders, "BUNDLED_FOLDER", tmp_path / "bundled" / "model")
        return load_diffusers

    def test_lists_the_bundled_model_first_and_pipelines_at_any_depth(self, node: Any, tmp_path: Path) -> None:
        for name in ("b", "a/c", "no pipeline"):
            (tmp_path / "diffusers" / name).mkdir(parents=True)
        for name in ("b", "a/c"):
            (tmp_path / "diffusers" / name / "model_index.json").touch()
        schema = node.LoadDiffusers.define_schema()
        assert schema.inputs[0].options == ["bundled model", "a/c", "b"]
        assert all(part.tooltip for part in [*schema.inputs, *schema.outputs])

    def test_loads_a_listed_folder(self, node: Any, tmp_path: Path, small_folder: Path) -> None:
        shutil.copytree(small_folder, tmp_path / "diffusers" / "small")
        model, clip, vae = node.LoadDiffusers.execute("small").result
        assert model.model.latent_format.latent_channels == vae.latent_channels == 3
        assert clip.encode("a taxi").shape == (1, 77, 32)

    def test_bundled_model_that_is_not_made_yet(self, node: Any) -> None:
        with pytest.raises(ValueError, match="bundled model is not there: .*python dev.py run training.train"):
            node.LoadDiffusers.execute("bundled model")

    @pytest.mark.parametrize("name", ["../pipeline", "unknown", ""])
    def test_no_path_outside_the_listed_folders(self, node: Any, broken: Path, name: str) -> None:
        with pytest.raises(ValueError, match="There is no pipeline folder .*: expected one of bundled model"):
            node.LoadDiffusers.execute(name)

    def test_fingerprint_changes_with_the_folders_files(self, node: Any, tmp_path: Path, small_folder: Path) -> None:
        folder = Path(shutil.copytree(small_folder, tmp_path / "diffusers" / "small"))
        before = node.LoadDiffusers.fingerprint_inputs("small")
        assert node.LoadDiffusers.fingerprint_inputs("small") == before
        change_settings(folder / "scheduler" / "scheduler_config.json", prediction_type="epsilon")
        assert node.LoadDiffusers.fingerprint_inputs("small") != before
