"""docs/models.md: the ComfyUIs and pages that the tests were run on."""

from __future__ import annotations

import re

from ...tools.environment import ROOT
from .results import Results, Row
from .writing import table

A_PAGE = r"from playwright\.sync_api import .*\bPage\b"
A_SERVER = r"^pytestmark = pytest\.mark\.usefixtures\(\"comfy_host\"\)|^def test_\w+\(.*\bcomfyui: Client"


def tried(results: Results) -> str:
    """A row for each ComfyUI's server and each page, as the last runs of `.ci/hosts` said, and why tests were skipped."""
    runs: dict[tuple[str, str], list[Row]] = {}
    for row in results.rows("hosts"):
        runs.setdefault((row["comfyui"], "its server" if row["on"] == "server" else f"page {row['on']}"), []).append(row)
    if not runs:
        return "\n\nIt has not run yet.\n\n"
    counted = ("passed", "failed", "skipped")
    rows = [
        [
            *names,
            str(len(files)),
            *(str(sum(int(file[kind]) for file in files)) for kind in counted),
            min(f["day"] for f in files),
        ]
        for names, files in runs.items()
    ]
    reasons = [f"- {on}: {file['reasons']}" for (_, on), files in runs.items() for file in files if file["reasons"]]
    why = "\n".join(["Skipped:", "", *dict.fromkeys(reasons)]) + "\n\n" if reasons else ""
    return table(["ComfyUI", "tried", "files of tests", *counted, "since"], rows) + why


def newest(results: Results) -> str:
    """The newest ComfyUI of the job's, with the pages on which all tests were run and passed; the pinned one if there is none."""
    last = max((row["comfyui"] for row in results.rows("hosts")), key=lambda name: [*map(int, name.split("."))], default="")
    passed: dict[str, set[str]] = {}
    for row in results.rows("hosts"):
        passed.setdefault(row["on"], set()).update([row["file"]] if (row["comfyui"], row["failed"]) == (last, "0") else [])
    pages = [on for on, files in passed.items() if on != "server" and files >= tests_that_say(A_PAGE)]
    anywhere = passed.get("server", set()).union(*(passed[on] for on in pages))  # some tests need a server and a page
    whole = pages and anywhere >= tests_that_say(A_SERVER)
    return f"{last} (page {', '.join(pages)})" if whole else "0.3.75 (page 1.32.9)"


def tests_that_say(words: str) -> set[str]:
    """The files of tests, as hosts.csv names them, in which a pattern is."""
    files = ((file, file.read_text(encoding="utf-8")) for file in (ROOT / "tests").rglob("test_*.py"))
    return {file.relative_to(ROOT / "tests").as_posix() for file, text in files if re.search(words, text, re.MULTILINE)}
