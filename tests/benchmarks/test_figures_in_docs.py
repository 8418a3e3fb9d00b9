"""README.md and docs/*.md: every figure is the one that was measured, and what they name is there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from sdexplain.benchmarks.figures_in_docs import DOCS, FIGURES, OPENING, PLACE, ROOT, fill
from sdexplain.benchmarks.quoted.results import RESULTS, Results
from sdexplain.benchmarks.quoted.writing import with_interval

README = ROOT / "README.md"
ALL = pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
FAMILIES = re.compile(r"<!-- families: .*<!-- /families -->", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)", re.DOTALL)
KNOWN = re.compile(r"\d+\.\d+\.\d+|\b(Python|SD|Nodes|on) \d+\.\d+|95 %")
"""Versions, and the level of an interval: numbers that were not measured."""
MEASURED = re.compile(r"\d*\.\d+|\d+ %|[1-9]\d* nats")


def read(doc: Path) -> str:
    return doc.read_text(encoding="utf-8")


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the results, to be changed."""
    return Path(shutil.copytree(RESULTS, tmp_path / "results"))


def change(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, read(file), flags=re.MULTILINE)
    assert count
    file.write_text(text, encoding="utf-8")


# -------------------------------------------------------------------------------------------- the figures are the results


@ALL
def test_every_figure_is_the_one_of_the_results(doc: Path) -> None:
    """`python dev.py run benchmarks.figures_in_docs` writes them."""
    assert fill(read(doc), Results()) == read(doc)


@ALL
def test_no_measured_figure_is_written_by_hand(doc: Path) -> None:
    text = FAMILIES.sub("", PLACE.sub("", read(doc)))
    assert MEASURED.findall(KNOWN.sub("", CODE.sub("", text))) == []


def test_every_figure_is_quoted() -> None:
    quoted = {place["name"] for doc in DOCS for place in PLACE.finditer(read(doc))}
    assert quoted == set(FIGURES)


def test_another_value_in_a_table_changes_the_text(changed: Path) -> None:
    change(changed / "methods.csv", r'^("\*\*.*?\*\*",[^,]*,[^,]*,[^,]*),0\.\d+', r"\1,0.4321")
    text = fill(read(README), Results(changed))
    assert "<!--=best-inside-->0.432<!--/-->" in text
    best = Results().method(Results().best)
    interval = f"[{float(best['inside low']):.3f}, {float(best['inside high']):.3f}]"
    assert f"| 0.432 {interval} |" in fill(read(ROOT / "docs" / "evidence.md"), Results(changed))


def test_another_best_map_is_quoted(changed: Path) -> None:
    change(changed / "methods.csv", r"\*\*", "")
    change(changed / "methods.csv", "^Occlusion,", "**Occlusion**,")
    results = Results(changed)
    assert results.best == "Occlusion"
    assert FIGURES["best-inside"](results) == "0.628"


def test_what_is_computed_follows_its_table(changed: Path) -> None:
    before = {name: FIGURES[name](Results()) for name in ("soak-growth", "soak-runs", "half-moves-maps", "mixture-50")}
    change(changed / "soak.csv", r"^600,.*\n", "")
    change(changed / "soak.csv", r"^(5\d\d,.*),\d+\.\d,(\d+,\d\.\d,\d+)$", r"\1,9999.0,\2")
    change(changed / "precision.csv", r"^(information,float16),[\d.]+", r"\1,0.007")
    change(changed / "known_answer.csv", r"^(mixture,eps,antithetic pairs,50,16,.*),0\.9\d+,(.*,.*)$", r"\1,0.5,\2")
    after = {name: FIGURES[name](Results(changed)) for name in before}
    assert all(after[name] != before[name] for name in before)
    assert after["soak-runs"] == "599"
    assert after["half-moves-maps"] == "0.01 to 0.10"
    assert after["mixture-50"] == "0.500"


def test_an_interval_is_written_with_its_ends() -> None:
    row = {"lead": "-0.0011", "lead low": "-0.0089", "lead high": "0.0067"}
    assert with_interval(row, "lead") == "−0.001 [−0.009, 0.007]"


def test_a_row_that_is_not_there_and_one_that_is_not_the_only_one_are_refused() -> None:
    with pytest.raises(ValueError, match="speed.csv has no row with"):
        Results().row("speed", network="none")
    with pytest.raises(ValueError, match="speed.csv has 6 rows with"):
        Results().row("speed", network="bundled model, 256 px")


# --------------------------------------------------------------------------------------------------------------- Markdown


def test_an_unknown_name_and_a_comment_without_an_end_are_refused() -> None:
    with pytest.raises(ValueError, match="'luck' is not a figure of the docs"):
        fill("It is <!--=luck-->1<!--/-->.", Results())
    with pytest.raises(ValueError, match="2 figures begin and 1 end"):
        fill("<!--=flips-->1 and <!--=right-->2<!--/-->", Results())


@ALL
def test_no_figure_within_a_text_begins_a_line(doc: Path) -> None:
    """A comment at the beginning of a line makes HTML of the line, in which Markdown does nothing."""
    begun = re.findall(rf"^\s*{OPENING}[\w-]+-->(.*)$", read(doc), re.MULTILINE)
    assert begun == [""] * len(begun)


@ALL
def test_every_link_leads_to_a_file(doc: Path) -> None:
    links = re.findall(r'\]\(([^)#]+)\)|src="([^"]+)"', read(doc))
    for link in filter(None, (link or source for link, source in links)):
        assert link.startswith("https://") or (doc.parent / link).is_file(), link


# ------------------------------------------------------------------------------------------------------------- the README


def test_the_readme_is_short_and_names_the_test_command() -> None:
    assert README.stat().st_size <= 10_000
    assert "python dev.py test" in read(README)


def test_the_readme_names_every_node_and_every_template() -> None:
    nodes = json.loads(read(ROOT / "locales" / "en" / "nodeDefs.json")).values()
    assert {node["display_name"] for node in nodes if node["display_name"] not in read(README)} == set()
    named = tuple(name for row in re.findall(r"^\| ([a-z].*?) \|", read(README), re.MULTILINE) for name in row.split(", "))
    assert {file.stem for file in (ROOT / "workflows").glob("*.json") if not file.stem.startswith(named)} == set()


def test_the_readme_links_to_every_doc() -> None:
    assert {doc.name for doc in DOCS if f"docs/{doc.name}" not in read(README)} == {"README.md"}
