"""The benchmark of speed: every way does the same amount of work, and the log and the tables say what was measured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from sdexplain.benchmarks.ground_truth.diffedit import as_diffedit
from sdexplain.benchmarks.timing import report
from sdexplain.benchmarks.timing.networks import BUNDLED, Network, random_weight
from sdexplain.benchmarks.timing.stopwatch import Log, measure, timed
from sdexplain.benchmarks.timing.work import BARE, LOOP, MASK, OURS, SINGLY, Work
from sdexplain.training import architecture
from sdexplain.training.tokenizer import build_tokenizer

pytestmark = pytest.mark.slow  # networks of diffusers and hundreds of questions

LATENT = (4, 8, 8)


@pytest.fixture(scope="module")
def network() -> Network:
    tokenizer = build_tokenizer()
    pipeline = architecture.build_pipeline(
        vae=architecture.build_vae((8, 16), groups=4, scaling_factor=0.7),
        unet=architecture.build_unet((16, 32), heads=2, groups=8, text_width=32),
        text_encoder=architecture.build_text_encoder(tokenizer, width=32, heads=2),
        tokenizer=tokenizer,
        scheduler=architecture.build_scheduler("epsilon"),
    )
    bare = SimpleNamespace(model=SimpleNamespace(diffusion_model=lambda x, timesteps, context: x))
    edit = as_diffedit(pipeline)
    edit.set_progress_bar_config(disable=True)
    return Network("tiny", bare, [torch.randn(1, 77, 32) for _ in range(3)], LATENT, edit)


@pytest.mark.parametrize("work", [Work(4), Work(4, images=3), Work(2, samples=4), Work(6, images=2, samples=2)], ids=str)
@pytest.mark.parametrize("variant", [BARE, SINGLY, MASK, LOOP])
def test_every_way_asks_as_often(network: Network, monkeypatch: pytest.MonkeyPatch, work: Work, variant: str) -> None:
    asked = []
    monkeypatch.setattr(network.model.model, "diffusion_model", lambda x, timesteps, context: asked.append(len(x)))
    hook = network.diffedit.unet.register_forward_hook(lambda unet, arguments, output: asked.append(len(output.sample)))
    measured = work.run(variant, network, batch=8)
    hook.remove()
    assert sum(asked) == work.evaluations == 2 * work.steps * work.images * work.samples
    assert measured["seconds"] > 0
    if variant == SINGLY:
        assert asked == [work.images] * (2 * work.steps * work.samples)


def test_random_weights_keep_the_size_of_what_goes_in() -> None:
    layer = random_weight("conv.weight", torch.Size((64, 32, 3, 3))).float()
    assert torch.nn.functional.conv2d(torch.randn(4, 32, 16, 16), layer).std().item() == pytest.approx(1, abs=0.1)
    assert random_weight("norm.weight", torch.Size((8,))).eq(1).all() and not random_weight("norm.bias", torch.Size((8,))).any()


def test_memory_is_the_peak_on_top_of_what_was_there() -> None:
    held = torch.ones(8_000_000)
    found = measure(lambda: torch.ones(16_000_000).add_(held[:1]).sum())
    if found["extra"] is None:
        pytest.skip("this system does not tell")
    assert 60e6 < found["extra"] < 100e6


def test_a_watched_function_is_itself_again(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, times = SimpleNamespace(work=lambda count: count + 1), {}
    real, module = owner.work, torch.nn.Identity()
    with timed(times, "work", owner, "work"), timed(times, "forward", module, "forward"):
        assert owner.work(1) == 2 and module(3) == 3
    assert owner.work is real and "forward" not in vars(module) and times["work"] > 0 and times["forward"] > 0


def test_a_stopped_run_goes_on_and_other_code_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = (BUNDLED, Work(10), OURS, 0)
    Log(tmp_path / "log").add(key, {"seconds": 1.0})
    assert Log(tmp_path / "log").get(key) == {"seconds": 1.0} and not Log(tmp_path / "log").has((BUNDLED, Work(10), OURS, 1))
    monkeypatch.setattr("sdexplain.benchmarks.timing.stopwatch.fingerprint", lambda: "other")
    assert not Log(tmp_path / "log").has(key)


def test_ratios_are_taken_within_a_round_and_the_goals_are_judged_by_their_median(tmp_path: Path) -> None:
    log, parts = Log(tmp_path / "log"), {"network": 1, "call": 2, "evaluation": 3, "session": 4, "collection": 5}
    for number, (ours, bare, mask) in enumerate([(10, 10, 20), (30, 25, 20), (20, 20, 20)]):
        for variant, seconds in ((OURS, ours), (BARE, bare), (MASK, mask)):
            value = {"seconds": seconds, "processor": seconds, "threads": 1, "extra": 5_000_000, "resident": 10**9}
            log.add((BUNDLED, Work(50), variant, number), value | ({"parts": parts} if variant == OURS else {}))
    text = report.write(log, tmp_path)
    assert "1.000 × bare network, best batch; goal ≤ 1.05: met" in text
    assert "1.000 × diffusers' generate_mask; goal ≤ 1.00: met" in text
    assert "1.000 [1.000, 1.200]" in text and "1.000 [0.500, 1.500]" in text
    shares = [row[-1] for row in report.profile(log).rows]
    assert shares == ["5.00"] * 5 + ["75.00"]
    assert {file.name for file in tmp_path.iterdir()} >= {
        "speed.md",
        "speed.csv",
        "speed_memory.csv",
        "speed_profile.csv",
        "speed.png",
    }
