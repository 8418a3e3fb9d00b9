"""What the explorer's page tests do on the real page: build a graph, run it, look at it, drag, read what is shown."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .page import RUN

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

STEPS, SAMPLES = 6, 4
# A new workflow: of a graph without a name of its own, some pages give a node what an older one of the same number had.
NEW = """async () => {
    const view = { scale: 1, offset: [300, 150] }, counts = { revision: 0, last_node_id: 0, last_link_id: 0, version: 0.4 }
    const none = { nodes: [], links: [], groups: [], config: {}, extra: { ds: view } }
    await app.loadGraphData({ id: crypto.randomUUID(), ...counts, ...none }, true, true, 'test')
}"""
# One with an explorer that has not run.
EMPTY = f"""async () => {{
    await ({NEW})()
    const node = LiteGraph.createNode('SDExplainExplore')
    app.graph.add(node)
    node.pos = [0, 0]
    Object.assign(app.canvas.ds, {{ scale: 1, offset: [300, 150] }})
    await new Promise(done => requestAnimationFrame(done)) // what is drawn before the page has its element stays in the corner
    app.canvas.draw(true, true)
}}"""
# Puts the graph on the page's canvas as a person would: nodes, links, widgets.
BUILD = """async ([steps, samples]) => {
    app.graph.clear()
    const add = (type, x, y, values) => {
        const node = LiteGraph.createNode(type)
        node.pos = [x, y]
        app.graph.add(node)
        for (const [name, value] of Object.entries(values)) node.widgets.find(widget => widget.name === name).value = value
        for (const widget of node.widgets ?? []) if (widget.name === 'control_after_generate') widget.value = 'fixed'
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
    const predict = add('SDExplainPredictNoise', 800, 400,
        { target_label: 'a photo of a zebra', contrast_label: 'a photo of a horse' })
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
SAYS = {
    "heatmap": "Heatmap alone",
    "side by side": "heatmap beside it",
    "swipe": "left of the divider",
    "decoded": "Colours that the sum adds",
}
WIDGETS = """() => Object.fromEntries(app.graph.nodes.find(node => node.type === 'SDExplainExplore').widgets
    .filter(widget => widget.name !== 'explorer').map(widget => [widget.name, widget.value]))"""


AT_ITS_END = """() => document.querySelector('.sdx-verdict')?.dataset.value &&
    !document.querySelector('.sdx-asking [role=status]').textContent"""
"""Whether the explorer shows a run's end; while it follows the run, it says how far that is."""


def run(page: Page) -> None:
    """Press the page's own Run and wait for its end.

    Raises:
        RuntimeError: something was refused or failed.
    """
    ended = page.evaluate(RUN)
    if ended != {"refused": [], "failed": None}:
        raise RuntimeError(f"The page's run ended with {ended}")


def look_at(page: Page) -> None:
    """Bring the explorer into sight and wait until it shows the run and has the width of its node."""
    page.evaluate("""() => { const [x, y] = app.graph.nodes.find(node => node.type === 'SDExplainExplore').pos
        Object.assign(app.canvas.ds, { scale: 1, offset: [300 - x, 150 - y] }); app.canvas.draw(true, true) }""")
    page.wait_for_function(AT_ITS_END)
    page.wait_for_function("""() => { app.canvas.draw(true, true)
        const [width] = app.graph.nodes.find(node => node.type === 'SDExplainExplore').size
        return Math.abs(document.querySelector('.sdx').offsetWidth - width) < 40 }""")


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
    """What a part of the explorer says, once it is drawn."""
    frames(page)
    return page.locator(name).inner_text()
