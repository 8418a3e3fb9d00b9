"""The client against a real ComfyUI, and the conversion of saved workflows against the page's own."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageChops
from sdexplain.tools import client as api
from sdexplain.tools import demo as run
from sdexplain.tools.client import Client
from sdexplain.tools.workflow_file import to_prompt

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from sdexplain.tools.server import Server

WORKFLOWS = sorted((Path(__file__).resolve().parent.parent.parent / "workflows").glob("*.json"))


def node(number: int, kind: str, values: Any = (), inputs: Any = (), mode: int = 0) -> dict[str, Any]:
    return {"id": number, "type": kind, "widgets_values": list(values), "inputs": list(inputs), "mode": mode}


def slot(name: str, kind: str, link: int | None, widget: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "link": link} | ({"widget": {"name": name}} if widget else {})


# Node definitions as /object_info gives them, in both ways of writing lists.
INFO = {
    "Load": {"input": {"required": {"file": [["a.png", "b.png"], {}]}}},
    "Blur": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "radius": ["INT", {"default": 1}],
                "seed": ["INT", {}],
                "sigma": ["FLOAT", {}],
            }
        }
    },
    "Invert": {"input": {"required": {"mask": ["MASK"], "image": ["IMAGE"]}}},
    "Show": {
        "input": {
            "required": {"image": ["IMAGE"], "fed": ["INT", {"forceInput": True}]},
            "optional": {
                "look": ["COMBO", {"options": ["x", "y"], "control_after_generate": True}],
                "points": ["STRING", {}],
            },
        }
    },
}


def chain(*middle: dict[str, Any], links: list[Any]) -> dict[str, Any]:
    """Load (1) -> whatever is in the middle -> Show (9), which link 90 feeds."""
    show = node(9, "Show", ["y", "fixed", "", "text"], [slot("image", "IMAGE", 90), slot("fed", "INT", None)])
    return {"nodes": [node(1, "Load", ["b.png", "image"]), *middle, show], "links": links, "version": 0.4}


# ------------------------------------------------------------------------------------------------------ saved workflows


def test_widgets_take_their_values_in_order_past_the_pages_own_controls() -> None:
    blur = node(2, "Blur", [3, 42, "randomize", 0.5], [slot("image", "IMAGE", 10)])
    prompt = to_prompt(chain(blur, links=[[10, 1, 0, 2, 0, "IMAGE"], [90, 2, 0, 9, 0, "IMAGE"]]), INFO)
    assert prompt["1"] == {"class_type": "Load", "inputs": {"file": "b.png"}, "_meta": {"title": "Load"}}
    assert prompt["2"]["inputs"] == {"image": ["1", 0], "radius": 3, "seed": 42, "sigma": 0.5}
    assert prompt["9"]["inputs"] == {"image": ["2", 0], "look": "y", "points": "text"}


def test_a_widget_that_is_fed_by_a_link_keeps_its_place_in_the_list() -> None:
    blur = node(2, "Blur", [3, 42, "fixed", 0.5], [slot("image", "IMAGE", 10), slot("radius", "INT", 11, widget=True)])
    source = node(3, "Blur", [1, 1, "fixed", 1.0])
    links = [[10, 1, 0, 2, 0, "IMAGE"], [11, 3, 1, 2, 1, "INT"], [90, 2, 0, 9, 0, "IMAGE"]]
    assert to_prompt(chain(blur, source, links=links), INFO)["2"]["inputs"] == {
        "image": ["1", 0],
        "radius": ["3", 1],
        "seed": 42,
        "sigma": 0.5,
    }


def test_the_newer_format_writes_links_as_objects() -> None:
    link = {"id": 90, "origin_id": 1, "origin_slot": 0, "target_id": 9, "target_slot": 0, "type": "IMAGE"}
    workflow = chain(links=[link]) | {"version": 1}
    assert to_prompt(workflow, INFO)["9"]["inputs"]["image"] == ["1", 0]


def test_a_bypassed_node_passes_on_what_has_the_type() -> None:
    invert = node(2, "Invert", inputs=[slot("mask", "MASK", 11), slot("image", "IMAGE", 10)], mode=4)
    links = [[10, 1, 0, 2, 1, "IMAGE"], [11, 1, 1, 2, 0, "MASK"], [90, 2, 0, 9, 0, "IMAGE"]]
    prompt = to_prompt(chain(invert, links=links), INFO)
    assert set(prompt) == {"1", "9"}
    assert prompt["9"]["inputs"]["image"] == ["1", 0]


def test_a_muted_node_leaves_its_input_open() -> None:
    invert = node(2, "Invert", inputs=[slot("image", "IMAGE", 10)], mode=2)
    prompt = to_prompt(chain(invert, links=[[10, 1, 0, 2, 0, "IMAGE"], [90, 2, 0, 9, 0, "IMAGE"]]), INFO)
    assert set(prompt) == {"1", "9"}
    assert "image" not in prompt["9"]["inputs"]


def test_reroutes_primitives_and_notes_are_the_pages_alone() -> None:
    reroute = node(2, "Reroute", inputs=[slot("", "*", 10)])
    primitive = node(3, "PrimitiveNode", [7, "fixed"])
    blur = node(4, "Blur", [7, 42, "fixed", 0.5], [slot("image", "IMAGE", 12), slot("radius", "INT", 11, widget=True)])
    links = [[10, 1, 0, 2, 0, "IMAGE"], [12, 2, 0, 4, 0, "IMAGE"], [11, 3, 0, 4, 1, "INT"], [90, 4, 0, 9, 0, "IMAGE"]]
    prompt = to_prompt(
        chain(reroute, primitive, blur, node(5, "Note", ["hello"]), node(6, "MarkdownNote", ["*"]), links=links), INFO
    )
    assert set(prompt) == {"1", "4", "9"}
    assert prompt["4"]["inputs"] == {"image": ["1", 0], "radius": 7, "seed": 42, "sigma": 0.5}


def test_a_list_in_a_widget_is_not_taken_for_a_link() -> None:
    workflow = chain(links=[])
    workflow["nodes"][-1]["widgets_values"] = ["y", "fixed", "", ["1", 0]]
    assert to_prompt(workflow, INFO)["9"]["inputs"]["points"] == {"__value__": ["1", 0]}


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ValueError, match="Node 2 has the type 'Sharpen', which this ComfyUI does not have"):
        to_prompt(chain(node(2, "Sharpen"), links=[]), INFO)


# -------------------------------------------------------------------------------------------- the page's own conversion

# Everything at once, in core's nodes: a primitive, a reroute, a bypassed and a muted node, a note, a seed with its
# control.
CORE = {
    "version": 0.4,
    "nodes": [
        node(1, "LoadImage", ["example.png", "image"]),
        node(2, "ImageInvert", inputs=[slot("image", "IMAGE", 1)], mode=4),
        node(3, "Reroute", inputs=[slot("", "*", 2)]),
        node(4, "ImageBlur", [31, 1.0], [slot("image", "IMAGE", 3), slot("blur_radius", "INT", 9, widget=True)]),
        node(5, "PreviewImage", inputs=[slot("images", "IMAGE", 4)]),
        node(6, "PreviewImage", inputs=[slot("images", "IMAGE", 5)], mode=2),
        node(7, "Note", ["a note"]),
        node(8, "PrimitiveNode", [31, "fixed"]),
        node(10, "RandomNoise", [123, "fixed"]),
    ],
    "links": [
        [1, 1, 0, 2, 0, "IMAGE"],
        [2, 2, 0, 3, 0, "*"],
        [3, 3, 0, 4, 0, "IMAGE"],
        [4, 4, 0, 5, 0, "IMAGE"],
        [5, 4, 0, 6, 0, "IMAGE"],
        [9, 8, 0, 4, 1, "INT"],
    ],
}
OUTPUTS = {1: ["IMAGE", "MASK"], 2: ["IMAGE"], 3: ["*"], 4: ["IMAGE"], 8: ["INT"], 10: ["NOISE"]}
AS_THE_PAGE_DOES = """async workflow => {
    await app.loadGraphData(workflow)
    const { workflow: saved, output } = await app.graphToPrompt()
    return { saved: JSON.parse(JSON.stringify(saved)), output }
}"""


def with_outputs(workflow: dict[str, Any]) -> dict[str, Any]:
    """The file's other half of each link: the page wants it written at the output, too."""
    full = copy.deepcopy(workflow)
    for entry in full["nodes"]:
        number = entry["id"]
        entry |= {"pos": [300 * number, 100], "size": [250, 150], "flags": {}, "order": number, "properties": {}}
        entry["outputs"] = [
            {"name": kind, "type": kind, "links": [link[0] for link in full["links"] if link[1:3] == [number, place]]}
            for place, kind in enumerate(OUTPUTS.get(number, ()))
        ]
    return full | {"last_node_id": 10, "last_link_id": 9, "groups": [], "config": {}, "extra": {}}


def without_titles(prompt: dict[str, Any]) -> dict[str, Any]:
    return {number: {"class_type": entry["class_type"], "inputs": entry["inputs"]} for number, entry in prompt.items()}


def test_conversion_agrees_with_the_page(comfyui_page: Page, comfyui: Client, subtests: pytest.Subtests) -> None:
    workflows = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in WORKFLOWS}
    info = comfyui.object_info()
    for name, workflow in (workflows | {"core nodes": with_outputs(CORE)}).items():
        with subtests.test(name):
            by_page = comfyui_page.evaluate(AS_THE_PAGE_DOES, workflow)
            sent = {number: {**entry, "inputs": declared_inputs(entry, info)} for number, entry in by_page["output"].items()}
            assert without_titles(to_prompt(workflow, info)) == without_titles(sent)
            # and the same for the file as the page would save it again
            assert without_titles(to_prompt(by_page["saved"], info)) == without_titles(sent)


def declared_inputs(entry: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """Those that the server knows: the page also sends what its own widgets show, such as Preview Any's text."""
    declared = info[entry["class_type"]]["input"]
    known = declared.get("required", {}).keys() | declared.get("optional", {}).keys()
    return {name: value for name, value in entry["inputs"].items() if name in known}


# -------------------------------------------------------------------------------------------------------------- running


@pytest.fixture
def gradient() -> Image.Image:
    return Image.merge("RGB", [Image.linear_gradient("L").rotate(angle) for angle in (0, 90, 180)])


def inverting(name: str) -> api.Prompt:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }


def slow(steps: int) -> api.Prompt:
    return {"1": {"class_type": "ProbeSlow", "inputs": {"steps": steps}}}


@pytest.fixture
def idle(comfyui: Client) -> Iterator[None]:
    """Checks that a test leaves nothing running or waiting."""
    yield
    deadline = time.monotonic() + 30  # far less than what a test would leave running
    while (queue := comfyui._get("/queue").json()) != {"queue_running": [], "queue_pending": []}:
        assert time.monotonic() < deadline, queue


def test_an_uploaded_picture_runs_through_the_graph_and_comes_back(
    comfyui: Client, gradient: Image.Image, tmp_path: Path
) -> None:
    file = tmp_path / "gradient.png"
    gradient.save(file)
    for picture in (gradient, file):
        ran = comfyui.run(inverting(comfyui.upload(picture, "gradient.png")))
        (shown,) = ran.pictures()
        assert (shown.node, shown.type) == ("3", "temp")
        difference = ImageChops.difference(comfyui.image(shown).convert("RGB"), ImageChops.invert(gradient))
        assert max(high for low, high in difference.getextrema()) <= 1  # ComfyUI cuts to eight bits, it does not round


def test_the_cache_shows_in_what_ran(comfyui: Client, gradient: Image.Image) -> None:
    prompt = inverting(comfyui.upload(gradient, "cached.png"))
    assert comfyui.run(prompt).ran == ["1", "2", "3"]
    again = comfyui.run(prompt)
    assert again.ran == []
    assert len(again.pictures(3)) == 1 and again.pictures(2) == []
    prompt["2"] = {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 1, "sigma": 1.0}}
    assert comfyui.run(prompt).ran == ["2", "3"]


def test_progress_counts_nodes_and_steps_upwards(comfyui: Client) -> None:
    seen: list[api.Progress] = []
    comfyui.run(slow(6), seen.append)
    values = [progress.value for progress in seen if progress.maximum == 6]
    assert values == sorted(set(values)) and {1, 6} <= set(values) <= set(range(1, 7))  # newer hosts leave some of them out
    assert {(progress.node, progress.started, progress.nodes) for progress in seen} == {("1", 1, 1)}


@pytest.mark.usefixtures("idle")
def test_a_prompt_that_cannot_run_is_rejected_with_comfyuis_words(comfyui: Client) -> None:
    prompt = {"1": {"class_type": "EmptyLatentImage", "inputs": {"width": 3, "height": 64, "batch_size": 1}}}
    prompt["2"] = {"class_type": "PreviewImage", "inputs": {}}
    prompt["3"] = {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "x"}}
    with pytest.raises(api.PromptRejected, match=r"EmptyLatentImage \(node 1\): Value 3 smaller than min of 16") as rejected:
        comfyui.run(prompt)
    assert "PreviewImage (node 2): Required input is missing: images" in str(rejected.value)
    assert set(rejected.value.node_errors) == {"1", "2"}


@pytest.mark.usefixtures("idle")
def test_a_prompt_of_which_only_a_part_can_run_does_not_run_at_all(comfyui: Client) -> None:
    prompt = slow(2000) | {"2": {"class_type": "PreviewImage", "inputs": {}}}
    with pytest.raises(api.PromptRejected, match=r"PreviewImage \(node 2\): Required input is missing"):
        comfyui.run(prompt)


def test_a_prompt_without_an_output_is_rejected(comfyui: Client) -> None:
    with pytest.raises(api.PromptRejected, match="Prompt has no outputs"):
        comfyui.run({"1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}})


def test_a_node_that_raises_is_named_with_its_own_words(comfyui: Client, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    with pytest.raises(api.NodeFailed, match=r"LoadImage \(node 1\): cannot identify image file") as failed:
        comfyui.run(inverting(comfyui.upload(broken, "broken.png")))
    assert failed.value.node == "1" and "UnidentifiedImageError" in failed.value.kind
    assert "load_image" in failed.value.trace


@pytest.mark.usefixtures("idle")
def test_cancelling_stops_the_run(comfyui: Client) -> None:
    with pytest.raises(api.Interrupted, match=r"cancelled in ProbeSlow \(node 1\)"):
        comfyui.run(slow(2000), lambda progress: comfyui.cancel())


@pytest.mark.usefixtures("idle")
def test_ctrl_c_in_the_program_cancels_what_it_runs(comfyui: Client) -> None:
    def press(progress: api.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        comfyui.run(slow(2000), press)
    assert comfyui.run(slow(1)).outputs["1"]["text"] == ["1 steps"]


@pytest.mark.usefixtures("idle")
def test_a_run_that_takes_too_long_is_cancelled(comfyui: Client) -> None:
    with pytest.raises(TimeoutError, match="did not finish the prompt within 0.5 s; it was cancelled"):
        comfyui.run(slow(2001), timeout=0.5)
    assert comfyui.run(slow(1)).outputs["1"]["text"] == ["1 steps"]


def test_a_proxy_for_the_outside_world_is_not_asked(comfyui_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert Client(comfyui_server.url).run(slow(1)).outputs["1"]["text"] == ["1 steps"]


# ------------------------------------------------------------------------------------------------------------- the demo


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "OUTPUT", tmp_path / "output")
    return tmp_path


def test_the_demo_saves_pictures_under_their_titles(comfyui: Client, gradient: Image.Image, folders: Path) -> None:
    prompt = inverting(comfyui.upload(gradient, "saved.png"))
    prompt["3"]["_meta"] = {"title": "Heatmap: for zebra"}
    prompt |= {number: copy.deepcopy(prompt["3"]) for number in ("4", "5")}
    prompt["4"]["_meta"] = prompt["5"]["_meta"] = {"title": "Twin"}
    saved = run.save_pictures(comfyui, "zebra", prompt, comfyui.run(prompt))
    assert sorted(file.name for file in saved) == [
        "zebra_heatmap_for_zebra.png",
        "zebra_twin_1.png",
        "zebra_twin_2.png",
    ]
    assert all(Image.open(file).size == gradient.size for file in saved)


def test_the_demo_leaves_out_what_needs_a_download() -> None:
    model = {"name": "large.safetensors", "url": "https://example.com/large.safetensors", "directory": "checkpoints"}
    workflow = {"nodes": [{"type": "Loader", "properties": {"models": [model]}}, {"type": "Note"}]}
    here = {"Loader": {"input": {"required": {"name": [["large.safetensors"], {}]}}}}
    elsewhere = {"Loader": {"input": {"required": {"name": ["COMBO", {"options": ["small.safetensors"]}]}}}}
    assert run.downloads(workflow, here) == []
    assert run.downloads(workflow, elsewhere) == ["https://example.com/large.safetensors"]


def test_the_thumbnail_is_the_heatmap_nodes_overlay() -> None:
    outputs = {number: {"images": [{"filename": f"{number}.png", "subfolder": "", "type": "temp"}]} for number in ("1", "2", "3")}
    prompt = {
        "1": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["9", 1]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["9", 0]}},
        "8": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "9": {"class_type": run.OVERLAY_NODE, "inputs": {"opacity": 0.5}},
    }
    assert [picture.filename for picture in run.thumbnail(prompt, api.Run("", outputs=outputs))] == ["3.png"]
    assert [picture.filename for picture in run.thumbnail(prompt, api.Run("", outputs=outputs), 2)] == ["2.png"]
    del outputs["3"]
    with pytest.raises(ValueError, match="No node of this workflow shows the overlay"):
        run.thumbnail(prompt, api.Run("", outputs=outputs))


def test_a_thumbnail_lies_beside_its_workflow_under_its_name(gradient: Image.Image, tmp_path: Path) -> None:
    run.save_thumbnail([gradient.resize((1024, 500))] * 2, tmp_path / "zebra_or_horse.json")
    saved = Image.open(tmp_path / "zebra_or_horse.jpg")
    assert (saved.format, saved.size) == ("JPEG", (1024, 250))
