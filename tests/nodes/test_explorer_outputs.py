"""The explorer's outputs on a real server: those of Sum Noise Difference and Heatmap Overlay, bit for bit, and its files."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sdexplain.tools.graphs import Node, node, noising, zebra_against_horse

if TYPE_CHECKING:
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

READINGS = [
    ("evidence", "channel norm"),
    ("information", "channel norm"),
    ("absolute", "channel norm"),
    ("difference", "channel norm"),
]
READINGS += [("difference", "channel mean")]
LOOKS = [  # sign, colour map, opacity, background, interpolation, percentile, scale, reliability, threshold
    ("both", "automatic", 0.8, "photo", "smooth", 99.5, 0.0, "all", 3.0),
    ("both", "automatic", 0.35, "grey", "cells", 90.0, 0.0, "reliable only", 1.5),
    ("positive", "automatic", 1.0, "photo", "cells", 100.0, 0.02, "standard errors", 2.0),
]
LOOK = ("sign", "colour_map", "opacity", "background", "interpolation", "percentile", "scale", "reliability", "threshold")
RANGES = [(0, -1, "information"), (1, 3, "uniform")]
OUTPUTS = ("overlay", "heatmap", "mask_for", "mask_against", "latent")


def graph(steps: int = 4, samples: int = 4) -> dict[str, Node]:
    """A batch of a zebra and its twin, predicted under both prompts."""
    batch = node("ImageBatch", image1=["picture", 0], image2=["picture", 1])
    return {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
        "batch": batch,
        "encode": node("VAEEncode", pixels=["batch", 0], vae=["load", 2]),
        "noise": noising("load", steps, samples=samples),
        **zebra_against_horse("load"),
    }


def explore(**changes: Any) -> Node:
    settings = dict(zip(LOOK, LOOKS[0], strict=True)) | {"start": 0, "end": -1, "reading": "evidence", "weighting": "information"}
    settings |= {"scalar": "channel norm", "view": "overlay", "sample": 0, "shown_image": 1, "selection": ""}
    return node("SDExplainExplore", **{"image": ["batch", 0], "predictions": ["predict", 0]} | settings | changes)


def digests(client: Client, prompt: dict[str, Node], outputs: dict[str, tuple[str, int]]) -> dict[str, str]:
    reports = {f"report {name}": node("ProbeReport", value=list(link), name=name) for name, link in outputs.items()}
    run = client.run(prompt | reports)
    return {name: run.outputs[f"report {name}"]["facts"][0]["digest"] for name in outputs}


def test_outputs_are_those_of_sum_and_heatmap_bit_for_bit(comfyui: Client) -> None:
    prompt, wanted = graph(), {}
    asked = list(itertools.product(READINGS, RANGES))
    for place, ((reading, scalar), (start, end, weighting)) in enumerate(asked):  # so every look meets every range
        settings = dict(zip(LOOK, LOOKS[place % len(LOOKS)], strict=True))
        steps = {"start": start, "end": end, "reading": reading, "weighting": weighting}
        prompt[f"explore {place}"] = explore(**settings, **steps, scalar=scalar)
        latents = {"latent_direction": "target - contrast", "latent_base": "difference alone", "latent_strength": 1.0}
        prompt[f"sum {place}"] = node("SDExplainSumDifference", predictions=["predict", 0], **steps, **latents)
        difference = {"image": ["batch", 0], "difference": [f"sum {place}", 0], "scalar": scalar}
        prompt[f"heat {place}"] = node("SDExplainHeatmap", **difference, **settings, shared_scale=False, legend=True)
        for output, name in enumerate(OUTPUTS):
            wanted[f"{place} {name} explored"] = (f"explore {place}", output)
            wanted[f"{place} {name} summed"] = (f"heat {place}", output) if name != "latent" else (f"sum {place}", 1)
    found = digests(comfyui, prompt, wanted)
    differing = [
        name for name in wanted if name.endswith("explored") and found[name] != found[name.replace("explored", "summed")]
    ]
    assert differing == []
    assert len({found[name] for name in wanted if "overlay" in name}) == len(asked)


def place_of(server: Server, run: Any, number: str = "explore") -> tuple[Path, list[str]]:
    (told,) = run.outputs[number]["sdexplain"]
    return server.base / "temp" / told["subfolder"], told["decoded"]


def test_with_a_vae_the_page_gets_what_it_decodes_at_each_range_that_ran(comfyui: Client, comfyui_server: Server) -> None:
    from PIL import Image

    prompt = graph()
    prompt |= {"explore": explore(vae=["load", 2], start=1), "decode": node("VAEDecode", samples=["explore", 4], vae=["load", 2])}
    prompt["show"] = node("PreviewImage", images=["decode", 0])
    run = comfyui.run(prompt)
    folder, names = place_of(comfyui_server, run)
    assert names == ["1-4-information-0"]
    for image, picture in enumerate(run.pictures("show")):
        kept = np.asarray(Image.open(folder / f"decoded-{names[0]}-{image}.png"), dtype=int)
        shown = np.asarray(comfyui.image(picture).convert("RGB"), dtype=int)
        assert np.abs(kept - shown).max() <= 1  # one rounds, the other cuts
    prompt["explore"] = explore(vae=["load", 2], start=1, end=2)
    again, names = place_of(comfyui_server, comfyui.run(prompt))
    assert again == folder and names == ["1-2-information-0", "1-4-information-0"]
    prompt["explore"] = explore()
    without, names = place_of(comfyui_server, comfyui.run(prompt))
    assert without != folder and names == []


def test_files_that_are_gone_are_written_anew_although_nothing_changed(comfyui: Client, comfyui_server: Server) -> None:
    prompt = graph() | {"explore": explore()}
    folder, _ = place_of(comfyui_server, comfyui.run(prompt))
    written = {file.name for file in folder.iterdir()}
    assert {"overview.safetensors", "photo-0.png", "photo-1.png", "evidence-1.safetensors"} <= written
    assert "explore" not in comfyui.run(prompt).ran
    shutil.rmtree(folder)
    comfyui.run(prompt)
    assert {file.name for file in folder.iterdir()} == written


def test_a_workflow_of_more_than_eight_explorers_has_data_in_all_and_none_runs_again(
    comfyui: Client, comfyui_server: Server
) -> None:
    prompt = graph(steps=1, samples=1)
    for seed in range(9):
        prompt[f"noise {seed}"] = prompt["noise"] | {"inputs": prompt["noise"]["inputs"] | {"seed": seed}}
        asked = prompt["predict"]["inputs"] | {"noised": [f"noise {seed}", 0]}
        prompt[f"predict {seed}"] = prompt["predict"] | {"inputs": asked}
        prompt[f"explore {seed}"] = explore(predictions=[f"predict {seed}", 0])
    run = comfyui.run(prompt)
    folders = {place_of(comfyui_server, run, f"explore {seed}")[0] for seed in range(9)}
    assert len(folders) == 9 and all((folder / "overview.safetensors").is_file() for folder in folders)
    assert not any(entry.suffix == ".part" for entry in next(iter(folders)).parent.iterdir())
    assert not [name for name in comfyui.run(prompt).ran if name.startswith("explore")]


def test_a_second_answer_has_files_of_its_own_and_changes_no_output(comfyui: Client, comfyui_server: Server) -> None:
    prompt = graph()
    prompt["other"] = prompt["predict"] | {"inputs": prompt["predict"]["inputs"] | {"target_label": "other"}}
    prompt["explore"] = explore()
    prompt["both"] = explore(second_predictions=["other", 0], second_image=["picture", 0], contour=0.5, paper="dark")
    found = digests(comfyui, prompt, {f"{name} {output}": (name, output) for name in ("explore", "both") for output in range(5)})
    assert [found[f"explore {output}"] for output in range(5)] == [found[f"both {output}"] for output in range(5)]
    run = comfyui.run(prompt)
    (told,) = run.outputs["both"]["sdexplain"]
    second = comfyui_server.base / "temp" / told["second"]
    assert told["second"] != told["subfolder"] and (second / "overview.safetensors").is_file()


def test_a_sample_that_is_not_there_and_a_range_past_the_schedule_are_refused_in_words(comfyui: Client) -> None:
    from sdexplain.tools.client import NodeFailed

    for changes, words in (({"sample": 5}, "no noise sample 5"), ({"start": 7}, "goes past the schedule")):
        with pytest.raises(NodeFailed, match=words):
            comfyui.run(graph() | {"explore": explore(**changes)})
