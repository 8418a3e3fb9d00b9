"""The explorer in ComfyUI's real page, in both renderers: what a person does with it, and what is left behind."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sdexplain.tools.explorer_page import AT_ITS_END, SAYS, drag, frames, look_at, pixels, run, widgets, words

if TYPE_CHECKING:
    from playwright.sync_api import Page


READ_SVG = r"""text => {
    const root = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement
    const all = name => [...root.getElementsByTagName(name)]
    return { texts: all('text').map(part => part.textContent.replace(/[\u2068\u2069]/g, '')), lines: all('path').length,
        paper: all('rect')[0].getAttribute('fill'),
        settings: all('SDExplain')[0].textContent, workflow: all('workflow')[0].textContent }
}"""
PLACE = """() => { const { x, y, width, height } = document.querySelector('.sdx').getBoundingClientRect()
    return [x, y, width, height].join() }"""


def test_dragging_the_range_changes_map_words_and_widgets_and_undo_takes_it_back(explorer: Page) -> None:
    before, total = pixels(explorer), words(explorer, ".sdx-verdict")
    assert "times that of smoothing" in words(explorer, ".sdx-legends")  # whether the model knows the picture, and the number
    drag(explorer, explorer.locator(".sdx-slider"), (0.97, 0.5), (0.5, 0.5))
    assert widgets(explorer)["end"] == 3 and "steps 0–3 of 6" in words(explorer, ".sdx-steps")
    assert (pixels(explorer) != before).any() and words(explorer, ".sdx-verdict") != total
    drag(explorer, explorer.locator(".sdx-slider"), (0.25, 0.5), (0.6, 0.5))  # between the ends: the whole range
    assert (widgets(explorer)["start"], widgets(explorer)["end"]) == (2, 5)
    explorer.keyboard.press("Escape")
    explorer.evaluate("() => app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    look_at(explorer)
    assert (widgets(explorer)["start"], widgets(explorer)["end"]) == (0, 3)
    explorer.wait_for_function("document.querySelector('.sdx-steps').textContent.includes('steps 0–3 of 6')")


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
    assert "steps 2–4 of 6" in words(explorer, ".sdx-steps")


def test_arrows_move_the_ends_and_every_control_has_a_name(explorer: Page) -> None:
    first = explorer.get_by_role("slider", name="First step")
    first.focus()
    explorer.keyboard.press("ArrowRight")
    explorer.keyboard.press("ArrowRight")
    frames(explorer)
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
    box, cell = words(explorer, ".sdx-readout").split("\n")  # at once, with the pointer still within it
    assert box.startswith("Box of ") and cell.startswith("Cell ")
    explorer.locator(".sdx-title").hover()
    assert words(explorer, ".sdx-readout").strip() == box
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
    alone = words(explorer, ".sdx-verdict")
    assert "sample 1 of 4" in words(explorer, ".sdx-pagers") and "±" in mean and "±" in alone and alone != mean
    explorer.get_by_label("Play", exact=False).click()
    explorer.wait_for_function("document.querySelector('.sdx-steps').textContent.includes('steps 2–3')")
    explorer.get_by_label("Play", exact=False).click()
    assert "steps 0–6 of 6" in words(explorer, ".sdx-steps")  # where it began
    assert (widgets(explorer)["start"], widgets(explorer)["end"]) == (0, -1)


def test_a_held_scale_stays_while_the_range_is_dragged(explorer: Page) -> None:
    hold, numbers = explorer.get_by_label("Hold the scale", exact=False), explorer.locator(".sdx-row").first
    free = numbers.inner_text()
    hold.click()
    frames(explorer)
    assert hold.get_attribute("aria-pressed") == "true"
    drag(explorer, explorer.locator(".sdx-slider"), (0.97, 0.5), (0.2, 0.5))
    assert widgets(explorer)["end"] == 1 and numbers.inner_text().replace("≥ ", "") == free.replace("≥ ", "")
    hold.click()
    frames(explorer)
    assert widgets(explorer)["scale"] == 0 and numbers.inner_text().replace("≥ ", "") != free.replace("≥ ", "")


def test_the_strongest_places_are_listed_and_jumped_to(explorer: Page) -> None:
    opener = explorer.get_by_role("button", name="The strongest places")
    plain = pixels(explorer)
    opener.click()
    places = explorer.locator(".sdx-place")
    places.first.wait_for()
    assert (pixels(explorer) != plain).any()  # they are numbered
    sizes = [float(text.split(" ")[0].replace("−", "-")) for text in places.all_inner_texts()]
    assert len(sizes) > 3 and sizes == sorted(sizes, key=abs, reverse=True)
    said = [place.get_attribute("aria-label") for place in places.all()]
    places.nth(1).click()
    assert words(explorer, ".sdx-readout").strip() == said[1]
    explorer.keyboard.press("Escape")
    assert explorer.locator(".sdx-places").is_hidden()
    explorer.locator(".sdx-picture").focus()
    explorer.keyboard.press("n")
    assert words(explorer, ".sdx-readout").strip() == said[2]


def test_the_drawing_has_the_box_the_line_and_the_ground_that_were_chosen(explorer: Page) -> None:
    drag(explorer, explorer.locator(".sdx-picture"), (0.45, 0.4), (0.55, 0.6))
    box = words(explorer, ".sdx-readout").split("\n")[0]
    explorer.get_by_label("More settings").click()
    explorer.get_by_label("Contour line").fill("0.5")
    explorer.get_by_label("Legend of saved pictures").select_option("dark")
    frames(explorer)
    assert widgets(explorer)["contour"] == 0.5 and "Line at ±" in words(explorer, ".sdx-source")
    with explorer.expect_download() as saved:
        explorer.get_by_text("SVG", exact=True).click()
    drawn = explorer.evaluate(READ_SVG, saved.value.path().read_text(encoding="utf-8"))
    assert box in drawn["texts"] and "“a photo of a zebra” vs “a photo of a horse”" in drawn["texts"]
    assert drawn["lines"] == 2 and drawn["paper"] == "#16181d"
    assert json.loads(drawn["settings"])["contour"] == 0.5 and json.loads(drawn["workflow"])["nodes"]
    explorer.get_by_label("Legend of saved pictures").select_option("transparent")
    with explorer.expect_download() as saved:
        explorer.get_by_text("PNG", exact=True).click()
    picture = np.asarray(Image.open(saved.value.path()))
    assert picture[-1, -1, 3] == 0 and picture[0, 0, 3] == 255  # clear below, the picture above


def test_it_fills_the_screen_and_comes_back(explorer: Page) -> None:
    small = explorer.evaluate(PLACE)
    explorer.get_by_label("Full screen").click()
    explorer.wait_for_function("document.fullscreenElement?.classList.contains('sdx')")
    explorer.wait_for_function("document.querySelector('.sdx-picture').getBoundingClientRect().height > 500")
    explorer.evaluate("document.exitFullscreen()")
    explorer.wait_for_function("!document.fullscreenElement")
    explorer.wait_for_function(f"small => ({PLACE})() === small", arg=small)


def test_exports_hold_the_settings_and_the_maps_numbers(explorer: Page) -> None:
    with explorer.expect_download() as saved:
        explorer.get_by_text("PNG", exact=True).click()
    picture = Image.open(saved.value.path())
    told = json.loads(picture.text["SDExplain"])
    assert told["reading"] == "evidence" and told["target"] == "a photo of a zebra" and picture.width == 1024
    kept = base64.b64encode(saved.value.path().read_bytes()).decode()
    with explorer.expect_download() as saved:
        explorer.get_by_text("NPY", exact=True).click()
    array = np.load(saved.value.path())
    assert array.shape == (32, 32) and array.dtype == np.float32
    assert array.sum() == pytest.approx(float(explorer.locator(".sdx-verdict").get_attribute("data-value")), rel=1e-4)
    view = widgets(explorer)
    explorer.evaluate("app.graph.clear()")
    explorer.evaluate(
        """async kept => { const bytes = Uint8Array.from(atob(kept), letter => letter.charCodeAt(0))
        await app.handleFile(new File([bytes], 'explanation.png', { type: 'image/png' })) }""",
        kept,
    )
    explorer.wait_for_function("app.graph.nodes.length > 5")
    assert widgets(explorer) == view


def test_a_workflow_from_before_the_vae_input_opens_and_with_a_vae_the_picture_says_what_is_decoded(explorer: Page) -> None:
    explorer.evaluate("""async () => {
        const saved = JSON.parse(JSON.stringify(app.graph.serialize()))
        const node = saved.nodes.find(node => node.type === 'SDExplainExplore')
        node.inputs = node.inputs.filter(input => input.name !== 'vae')
        for (const link of saved.links) if (link[3] === node.id) link[4] = node.inputs.findIndex(input => input.link === link[0])
        node.widgets_values[12] = 'decoded'
        await app.loadGraphData(saved, true, true, 'test')
        // noise of its own: the server keeps what it decoded for the other renderer
        const noise = app.graph.nodes.find(node => node.type === 'SDExplainNoiseLatent')
        noise.widgets.find(widget => widget.name === 'seed').value = Date.now()
    }""")
    look_at(explorer)
    run(explorer)
    explorer.wait_for_function("document.querySelector('.sdx-badge').textContent === 'estimate without VAE'")
    explorer.evaluate("""() => {
        const find = type => app.graph.nodes.find(node => node.type === type)
        const to = find('SDExplainExplore'), from = find('SDExplainLoadDiffusers')
        from.connect(from.outputs.findIndex(slot => slot.name === 'VAE'), to,
            to.inputs.findIndex(slot => slot.name === 'vae')) }""")
    run(explorer)
    explorer.wait_for_function("document.querySelector('.sdx-badge').textContent === 'decoded by the VAE'")
    last = explorer.get_by_role("slider", name="Last step")
    last.press("Shift")  # the focus is seen from now on
    exact = pixels(explorer)
    last.press("ArrowLeft")
    explorer.wait_for_function("document.querySelector('.sdx-badge').textContent.startsWith('estimate, R² 0.')")
    assert "Run the workflow" in words(explorer, ".sdx-source")
    run(explorer)
    explorer.wait_for_function("document.querySelector('.sdx-badge').textContent === 'decoded by the VAE'")
    last.press("End")  # a range that ran before: its picture is still there
    explorer.wait_for_function(
        "document.querySelector('.sdx-steps').textContent.includes('0–6') &&"
        " document.querySelector('.sdx-badge').textContent === 'decoded by the VAE'"
    )
    explorer.mouse.move(0, 0)
    assert np.array_equal(pixels(explorer), exact)


# Another seed, of which nothing is known, and few questions.
ASK_LITTLE = """() => { const set = (type, name, value) => {
        app.graph.nodes.find(node => node.type === type).widgets.find(widget => widget.name === name).value = value }
    set('SDExplainNoiseLatent', 'seed', Date.now()); set('SDExplainPredictNoise', 'quality', 'quick') }"""
QUALITY = """app.graph.nodes.find(node => node.type === 'SDExplainPredictNoise')
    .widgets.find(widget => widget.name === 'quality').value"""


def test_it_asks_for_more_until_everything_is_asked(explorer: Page) -> None:
    more, first = explorer.get_by_role("button", name="Ask for more"), explorer.get_by_role("slider", name="First step")
    assert more.is_hidden()
    explorer.evaluate(ASK_LITTLE)
    run(explorer)
    explorer.wait_for_function("document.querySelector('.sdx-steps').textContent.includes('asked: 3 of 6')")
    said = []
    for key in ["Home", *["ArrowRight"] * 5]:
        first.press(key)
        frames(explorer)
        said.append(first.get_attribute("aria-valuetext"))
    assert sum(text.endswith("not asked") for text in said) == 3 and said[4].startswith("step 4 of 6: ")
    first.press("Home")
    more.press("Enter")
    assert explorer.evaluate(QUALITY) == "settled"
    explorer.wait_for_function("!document.querySelector('.sdx-steps').textContent.includes('asked: 3 ')")
    more.click()
    assert explorer.evaluate(QUALITY) == "exact"
    more.wait_for(state="hidden")
    # the end of the run before may also have 4 samples, but not of all steps
    explorer.wait_for_function(f"""() => ({AT_ITS_END})() && !document.querySelector('.sdx-steps').textContent.includes('asked')
        && document.querySelector('.sdx-pagers').textContent.includes('mean of 4 samples')""")


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
