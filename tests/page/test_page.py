"""The pack in ComfyUI's real page: its nodes, its templates, and the workflows loaded and run by the page itself."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sdexplain.tools.demo import find_workflow
from sdexplain.tools.explorer_page import NEW
from sdexplain.tools.page import RUN, of_the_pack, open_page
from sdexplain.tools.workflow_file import WIDGET_TYPES

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

WORKFLOWS = Path(__file__).resolve().parent.parent.parent / "workflows"
FILES = sorted(WORKFLOWS.glob("*.json"))
BUNDLED = [file for file in FILES if '"models": [' not in file.read_text(encoding="utf-8")]
# Those that show a person's words in all the ways that there are.
SPEAKING = [find_workflow(name) for name in ("zebra_or_horse", "verdict", "rivals", "sanity_check")]
NODES = {
    "SDExplainExamplePicture",
    "SDExplainLoadDiffusers",
    "SDExplainExplain",
    "SDExplainNoiseLatent",
    "SDExplainPredictNoise",
    "SDExplainRivals",
    "SDExplainSavePredictions",
    "SDExplainLoadPredictions",
    "SDExplainSumDifference",
    "SDExplainHeatmap",
    "SDExplainStepSheet",
    "SDExplainStepAnimation",
    "SDExplainSanity",
    "SDExplainVerdict",
    "SDExplainAgreement",
    "SDExplainExplore",
    "SDExplainLoadClassifier",
    "SDExplainAttribution",
    "SDExplainFaithfulness",
    "SDExplainMapSheet",
}
# where a node's widgets hold what a person writes
TEXTS = {"CLIPTextEncode": [0], "SDExplainPredictNoise": [0, 1], "SDExplainRivals": [0, 1], "SDExplainSanity": [4, 5]}
# as few steps, noise samples and pictures as there may be, by the place of their widget
FEW = {
    "SDExplainNoiseLatent": {0: 2, 4: 2},
    "SDExplainExplain": {2: 2, 3: 2},
    "SDExplainSanity": {0: 2, 1: 2},
    "SDExplainStepSheet": {0: 2},
    "SDExplainStepAnimation": {0: 1},
    "KSampler": {2: 2},
}
SHOWING = (
    *("SDExplainExplain", "SDExplainHeatmap", "SDExplainStepSheet", "SDExplainRivals", "SDExplainSanity", "SDExplainVerdict"),
    "PreviewImage",
)

FETCHED = "async route => (await fetch(window.comfyAPI.api.api.apiURL(route))).json()"
# What the page has been told is drawn after two frames.
FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
IN_NODES_2 = "app.extensionManager.setting.get('Comfy.VueNodes.Enabled')"
# Each under a name of its own: newer pages show what nodes of the same name's graph gave before.
LOAD = """async workflow => {
    await app.loadGraphData(workflow, true, true, workflow.id)
    return app.graph.nodes.map(node => ({
        type: node.type,
        missing: !(node.type in LiteGraph.registered_node_types),
        red: Boolean(node.has_errors),
        slots: node.inputs.length + node.outputs.length,
        small: node.size[0] < node.computeSize()[0] - 1 || node.size[1] < node.computeSize()[1] - 1,
        widgets: (node.widgets ?? []).length,
    }))
}"""
# One node of each kind, side by side.
MOUNT = """kinds => { app.graph.clear(); return Object.fromEntries(kinds.map((kind, place) => {
    const node = LiteGraph.createNode(kind)
    node.pos = [(place % 5) * 700, Math.floor(place / 5) * 1000]
    app.graph.add(node)
    return [kind, {
        id: node.id,
        inputs: node.inputs.map(slot => slot.name),
        outputs: node.outputs.map(slot => slot.type),
        widgets: (node.widgets ?? []).map(widget => widget.name),
        rows: (node.widgets ?? []).filter(widget => widget.name !== 'control_after_generate' && !widget.hidden
            && !widget.options?.hidden && !widget.options?.advanced).length,
        title: node.title }]
})) }"""
VALUES = """() => Object.fromEntries(app.graph.nodes.map(node => [node.type, Object.fromEntries((node.widgets ?? [])
    .filter(widget => ['number', 'combo', 'toggle', 'text', 'string', 'customtext'].includes(widget.type))
    .map(widget => [widget.name, widget.value]).filter(([name]) => node.properties.changed?.includes(name)))]))"""
# Another value than the default in every widget that has another, as its page's own control would set it.
CHANGE = """() => {
    const other = widget => {
        const { options, type, value } = widget
        if (type === 'combo') {
            const all = typeof options.values === 'function' ? options.values(widget) : options.values
            return all.findLast(choice => choice !== value)
        }
        if (type === 'toggle') return !value
        if (type === 'number') {
            const next = value + (options.step2 ?? options.step / 10)
            return next <= options.max ? next : options.min
        }
        if (['text', 'string', 'customtext'].includes(type)) return value + ' <b>zèbre</b>\\n"斑马"'
    }
    for (const node of app.graph.nodes) {
        node.properties.changed = []
        for (const widget of node.widgets ?? []) {
            const value = other(widget)
            if (value === undefined) continue
            widget.value = value
            widget.callback?.(value)
            node.properties.changed.push(widget.name)
        }
    }
}"""
CONNECT = """cases => cases.map(([source, output, target, name]) => {
    const of = kind => app.graph.nodes.find(node => node.type === kind), to = of(target)
    const slot = to.inputs.findIndex(input => input.name === name)
    of(source).connect(output, to, slot)
    const linked = to.inputs[slot].link != null
    to.disconnectInput(slot)
    return linked
})"""
# Elements that came of a text. ComfyUI's own Preview as Text reads its text as Markdown, and takes out of it what could run.
MADE_OF_TEXT = """() => [...document.querySelectorAll('img[src=x]')].filter(image => image.onerror
    || app.graph.getNodeById(image.closest('[data-node-id]')?.dataset.nodeId)?.type !== 'PreviewAny')
    .map(image => image.outerHTML)"""
# A picture of the same address that is put into the page after them: once it has failed, so have they.
A_LATER_PICTURE_FAILS = """() => new Promise(done => {
    const picture = Object.assign(document.createElement('img'), { onerror: done, src: 'x' })
    document.body.append(picture)
}).then(() => document.querySelectorAll('body > img').forEach(picture => picture.remove()))"""
# Those that the nodes made: what the page shows of a run that is under way has an address of its own.
PICTURES_LOADED = """kinds => app.graph.nodes.filter(node => kinds.includes(node.type)).every(
    node => node.imgs?.length
        && node.imgs.every(image => image.complete && image.naturalWidth > 0 && !image.src.startsWith('blob:')))"""
# A node's pictures on the page: after it has shown a run that is under way, then after it has given one of its own.
SHOW_THEN_GIVE = """async kind => {
    const node = LiteGraph.createNode(kind), { api } = window.comfyAPI.api
    app.graph.add(node)
    Object.assign(node, { pos: [0, 0], size: [400, 900] })
    Object.assign(app.canvas.ds, { scale: 1, offset: [200, 60] })
    const picture = new OffscreenCanvas(64, 64), form = new FormData(), id = String(node.id)
    picture.getContext('2d').fillRect(0, 0, 64, 64)
    const blob = await picture.convertToBlob({ type: 'image/jpeg' })
    form.append('image', new File([blob], 'given.jpg'))
    await api.fetchApi('/upload/image', { method: 'POST', body: form })
    const shown = async wanted => {
        const all = () => [...node.imgs ?? [], ...document.querySelectorAll(`[data-node-id="${id}"] img`)].map(({ src }) => src)
        for (let i = 0; i < 300 && !wanted(all()); i++) {
            app.canvas.draw(true, true)
            await new Promise(done => setTimeout(done, 50))
        }
        return all()
    }
    const tell = (kind, detail) => api.dispatchEvent(new CustomEvent(kind, { detail }))
    tell('b_preview_with_metadata', { blob, nodeId: id, displayNodeId: id, parentNodeId: id, realNodeId: id, jobId: id })
    const before = await shown(all => all.length)
    const images = [{ filename: 'given.jpg', subfolder: '', type: 'input' }]
    tell('executed', { node: id, display_node: id, output: { images } })
    return [before, await shown(all => all.length && all.every(src => src.includes('given.jpg')))]
}"""
APP_PICTURE_LOADED = """() => [...document.images].some(
    image => image.src.includes('type=temp') && image.complete && image.naturalWidth >= 512)"""
# Each wire is drawn by itself; what two of them have in common is a crossing, unless they leave the same output, or it lies
# behind a node, where wires can't be seen, or right at a slot.
CROSSINGS = """() => {
    const scale = 0.5, margin = 14
    const nodes = app.graph.nodes.map(node => [node.pos[0], node.pos[1] - 30, node.size[0], node.size[1] + 30])
    const left = Math.min(...nodes.map(box => box[0])) - 100, top = Math.min(...nodes.map(box => box[1])) - 200
    const width = Math.max(...nodes.map(box => box[0] + box[2])) + 100 - left
    const height = Math.max(...nodes.map(box => box[1] + box[3])) + 200 - top
    const canvas = new OffscreenCanvas(width * scale, height * scale)
    const context = canvas.getContext('2d', { willReadFrequently: true })
    context.scale(scale, scale)
    context.translate(-left, -top)
    const wires = new Map()
    for (const link of app.graph.links.values()) {
        const key = link.origin_id + ':' + link.origin_slot
        if (!wires.has(key)) wires.set(key, new Set())
        wires.get(key).add(link.path)
        for (let id = link.parentId; id != null; id = app.graph.reroutes.get(id).parentId)
            wires.get(key).add(app.graph.reroutes.get(id).path)
    }
    const owner = new Uint8Array(canvas.width * canvas.height), found = new Set(), names = [...wires.keys()]
    let drawn = 0
    names.forEach((key, place) => {
        context.clearRect(left, top, width, height)
        context.lineWidth = 3
        for (const path of wires.get(key)) if (path) { context.stroke(path); drawn += 1 }
        for (const box of nodes) context.clearRect(box[0] - margin, box[1], box[2] + 2 * margin, box[3])
        const alpha = context.getImageData(0, 0, canvas.width, canvas.height).data
        for (let pixel = 0; pixel < owner.length; pixel++) {
            if (alpha[4 * pixel + 3] < 128) continue
            if (owner[pixel]) found.add(names[owner[pixel] - 1] + ' crosses ' + key)
            owner[pixel] = place + 1
        }
    })
    return { drawn, found: [...found] }
}"""

# Left, top, right and bottom of each node, as the renderer draws it: Nodes 2.0 makes small ones larger than they were saved.
BOXES = """() => app.graph.nodes.map(node => {
    const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect(), { scale } = app.canvas.ds
    const [width, height] = drawn ? [drawn.width / scale, drawn.height / scale] : [node.size[0], node.size[1] + 30]
    return [node.title, node.pos[0], node.pos[1] - 30, node.pos[0] + width, node.pos[1] - 30 + height]
})"""


SMALLEST_SCALE = 0.6
# How large the page draws its graph, whether it leaves texts out, and which nodes are not within its window.
READABLE = """() => {
    const { ds, canvas } = app.canvas, [left, top] = ds.offset
    app.canvas.draw(true, true)
    return [ds.scale, app.canvas.low_quality, app.graph.nodes.filter(({ pos, size }) => (pos[0] + left) * ds.scale < 0
        || (pos[1] - 30 + top) * ds.scale < 0 || (pos[0] + size[0] + left) * ds.scale > canvas.clientWidth
        || (pos[1] + size[1] + top) * ds.scale > canvas.clientHeight).map(node => node.title)]
}"""


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def with_few_steps(workflow: dict[str, Any]) -> dict[str, Any]:
    for node in workflow["nodes"]:
        for place, most in FEW.get(node["type"], {}).items():
            node["widgets_values"][place] = min(most, node["widgets_values"][place])
    return workflow


def see_all(page: Page) -> None:
    """Bring the whole graph into sight: what is out of it has no wires yet, loads no pictures, and in Nodes 2.0 is not drawn."""
    page.set_viewport_size({"width": 2600, "height": 1600})
    page.evaluate("Object.assign(app.canvas.ds, { scale: 0.4, offset: [250, 300] })")
    if page.evaluate(IN_NODES_2):
        page.wait_for_function("""() => { app.canvas.draw(true, true)
            return document.querySelectorAll('.lg-node').length === app.graph.nodes.length }""")
    page.evaluate(FRAMES)
    page.evaluate("app.canvas.draw(true, true)")


def run_small(page: Page) -> dict[str, Any]:
    """Run the graph in a small window: while anything runs, the page draws itself anew all the time."""
    page.set_viewport_size({"width": 800, "height": 600})
    return page.evaluate(RUN)


def own_nodes(comfyui: Client) -> dict[str, Any]:
    return {name: info for name, info in comfyui.object_info().items() if name.startswith("SDExplain")}


def declared(info: dict[str, Any]) -> dict[str, Any]:
    return info["input"].get("required", {}) | info["input"].get("optional", {})


def test_every_node_of_the_pack_mounts_with_all_its_slots_and_widgets(blank: Page, comfyui: Client) -> None:
    offered = own_nodes(comfyui)
    assert set(offered) == NODES and set(blank.evaluate("Object.keys(LiteGraph.registered_node_types)")) >= NODES
    mounted = blank.evaluate(MOUNT, sorted(NODES))
    for kind, info in offered.items():
        node, inputs = mounted[kind], declared(info)
        assert set(node["inputs"]) == set(inputs), kind
        assert node["outputs"] == info["output"], kind
        assert node["title"] == info["display_name"], kind
        values = {name for name, (kind_of, *_) in inputs.items() if isinstance(kind_of, list) or kind_of in WIDGET_TYPES}
        assert values <= set(node["widgets"]), kind
    if blank.evaluate(IN_NODES_2):
        for kind, node in mounted.items():
            blank.evaluate("id => { app.canvas.centerOnNode(app.graph.getNodeById(id)) }", node["id"])
            box = blank.locator(f"[data-node-id='{node['id']}']")
            box.wait_for()
            assert node["title"] in box.inner_text(), kind
            drawn = box.locator(".lg-slot").count() - box.locator(".lg-node-widget .lg-slot").count()
            plain = [name for name in node["inputs"] if name not in node["widgets"]]
            assert drawn == len(plain) + len(node["outputs"]), kind
            assert box.locator(".lg-node-widget").count() == node["rows"], kind


def test_a_value_in_every_widget_survives_saving_and_a_refresh(blank: Page, comfyui: Client, comfyui_server: Server) -> None:
    blank.evaluate(MOUNT, sorted(NODES))
    blank.evaluate(CHANGE)
    chosen = blank.evaluate(VALUES)
    assert {kind for kind, values in chosen.items() if values} == {
        kind for kind, info in own_nodes(comfyui).items() if any(takes_a_value(slot) for slot in declared(info).values())
    }
    saved = blank.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")
    open_page(blank, comfyui_server.url)
    blank.evaluate("saved => app.loadGraphData(saved, true, true, 'test')", saved)
    assert blank.evaluate(VALUES) == chosen
    again = blank.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")
    assert [node.get("widgets_values") for node in again["nodes"]] == [node.get("widgets_values") for node in saved["nodes"]]


def takes_a_value(slot: list[Any]) -> bool:
    """Whether an input has a widget whose value can be changed: a list of one has none."""
    kind, *rest = slot
    options = kind if isinstance(kind, list) else rest[0].get("options") if rest and kind == "COMBO" else None
    return len(options) > 1 if options is not None else kind in WIDGET_TYPES


def test_links_connect_what_is_of_one_type_and_nothing_else(blank: Page, comfyui: Client) -> None:
    blank.evaluate(MOUNT, sorted(NODES))
    offered = own_nodes(comfyui)
    fits = {
        (source, output, target, name): bool({*kind.split(",")} & {*wanted.split(",")}) or "*" in (kind, wanted)
        for source, given in offered.items()
        for target, taken in offered.items()
        for output, kind in enumerate(given["output"])
        for name, (wanted, *_) in declared(taken).items()
        if source != target and isinstance(wanted, str) and wanted not in WIDGET_TYPES
    }
    assert any(fits.values()) and not all(fits.values())
    assert dict(zip(fits, blank.evaluate(CONNECT, list(fits)), strict=True)) == fits


def test_every_template_opens_as_it_was_saved_with_nothing_missing_nothing_red_and_nothing_over_each_other(
    blank: Page, subtests: pytest.Subtests
) -> None:
    nodes_2 = blank.evaluate(IN_NODES_2)
    for file in FILES:
        with subtests.test(file.stem):
            nodes = blank.evaluate(LOAD, workflow := read(file))
            assert [node["type"] for node in nodes] == [node["type"] for node in workflow["nodes"]]
            assert [node["type"] for node in nodes if node["missing"]] == []
            # newer pages mark the nodes whose file is not here: the person's picture, and what is downloaded
            files = {
                node["type"] for node in workflow["nodes"] if node["type"] == "LoadImage" or node["properties"].get("models")
            }
            assert {node["type"] for node in nodes if node["red"]} <= files
            saved = blank.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")
            see_all(blank)
            assert overlaps(blank) == []
            if not nodes_2:  # which draws its nodes itself, as large as it likes, and its wires behind them
                assert [node["type"] for node in nodes if node["small"]] == []
                assert_as_saved(saved, workflow)
                wires = blank.evaluate(CROSSINGS)
                assert wires["drawn"] >= len(workflow["links"])
                assert wires["found"] == []
            assert of_the_pack(blank) == []


def assert_as_saved(saved: dict[str, Any], workflow: dict[str, Any]) -> None:
    """The page gives a workflow back as its file has it."""
    for entry, again in zip(workflow["nodes"], saved["nodes"], strict=True):
        for key in ("id", "type", "pos", "properties"):
            assert (again.get(key) or []) == (entry.get(key) or []), (entry["type"], key)
        values = entry.get("widgets_values") or []  # where a node has got widgets since, they follow with their defaults
        assert (again.get("widgets_values") or [])[: len(values)] == values, entry["type"]
        # newer pages give some nodes a few pixels more
        assert all(0 <= now - was < 20 for now, was in zip(again["size"], entry["size"], strict=True)), entry["type"]
    assert saved["links"] == workflow["links"]


def test_nodes_that_grow_with_their_results_lie_over_no_others(blank: Page) -> None:
    version = tuple(map(int, blank.evaluate("window.__COMFYUI_FRONTEND_VERSION__").split(".")[:2]))
    if version < (1, 47) and blank.evaluate(IN_NODES_2):
        pytest.skip("Nodes 2.0 of this page gives pictures a height of their own, however large their node was saved")
    blank.evaluate(LOAD, with_few_steps(read(find_workflow("zebra_or_horse"))))
    see_all(blank)
    assert blank.evaluate(RUN) == {"refused": [], "failed": None}
    blank.wait_for_function("[...document.images].every(image => image.complete)")
    assert overlaps(blank) == []


def overlaps(page: Page) -> list[str]:
    """Which nodes lie over each other, once none grows any more."""
    before, boxes = None, page.evaluate(BOXES)
    while boxes != before:
        page.evaluate(FRAMES)
        before, boxes = boxes, page.evaluate(BOXES)
    return [
        f"{one} and {other}"
        for (one, left, top, right, bottom), (other, left_2, top_2, right_2, bottom_2) in combinations(boxes, 2)
        if left < right_2 and left_2 < right and top < bottom_2 and top_2 < bottom
    ]


def with_html(workflow: dict[str, Any]) -> dict[str, Any]:
    """The workflow with HTML that would run in every title and behind every text of a person's."""
    evil = "<img src=x onerror='window.wasHere=1'><script>window.wasHere=1</script>"
    for node in workflow["nodes"]:
        node["title"] = evil
        for place in TEXTS.get(node["type"], ()):
            node["widgets_values"][place] += evil
    return workflow


def assert_no_html_ran(page: Page) -> None:
    page.evaluate(A_LATER_PICTURE_FAILS)
    assert page.evaluate("window.wasHere") is None
    assert page.evaluate(MADE_OF_TEXT) == []


def test_a_workflow_run_in_the_page_shows_its_pictures_on_its_nodes_and_executes_no_html(
    classic: Page, subtests: pytest.Subtests
) -> None:
    for file in BUNDLED:
        with subtests.test(file.stem):
            workflow = with_few_steps(read(file))
            classic.evaluate(LOAD, with_html(workflow) if file in SPEAKING else workflow)
            assert run_small(classic) == {"refused": [], "failed": None}
            if classic.evaluate("Boolean(app.graph.extra.linearMode)"):  # an app shows its answer in place of the graph
                classic.wait_for_function(APP_PICTURE_LOADED, timeout=60_000)
            else:
                see_all(classic)
                classic.wait_for_function(PICTURES_LOADED, arg=list(SHOWING), timeout=60_000)
            assert_no_html_ran(classic)
            assert of_the_pack(classic) == []


@pytest.mark.parametrize("renderer", ["Nodes 2.0"], indirect=True)
def test_texts_with_html_are_not_executed_in_nodes_2(blank: Page, subtests: pytest.Subtests) -> None:
    for file in SPEAKING:
        with subtests.test(file.stem):
            blank.evaluate(LOAD, with_html(with_few_steps(read(file))))
            assert run_small(blank) == {"refused": [], "failed": None}
            see_all(blank)
            assert_no_html_ran(blank)


def test_a_nodes_own_picture_takes_the_place_of_what_it_showed_of_its_run(blank: Page) -> None:
    blank.evaluate(NEW)
    before, after = blank.evaluate(SHOW_THEN_GIVE, "SDExplainExplain")
    assert before and all(address.startswith("blob:") for address in before)
    assert after and all("given.jpg" in address for address in after)


def test_a_box_for_text_leaves_the_rest_of_its_node_to_the_picture(blank: Page) -> None:
    for kind in ("SDExplainMapSheet", "SDExplainRivals"):
        blank.evaluate(NEW)
        blank.evaluate(SHOW_THEN_GIVE, kind)
        blank.evaluate(FRAMES)
        ((_, _, top, _, bottom),) = blank.evaluate(BOXES)
        heights = blank.evaluate("[...document.querySelectorAll('textarea')].map(box => box.offsetHeight)")
        marked = blank.evaluate("document.querySelector('[data-widget-name]') !== null")
        if marked or not blank.evaluate(IN_NODES_2):
            assert 50 < max(heights) < 120
        else:  # without the marks of its widgets the node can't be told from others: picture and box share its height
            assert 50 < max(heights) < blank.evaluate("document.querySelector('[data-node-id] img').offsetHeight")
        if marked:  # older ones add room for the picture
            assert bottom - top < 950


def test_a_new_example_picture_keeps_its_scene(classic: Page) -> None:
    classic.evaluate(MOUNT, ["SDExplainExamplePicture"])
    control = "app.graph.nodes[0].widgets.find(widget => widget.name === 'control_after_generate').value"
    assert classic.evaluate(control) == "fixed"


def test_an_empty_range_is_refused_in_words_and_the_rest_runs(classic: Page) -> None:
    workflow = with_few_steps(read(find_workflow("zebra_or_horse")))
    (total,) = (node for node in workflow["nodes"] if node.get("title") == "Sum: evidence")
    total["widgets_values"][:2] = [2, 1]
    classic.evaluate(LOAD, workflow)
    ((number, words),) = (result := classic.evaluate(RUN))["refused"]
    assert number == str(total["id"]) and "The range 2-1 is empty: start must be less than end" in words
    assert result["failed"] is None


def test_the_templates_are_offered_in_the_page(comfyui_page: Page, comfyui: Client) -> None:
    offered = comfyui._get("/workflow_templates").json()["sdexplain"]
    assert sorted(offered) == [file.stem for file in FILES]
    for file in FILES:
        assert comfyui._get(f"/api/workflow_templates/sdexplain/{file.name}").json() == read(file)
    listed = comfyui_page.evaluate("async () => (await window.comfyAPI.api.api.getWorkflowTemplates()).sdexplain")
    assert listed[0].startswith("first_look") and sorted(listed) == sorted(offered)
    opened = comfyui_page.evaluate(FETCHED, "/workflow_templates/sdexplain/first_look.json")  # as a link of an older version asks
    assert opened == read(find_workflow("first_look"))
    comfyui_page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    (dialog := comfyui_page.get_by_role("dialog")).wait_for()
    dialog.get_by_text("sdexplain", exact=False).first.click()
    for words, found in (("heatmap", "first_look"), ("classifier", "rivals"), ("compare prompts", "zebra_or_horse")):
        dialog.locator("input").first.fill(words)
        dialog.get_by_text("against_empty").wait_for(state="detached", timeout=30_000)
        dialog.get_by_text(found).first.wait_for(timeout=30_000)


def test_every_template_opens_at_a_size_at_which_its_texts_are_drawn(classic: Page) -> None:
    """Newer pages fit a template into their window, older ones take the view that the file names; both leave texts out of what
    is too small. No node lies outside of the window."""
    small, outside = {}, {}
    for file in FILES:
        workflow = read(file)
        workflow["extra"].pop("linearMode", None)  # an app shows no graph until one asks for it
        views = workflow["extra"].pop("ds"), None  # as an older page opens it, then as a newer one does
        for view in views:
            classic.evaluate(LOAD, workflow | {"extra": workflow["extra"] | ({"ds": view} if view else {})})
            classic.evaluate(FRAMES)
            scale, low, out = classic.evaluate(READABLE)
            if scale < SMALLEST_SCALE or low:
                small[file.stem] = scale
            if out:
                outside[file.stem] = out
    assert (small, outside) == ({}, {})
