"""Film the explorer in ComfyUI's real page: js/docs/SDExplainExplore.webp, the moving picture of the README and of its help page.

`python dev.py run tools.film` takes some minutes; it needs the browser of the tests.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from . import browser
from .environment import ROOT, find_host
from .explorer_page import BUILD, look_at, run
from .page import SETTINGS
from .server import Server

FILE = ROOT / "js" / "docs" / "SDExplainExplore.webp"
SEED, STEPS, SAMPLES = 1_000_031, 50, 4
DENSITY = 1.5  # pixels of the film for each of the page's
FRAME = 80  # milliseconds
POINTER = ((0, 0), (0, 17), (4, 13.2), (6.6, 19), (9, 18), (6.4, 12.2), (12, 12))
# The node alone on an empty page, with the example's own labels and strong colours.
ARRANGE = """([seed, view]) => {
    const find = type => app.graph.nodes.find(node => node.type === type), set = (node, values) => {
        for (const [name, value] of Object.entries(values)) node.widgets.find(widget => widget.name === name).value = value }
    set(find('SDExplainExamplePicture'), { seed })
    set(find('SDExplainPredictNoise'), { target_label: 'zebra', contrast_label: 'horse' })
    set(find('SDExplainExplore'), view)
    find('SDExplainExplore').setSize([520, 780])
}"""
ALONE = """() => {
    const node = app.graph.nodes.find(node => node.type === 'SDExplainExplore')
    for (const other of app.graph.nodes) if (other !== node) other.pos = [-9000, -9000]
    const [left, top] = [100, 230] // beside the page's own bars
    Object.assign(app.canvas.ds, { scale: 1, offset: [left - node.pos[0], top - node.pos[1]] })
    app.canvas.deselectAll()
    app.canvas.draw(true, true)
    return [left - 8, top - 38, node.size[0] + 16, node.size[1] + 46]
}"""


@dataclass
class Film:
    """The frames as they are taken; the pointer moves in the page and is drawn into each."""

    page: Page
    frames: list[Image.Image] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    at: tuple[float, float] = (550.0, 640.0)

    def start(self) -> None:
        left, top, width, height = self.page.evaluate(ALONE)
        self.clip = {"x": left, "y": top, "width": width, "height": height}

    def take(self, pause: int = FRAME) -> None:
        """The page as it is now, shown for so many milliseconds."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        frame = Image.open(io.BytesIO(self.page.screenshot(clip=self.clip))).convert("RGB")
        outline = [((self.at[0] - self.clip["x"] + x) * DENSITY, (self.at[1] - self.clip["y"] + y) * DENSITY) for x, y in POINTER]
        ImageDraw.Draw(frame).polygon(outline, fill="white", outline="black", width=2)
        self.frames.append(frame)
        self.lengths.append(pause)

    def place(self, name: str, x: float, y: float) -> tuple[float, float]:
        """A place within an element, in shares of its size."""
        box = self.page.locator(name).bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def move(self, to: tuple[float, float], frames: int = 6) -> None:
        """Move there smoothly, with the mouse button as it is."""
        start = self.at
        for frame in range(1, frames + 1):
            share = frame / frames
            share = share * share * (3 - 2 * share)
            self.at = tuple(a + share * (b - a) for a, b in zip(start, to, strict=True))
            self.page.mouse.move(*self.at)
            self.take()

    def drag(self, start: tuple[float, float], end: tuple[float, float], frames: int) -> None:
        self.move(start)
        self.page.mouse.down()
        self.move(end, frames)
        self.page.mouse.up()
        self.take(3 * FRAME)

    def choose(self, field: str, option: str) -> None:
        self.move(self.place(f".sdx-{field}", 0.5, 0.5))
        self.page.get_by_label(field.capitalize(), exact=True).select_option(option)
        self.page.wait_for_timeout(300)
        self.take(3 * FRAME)

    def save(self, file: Path) -> None:
        self.frames[0].save(
            file,
            save_all=True,
            append_images=self.frames[1:],
            duration=self.lengths,
            loop=0,
            quality=60,
            method=4,
            minimize_size=True,
        )
        print(
            f"{file}: {self.frames[0].width} x {self.frames[0].height}, {len(self.frames)} frames, "
            f"{sum(self.lengths) / 1000:.0f} s, {file.stat().st_size / 1e6:.1f} MB",
            flush=True,
        )


def act(film: Film) -> None:
    """Through the schedule, at the stripes, between map and picture, and back to where it began."""
    slider = {
        step: film.place(".sdx-slider", share, 0.55)
        for step, share in ((0, 0.035), (8, 0.19), (12, 0.26), (35, 0.69), (38, 0.76), (50, 0.965))
    }
    film.take(900)
    film.drag(slider[50], slider[12], 16)
    film.drag(slider[8], slider[35], 28)
    film.take(600)
    film.drag(film.place(".sdx-slider", 0.51, 0.55), slider[0], 12)
    right = film.page.locator(".sdx-handle").nth(1).bounding_box()
    film.drag((right["x"] + right["width"] / 2, slider[50][1]), slider[50], 10)
    for share in ((0.465, 0.2), (0.535, 0.36), (0.7, 0.45)):
        film.move(film.place(".sdx-picture", *share))
        film.take(700)
    pinned = film.at
    film.page.mouse.click(*pinned)
    film.take(700)
    film.choose("view", "swipe")
    film.drag(film.place(".sdx-picture", 0.5, 0.6), film.place(".sdx-picture", 0.2, 0.6), 12)
    film.drag(film.place(".sdx-picture", 0.2, 0.6), film.place(".sdx-picture", 0.8, 0.6), 18)
    film.drag(film.place(".sdx-picture", 0.8, 0.6), film.place(".sdx-picture", 0.5, 0.6), 8)
    film.choose("view", "overlay")
    film.move(pinned)
    film.page.mouse.click(*pinned)
    film.move((550.0, 640.0), 8)


def main() -> None:
    with Server(find_host(), settings=SETTINGS) as server, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser.find(), args=browser.ARGUMENTS)
        page = started.new_page(viewport={"width": 1000, "height": 1060}, device_scale_factor=DENSITY)
        page.goto(server.url)
        page.wait_for_function("window.app?.graph?.nodes.length")
        page.evaluate(BUILD, [STEPS, SAMPLES])
        page.evaluate(ARRANGE, [SEED, {"background": "grey", "percentile": 98.5, "opacity": 0.9}])
        run(page)
        look_at(page)
        film = Film(page)
        film.start()
        page.wait_for_timeout(1000)
        act(film)
        film.save(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
        started.close()
