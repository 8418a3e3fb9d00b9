"""Whatever ComfyUI hangs on a prompt or a model has its effect: predictions are those of ComfyUI's own sampling at each level.

The reference is a sampler that looks at the first denoised estimate and stops, one picture and one level at a time, without
guidance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import families
import pytest
import torch
from families import FAMILIES, UNET, Family
from sdexplain.nodes.maths.method.noising import NoisedLatents
from torch import Tensor
from watching import assert_same_state, state_of, watch_calls

pytestmark = pytest.mark.usefixtures("comfy_host")

STEPS, IMAGES = 4, 2
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}
SD = FAMILIES[0]
Conditioning = list[list[Any]]


def named(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


@pytest.fixture(scope="module")
def networks(comfy_host: Any) -> Callable[[Family], Any]:
    built: dict[str, Any] = {}

    def get(family: Family) -> Any:
        if family.name not in built:
            built[family.name] = families.build(family)
        return built[family.name].clone()

    return get


def noise(model: Any, family: Family = SD, scheduler: str = "normal") -> NoisedLatents:
    from sdexplain.nodes.noising import NoiseLatent

    latents = torch.randn(IMAGES, *family.latent, generator=torch.Generator().manual_seed(9))
    return NoiseLatent.execute(model, {"samples": latents}, STEPS, scheduler, 0, 1, "fresh per step").result[0]


def predict(model: Any, noised: NoisedLatents, conditioning: Conditioning) -> Tensor:
    from sdexplain.nodes.host import prediction
    from sdexplain.nodes.maths.method.prediction import list_evaluations, predictions_shape

    predictions = torch.empty(predictions_shape(noised))
    prediction.predict(model, noised, conditioning, predictions, list_evaluations(noised))
    return predictions


def as_sampled(model: Any, noised: NoisedLatents, conditioning: Conditioning) -> Tensor:
    """The same by ComfyUI's sampling: its guider at a guidance of 1, asked once at each level for each picture."""
    import comfy.samplers

    class Look(comfy.samplers.Sampler):
        def sample(self, model_wrap: Any, sigmas: Tensor, extra_args: dict[str, Any], *_: Any, **__: Any) -> Tensor:
            return model_wrap(self.x, sigmas[:1], **extra_args)

    guider, look = comfy.samplers.CFGGuider(model), Look()
    guider.set_conds(conditioning, conditioning)
    guider.set_cfg(1.0)
    found = torch.empty(1, noised.steps, *noised.x0.shape)
    for step, (sigma, alpha) in enumerate(zip(noised.sigmas, noised.alphas, strict=True)):
        for image in range(noised.images):
            x = noised.at(0, step)[image : image + 1]
            look.x = x
            with torch.inference_mode():
                denoised = guider.sample(torch.zeros_like(x), torch.zeros_like(x), look, sigma[None], disable_pbar=True, seed=0)
            found[0, step, image] = (x - alpha * model.model.process_latent_in(denoised))[0] / sigma
    return found


def assert_as_sampled(
    model: Any,
    conditioning: Conditioning,
    family: Family,
    monkeypatch: pytest.MonkeyPatch,
    mixes: bool,
    changes: bool = True,
) -> Tensor:
    """Predictions are those of sampling; levels share a call or not; the model is left as it was; it is not as without."""
    import comfy.model_management

    comfy.model_management.unload_all_models()  # which takes the patches of weights back
    noised, before = noise(model, family), state_of(model)
    with monkeypatch.context() as patch:
        calls = watch_calls(patch)
        found = predict(model, noised, conditioning)
    assert (max(len(set(call)) for call in calls) > 1) is mixes
    comfy.model_management.unload_all_models()
    assert_same_state(state_of(model), before)
    for step, expected in enumerate(as_sampled(model, noised, conditioning)[0]):
        # the way through the VAE's space and back costs a few last bits of x0, which the noise level then divides
        atol = 1e-4 * (1 + 1e-1 / noised.sigmas[step].item())
        torch.testing.assert_close(found[0, step], expected, atol=atol, rtol=1e-4)
    plain = predict(families.build(family), noised, families.conditioning(family, 1))
    assert bool((found - plain).abs().max() > 1e-3) is changes
    return found


# ------------------------------------------------------------------------------------------------------------------ conditionings


def base(seed: int = 1, family: Family = SD, **settings: Any) -> Conditioning:
    [[text, rest]] = families.conditioning(family, seed)
    return [[text, {**rest, **settings}]]


def half_mask() -> Tensor:
    mask = torch.zeros(1, 64, 48)
    mask[:, :, :20] = 1
    return mask


def control_net(**settings: Any) -> Conditioning:
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops

    import nodes

    shape = {name: value for name, value in UNET.items() if name != "out_channels"}
    network = comfy.cldm.cldm.ControlNet(
        **{**shape, "num_heads": 8, "transformer_depth": list(UNET["transformer_depth"])},
        hint_channels=3,
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    families.randomise(network)
    control = comfy.controlnet.ControlNet(network.eval(), load_device=torch.device("cpu"))
    picture = torch.rand(1, 64, 48, 3, generator=torch.Generator().manual_seed(3))
    arguments = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0} | settings
    return nodes.ControlNetApplyAdvanced().apply_controlnet(base(), base(), control, picture, *arguments.values())[0]


def lora() -> dict[str, Tensor]:
    name, width = "diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_v", 64
    generator = torch.Generator().manual_seed(4)
    up, down = torch.randn(width, 2, generator=generator), torch.randn(2, UNET["context_dim"], generator=generator)
    return {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}


def lora_hook() -> Conditioning:
    import comfy.hooks

    hooks = comfy.hooks.create_hook_lora(lora=lora(), strength_model=1.0, strength_clip=0.0)
    return comfy.hooks.set_hooks_for_conditioning(base(), hooks)


def gligen() -> Conditioning:
    import comfy.gligen
    import comfy.model_patcher

    fusers = [comfy.gligen.GatedSelfAttentionDense(64, 12, 8, 8) for _ in range(4)]
    network = comfy.gligen.Gligen(fusers, comfy.gligen.PositionNet(12, 12), 12)
    families.randomise(network)
    for fuser in fusers:
        fuser.alpha_attn.data.fill_(0.5)
        fuser.alpha_dense.data.fill_(0.5)
    patcher = comfy.model_patcher.ModelPatcher(network.eval(), torch.device("cpu"), torch.device("cpu"))
    return base(gligen=("position", patcher, [(torch.ones(1, 12), 4, 3, 2, 1)]))


def with_nodes(build: Callable[[Any], Conditioning]) -> Callable[[], Conditioning]:
    """A conditioning made with core's own nodes."""

    def made() -> Conditioning:
        import nodes

        return build(nodes)

    return made


# name -> the conditioning, whether several levels may share a model call, whether it is another one than the plain prompt
CONDITIONINGS: dict[str, tuple[Callable[[], Conditioning], bool, bool]] = {
    "plain": (base, True, False),
    "two prompts combined": (lambda: base(1) + base(2), True, True),
    "strength": (lambda: base(1, strength=0.5) + base(2), True, True),
    "area": (
        with_nodes(lambda nodes: base() + nodes.ConditioningSetArea().append(base(2), 24, 32, 8, 0, 1.0)[0]),
        False,
        True,
    ),
    "mask": (
        with_nodes(lambda nodes: base() + nodes.ConditioningSetMask().append(base(2), half_mask(), "default", 1.0)[0]),
        True,
        True,
    ),
    "mask, its bounds alone": (
        with_nodes(lambda nodes: base() + nodes.ConditioningSetMask().append(base(2), half_mask(), "mask bounds", 1.0)[0]),
        True,
        True,
    ),
    "timestep range": (
        with_nodes(
            lambda nodes: (
                nodes.ConditioningSetTimestepRange().set_range(base(1), 0.0, 0.4)[0]
                + nodes.ConditioningSetTimestepRange().set_range(base(2), 0.4, 1.0)[0]
            )
        ),
        False,
        True,
    ),
    "ControlNet": (control_net, False, True),
    "ControlNet, part of the schedule": (lambda: control_net(start_percent=0.3, end_percent=0.8), False, True),
    "LoRA hook": (lora_hook, False, True),
    "GLIGEN": (gligen, False, True),
}


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_conditionings(name: str, networks: Callable[[Family], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    make, mixes, changes = CONDITIONINGS[name]
    assert_as_sampled(networks(SD), make(), SD, monkeypatch, mixes, changes)


def test_the_prompt_of_a_range_counts_there_alone(networks: Callable[[Family], Any]) -> None:
    model = networks(SD)
    noised = noise(model)
    whole = predict(model, noised, base())
    part = predict(model, noised, control_net(start_percent=0.3, end_percent=0.8))
    moved = (part - whole).abs().amax(dim=(0, 2, 3, 4, 5)) > 1e-4
    assert moved.any() and not moved.all()


def test_a_lora_hook_is_a_lora_that_ends_with_the_prediction(networks: Callable[[Family], Any]) -> None:
    import comfy.sd

    model = networks(SD)
    noised = noise(model)
    before = predict(model, noised, base())
    hooked = predict(model, noised, lora_hook())
    patched = comfy.sd.load_lora_for_models(model, None, lora(), 1.0, 0.0)[0]
    torch.testing.assert_close(hooked, predict(patched, noised, base()), **TOLERANCE)
    assert torch.equal(predict(model, noised, base()), before)


def picture_beside(family: Family, images: int = 1) -> dict[str, Tensor]:
    """What InpaintModelConditioning gives: the masked picture's latent and the mask, in pixels."""
    generator = torch.Generator().manual_seed(6)
    mask = torch.zeros(1, 1, 8 * family.latent[1], 8 * family.latent[2])
    mask[..., :16] = 1
    return {"concat_latent_image": torch.randn(images, *family.latent, generator=generator), "concat_mask": mask}


@pytest.mark.parametrize("name", [family.name for family in FAMILIES if family.beside])
@pytest.mark.parametrize("images", [1, IMAGES])
def test_a_picture_beside_the_noise_is_seen(
    name: str, images: int, networks: Callable[[Family], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inpainting and instruct models: the picture that the conditioning brings, one for all or one for each of a batch."""
    family = named(name)
    seen = picture_beside(family, images)
    model = networks(family)
    if images == 1:
        assert_as_sampled(model, base(family=family, **seen), family, monkeypatch, mixes=True)
        return
    noised = noise(model, family)
    together = predict(model, noised, base(family=family, **seen))
    for image in range(images):
        own = {**seen, "concat_latent_image": seen["concat_latent_image"][image : image + 1]}
        alone = predict(model, replace(noised, x0=noised.x0[image : image + 1]), base(family=family, **own))
        torch.testing.assert_close(together[:, :, image], alone[:, :, 0], **TOLERANCE)
    assert (together[:, :, 0] - together[:, :, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["Flux dev", "Qwen-Image", "OmniGen 2"])
def test_reference_pictures_are_seen(name: str, networks: Callable[[Family], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that edit (Kontext): the picture comes as further tokens."""
    family = named(name)
    latents = torch.randn(1, *family.latent, generator=torch.Generator().manual_seed(6))
    references = [latents[:, :, None] if family.frames else latents]
    noised, model = noise(networks(family), family), networks(family)
    assert (
        predict(model, noised, base(family=family, reference_latents=references)) - predict(model, noised, base(family=family))
    ).abs().max() > 1e-3
    if not family.frames:
        assert_as_sampled(model, base(family=family, reference_latents=references), family, monkeypatch, mixes=False)


# ------------------------------------------------------------------------------------------------------------- patches of a model


def free_u(model: Any) -> Any:
    from comfy_extras.nodes_freelunch import FreeU_V2

    return FreeU_V2().patch(model, 1.3, 1.4, 0.9, 0.2)[0]


def attention(model: Any) -> Any:
    patched = model.clone()
    patched.set_model_attn2_patch(lambda q, k, v, extra: (q * 1.5, k, v))
    return patched


def output_block(model: Any) -> Any:
    patched = model.clone()
    patched.set_model_output_block_patch(lambda h, skip, extra: (h * 1.2, skip * 0.9))
    return patched


def hyper_tile(model: Any) -> Any:
    from comfy_extras.nodes_hypertile import HyperTile

    made = HyperTile.execute(model, 32, 2, 1, False)
    return (made if isinstance(made, tuple) else made.result)[0]


def rescaled(model: Any) -> Any:
    from comfy_extras.nodes_model_advanced import RescaleCFG

    return RescaleCFG().patch(model, 0.7)[0]


def with_lora(model: Any) -> Any:
    import comfy.sd

    return comfy.sd.load_lora_for_models(model, None, lora(), 1.0, 0.0)[0]


def wrapped(model: Any) -> Any:
    patched = model.clone()
    patched.set_model_unet_function_wrapper(lambda apply, given: apply(given["input"], given["timestep"], **given["c"]) * 0.9)
    return patched


PATCHES: dict[str, tuple[Callable[[Any], Any], bool, bool]] = {
    "LoRA": (with_lora, True, True),
    "attention patch": (attention, False, True),
    "output block patch": (output_block, False, True),
    "FreeU": (free_u, False, True),
    "HyperTile": (hyper_tile, False, False),
    "RescaleCFG, which guides and so does nothing here": (rescaled, True, False),
    "function wrapper": (wrapped, False, True),
}


@pytest.mark.parametrize("name", PATCHES)
def test_patches(name: str, networks: Callable[[Family], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    patch, mixes, changes = PATCHES[name]
    torch.manual_seed(0)  # HyperTile draws its tiles
    assert_as_sampled(patch(networks(SD)), base(), SD, monkeypatch, mixes, changes)


def compiled(model: Any) -> Any:
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    patched = model.clone()
    # a part is enough: it is the way through ComfyUI's wrapper that is tried, and tracing takes long
    set_torch_compile_wrapper(patched, backend="eager", keys=["diffusion_model.out"])
    return patched


def test_a_compiled_model_predicts_the_same(networks: Callable[[Family], Any]) -> None:
    model = networks(SD)
    noised = noise(model)
    torch.testing.assert_close(predict(compiled(model), noised, base()), predict(model, noised, base()), **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["Stable Diffusion 1.x", "Flux dev"])
def test_weights_of_few_bits_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    """As ComfyUI keeps fp8 checkpoints: stored narrow, cast layer by layer. The same as a network of the rounded weights."""
    family = named(name)
    narrow, rounded = families.build(family, dtype), families.build(family)
    with torch.no_grad():
        for parameter in rounded.model.diffusion_model.parameters():
            parameter.copy_(parameter.to(dtype).float())
    assert {parameter.dtype for parameter in narrow.model.diffusion_model.parameters()} == {dtype}
    noised = noise(narrow, family)
    found = predict(narrow, noised, base(family=family))
    torch.testing.assert_close(found, predict(rounded, noised, base(family=family)), **TOLERANCE)
    assert (found - predict(families.build(family), noised, base(family=family))).abs().max() > 1e-5


def test_a_model_that_is_loaded_piece_by_piece_predicts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI's way with little memory, forced here on the CPU: most weights, and the LoRA on them, are fetched for each use."""
    import comfy.model_management
    import comfy.model_patcher

    noised = noise(families.build(SD))
    whole = predict(with_lora(families.build(SD)), noised, base())
    comfy.model_management.unload_all_models()
    slim, real, fetched = with_lora(families.build(SD)), comfy.model_patcher.ModelPatcher.load, []

    def little_room(self: Any, device_to: Any = None, **settings: Any) -> Any:
        loaded = real(self, device_to, **{**settings, "lowvram_model_memory": 300_000, "full_load": False})
        fetched.append(sum(hasattr(module, "prev_comfy_cast_weights") for module in self.model.modules()))
        return loaded

    monkeypatch.setattr(comfy.model_patcher.ModelPatcher, "load", little_room)
    torch.testing.assert_close(predict(slim, noised, base()), whole, **TOLERANCE)
    assert fetched and min(fetched) > 50
