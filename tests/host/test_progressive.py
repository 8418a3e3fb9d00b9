"""Answers that sharpen: what is asked when, where it stops by itself, what is shown, and what a later run still asks for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import families
import pytest
import torch
from families import FAMILIES
from sdexplain.nodes.maths.method.noising import NoisedLatents
from sdexplain.nodes.maths.method.order import asking_order
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from watching import watch_calls

pytestmark = pytest.mark.usefixtures("comfy_host")

SD = FAMILIES[0]
LABELS = ("zebra", "horse")


@pytest.fixture
def model(comfy_host: Path) -> Any:
    return families.build(SD)


def noise(model: Any, steps: int = 10, samples: int = 4, images: int = 1, kind: str = "fresh per step") -> NoisedLatents:
    from sdexplain.nodes.noising import NoiseLatent

    latents = torch.randn(images, *SD.latent, generator=torch.Generator().manual_seed(9))
    return NoiseLatent.execute(model, {"samples": latents}, steps, "normal", 0, samples, kind).result[0]


def run(model: Any, noised: NoisedLatents, quality: str, node: str = "1", **options: Any) -> tuple[NoisePredictions, Any, Any]:
    from sdexplain.nodes.host import kept
    from sdexplain.nodes.host.progressive import Progress

    progress = Progress(noised, LABELS, quality, **options)
    prompts = families.conditioning(SD, 1), families.conditioning(SD, 2)
    *arrays, effort = kept.collect(model, noised, *prompts, node, "float32", progress)
    return progress.part(NoisePredictions(noised, *arrays, *LABELS)), effort, progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """What the progress bar was told, and the picture that it was given."""
    import comfy.utils

    told: list[tuple[int, Any]] = []
    hook = lambda value, total, preview, **where: told.append((value, preview))
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", hook)
    for limit in ("INTERVAL", "PERCENT"):  # newer hosts pass on only a part of what they are told
        monkeypatch.setattr(comfy.utils, f"PROGRESS_THROTTLE_MIN_{limit}", 0, raising=False)
    return told


def settle_after(monkeypatch: pytest.MonkeyPatch, steps: int | None) -> None:
    from sdexplain.nodes.maths.answers.settled import Stability

    monkeypatch.setattr(Stability, "settled", property(lambda found: steps is not None and found.steps >= steps))


def test_quick_asks_for_twelve_evaluations(model: Any) -> None:
    part, effort, progress = run(model, noise(model), "quick")
    assert effort.predicted == 12 and part.noised.samples == 2
    assert part.noised.asked_steps == sorted(asking_order(10)[:3])
    assert "3 of 10 steps" in progress.words() and "exact" in progress.words()


def test_exact_is_everything_as_without_a_plan(model: Any) -> None:
    from sdexplain.nodes.host import kept

    noised = noise(model)
    part, effort, progress = run(model, noised, "exact")
    assert part.noised.asked is None and part.noised.samples == 4 and effort.predicted == 80 and not progress.words()
    other = families.build(SD)
    prompts = families.conditioning(SD, 1), families.conditioning(SD, 2)
    target, contrast, _ = kept.collect(other, noised, *prompts, "1", "float32")
    torch.testing.assert_close(part.target, target, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(part.contrast, contrast, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("stop", [4, 7, 10])
def test_settled_stops_where_it_has_settled(model: Any, monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    settle_after(monkeypatch, stop)
    part, effort, progress = run(model, noise(model), "settled")
    assert effort.predicted == 4 * stop
    assert part.noised.asked_steps == sorted(asking_order(10)[:stop])
    assert "More would hardly change the map" in progress.words()


def test_settled_has_a_limit(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_after(monkeypatch, None)
    part, effort, progress = run(model, noise(model), "settled")
    assert effort.predicted == 40 and part.noised.asked is None and part.noised.samples == 2
    assert "That is the most that settled asks for" in progress.words()


def test_steps_that_share_one_noise_never_count_as_settled(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_after(monkeypatch, 2)
    assert run(model, noise(model, kind="same at every step"), "settled")[1].predicted == 40


def test_more_later_asks_only_for_what_is_new(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_after(monkeypatch, 5)
    noised = noise(model)
    asked = [run(model, noised, quality)[1].predicted for quality in ("quick", "settled", "exact", "settled", "quick")]
    assert asked == [12, 8, 60, 0, 0]


def test_an_answer_does_not_depend_on_what_was_known(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_after(monkeypatch, 6)
    noised = noise(model)
    first = run(model, noised, "settled")[0]
    run(model, noised, "exact")
    again = run(model, noised, "settled")[0]
    assert again.noised.asked == first.noised.asked
    asked = first.noised.asked_steps
    assert torch.equal(again.target[:, asked], first.target[:, asked])


def test_more_steps_find_those_that_are_there(model: Any) -> None:
    first = noise(model, steps=4, samples=1)
    run(model, first, "exact")
    more = NoisedLatents(
        first.x0,
        torch.cat([first.noise, torch.randn(1, 2, *SD.latent)], dim=1),
        torch.cat([first.sigmas, first.sigmas[-1:] * torch.tensor([0.9, 0.8])]),
        torch.ones(6),
        first.latent_scale,
        first.latent_shift,
        first.downscale,
    )
    assert run(model, more, "exact", "2")[1].predicted == 4


def test_the_first_map_comes_after_one_noised_latent(model: Any, shown: list[tuple[int, Any]]) -> None:
    run(model, noise(model), "exact")
    first = next(value for value, preview in shown if preview is not None)
    assert first == 2  # one under each prompt


def test_the_bar_is_full_where_it_stops(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.utils

    told: list[tuple[int, int]] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **where: told.append((value, total)))
    run(model, noise(model), "quick")
    assert told[-1] == (12, 12)


def test_prompts_go_side_by_side(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch_calls(monkeypatch)
    run(model, noise(model), "quick")
    assert [len(call) for call in calls] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert all(calls[place] == calls[place + 1] for place in range(0, 8, 2))


def test_a_cancelled_run_goes_on_where_it_was(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    import comfy.utils

    update = comfy.utils.ProgressBar.update

    def cancel(bar: comfy.utils.ProgressBar, count: int) -> None:  # newer ComfyUIs leave out what comes soon after another
        update(bar, count)
        if bar.current >= 16:
            comfy.model_management.interrupt_current_processing()

    noised = noise(model)
    monkeypatch.setattr(comfy.utils.ProgressBar, "update", cancel)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(model, noised, "exact")
    monkeypatch.undo()
    part, effort, _ = run(model, noised, "exact")
    assert effort.predicted == 80 - 16
    whole = run(families.build(SD), noised, "exact")[0]
    torch.testing.assert_close(part.target, whole.target, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("telling", [0.0, 0.3])
def test_showing_takes_no_more_than_its_share(
    model: Any, shown: list[tuple[int, Any]], monkeypatch: pytest.MonkeyPatch, telling: float
) -> None:
    """A clock on which a model call takes 1 s, a picture 0.1 s, and to tell an Explorer that follows the run 0.3 s."""
    from sdexplain.nodes.host import progressive

    now, told = [0.0], []
    drawn = progressive.preview

    def slow(*arguments: Any) -> Any:
        now[0] += 0.1
        return drawn(*arguments)

    def tell(known: NoisePredictions, found: Any, done: int, wanted: int) -> None:
        now[0] += telling
        assert known.unseen == "Never shown."  # an Explorer that follows says it as well
        told.append((len(known.noised.asked_steps), done, wanted))

    monkeypatch.setattr(progressive, "preview", slow)
    enough = progressive.Progress.enough

    def called(self: Any, *arguments: Any) -> bool:
        now[0] += 1
        return enough(self, *arguments)

    monkeypatch.setattr(progressive.Progress, "enough", called)
    settle_after(monkeypatch, None)
    followers = SimpleNamespace(explorers={"5": None} if telling else {}, tell=tell)
    options = {"followers": followers, "about": {"unseen": "Never shown."}, "clock": lambda: now[0]}
    run(model, noise(model, steps=40, samples=2), "settled", **options)
    spent = 0.1 * sum(preview is not None for _, preview in shown) + telling * len(told)
    assert 0.5 * 0.03 * now[0] <= spent <= 0.1 + telling + 0.03 * now[0]
    assert bool(told) == bool(telling)
    assert not told or told.pop(0) == (1, 2, 160)  # one noised latent, under both prompts
    assert all(done == 4 * steps and wanted == 160 for steps, done, wanted in told)  # then pairs of them


def test_what_is_shown_is_a_picture_of_the_map(model: Any, shown: list[tuple[int, Any]]) -> None:
    run(model, noise(model), "quick")
    kind, picture, size = next(preview for _, preview in shown if preview is not None)
    assert kind == "JPEG" and picture.mode == "RGB" and max(picture.size) <= 2 * size


def test_other_qualities_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match=r"'best'; expected one of quick, settled, exact"):
        run(model, noise(model), "best")
