"""The nodes' help pages: one for each, complete, with a picture, and shown by ComfyUI's own page."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import TimeoutError

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from sdexplain.tools.client import Client

DOCS = Path(__file__).resolve().parent.parent.parent / "js" / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SECTIONS = ["Inputs", "Outputs", "How to read it", "Try", "Limits"]


def labels(node: dict[str, Any]) -> tuple[set[str], set[str]]:
    """What the page calls a node's inputs and its outputs."""
    groups = (node["input"].get(group, {}) for group in ("required", "optional"))
    inputs = {options.get("display_name") or name for group in groups for name, (_, options) in group.items()}
    return inputs, set(node["output_name"])


def section(text: str, name: str) -> str:
    return text.split(f"## {name}\n")[1].split("\n## ")[0]


def listed(text: str) -> set[str]:
    """The names that the items of a list begin with: `a`, `b` and `c` (optional): …"""
    return {name for item in re.findall(r"^- (.*?):", text, re.MULTILINE) for name in re.findall(r"`(.*?)`", item)}


def test_every_node_has_a_page_and_no_page_is_left_over(comfyui: Client) -> None:
    assert {name for name in comfyui.object_info() if name.startswith("SDExplain")} == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_exactly_the_inputs_and_outputs_that_there_are(comfyui: Client, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    inputs, outputs = labels(comfyui.object_info(page.stem)[page.stem])
    assert listed(section(text, "Inputs")) == inputs
    assert listed(section(text, "Outputs")) == outputs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_its_sections_and_a_small_picture(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    ((alternative, name),) = re.findall(r"!\[(.*?)\]\((.*?)\)", text)
    picture = DOCS / name
    with Image.open(picture) as opened:
        assert opened.width >= 700
        assert alternative and picture.stat().st_size < (2_000_000 if getattr(opened, "is_animated", False) else 60_000)


def test_no_picture_is_left_over() -> None:
    assert {file.stem for file in DOCS.iterdir() if file.suffix != ".md"} == {page.stem for page in PAGES}


def test_the_server_gives_pages_and_pictures_where_the_page_asks_for_them(comfyui: Client) -> None:
    for file in (DOCS / "SDExplainHeatmap.md", DOCS / "SDExplainHeatmap.webp"):
        assert comfyui._get(f"/extensions/sdexplain/docs/{file.name}").content == file.read_bytes()


def test_the_page_shows_a_nodes_help_with_its_picture(comfyui_page: Page) -> None:
    place = comfyui_page.evaluate("""() => {
        const node = LiteGraph.createNode('SDExplainHeatmap')
        node.pos = [600, 300]
        app.graph.clear()
        app.graph.add(node)
        Object.assign(app.canvas.ds, { scale: 1, offset: [0, 0] })
        app.canvas.draw(true, true)
        const { left, top } = app.canvas.canvas.getBoundingClientRect()
        return [left + 700, top + 285]
    }""")
    info = comfyui_page.get_by_test_id("info-button")
    for seconds in range(1, 10):  # newer pages listen to what is selected only some time after they have a graph
        comfyui_page.mouse.click(place[0] + 400, place[1])
        comfyui_page.mouse.click(*place)  # on its title, as a person selects it
        with contextlib.suppress(TimeoutError):
            info.wait_for(timeout=1000 * seconds)
            break
    info.click()
    comfyui_page.get_by_text("How to read it").wait_for()
    picture = comfyui_page.get_by_alt_text("Overlay, heatmap, mask for and mask against")
    picture.scroll_into_view_if_needed()
    comfyui_page.wait_for_function("image => image.complete && image.naturalWidth >= 700", arg=picture.element_handle())
    # the page looks for a translation of the help first
    assert not [problem for problem in comfyui_page.problems if "sdexplain" in problem and "/en.md" not in problem]
