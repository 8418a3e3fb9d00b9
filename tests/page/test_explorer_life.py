"""What an explorer goes through in the real page: undo, copies, subgraphs, lost files, odd data, many removals."""

from __future__ import annotations

import io
import re
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import pytest
import torch
from PIL import Image
from sdexplain.nodes.maths.files.explorer import overview, parts
from sdexplain.nodes.maths.images import to_image
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.prediction import NoisePredictions, part_of
from sdexplain.tools.explorer_page import EMPTY, drag, frames, look_at, run, widgets, words

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from sdexplain.tools.server import Server

SHOWN = "() => [...document.querySelectorAll('.sdx')].filter(panel => panel.querySelector('.sdx-verdict').dataset.value).length"
EXPLORERS = "app.graph.nodes.filter(node => node.type === 'SDExplainExplore')"


def random_predictions(
    samples: int, steps: int, images: int, cells: tuple[int, int], labels: tuple[str, str] = ("one", "other")
) -> tuple[NoisePredictions, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x0 = torch.randn(images, 4, *cells, generator=generator)
    noise = draw_noise((4, *cells), 1, samples, steps, per_step=True)
    noised = NoisedLatents(x0, noise, torch.logspace(1, -1, steps), torch.ones(steps), torch.ones(4), torch.zeros(4))
    contrast = noise[:, :, None] + 0.3 * torch.randn(samples, steps, images, 4, *cells, generator=generator)
    pictures = torch.rand(images, 8 * cells[0], 8 * cells[1], 3, generator=generator)
    return NoisePredictions(noised, contrast + 0.3 * x0, contrast, *labels), pictures


def serve(page: Page, runs: dict[str, tuple[NoisePredictions, torch.Tensor]]) -> None:
    """Answer the page's questions for the files of runs, by the names of their folders."""

    def answer(route: Route) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlparse(route.request.url).query).items()}
        if (made := runs.get(asked["subfolder"])) is None:
            return route.continue_()
        predictions, pictures = made
        name, _, image = asked["filename"].partition(".")[0].rpartition("-")
        if asked["filename"] == "overview.safetensors":
            return route.fulfill(body=overview(predictions, pictures))
        if name == "photo":
            file = io.BytesIO()
            to_image(pictures[int(image)]).save(file, "PNG")
            return route.fulfill(body=file.getvalue())
        return route.fulfill(body=parts(predictions, name, int(image)))

    page.route("**/view?*", answer)


def open_run(page: Page, name: str) -> None:
    page.evaluate(f"name => {EXPLORERS}[0].onExecuted({{ sdexplain: [{{ subfolder: name, type: 'temp' }}] }})", name)


def test_an_explorer_without_data_says_what_to_do(empty: Page) -> None:
    assert words(empty, ".sdx-message") == "Connect image and predictions, then run the workflow."
    empty.evaluate(f"""() => {{ const picture = LiteGraph.createNode('SDExplainExamplePicture')
        const load = LiteGraph.createNode('SDExplainLoadPredictions')
        for (const [node, slot] of [[picture, 0], [load, 1]]) {{
            app.graph.add(node)
            node.connect(0, {EXPLORERS}[0], slot)
        }} }}""")
    empty.wait_for_function("document.querySelector('.sdx-message').textContent.startsWith('Run the workflow.')")


ODD = {
    "one cell": (2, 3, 1, (1, 1)),
    "one step": (4, 1, 1, (4, 4)),
    "many steps": (1, 200, 1, (8, 8)),
    "wide": (2, 4, 1, (4, 120)),
    "tall": (2, 4, 1, (120, 4)),
    "many images and samples": (9, 3, 5, (6, 6)),
}


def test_odd_shapes_are_shown_and_dragged(empty: Page) -> None:
    serve(empty, {name: random_predictions(*shape, (name, "other")) for name, shape in ODD.items()})
    for name, (_, steps, _, _) in ODD.items():
        open_run(empty, name)
        empty.wait_for_function("name => document.querySelector('.sdx-title').textContent.includes(name)", arg=name)
        assert f"of {steps}," in words(empty, ".sdx-steps")
        drag(empty, empty.locator(".sdx-slider"), (0.97, 0.5), (0.4, 0.5))
        assert widgets(empty)["end"] == (-1 if steps == 1 else round(0.4 * steps)) or steps > 100
        empty.locator(".sdx-picture").click()
        assert re.match(r"Cell \d+, \d+: \S+", words(empty, ".sdx-readout")), name
        empty.get_by_label("Play", exact=False).click()
        empty.wait_for_timeout(300)
        empty.get_by_label("Play", exact=False).click()
        empty.evaluate(f"""() => {{ for (const widget of {EXPLORERS}[0].widgets) {{
            if (widget.name === 'start') widget.value = 0
            if (widget.name === 'end') widget.value = -1 }} }}""")
        assert empty.locator(".sdx-message").is_hidden()
        frames(empty)


def test_arrows_turn_a_batchs_images_and_samples_round(empty: Page) -> None:
    serve(empty, {"batch": random_predictions(2, 3, 3, (6, 6))})
    open_run(empty, "batch")
    for image in (2, 3, 1):
        empty.get_by_label("Next image").click()
        empty.wait_for_function(
            "image => document.querySelector('.sdx-pagers').textContent.includes(`image ${image} of 3`)", arg=image
        )
        assert widgets(empty)["shown_image"] == image
    empty.get_by_label("Previous noise sample").click()
    assert "sample 2 of 2" in words(empty, ".sdx-pagers") and widgets(empty)["sample"] == 2


def test_labels_of_any_script_keep_the_words_around_them(empty: Page) -> None:
    hebrew, evil = "זברה", "<img src=x onerror='window.wasHere=1'>\u202egnp.exe"
    serve(
        empty,
        {
            "labels": random_predictions(2, 3, 1, (6, 6), (hebrew, evil)),
            "long": random_predictions(1, 2, 1, (6, 6), ("w" * 900, "斑馬" * 300)),
        },
    )
    open_run(empty, "labels")
    empty.wait_for_function("document.querySelector('.sdx-title').textContent")
    assert words(empty, ".sdx-title") == f"\u2068“{hebrew}”\u2069 vs \u2068“{evil}”\u2069"  # each in a direction of its own
    assert empty.evaluate("window.wasHere") is None and empty.locator(".sdx img").count() == 0
    width = "document.querySelector('.sdx').scrollWidth <= document.querySelector('.sdx').clientWidth + 1"
    assert empty.evaluate(width)
    open_run(empty, "long")
    empty.wait_for_function("document.querySelector('.sdx-title').textContent.includes('www')")
    frames(empty)
    stage = empty.locator(".sdx-stage").bounding_box()
    assert empty.evaluate(width) and stage["height"] > 150


def test_two_maps_have_one_scale_one_pointer_and_one_box(empty: Page) -> None:
    serve(empty, {"few": random_predictions(2, 3, 1, (6, 6)), "many": random_predictions(2, 6, 1, (12, 12), ("one", "third"))})
    empty.evaluate(f"""() => {EXPLORERS}[0].onExecuted(
        {{ sdexplain: [{{ subfolder: 'few', second: 'many', type: 'temp' }}] }})""")
    empty.wait_for_function("[...document.querySelectorAll('.sdx-title')].at(-1).textContent.includes('third')")
    frames(empty)
    assert empty.locator(".sdx-picture").count() == 2
    numbers = [row.inner_text() for row in empty.locator(".sdx-key .sdx-row:not(.sdx-ends)").all()]
    assert numbers[0].replace("≥ ", "").replace("≤ ", "") == numbers[1].replace("≥ ", "").replace("≤ ", "")
    first, second = empty.locator(".sdx-picture").all()
    box = first.bounding_box()
    empty.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 3)
    frames(empty)
    own, other = (readout.inner_text().strip() for readout in empty.locator(".sdx-readout").all())
    assert own.startswith("Cell 3, 3:") and re.match(r"Cell [67], [67]:", other)
    drag(empty, second, (0.5, 0.45), (0.55, 0.55))
    chosen = [int(number) for number in widgets(empty)["selection"].split(",")]  # in cells of the first
    assert max(chosen) < 6
    assert all(text.startswith("Box of ") for text in empty.locator(".sdx-readout").all_inner_texts())
    drag(empty, empty.locator(".sdx-slider"), (0.97, 0.5), (0.35, 0.5))
    assert widgets(empty)["end"] == 1 and empty.locator(".sdx-message").is_hidden()
    with empty.expect_download() as saved:
        empty.get_by_text("PNG", exact=True).click()
    assert Image.open(saved.value.path()).width == 1600
    open_run(empty, "few")
    empty.wait_for_function("document.querySelectorAll('.sdx-picture').length === 1")


def test_it_speaks_the_pages_language_also_of_what_came_with_the_data(french: Any, subtests: pytest.Subtests) -> None:
    """Newer pages have no German."""
    page = french.page
    for renderer in ("classic", "Nodes 2.0"):
        with subtests.test(renderer):
            french.open(renderer)
            serve(page, {"words": random_predictions(4, 10, 1, (6, 6))})
            page.evaluate("() => app.graph.clear()")
            page.locator(".sdx").wait_for(state="detached")
            page.evaluate(EMPTY)
            page.wait_for_function("document.querySelector('.sdx-message')?.textContent.startsWith('Connectez ')")
            open_run(page, "words")
            page.wait_for_function("document.querySelector('.sdx-verdict').dataset.value")
            assert words(page, ".sdx-verdict").startswith("Image entière : ") and "étapes 0–10 sur 10" in words(
                page, ".sdx-steps"
            )
            ends, source = words(page, ".sdx-ends"), words(page, ".sdx-source")
            assert "parle pour \u2068“one”\u2069" in ends and "nats par cellule latente" in source
            assert words(page, ".sdx-title") == "\u2068“one”\u2069 contre \u2068“other”\u2069"
            assert source.endswith(". Le modèle connaît de telles images (son erreur vaut 0.15 fois celle d’un lissage).")
            french.close()


def test_it_is_said_once_that_older_data_had_to_go(empty: Page) -> None:
    serve(empty, {"run": random_predictions(2, 3, 1, (6, 6))})
    said, counts = empty.get_by_text("The data of 3 older Explorer runs were removed"), []
    for _ in range(2):
        empty.evaluate(f"""() => {EXPLORERS}[0].onExecuted(
            {{ sdexplain: [{{ subfolder: 'run', type: 'temp', removed: 3 }}] }})""")
        said.first.wait_for()
        frames(empty)
        counts.append(said.count())
    assert counts[1] <= counts[0] <= 2  # newer pages also have it once where screen readers look


def test_a_run_that_is_under_way_is_followed_and_a_stopped_one_says_so(empty: Page) -> None:
    part = random_predictions(2, 8, 1, (6, 6))
    serve(empty, {"part": (part_of(part[0], [1, 5], 2), part[1]), "whole": part})

    def tell(kind: str, workflow: str = "app.graph.id") -> None:
        live = "{ done: 8, wanted: 32, agreement: 0.913, reading: 'evidence' }"
        place = f"{{ subfolder: 'part', type: 'temp', live: {live} }}"
        detail = f"{{ node: String({EXPLORERS}[0].id), workflow: {workflow}, place: {place} }}"
        empty.evaluate(f"() => {{ window.comfyAPI.api.api.dispatchEvent(new CustomEvent('{kind}', {{ detail: {detail} }})) }}")
        frames(empty)

    tell("sdexplain.live", "'another'")
    assert empty.locator(".sdx-message").is_visible()
    tell("sdexplain.live")
    empty.wait_for_function("document.querySelector('.sdx-steps').textContent.includes('asked: 2 of 8')")
    asking = "The model is being asked: 8 of at most 32 evaluations are there. Map against other steps: correlation 0.91."
    assert words(empty, ".sdx-asking") == asking
    empty.get_by_label("Reading", exact=True).select_option("information")
    assert words(empty, ".sdx-message").startswith("While the model is being asked, only the reading")
    tell("execution_interrupted")
    assert words(empty, ".sdx-asking").startswith("Stopped with 8 of at most 32 evaluations.")
    open_run(empty, "whole")
    empty.wait_for_function("!document.querySelector('.sdx-steps').textContent.includes('asked')")
    assert empty.locator(".sdx-asking").is_hidden() and empty.locator(".sdx-message").is_hidden()


def counts(page: Page) -> dict[str, float]:
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    for _ in range(3):
        client.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(100)
    found = {entry["name"]: entry["value"] for entry in client.send("Performance.getMetrics")["metrics"]}
    client.detach()
    return {name: found[name] for name in ("JSEventListeners", "Nodes", "JSHeapUsedSize")}


# Adds a node, gives it what two runs told, waits until it shows them, and removes it, so many times.
TURNS = """async ([kind, turns, runs]) => {
    const wait = async test => { while (!test()) await new Promise(done => setTimeout(done, 10)) }
    for (let turn = 0; turn < turns; turn++) {
        const node = LiteGraph.createNode(kind)
        app.graph.add(node)
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
        for (const name of runs) {
            node.onExecuted({ sdexplain: [{ subfolder: name, type: 'temp' }] })
            const panel = () => node.widgets.find(widget => widget.name === 'explorer').element
            await wait(() => panel().querySelector('.sdx-verdict').dataset.value && panel().querySelector('.sdx-message').hidden)
        }
        app.graph.remove(node)
        await new Promise(done => requestAnimationFrame(done))
    }
}"""


def growth(page: Page, kind: str, turns: int, runs: list[str]) -> dict[str, float]:
    """What each turn leaves, after some to warm up."""
    page.evaluate(TURNS, [kind, 5, runs])
    before = counts(page)
    page.evaluate(TURNS, [kind, turns, runs])
    return {name: (value - before[name]) / turns for name, value in counts(page).items()}


def test_runs_and_removals_leave_nothing(rendered: Page) -> None:
    """On a page of its own: what another test has left could go meanwhile, and hide what stays here."""
    runs = {f"run {number}": random_predictions(2, 10, 1, (32, 32)) for number in range(2)}
    serve(rendered, runs)
    rendered.evaluate("app.graph.clear()")
    # in Nodes 2.0 the page keeps much of every removed node, whosever it is: what it keeps of one as large without a panel
    own = growth(rendered, "SDExplainHeatmap", 10, [])
    left = growth(rendered, "SDExplainExplore", 20, list(runs))
    assert rendered.locator(".sdx").count() == 0
    assert left["JSEventListeners"] < max(0, own["JSEventListeners"]) + 1, (left, own)
    assert left["Nodes"] < 1.2 * max(0, own["Nodes"]) + 2, (left, own)
    assert left["JSHeapUsedSize"] < max(0, own["JSHeapUsedSize"]) + 50_000, (left, own)  # two runs' data are some 3 MB


CHOSEN = """wanted => ['Reading', 'View'].every(
    (name, place) => document.querySelector(`.sdx [aria-label="${name}"]`)?.value === wanted[place])"""


def test_undo_and_redo_go_through_the_views(explorer: Page) -> None:
    tracker = "app.extensionManager.workflow.activeWorkflow.changeTracker"
    explorer.get_by_label("Reading", exact=True).select_option("information")
    frames(explorer)
    explorer.get_by_label("View", exact=True).select_option("heatmap")
    frames(explorer)
    for does, reading, view in (
        ("undo", "information", "overlay"),
        ("undo", "evidence", "overlay"),
        ("redo", "information", "overlay"),
        ("redo", "information", "heatmap"),
    ):
        explorer.evaluate(f"async () => await {tracker}.{does}()")
        look_at(explorer)
        frames(explorer)
        assert (widgets(explorer)["reading"], widgets(explorer)["view"]) == (reading, view)
        explorer.wait_for_function(CHOSEN, arg=[reading, view])


def test_a_copy_has_the_same_view_and_a_life_of_its_own(explorer: Page) -> None:
    drag(explorer, explorer.locator(".sdx-slider"), (0.97, 0.5), (0.5, 0.5))
    explorer.evaluate(f"""() => {{ const [node] = {EXPLORERS}
        app.canvas.selectItems([node]); app.canvas.copyToClipboard([node])
        app.canvas.graph_mouse = [node.pos[0] + 700, node.pos[1]]
        app.canvas.pasteFromClipboard({{ connectInputs: true }}) }}""")
    explorer.wait_for_function(f"{EXPLORERS}.length === 2")
    explorer.evaluate(f"""() => {{ const [first, second] = {EXPLORERS}; second.pos = [first.pos[0] + 600, first.pos[1]]
        for (const slot of [0, 1]) if (second.inputs[slot].link == null) {{
            const link = app.graph.getLink(first.inputs[slot].link)
            app.graph.getNodeById(link.origin_id).connect(link.origin_slot, second, slot) }}
        app.canvas.ds.offset[0] -= 250; app.canvas.draw(true, true) }}""")
    run(explorer)
    explorer.wait_for_function(f"({SHOWN})() === 2")
    frames(explorer)
    assert explorer.locator(".sdx-steps").all_inner_texts()[0][:16] == explorer.locator(".sdx-steps").all_inner_texts()[1][:16]
    explorer.evaluate(
        f"() => {{ const widget = {EXPLORERS}[1].widgets.find(widget => widget.name === 'end');"
        " widget.value = -1; widget.callback(-1) }"
    )
    explorer.wait_for_function(
        "[...document.querySelectorAll('.sdx-steps')].map(steps => steps.textContent.slice(0, 9)).sort().join()"
        " === 'steps 0–3,steps 0–6'"
    )
    explorer.evaluate(f"app.graph.remove({EXPLORERS}[1])")
    explorer.wait_for_function("document.querySelectorAll('.sdx').length === 1")
    drag(explorer, explorer.locator(".sdx-slider"), (0.5, 0.5), (0.7, 0.5))
    assert widgets(explorer)["end"] == 4


def test_lost_files_are_said_on_the_node_and_come_back_with_the_next_run(explorer: Page, comfyui_server: Server) -> None:
    # with routes the browser keeps no answers: it would give those of an earlier test, the longer the older the files are
    explorer.route("**/view?*", lambda route: route.continue_())
    shutil.rmtree(comfyui_server.base / "temp" / "sdexplain")
    explorer.get_by_label("Reading", exact=True).select_option("information")
    explorer.locator(".sdx-message").wait_for()
    assert words(explorer, ".sdx-message").startswith("The data of this run are gone")
    run(explorer)
    explorer.wait_for_function("document.querySelector('.sdx-message').hidden")
    assert "nformation" in words(explorer, ".sdx-source")


def test_the_pages_properties_panel_leaves_it_as_wide_as_its_node(explorer: Page) -> None:
    setting = "app.extensionManager.setting"
    if explorer.evaluate(f"{setting}.get('Comfy.RightSidePanel.IsOpen') === undefined"):
        pytest.skip("the page of this ComfyUI has no properties panel")
    width = explorer.locator(".sdx").bounding_box()["width"]
    explorer.evaluate(f"() => app.canvas.selectNode({EXPLORERS}[0])")
    explorer.evaluate(f"async () => await {setting}.set('Comfy.RightSidePanel.IsOpen', true)")
    explorer.get_by_text("Parameters", exact=True).wait_for()
    frames(explorer)
    explorer.evaluate("app.canvas.deselectAll()")
    explorer.evaluate(f"async () => await {setting}.set('Comfy.RightSidePanel.IsOpen', false)")
    explorer.get_by_text("Parameters", exact=True).wait_for(state="detached")
    explorer.evaluate("app.canvas.draw(true, true)")
    frames(explorer)
    assert explorer.locator(".sdx").bounding_box()["width"] == width


# What a subgraph offers to show on its node, as the page's list finds it.
OFFERED = """() => { const [node] = window.inner.subgraph.nodes; node.updateComputedDisabled()
    return node.widgets.filter(widget => !widget.computedDisabled).map(widget => widget.name) }"""
VISIBLE = "[...document.querySelectorAll('.sdx-verdict')].some(verdict => verdict.dataset.value && verdict.checkVisibility())"


def test_within_a_subgraph_it_shows_its_run(alone: Page) -> None:
    alone.evaluate(
        f"() => {{ const made = app.graph.convertToSubgraph(new Set([{EXPLORERS}[0]])); window.inner = made.node ?? made }}"
    )
    alone.wait_for_function(
        "document.querySelectorAll('.sdx').length === 0 || app.graph.nodes.every(node => node.type !== 'SDExplainExplore')"
    )
    # older pages put a widget's element on the subgraph's node; newer ones can't, and it isn't offered. No row for any value.
    by_input = alone.evaluate("'widgetId' in window.inner.subgraph.nodes[0].widgets[0]")
    assert alone.evaluate(OFFERED) == ([] if by_input else ["explorer"])
    if not by_input:
        alone.evaluate(
            "() => { window.inner.properties.proxyWidgets = [[String(window.inner.subgraph.nodes[0].id), 'explorer']] }"
        )
    run(alone)
    if not by_input:
        see(alone, "window.inner")
    alone.evaluate("() => app.canvas.openSubgraph(window.inner.subgraph, window.inner)")
    see(alone, "window.inner.subgraph.nodes[0]")
    alone.evaluate("() => { delete window.inner }")
    drag(alone, alone.locator(".sdx-slider").last, (0.97, 0.5), (0.5, 0.5))
    inside: Any = alone.evaluate(
        "app.canvas.graph.nodes.find(node => node.type === 'SDExplainExplore')"
        ".widgets.find(widget => widget.name === 'end').value"
    )
    assert inside == 3
    # the page says so of every subgraph that is opened like this
    alone.problems[:] = [problem for problem in alone.problems if "graph that was never set up" not in problem]


def see(page: Page, node: str) -> None:
    """Bring a node that shows the explorer into sight, and wait for it."""
    page.evaluate(f"""() => {{ const node = {node}
        Object.assign(app.canvas.ds, {{ scale: 0.8, offset: [400 - node.pos[0], 150 - node.pos[1]] }})
        app.canvas.draw(true, true) }}""")
    page.wait_for_function(VISIBLE)
