"""Node.js for the page's own scripts, and ComfyUI's published types to check them against.

Playwright brings the Node.js. TypeScript and the types come from npm's registry into tests/js/node_modules, once, as
tests/js/package-lock.json has them; later runs need no network.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from playwright._impl._driver import compute_driver_executable

FOLDER = Path(__file__).resolve().parent.parent / "js"
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"
TYPESCRIPT = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
# what npm calls a registry that can't be reached, as opposed to anything that is wrong with what is asked of it
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "UNABLE_TO", "SELF_SIGNED")


class Unavailable(Exception):
    """This machine can't have the types, and why."""


def node() -> str:
    return str(compute_driver_executable()[0])


def get_types() -> None:
    """Install TypeScript and the types unless they are there.

    Raises:
        Unavailable: there is no npm, or it reaches no registry.
        RuntimeError: npm fails otherwise; its words.
    """
    if INSTALLED.is_file() and INSTALLED.stat().st_mtime >= (FOLDER / "package-lock.json").stat().st_mtime:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("there is no npm to install TypeScript and ComfyUI's types with: install Node.js")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=30000"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode and any(name in done.stderr for name in NO_NETWORK):
        raise Unavailable(f"npm reaches no registry: {done.stderr.strip().splitlines()[-1]}")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
