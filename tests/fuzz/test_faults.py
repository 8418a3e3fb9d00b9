"""What goes wrong in the middle of a run: cancelled, out of memory, a network that breaks, a full disk, files that were cut.

Afterwards the model is as it was, nothing is held that was not held before, no file is half there, and the same run gives
what it would have given if nothing had happened.
"""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sdexplain.nodes.maths.files.archive import pack, read
from sdexplain.tools.client import ComfyUIError, Interrupted, NodeFailed, Run
from sdexplain.tools.environment import ROOT
from sdexplain.tools.graphs import node
from sdexplain.tools.server import Server
from sdexplain.tools.trials import contract
from sdexplain.tools.trials.contract import WordlessClient
from sdexplain.tools.trials.graphs import TESTED, Info, around, free, inputs_of, pack_nodes
from sdexplain.tools.trials.predictions import made_predictions
from sdexplain.tools.workflow_file import Prompt

NETWORKS = {"model": 0, "clip": 1, "vae": 2}
"""Inputs with a network behind them, and which output of the loader and of ProbeFault it is."""
LEAK = 1 << 20
"""Bytes of tensors that may be left after all failures: far less than the smallest network or picture that could be."""
FIXED = ("weights", "patched", "hooks", "options", "training", "loaded_twice", "grad")


def long_nodes(info: Info) -> list[str]:
    return [name for name in pack_nodes(info) if NETWORKS.keys() & {given.name for given in inputs_of(info[name])}]


def demanding(name: str, info: Info, seed: int) -> Prompt:
    """A graph whose predictions nobody has made yet, with the state of model and process at its end."""
    steps = {given.name: 6 for given in inputs_of(info[name]) if given.name == "steps"}
    prompt = around(name, info, steps, steps=6, seed=seed)
    return {number: entry for number, entry in prompt.items() if not number.startswith("keep")}


def reports(ran: Run) -> list[dict[str, Any]]:
    found = [number for number in ran.outputs if number.startswith("report")]
    return [facts for number in sorted(found) for facts in ran.outputs[number]["facts"]]


def state(client: WordlessClient) -> dict[str, Any]:
    """Of the model and the process, with nothing but the model in memory."""
    free(client)
    load = {"load": node("SDExplainLoadDiffusers", folder="bundled model")}
    client.run(load | {"state": node("ProbeState", model=["load", 0])}, timeout=60)
    return client.run(load | {"state": node("ProbeState", model=["load", 0])}, timeout=60).outputs["state"]["facts"][0]


def alike(first: Run, second: Run, bits: bool = True) -> bool:
    """Whether two runs gave the same, to the last bit or to what another way of batching can change."""
    if bits:
        return [facts["digest"] for facts in reports(first)] == [facts["digest"] for facts in reports(second)]
    limits = [[(facts["lowest"], facts["highest"]) for facts in reports(run)] for run in (first, second)]
    return all(a == pytest.approx(b, rel=1e-2, abs=1e-2) for a, b in zip(*limits, strict=True))


def untrue(client: WordlessClient, later: list[tuple[str, Prompt, Run, bool]]) -> list[str]:
    """Which runs after a failure gave another result than ones that share nothing with what was before."""
    free(client)
    named = [(about, ran, client.run(prompt, timeout=120), bits) for about, prompt, ran, bits in later]
    return [f"{about}: the next run gave another result" for about, ran, truth, bits in named if not alike(ran, truth, bits)]


@pytest.mark.usefixtures("unshaken")
def test_cancelling_at_any_moment(client: WordlessClient, info: Info, factor: int, tell: Callable[[str], None]) -> None:
    chance, ends, wrong, before = random.Random(2), Counter[str](), list[str](), state(client)
    names = long_nodes(info)
    lasting: dict[str, float] = {}
    later: list[tuple[str, Prompt, Run, bool]] = []
    for number in range(9 * factor):
        name = names[number % len(names)]
        prompt = demanding(name, info, seed=1000 + number)
        delay = chance.uniform(0, 1.1) * lasting.get(name, 0.5)
        timer = threading.Timer(delay, client._post, ("/interrupt", {}))
        began = time.monotonic()
        timer.start()
        try:
            ended = client.run(prompt, timeout=60)
            lasting[name] = time.monotonic() - began
        except ComfyUIError as error:
            ended = error
        timer.join()
        ends[type(ended).__name__] += 1
        if not isinstance(ended, (Run, Interrupted)):
            wrong.append(f"{name} after {delay:.2f} s: {ended}")
        later.append((f"{name} cancelled after {delay:.2f} s", prompt, client.run(prompt, timeout=120), True))
    wrong += untrue(client, later)
    tell(f"{sum(ends.values())} runs: {dict(ends)}")
    assert not wrong, "\n".join(wrong)
    assert not changed(before, state(client))


@pytest.mark.usefixtures("unshaken")
def test_a_network_that_fails_at_any_call(client: WordlessClient, info: Info, factor: int, tell: Callable[[str], None]) -> None:
    chance, ends, wrong, before = random.Random(3), Counter[str](), list[str](), state(client)
    owners = [(name, given.name) for name in long_nodes(info) for given in inputs_of(info[name]) if given.name in NETWORKS]
    later: list[tuple[str, Prompt, Run, bool]] = []
    for number in range(9 * factor):
        name, owner = owners[number % len(owners)]
        fault, times = chance.choice(["out of memory", "breaks"]), chance.choice([1, 1 << 20])
        prompt = demanding(name, info, seed=5000 + number)
        prompt["fault"] = node(
            "ProbeFault", owner=["load", NETWORKS[owner]], fault=fault, first=chance.choice([0, 0, 1, 3]), times=times
        )
        prompt[TESTED]["inputs"][owner] = ["fault", NETWORKS[owner]]
        ended = contract.outcome(client, prompt, 60)
        ends[f"{type(ended).__name__} ({fault})"] += 1
        about = f"{name}.{owner} {fault} at call {prompt['fault']['inputs']['first']} x {times}"
        if isinstance(ended, NodeFailed):
            wrong += [f"{about}: {complaint}" for complaint in not_said(ended, fault)]
        elif not isinstance(ended, Run):
            wrong.append(f"{about}: {ended}")
        prompt["fault"]["inputs"]["fault"] = ""
        later.append((about, prompt, client.run(prompt, timeout=120), fault == "breaks"))
    wrong += untrue(client, later)
    tell(f"{sum(ends.values())} runs: {dict(ends)}")
    assert not wrong, "\n".join(wrong)
    assert not changed(before, state(client))


def not_said(error: NodeFailed, fault: str) -> list[str]:
    """A failure of the device or of a network is told in its own words, wherever it is told."""
    words = {"out of memory": "memory", "breaks": "broke"}[fault]
    return [] if words in str(error).lower() else [f"does not say that it was {fault}: {error}"]


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = [f"{name} was {before[name]}, is {now[name]}" for name in FIXED if now[name] != before[name]]
    if now["tensor_bytes"] > before["tensor_bytes"] + LEAK:
        found.append(f"{before['tensor_bytes']} bytes of tensors became {now['tensor_bytes']}")
    return found


# ------------------------------------------------------------------------------------------------------------ full disk


@pytest.mark.usefixtures("unshaken")
def test_a_full_disk_leaves_nothing_half_written(client: WordlessClient, besieged: Server, info: Info, factor: int) -> None:
    chance, wrong, failed = random.Random(4), list[str](), 0
    names = ["SDExplainSavePredictions", "SDExplainExplore"]
    for number in range(4 * factor):
        name = names[number % 2]
        prompt = around(name, info, {}, seed=9000 + number)
        client.run({number: entry for number, entry in prompt.items() if number not in reported(prompt)}, timeout=60)
        client.run({"disk": node("ProbeFullDisk", bytes=chance.choice([0, 100, 1000, 5000, 20_000]))}, timeout=60)
        try:
            ended = contract.outcome(client, prompt, 60)
        finally:
            client.run({"disk": node("ProbeFullDisk", bytes=-1)}, timeout=60)
        if isinstance(ended, NodeFailed):
            failed += 1
            told = "No space left" in str(ended) and "Make room on the disk" in str(ended)
            wrong += [] if told else [f"{name}: {ended}"]
        elif not isinstance(ended, Run):
            wrong.append(f"{name}: {ended}")
        wrong += half_written(besieged.base)
        assert isinstance(contract.outcome(client, prompt, 60), Run)
    assert failed
    assert not wrong, "\n".join(wrong)


def reported(prompt: Prompt) -> list[str]:
    """The node that a graph is about, and the reports on it."""
    return [TESTED, *(number for number in prompt if number.startswith("report"))]


def half_written(base: Path) -> list[str]:
    found = [f"left behind: {path}" for folder in ("output", "temp") for path in (base / folder).rglob("*.part")]
    for path in (base / "output").rglob("*.safetensors"):
        read(path)
    for folder in (base / "temp" / "sdexplain").glob("*"):
        found += [] if (folder / "overview.safetensors").is_file() else [f"half there: {folder}"]
    return found


# ------------------------------------------------------------------------------------------------------------ cut files


def test_predictions_cut_at_every_kilobyte_are_refused(tmp_path: Path) -> None:
    content = pack(made_predictions(images=2, height=12, width=12, steps=3))
    file = tmp_path / "cut.safetensors"
    cuts = [*range(0, len(content), 1024), len(content) - 1, 7, 8, 9]
    assert len(cuts) > 40
    for cut in cuts:
        file.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"cut\.safetensors.*(Copy|Choose)"):
            read(file)


def test_predictions_with_a_changed_byte_are_refused(tmp_path: Path) -> None:
    content = pack(made_predictions())
    file, chance = tmp_path / "changed.safetensors", random.Random(5)
    for place in [*range(0, 2000, 50), *(chance.randrange(len(content)) for _ in range(60))]:
        changed_content = bytearray(content)
        changed_content[place] ^= 1 << chance.randrange(8)
        file.write_bytes(bytes(changed_content))
        with pytest.raises(ValueError, match=r"changed\.safetensors"):
            read(file)


@pytest.fixture(scope="module")
def whole(comfy_host: Path) -> Any:
    """What the bundled model's text encoder gives, with none of its files cut."""
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    return encoded(load_pipeline(ROOT / "bundled/model", []))


@pytest.mark.parametrize(
    "file", sorted(path.relative_to(ROOT / "bundled/model").as_posix() for path in (ROOT / "bundled/model").rglob("*.*"))
)
def test_a_pipeline_with_a_cut_file_is_refused(file: str, whole: Any, factor: int, tmp_path: Path) -> None:
    if file.endswith(".md"):
        pytest.skip("a text for people")
    import torch
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    shutil.copytree(ROOT / "bundled/model", tmp_path / "cut", copy_function=link)
    place, content = tmp_path / "cut" / file, (ROOT / "bundled/model" / file).read_bytes()
    chance = random.Random(file)
    head = range(0, min(len(content), 1 << 17), 1024) if len(content) > 4096 else range(0, len(content) - 1, 64)
    cuts = [*head, *(chance.randrange(len(content) - 1) for _ in range(20))]
    place.unlink()
    for cut in chance.sample(cuts, min(len(cuts), 8 * factor)):
        place.write_bytes(content[:cut])
        try:
            pipeline = load_pipeline(tmp_path / "cut", [])
        except ValueError as error:
            names = {Path(file).name, str(Path("cut", file).parent)}
            assert any(name in str(error) for name in names), (cut, str(error))
        else:  # one of the tokenizer's files that nothing is read from
            assert file.startswith("tokenizer/"), cut
            assert torch.equal(encoded(pipeline), whole), cut


def encoded(pipeline: tuple[Any, Any, Any]) -> Any:
    _, clip, _ = pipeline
    return clip.encode_from_tokens_scheduled(clip.tokenize("a photo of a zebra beside 12 sports cars, stripy"))[0][0]


def link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def test_a_cut_pipeline_leaves_no_memory_behind(comfy_host: Path, tmp_path: Path) -> None:
    import gc

    import torch
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    shutil.copytree(ROOT / "bundled/model", tmp_path / "cut", copy_function=link)
    weights = tmp_path / "cut/unet/diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1000])

    def fail() -> int:
        with pytest.raises(ValueError, match="diffusion_pytorch_model"):
            load_pipeline(tmp_path / "cut", [])
        gc.collect()
        return sum(thing.nbytes for thing in gc.get_objects() if type(thing) is torch.Tensor)

    held: Callable[[], int] = fail
    first = held()
    assert all(held() <= first + LEAK for _ in range(5))
