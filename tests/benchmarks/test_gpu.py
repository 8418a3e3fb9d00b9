"""The benchmark for a GPU, without one: every line runs at a tiny size, from one command, and says what it should."""

from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from sdexplain.benchmarks.timing import on_device
from sdexplain.tools import wheels
from sdexplain.tools.environment import HOST_INSIDE_WHEEL, ROOT

pytestmark = pytest.mark.slow  # a ComfyUI of its own and dozens of runs


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    folder = tmp_path_factory.mktemp("gpu")
    command = [sys.executable, str(ROOT / "tools" / "launch.py"), "benchmarks.gpu", "--tiny", "--output", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert found.returncode == 0, found.stdout + found.stderr
    with (folder / "gpu.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_nothing_failed_and_predictions_are_those_of_the_cpu(lines: list[dict[str, str]]) -> None:
    assert [line for line in lines if "failed" in line["note"] or "no time" in line["note"]] == []
    checked = [line for line in lines if line["what"] == "predictions differ from the CPU's by"]
    assert len(checked) == 3 and all(line["note"].endswith("kept") for line in checked)
    assert float(checked[0]["value"]) == 0 < float(checked[-1]["value"]), "bfloat16 does round"


@pytest.mark.parametrize("network", ["SD 1.5, 512 px", "SDXL, 1024 px", "Flux, 1024 px"])
def test_every_network_is_measured_in_every_way(lines: list[dict[str, str]], network: str) -> None:
    values = {line["what"]: float(line["value"]) for line in lines if line["network"] == network and line["value"]}
    for what in ("ours ÷ bare network, best batch", "time to first map", "cancel latency", "ours, 256 cells in a call"):
        assert values[what] > 0
    assert ("ours ÷ generate_mask" in values) == (not network.startswith("Flux"))
    assert values["out of memory, provoked and survived"] >= 1
    (survived,) = [line["note"] for line in lines if line["network"] == network and line["what"].startswith("out of memory")]
    assert float(survived.rpartition(" ")[2]) < 1e-4


def test_a_part_that_fails_is_told_and_one_without_time_ends_the_parts_around_it(tmp_path: Path) -> None:
    report = on_device.Report(tmp_path / "gpu.csv", minutes=1)
    with report.part("net", "float16", "fails"):
        raise RuntimeError("no such kernel")
    with pytest.raises(on_device.TooLateError), report.part("net", "float16", "around"):
        with report.part("net", "float16", "long", least=61):
            pytest.fail("there is no time for it")
    assert [(line[2], line[5]) for line in report.lines] == [
        ("fails", "failed: RuntimeError: no such kernel"),
        ("long", "left out: no time"),
    ]


def test_wheels_are_used_without_being_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COMFYUI_PATH", "")
    with pytest.raises(SystemExit, match="no wheel with ComfyUI"):
        wheels.use(tmp_path)
    with zipfile.ZipFile(tmp_path / "some-1.whl", "w") as archive:
        archive.writestr(HOST_INSIDE_WHEEL + "main.py", "")
        archive.writestr(HOST_INSIDE_WHEEL + "comfy/sd.py", "")
        archive.writestr("sdexplain_carried/__init__.py", "HERE = True")
    site = wheels.use(tmp_path)
    import sdexplain_carried

    assert sdexplain_carried.HERE and sys.path[-1] == str(site)
