"""The blueprint of the open graph: offered by ComfyUI, of nodes and values that are there, and placed,
run and unpacked in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdexplain.tools.page import RUN, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

(FILE,) = (Path(__file__).resolve().parent.parent.parent / "subgraphs").glob("*.json")
FEW = {"steps": 2, "samples": 1}
# Loads the blueprint, gives it picture and model, and a preview; the node's own widgets are set by name.
PLACE = """async ([blueprint, values]) => {
    await app.loadGraphData(blueprint, true, true, 'test')
    const [node] = app.graph.nodes
    const add = kind => { const made = LiteGraph.createNode(kind); app.graph.add(made); return made }
    const [picture, loader, preview] = ['SDExplainExamplePicture', 'SDExplainLoadDiffusers', 'PreviewImage'].map(add)
    const input = name => node.inputs.findIndex(slot => slot.name === name)
    picture.connect(0, node, input('image'))
    for (const [output, name] of ['model', 'clip', 'vae'].entries()) loader.connect(output, node, input(name))
    node.connect(0, preview, 0)
    for (const [name, value] of Object.entries(values)) node.widgets.find(widget => widget.name === name).value = value
    return {
        title: node.title,
        isSubgraph: node.isSubgraphNode(),
        outputs: node.outputs.map(slot => slot.name),
        widgets: Object.fromEntries(node.widgets.map(widget => [widget.name, widget.value])),
    }
}"""
# Run it with the verdict's words in a preview, and give them back.
SAYS = f"""async () => {{
    const node = app.graph.nodes.find(node => node.isSubgraphNode?.()), preview = LiteGraph.createNode('PreviewAny')
    app.graph.add(preview)
    node.connect(node.outputs.findIndex(slot => slot.name === 'verdict'), preview, 0)
    const ended = await ({RUN})()
    while (!app.nodeOutputs[preview.id]) await new Promise(done => setTimeout(done, 50))
    return {{ ...ended, says: app.nodeOutputs[preview.id].text[0] }}
}}"""
WIDGETS = """() => Object.fromEntries(app.graph.nodes.find(node => node.isSubgraphNode?.()).widgets
    .map(widget => [widget.name, widget.value]))"""
SHOWN = "app.graph.nodes.find(node => node.type === 'PreviewImage').imgs?.[0]?.naturalWidth > 0"


def subgraph() -> dict[str, Any]:
    (only,) = json.loads(FILE.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    return only


def test_comfyui_offers_it(comfyui: Client) -> None:
    offered = comfyui._get("/global_subgraphs").json()
    ((number, entry),) = ((number, e) for number, e in offered.items() if e["info"]["node_pack"] == "custom_nodes.sdexplain")
    assert entry["name"] == FILE.stem == subgraph()["name"]
    assert json.loads(comfyui._get(f"/global_subgraphs/{number}").json()["data"]) == json.loads(FILE.read_text())


def test_any_computer_can_read_it() -> None:
    """Older ComfyUIs read it in the computer's own encoding."""
    assert FILE.read_bytes().isascii()


def test_its_links_join_slots_that_the_server_knows(comfyui: Client) -> None:
    graph, info = subgraph(), comfyui.object_info()
    nodes = {node["id"]: node for node in graph["nodes"]}
    for link in graph["links"]:
        if link["origin_id"] > 0:
            assert info[nodes[link["origin_id"]]["type"]]["output"][link["origin_slot"]] == link["type"]
        if link["target_id"] > 0:
            slot = nodes[link["target_id"]]["inputs"][link["target_slot"]]
            assert (slot["type"], slot["link"]) == (link["type"], link["id"])
    for node in graph["nodes"]:
        declared = info[node["type"]]["input"]
        assert {slot["name"] for slot in node["inputs"]} == set(declared["required"]) | set(declared.get("optional", {}))


def test_it_gives_what_explain_image_gives(comfyui: Client) -> None:
    explain = comfyui.object_info("SDExplainExplain")["SDExplainExplain"]
    assert [slot["name"] for slot in subgraph()["outputs"]] == explain["output_name"]
    assert {slot["name"] for slot in subgraph()["inputs"]} <= set(explain["input"]["required"])


def test_it_is_placed_run_and_unpacked(classic: Page) -> None:
    placed = classic.evaluate(PLACE, [json.loads(FILE.read_text()), FEW])
    assert (placed["title"], placed["isSubgraph"]) == (FILE.stem, True)
    assert placed["widgets"] == placed["widgets"] | FEW | {"target_prompt": "a photo of a zebra", "opacity": 0.8}
    assert classic.evaluate(RUN) == {"refused": [], "failed": None}
    classic.evaluate("Object.assign(app.canvas.ds, { scale: 0.5, offset: [300, 300] })")
    classic.wait_for_function(SHOWN, timeout=60_000)
    classic.evaluate("app.graph.unpackSubgraph(app.graph.nodes.find(node => node.isSubgraphNode?.()))")
    kinds = classic.evaluate("app.graph.nodes.map(node => node.type)")
    assert sorted(kinds) == sorted(
        [node["type"] for node in subgraph()["nodes"]] + ["SDExplainExamplePicture", "SDExplainLoadDiffusers", "PreviewImage"]
    )
    assert classic.evaluate(RUN) == {"refused": [], "failed": None}
    # the page says so of every input of a subgraph that is unpacked which nothing is linked to
    classic.problems[:] = [problem for problem in classic.problems if "Missing Link ID when unpacking" not in problem]


def test_its_words_follow_its_prompts(classic: Page) -> None:
    asked = {"target_prompt": "a photo of a taxi", "contrast_prompt": "a photo of a sports car"}
    placed = classic.evaluate(PLACE, [json.loads(FILE.read_text()), FEW | asked])
    assert placed["widgets"] == placed["widgets"] | asked | {"target_label": "", "contrast_label": ""}
    ran = classic.evaluate(SAYS)
    assert ran == ran | {"refused": [], "failed": None}
    assert "taxi" in ran["says"] and "sports car" in ran["says"] and "zebra" not in ran["says"]


def test_what_is_written_into_it_is_saved_with_the_workflow(classic: Page, comfyui_server: Server) -> None:
    asked = FEW | {"target_prompt": "a taxi", "contrast_prompt": "", "target_label": "cab", "seed": 5, "opacity": 0.3}
    placed = classic.evaluate(PLACE, [json.loads(FILE.read_text()), asked])
    saved = classic.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")
    classic.evaluate("saved => app.loadGraphData(saved, true, true, 'again')", saved)
    assert classic.evaluate(WIDGETS) == placed["widgets"]
    open_page(classic, comfyui_server.url)
    classic.evaluate("saved => app.loadGraphData(saved, true, true, 'again')", saved)
    assert classic.evaluate(WIDGETS) == placed["widgets"] | asked
