"""What the tests share. Run them with `python dev.py test`, or `.venv/bin/python -m pytest tests` after that.

With `--quick` run those alone that need no ComfyUI, no browser and little time: neither `host` nor `page`, which are set here,
nor `slow`, which is written above a test that takes more than about 2 s of one core.

`dev.py` runs them in several processes, file by file. Each has a ComfyUI, a browser and a temporary folder of its own, so that
their files never meet: a file may count on nothing that another one left.

The pack is loaded as `sdexplain`, whatever this checkout's folder is called, the way ComfyUI loads a folder of
custom_nodes: tests write `from sdexplain.nodes.maths.method import noising`.

Fixtures, each made once for all tests unless it says otherwise:

comfyui         an `api.Client` of a real ComfyUI with this pack and `tools/probe_pack` in it, in a process of its own:
                `comfyui.run({"1": {"class_type": …, "inputs": {…}}})`. Errors arrive as `api.NodeFailed` or
                `api.PromptRejected`.
comfyui_server  its `server.Server`: `.url`, `.base` (with input and output), `.log_tail()`.
comfy_host      puts ComfyUI on the import path of this process, on the CPU and with an empty folder for its models, and
                returns that folder (`folder_paths.base_path`). For tests of `nodes/host` and of node classes: take it
                (`pytestmark = pytest.mark.usefixtures("comfy_host")`) and import comfy, and the modules that need it,
                inside tests and fixtures, never at the top of a file.
page            pytest-playwright's: a new tab in headless Chromium for each test, closed after it. The tabs share a cache, so
                that ComfyUI's 500 files are read once. `page.problems` lists what its console reported as errors and the
                exceptions nobody caught.
comfyui_page    the same with the real page of `comfyui` open, as on a first visit and with no dialog over the graph; of the
                problems until then only the pack's are kept.
rendered        that page, once in the classic renderer and once in Nodes 2.0; the pack must cause no error and no warning in it.

Where there is no browser, tests with a page are skipped with the reason; with SDEXPLAIN_REQUIRE_BROWSER set they fail.
A page test that fails leaves a screenshot in output/traces; it is run once more and leaves its trace there:
`.venv/bin/playwright show-trace output/traces/…/trace.zip` shows what was done, step by step, with the page before and after.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

ROOT = Path(__file__).resolve().parent.parent
HOSTS = {"comfyui_server", "comfy_host", "besieged", "watched"}
"""Fixtures with a ComfyUI behind them; the last two are servers of their own, in fuzz and in test_security.py."""
LONG = ("host", "page", "slow")
FAILED = pytest.StashKey[bool]()
FAILED_PAGES: list[str] = []
MOST_TRACED = 10
ORDER = ("page", "fuzz", "nodes", "host", "benchmarks", "training", "tools", "maths")
"""The folders whose files take longest come first, so that the processes end together."""
MOST_PROCESSES = 3
MEMORY = 4e9
"""What a test process takes with its ComfyUI, its model and its browser."""


# `python -m pytest` puts the current folder on the path: from the root, the pack's `nodes` would then hide ComfyUI's nodes.py.
spec = importlib.util.spec_from_file_location("launch", ROOT / "tools" / "launch.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))


def pytest_xdist_auto_num_workers() -> int:
    """As many processes as the memory has room for, up to 3 even on two cores: each waits for its page half of the time."""
    return max(1, min(MOST_PROCESSES, round(psutil.virtual_memory().total / MEMORY)))


def pytest_configure(config: pytest.Config) -> None:
    """Keep traces in a folder for each ComfyUI, since every run begins by emptying its own; `--output` names another.

    All takes one thread: the tensors are so small that two would wait for each other.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if config.option.output == "test-results":  # pytest-playwright's default, in the current folder
        tested = Path(os.environ.get("COMFYUI_PATH", "")).name or "comfyui"
        config.option.output = str(ROOT / "output" / "traces" / tested)
    config.option.output = str(Path(config.option.output, process_name(config)))


def process_name(config: pytest.Config) -> str:
    """Which of several test processes this is; empty for the first, which only hands out the files, or the only one."""
    return getattr(config, "workerinput", {}).get("workerid", "")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no ComfyUI, no browser and little time")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --quick leave alone, unread, the files that a mark of their own leaves out: reading some takes seconds."""
    if not config.option.quick or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return True if re.search(r'^pytestmark = pytest\.mark\.(slow|usefixtures\("comfy)', text, re.MULTILINE) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first, mark tests that a ComfyUI or a browser takes part in; --quick keeps what has no mark of `LONG`."""
    items.sort(key=lambda item: ORDER.index(folder) if (folder := item.path.parent.name) in ORDER else len(ORDER))
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if HOSTS & fixtures:
            item.add_marker("host")
        if {"page", "shared_page"} & fixtures:
            item.add_marker("page")
    if config.option.quick:
        long = {item for item in items if any(item.get_closest_marker(mark) for mark in LONG)}
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=list(long))


# ------------------------------------------------------------------------------------------------------- a real ComfyUI


@pytest.fixture(scope="session")
def comfyui_server() -> Iterator[Server]:
    from sdexplain.tools.environment import find_host
    from sdexplain.tools.page import SETTINGS
    from sdexplain.tools.server import Server

    with Server(find_host(), packs={"sdexplain_probe": ROOT / "tools" / "probe_pack"}, settings=SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def comfyui(comfyui_server: Server) -> Client:
    from sdexplain.tools.client import Client

    return Client(comfyui_server.url)


@pytest.fixture(scope="session")
def comfy_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sdexplain.tools.environment import find_host

    base = tmp_path_factory.mktemp("comfyui")
    sys.path.append(str(find_host().folder))  # last: ComfyUI's `utils`, `app` and `server` must hide nobody's
    from comfy.cli_args import args

    args.cpu = True
    args.base_directory = str(base)
    return base


# ------------------------------------------------------------------------------------------------------------- its page


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the Chromium that tools/browser.py finds or gets."""
    from sdexplain.tools import browser

    found, reason = browser.get()
    if found is None:
        if os.environ.get("SDEXPLAIN_REQUIRE_BROWSER"):
            pytest.fail(f"SDEXPLAIN_REQUIRE_BROWSER is set, but {reason}")
        pytest.skip(reason)
    return browser_type_launch_args | {"executable_path": found, "args": list(browser.ARGUMENTS)}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return browser_context_args | {"viewport": {"width": 1600, "height": 1000}}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and "page" in report.keywords and report.nodeid not in FAILED_PAGES:
        FAILED_PAGES.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Run the page tests that failed once more, to keep a trace of each: tracing every test takes a third as long again."""
    options = session.config.option
    if process_name(session.config) or options.tracing != "off" or options.collectonly:
        return
    again = Path(options.output, "again")
    shutil.rmtree(again, ignore_errors=True)
    if FAILED_PAGES:
        session.config.get_terminal_writer().line(
            f"\n\nOnce more with a trace, the page tests that failed ({len(FAILED_PAGES)}):"
        )
        tests = [f"{session.config.rootpath / name}" for name in FAILED_PAGES[:MOST_TRACED]]
        command = [sys.executable, "-m", "pytest", "--tracing=retain-on-failure", f"--output={again}", *tests]
        subprocess.run(command, cwd=session.config.invocation_params.dir)


@pytest.fixture(scope="session")
def cached_context(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[BrowserContext]:
    with browser.new_context(**browser_context_args) as context:
        yield context


@pytest.fixture
def context(request: pytest.FixtureRequest) -> BrowserContext:
    """All tabs are of one context and share its cache; where a trace is asked for, each test has one of its own."""
    from sdexplain.tools.page import PATIENCE

    traced = request.config.option.tracing != "off"
    context = request.getfixturevalue("new_context")() if traced else request.getfixturevalue("cached_context")
    context.set_default_timeout(PATIENCE)
    return context


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest, output_path: str) -> Iterator[Page]:
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(described(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    if request.node.stash.get(FAILED, False) and not page.is_closed():
        page.screenshot(path=Path(output_path, "failed.png"))
    page.close()


def described(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location['url']})"


@pytest.fixture
def comfyui_page(page: Page, comfyui_server: Server) -> Page:
    from sdexplain.tools.page import open_page

    open_page(page, comfyui_server.url)
    # what the page reports by itself while it starts (absent user.css and the like) is not the pack's
    page.problems[:] = [problem for problem in page.problems if "sdexplain" in problem]
    return page


@pytest.fixture(params=["classic", "Nodes 2.0"])
def rendered(request: pytest.FixtureRequest, comfyui_page: Page) -> Iterator[Page]:
    from sdexplain.tools.page import of_the_pack

    setting = "app.extensionManager.setting"
    if comfyui_page.evaluate(f"{setting}.get('Comfy.VueNodes.Enabled') === undefined") and request.param != "classic":
        pytest.skip("the page of this ComfyUI came before Nodes 2.0")
    warnings: list[str] = []
    comfyui_page.on("console", lambda message: warnings.append(message.text) if message.type == "warning" else None)
    comfyui_page.evaluate(f"on => {setting}.set('Comfy.VueNodes.Enabled', on)", request.param != "classic")
    yield comfyui_page
    comfyui_page.evaluate(f"{setting}.set('Comfy.VueNodes.Enabled', false)")
    assert of_the_pack(comfyui_page) == []
    assert [words for words in warnings if "sdexplain" in words.lower() or "sdx" in words] == []
