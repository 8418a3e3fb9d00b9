"""Pointing at the explorer in the real page, in both renderers: touch, zoom and pan, swipe, arrows, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sdexplain.tools.explorer_page import drag, frames, pixels, widgets, words

if TYPE_CHECKING:
    from playwright.sync_api import Page


def cell_at(page: Page, x: float = 0.35, y: float = 0.35) -> str:
    """What the readout calls the cell at a place of the picture, in shares of its size."""
    box = page.locator(".sdx-picture").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    return words(page, ".sdx-readout").split(":")[0]


def touch(page: Page, *moves: list[tuple[float, float]]) -> None:
    """Fingers that go down, through these places and up, each place in shares of the picture's size."""
    box = page.locator(".sdx-picture").bounding_box()
    client = page.context.new_cdp_session(page)
    for number, places in enumerate(moves):
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": finger}
            for finger, (x, y) in enumerate(places)
        ]
        client.send("Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": points})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    frames(page)


def test_a_finger_pins_and_draws_boxes_and_two_zoom(explorer: Page) -> None:
    far = cell_at(explorer)
    touch(explorer, [(0.5, 0.5)])
    assert len(widgets(explorer)["selection"].split(",")) == 2
    touch(explorer, [(0.45, 0.45)], [(0.5, 0.5)], [(0.6, 0.6)])
    box = widgets(explorer)["selection"]
    assert len(box.split(",")) == 4
    touch(explorer, [(0.45, 0.5), (0.55, 0.5)], [(0.4, 0.5), (0.6, 0.5)], [(0.3, 0.5), (0.7, 0.5)])
    assert widgets(explorer)["selection"] == box  # a pinch pins nothing
    assert cell_at(explorer) != far


def test_a_finger_drags_the_range(explorer: Page) -> None:
    box = explorer.locator(".sdx-slider").bounding_box()
    client, y = explorer.context.new_cdp_session(explorer), box["y"] + box["height"] / 2
    for kind, share in (("touchStart", 0.97), ("touchMove", 0.8), ("touchMove", 0.5)):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": box["x"] + share * box["width"], "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    frames(explorer)
    assert widgets(explorer)["end"] == 3


def test_the_wheel_zooms_at_the_pointer_keys_zoom_at_the_pin_and_shift_pans(explorer: Page) -> None:
    picture = explorer.locator(".sdx-picture")
    far, aside = cell_at(explorer), cell_at(explorer, 0.6, 0.6)
    scale = explorer.evaluate("app.canvas.ds.scale")
    picture.focus()
    cell_at(explorer)
    explorer.mouse.wheel(0, -400)
    frames(explorer)
    assert cell_at(explorer) == far and cell_at(explorer, 0.6, 0.6) != aside
    assert explorer.evaluate("app.canvas.ds.scale") == scale  # the graph stays
    explorer.keyboard.down("Shift")
    drag(explorer, picture, (0.35, 0.35), (0.5, 0.5))
    explorer.keyboard.up("Shift")
    assert cell_at(explorer, 0.5, 0.5) == far and widgets(explorer)["selection"] == ""
    explorer.keyboard.press("0")
    assert cell_at(explorer) == far and cell_at(explorer, 0.6, 0.6) == aside
    picture.click(position={"x": 0.35 * picture.bounding_box()["width"], "y": 0.35 * picture.bounding_box()["height"]})
    for _ in range(4):
        explorer.keyboard.press("+")
    assert cell_at(explorer) == far
    picture.dblclick()
    assert cell_at(explorer, 0.6, 0.6) == aside


def test_arrows_move_the_pin_and_widen_it(explorer: Page) -> None:
    explorer.locator(".sdx-picture").focus()
    for key, selection in (
        ("ArrowLeft", "16,16"),
        ("ArrowLeft", "15,16"),
        ("ArrowUp", "15,15"),
        ("Shift+ArrowRight", "15,15,16,15"),
        ("Shift+ArrowDown", "15,15,16,16"),
        ("Escape", ""),
    ):
        explorer.keyboard.press(key)
        frames(explorer)
        assert widgets(explorer)["selection"] == selection


def test_a_click_and_keys_that_come_within_one_frame_all_count(explorer: Page) -> None:
    far = cell_at(explorer)
    explorer.evaluate("""() => {
        const picture = document.querySelector('.sdx-picture'), box = picture.getBoundingClientRect()
        const at = { button: 0, pointerId: 1, bubbles: true, clientX: box.left + 0.35 * box.width,
            clientY: box.top + 0.35 * box.height }
        for (const kind of ['pointerdown', 'pointerup']) picture.dispatchEvent(new PointerEvent(kind, at))
        for (const key of ['+', '+', '+', '+']) picture.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })) }""")
    assert cell_at(explorer) == far
    pinned = [int(number) for number in widgets(explorer)["selection"].split(",")]
    explorer.evaluate("""() => { for (const key of ['ArrowRight', 'ArrowRight', 'ArrowDown'])
        document.querySelector('.sdx-picture').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })) }""")
    assert widgets(explorer)["selection"] == f"{pinned[0] + 2},{pinned[1] + 1}"


def test_the_divider_follows_pointer_and_keys(explorer: Page) -> None:
    explorer.get_by_label("View", exact=True).select_option("swipe")
    explorer.get_by_label("left of the divider").wait_for()
    middle = pixels(explorer)
    drag(explorer, explorer.locator(".sdx-picture"), (0.5, 0.5), (0.7, 0.5))
    explorer.mouse.move(0, 0)
    dragged = pixels(explorer)
    assert widgets(explorer)["selection"] == "" and not np.array_equal(middle, dragged)
    explorer.locator(".sdx-picture").focus()
    for _ in range(4):
        explorer.keyboard.press("[")
    assert not np.array_equal(pixels(explorer), dragged)


def test_tab_reaches_every_control_and_leaves_again(explorer: Page) -> None:
    explorer.get_by_label("More settings").click()
    explorer.get_by_label("Reading", exact=True).focus()
    reached = []
    for _ in range(40):
        name = explorer.evaluate("document.activeElement.closest('.sdx') && document.activeElement.getAttribute('aria-label')")
        if name is None:
            break
        reached.append(name)
        explorer.keyboard.press("Tab")
    shown = """[...document.querySelectorAll('.sdx :is(button, input, select, [tabindex])')]
        .filter(element => element.checkVisibility() && !element.disabled).map(element => element.getAttribute('aria-label'))"""
    assert sorted(reached) == sorted(explorer.evaluate(shown)) and len(set(reached)) == len(reached)
    explorer.get_by_label("Opacity", exact=True).focus()
    explorer.keyboard.press("Escape")
    assert explorer.evaluate("document.activeElement.getAttribute('aria-label')") == "More settings"


# WCAG 2.2's contrast of each text with what lies behind it, by the colours that the page computed.
CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
    const parse = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1)
        return [...canvas.getImageData(0, 0, 1, 1).data] }
    const over = ([r, g, b, a], under) => [r, g, b].map((part, i) => (part * a + under[i] * (255 - a)) / 255)
    const behind = element => { const layers = []
        for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor))
        return layers.reverse().reduce((under, layer) => over(layer, under), [0, 0, 0]) }
    const light = colour => { const [r, g, b] = colour.map(part => part / 255)
        .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b }
    const found = {}
    for (const element of document.querySelectorAll('.sdx *')) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
        if (!own || !element.checkVisibility() || element.disabled) continue
        const under = behind(element), ink = over(parse(getComputedStyle(element).color), under)
        const [low, high] = [light(ink), light(under)].sort((a, b) => a - b)
        found[`${element.className || element.tagName} ${element.textContent.slice(0, 20)}`] = (high + 0.05) / (low + 0.05)
    }
    return found
}"""


def test_all_words_have_enough_contrast_in_both_themes(explorer: Page) -> None:
    explorer.get_by_label("More settings").click()
    explorer.locator(".sdx-picture").hover(position={"x": 100, "y": 100})
    # the classic renderer draws the node itself on its canvas: what is behind the panel is the node's colour
    node = "document.querySelector('.sdx').parentElement.style.backgroundColor = LiteGraph.NODE_DEFAULT_BGCOLOR"
    for theme in ("dark", "light"):
        explorer.evaluate("theme => app.extensionManager.setting.set('Comfy.ColorPalette', theme)", theme)
        frames(explorer)
        explorer.evaluate(node)
        contrasts = explorer.evaluate(CONTRASTS)
        assert len(contrasts) > 20
        assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}, theme
    explorer.evaluate("app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")
