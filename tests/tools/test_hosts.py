"""The job that tries newer ComfyUIs: what it reads, keeps and writes. That it runs is for the job itself to show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sdexplain.benchmarks.quoted import hosts
from sdexplain.benchmarks.quoted.results import Results
from sdexplain.tools import hosts as job
from sdexplain.tools.hosts import Outcome


@pytest.fixture(autouse=True)
def no_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "write_docs", lambda: None)


def outcome(on: str = "1.49.6", file: str = "page/test_page.py", passed: int = 3, failed: int = 0, reasons: str = "") -> Outcome:
    return Outcome("0.33.0", on, file, "2026-01-01", passed, failed, int(bool(reasons)), reasons)


def test_a_later_run_of_a_file_replaces_that_file_alone_and_the_server_stands_before_its_pages_by_version(tmp_path: Path) -> None:
    file = tmp_path / "hosts.csv"
    given = [outcome("1.100.0"), outcome("1.58.1", "page/test_docs.py"), outcome("1.58.1"), outcome(failed=2), outcome("server")]
    job.keep([*given, outcome(file="page/test_removed.py")], file)
    job.keep([again := outcome(passed=5)], file)
    assert job.outcomes(file) == [given[4], again, given[1], given[2], given[0]]


def test_the_docs_add_up_what_the_files_said_and_why_tests_were_skipped(tmp_path: Path) -> None:
    said = [outcome(), outcome("server"), outcome("1.58.1"), outcome("1.58.1", "page/test_docs.py", 4, 2, "no such page")]
    job.keep(said, tmp_path / "hosts.csv")
    head, _, *rows = hosts.tried(Results(tmp_path)).strip().splitlines()
    assert head == "| ComfyUI | tried | files of tests | passed | failed | skipped | since |"
    assert rows[:3] == [
        "| 0.33.0 | its server | 1 | 3 | 0 | 0 | 2026-01-01 |",
        "| 0.33.0 | page 1.49.6 | 1 | 3 | 0 | 0 | 2026-01-01 |",
        "| 0.33.0 | page 1.58.1 | 2 | 7 | 2 | 1 | 2026-01-01 |",
    ]
    assert rows[-1] == "- page 1.58.1: no such page"


def test_the_readme_names_the_newest_that_passed_with_those_pages_on_which_all_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {
        hosts.A_PAGE: {"page/test_page.py", "page/test_docs.py"},
        hosts.A_SERVER: {"host/test_checks.py"},
    }
    monkeypatch.setattr(hosts, "tests_that_say", wanted.__getitem__)
    said = [outcome("server", "host/test_checks.py"), outcome(), outcome(file="page/test_docs.py"), outcome("1.58.1")]
    job.keep([*said, outcome("1.60.0"), outcome("1.60.0", "page/test_docs.py", failed=1)], tmp_path / "hosts.csv")
    assert hosts.newest(Results(tmp_path)) == "0.33.0 (page 1.49.6)"
    job.keep([outcome("server", "host/test_checks.py", failed=1)], tmp_path / "hosts.csv")
    assert hosts.newest(Results(tmp_path)) == "0.3.75 (page 1.32.9)"


def test_a_report_of_pytests_is_counted(tmp_path: Path) -> None:
    tests = """
import pytest
@pytest.fixture
def breaks(): raise ValueError
@pytest.fixture
def breaks_after():
    yield
    raise ValueError
def test_1(): pass
def test_2(): pass
def test_3(): assert False
def test_4(breaks): pass
@pytest.mark.skip(reason="no page")
def test_5(): pass
def test_6(breaks_after): assert False
def test_7(breaks_after): pass
"""
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "test_seven.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:playwright", f"--junitxml={tmp_path / 'report.xml'}"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTEST_ADDOPTS": ""}, capture_output=True)
    (read,) = job.read(tmp_path / "report.xml", "0.33.0", "1.49.6")
    assert (read.file, read.passed, read.failed, read.skipped) == ("page/test_seven.py", 2, 4, 1)
    assert read.reasons == "no page"


def test_the_newest_page_is_tried_once_even_if_it_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "newest", lambda python: "1.58.1")
    assert job.chosen(Path(sys.executable), ["1.49.6", "1.58.1", "newest"]) == ["1.49.6", "1.58.1"]
