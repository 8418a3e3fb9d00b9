"""Digests see whatever changes a prediction, and what is kept is used only while they are the same."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from families import FAMILIES
from sdexplain.nodes.maths.method.noising import NoisedLatents
from torch import Tensor

pytestmark = pytest.mark.usefixtures("comfy_host")

SD = FAMILIES[0]
LAYER = "diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_v"
Conditioning = list[list[Any]]


@pytest.fixture(scope="module")
def network(comfy_host: Path) -> Any:
    return families.build(SD)


def noise(model: Any) -> NoisedLatents:
    from sdexplain.nodes.noising import NoiseLatent

    latents = torch.randn(1, *SD.latent, generator=torch.Generator().manual_seed(9))
    return NoiseLatent.execute(model, {"samples": latents}, 3, "normal", 0, 1, "fresh per step").result[0]


def collect(
    model: Any, target: Conditioning, contrast: Conditioning, noised: NoisedLatents | None = None
) -> tuple[Tensor, Tensor, int]:
    from sdexplain.nodes.host import kept

    first, second, effort = kept.collect(model, noised or noise(model), target, contrast, "1", "float32")
    return first, second, effort.predicted


def prompts() -> tuple[Conditioning, Conditioning]:
    return families.conditioning(SD, 1), families.conditioning(SD, 2)


# ----------------------------------------------------------------------------------------------------------------- patches


def bypass(strength: float = 1.0, seed: int = 4) -> Callable[[Any], Any]:
    """A LoRA that is added where a layer runs, with its weights in no list of patches:
    core's own, or one like it for older hosts."""

    def patch(model: Any) -> Any:
        from comfy.weight_adapter.lora import LoRAAdapter

        generator, layer = torch.Generator().manual_seed(seed), model.get_model_object(LAYER)
        up = torch.randn(layer.weight.shape[0], 2, generator=generator)
        down = torch.randn(2, layer.weight.shape[1], generator=generator)
        adapter, patched = LoRAAdapter(set(), (up, down, None, None, None, None)), model.clone()
        try:
            from comfy.weight_adapter.bypass import BypassInjectionManager
        except ImportError:
            injections = [older_bypass(layer, adapter, strength)]
        else:
            manager = BypassInjectionManager()
            manager.add_adapter(f"{LAYER}.weight", adapter, strength)
            injections = manager.create_injections(patched.model)
        patched.set_injections("bypass_lora", injections)
        return patched

    return patch


class Hook:
    """Replaces a layer's forward for as long as it is injected."""

    def __init__(self, module: Any, adapter: Any, multiplier: float) -> None:
        self.module, self.adapter, self.multiplier = module, adapter, multiplier
        self.original_forward: Any = None

    def forward(self, x: Tensor) -> Tensor:
        up, down = self.adapter.weights[:2]
        return self.original_forward(x) + self.multiplier * x @ down.T @ up.T

    def inject(self) -> None:
        self.original_forward, self.module.forward = self.module.forward, self.forward

    def eject(self) -> None:
        self.module.forward, self.original_forward = self.original_forward, None


def older_bypass(layer: Any, adapter: Any, strength: float) -> Any:
    from comfy.patcher_extension import PatcherInjection

    hooks = [Hook(layer, adapter, strength)]
    return PatcherInjection(
        inject=lambda patcher: [hook.inject() for hook in hooks], eject=lambda patcher: [hook.eject() for hook in hooks]
    )


def free_u(b1: float) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        from comfy_extras.nodes_freelunch import FreeU

        return FreeU().patch(model, b1, 1.4, 0.9, 0.2)[0]

    return patch


def computing_in(dtype: torch.dtype) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        patched = model.clone()
        patched.set_model_compute_dtype(dtype)
        return patched

    return patch


def multiplied(number: float) -> Callable[[Any], Any]:
    """A patch that is a function with its number among the defaults."""

    def patch(model: Any) -> Any:
        patched = model.clone()
        patched.set_model_attn2_patch(lambda q, k, v, extra, number=number: (q * number, k, v))
        return patched

    return patch


class Adapter:
    """A patch that is an object, as those of image adapters."""

    def __init__(self, picture: Tensor) -> None:
        self.picture = picture

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        return q, k, v + self.picture.mean()


def adapted(last: float) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        patched, picture = model.clone(), torch.zeros(300_000)
        picture[-1] = last
        patched.set_model_attn2_patch(Adapter(picture))
        return patched

    return patch


def wrapped(key: str) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        patched = model.clone()
        patched.add_wrapper_with_key("apply_model", key, lambda executor, *given, **settings: executor(*given, **settings))
        return patched

    return patch


def shifted(shift: float) -> Callable[[Any], Any]:
    def patch(model: Any) -> Any:
        from comfy_extras.nodes_model_advanced import ModelSamplingSD3

        return ModelSamplingSD3().patch(model, shift)[0]

    return patch


CHANGES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "strength of a bypass LoRA": (bypass(1.0), bypass(0.5)),
    "weights of a bypass LoRA": (bypass(seed=4), bypass(seed=5)),
    "FreeU's b1": (free_u(1.3), free_u(1.31)),
    "the type that it computes in": (computing_in(torch.float16), computing_in(torch.bfloat16)),
    "a function's default": (multiplied(1.5), multiplied(1.6)),
    "one number in an adapter's picture": (adapted(0.0), adapted(1.0)),
    "a wrapper": (wrapped("one"), wrapped("other")),
    "shift of the noise levels": (shifted(3.0), shifted(2.0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_patch_is_seen_and_so_is_its_parameter(network: Any, name: str) -> None:
    from sdexplain.nodes.host.fingerprint import of_model

    first, second = (patch(network) for patch in CHANGES[name])
    assert len({of_model(network), of_model(first), of_model(second)}) == 3
    assert of_model(CHANGES[name][0](network)) == of_model(first) == of_model(first.clone())


def test_a_bypass_lora_is_the_same_one_before_and_after_it_was_in_effect(network: Any) -> None:
    from sdexplain.nodes.host.fingerprint import of_model

    patched, (target, contrast) = bypass()(network), prompts()
    before = of_model(patched)
    moved, _, asked = collect(patched, target, contrast)
    assert asked == 6 and of_model(patched) == before
    assert collect(patched, target, contrast)[2] == 0
    assert (moved - collect(network.clone(), target, contrast)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_an_edit_of_one_number_is_seen_wherever_it_is(network: Any, place: str) -> None:
    from sdexplain.nodes.host.fingerprint import of_model

    weight = max(network.model.diffusion_model.parameters(), key=lambda tensor: tensor.numel())
    assert weight.nbytes > 1 << 16  # one that is summed
    flat, before = weight.data.view(-1), of_model(network)
    index = {"first": 0, "middle": flat.numel() // 2 + 1, "last": -1}[place]
    old = flat[index].item()
    try:
        flat[index] = old + 1e-3
        assert of_model(network) != before
        flat[index] = old
        assert of_model(network) == before
        flat.copy_(flat.flip(0))
        assert of_model(network) != before
        flat.copy_(flat.flip(0))
    finally:
        flat[index] = old
    assert of_model(network) == before


# -------------------------------------------------------------------------------------------------------- changed in place


def scale_a_weight(model: Any) -> Callable[[], None]:
    weight = model.get_model_object(LAYER).weight.data
    weight.mul_(2)
    return lambda: weight.div_(2)


def add_a_patch(model: Any) -> Callable[[], None]:
    model.set_model_attn2_patch(lambda q, k, v, extra: (q * 1.5, k, v))
    return lambda: None


def add_a_lora(model: Any) -> Callable[[], None]:
    model.add_patches({f"{LAYER}.weight": ("diff", (torch.ones_like(model.get_model_object(LAYER).weight),))}, 0.5)
    return lambda: None


def inject(model: Any) -> Callable[[], None]:
    model.set_injections("bypass_lora", bypass()(model).injections["bypass_lora"])
    return lambda: None


@pytest.mark.parametrize("change", [scale_a_weight, add_a_patch, add_a_lora, inject])
def test_a_model_that_was_changed_in_place_is_asked_again(network: Any, change: Callable[[Any], Callable[[], None]]) -> None:
    import comfy.model_management

    model, (target, contrast), noised = network.clone(), prompts(), noise(network)
    before, _, asked = collect(model, target, contrast, noised)
    assert asked == 6 and collect(model, target, contrast, noised)[2] == 0
    undo = change(model)
    try:
        after, _, asked = collect(model, target, contrast, noised)
        assert asked == 6
        assert (after - before).abs().max() > 1e-3
        assert collect(model, target, contrast, noised)[2] == 0
    finally:
        comfy.model_management.unload_all_models()
        undo()


def test_a_conditioning_that_was_changed_in_place_is_predicted_again(network: Any) -> None:
    model, (target, contrast), noised = network.clone(), prompts(), noise(network)
    before, same, _ = collect(model, target, contrast, noised)
    target[0][0].mul_(2)
    after, still, asked = collect(model, target, contrast, noised)
    assert asked == 3 and torch.equal(still, same)
    assert (after - before).abs().max() > 1e-3
    target[0][1]["strength"] = 0.5
    assert collect(model, target, contrast, noised)[2] == 3


def test_what_was_predicted_before_a_change_is_found_for_prompts_as_they_were(network: Any) -> None:
    """A conditioning that is no longer what it was must not stand for its old predictions."""
    model, (target, contrast), noised = network.clone(), prompts(), noise(network)
    before, _, _ = collect(model, target, contrast, noised)
    target[0][0].mul_(2)
    again, _, _ = collect(model, families.conditioning(SD, 1), contrast, noised)
    assert torch.equal(again, before)


# -------------------------------------------------------------------------------------------------------------------- GGUF


class GGMLTensor(torch.Tensor):
    """A weight as City96's loader keeps it: bytes that mean something only to it, and the shape that they stand for."""

    def __init__(self, *_: Any, tensor_type: Any, tensor_shape: torch.Size, **__: Any) -> None:
        super().__init__()
        self.tensor_type, self.tensor_shape = tensor_type, tensor_shape

    def __new__(cls, *given: Any, tensor_type: Any, tensor_shape: torch.Size) -> GGMLTensor:
        return super().__new__(cls, *given)

    def to(self, *given: Any, **settings: Any) -> GGMLTensor:
        new = super().to(*given, **settings)
        new.tensor_type, new.tensor_shape = self.tensor_type, self.tensor_shape
        return new

    def clone(self, *_: Any, **__: Any) -> GGMLTensor:
        return self

    def detach(self) -> GGMLTensor:
        return self

    @property
    def shape(self) -> torch.Size:
        return self.tensor_shape if hasattr(self, "tensor_shape") else self.size()


def from_gguf(model: Any) -> Any:
    """The model with every attention projection stored in 8 bits, decoded when it runs, and without values in its state dict."""

    def save(layer: Any, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = torch.zeros_like(layer.weight, device="meta")
        if layer.bias is not None:
            destination[f"{prefix}bias"] = layer.bias

    def forward(layer: Any, x: Tensor, *_: Any, **__: Any) -> Tensor:
        raw = layer.weight.to(x.device).as_subclass(Tensor)
        return torch.nn.functional.linear(x, (raw.float() - 128) / 127 * layer.largest, layer.bias)

    for layer in model.model.diffusion_model.modules():
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight.data
            layer.largest = weight.abs().max()
            raw = (weight / layer.largest * 127 + 128).round().to(torch.uint8)
            stored = GGMLTensor(raw, tensor_type=types.SimpleNamespace(name="Q8_0"), tensor_shape=weight.shape)
            del layer.weight
            layer.weight = torch.nn.Parameter(stored, requires_grad=False)
            layer._save_to_state_dict = types.MethodType(save, layer)
            layer.forward = types.MethodType(forward, layer)
    return model


def test_a_gguf_model_is_predicted_with_and_told_apart(network: Any) -> None:
    from sdexplain.nodes.host.caveats import caveats
    from sdexplain.nodes.host.fingerprint import of_model, of_pair

    model, (target, contrast) = from_gguf(families.build(SD)), prompts()
    assert any(tensor.is_meta for tensor in model.model.state_dict().values())
    noised = noise(network)
    first, second, asked = collect(model, target, contrast, noised)
    assert asked == 6 and collect(model, target, contrast, noised)[2] == 0
    exact = collect(network.clone(), target, contrast, noised)[0]
    assert 1e-6 < (first - exact).norm() / exact.norm() < 0.2
    before = of_pair(model, target, contrast)["model"]
    assert before != of_model(network)
    weight = model.get_model_object(LAYER).weight
    weight.as_subclass(Tensor)[0, 0] += 1
    assert of_model(model) != before
    [words] = caveats(model, {"target": target, "contrast": contrast})
    assert "stored in few bits (GGUF Q8_0)" in words
