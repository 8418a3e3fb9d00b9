"""What the registry's archive holds: the files that git tracks but those that .comfyignore names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from pathspec import PathSpec
from sdexplain.tools.environment import ROOT, find_host

MEGABYTE = 1_000_000
ALL_BUT_THE_MODEL = 5 * MEGABYTE
"""Python and JavaScript 1, four languages 0.3, help pages 2, workflows with their pictures 1.2, and room for what is to come.

The bundled model's weights are as large as they are: half precision, 27 MB, hardly made smaller by packing.
"""


@pytest.fixture(scope="module")
def published() -> list[str]:
    """The archive's files, chosen as `comfy node publish` does: `git ls-files` less the patterns of .comfyignore."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    ignored = PathSpec.from_lines("gitignore", (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines())
    return [name for name in tracked if name and (ROOT / name).is_file() and not ignored.match_file(name)]


@pytest.fixture(scope="module")
def unpacked(published: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with exactly these files, as ComfyUI-Manager unpacks it into custom_nodes."""
    folder = tmp_path_factory.mktemp("custom_nodes") / "sdexplain"
    for name in published:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_the_archive_holds_what_a_user_needs_and_nothing_of_the_workshop(published: list[str]) -> None:
    assert {name.split("/")[0] for name in published} == {
        *("__init__.py", "nodes", "js", "locales", "workflows", "subgraphs", "bundled", "docs"),
        *("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "requirements.txt"),
    }
    weights = ROOT / "bundled" / "model"
    assert {file.relative_to(ROOT).as_posix() for file in weights.rglob("*.safetensors")} <= set(published)


def test_all_but_the_bundled_weights_is_small(published: list[str]) -> None:
    others = [name for name in published if not name.startswith(("bundled/model/", "bundled/classifiers/"))]
    sizes = {name: (ROOT / name).stat().st_size for name in others}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert sum(sizes.values()) < ALL_BUT_THE_MODEL, largest


LOADS_THE_PACK = """
import asyncio, importlib, importlib.util, pkgutil, sys
host, folder = sys.argv[1:]
sys.path.insert(0, host)
del sys.argv[1:]
from comfy.cli_args import args
args.cpu, args.base_directory = True, folder + "-base"
import utils.extra_config, server  # in ComfyUI's order: later, `utils` would be another
spec = importlib.util.spec_from_file_location("pack", folder + "/__init__.py", submodule_search_locations=[folder])
pack = sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pack)
async def nodes():
    return await (await pack.comfy_entrypoint()).get_node_list()
by_id = {node.define_schema().node_id: node for node in asyncio.run(nodes())}
for module in pkgutil.walk_packages([folder + "/nodes"], "pack.nodes."):
    importlib.import_module(module.name)
picture = by_id["SDExplainExamplePicture"].execute("zebra", 1, 64).args[0]
print("nodes:", *by_id)
print("picture:", *picture.shape)
"""


@pytest.mark.slow
def test_the_archive_alone_loads_with_all_its_nodes(unpacked: Path) -> None:
    host = find_host()
    command = [str(host.python), "-c", LOADS_THE_PACK, str(host.folder), str(unpacked)]
    done = subprocess.run(command, cwd=unpacked.parent, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = re.search("^nodes: (.*)$", done.stdout, re.MULTILINE)[1].split()
    classes = re.findall(r"^ {16}(\w+),$", (ROOT / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(loaded) == len(classes) > 0
    assert "picture: 1 64 64 3" in done.stdout


def test_what_the_readme_links_to_is_in_the_archive(published: list[str]) -> None:
    for page in (name for name in published if name in ("README.md", "CHANGELOG.md") or name.startswith("docs/")):
        if not page.endswith(".md"):
            continue
        text = (ROOT / page).read_text(encoding="utf-8")
        links = {*re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text), *re.findall(r'src="([^":]+)"', text)}
        for link in links:
            target = os.path.normpath(Path(page).parent / link).replace(os.sep, "/")
            assert target in published or target.startswith("benchmarks/"), f"{page} links to {link}"


def test_the_registrys_action_publishes_a_new_version_and_nothing_else(tmp_path: Path) -> None:
    """The step that compares versions, as its shell runs it, in a repository of its own."""
    if os.name == "nt" or shutil.which("git") is None:
        pytest.skip("needs bash and git")
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8"))["jobs"]["publish"]
    compare, publish = job["steps"][1:]
    assert publish["uses"].startswith("Comfy-Org/publish-node-action@") and "steps.version.outputs.changed" in publish["if"]
    commits = ["0" * 40]
    for content in ('version = "0.1.0"\n', 'version = "0.1.0"\ndescription = "more"\n', 'version = "0.2.0"\n'):
        commits.append(commit(tmp_path, content))
        told = tmp_path / "output"
        told.write_text("")
        env = os.environ | {"BEFORE": commits[-2], "GITHUB_OUTPUT": str(told)}
        subprocess.run(["bash", "-eo", "pipefail", "-c", compare["run"]], cwd=tmp_path, env=env, check=True)
        assert told.read_text().strip() == ("" if "more" in content else "changed=true"), content


def commit(folder: Path, content: str) -> str:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (folder / "pyproject.toml").write_text(content)
    for arguments in (["init", "-q"], ["add", "pyproject.toml"], ["commit", "-qm", "another"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_addresses_are_of_one_repository_and_the_icon_is_there(published: list[str]) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    repository = re.search('^Repository = "https://github.com/(.+)"$', text, re.MULTILINE)[1]
    urls = text[text.index("[project.urls]") : text.index("[tool.ruff]")]
    assert len(re.findall("https://", urls)) == len(
        re.findall(f"https://(?:github|raw.githubusercontent).com/{repository}", urls)
    )
    icon = re.search(rf'^Icon = "https://raw.githubusercontent.com/{repository}/main/(.+)"$', text, re.MULTILINE)[1]
    assert icon in published
    assert repository.split("/")[0] == re.search('^PublisherId = "(.+)"$', text, re.MULTILINE)[1]


def test_the_changelog_tells_of_this_version() -> None:
    version = re.search('^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    heads = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == "Unreleased" and version in heads


def test_no_other_folder_takes_the_place_of_the_templates(published: list[str]) -> None:
    """ComfyUI serves the first of these folders that a pack has, and lists the files of all of them."""
    offered = {"example_workflows", "example", "examples", "workflow", "workflows"}
    assert {name.split("/")[0] for name in published} & offered == {"workflows"}
