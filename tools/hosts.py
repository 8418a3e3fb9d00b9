"""Runs the tests that depend on ComfyUI on a newer one, and with several of its pages: `.ci/hosts FOLDER`.

FOLDER is the ComfyUI's source, as its repository has it; COMFYUI_SOURCE names it otherwise. It is copied into `.comfyui` and gets
an environment: that of the tests, and before it what this ComfyUI asks for in other versions. The tests that need no page run
once, on its server; those with a page run with each page (the package comfyui-frontend-package). What each file of tests
said goes to benchmarks/results/hosts.csv and from there into README.md and docs/models.md. `--on` and `--tests` run some of them
alone, as after a mended fault, and leave the other results as they are.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from .commands import PROCESSES
from .environment import ROOT, Host, SetupError, is_comfyui, make_venv, run_pip, venv_python, version_of

RESULTS = ROOT / "benchmarks" / "results" / "hosts.csv"
DOCS = (ROOT / "README.md", ROOT / "docs" / "models.md")
TESTS = ROOT / "tests"
PAGE = "comfyui-frontend-package"
SERVER = "server"
ON = (SERVER, "1.49.6", "1.58.1", "newest")


@dataclass(frozen=True)
class Outcome:
    """What a file's tests said: of which ComfyUI, its server or which page, when, how many did what, why some were skipped."""

    comfyui: str
    on: str
    file: str
    day: str
    passed: int
    failed: int
    skipped: int
    reasons: str


def main() -> int:
    options = parser().parse_args()
    if options.source is None or not is_comfyui(Path(options.source)):
        raise SystemExit(f"{options.source or 'Nothing'} is not a ComfyUI. Name the folder that holds its main.py and comfy.")
    try:
        host = build(Path(options.source))
        for on in chosen(host.python, options.on):
            keep(run(host, on, options.tests, options.processes))
    except SetupError as error:
        raise SystemExit(str(error)) from error
    bad = [outcome for outcome in outcomes() if outcome.failed]
    print("\n".join(f"FAILED  ComfyUI {each.comfyui}, {each.on}, tests/{each.file}: {each.failed}" for each in bad))
    return int(bool(bad))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=".ci/hosts", description=__doc__.partition("\n")[0])
    made.add_argument("source", nargs="?", default=os.environ.get("COMFYUI_SOURCE"), help="the folder of a ComfyUI")
    made.add_argument("--on", nargs="+", default=ON, metavar="VERSION", help=f"versions of {PAGE}, newest, or {SERVER}")
    made.add_argument("--tests", nargs="+", type=Path, default=[TESTS], metavar="PATH", help="files or folders of tests")
    made.add_argument("--processes", type=int, help="how many run at once")
    return made


# ------------------------------------------------------------------------------------------------------------- the ComfyUI


def build(source: Path) -> Host:
    """A copy of a ComfyUI, without what a person put there, and its environment; what an earlier run installed in that stays."""
    folder = ROOT / ".comfyui" / f"source-{version_of(source)}"
    folder.mkdir(parents=True, exist_ok=True)
    left_out = {".git", ".venv", "venv", "models", "user", "input", "output", "temp", "custom_nodes"}
    for entry in source.iterdir():
        if entry.is_dir() and entry.name not in left_out:
            shutil.copytree(entry, folder / entry.name, dirs_exist_ok=True)
        elif entry.is_file():
            shutil.copy2(entry, folder / entry.name)
    for name in ("models", "custom_nodes"):
        (folder / name).mkdir(exist_ok=True)
    venv = folder / ".venv"
    if not venv_python(venv).exists():
        make_venv(venv)
    lend(venv)
    asked, installed = folder / "requirements.txt", venv / "installed.txt"
    if not installed.is_file() or installed.read_bytes() != asked.read_bytes():
        run_pip(venv_python(venv), ["install", "-r", str(asked)], folder / "pip.log")
        shutil.copyfile(asked, installed)
    return Host(folder, venv_python(venv), pinned=False)


def lend(venv: Path) -> None:
    """Let an environment find this one's packages after its own, so that PyTorch and the test tools are not there twice."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([str(venv_python(venv)), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    Path(own, "of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


def installed_page(host: Host) -> str:
    ask = f"from importlib.metadata import version; print(version({PAGE!r}))"
    return subprocess.run([str(host.python), "-c", ask], capture_output=True, text=True).stdout.strip()


def chosen(python: Path, wanted: Sequence[str]) -> list[str]:
    """What to run on, each once: `newest` is the newest page that the package index has."""
    return list(dict.fromkeys(newest(python) if on == "newest" else on for on in wanted))


def newest(python: Path) -> str:
    """Raises SetupError when the index cannot be asked."""
    command = [str(python), "-m", "pip", "index", "versions", PAGE, "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (found := re.match(rf"{PAGE} \((.+?)\)", done.stdout)):
        raise SetupError(f"pip cannot say which {PAGE} is the newest: {done.stderr.strip()}\nName versions with --on.")
    return found[1]


# --------------------------------------------------------------------------------------------------------------- the tests


def run(host: Host, on: str, tests: Sequence[Path], processes: int | None = None) -> list[Outcome]:
    """The tests that depend on ComfyUI or its page: those of the server, or those with a page, which is installed first."""
    print(f"\nComfyUI {version_of(host.folder)}: {on}", flush=True)
    if on not in (SERVER, installed_page(host)):
        run_pip(host.python, ["install", "--no-deps", f"{PAGE}=={on}"], host.folder / "pip.log")
    report = host.folder / f"report-{on}.xml"
    report.unlink(missing_ok=True)
    marked = "host and not page" if on == SERVER else "page"
    several = [*PROCESSES, *([f"-n{processes}"] if processes is not None else [])]
    command = [str(host.python), "-m", "pytest", *several, "-m", marked, f"--junitxml={report}", *map(str, tests)]
    environment = os.environ | {"COMFYUI_PATH": str(host.folder), "SDEXPLAIN_REQUIRE_BROWSER": "1"}
    done = subprocess.run(command, env=environment, cwd=ROOT)
    if not report.is_file():
        raise SetupError(f"pytest ended with {done.returncode} and says nothing. Its lines above say why.")
    return read(report, version_of(host.folder), on)


def read(report: Path, comfyui: str, on: str) -> list[Outcome]:
    """What each file's tests did, in a report of pytest's. A test that breaks in more than one way is there more than once."""
    said: dict[str, dict[str, tuple[str, str]]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 (pytest wrote it)
        file = "/".join(case.get("classname", "").split(".")[:2]) + ".py"
        ended = next(((part.tag, part.get("message", "")) for part in case if part.tag in ENDS), ("passed", ""))
        tests = said.setdefault(file, {})
        before = tests.get(name := case.get("name", ""), ended)
        tests[name] = max(before, ended, key=lambda end: ENDS.get(end[0], 0))
    return [outcome(comfyui, on, file, tests.values()) for file, tests in said.items()]


ENDS = {"skipped": 1, "failure": 2, "error": 2}


def outcome(comfyui: str, on: str, file: str, ends: Collection[tuple[str, str]]) -> Outcome:
    kinds = [ENDS.get(kind, 0) for kind, _ in ends]
    reasons = "; ".join(dict.fromkeys(message for kind, message in ends if kind == "skipped"))
    return Outcome(comfyui, on, file, date.today().isoformat(), kinds.count(0), kinds.count(2), kinds.count(1), reasons)


def outcomes(file: Path = RESULTS) -> list[Outcome]:
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [from_row(row) for row in csv.DictReader(stream)]


def from_row(row: Mapping[str, str]) -> Outcome:
    return Outcome(**row | {name: int(row[name]) for name in ("passed", "failed", "skipped")})


def keep(new: Sequence[Outcome], file: Path = RESULTS) -> None:
    """Put files' outcomes in place of the last ones of the same ComfyUI and page, and the table into the docs.

    What is known of a file that is no longer there is forgotten.
    """
    same = {(each.comfyui, each.on, each.file) for each in new}
    kept = [each for each in outcomes(file) if (each.comfyui, each.on, each.file) not in same and (TESTS / each.file).is_file()]
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Outcome)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, sorted([*kept, *new], key=place)))
    write_docs()


def write_docs() -> None:
    subprocess.run([sys.executable, str(ROOT / "tools" / "launch.py"), "benchmarks.figures_in_docs", *map(str, DOCS)], check=True)


def place(each: Outcome) -> tuple[list[int], list[int], str]:
    """Where a row stands: by version, the server before the pages."""
    comfyui, on = (list(map(int, re.findall(r"\d+", version))) for version in (each.comfyui, each.on))
    return comfyui, on, each.file


if __name__ == "__main__":
    sys.exit(main())
