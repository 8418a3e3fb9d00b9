"""The benchmark of speed: every way does the same amount of work, and the log and the tables say what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sdexplain.benchmarks.ground_truth.diffedit import as_diffedit
from sdexplain.benchmarks.timing import qualities, report, settling
from sdexplain.benchmarks.timing.networks import BUNDLED, SD15, Network, random_weight
from sdexplain.benchmarks.timing.stopwatch import Log, measure, timed
from sdexplain.benchmarks.timing.work import BARE, LOOP, MASK, OURS, SINGLY, Work
from sdexplain.tools.environment import ROOT
from small_pipeline import small_pipeline

pytestmark = pytest.mark.slow  # networks of diffusers and hundreds of questions

LATENT = (4, 8, 8)


@pytest.fixture(scope="module")
def network() -> Network:
    bare = SimpleNamespace(model=SimpleNamespace(diffusion_model=lambda x, timesteps, context: x))
    edit = as_diffedit(small_pipeline())
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


def test_measuring_one_network_keeps_the_others_rows(tmp_path: Path) -> None:
    for name, seconds in ((BUNDLED, 1.0), (SD15, 3.0), (BUNDLED, 2.0)):
        log = Log(tmp_path / f"log of {name}, {seconds}")
        log.add((name, Work(50), BARE, 0), {"seconds": 1.0, "processor": 1.0, "extra": 10**6})
        ours = {"seconds": seconds, "processor": seconds, "threads": 1, "extra": 10**6, "resident": 10**9}
        parts = {"network": 1, "call": 1, "evaluation": 1, "session": 1, "collection": 1}
        log.add((name, Work(50), OURS, 0), ours | {"parts": parts})
        text = report.write(log, tmp_path)
    assert f"{BUNDLED}, 50 steps × 2 prompts: 2.000 ×" in text and f"{SD15}, 50 steps × 2 prompts: 3.000 ×" in text
    lines = (tmp_path / "speed.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0].strip('"') for line in lines] == ["network", *(name.split(",")[0] for name in (BUNDLED, SD15))]


SHORT_RUNS = """
import json, launch, torch
from sdexplain.benchmarks.timing import graph, settling, true_sizes
from sdexplain.nodes.maths.answers.settled import Stability
graph.start()
rule, found = Stability.settled, []
for name in settling.RUNS:
    network = true_sizes.build(name, true_sizes.tiny(name), torch.float32, torch.device("cpu"))
    runs = settling.Short("settled", 1), settling.Short("settled", 3), settling.Short("exact", 2)
    found.append([run.run(network)["evaluations"] for run in runs] + [settling.most_without_words(network)])
print(json.dumps([found, Stability.settled is rule]))
"""


def test_short_runs_ask_as_often_as_they_say_and_leave_the_rule_as_it_was() -> None:
    """In a process of its own: ComfyUI's executor hides modules of the tests."""
    command = [sys.executable, "-c", SHORT_RUNS]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tools")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found, as_before = json.loads(ran.stdout.splitlines()[-1])
    assert as_before and len(found) == 2
    for few, more, exact, without_words in found:
        assert (few, more, exact) == (4, 12, 16)
        assert without_words == 12, "six levels with a pair of noise"


def test_settled_through_exact_is_what_straight_lines_say(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    for run, evaluations in zip(settling.RUNS[SD15], (4, 24), strict=True):
        log.add((report.SETTLING, SD15, run), {"processor": 3.0 + 2.0 * evaluations, "evaluations": evaluations})
    assert not report.settling(log, 25, 8).rows, "the picture's encoding is missing"
    log.add((report.SETTLING, SD15, settling.ENCODING), {"processor": 10.0})
    log.add((report.SETTLING, SD15, settling.WITHOUT_WORDS), {"exact": 12})
    (row,) = report.settling(log, 25, 8).rows
    assert row[1:4] == ["2.00", "3.00", "10.00"]
    assert row[4:8] == ["25.0 of 160", f"{53 / 323:.3f}", "33.0 of 172", f"{79 / 357:.3f}"]


def test_the_time_to_the_first_map_begins_with_the_run(monkeypatch: pytest.MonkeyPatch, comfy_host: Path) -> None:
    import comfy.utils
    from sdexplain.nodes.host.progressive import Progress

    real, watched_before = Progress.enough, []

    class Shown:
        def run(self, *_: Any, **__: Any) -> None:
            comfy.utils.ProgressBar(2).update_absolute(1, preview=("JPEG", None, 1))

    monkeypatch.setattr(qualities, "Graph", Shown)
    monkeypatch.setattr(qualities, "inputs", lambda *_: {})
    monkeypatch.setattr(
        "sdexplain.benchmarks.timing.stopwatch.gc.collect", lambda: watched_before.append(Progress.enough is real)
    )
    parts = {"model": SimpleNamespace(model=SimpleNamespace(diffusion_model=torch.nn.Identity()))}
    measured = qualities.run("50 steps, 1 sample", "quick", 0, parts)
    assert watched_before == [True], "nothing is watched while memory is cleared before the run"
    assert 0 < measured["first"] <= measured["processor"]
