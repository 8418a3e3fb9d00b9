"""Of a picture that the bundled model does not know nothing is called preferred, wherever it is asked; of its own it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sdexplain.tools.graphs import node, noising, prompt, rivals, zebra_against_horse

if TYPE_CHECKING:
    from sdexplain.tools.client import Client, Run

STEPS = 10  # three of them are where familiarity is measured


def ask(comfyui: Client) -> Run:
    """A drawn zebra and a plain grey picture, as a batch, up to the verdict and a saved file's description."""
    return comfyui.run(
        {
            "zebra picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=256),
            "grey picture": node("EmptyImage", width=256, height=256, batch_size=1, color=0x808080),
            "both": node("ImageBatch", image1=["zebra picture", 0], image2=["grey picture", 0]),
            "load": node("SDExplainLoadDiffusers", folder="bundled model"),
            "encode": node("VAEEncode", pixels=["both", 0], vae=["load", 2]),
            "noise": noising("load", STEPS, samples=2, antithetic=False),
            **zebra_against_horse("load"),
            "verdict": node("SDExplainVerdict", predictions=["predict", 0], start=0, end=-1, temperature=1.0),
            "save": node("SDExplainSavePredictions", predictions=["predict", 0], filename_prefix="known", precision="float16"),
        },
        timeout=300,
    )


@pytest.fixture(scope="module")
def asked(comfyui: Client) -> Run:
    return ask(comfyui)


def test_a_drawn_zebra_is_known_and_preferred_and_a_grey_picture_is_not(asked: Run) -> None:
    zebra, grey = (line for line in asked.outputs["verdict"]["text"][0].splitlines() if line.startswith("Image "))
    assert "The model prefers “zebra” by" in zebra and "The model knows such pictures" in zebra
    assert "No label is preferred" in grey and "does not know this picture" in grey
    assert "nats for" in grey, "the numbers can still be read"


def test_a_saved_file_says_so_too(asked: Run, comfyui: Client) -> None:
    name = asked.outputs["save"]["text"][0].rpartition(", ")[0]
    load = node("SDExplainLoadPredictions", file=name)
    ran = comfyui.run({"load": load, "about": node("PreviewAny", source=["load", 2])})
    said = " ".join(ran.outputs["about"]["text"])
    assert "Image 1: The model knows such pictures" in said
    assert "Image 2: The model does not know this picture" in said


def test_words_that_the_model_was_never_shown_decide_nothing(comfyui: Client) -> None:
    """Labels left empty: the words are read from the prompts."""
    ran = comfyui.run(
        {
            "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=64),
            "load": node("SDExplainLoadDiffusers", folder="bundled model"),
            "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
            "noise": noising("load", 2, samples=2, antithetic=False),
            **zebra_against_horse("load", target_label="", contrast_label=""),
            "zebra": prompt("a photo of a giraffe"),
            "verdict": node("SDExplainVerdict", predictions=["predict", 0], start=0, end=-1, temperature=1.0),
            "rivals": rivals("load", "zebra\ngiraffe", stop_early=True),
        },
        timeout=240,
    )
    never = "The model was never shown this word: “giraffe”"
    assert never in " ".join(ran.outputs["predict"]["text"]), "it is said where the words come in"
    verdict = ran.outputs["verdict"]["text"][0]
    assert "No label is preferred, because the model was never shown all of these words" in verdict and never in verdict
    table = ran.outputs["rivals"]["text"][0]
    assert "The model’s answer means nothing here" in table and never in table
