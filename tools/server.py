"""Starts a real ComfyUI with this pack in it, in folders of its own, and always stops it again.

Standard library only, so that `dev.py ui` needs nothing else.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from .environment import ROOT, Host

PACK = "sdexplain"
# A node that is there as soon as the pack is.
PACK_NODE = "SDExplainLoadDiffusers"
# Where Linux shows a device that torch might use: NVIDIA, AMD, Intel, Ascend, and any of them under WSL.
LINUX_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD*", "/dev/davinci*", "/dev/dxg")
ASK_TORCH = "import torch; print(torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available())"
# The model folders are there for the person who looks where to put a checkpoint.
MODEL_FOLDERS = ("models/checkpoints", "models/classifiers", "models/diffusers", "models/vae")
BASE_FOLDERS = ("custom_nodes", "input", "output", "temp", "user/default", *MODEL_FOLDERS)
LOG_TAIL = 25


class ServerError(RuntimeError):
    """ComfyUI could not be started or died; the message says why, with the end of its log, and what to do."""


class Server:
    """A headless ComfyUI on 127.0.0.1 that has this pack and no other, for use in a `with` block.

    `base` takes its custom_nodes, models, input, output, user and temp; without it they lie in a temporary folder that
    goes with the server. Nothing is written into anybody else's ComfyUI. `pack` is the checkout
    whose pack it has, this one unless another is named. `packs` adds folders of nodes by name, `settings` are the page's.
    It ends with the program that started it, even when that is killed.
    """

    def __init__(
        self,
        host: Host,
        *,
        port: int | None = None,
        base: Path | None = None,
        pack: Path = ROOT,
        packs: Mapping[str, Path] | None = None,
        settings: Mapping[str, object] | None = None,
        show_host_models: bool = False,
        timeout: float = 300,
    ) -> None:
        self.host = host
        self.port = port
        self.packs = {PACK: pack, **(packs or {})}
        self.settings = dict(settings or {})
        self.show_host_models = show_host_models
        self.timeout = timeout
        self.temporary = base is None
        self.base = base
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.base / "comfyui.log"

    def start(self) -> Server:
        """Start ComfyUI and wait until it answers; raises ServerError when it can't, with the end of its log."""
        self.port = free_port() if self.port is None else self.port
        require_port(self.port)
        self.base = Path(tempfile.mkdtemp(prefix="sdexplain-")) if self.temporary else self.base
        try:
            self._lay_out()
            self._launch()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End ComfyUI and what it started, and remove its temporary folder; safe to call twice."""
        if self.process is not None:
            end(self.process)
            self.process = None
        if self.temporary and self.base is not None and self.base.exists():
            # the links first and by themselves: emptying this folder must never reach the pack behind them
            for name in self.packs:
                unlink(self.base / "custom_nodes" / name)
            shutil.rmtree(self.base, ignore_errors=True)

    def wait(self) -> None:
        """Never return: wait until ComfyUI ends by itself, then raise ServerError with the end of its log."""
        self.process.wait()
        raise ServerError(
            f"ComfyUI ended by itself (exit code {self.process.returncode}). The end of its log:\n{self.log_tail()}"
        )

    def log_tail(self, lines: int = LOG_TAIL) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"

    # ------------------------------------------------------------------------------------------------------------------

    def _log_of_pack(self) -> str:
        place = str(self.base / "custom_nodes" / PACK)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"    {line.strip()}" for line in text.splitlines() if place in line)

    def _lay_out(self) -> None:
        for name in BASE_FOLDERS:
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for name, folder in self.packs.items():
            link(self.base / "custom_nodes" / name, folder)
        if self.settings:
            file = self.base / "user" / "default" / "comfy.settings.json"
            file.write_text(json.dumps(self.settings), encoding="utf-8")

    def _launch(self) -> None:
        arguments = [
            *("--listen", "127.0.0.1", "--port", str(self.port)),
            *("--base-directory", str(self.base)),
            *("--database-url", f"sqlite:///{(self.base / 'user' / 'comfyui.db').as_posix()}"),
            *("--disable-all-custom-nodes", "--whitelist-custom-nodes", *self.packs),
            "--disable-api-nodes",
            *([] if has_accelerator(self.host.python) else ["--cpu"]),
            *(["--extra-model-paths-config", str(self._host_models())] if self.show_host_models else []),
        ]
        command = [
            str(self.host.python),
            str(Path(__file__).with_name("host_main.py")),
            str(self.host.folder / "main.py"),
            *arguments,
        ]
        # Ctrl-C is for the program that holds this server, which then stops it; hence a group of its own.
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if os.name == "nt" else {"start_new_session": True}
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
        try:
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    command,
                    cwd=self.host.folder,
                    env=environment,
                    stdin=subprocess.PIPE,  # held open, never written to: see host_main.py
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **group,
                )
        except FileNotFoundError as error:
            raise ServerError(f"The Python of the ComfyUI in {self.host.folder} is not there: {self.host.python}") from error

    def _host_models(self) -> Path:
        """A file that shows this server the models in the host's folder, in ComfyUI's YAML (JSON is YAML, too)."""
        folders = [folder for folder in (self.host.folder / "models").glob("*") if folder.is_dir()]
        file = self.base / "host_models.yaml"
        file.write_text(json.dumps({"host": {folder.name: str(folder) for folder in folders}}), encoding="utf-8")
        return file

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.timeout
        while not (answer := get(f"{self.url}/object_info/{PACK_NODE}")):
            if self.process.poll() is not None:
                raise ServerError(
                    f"ComfyUI ended while starting (exit code {self.process.returncode}). The end of its log:\n"
                    f"{self.log_tail()}\nIt was started from {self.host.folder} with {self.host.python}."
                )
            if time.monotonic() > deadline:
                raise ServerError(f"ComfyUI did not answer within {self.timeout:g} s. The end of its log:\n{self.log_tail()}")
            time.sleep(0.2)
        if PACK_NODE not in json.loads(answer):
            raise ServerError(
                f"ComfyUI started, but could not load SDExplain. The end of its log:\n{self.log_tail(60)}\n"
                f"What it says of SDExplain:\n{self._log_of_pack()}\n"
                f"If a module is missing: {self.host.python} -m pip install -r {ROOT / 'requirements.txt'}"
            )


# --------------------------------------------------------------------------------------------------- ports and requests


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def require_port(port: int) -> None:
    """Raise ServerError when nothing can listen on `port`."""
    try:
        with socket.socket() as probe:
            if os.name != "nt":  # a port that a server has just left is free, as it is for ComfyUI
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise ServerError(
            f"Port {port} is taken by another program, or not allowed. "
            "Stop that program, choose another with --port, or leave --port out to have a free one found."
        ) from error


def get(url: str) -> bytes:
    """The answer at `url`, without a proxy; empty if nothing answers yet."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            return answer.read()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return b""


# -------------------------------------------------------------------------------------------- processes and the machine


def end(process: subprocess.Popen) -> None:
    """End `process` and its children: asked first, after ten seconds by force."""
    if os.name == "nt":
        process.terminate()
    else:
        signal_group(process, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        if os.name == "nt":
            process.kill()
        else:
            signal_group(process, signal.SIGKILL)
        process.wait()
    process.stdin.close()


def signal_group(process: subprocess.Popen, number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # it had ended already


def has_accelerator(python: Path) -> bool:
    """Whether torch in `python` finds a device other than the CPU; without one, ComfyUI needs an option."""
    if sys.platform == "linux" and not any(glob.glob(pattern) for pattern in LINUX_DEVICES):
        return False  # saves the seconds that importing torch takes
    answer = subprocess.run([str(python), "-c", ASK_TORCH], capture_output=True, text=True)
    return answer.stdout.strip() == "True"


# ---------------------------------------------------------------------------------------------------------------- links


def link(place: Path, folder: Path) -> None:
    """Make `folder` appear at `place` without a copy: a symbolic link, on Windows a junction, which needs no special rights."""
    unlink(place)
    try:
        if os.name == "nt":
            import _winapi

            _winapi.CreateJunction(str(folder), str(place))
        else:
            place.symlink_to(folder, target_is_directory=True)
    except OSError as error:
        raise ServerError(
            f"The disk of {place.parent} takes no links to folders ({error}). Set TMPDIR to a folder on another."
        ) from error


def unlink(place: Path) -> None:
    if os.path.lexists(place):
        os.unlink(place)  # the link itself: refused for a real folder
