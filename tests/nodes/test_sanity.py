"""The sanity check passes what is sound, and fails each thing that is not, by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from analytic import noised_latents
from sdexplain.nodes.maths.answers import sanity
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect
from sdexplain.nodes.maths.pictures.sanity_sheet import sanity_sheet
from sdexplain.tools.graphs import node, noising, prompt
from torch import Tensor

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

Denoise = Callable[[Tensor, Tensor, str], Tensor]
SHAPE = (4, 16, 16)
STEPS, SAMPLES = 5, 2


# -------------------------------------------------------------------------------------------------------------- the checks


@dataclass
class Pictures:
    """A model that knows one picture for each prompt, [C,h,w], with a spread of 0.5 around it."""

    target: Tensor
    contrast: Tensor

    def __call__(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        sigma = sigma[:, None, None, None]
        known = self.target if prompt == "target" else self.contrast
        return (0.25 * x + sigma**2 * known) / (0.25 + sigma**2)


def drawn(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


TRAINED = Pictures(drawn(1), drawn(2))
OTHER_WORDS = Pictures(drawn(1) + 0.02 * drawn(3), drawn(2) + 0.02 * drawn(4))
UNTRAINED = Pictures(drawn(5), drawn(6))
DEAF = Pictures(drawn(1), drawn(1))


class Moody:
    """Answers a little differently every time."""

    def __call__(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        return TRAINED(x, sigma, prompt) + 1e-3 * torch.randn(x.shape)


def swapped_prompts(model: Denoise) -> Denoise:
    return lambda x, sigma, prompt: model(x, sigma, "contrast" if prompt == "target" else "target")


def answers(model: Denoise = TRAINED, randomised: Denoise = UNTRAINED, paraphrased: Denoise | None = None) -> sanity.Answers:
    noised = noised_latents(0.5 * drawn(1)[None] + 0.5 * drawn(7)[None], steps=STEPS, samples=SAMPLES)
    of = lambda denoise: collect(noised, denoise, target_label="zebra", contrast_label="horse")  # noqa: E731
    return sanity.Answers(of(model), of(swapped_prompts(model)), of(randomised), None if paraphrased is None else of(paraphrased))


def passed(asked: sanity.Answers) -> dict[str, bool | None]:
    names = ("same", "swapped", "additivity", "paraphrase", "randomised")
    return dict(zip(names, (check.passed for check in sanity.check_all(asked)), strict=True))


def test_a_sound_model_passes_everything_and_to_the_last_bit() -> None:
    asked = answers(paraphrased=OTHER_WORDS)
    assert set(passed(asked).values()) == {True}
    same, swapped, *_ = sanity.check_all(asked)
    assert "0 exactly" in same.figure and "exactly" in swapped.figure


def test_without_a_paraphrase_that_check_is_skipped_in_words() -> None:
    asked = answers()
    assert passed(asked) == {"same": True, "swapped": True, "additivity": True, "paraphrase": None, "randomised": True}
    assert "SKIPPED · Other words, same map: no paraphrase. Connect target_paraphrase" in str(sanity.check_all(asked)[3])


def test_a_model_that_ignores_the_prompt_has_nothing_to_explain() -> None:
    asked = answers(DEAF, paraphrased=DEAF)
    assert passed(asked) == {"same": False, "swapped": True, "additivity": True, "paraphrase": False, "randomised": False}
    assert "make no difference to the model" in str(sanity.check_all(asked)[0])
    assert "There is no map" in str(sanity.check_all(asked)[4])


def test_a_model_that_answers_by_chance_fails_both_times_it_is_asked() -> None:
    outcome = passed(answers(Moody()))
    assert (outcome["same"], outcome["swapped"]) == (False, False)


def test_rounding_alone_is_no_chance() -> None:
    asked = answers()
    off = replace(asked.swapped, contrast=asked.swapped.contrast + 1e-6)
    same, swapped, *_ = sanity.check_all(replace(asked, swapped=off))
    assert same.passed and "float rounding" in same.figure
    assert swapped.passed and "exactly" not in swapped.figure


def test_a_map_that_does_not_depend_on_the_weights_fails() -> None:
    outcome = passed(answers(randomised=TRAINED))
    assert outcome == {"same": True, "swapped": True, "additivity": True, "paraphrase": None, "randomised": False}
    assert passed(answers(randomised=swapped_prompts(TRAINED)))["randomised"] is False


def test_a_shuffled_model_without_any_map_passes() -> None:
    assert passed(answers(randomised=DEAF))["randomised"] is True


def test_other_words_with_another_map_fail() -> None:
    assert passed(answers(paraphrased=UNTRAINED))["paraphrase"] is False
    assert passed(answers(paraphrased=swapped_prompts(TRAINED)))["paraphrase"] is False


def test_sums_that_lose_a_step_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = sanity.sum_steps

    def forgetful(predictions: NoisePredictions, start: int = 0, *rest: Any, **options: Any) -> Any:
        return complete(predictions, max(start, 1), *rest, **options)

    monkeypatch.setattr(sanity, "sum_steps", forgetful)
    assert sanity.check_additivity(answers().first).passed is False


def test_the_log_odds_are_the_squared_errors_of_both_prompts() -> None:
    first = answers().first
    noise = first.noised.noise[:, :, None].double()
    errors = [((noise - array.double()) ** 2).sum((2, 3, 4, 5)).mean(0) for array in (first.contrast, first.target)]
    expected = (first.noised.step_shares.double() * (errors[0] - errors[1]) / 2).sum().item()
    assert sanity.log_odds(first) == pytest.approx(expected, rel=1e-9)


def test_thinning_takes_even_steps_first_samples_and_the_first_image() -> None:
    noised = noised_latents(torch.stack([drawn(1), drawn(2)]), steps=50, samples=4)
    few = sanity.take_part(noised, 5, 2)
    assert torch.equal(few.sigmas, noised.sigmas[[5, 15, 25, 35, 45]])
    assert torch.equal(few.noise, noised.noise[:2, [5, 15, 25, 35, 45]]) and torch.equal(few.x0, noised.x0[:1])
    every = sanity.take_part(noised, 999, 999)
    assert torch.equal(every.noise, noised.noise) and every.steps == 50
    same = sanity.take_part(replace(noised, noise=noised.noise[:, :1]), 3, 1)
    assert same.noise.shape[:2] == (1, 1) and same.steps == 3
    with pytest.raises(ValueError, match="at least 1"):
        sanity.take_part(noised, 0, 1)


def test_thinning_keeps_antithetic_pairs_whole_or_says_that_they_are_none() -> None:
    noised = noised_latents(drawn(1)[None], steps=4, samples=2)
    pairs = replace(noised, noise=torch.cat([noised.noise[:1], -noised.noise[:1]]), antithetic=True)
    assert sanity.take_part(pairs, 2, 2).antithetic and not sanity.take_part(pairs, 2, 1).antithetic


def test_the_sheet_has_a_panel_for_every_answer_and_the_report_a_line_for_every_check() -> None:
    picture = torch.rand(1, 128, 128, 3)
    widths = []
    for asked in (answers(), answers(paraphrased=OTHER_WORDS), answers(DEAF)):
        checks = sanity.check_all(asked)
        sheet = sanity_sheet(picture, asked, checks, "5 of 5 steps")
        assert sheet.ndim == 4 and len(sheet) == 1 and 0 <= sheet.min() and sheet.max() <= 1
        widths.append(sheet.shape[2])
        lines = sanity.report(checks, asked.first, "5 of 5 steps").split("\n\n")
        assert [line.split(" · ")[0] for line in lines[2:]] == [check.mark for check in checks]
    assert widths[1] > widths[0]
    assert "2 of 4 checks failed" in lines[0]


def test_labels_of_any_text_are_drawn_and_reported_as_text() -> None:
    asked = answers()
    labelled = replace(asked, first=replace(asked.first, target_label="$\\frac{1}{0}$ <b>🦓</b>", contrast_label="حصان" * 200))
    checks = sanity.check_all(labelled)
    assert sanity_sheet(torch.rand(1, 64, 64, 3), labelled, checks, "").shape[3] == 3
    assert "<b>🦓</b>" in sanity.report(checks, labelled.first, "")


# -------------------------------------------------------------------------------------------------------- shuffled weights


@pytest.fixture(scope="module")
def bundled(comfy_host: Path) -> tuple[Any, Any]:
    """MODEL and CLIP of the bundled model."""
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline
    from sdexplain.nodes.host.loading.folders import BUNDLED_FOLDER

    return load_pipeline(BUNDLED_FOLDER, [])[:2]


@pytest.fixture
def model(bundled: tuple[Any, Any]) -> Iterator[ModelPatcher]:
    """The bundled model; afterwards its weights must be what they were, to the last bit."""
    state = bundled[0].model.state_dict()
    before = {name: weight.clone() for name, weight in state.items()}
    yield bundled[0]
    after = bundled[0].model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def asked(model: ModelPatcher, clip: Any, text: str = "a photo of a zebra") -> Tensor:
    from sdexplain.nodes.host.prediction import predict
    from sdexplain.nodes.maths.method.prediction import list_evaluations, predictions_shape

    noised = noised_latents(drawn(1)[None], steps=2)
    predictions = torch.empty(predictions_shape(noised))
    prompt = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    predict(model, noised, prompt, predictions, list_evaluations(noised))
    return predictions


def test_every_tensor_of_the_network_is_permuted_and_comes_back(model: ModelPatcher, bundled: tuple[Any, Any]) -> None:
    from sdexplain.nodes.host.randomised import shuffled_weights

    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    ordinary = asked(model, bundled[1])
    with shuffled_weights(model, 0) as shuffled:
        changed = asked(shuffled, bundled[1])
        now = model.model.state_dict()
        for name, weight in before.items():
            assert torch.equal(weight.flatten().sort()[0], now[name].flatten().sort()[0])
            if name.startswith("diffusion_model.") and weight.unique().numel() > 2:
                assert not torch.equal(weight, now[name]), name
    with shuffled_weights(model, 0) as again, shuffled_weights(model, 1) as other:
        assert torch.equal(asked(again, bundled[1]), changed)
        assert not torch.equal(asked(other, bundled[1]), changed)
    assert not torch.allclose(ordinary, changed, atol=0.1)
    assert torch.equal(asked(model, bundled[1]), ordinary)


def test_patches_of_the_model_are_in_effect_again_afterwards(model: ModelPatcher, bundled: tuple[Any, Any]) -> None:
    from sdexplain.nodes.host.randomised import shuffled_weights, unload

    key = "diffusion_model.out.2.weight"
    patched = model.clone()
    patched.add_patches({key: ("diff", (torch.ones_like(model.model.state_dict()[key]),))})
    ordinary, with_patch = asked(model, bundled[1]), asked(patched, bundled[1])
    assert not torch.equal(ordinary, with_patch)
    with shuffled_weights(patched, 0):
        pass  # never asked: the patched model is what is loaded
    assert torch.equal(asked(patched, bundled[1]), with_patch)
    with shuffled_weights(patched, 0) as shuffled:
        asked(shuffled, bundled[1])
    assert torch.equal(asked(patched, bundled[1]), with_patch)
    unload(patched)


@pytest.mark.parametrize("when", ["loading", "predicting", "cancelled"])
def test_errors_and_cancels_leave_the_model_as_it_was(
    model: ModelPatcher, bundled: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    import comfy.model_management
    from sdexplain.nodes.host import randomised

    ordinary, calls = asked(model, bundled[1]), []
    permute = randomised.Shuffle.calculate_weight

    def fail(self: Any, *arguments: Any, **options: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 50:
            raise RuntimeError("out of luck")
        return permute(self, *arguments, **options)

    def fail_to_predict(*_: Any) -> Tensor:
        raise RuntimeError("out of luck")

    error: type[BaseException] = ValueError
    if when == "loading":
        monkeypatch.setattr(randomised.Shuffle, "calculate_weight", fail)
    with pytest.raises((ValueError, comfy.model_management.InterruptProcessingException)) as raised:
        with randomised.shuffled_weights(model, 0) as shuffled:
            if when == "predicting":
                shuffled.set_model_unet_function_wrapper(fail_to_predict)
            if when == "cancelled":
                error = comfy.model_management.InterruptProcessingException
                comfy.model_management.interrupt_current_processing()
            asked(shuffled, bundled[1])
    assert isinstance(raised.value, error)
    assert torch.equal(asked(model, bundled[1]), ordinary)


# ------------------------------------------------------------------------------------------------------------- in a server


@pytest.fixture
def graph(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    texts = {"zebra": "a photo of a zebra", "horse": "a photo of a horse", "other": "a picture of a zebra"}
    return {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "count": node("ProbeCountCalls", model=["load", 0], file=f"{request.node.name}.txt"),
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        **{name: prompt(text) for name, text in texts.items()},
        "noise": noising("count", 20, samples=2),
        "check": node(
            "SDExplainSanity",
            model=["count", 0],
            noised=["noise", 0],
            target=["zebra", 0],
            contrast=["horse", 0],
            image=["picture", 0],
            steps=4,
            samples=2,
            seed=0,
            target_label="zebra",
            contrast_label="horse",
            target_paraphrase=["other", 0],
        ),
        "passed": node("PreviewAny", source=["check", 2]),
        "report": node("PreviewAny", source=["check", 0]),
    }


def test_the_bundled_model_passes_and_is_really_asked(
    comfyui: Client, comfyui_server: Server, graph: dict[str, dict[str, Any]]
) -> None:
    ran = comfyui.run(graph, timeout=240)
    assert ran.outputs["passed"]["text"] == ["True"]
    report = ran.outputs["report"]["text"][0]
    assert report.count("PASS · ") == 5 and "4 of 20 steps, 2 noise samples, 64 predictions" in report
    counted = (comfyui_server.base / "output" / graph["count"]["inputs"]["file"]).read_text().split()
    again = 8 * 2  # what counts is a patch, and a patched model is asked once more under each prompt
    assert sum(map(int, counted)) == 8 * 4 * 2 + again
    (picture,) = ran.pictures("check")
    assert np.asarray(comfyui.image(picture)).std() > 1


def test_the_same_prompt_for_both_fails_and_bad_sizes_are_refused(comfyui: Client, graph: dict[str, dict[str, Any]]) -> None:
    graph["check"]["inputs"].update(contrast=["zebra", 0], steps=2, samples=1)
    del graph["check"]["inputs"]["target_paraphrase"]
    ran = comfyui.run(graph, timeout=240)
    assert ran.outputs["passed"]["text"] == ["False"]
    report = ran.outputs["report"]["text"][0]
    assert re.search(r"FAIL · Same prompt .*has nothing to explain", report) and "2 of 4 checks failed" in report
    assert "24 predictions" not in report and "12 predictions" in report


def test_every_input_and_output_says_what_it_is(comfyui: Client) -> None:
    info = comfyui.object_info("SDExplainSanity")["SDExplainSanity"]
    inputs = {**info["input"]["required"], **info["input"]["optional"]}
    assert info["description"] and all(len(options[1].get("tooltip", "")) > 20 for options in inputs.values())
    assert all(len(tooltip) > 20 for tooltip in info["output_tooltips"])
