"""Explain Image in a real server: what the open graph gives, without asking the model twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sdexplain.tools import graphs
from sdexplain.tools.client import NodeFailed, PromptRejected

if TYPE_CHECKING:
    from sdexplain.tools.client import Client, Run
    from sdexplain.tools.server import Server
    from sdexplain.tools.workflow_file import Prompt

STEPS, SAMPLES = 3, 2
SETTINGS = {
    "target_prompt": "a photo of a zebra",
    "contrast_prompt": "a photo of a horse",
    "steps": STEPS,
    "samples": SAMPLES,
    "seed": 3,
    "start": 1,
    "end": -1,
    "reading": "evidence",
    "weighting": "information",
    "colour_map": "automatic",
    "opacity": 0.8,
    "background": "grey",
    "interpolation": "smooth",
    "percentile": 99.5,
    "legend": True,
    "target_label": "",
    "contrast_label": "",
    "ask_no_words": False,
}
IMAGES = ["overlay", "heatmap", "mask_for", "mask_against", "decoded"]


def loaded() -> Prompt:
    return {
        "load": graphs.node("SDExplainLoadDiffusers", folder="bundled model"),
        "picture": graphs.node("SDExplainExamplePicture", class_name="zebra", seed=1_000_010, size=64),
    }


def explained(image: list[Any], model: str = "load", **changes: Any) -> Prompt:
    """Explain Image as "explain", with the picture of a node and the model of another."""
    links = {"model": [model, 0], "clip": ["load", 1], "vae": ["load", 2], "image": image}
    return loaded() | {"explain": graphs.node("SDExplainExplain", **links, **SETTINGS | changes)}


def shown(sources: dict[str, list[Any]]) -> Prompt:
    """A Preview for each of the pictures, by name; masks are turned into pictures."""
    prompt: Prompt = {}
    for name, source in sources.items():
        if name.startswith("mask"):
            prompt[f"{name} as image"] = graphs.node("MaskToImage", mask=source)
            source = [f"{name} as image", 0]
        prompt[name] = graphs.node("PreviewImage", images=source)
    return prompt


def pixels(client: Client, run: Run, name: str) -> np.ndarray:
    return np.stack([np.asarray(client.image(picture)) for picture in run.pictures(name)])


def test_it_gives_what_the_open_graph_gives_bit_for_bit(comfyui: Client) -> None:
    prompt = explained(["picture", 0]) | shown({name: ["explain", place] for place, name in enumerate(IMAGES)})
    prompt["says"] = graphs.node("PreviewAny", source=["explain", 5])
    own = comfyui.run(prompt, timeout=240)

    opened = loaded() | {
        "encode": graphs.node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        "noise": graphs.noising("load", STEPS, seed=3, samples=SAMPLES),
        **graphs.zebra_against_horse("load"),
        "sum": graphs.summing(**{name: SETTINGS[name] for name in ("start", "end", "reading", "weighting")}),
        "heatmap node": graphs.node(
            "SDExplainHeatmap",
            image=["picture", 0],
            difference=["sum", 0],
            scalar="channel norm",
            sign="both",
            scale=0.0,
            shared_scale=True,
            **{name: SETTINGS[name] for name in ("colour_map", "percentile", "opacity", "background", "interpolation", "legend")},
        ),
        "decode": graphs.node("VAEDecode", samples=["sum", 1], vae=["load", 2]),
        "verdict": graphs.node("SDExplainVerdict", predictions=["predict", 0], start=1, end=-1, temperature=1.0),
        "says": graphs.node("PreviewAny", source=["verdict", 0]),
    }
    sources = {name: ["heatmap node", place] for place, name in enumerate(IMAGES[:4])} | {"decoded": ["decode", 0]}
    reference = comfyui.run(opened | shown(sources), timeout=240)
    for name in IMAGES:
        assert np.array_equal(pixels(comfyui, own, name), pixels(comfyui, reference, name)), name
    assert pixels(comfyui, own, "overlay").std() > 1
    assert own.outputs["says"] == reference.outputs["says"]


def test_it_shows_the_overlay_on_itself_and_nothing_else(comfyui: Client) -> None:
    prompt = explained(["picture", 0]) | shown({"overlay": ["explain", 0]})
    for _ in range(2):  # the second time from the cache
        run = comfyui.run(prompt, timeout=240)
        (picture,) = run.pictures("explain")
        assert np.array_equal(np.asarray(comfyui.image(picture)), pixels(comfyui, run, "overlay")[0])
        assert {each.node for each in run.pictures()} <= prompt.keys()  # the parts' own pictures are nobody's
    assert not [node for node in run.ran if node.startswith("explain.")]


class Counted:
    """Explain Image behind a counter of the model's evaluations."""

    def __init__(self, comfyui: Client, server: Server, name: str, **changes: Any) -> None:
        self.comfyui, self.file, self.seen = comfyui, server.base / "output" / f"{name}.txt", 0
        self.prompt = explained(["picture", 0], "count", **changes)
        self.prompt["count"] = graphs.node("ProbeCountCalls", model=["load", 0], file=self.file.name)
        self.prompt["said"] = graphs.node("PreviewAny", source=["explain", 5])

    def run(self, **changes: Any) -> tuple[int, Run]:
        self.prompt["explain"]["inputs"].update(changes)
        run = self.comfyui.run(self.prompt, timeout=240)
        asked = sum(map(int, self.file.read_text().split())) if self.file.exists() else 0
        new, self.seen = asked - self.seen, asked
        return new, run


@pytest.fixture
def counted(comfyui: Client, comfyui_server: Server, request: pytest.FixtureRequest) -> Counted:
    return Counted(comfyui, comfyui_server, request.node.name)


def test_looking_in_other_ways_never_asks_the_model_and_runs_only_what_depends_on_it(counted: Counted) -> None:
    asked, run = counted.run()
    assert asked == 2 * STEPS * SAMPLES
    for changes, parts in (
        ({"opacity": 0.3}, {"heatmap"}),
        ({"start": 0, "end": 2}, {"sum", "verdict", "heatmap"}),
        ({"reading": "information"}, {"sum", "heatmap"}),
        ({"target_label": "stripes"}, {"predict", "sum", "verdict", "heatmap"}),
    ):
        asked, run = counted.run(**changes)
        assert asked == 0
        assert {node.rsplit(".", 1)[-1] for node in run.ran if "." in node} == parts, changes
    counted.prompt |= shown({"decoded": ["explain", 4]})
    asked, run = counted.run()
    assert asked == 0 and {node.rsplit(".", 1)[-1] for node in run.ran if "." in node} == {"decode"}, "decoded once it is shown"


def test_another_prompt_is_asked_alone_and_more_samples_for_the_new_ones(counted: Counted) -> None:
    counted.run()
    assert counted.run(contrast_prompt="")[0] == STEPS * SAMPLES
    assert counted.run(samples=2 * SAMPLES)[0] == 2 * STEPS * SAMPLES
    assert counted.run(contrast_prompt="a photo of a horse", samples=SAMPLES)[0] == STEPS * SAMPLES


def test_without_words_it_is_asked_at_steps_that_tell_and_what_is_known_is_not_asked_again(counted: Counted) -> None:
    """Two of the three steps are not of details alone; an empty contrast then finds them there."""
    counted.run()
    assert counted.run(ask_no_words=True)[0] == 2 * SAMPLES
    assert counted.run(contrast_prompt="")[0] == 1 * SAMPLES


def test_the_quality_says_how_much_is_asked_and_more_asks_for_what_is_new(counted: Counted) -> None:
    few = {"steps": 8, "start": 0, "ask_no_words": False}
    asked, run = counted.run(**few, quality="quick")
    assert asked == 12
    assert "asked at 3" in run.outputs["said"]["text"][0]
    asked, run = counted.run(quality="exact")
    assert asked == 2 * 8 * SAMPLES - 12
    assert "asked" not in run.outputs["said"]["text"][0]
    assert counted.run(quality="settled")[0] == 0


@pytest.mark.parametrize(("name", "levels"), [("zebra", 1), ("taxi", 3)])
def test_a_quick_answer_asks_without_words_until_it_is_clear_that_one_prompt_fits(
    counted: Counted, name: str, levels: int
) -> None:
    """Of a taxi, neither "zebra" nor "horse" is clear to fit; three of its levels tell."""
    counted.prompt["picture"]["inputs"].update(class_name=name, size=256)
    asked, run = counted.run(steps=8, start=0, quality="quick", ask_no_words=True)
    assert asked == 12 + 2 * levels
    assert name == "taxi" or "“zebra” describes this picture best" in run.outputs["said"]["text"][0]


def test_its_predictions_serve_the_other_nodes(comfyui: Client) -> None:
    prompt = explained(["picture", 0])
    settings = {"start": 0, "end": -1, "temperature": 1.0}
    prompt["verdict"] = graphs.node("SDExplainVerdict", predictions=["explain", 6], **settings)
    run = comfyui.run(prompt, timeout=240)
    assert run.pictures("verdict") and "“zebra” against “horse”" in run.outputs["verdict"]["text"][0]


@pytest.mark.parametrize(("width", "height"), [(40, 72), (61, 70), (8, 24)])
def test_any_size_that_the_vae_takes_keeps_its_size(comfyui: Client, width: int, height: int) -> None:
    prompt = explained(["picture", 0], legend=False, steps=1, start=0)
    scaling = {"width": width, "height": height, "upscale_method": "bilinear", "crop": "disabled"}
    prompt["scale"] = graphs.node("ImageScale", image=["picture", 0], **scaling)
    prompt["explain"]["inputs"]["image"] = ["scale", 0]
    run = comfyui.run(prompt | shown({"mask_for": ["explain", 2]}), timeout=240)
    assert comfyui.image(run.pictures("explain")[0]).size == (width, height)
    assert pixels(comfyui, run, "mask_for").shape[1:3] == (height, width)


def test_a_batch_with_alpha_is_explained_picture_by_picture(comfyui: Client) -> None:
    prompt = explained(["batch", 0], legend=False)
    for place, name in enumerate(("one", "other")):
        prompt[name] = graphs.node("JoinImageWithAlpha", image=["picture", place], alpha=["picture", 2])
    prompt["batch"] = graphs.node("ImageBatch", image1=["one", 0], image2=["other", 0])
    prompt["alone"] = explained(["picture", 0], legend=False)["explain"]
    prompt |= shown({"mask_for": ["explain", 2], "mask_for alone": ["alone", 2]})
    run = comfyui.run(prompt, timeout=240)
    assert len(run.pictures("explain")) == 2
    both, alone = pixels(comfyui, run, "mask_for"), pixels(comfyui, run, "mask_for alone")
    assert np.corrcoef(both[0].ravel(), alone[0].ravel())[0, 1] > 0.999  # the batch shares one scale


# -------------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": 1, "end": STEPS + 1}, f"range 1-{STEPS + 1} goes past the schedule, which has {STEPS} steps"),
        ({"colour_map": "viridis"}, "colour map is 'viridis', but the heatmap is signed and needs a diverging one"),
    ],
)
def test_what_would_fail_later_is_refused_before_the_model_is_asked(
    counted: Counted, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(NodeFailed, match=words) as failed:
        counted.run(**changes)
    assert failed.value.node == "explain" and not counted.file.exists()


def test_an_empty_range_is_refused_before_anything_runs(counted: Counted) -> None:
    with pytest.raises(PromptRejected, match="The range 2-1 is empty"):
        counted.run(start=2, end=1)


def test_a_picture_too_small_for_the_vae_is_refused_with_the_least_size(comfyui: Client) -> None:
    prompt = explained(["tiny", 0]) | {"tiny": graphs.node("EmptyImage", width=64, height=7, batch_size=1, color=0)}
    with pytest.raises(NodeFailed, match="image has 64×7 pixels; the VAE takes 8×8 or more. Connect a larger picture"):
        comfyui.run(prompt, timeout=240)


def test_a_list_of_pictures_is_refused_with_what_to_do(comfyui: Client) -> None:
    prompt = explained(["list", 0])
    prompt["batch"] = graphs.node("ImageBatch", image1=["picture", 0], image2=["picture", 1])
    prompt["list"] = graphs.node("RebatchImages", images=["batch", 0], batch_size=1)
    with pytest.raises(NodeFailed, match="list of 2 came in for image; expected one value"):
        comfyui.run(prompt, timeout=240)


@pytest.mark.usefixtures("comfy_host")
@pytest.mark.parametrize(("part", "loader"), [("clip", "CLIPLoader"), ("vae", "VAELoader")])
def test_a_checkpoint_without_clip_or_vae_is_named(part: str, loader: str) -> None:
    import torch
    from sdexplain.nodes.explain import check

    class Vae:
        @staticmethod
        def spacial_compression_encode() -> int:
            return 8

    values = {"clip": object(), "vae": Vae(), "image": torch.zeros(1, 16, 16, 3)} | SETTINGS
    check(**values)
    with pytest.raises(ValueError, match=f"The {part.upper()} is missing.*from {loader}"):
        check(**values | {part: None})


@pytest.mark.usefixtures("comfy_host")
@pytest.mark.parametrize(
    ("target", "contrast", "called"),
    [
        ("a photo of a zebra", "a photo of a horse", ("zebra", "horse")),
        ("zebra", "horse", ("zebra", "horse")),
        ("a sports car in the rain", "a taxi in the rain", ("sports car", "taxi")),
        ("a photo of a zebra", " ", ("a photo of a zebra", "anything")),
        (" ", "a photo of a horse", ("no words at all", "a photo of a horse")),
        ("a car", "a red car", ("a car", "a red car")),  # nothing would be left of the first
        ("a zebra", "a zebra", ("a zebra (target)", "a zebra (contrast)")),
        (["text", 0], "a horse", (["text", 0], "a horse")),
    ],
)
def test_without_labels_the_words_that_differ_name_the_sides(target: Any, contrast: Any, called: tuple[Any, Any]) -> None:
    from sdexplain.nodes.host.prompt_words import differing_words

    assert differing_words(target, contrast) == called
