"""The commands of `dev.py`: each makes the environment if need be, goes on in it, and says plainly what went wrong."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from .environment import ROOT, Host, SetupError, find_further_hosts, find_host, install, venv_python, version_of
from .server import Server, ServerError, free_port, require_port

PYTHON = venv_python(ROOT / ".venv")
LAUNCH = ROOT / "tools" / "launch.py"
USUAL_PORT = 8188
# One test process runs all tests of a file; tests/conftest.py says how many processes there are.
PROCESSES = ("-nauto", "--dist=loadfile", "--no-loadscope-reorder")
NO_TESTS = 5  # pytest's exit code when none of the tests that were asked for is left


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for an error that was explained, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except (SetupError, ServerError) as error:
        problem = str(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        problem = f"The disk is full: free some space and run this again. ({error})"
    print(f"\n{problem}", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="dev.py", description="SDExplain in a real ComfyUI, from nothing but Python and pip.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("setup", help="only install what the others need")
    command.set_defaults(command=setup)

    command = commands.add_parser("demo", help="run the example workflows and save their pictures to output/")
    command.add_argument("--thumbnails", action="store_true", help="also write the workflows' thumbnails")
    command.set_defaults(command=demo)

    command = commands.add_parser("ui", help="start ComfyUI with SDExplain for the browser")
    command.add_argument("--port", type=int, help=f"port to listen on (default: {USUAL_PORT}, or a free one if it is taken)")
    command.set_defaults(command=ui)

    # what follows these two is for pytest and for the script, so no character begins an option of dev.py itself
    passing_on = {"add_help": False, "prefix_chars": "\0"}
    command = commands.add_parser(
        "test",
        help="run the tests, with --quick a part; on each ComfyUI that SDEXPLAIN_HOSTS names those of the host again",
        **passing_on,
    )
    command.add_argument("rest", nargs="*", metavar="ARGUMENT", help="passed on to pytest")
    command.set_defaults(command=test)

    command = commands.add_parser("run", help="run a script in the environment, such as benchmarks.truth", **passing_on)
    command.add_argument("rest", nargs="*", metavar="SCRIPT ARGUMENT", help="the script and its arguments")
    command.set_defaults(command=run)
    return made


# ------------------------------------------------------------------------------------------------------------- commands


def setup(options: argparse.Namespace) -> int:
    host = install()
    print(f"Ready: {PYTHON}, ComfyUI in {host.folder}" + ("" if host.pinned else f" with {host.python}"))
    return 0


def demo(options: argparse.Namespace) -> int:
    host = in_environment()
    from .client import ComfyUIError
    from .demo import run_examples

    try:
        run_examples(host, options.thumbnails)
    except ComfyUIError as error:
        print(f"\nComfyUI could not run the workflow.\n{error}", file=sys.stderr)
        return 1
    return 0


def ui(options: argparse.Namespace) -> int:
    if options.port is not None:
        require_port(options.port)  # before minutes of installing
    host = in_environment()
    base = ROOT / ".comfyui" / "base"
    print("Starting ComfyUI …", flush=True)
    with Server(host, port=options.port or usual_port(), base=base, show_host_models=not host.pinned) as server:
        print(
            f"ComfyUI with SDExplain: {server.url}\n"
            "The examples are under Templates in the left bar, Extensions > sdexplain.\n"
            f"Models of your own go into the folders of {base / 'models'}; the log is {server.log}.\n"
            "Ctrl-C stops it.",
            flush=True,
        )
        server.wait()
    return 0


def test(options: argparse.Namespace) -> int:
    in_environment()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # dozens of processes import the same: what is compiled is kept
    tests, quick = ROOT / "tests", "--quick" in options.rest
    further = [] if quick else find_further_hosts()
    if not quick:
        subprocess.run([str(PYTHON), str(LAUNCH), "tools.browser"])  # it says what it found, or why there is no browser
    named = any(Path(argument.partition("::")[0]).resolve().is_relative_to(tests) for argument in options.rest)
    arguments = ["-m", "pytest", *options.rest] if named else ["-m", "pytest", *PROCESSES, *options.rest, str(tests)]
    if not further:
        replace_process([str(PYTHON), *arguments])
    codes = {"all tests": subprocess.run([str(PYTHON), *arguments]).returncode}
    for host in further:
        name = f"ComfyUI {version_of(host.folder)} in {host.folder}"
        print(f"\nOnce more, what depends on the ComfyUI: {name}", flush=True)
        environment = os.environ | {"COMFYUI_PATH": str(host.folder)}
        codes[name] = subprocess.run([str(host.python), *arguments, "-m", "host"], env=environment).returncode
    print()
    for name, code in codes.items():
        print({0: "passed ", NO_TESTS: "nothing"}.get(code, "FAILED ") + f"  {name}")
    return int(any(code not in (0, NO_TESTS) for code in codes.values()))


def module_of(script: str) -> str | None:
    """The module's name of a script that is named as a file or as a module, `benchmarks/truth.py` or `benchmarks.truth`.

    None if it is not one of this checkout's packages.
    """
    file = Path(script).resolve() if script.endswith(".py") else ROOT.joinpath(*script.split(".")).with_suffix(".py")
    if not file.is_file() or not file.is_relative_to(ROOT) or not (file.parent / "__init__.py").is_file():
        return None
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def run(options: argparse.Namespace) -> int:
    if not options.rest:
        raise SetupError("Which script? For example: python dev.py run benchmarks.truth --help")
    in_environment()
    script, *rest = options.rest
    module = module_of(script)
    replace_process([str(PYTHON), *([str(LAUNCH), module] if module else [script]), *rest])


# ------------------------------------------------------------------------------------------------------ the environment


def in_environment() -> Host:
    """Make the environment if need be and go on in its Python: starts this command again there, as it was given."""
    install()
    if not os.path.samefile(sys.prefix, ROOT / ".venv"):
        os.environ["SDEXPLAIN_STARTED_WITH"] = sys.executable
        replace_process([str(PYTHON), str(ROOT / "dev.py"), *sys.argv[1:]])
    return find_host()


def replace_process(command: list[str]) -> NoReturn:
    """Replace this process by `command`, so that Ctrl-C, the terminal and the exit code are its own."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    try:  # Windows has no such call: wait, and leave Ctrl-C, which the console sends to both, to the other
        process = subprocess.Popen(command)
        while True:
            try:
                sys.exit(process.wait())
            except KeyboardInterrupt:
                continue
    finally:
        process.kill()


def usual_port() -> int:
    """ComfyUI's usual port, or a free one where that is taken."""
    try:
        require_port(USUAL_PORT)
    except ServerError:
        return free_port()
    return USUAL_PORT
