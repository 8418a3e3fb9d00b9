"""Which of the Explorer's files are kept, by bytes and for the run under way, and what it gets while the model is asked."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.prediction import NoisePredictions

pytestmark = pytest.mark.usefixtures("comfy_host")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import folder_paths

    monkeypatch.setattr(folder_paths, "get_temp_directory", lambda: str(tmp_path))
    return tmp_path / "sdexplain"


@contextmanager
def node(prompt: str, name: str) -> Iterator[None]:
    from comfy_execution.utils import CurrentNodeContext

    with CurrentNodeContext(prompt, name):
        yield


def predictions(seed: int) -> NoisePredictions:
    noise = draw_noise((4, 2, 2), seed, 1, 1, per_step=True)
    levels = torch.ones(1), torch.ones(1), torch.ones(4), torch.zeros(4)
    noised = NoisedLatents(torch.zeros(1, 4, 2, 2), noise, *levels)
    return NoisePredictions(noised, noise[:, :, None], noise[:, :, None] + 1, "one", "other")


def publish(prompt: str, name: str, seed: int) -> str:
    """What a node does in a run: the name of its folder."""
    from sdexplain.nodes.host import explorer

    with node(prompt, name):
        return explorer.publish(predictions(seed), torch.zeros(1, 16, 16, 3))


def kept(folder: Path) -> set[str]:
    return {f"sdexplain/{entry.name}" for entry in folder.iterdir()}


def make_room(prompt: str) -> int:
    from sdexplain.nodes.host import explorer

    with node(prompt, "last"):
        return explorer.make_room()["removed"]


def age(folder: Path, *names: str) -> None:
    """Make folders older, the first one oldest: file times are coarse on some systems."""
    import os

    for seconds, name in enumerate(names):
        os.utime(folder.parent / name, (seconds, seconds))


def test_many_explorers_keep_their_data_within_the_limit(folder: Path) -> None:
    written = {publish("run", str(number), number) for number in range(12)}
    assert make_room("run") == 0 and kept(folder) == written and len(written) == 12


def test_beyond_the_limit_the_oldest_go_and_never_those_of_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdexplain.nodes.host import explorer

    before = [publish(f"run {number}", "1", number) for number in range(3)]
    age(folder, *before)
    size = sum(file.stat().st_size for file in (folder.parent / before[0]).iterdir())
    now = [publish("now", str(number), 10 + number) for number in range(3)]
    monkeypatch.setattr(explorer, "MOST_BYTES", int(4.5 * size))
    assert make_room("now") == 2 and kept(folder) == {before[2], *now}
    monkeypatch.setattr(explorer, "MOST_BYTES", 0)
    assert make_room("now") == 1 and kept(folder) == set(now)
    assert make_room("next") == 3


def test_what_a_run_has_cached_is_in_use_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdexplain.nodes.host import explorer

    cached = publish("first", "cached", 1)
    with node("second", "cached"):
        explorer.vanished()
    other = publish("second", "other", 2)
    monkeypatch.setattr(explorer, "MOST_BYTES", 0)
    assert make_room("second") == 0 and kept(folder) == {cached, other}


def test_only_the_node_whose_data_are_gone_runs_again(folder: Path) -> None:
    import shutil

    from sdexplain.nodes.host import explorer

    def fingerprints() -> list[int]:
        found = []
        for name in ("mine", "other"):
            with node("again", name):
                found.append(explorer.vanished())
        return found

    lost = publish("run", "mine", 1)
    publish("run", "other", 2)
    before = fingerprints()
    shutil.rmtree(folder.parent / lost)
    after = fingerprints()
    assert after[0] == before[0] + 1 and after[1] == before[1] and fingerprints() == after


# ------------------------------------------------------------------------------------------------- a run that is under way


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a page is told that is open."""
    events: list[dict[str, Any]] = []
    server = SimpleNamespace(client_id="page", send_sync=lambda event, data, client: events.append(data))
    stand_in = SimpleNamespace(instance=server)
    with monkeypatch.context() as importing:  # ComfyUI's own needs a whole ComfyUI around it
        importing.setitem(sys.modules, "server", SimpleNamespace(PromptServer=stand_in))
        live = importlib.import_module("sdexplain.nodes.host.live")
    monkeypatch.setattr(live, "PromptServer", stand_in)
    return events


def wait(prompt: str, name: str, size: int = 16) -> None:
    from sdexplain.nodes.host import live

    with node(prompt, name):
        live.wait(torch.zeros(1, size, size, 3), "evidence", {"workflow": {"id": "mine"}})


def tell(prompt: str, source: str) -> None:
    from comfy_execution.graph import DynamicPrompt
    from sdexplain.nodes.host.live import Followers
    from sdexplain.nodes.maths.answers.settled import stability

    explorers = {"5": "3", "6": "4", "7": "3", "8": "9"}  # each linked to the node that predicts for it
    graph = DynamicPrompt(
        {name: {"class_type": "SDExplainExplore", "inputs": {"predictions": [node, 0]}} for name, node in explorers.items()}
    )
    graph.add_ephemeral_node("9.0.0.predict", {}, "9", "9")
    with node(prompt, source):
        known = predictions(1)
        Followers.of(graph, source).tell(known, stability(known), 2, 8)


def test_only_an_explorer_that_waits_for_a_nodes_answers_follows_it(told: list[dict[str, Any]]) -> None:
    for name in ("5", "6", "8"):
        wait("run", name)
    tell("run", "3")
    tell("run", "9.0.0.predict")  # what Explain Image expands into
    tell("other run", "3")
    assert [event["node"] for event in told] == ["5", "8"]
    assert told[0]["workflow"] == "mine"
    assert told[0]["place"]["live"] == {"done": 2, "wanted": 8, "agreement": None, "reading": "evidence"}


def test_it_gets_one_reading_and_the_last_two_of_its_parts_stay(folder: Path, told: list[dict[str, Any]]) -> None:
    wait("run", "5")
    for _ in range(3):
        tell("run", "3")
    parts = [event["place"]["subfolder"] for event in told]
    assert kept(folder) == set(parts[1:]) and len(set(parts)) == 3
    files = {file.name for file in (folder.parent / parts[2]).iterdir()}
    assert files == {"overview.safetensors", "photo-0.png", "evidence-0.safetensors"}
    wait("next", "5")
    assert kept(folder) == set()


def test_a_picture_that_does_not_fit_stops_nothing_and_shows_nothing(told: list[dict[str, Any]]) -> None:
    wait("run", "5", size=1)
    tell("run", "3")
    assert told == []
