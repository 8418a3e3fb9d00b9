"""Runs the tests that depend on ComfyUI on a newer one, with several of its pages: `.ci/hosts FOLDER`.

FOLDER is the ComfyUI's source, as its repository has it; COMFYUI_SOURCE names it otherwise. It is copied into `.comfyui` and gets
an environment: that of the tests, and before it what this ComfyUI asks for in other versions. The tests then run with each page
(the package comfyui-frontend-package), part after part. What each part said goes to benchmarks/results/hosts.csv at once, and
from there into docs/models.md. `--parts` and `--pages` run some of them alone and leave the other results as they are.
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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path

from .commands import PROCESSES
from .environment import ROOT, Host, SetupError, is_comfyui, make_venv, run_pip, venv_python, version_of

RESULTS = ROOT / "benchmarks" / "results" / "hosts.csv"
PAGE = "comfyui-frontend-package"
PAGES = ("1.49.6", "1.58.1", "newest")
PARTS = ("host", "nodes", "page", "fuzz", "tools")
"""The folders of tests that have some for ComfyUI or its page."""


@dataclass(frozen=True)
class Outcome:
    """What one part's tests said: of which ComfyUI and page, when, and how many did what."""

    comfyui: str
    page: str
    part: str
    day: str
    passed: int
    failed: int
    skipped: int


def main() -> int:
    options = parser().parse_args()
    if options.source is None or not is_comfyui(Path(options.source)):
        raise SystemExit(f"{options.source or 'Nothing'} is not a ComfyUI. Name the folder that holds its main.py and comfy.")
    try:
        host = build(Path(options.source))
        for page in chosen_pages(host.python, options.pages):
            run_pip(host.python, ["install", "--no-deps", f"{PAGE}=={page}"], host.folder / "pip.log")
            for part in options.parts:
                keep(run(host, page, part))
    except SetupError as error:
        raise SystemExit(str(error)) from error
    bad = [outcome for outcome in outcomes() if outcome.failed]
    print("\n".join(f"FAILED  ComfyUI {each.comfyui}, page {each.page}, tests/{each.part}: {each.failed}" for each in bad))
    return int(bool(bad))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=".ci/hosts", description=__doc__.partition("\n")[0])
    made.add_argument("source", nargs="?", default=os.environ.get("COMFYUI_SOURCE"), help="the folder of a ComfyUI")
    made.add_argument("--pages", nargs="+", default=PAGES, metavar="VERSION", help=f"versions of {PAGE}")
    made.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="folders of tests")
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
    run_pip(venv_python(venv), ["install", "-r", str(folder / "requirements.txt")], folder / "pip.log")
    return Host(folder, venv_python(venv), pinned=False)


def lend(venv: Path) -> None:
    """Let an environment find this one's packages after its own, so that PyTorch and the test tools are not there twice."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([str(venv_python(venv)), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    Path(own, "of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


def chosen_pages(python: Path, wanted: Sequence[str]) -> list[str]:
    """The versions of the page, each once: `newest` is the newest that the package index has."""
    return list(dict.fromkeys(newest(python) if page == "newest" else page for page in wanted))


def newest(python: Path) -> str:
    """Raises SetupError when the index cannot be asked."""
    command = [str(python), "-m", "pip", "index", "versions", PAGE, "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (found := re.match(rf"{PAGE} \((.+?)\)", done.stdout)):
        raise SetupError(f"pip cannot say which {PAGE} is the newest: {done.stderr.strip()}\nName versions with --pages.")
    return found[1]


# --------------------------------------------------------------------------------------------------------------- the tests


def run(host: Host, page: str, part: str) -> Outcome:
    """One folder's tests that depend on ComfyUI or its page, on this host."""
    print(f"\nComfyUI {version_of(host.folder)}, page {page}: tests/{part}", flush=True)
    report = host.folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [str(host.python), "-m", "pytest", *PROCESSES, "-m", "host or page", f"--junitxml={report}"]
    environment = os.environ | {"COMFYUI_PATH": str(host.folder), "SDEXPLAIN_REQUIRE_BROWSER": "1"}
    done = subprocess.run([*command, str(ROOT / "tests" / part)], env=environment, cwd=ROOT)
    if not report.is_file():
        raise SetupError(f"pytest ended with {done.returncode} and says nothing of tests/{part}. Its lines above say why.")
    return Outcome(version_of(host.folder), page, part, date.today().isoformat(), *counts(report))


def counts(report: Path) -> tuple[int, int, int]:
    """How many tests passed, failed or broke, and were skipped, in a report of pytest's."""
    suite = re.search("<testsuite .*?>", report.read_text(encoding="utf-8"))
    said = dict(re.findall(r'(\w+)="(\d+)"', suite[0] if suite else ""))
    tests, failures, errors, skipped = (int(said[name]) for name in ("tests", "failures", "errors", "skipped"))
    return tests - failures - errors - skipped, failures + errors, skipped


def outcomes(file: Path = RESULTS) -> list[Outcome]:
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [outcome(row) for row in csv.DictReader(stream)]


def outcome(row: Mapping[str, str]) -> Outcome:
    return Outcome(row["comfyui"], row["page"], row["part"], row["day"], *(int(row[name]) for name in COUNTED))


COUNTED = ("passed", "failed", "skipped")


def keep(new: Outcome, file: Path = RESULTS) -> None:
    """Put a part's outcome in place of the last one of the same ComfyUI, page and part, and the table into the docs."""
    same = (new.comfyui, new.page, new.part)
    kept = [each for each in outcomes(file) if (each.comfyui, each.page, each.part) != same]
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Outcome)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, sorted([*kept, new], key=place)))
    write_docs()


def write_docs() -> None:
    subprocess.run([sys.executable, str(ROOT / "tools" / "launch.py"), "benchmarks.figures_in_docs"], check=True)


def place(each: Outcome) -> tuple[list[int], list[int], int]:
    """Where a row stands: by version, and the parts as they run."""
    numbers = [list(map(int, re.findall(r"\d+", version))) for version in (each.comfyui, each.page)]
    return numbers[0], numbers[1], PARTS.index(each.part)


if __name__ == "__main__":
    sys.exit(main())
