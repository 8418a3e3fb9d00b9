"""The example workflows as files and in a real server: what they ask of the model, what they show,
and what goes wrong in words."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sdexplain.bundled.scenes import twin_of
from sdexplain.tools import demo
from sdexplain.tools.client import Interrupted, NodeFailed, Progress, PromptRejected
from sdexplain.tools.graphs import short
from sdexplain.tools.workflow_file import WIDGET_TYPES, Prompt, controls_after, to_prompt, widget_values

if TYPE_CHECKING:
    from sdexplain.tools.client import Client, Run
    from sdexplain.tools.server import Server

from sdexplain.tools.environment import ROOT

FILES = sorted((ROOT / "workflows").glob("*.json"))
DOWNLOADED = [file for file in FILES if '"models": [' in file.read_text(encoding="utf-8")]
BUNDLED = [file for file in FILES if file not in DOWNLOADED]
PAIRS = [file for file in BUNDLED if "_or_" in file.stem]
# those whose batches grow and shrink on the way
TASKS = [file for file in BUNDLED if '"SDExplainExplain"' in file.read_text(encoding="utf-8")]
SHOWING = (
    *("SDExplainExplain", "SDExplainHeatmap", "SDExplainStepSheet", "SDExplainVerdict", "SDExplainSanity"),
    *("PreviewImage", "SaveAnimatedWEBP"),
)
EVERY = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
STEPS = 3
# of what else takes time, as little as shows that a workflow runs
FEW = (("SDExplainNoiseLatent", "samples", 2), ("SDExplainExplain", "samples", 2), ("KSampler", "steps", 4))
# where a loader's files lie below ComfyUI's models
FILE_INPUTS = {
    "ckpt_name": "checkpoints",
    "unet_name": "diffusion_models",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "vae_name": "vae",
}

Workflow = dict[str, Any]


def read(name: str | Path) -> Workflow:
    file = name if isinstance(name, Path) else demo.find_workflow(name)
    return json.loads(file.read_text(encoding="utf-8"))


def of_type(prompt: Prompt, kind: str) -> dict[str, dict[str, Any]]:
    """The inputs of all nodes of a type, by node id."""
    return {number: node["inputs"] for number, node in prompt.items() if node["class_type"] == kind}


def only(prompt: Prompt, kind: str) -> dict[str, Any]:
    (inputs,) = of_type(prompt, kind).values()
    return inputs


def titled(prompt: Prompt, title: str) -> str:
    (number,) = (number for number, node in prompt.items() if node.get("_meta", {}).get("title") == title)
    return number


@pytest.fixture
def zebra(comfyui: Client) -> Prompt:
    """The first pair's graph with few steps: what it does does not depend on how many there are."""
    return short(to_prompt(read("zebra_or_horse"), comfyui.object_info()), STEPS)


# ------------------------------------------------------------------------------------------------------------- as files


def test_there_is_one_for_each_pair_and_each_question() -> None:
    pairs = {"zebra_or_horse", "rat_or_mouse", "sports_car_or_taxi"}
    questions = {"against_empty", "checkpoint", "verdict", "rivals", "sanity_check"}
    tasks = {"first_look", "which_range", "inpaint_by_difference", "contact_sheet", "animation"}
    assert {demo.find_workflow(name) for name in pairs | questions | tasks} <= set(FILES)


@EVERY
def test_each_says_in_one_line_what_it_shows_and_in_notes_what_to_change(file: Path, comfyui: Client) -> None:
    workflow = read(file)
    about = demo.about(workflow)
    assert 30 < len(about["shows"]) < 200 and "\n" not in about["shows"]
    (shown,) = (node["type"] for node in workflow["nodes"] if node["id"] == about["thumbnail"])
    assert comfyui.object_info(shown)[shown]["output_node"]
    notes = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote"]
    assert any("What to try" in note or "seed" in note for note in notes)
    assert all(len(note) > 200 for note in notes)


@EVERY
def test_each_has_titled_groups_in_the_order_of_the_data_and_every_node_in_one_of_them(file: Path) -> None:
    """From left to right, and where there are two rows, the upper one first."""
    workflow = read(file)
    groups = sorted(workflow["groups"], key=lambda group: (group["bounding"][1] > 200, group["bounding"][0]))
    assert [group["title"][0] for group in groups] == ["1", "2", "3", "4"][: len(groups)] and len(groups) > 2
    for node in workflow["nodes"]:
        (x, y), (width, height) = node["pos"], node["size"]
        around = [
            group
            for group in groups
            if group["bounding"][0] <= x
            and x + width <= group["bounding"][0] + group["bounding"][2]
            and group["bounding"][1] <= y - 30
            and y + height <= group["bounding"][1] + group["bounding"][3]
        ]
        assert len(around) == 1, (node["type"], node.get("title"))


@EVERY
def test_no_node_lies_over_another(file: Path) -> None:
    boxes = [
        (node["pos"][0], node["pos"][1] - 30, node["pos"][0] + node["size"][0], node["pos"][1] + node["size"][1])
        for node in read(file)["nodes"]
    ]
    for place, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:place]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


@EVERY
def test_each_node_says_which_pack_and_version_it_comes_from(file: Path, comfyui: Client) -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)[1]
    info = comfyui.object_info()
    for node in read(file)["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        own = info[node["type"]]["python_module"].startswith("custom_nodes.")
        assert node["properties"]["cnr_id"] == ("sdexplain" if own else "comfy-core")
        assert node["properties"]["Node name for S&R"] == node["type"]
        assert not own or node["properties"]["ver"] == version


@EVERY
def test_every_slot_link_and_value_is_what_the_server_knows(file: Path, comfyui: Client) -> None:
    workflow, info = read(file), comfyui.object_info()
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for _, source, output, target, slot, kind in workflow["links"]:
        assert info[nodes[source]["type"]]["output"][output] == kind
        assert kind in nodes[target]["inputs"][slot]["type"].split(",") or nodes[target]["inputs"][slot]["type"] == "*"
    for number, node in to_prompt(workflow, info).items():
        definition = info[node["class_type"]]["input"]
        declared = definition.get("required", {}) | definition.get("optional", {})
        assert set(definition.get("required", {})) <= set(node["inputs"]), number
        assert set(node["inputs"]) <= set(declared), number
        for name, value in node["inputs"].items():
            kind, *rest = declared[name]
            options = kind if isinstance(kind, list) else (rest[0].get("options") if rest else None)
            # files are the person's own
            if options is not None and not isinstance(value, list) and name not in ("image", *FILE_INPUTS):
                assert value in options, (node["class_type"], name)


@pytest.mark.parametrize("file", PAIRS, ids=lambda file: file.stem)
def test_prompts_name_the_pictures_class_and_its_twin(file: Path, comfyui: Client) -> None:
    prompt = to_prompt(read(file), comfyui.object_info())
    shown = only(prompt, "SDExplainExamplePicture")["class_name"]
    predict = only(prompt, "SDExplainPredictNoise")
    for side, label in (("target", shown), ("contrast", twin_of(shown))):
        assert label in prompt[predict[side][0]]["inputs"]["text"]
    assert file.stem.startswith(f"{shown} or {twin_of(shown)}".replace(" ", "_"))


@EVERY
def test_no_label_is_typed_apart_from_its_prompt(file: Path, comfyui: Client) -> None:
    prompt = to_prompt(read(file), comfyui.object_info())
    for kind in ("SDExplainPredictNoise", "SDExplainSanity", "SDExplainExplain"):
        for inputs in of_type(prompt, kind).values():
            for side in ("target", "contrast"):
                label, text = inputs[f"{side}_label"], inputs.get(f"{side}_prompt") or text_behind(prompt, inputs[side])
                assert label == "" or (isinstance(label, list) and label == text), (kind, side)


def text_behind(prompt: Prompt, source: list[Any]) -> str | list[Any]:
    """What is encoded for a conditioning: a text, or a link to one."""
    inputs = prompt[source[0]]["inputs"]
    return inputs["text"] if "text" in inputs else text_behind(prompt, inputs["conditioning"])


def widgets_of(definition: dict[str, Any]) -> list[tuple[str, str, int]]:
    """A node's widgets in their order, each with its name, its kind, and how many of the page's own follow it."""
    declared = definition["input"].get("required", {}) | definition["input"].get("optional", {})
    found = [
        (name, "COMBO" if isinstance(kind, list) else kind, rest[0] if rest else {}) for name, (kind, *rest) in declared.items()
    ]
    return [
        (name, kind, controls_after(name, kind, options))
        for name, kind, options in found
        if kind in WIDGET_TYPES and not options.get("forceInput")
    ]


@EVERY
def test_every_widget_of_the_packs_nodes_has_its_value(file: Path, comfyui: Client) -> None:
    """A converter that is not the page's may not know the defaults of what has been added since."""
    info = comfyui.object_info()
    for node in read(file)["nodes"]:
        if node["type"].startswith("SDExplain"):
            widgets = widgets_of(info[node["type"]])
            expected = len(widgets) + sum(controls for *_, controls in widgets)
            assert len(node.get("widgets_values") or ()) == expected, node["type"]


@EVERY
def test_another_converter_asks_the_same_as_the_page(file: Path, comfyui: Client) -> None:
    """comfy-cli runs workflow files that people share; `to_prompt` is held to the page itself in tests/tools/test_api.py."""
    from comfy_cli.workflow_to_api import convert_ui_to_api

    workflow, info = read(file), comfyui.object_info()
    converted, own = (convert(workflow, info) for convert in (convert_ui_to_api, to_prompt))
    assert converted.keys() == own.keys()
    assert all(converted[number]["inputs"] == node["inputs"] for number, node in own.items())


def test_a_number_or_a_list_follows_every_seed(comfyui: Client) -> None:
    """Converters tell by the next value whether a seed has a control after it: a text there may be taken for one.

    Sanity Check was released with its labels there, and saved workflows keep values by their place.
    """
    followed = {}
    for node, definition in comfyui.object_info().items():
        widgets = widgets_of(definition) if node.startswith("SDExplain") else []
        for (_, _, controls), (_, following, _) in zip(widgets, widgets[1:], strict=False):
            if controls:
                followed[node] = following
    assert {node for node, following in followed.items() if following == "STRING"} == {"SDExplainSanity"}
    assert len(followed) > 2


def test_there_is_one_for_any_checkpoint_and_one_for_each_family_that_is_downloaded() -> None:
    assert {file.stem.split("_")[0] for file in DOWNLOADED} == {"checkpoint", "sd15", "sdxl", "sd35", "flux"}


@pytest.mark.parametrize("file", DOWNLOADED, ids=lambda file: file.stem)
def test_every_file_that_is_downloaded_is_named_with_its_address_place_and_licence(file: Path, comfyui: Client) -> None:
    workflow, info = read(file), comfyui.object_info()
    chosen, listed = {}, {}
    for node in workflow["nodes"]:
        prompted = widget_values(node, info[node["type"]]) if node["type"] in info else {}
        chosen |= {prompted[name]: folder for name, folder in FILE_INPUTS.items() if name in prompted}
        listed |= {model["name"]: model for model in node["properties"].get("models", ())}
    assert {name: model["directory"] for name, model in listed.items()} == chosen
    note = " ".join(node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    for name, model in listed.items():
        assert re.fullmatch(
            rf"https://huggingface\.co/[\w./-]+/resolve/main/[\w./-]*{re.escape(name)}(\?download=true)?", model["url"]
        )
        assert f"[{name}]({model['url']})" in note and f"`models/{model['directory']}`" in note
    assert file.stem.startswith("checkpoint") or re.search("Licen[sc]e|licence", note)
    assert demo.downloads(workflow, info) == [model["url"] for model in listed.values()]


@pytest.mark.parametrize("file", BUNDLED, ids=lambda file: file.stem)
def test_the_others_need_no_download(file: Path, comfyui: Client) -> None:
    assert demo.downloads(read(file), comfyui.object_info()) == []


@pytest.mark.parametrize(("name", "size"), [("sd15", 512), ("sdxl", 1024), ("sd35", 1024), ("flux", 1024)])
def test_a_family_sees_the_picture_at_the_size_it_was_trained_at(name: str, size: int, comfyui: Client) -> None:
    resize = only(to_prompt(read(name), comfyui.object_info()), "ImageScale")
    assert (resize["width"], resize["height"]) == (size, size)


@EVERY
def test_the_thumbnail_is_a_small_picture_of_the_same_name(file: Path) -> None:
    with Image.open(file.with_suffix(".jpg")) as thumbnail:
        shown = 2 if file in PAIRS or file.stem.startswith("inpaint_by_difference") else 1
        assert (thumbnail.format, thumbnail.width) == ("JPEG", shown * demo.THUMBNAIL_WIDTH)


# --------------------------------------------------------------------------------------------------------- in the server


@pytest.mark.parametrize("file", BUNDLED, ids=lambda file: file.stem)
def test_each_runs_to_pictures(file: Path, comfyui: Client) -> None:
    prompt = short(to_prompt(read(file), comfyui.object_info()), STEPS)
    for kind, name, most in FEW:
        for given in of_type(prompt, kind).values():
            given[name] = min(most, given[name])
    seen: list[Progress] = []
    ran = comfyui.run(prompt, seen.append, timeout=240)
    images = len(comfyui_batch(prompt))
    for number in (number for kind in SHOWING for number in of_type(prompt, kind)):
        pictures = ran.pictures(number)
        assert len(pictures) == images or (file in TASKS and pictures)
        for picture in pictures:
            assert np.asarray(comfyui.image(picture).convert("RGB")).std() > 1
    for number in of_type(prompt, "SDExplainPredictNoise"):
        (calls,) = {int(n) for n in re.findall(r"in (\d+) model calls", ran.outputs[number]["text"][0])}
        told = [(progress.value, progress.maximum) for progress in seen if progress.node == number and progress.value]
        assert told == sorted(told) and told[-1][0] == told[-1][1] and calls > 0  # newer hosts do not pass on every call
    assert len(ran.pictures(demo.about(read(file))["thumbnail"])) == images or file in TASKS


def test_the_first_look_opens_as_an_app_with_the_questions_and_the_answer(comfyui: Client) -> None:
    workflow = read("first_look")
    assert workflow["extra"]["linearMode"] is True
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, name in workflow["extra"]["linearData"]["inputs"]:
        declared = comfyui.object_info(nodes[number]["type"])[nodes[number]["type"]]["input"]["required"]
        assert name in declared
    (answer,) = workflow["extra"]["linearData"]["outputs"]
    assert nodes[answer]["type"] == "PreviewImage"  # which shows its picture again where nothing has changed


def test_inpainting_by_the_difference_changes_nothing_outside_of_the_mask(comfyui: Client) -> None:
    prompt = short(to_prompt(read("inpaint_by_difference"), comfyui.object_info()), STEPS)
    only(prompt, "KSampler")["steps"] = 4
    ((grown, _),) = of_type(prompt, "GrowMask").items()
    prompt["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": [grown, 0]}}
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}
    ran = comfyui.run(prompt, timeout=240)
    (mask,) = (np.asarray(comfyui.image(picture).convert("L")) > 127 for picture in ran.pictures("shown"))
    before, after = (
        np.asarray(comfyui.image(picture).convert("RGB")).astype(int)
        for picture in ran.pictures(next(iter(of_type(prompt, "PreviewImage"))))
    )
    changed = np.abs(after - before).max(-1)
    assert 0.02 < mask.mean() < 0.5
    assert changed[~mask].max() <= 1 and changed[mask].mean() > 10


def comfyui_batch(prompt: Prompt) -> list[str]:
    """The names of the pictures that go in: the twin as well, where they are batched."""
    return ["picture", "twin"] if of_type(prompt, "ImageBatch") else ["picture"]


@pytest.mark.parametrize("file", DOWNLOADED, ids=lambda file: file.stem)
def test_the_graph_of_a_download_runs_to_pictures_on_the_bundled_model(file: Path, comfyui: Client) -> None:
    info = comfyui.object_info()
    prompt = demo.on_bundled_model(short(to_prompt(read(file), info), steps=1), info)
    assert not FILE_INPUTS.keys() & {name for node in prompt.values() for name in node["inputs"]}
    only(prompt, "ImageScale").update(width=128, height=128)
    for inputs in of_type(prompt, "SDExplainStepSheet").values():
        inputs["ranges"] = 1
    ran = comfyui.run(prompt, timeout=240)
    assert ran.pictures(demo.about(read(file))["thumbnail"])
    assert all(ran.pictures(number) for kind in SHOWING for number in of_type(prompt, kind))


def test_both_heatmaps_against_the_empty_prompt_share_one_scale_noise_and_target(comfyui: Client) -> None:
    prompt = to_prompt(read("against_empty"), comfyui.object_info())
    first, second = (titled(prompt, title) for title in ("Zebra against horse", "Zebra against anything"))
    scale = comfyui.object_info("SDExplainHeatmap")["SDExplainHeatmap"]["output_name"].index("scale")
    assert prompt[second]["inputs"]["scale"] == [first, scale]
    one, other = of_type(prompt, "SDExplainPredictNoise").values()
    assert one["noised"] == other["noised"] and one["target"] == other["target"]
    empty = {prompt[inputs["contrast"][0]]["inputs"]["text"] for inputs in (one, other)}
    assert empty == {"a photo of a horse", ""}
    steps = {(inputs["start"], inputs["end"]) for inputs in of_type(prompt, "SDExplainSumDifference").values()}
    assert len(steps) == 1


class Counted:
    """A workflow with a counter between its loader and everything that takes the model."""

    def __init__(self, comfyui: Client, output: Path, prompt: Prompt, name: str) -> None:
        self.comfyui, self.prompt, self.file, self.seen = comfyui, prompt, output / f"{name}.txt", 0
        ((loader, _),) = of_type(prompt, "SDExplainLoadDiffusers").items()
        for node in prompt.values():
            if node["inputs"].get("model") == [loader, 0]:
                node["inputs"]["model"] = ["count", 0]
        prompt["count"] = {
            "class_type": "ProbeCountCalls",
            "inputs": {"model": [loader, 0], "file": self.file.name},
        }

    def run(self) -> tuple[int, Run]:
        """Run it; how many evaluations reached the model since the last time."""
        ran = self.comfyui.run(self.prompt, timeout=240)
        asked = sum(map(int, self.file.read_text().split())) if self.file.exists() else 0
        new, self.seen = asked - self.seen, asked
        return new, ran

    @property
    def samples(self) -> int:
        """Of the noise."""
        return only(self.prompt, "SDExplainNoiseLatent")["samples"]


@pytest.fixture
def counted(comfyui: Client, comfyui_server: Server, zebra: Prompt, request: pytest.FixtureRequest) -> Counted:
    return Counted(comfyui, comfyui_server.base / "output", zebra, request.node.name)


def test_looking_at_a_workflows_pictures_in_other_ways_never_asks_the_model(counted: Counted) -> None:
    asked, _ = counted.run()
    assert asked == 2 * 2 * STEPS * counted.samples  # prompts, pictures, steps
    total = titled(counted.prompt, "Sum: evidence")
    heatmap = titled(counted.prompt, "Evidence for and against")
    sheet = titled(counted.prompt, "All steps at a glance")
    for number, change in (
        (total, {"start": 1, "end": 2}),
        (total, {"reading": "information", "weighting": "information"}),
        (heatmap, {"colour_map": "inferno", "opacity": 0.5, "background": "photo"}),
        (sheet, {"ranges": 3, "reading": "evidence"}),
    ):
        counted.prompt[number]["inputs"].update(change)
        asked, ran = counted.run()
        assert asked == 0
        assert number in ran.ran


def test_changing_one_prompt_of_a_workflow_asks_for_that_prompt_alone(counted: Counted) -> None:
    counted.run()
    counted.prompt[titled(counted.prompt, "Contrast prompt")]["inputs"]["text"] = ""
    assert counted.run()[0] == 2 * STEPS * counted.samples


@pytest.fixture
def spoken(zebra: Prompt) -> Prompt:
    """The pair's graph without its pictures, and its verdict as "says"."""
    ((predict, inputs),) = of_type(zebra, "SDExplainPredictNoise").items()
    kept = {number: node for number, node in zebra.items() if node["class_type"] not in SHOWING}
    inputs["noised"] = ["few", 0]
    few = {**only(zebra, "SDExplainNoiseLatent"), "steps": 1}
    return kept | {
        "few": {"class_type": "SDExplainNoiseLatent", "inputs": few},
        "verdict": {
            "class_type": "SDExplainVerdict",
            "inputs": {"predictions": [predict, 0], "start": 0, "end": -1, "temperature": 1.0},
        },
        "says": {"class_type": "PreviewAny", "inputs": {"source": ["verdict", 0]}},
    }


def test_a_verdict_speaks_of_the_prompts_as_they_are_now(comfyui: Client, spoken: Prompt) -> None:
    def words() -> str:
        return comfyui.run(spoken, timeout=240).outputs["says"]["text"][0]

    assert re.search("zebra.*horse|horse.*zebra", words(), re.S)
    spoken[titled(spoken, "Target prompt")]["inputs"]["text"] = "a photo of a taxi"
    spoken[titled(spoken, "Contrast prompt")]["inputs"]["text"] = "a photo of a sports car"
    changed = words()
    assert "taxi" in changed and "sports car" in changed and not re.search("zebra|horse|photo", changed)
    spoken["text"] = {"class_type": "PrimitiveString", "inputs": {"value": "a photo of a rat"}}
    spoken[titled(spoken, "Target prompt")]["inputs"]["text"] = ["text", 0]
    assert "rat" in words()
    spoken[titled(spoken, "Target prompt")]["inputs"]["text"] = ""
    assert "no words at all" in words()
    only(spoken, "SDExplainPredictNoise")["target_label"] = "whatever it may be"
    assert "whatever it may be" in words()


def test_a_sanity_check_speaks_of_the_prompts_as_they_are_now(comfyui: Client) -> None:
    prompt = short(to_prompt(read("sanity_check"), comfyui.object_info()), STEPS)
    only(prompt, "SDExplainSanity").update(samples=1)
    for title, text in (("Target prompt", "a photo of a taxi"), ("Contrast prompt", "a photo of a mouse")):
        prompt[titled(prompt, title)]["inputs"]["text"] = text
    report = comfyui.run(prompt, timeout=240).outputs[titled(prompt, "Report")]["text"][0]
    assert "taxi" in report and "mouse" in report and not re.search("zebra|horse", report)


def test_labels_that_come_from_the_prompts_make_nothing_run_again(comfyui: Client, spoken: Prompt) -> None:
    comfyui.run(spoken, timeout=240)
    ((predict, _),) = of_type(spoken, "SDExplainPredictNoise").items()
    spoken["verdict"]["inputs"]["temperature"] = 2.0
    ran = comfyui.run(spoken, timeout=240).ran
    assert "verdict" in ran and predict not in ran


def test_the_target_of_both_comparisons_is_predicted_once(comfyui: Client, comfyui_server: Server) -> None:
    prompt = short(to_prompt(read("against_empty"), comfyui.object_info()), STEPS)
    counted = Counted(comfyui, comfyui_server.base / "output", prompt, "against_empty")
    assert counted.run()[0] == 3 * STEPS * counted.samples


def test_cancelling_a_prediction_takes_effect_at_once_and_the_next_run_works(comfyui: Client, zebra: Prompt) -> None:
    only(zebra, "SDExplainNoiseLatent").update(steps=200, seed=77)
    ((predict, _),) = of_type(zebra, "SDExplainPredictNoise").items()
    values: list[float] = []

    def cancel(progress: Progress) -> None:
        if progress.node == predict and progress.value:
            if not values:
                comfyui.cancel()
            values.append(progress.value / progress.maximum)

    with pytest.raises(Interrupted, match="cancelled in SDExplainPredictNoise"):
        comfyui.run(zebra, cancel, timeout=240)
    assert values and values[-1] < 0.5  # a call or two after the first, of dozens
    only(zebra, "SDExplainNoiseLatent")["steps"] = 1
    for inputs in of_type(zebra, "SDExplainStepSheet").values():
        inputs["ranges"] = 1
    assert comfyui.run(zebra, timeout=240).pictures(titled(zebra, "Evidence for and against"))


# -------------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("title", "changes", "words"),
    [
        ("Sum: evidence", {"start": 30, "end": 20}, "The range 30-20 is empty: start must be less than end"),
        ("Sum: magnitude", {"start": 10, "end": 10}, "The range 10-10 is empty"),
    ],
)
def test_an_empty_range_is_refused_before_anything_runs(
    comfyui: Client, zebra: Prompt, title: str, changes: dict[str, Any], words: str
) -> None:
    zebra[titled(zebra, title)]["inputs"].update(changes)
    with pytest.raises(PromptRejected, match=words):
        comfyui.run(zebra)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        # newer hosts refuse them themselves
        ("SDExplainLoadDiffusers", {"folder": "../../etc"}, r"folder:? '../../etc'(: expected one of | not in \[')bundled"),
        (
            "SDExplainExamplePicture",
            {"class_name": "unicorn"},
            r"class(_name)?:? 'unicorn'(: expected one of horse, | not in .*)'?zebra",
        ),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_with_those_that_are(
    comfyui: Client, zebra: Prompt, kind: str, changes: dict[str, Any], words: str
) -> None:
    only(zebra, kind).update(changes)
    with pytest.raises((NodeFailed, PromptRejected), match=words):
        comfyui.run(zebra)


def test_a_range_past_the_schedule_is_named_with_the_schedules_length(comfyui: Client, zebra: Prompt) -> None:
    zebra[titled(zebra, "Sum: evidence")]["inputs"].update(start=0, end=STEPS + 1)
    with pytest.raises(NodeFailed, match=rf"range 0-{STEPS + 1} goes past the schedule, which has {STEPS} steps"):
        comfyui.run(zebra, timeout=240)


def test_rising_sigmas_are_refused_before_the_model_is_asked(counted: Counted) -> None:
    model = only(counted.prompt, "SDExplainNoiseLatent")["model"]
    counted.prompt |= {
        "sigmas": {
            "class_type": "BasicScheduler",
            "inputs": {"model": model, "scheduler": "normal", "steps": 4, "denoise": 1.0},
        },
        "flipped": {"class_type": "FlipSigmas", "inputs": {"sigmas": ["sigmas", 0]}},
        "rising": {"class_type": "SplitSigmas", "inputs": {"sigmas": ["flipped", 0], "step": 1}},
    }
    only(counted.prompt, "SDExplainNoiseLatent")["sigmas"] = ["rising", 1]
    with pytest.raises(NodeFailed, match=r"SDExplainNoiseLatent .* rise from"):
        counted.run()
    assert not counted.file.exists()


def test_pictures_of_another_batch_size_than_the_predictions_are_refused(comfyui: Client, zebra: Prompt) -> None:
    zebra["three"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 256, "height": 256, "batch_size": 3, "color": 0},
    }
    zebra[titled(zebra, "Evidence for and against")]["inputs"]["image"] = ["three", 0]
    with pytest.raises(NodeFailed, match="SDExplainHeatmap .*3") as failed:
        comfyui.run(zebra, timeout=240)
    assert re.search(r"\b2\b", str(failed.value))


def test_a_missing_link_is_named(comfyui: Client, zebra: Prompt) -> None:
    del only(zebra, "SDExplainPredictNoise")["contrast"]
    with pytest.raises(PromptRejected, match="Required input is missing: contrast"):
        comfyui.run(zebra)


def test_after_an_error_the_same_graph_runs_without_asking_the_model_again(counted: Counted) -> None:
    inputs = counted.prompt[titled(counted.prompt, "Sum: evidence")]["inputs"]
    good = copy.deepcopy(inputs)
    counted.run()
    inputs.update(end=STEPS + 1)
    with pytest.raises(NodeFailed, match="goes past the schedule"):
        counted.run()
    inputs.update(good)
    assert counted.run()[0] == 0


def test_labels_of_any_script_and_length_reach_the_legend(comfyui: Client, zebra: Prompt) -> None:
    only(zebra, "SDExplainPredictNoise").update(
        target_label="<img src=x onerror=alert(1)> 🦓 زرافة", contrast_label="horse " * 500
    )
    ran = comfyui.run(zebra, timeout=240)
    (first, _) = ran.pictures(titled(zebra, "Evidence for and against"))
    assert comfyui.image(first).width >= 256
