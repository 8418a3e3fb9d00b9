"""Models that answer from what they computed before are found out, whatever hangs on them, and nothing of theirs is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from families import FAMILIES
from sdexplain.nodes.maths.method.noising import NoisedLatents
from torch import Tensor
from watching import watch_calls

pytestmark = pytest.mark.usefixtures("comfy_host")

SD = FAMILIES[0]
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def network(comfy_host: Path) -> Any:
    return families.build(SD)


def noise(model: Any, latent: tuple[int, ...] = SD.latent, steps: int = 6, images: int = 1, samples: int = 1) -> NoisedLatents:
    """One noise for the whole schedule, as step caches like it."""
    from sdexplain.nodes.noising import NoiseLatent

    latents = torch.randn(images, *latent, generator=torch.Generator().manual_seed(9))
    noised = NoiseLatent.execute(model, {"samples": latents}, steps, "normal", 0, samples, "same at every step")
    return noised.result[0]


def collect(model: Any, noised: NoisedLatents, node: str = "1") -> tuple[Tensor, Tensor, Any]:
    from sdexplain.nodes.host import kept

    return kept.collect(model, noised, families.conditioning(SD, 1), families.conditioning(SD, 2), node, "float32")


# ---------------------------------------------------------------------------------------------------------------- step caches


def tea_cache(model: Any, threshold: float = 0.6) -> Any:
    """A cache as TeaCache is made: it outlives runs, and leaves out the network where the input is like the last one."""
    state: dict[str, Tensor] = {}
    patched = model.clone()
    diffusion_model = model.model.diffusion_model

    def wrapper(executor: Any, x: Tensor, timestep: Tensor, *rest: Any, **settings: Any) -> Tensor:
        told = torch.cat([x.flatten(), timestep.flatten() / 1000])
        if "told" in state and state["told"].shape == told.shape:
            change = (told - state["told"]).abs().mean() / state["told"].abs().mean()
            if change < threshold:
                state["told"] = told
                return x + state["residual"]
        answer = executor(x, timestep, *rest, **settings)
        state.update(told=told, residual=answer - x)
        return answer

    assert diffusion_model is not None
    patched.add_wrapper_with_key("diffusion_model", "tea", wrapper)
    return patched


def easy_cache(model: Any) -> Any:
    from comfy_extras.nodes_easycache import EasyCacheNode

    return EasyCacheNode.execute(model, 0.5, 0.15, 0.95, False).result[0]


def counter(model: Any) -> Any:
    """No cache at all, but the answer drifts with each call."""
    patched, calls = model.clone(), []

    def wrapper(apply: Any, given: dict[str, Any]) -> Tensor:
        calls.append(1)
        return apply(given["input"], given["timestep"], **given["c"]) * (1 + 0.02 * len(calls))

    patched.set_model_unet_function_wrapper(wrapper)
    return patched


@pytest.mark.parametrize(("patch", "name"), [(tea_cache, "tea"), (easy_cache, "easycache"), (counter, "counter")])
def test_a_model_that_remembers_is_refused_by_name_and_nothing_is_kept(
    network: Any, patch: Callable[[Any], Any], name: str
) -> None:
    from sdexplain.nodes.host import kept

    patched = patch(network)
    words = f"Asked the same again .step [0-9]+., the model .*depend on what it was asked before.*found there: {name}"
    for _ in range(2):  # not even the second time
        with pytest.raises(ValueError, match=words):
            collect(patched, noise(network, steps=12))
        assert not kept._runs.get(patched)


def test_a_contrast_that_is_answered_from_the_target_is_found_with_one_step(network: Any) -> None:
    """The whole run is two calls of one level: asked at once again, the cache would give the same wrong answer."""
    with pytest.raises(ValueError, match="Asked the same again .*found there: tea"):
        collect(tea_cache(network), noise(network, steps=1))


def test_what_was_kept_of_a_model_goes_when_it_is_found_to_remember(network: Any) -> None:
    from sdexplain.nodes.host import kept

    patched = network.clone()
    collect(patched, noise(network))
    patched.wrappers = tea_cache(network).wrappers  # in place
    with pytest.raises(ValueError, match="Asked the same again"):
        collect(patched, noise(network, steps=12), "2")
    assert not kept._runs.get(patched)


def test_easy_cache_on_the_bundled_model_is_refused(comfy_host: Path) -> None:
    from sdexplain.nodes.host import kept
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline
    from sdexplain.nodes.host.loading.folders import BUNDLED_FOLDER

    model, clip = load_pipeline(BUNDLED_FOLDER, [])[:2]
    zebra, horse = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a zebra", "a horse"))
    noised = noise(model, (4, 8, 8), steps=20)
    with pytest.raises(ValueError, match="Asked the same again .*found there: easycache"):
        kept.collect(easy_cache(model), noised, zebra, horse, "1")
    kept.collect(model, noised, zebra, horse, "1")


def free_u(model: Any, b1: float = 1.3) -> Any:
    from comfy_extras.nodes_freelunch import FreeU_V2

    return FreeU_V2().patch(model, b1, 1.4, 0.9, 0.2)[0]


def test_a_patch_that_remembers_nothing_costs_one_call_for_each_prompt(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch_calls(monkeypatch)
    noised = noise(network, steps=4, samples=2)
    target, _, effort = collect(free_u(network), noised)
    assert (len(calls), effort.calls, effort.predicted) == (2 * 5, 2 * 5, 2 * 4 * 2)
    assert not any(module._forward_pre_hooks for module in network.model.modules())
    calls.clear()
    assert collect(network.clone(), noised)[2].calls == len(calls) == 2  # a bare model is not asked again
    assert torch.isfinite(target).all()


def test_a_patch_that_draws_random_numbers_draws_the_same_for_both_prompts(network: Any) -> None:
    """HyperTile draws the size of its tiles for each call: no difference may come of that."""
    from sdexplain.nodes.host import kept

    def shaken(model: Any) -> Any:
        patched = model.clone()
        patched.set_model_attn1_patch(lambda q, k, v, extra: (q * (1 + torch.rand(1)), k, v))
        return patched

    patched, noised = shaken(network), noise(network)
    state = torch.random.get_rng_state()
    first = kept.collect(patched, noised, families.conditioning(SD, 1), families.conditioning(SD, 2), "1", "float32")
    assert torch.equal(torch.random.get_rng_state(), state)
    other = shaken(network)
    swapped = kept.collect(other, noised, families.conditioning(SD, 2), families.conditioning(SD, 1), "1", "float32")
    assert torch.equal(first[0], swapped[1]) and torch.equal(first[1], swapped[0])


# --------------------------------------------------------------------------------------------- something for each of the images


def per_image(model: Any, images: int) -> Any:
    """A patch that brings something for each image and spreads it over a call as adapters do:
    each for neighbours of equal number."""
    patched = model.clone()
    gain = torch.linspace(0.5, 1.5, images)

    def patch(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        own = gain.repeat_interleave(len(v) // len(gain)) if len(v) >= len(gain) else gain[: len(v)]
        return q, k, v * own[:, None, None]

    patched.set_model_attn2_patch(patch)
    return patched


def test_every_sample_of_an_image_gets_what_a_patch_brings_for_that_image(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noised = noise(network, steps=3, images=2, samples=4)
    calls = watch_calls(monkeypatch)
    together, _, _ = collect(per_image(network, 2), noised)
    assert {len(call) for call in calls} == {2}
    for sample in range(4):
        alone, _, _ = collect(per_image(network, 2), replace(noised, noise=noised.noise[sample : sample + 1], antithetic=False))
        torch.testing.assert_close(together[sample], alone[0], **TOLERANCE)
    assert (together[:, :, 0] - collect(network.clone(), noised)[0][:, :, 0]).abs().max() > 1e-3
