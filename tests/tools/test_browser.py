"""What happens to the page tests where there is no browser, and what a failed one leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from sdexplain.tools import browser

TESTS = Path(__file__).resolve().parent.parent
NO_NETWORK = [sys.executable, "-c", "raise SystemExit('Error: no network\\n    at download.js:7')"]
FINE = [sys.executable, "-c", ""]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "find", lambda: None)


def test_the_first_way_that_gives_a_browser_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "chromium"
    installing = [sys.executable, "-c", f"open({str(place)!r}, 'w')"]
    monkeypatch.setattr(browser, "find", lambda: place if place.exists() else None)
    monkeypatch.setattr(browser, "installers", lambda: {"A": [NO_NETWORK], "B": [FINE, installing], "C": [["absent"]]})
    assert browser.get() == (place, "")


@pytest.mark.usefixtures("nothing_installed")
def test_each_failed_way_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {"Playwright's own": [NO_NETWORK], "Debian's": [FINE, NO_NETWORK]}
    monkeypatch.setattr(browser, "installers", lambda: ways)
    found, reason = browser.get()
    assert found is None
    assert reason.startswith("no Chromium or Chrome is installed, and none could be: Playwright's own: ")
    assert reason.count("failed: Error: no network") == 2 and reason.endswith("no network")


def test_installed_browsers_are_found_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chrome = tmp_path / ("google-chrome.exe" if os.name == "nt" else "google-chrome")
    chrome.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser.find() == chrome


def run_page_test(
    folder: Path, test: str, browser_is: str = "", options: Sequence[str] = (), **settings: str
) -> subprocess.CompletedProcess:
    """Run one test with a page in a folder of its own, with the fixtures of all tests."""
    (folder / "conftest.py").write_text(
        f"import runpy; shared = runpy.run_path({str(TESTS / 'conftest.py')!r})\n"
        "globals().update({name: shared[name] for name in shared if not name.startswith('__')})\n"
        f"from sdexplain.tools import browser\n{browser_is}"
    )
    (folder / "test_page.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-ra", *options, "--output=traces", "test_page.py"]
    return subprocess.run(command, cwd=folder, env=os.environ | settings, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(("required", "outcome", "code"), [("", "1 skipped", 0), ("1", "1 error", 1)])
def test_page_tests_are_skipped_with_the_reason_or_fail_where_they_are_required(
    tmp_path: Path, required: str, outcome: str, code: int
) -> None:
    none = "browser.get = lambda: (None, 'there is none to be had')"
    done = run_page_test(tmp_path, "def test_page(page): pass", none, SDEXPLAIN_REQUIRE_BROWSER=required)
    assert (done.returncode, outcome in done.stdout) == (code, True), done.stdout + done.stderr
    assert "there is none to be had" in done.stdout


FAILS_ON_A_PAGE = """
def test_that_passes(page):
    page.set_content("<p>here</p>")
    assert page.viewport_size == {"width": 1600, "height": 1000}
    assert page.problems == []

def test_that_fails(page):
    page.set_content("<p>there</p><script>console.error('broken'); nobody.catches()</script>")
    for _ in range(1000):  # both are told when the browser gets to it
        if len(page.problems) < 2:
            page.wait_for_timeout(10)
    print(page.problems)
    assert page.problems == []
"""


@pytest.mark.slow
def test_a_failed_page_test_names_the_pages_problems_and_alone_leaves_a_trace(tmp_path: Path) -> None:
    if browser.find() is None:
        pytest.skip("there is no browser")
    done = run_page_test(tmp_path, FAILS_ON_A_PAGE, options=["-n1"])
    assert "1 failed, 1 passed" in done.stdout and "Once more with a trace, the page tests that failed (1)" in done.stdout, (
        done.stdout + done.stderr
    )
    assert "broken" in done.stdout and "nobody is not defined" in done.stdout
    (picture,) = set((tmp_path / "traces").rglob("*.png")) - set((tmp_path / "traces" / "again").rglob("*.png"))
    (trace,) = (tmp_path / "traces" / "again").rglob("*.zip")
    assert "test-that-fails" in picture.parent.name and picture.read_bytes().startswith(b"\x89PNG")
    assert "test-that-fails" in trace.parent.name
    with zipfile.ZipFile(trace) as archive:
        assert "setContent" in archive.read("trace.trace").decode()
