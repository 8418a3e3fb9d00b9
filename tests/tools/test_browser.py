"""What happens to the page tests where there is no browser."""

from __future__ import annotations

import os
import subprocess
import sys
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


@pytest.mark.parametrize(("required", "outcome", "code"), [("", "1 skipped", 0), ("1", "1 error", 1)])
def test_page_tests_are_skipped_with_the_reason_or_fail_where_they_are_required(
    tmp_path: Path, required: str, outcome: str, code: int
) -> None:
    (tmp_path / "no_browser.py").write_text(
        "import conftest; from sdexplain.tools import browser; browser.get = lambda: (None, 'there is none to be had')"
    )
    (tmp_path / "test_page.py").write_text("def test_page(page): pass")
    settings = {"PYTHONPATH": os.pathsep.join([str(TESTS), str(tmp_path)]), "SDEXPLAIN_REQUIRE_BROWSER": required}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "conftest", "-p", "no_browser", "test_page.py"],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, outcome in done.stdout) == (code, True), done.stdout + done.stderr
    assert "there is none to be had" in done.stdout
