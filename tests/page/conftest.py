"""A page that the tests of a file share, since opening one takes as long as several tests; each begins with a graph loaded anew.

explorer  a graph whose explorer has run, in each renderer
empty     one with an explorer that has not run, in each renderer
blank     a new workflow without any node, in each renderer
classic   the same in the classic renderer alone
french    not shared: a page of the test's own that opens in French, and that it shows in each renderer itself

Where a test has failed, the next one gets a page that is opened anew. With `--tracing` every test has a page of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

FAILED = pytest.StashKey[bool]()
RENDERERS = ["classic", "Nodes 2.0"]
VUE = "Comfy.VueNodes.Enabled"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


class Shared:
    """The page, what its console has reported, and the graph that has run on it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.opened, self.graph, self.size = page, url, False, None, page.viewport_size
        page.problems, self.warnings = [], []
        page.on("console", self._note)
        page.on("pageerror", lambda error: page.problems.append(str(error)))

    def _note(self, message: Any) -> None:
        text = f"{message.text} ({message.location['url']})"
        if message.type == "error":
            self.page.problems.append(text)
        elif message.type == "warning" and ("sdexplain" in text.lower() or "sdx" in text):
            self.warnings.append(text)

    def open(self, renderer: str) -> None:
        """Show this renderer, with nothing noted yet."""
        from sdexplain.tools.page import open_page

        if not self.opened:
            open_page(self.page, self.url)
            self.opened, self.graph = True, None
        setting = "app.extensionManager.setting"
        if self.page.evaluate(f"{setting}.get('{VUE}') === undefined") and renderer != "classic":
            pytest.skip("the page of this ComfyUI came before Nodes 2.0")
        self.page.evaluate(f"on => {setting}.set('{VUE}', on)", renderer != "classic")
        self.page.set_viewport_size(self.size)
        self.page.mouse.move(0, 0)
        self.page.problems.clear()
        self.warnings.clear()

    def close(self) -> None:
        """Leave the page as the next test needs it; what the pack has caused in this one is an error."""
        from sdexplain.tools.page import of_the_pack

        self.page.unroute_all()
        caused = of_the_pack(self.page) + self.warnings
        self.opened = self.opened and not caused
        assert caused == []

    def leave(self) -> None:
        """Let nothing be drawn until the page is opened anew: while other files run, it would go on taking processor time."""
        self.page.goto("about:blank")
        self.opened = False


@pytest.fixture(scope="session")
def shared_page(browser: Browser, browser_context_args: dict[str, Any], comfyui_server: Server) -> Iterator[Shared]:
    from sdexplain.tools.page import PATIENCE

    context = browser.new_context(**browser_context_args)
    context.set_default_timeout(PATIENCE)
    yield Shared(context.new_page(), comfyui_server.url)
    context.close()


@pytest.fixture(scope="module")
def anew(shared_page: Shared) -> Iterator[None]:
    """Each file begins with a page that remembers no earlier run."""
    shared_page.opened = False
    yield
    shared_page.leave()


@pytest.fixture(scope="module", params=RENDERERS)
def renderer(request: pytest.FixtureRequest, shared_page: Shared) -> Iterator[str]:
    """All tests of a file in one renderer, then all in the other; each begins with a page that remembers no earlier run."""
    shared_page.opened = False
    yield request.param
    shared_page.leave()


@contextlib.contextmanager
def showing(renderer: str, request: pytest.FixtureRequest, shared_page: Shared) -> Iterator[Shared]:
    """The shared page in a renderer; one of the test's own where a trace is asked for."""
    traced = request.config.option.tracing != "off"
    shared = Shared(request.getfixturevalue("page"), shared_page.url) if traced else shared_page
    shared.open(renderer)
    shared.opened = False  # until this test has ended well
    yield shared
    failed = request.node.stash.get(FAILED, False)
    shared.opened = not failed
    if failed:
        shared.page.screenshot(path=Path(request.getfixturevalue("output_path"), "failed.png"))
    shared.page.evaluate(f"app.extensionManager.setting.set('{VUE}', false)")
    shared.close()


@pytest.fixture
def opened(request: pytest.FixtureRequest, renderer: str, shared_page: Shared, output_path: str) -> Iterator[Shared]:
    with showing(renderer, request, shared_page) as shared:
        yield shared


@pytest.fixture
def blank(opened: Shared) -> Page:
    from sdexplain.tools.explorer_page import NEW

    opened.page.evaluate(NEW)
    return opened.page


@pytest.fixture
def classic(request: pytest.FixtureRequest, anew: None, shared_page: Shared, output_path: str) -> Iterator[Page]:
    from sdexplain.tools.explorer_page import NEW

    with showing("classic", request, shared_page) as shared:
        shared.page.evaluate(NEW)
        yield shared.page


@pytest.fixture
def french(page: Page, comfyui: Client, comfyui_server: Server) -> Iterator[Shared]:
    """A page of the test's own that opens in French: where the language changes later, the page registers all nodes anew."""
    comfyui._post("/settings/Comfy.Locale", "fr")
    yield Shared(page, comfyui_server.url)
    comfyui._post("/settings/Comfy.Locale", "en")
    comfyui._post(f"/settings/{VUE}", False)


@pytest.fixture
def explorer(opened: Shared) -> Page:
    """A graph whose explorer has run, and nothing else done: in place of the root's fixture, which takes ten times as long."""
    from sdexplain.tools.explorer_page import BUILD, SAMPLES, STEPS, look_at, run

    page = opened.page
    if opened.graph is None:
        page.evaluate(BUILD, [STEPS, SAMPLES])
        run(page)
        look_at(page)
        opened.graph = page.evaluate("JSON.parse(JSON.stringify(app.graph.serialize()))")
    else:
        page.evaluate("graph => app.loadGraphData(graph, true, true, 'test')", opened.graph)
        look_at(page)
    return page


@pytest.fixture
def alone(rendered: Page) -> Page:
    """The same on a page of the test's own, for what the page does not get over."""
    from sdexplain.tools.explorer_page import BUILD, SAMPLES, STEPS, look_at, run

    rendered.evaluate(BUILD, [STEPS, SAMPLES])
    run(rendered)
    look_at(rendered)
    return rendered


@pytest.fixture
def empty(opened: Shared) -> Page:
    """A graph with an explorer that has not run."""
    from sdexplain.tools.explorer_page import EMPTY

    page = opened.page
    if page.evaluate(f"app.extensionManager.setting.get('{VUE}')"):  # its id can be had again once the old node is off the page
        page.evaluate("() => app.graph.clear()")
        page.locator(".sdx").wait_for(state="detached")
    page.evaluate(EMPTY)
    page.locator(".sdx-message").wait_for()
    return page
