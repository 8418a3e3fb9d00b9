"""Asked without words too, verdict, table and legend say which of four cases a picture is; on a real ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sdexplain.tools.graphs import node, noising, prompt, zebra_against_horse

if TYPE_CHECKING:
    from sdexplain.tools.client import Client, Run

STEPS = 10  # three of them are where familiarity is measured
NEITHER = "Neither “zebra” nor “horse” describes this picture better than no words at all."
TARGET = "“zebra” describes this picture best; “horse” describes it worse than no words at all."
RIVALS = {
    "labels": "zebra\nhorse",
    "template": "a photo of a {}",
    "target": "",
    "contrast": "",
    "stop_early": True,
    "confidence": 0.99,
    "reading": "evidence",
    "weighting": "information",
    "colour_map": "automatic",
    "percentile": 99.5,
    "opacity": 0.8,
    "background": "grey",
    "interpolation": "smooth",
}


@pytest.fixture(scope="module")
def asked(comfyui: Client) -> Run:
    """A drawn zebra and a drawn taxi as a batch, both asked about zebra and horse."""
    model = {"model": ["load", 0], "clip": ["load", 1]}
    verdict = {"predictions": ["predict", 0], "start": 0, "end": -1, "temperature": 1.0}
    return comfyui.run(
        {
            "zebra picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
            "taxi picture": node("SDExplainExamplePicture", class_name="taxi", seed=1_000_010, size=256),
            "both": node("ImageBatch", image1=["zebra picture", 0], image2=["taxi picture", 0]),
            "load": node("SDExplainLoadDiffusers", folder="bundled model"),
            "encode": node("VAEEncode", pixels=["both", 0], vae=["load", 2]),
            "noise": noising("load", STEPS, samples=2, antithetic=True),
            "empty": prompt(""),
            **zebra_against_horse("load", no_words=["empty", 0]),
            "plain": node("SDExplainVerdict", **verdict),
            "save": node("SDExplainSavePredictions", predictions=["predict", 0], filename_prefix="fits", precision="float16"),
            "again": node("SDExplainVerdict", **verdict, **model, ask_no_words=True),
            "rivals": node("SDExplainRivals", **model, noised=["noise", 0], image=["both", 0], **RIVALS, ask_no_words=True),
        },
        timeout=400,
    )


@pytest.mark.parametrize("name", ["plain", "again"])
def test_a_verdict_says_that_neither_label_fits_and_prefers_none(asked: Run, name: str) -> None:
    """From predictions that were compared with no words, and by its own switch."""
    zebra, taxi = (line for line in asked.outputs[name]["text"][0].splitlines() if line.startswith("Image "))
    assert "The model prefers “zebra” by" in zebra and TARGET in zebra
    assert "No label is preferred, because neither describes this picture better than no words at all" in taxi
    assert NEITHER in taxi and "The model knows such pictures" in taxi


def test_a_table_has_each_label_against_no_words(asked: Run) -> None:
    zebra, taxi = asked.outputs["rivals"]["text"][0].split("Image 2: ")
    assert "he model prefers “zebra”" in zebra and "±" in zebra and "against no words" in zebra
    assert taxi.startswith("none of the labels describes this picture better than no words at all")
    assert "winner" not in taxi.split("\n\n")[1] and "ahead" in taxi.split("\n\n")[1]


def test_what_was_asked_without_words_is_not_asked_again(asked: Run, comfyui: Client) -> None:
    """The verdict's own switch, and the table's, found all that the empty prompt gave before."""
    assert asked.outputs["again"]["text"][0] == asked.outputs["plain"]["text"][0]


def test_a_saved_file_says_which_words_fit(asked: Run, comfyui: Client) -> None:
    load = node("SDExplainLoadPredictions", file=asked.outputs["save"]["text"][0].rpartition(", ")[0])
    ran = comfyui.run({"load": load, "about": node("PreviewAny", source=["load", 2])})
    zebra, taxi = (part for part in ran.outputs["about"]["text"][0].split("\n\n") if part.startswith("Image "))
    assert TARGET in zebra and NEITHER in taxi


def test_explain_image_asks_without_words_unless_it_is_switched_off(comfyui: Client) -> None:
    links = {"model": ["load", 0], "clip": ["load", 1], "vae": ["load", 2], "image": ["picture", 0]}
    settings = {name: RIVALS[name] for name in ("reading", "weighting", "colour_map", "percentile", "opacity", "background")}
    prompts = {"target_prompt": "a photo of a zebra", "contrast_prompt": "a photo of a horse"}
    labels = {"target_label": "", "contrast_label": "", "interpolation": "smooth", "legend": True}
    few = {"steps": STEPS, "samples": 2, "seed": 0, "start": 0, "end": -1}
    graph = {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "picture": node("SDExplainExamplePicture", class_name="taxi", seed=1_000_010, size=256),
        "on": node("SDExplainExplain", **links, **settings, **prompts, **labels, **few),
        "off": node("SDExplainExplain", **links, **settings, **prompts, **labels, **few, ask_no_words=False),
    }
    ran = comfyui.run(
        graph | {f"text {name}": node("PreviewAny", source=[name, 5]) for name in ("on", "off")},
        timeout=300,
    )
    assert NEITHER in " ".join(ran.outputs["text on"]["text"])
    assert "no words" not in " ".join(ran.outputs["text off"]["text"])


def test_the_switch_without_a_model_says_what_is_missing(comfyui: Client) -> None:
    from sdexplain.tools.client import NodeFailed

    graph = {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=64),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        "noise": noising("load", 2),
        **zebra_against_horse("load"),
        "verdict": node("SDExplainVerdict", predictions=["predict", 0], start=0, end=-1, temperature=1.0, ask_no_words=True),
    }
    with pytest.raises(NodeFailed, match="ask_no_words is on and the MODEL is missing"):
        comfyui.run(graph)
