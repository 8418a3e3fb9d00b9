"""What the pack and its tests require, pinned for every Python and platform."""

from __future__ import annotations

import itertools
import re
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sdexplain.tools.environment import ROOT


def test_requirements_are_the_registrys_and_pinned_for_the_tests() -> None:
    needed = requirement_lines("requirements.txt")
    declared = re.search(r"dependencies = \[(.*)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert declared and re.findall(r'"([^"]+)"', declared[1]) == needed
    assert not any(re.search("[<=~]=|<", line) for line in needed)  # what else a ComfyUI holds must stay free


PYTHONS = [f"3.{minor}" for minor in range(10, 15)]
PLATFORMS = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}


def test_requirements_dev_is_compiled_from_its_in_file_and_pins_all() -> None:
    wanted = [Requirement(line) for line in requirement_lines("requirements-dev.in") if not line.startswith("-r")]
    wanted += [Requirement(line) for line in requirement_lines("requirements.txt")]
    pinned = [Requirement(line) for line in requirement_lines("requirements-dev.txt")]
    assert all([pin.operator for pin in requirement.specifier] == ["=="] for requirement in pinned)
    for python, (system, platform) in itertools.product(PYTHONS, PLATFORMS.items()):
        there = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": platform}
        there |= {"platform_system": system, "platform_machine": "x86_64", "os_name": "nt" if system == "Windows" else "posix"}
        chosen = [requirement for requirement in pinned if not requirement.marker or requirement.marker.evaluate(there)]
        versions = {canonicalize_name(one.name): next(iter(one.specifier)).version for one in chosen}
        assert len(versions) == len(chosen), f"a package is pinned twice for Python {python} on {system}"
        for requirement in wanted:
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier, (requirement, python, system)


def test_what_this_environment_needs_is_pinned_with_all_that_it_needs_in_turn() -> None:
    """The environment's own metadata says what each pinned package needs; pip itself is the one exception."""
    here = [Requirement(line) for line in requirement_lines("requirements-dev.txt")]
    pinned = {canonicalize_name(requirement.name) for requirement in here}
    for requirement in here:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        for needed in map(Requirement, metadata.requires(requirement.name) or ()):
            if not needed.marker or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in pinned | {"pip"}, f"{requirement.name} needs {needed.name}"


def test_requirements_name_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.in", "requirements-dev.txt"):
        assert not re.search("index-url|find-links|https?://|file://", (ROOT / name).read_text(encoding="utf-8")), name


def requirement_lines(name: str) -> list[str]:
    lines = (line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
