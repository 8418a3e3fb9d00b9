"""The explorer in ComfyUI's real page, in both renderers: what a person does with it, and what is left behind."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from test_page import RUN, of_the_pack

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

STEPS, SAMPLES = 6, 4
# Puts the graph on the page's canvas as a person would: nodes, links, widgets.
BUILD = """async ([steps, samples]) => {
    app.graph.clear()
    const add = (type, x, y, values) => {
        const node = LiteGraph.createNode(type)
        node.pos = [x, y]
        app.graph.add(node)
        for (const [name, value] of Object.entries(values)) node.widgets.find(widget => widget.name === name).value = value
        return node
    }
    const link = (from, output, to, input) => from.connect(from.outputs.findIndex(slot => slot.name === output), to,
        to.inputs.findIndex(slot => slot.name === input))
    const picture = add('SDExplainExamplePicture', 0, 0, { seed: 1000000 })
    const model = add('SDExplainLoadDiffusers', 0, 400, {})
    const target = add('CLIPTextEncode', 400, 400, { text: 'a photo of a zebra' })
    const contrast = add('CLIPTextEncode', 400, 650, { text: 'a photo of a horse' })
    const encode = add('VAEEncode', 400, 250, {})
    const noise = add('SDExplainNoiseLatent', 800, 0, { steps, samples })
    const predict = add('SDExplainPredictNoise', 800, 400, { target_label: 'a photo of a zebra', contrast_label: 'a photo of a horse' })
    const explore = add('SDExplainExplore', 1200, 0, {})
    link(picture, 'image', encode, 'pixels'); link(model, 'VAE', encode, 'vae')
    link(model, 'CLIP', target, 'clip'); link(model, 'CLIP', contrast, 'clip')
    link(model, 'MODEL', noise, 'model'); link(encode, 'LATENT', noise, 'latent')
    link(model, 'MODEL', predict, 'model'); link(noise, 'noised', predict, 'noised')
    link(target, 'CONDITIONING', predict, 'target'); link(contrast, 'CONDITIONING', predict, 'contrast')
    link(picture, 'image', explore, 'image'); link(predict, 'predictions', explore, 'predictions')
    const made = JSON.parse(JSON.stringify(app.graph.serialize()))
    made.id = crypto.randomUUID()
    made.nodes.find(node => node.type === 'SDExplainExplore').size = [520, 680]
    await app.loadGraphData(made, true, true, 'test')
}"""
# how the picture is called in each view
SAYS = {"heatmap": "Heatmap alone", "side by side": "heatmap beside it", "swipe": "left of the divider", "decoded": "Colours that the sum adds"}
WIDGETS = """() => Object.fromEntries(app.graph.nodes.find(node => node.type === 'SDExplainExplore').widgets
    .filter(widget => widget.name !== 'explorer').map(widget => [widget.name, widget.value]))"""


@pytest.fixture(params=["classic", "Nodes 2.0"])
def explorer(request: pytest.FixtureRequest, comfyui_page: Page) -> Iterator[Page]:
    """A page whose graph with an explorer has run; `page.warnings` are the console's."""
    comfyui_page.warnings = []
    comfyui_page.on("console", lambda message: comfyui_page.warnings.append(message.text) if message.type == "warning" else None)
    comfyui_page.evaluate("on => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", request.param != "classic")
    comfyui_page.evaluate(BUILD, [STEPS, SAMPLES])
    run(comfyui_page)
    look_at(comfyui_page)
    yield comfyui_page
    comfyui_page.evaluate("app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    assert of_the_pack(comfyui_page) == []
    assert [words for words in comfyui_page.warnings if "sdexplain" in words.lower() or "sdx" in words] == []


def run(page: Page) -> None:
    page.wait_for_function("window.comfyAPI.api.api.socket?.readyState === 1")  # before that nobody hears that it has ended
    assert page.evaluate(RUN) == {"refused": [], "failed": None}


def look_at(page: Page) -> None:
    page.evaluate("""() => { const [x, y] = app.graph.nodes.find(node => node.type === 'SDExplainExplore').pos
        Object.assign(app.canvas.ds, { scale: 1, offset: [300 - x, 150 - y] }); app.canvas.draw(true, true) }""")
    page.wait_for_function("document.querySelector('.sdx-verdict')?.dataset.value")


def frames(page: Page) -> None:
    """Let what was asked for be drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")


def widgets(page: Page) -> dict[str, Any]:
    return page.evaluate(WIDGETS)


def pixels(page: Page, name: str = ".sdx-picture") -> np.ndarray:
    frames(page)
    return np.asarray(Image.open(io.BytesIO(page.locator(name).screenshot())).convert("RGB")).astype(int)


def drag(page: Page, place: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one part of an element to another, in shares of its size."""
    box = place.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()
    frames(page)


def words(page: Page, name: str) -> str:
    return page.locator(name).inner_text()


def test_dragging_the_range_changes_map_words_and_widgets_and_undo_takes_it_back(explorer: Page) -> None:
    before, total = pixels(explorer), words(explorer, ".sdx-verdict")
    drag(explorer, explorer.locator(".sdx-slider"), (0.97, 0.5), (0.5, 0.5))
    assert widgets(explorer)["end"] == 3 and "steps 0–3 of 6" in words(explorer, ".sdx-steps")
    assert (pixels(explorer) != before).any() and words(explorer, ".sdx-verdict") != total
    drag(explorer, explorer.locator(".sdx-slider"), (0.25, 0.5), (0.6, 0.5))  # between the ends: the whole range
    assert (widgets(explorer)["start"], widgets(explorer)["end"]) == (2, 5)
    explorer.keyboard.press("Escape")
    explorer.evaluate("() => app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    look_at(explorer)
    assert (widgets(explorer)["start"], widgets(explorer)["end"]) == (0, 3)
    assert "steps 0–3 of 6" in words(explorer, ".sdx-steps")


def test_keys_and_a_drag_that_come_within_one_frame_all_count(explorer: Page) -> None:
    explorer.evaluate("""() => {
        const handle = document.querySelector('.sdx-handle'), slider = document.querySelector('.sdx-slider')
        const press = () => handle.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }))
        press(); press()
        const box = slider.getBoundingClientRect(), y = box.top + box.height / 2
        const point = (kind, share) => slider.dispatchEvent(new PointerEvent(kind,
            { button: 0, pointerId: 1, bubbles: true, clientX: box.left + share * box.width, clientY: y }))
        point('pointerdown', 0.97); point('pointermove', 0.66); point('pointerup', 0.66) }""")
    assert (widgets(explorer)["start"], widgets(explorer)["end"]) == (2, 4)
    frames(explorer)
    assert "steps 2–4 of 6" in words(explorer, ".sdx-steps")


def test_arrows_move_the_ends_and_every_control_has_a_name(explorer: Page) -> None:
    first = explorer.get_by_role("slider", name="First step")
    first.focus()
    explorer.keyboard.press("ArrowRight")
    explorer.keyboard.press("ArrowRight")
    assert widgets(explorer)["start"] == 2 and first.get_attribute("aria-valuetext").startswith("step 2 of 6")
    explorer.keyboard.press("Shift+Home")
    assert widgets(explorer)["start"] == 0 and widgets(explorer)["end"] == 4
    unnamed = """() => [...document.querySelectorAll('.sdx :is(button, input, select, [role=slider], canvas[tabindex])')]
        .filter(element => !element.getAttribute('aria-label')).length"""
    assert explorer.evaluate(unnamed) == 0


def test_hover_names_a_cell_a_click_pins_it_and_a_drag_draws_a_box(explorer: Page) -> None:
    picture = explorer.locator(".sdx-picture")
    picture.hover()
    assert words(explorer, ".sdx-readout").startswith("Cell 1") and "±" in words(explorer, ".sdx-readout")
    picture.click()
    pinned = widgets(explorer)["selection"]
    assert len(pinned.split(",")) == 2
    drag(explorer, picture, (0.45, 0.4), (0.55, 0.6))
    assert len(widgets(explorer)["selection"].split(",")) == 4
    explorer.locator(".sdx-title").hover()
    frames(explorer)
    assert words(explorer, ".sdx-readout").startswith("Box of ")
    picture.focus()
    explorer.keyboard.press("Escape")
    assert widgets(explorer)["selection"] == ""


def test_readings_views_and_looks_are_drawn_and_kept_in_the_widgets(explorer: Page) -> None:
    seen = [pixels(explorer)]
    for view in ("heatmap", "side by side", "swipe", "decoded"):
        explorer.get_by_label("View", exact=True).select_option(view)
        explorer.get_by_label(SAYS[view]).wait_for()
        seen.append(pixels(explorer))
        assert widgets(explorer)["view"] == view and not any(np.array_equal(seen[-1], other) for other in seen[:-1])
    explorer.get_by_label("View", exact=True).select_option("overlay")
    explorer.get_by_label("Side", exact=True).select_option("negative")
    explorer.get_by_label("Reading", exact=True).select_option("absolute")
    explorer.wait_for_function("document.querySelector('.sdx-source').textContent.includes('absolute')")
    assert widgets(explorer)["sign"] == "both"  # magnitudes have no other side
    explorer.get_by_label("More settings", exact=True).click()
    explorer.get_by_label("Opacity", exact=True).fill("0.3")
    explorer.get_by_label("Colour map", exact=True).select_option("viridis")
    kept = widgets(explorer)
    assert (kept["opacity"], kept["colour_map"], kept["reading"]) == (0.3, "viridis", "absolute")


def test_samples_are_seen_one_by_one_and_play_sweeps(explorer: Page) -> None:
    mean = words(explorer, ".sdx-verdict")
    explorer.get_by_label("Next noise sample").click()
    frames(explorer)
    assert "sample 1 of 4" in words(explorer, ".sdx-pagers") and "±" in mean and "±" not in words(explorer, ".sdx-verdict")
    explorer.get_by_label("Play", exact=False).click()
    explorer.wait_for_function("document.querySelector('.sdx-steps').textContent.includes('steps 2–3')")
    explorer.get_by_label("Play", exact=False).click()
    assert 0 < widgets(explorer)["end"] - widgets(explorer)["start"] == 1 or widgets(explorer)["end"] == -1


def test_exports_hold_the_settings_and_the_maps_numbers(explorer: Page) -> None:
    with explorer.expect_download() as saved:
        explorer.get_by_text("PNG", exact=True).click()
    picture = Image.open(saved.value.path())
    told = json.loads(picture.text["SDExplain"])
    assert told["reading"] == "evidence" and told["target"] == "a photo of a zebra" and picture.width == 1024
    with explorer.expect_download() as saved:
        explorer.get_by_text("NPY", exact=True).click()
    array = np.load(saved.value.path())
    assert array.shape == (32, 32) and array.dtype == np.float32
    assert array.sum() == pytest.approx(float(explorer.locator(".sdx-verdict").get_attribute("data-value")), rel=1e-4)


def test_settings_survive_saving_and_the_data_a_refresh(explorer: Page) -> None:
    explorer.get_by_label("Reading", exact=True).select_option("information")
    drag(explorer, explorer.locator(".sdx-slider"), (0.97, 0.5), (0.5, 0.5))
    saved = explorer.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")
    kept, text = widgets(explorer), json.dumps(saved)
    assert "temp" not in text and "sdexplain/" not in text  # a shared workflow tells nothing of this computer
    explorer.reload()
    explorer.wait_for_function("window.app?.graph?.nodes.length")
    explorer.problems.clear()  # the page's own, while it starts: see comfyui_page
    explorer.evaluate("workflow => app.loadGraphData(workflow, true, true, 'test')", saved)
    look_at(explorer)
    assert widgets(explorer) == kept and "steps 0–3 of 6" in words(explorer, ".sdx-steps")
    run(explorer)


def test_labels_are_text_and_a_removed_node_leaves_nothing(explorer: Page) -> None:
    explorer.evaluate("""() => { const node = app.graph.nodes.find(node => node.type === 'SDExplainPredictNoise')
        node.widgets[0].value = "<img src=x onerror='window.wasHere=1'>" }""")
    run(explorer)
    explorer.wait_for_function("document.querySelector('.sdx-title').textContent.includes('<img')")
    assert explorer.evaluate("window.wasHere") is None
    explorer.evaluate("app.graph.remove(app.graph.nodes.find(node => node.type === 'SDExplainExplore'))")
    explorer.wait_for_function("!document.querySelector('.sdx')")
