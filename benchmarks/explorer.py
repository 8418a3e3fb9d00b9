"""How long the explorer takes for a frame while its range is dragged, in ComfyUI's real page.

    python dev.py run benchmarks.explorer

The data are drawn at random: 50 steps of 128 × 128 cells of 4 channels and 2 noise samples, over a picture of 1024 pixels. Each
pointer move is followed by one frame; its script's time is printed, and the time until the screen has shown two frames, which is
33 ms at 60 Hz if no frame is late.
"""

from __future__ import annotations

import argparse
import io
from urllib.parse import parse_qs, urlparse

import numpy as np
import torch
from playwright.sync_api import Page, Route, sync_playwright

from ..nodes.maths.files.explorer import overview, parts
from ..nodes.maths.images import to_image
from ..tools import browser
from ..tools.environment import find_host
from ..tools.page import SETTINGS
from ..tools.server import Server
from .timing.calls import CELLS, PICTURE, SAMPLES, STEPS, random_predictions

# Moves the right end of the range to and fro; the panel draws in the animation frame after each move.
DRAG = """async ({ reading, moves }) => {
    const field = document.querySelector('.sdx-reading')
    field.value = reading
    field.dispatchEvent(new Event('change'))
    while (!document.querySelector('.sdx-source').textContent.toLowerCase().includes(reading))
        await new Promise(done => setTimeout(done, 100))
    await new Promise(done => setTimeout(done, 1000))
    const slider = document.querySelector('.sdx-slider'), box = slider.getBoundingClientRect()
    const send = (type, share) => slider.dispatchEvent(new PointerEvent(type, { bubbles: true, button: 0, pointerId: 1,
        clientX: box.left + share * box.width, clientY: box.top + 20 }))
    const asked = window.requestAnimationFrame, script = [], frame = []
    let spent = 0
    window.requestAnimationFrame = does => asked.call(window, now => {
        const began = performance.now()
        does(now)
        spent += performance.now() - began
    })
    send('pointerdown', 0.97)
    for (let i = 0; i < moves; i++) {
        spent = 0
        const began = performance.now()
        send('pointermove', 0.55 + 0.4 * Math.cos(i / 5))
        await new Promise(done => asked.call(window, () => asked.call(window, done)))
        script.push(spent)
        frame.push(performance.now() - began)
    }
    send('pointerup', 0.9)
    window.requestAnimationFrame = asked
    return { script, 'two frames': frame }
}"""


def serve(page: Page) -> None:
    """Answer the page's requests for the explorer's files."""
    predictions, pictures = random_predictions(), torch.rand(1, PICTURE, PICTURE, 3)

    def answer(route: Route) -> None:
        name = parse_qs(urlparse(route.request.url).query)["filename"][0]
        if name == "overview.safetensors":
            route.fulfill(body=overview(predictions, pictures))
        elif name.endswith(".png"):
            file = io.BytesIO()
            to_image(pictures[0]).save(file, "PNG")
            route.fulfill(body=file.getvalue())
        else:
            route.fulfill(body=parts(predictions, name.split("-")[0], 0))

    page.route("**/view?*", answer)


def show(page: Page, vue: bool) -> None:
    page.evaluate("on => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", vue)
    page.evaluate("""() => { app.graph.clear(); const node = LiteGraph.createNode('SDExplainExplore'); app.graph.add(node)
        Object.assign(app.canvas.ds, { scale: 1, offset: [300, 150] })
        node.onExecuted({ sdexplain: [{ subfolder: 'sdexplain/benchmark', type: 'temp' }] }) }""")
    page.wait_for_function("document.querySelector('.sdx-verdict')?.dataset.value", timeout=120_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--moves", type=int, default=40, help="pointer moves for each line")
    moves = parser.parse_args().moves
    print(f"{STEPS} steps, {CELLS} x {CELLS} cells, {SAMPLES} samples; milliseconds, median (95th percentile)")
    with Server(find_host(), settings=SETTINGS) as server, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser.find(), args=browser.ARGUMENTS)
        for vue in (False, True):
            page = started.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(server.url)
            page.wait_for_function("window.app?.graph?.nodes.length", timeout=120_000)
            serve(page)
            show(page, vue)
            for reading in ("evidence", "difference"):
                times = page.evaluate(DRAG, {"reading": reading, "moves": moves})
                told = ", ".join(f"{name} {np.median(t):.1f} ({np.percentile(t, 95):.1f})" for name, t in times.items())
                print(f"{'Nodes 2.0' if vue else 'classic':10} {reading:10} {told}", flush=True)
        started.close()
