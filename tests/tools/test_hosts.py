"""The job that tries newer ComfyUIs: what it reads, keeps and writes. That it runs is for the job itself to show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sdexplain.benchmarks.figures_in_docs import Results, hosts
from sdexplain.tools import hosts as job
from sdexplain.tools.hosts import Outcome


@pytest.fixture(autouse=True)
def no_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "write_docs", lambda: None)


def outcome(page: str = "1.49.6", part: str = "host", passed: int = 3, failed: int = 0) -> Outcome:
    return Outcome("0.33.0", page, part, "2026-01-01", passed, failed, 1)


def test_a_later_run_of_a_part_replaces_that_part_alone_and_pages_stand_by_version(tmp_path: Path) -> None:
    file = tmp_path / "hosts.csv"
    given = [outcome("1.100.0"), outcome("1.58.1", "page"), outcome("1.58.1"), outcome(failed=2), outcome(passed=5)]
    for each in given:
        job.keep(each, file)
    assert job.outcomes(file) == [given[4], given[2], given[1], given[0]]


def test_the_docs_say_what_passed_what_failed_and_what_was_not_run(tmp_path: Path) -> None:
    for each in (outcome(), outcome("1.58.1"), outcome("1.58.1", "page", passed=4, failed=2)):
        job.keep(each, tmp_path / "hosts.csv")
    head, _, *rows = hosts(Results(tmp_path)).strip().splitlines()
    assert head == "| ComfyUI | page | tests/host | tests/page |"
    assert rows == ["| 0.33.0 | 1.49.6 | 3 passed | not run |", "| 0.33.0 | 1.58.1 | 3 passed | 2 failed, 4 passed |"]


def test_a_report_of_pytests_is_counted(tmp_path: Path) -> None:
    tests = """
import pytest
@pytest.fixture
def breaks(): raise ValueError
def test_1(): pass
def test_2(): pass
def test_3(): assert False
def test_4(breaks): pass
@pytest.mark.skip
def test_5(): pass
"""
    (tmp_path / "test_five.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:playwright", f"--junitxml={tmp_path / 'report.xml'}"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTEST_ADDOPTS": ""}, capture_output=True)
    assert job.counts(tmp_path / "report.xml") == (2, 2, 1)


def test_the_newest_page_is_tried_once_even_if_it_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "newest", lambda python: "1.58.1")
    assert job.chosen_pages(Path(sys.executable), ["1.49.6", "1.58.1", "newest"]) == ["1.49.6", "1.58.1"]
