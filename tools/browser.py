"""Finds a browser for the page tests, or gets one.

An installed Chromium or Chrome comes first, then Playwright's own, then Debian's where it may be installed.
`python dev.py run tools.browser` gets one and says which; `dev.py test` runs that before the tests, which then need no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Where Chrome lies when it is not on the path.
PLACES = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    *(
        Path(os.environ[variable], "Google/Chrome/Application/chrome.exe")
        for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
        if variable in os.environ
    ),
)
# A test page needs nothing that the browser itself does on the network.
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def find() -> Path | None:
    """The browser to use: an installed one, else the one that Playwright has downloaded, else None."""
    installed = next((path for name in NAMES if (path := shutil.which(name))), None)
    if installed:
        return Path(installed)
    if found := next((place for place in PLACES if place.is_file()), None):
        return found
    with sync_playwright() as playwright:
        downloaded = Path(playwright.chromium.executable_path)
    return downloaded if downloaded.is_file() else None


def get() -> tuple[Path | None, str]:
    """Find a browser or install one; returns it, or None and the reasons why there is none."""
    if found := find():
        return found, ""
    reasons = []
    for name, commands in installers().items():
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
            if done.returncode:
                reasons.append(f"{name}: {' '.join(command)} failed: {last_line(done.stderr or done.stdout)}")
                break
        if found := find():
            return found, ""
    return None, "no Chromium or Chrome is installed, and none could be: " + "; ".join(reasons)


def installers() -> dict[str, list[list[str]]]:
    ways = {"Playwright's own": [[sys.executable, "-m", "playwright", "install", "chromium"]]}
    if shutil.which("apt-get") and os.geteuid() == 0:
        ways["Debian's"] = [
            ["apt-get", "update"],
            ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"],
        ]
    return ways


def last_line(text: str) -> str:
    """The line that says what failed: the last one that is not a position in a program."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("at ")]
    return next(
        (line for line in reversed(lines) if line.startswith(("Error", "E:"))),
        lines[-1] if lines else "no reason given",
    )


def main() -> None:
    browser, reason = get()
    print(f"Browser for the page tests: {browser}" if browser else f"Page tests will be skipped: {reason}", flush=True)
