"""What the pack does to the machine it runs on: nothing but its sums, in ComfyUI's own folders.

A server is watched from its first line (tests/watched): it can reach no other machine, and every program, pickle and written file
that the pack is behind is on record.
"""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from imported import imported_by
from PIL import Image
from sdexplain.tools.graphs import node, noising, zebra_against_horse

if TYPE_CHECKING:
    from sdexplain.tools.client import Client
    from sdexplain.tools.server import Server

from sdexplain.tools.environment import ROOT

CODE = [ROOT / "__init__.py", *sorted((ROOT / "nodes").rglob("*.py"))]
LABEL = "<script>alert(1)</script>../../%year%\\{}\r\n\x1b[31mzebra\u202e"
OUTSIDE = (
    *("..", "../secret", "../../../../etc/passwd", "a/../../secret", "/etc/passwd", "~/secret", "$HOME/secret"),
    *("C:\\Windows\\win.ini", "..\\..\\secret", "\\\\server\\share\\x", "//server/share/x", "file:///etc/passwd", "CON", "a:b"),
    *("zero\0byte", "x" * 5000, "x/" * 3000, "", ".", " ", "\u202e", "%2e%2e%2fsecret", "secret [temp]", "bundled model/../.."),
)


# -------------------------------------------------------------------------------------------------------------- the code


@pytest.mark.parametrize("file", CODE, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_node_imports_what_reaches_the_network_starts_programs_or_unpickles(file: Path) -> None:
    banned = {
        "socket",
        "ssl",
        "http",
        "urllib",
        "urllib3",
        "requests",
        "aiohttp",
        "httpx",
        "ftplib",
        "smtplib",
        "huggingface_hub",
    }
    banned |= {
        "subprocess",
        "multiprocessing",
        "pickle",
        "cloudpickle",
        "dill",
        "joblib",
        "shelve",
        "marshal",
        "ctypes",
        "runpy",
        "pip",
    }
    assert not {name.split(".")[0] for name in imported_by(file)} & banned
    text = file.read_text(encoding="utf-8")
    assert "trust_remote_code" not in text and "torch.load" not in text and "torch.hub" not in text
    assert text.count("from_pretrained(") == text.count("local_files_only=True")


def test_importing_the_pack_does_nothing_but_read_modules_and_list_folders(comfy_host: Path) -> None:
    """In a process of its own, once everything is imported that is not the pack's: as ComfyUI does when it starts."""
    from sdexplain.tools.environment import find_host

    others = sorted({name for file in CODE for name in imported_by(file) if not name.startswith(".")} - {"__future__"})
    code = f"""
import importlib, importlib.util, os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {str(find_host().folder)!r})
from comfy.cli_args import args
args.cpu, args.base_directory = True, {str(comfy_host)!r}
for name in ("utils.extra_config", "server", *{others!r}):  # in ComfyUI's order: later, `utils` would be another
    importlib.import_module(name)
seen = []
LISTING = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")
WATCHED = ("socket.", "subprocess.", "os.", "shutil.", "_thread.", "pickle.", "ctypes.", "urllib.")
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if not str(path).endswith((".py", ".pyc", ".so", ".pyd")) or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append((event, str(path)))
    elif event.startswith(WATCHED) and event not in LISTING:
        seen.append((event, repr(arguments)[:200]))
sys.addaudithook(watch)
spec = importlib.util.spec_from_file_location("pack", {str(ROOT / "__init__.py")!r}, submodule_search_locations=[{str(ROOT)!r}])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["pack"])
async def register():
    return await (await sys.modules["pack"].comfy_entrypoint()).get_node_list()
task = register()  # by hand: an event loop has sockets of its own
try:
    while True:
        task.send(None)
except StopIteration as done:
    nodes = done.value
for node in nodes:
    node.GET_SCHEMA()
print(len(nodes), "nodes:", list(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=comfy_host)
    assert done.stdout.splitlines()[-1:] and done.stdout.splitlines()[-1].endswith("nodes: []"), done.stdout + done.stderr[-2000:]


# ------------------------------------------------------------------------------------------------------- a watched server


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that is watched, and the file of what was seen."""
    from sdexplain.tools.environment import find_host
    from sdexplain.tools.server import Server

    seen = tmp_path_factory.mktemp("watched") / "seen.jsonl"
    seen.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests" / "support" / "watched"))
        patch.setenv("SDEXPLAIN_WATCHED", str(seen))
        with Server(find_host(), packs={"sdexplain_probe": ROOT / "tools" / "probe_pack"}) as server:
            yield server, seen


@pytest.fixture(scope="module")
def client(watched: tuple[Server, Path]) -> Client:
    from sdexplain.tools.client import Client

    return Client(watched[0].url)


@pytest.fixture
def nothing_happened(watched: tuple[Server, Path]) -> Iterator[Path]:
    """Checks what was seen during a test; gives the folder that the server may write to."""
    server, seen = watched
    before = len(seen.read_text(encoding="utf-8").splitlines())
    yield server.base
    written = []
    for line in seen.read_text(encoding="utf-8").splitlines()[before:]:
        event, what = json.loads(line)
        assert (
            event == "open"
            or event.startswith(("os.", "shutil."))
            and event not in ("os.system", "os.exec", "os.fork", "os.posix_spawn")
        ), line
        written.append(Path(what))
    folders = [(server.base / name).resolve() for name in ("output", "temp")]
    assert [path for path in written if not any(path.resolve().is_relative_to(folder) for folder in folders)] == []


def everything(target_label: str = "zebra", contrast_label: str = "horse") -> dict[str, Any]:
    """A graph with every kind of node that shows, saves or adds up."""
    labels = {"target_label": target_label, "contrast_label": contrast_label}
    image, predictions = {"image": ["picture", 0]}, {"predictions": ["predict", 0]}
    return {
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_003, size=128),
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        "noise": noising("load", 2),
        **zebra_against_horse("load", **labels),
        "sum": node("SDExplainSumDifference", **predictions, start=0, end=-1),
        "heatmap": node("SDExplainHeatmap", **image, difference=["sum", 0]),
        "sheet": node("SDExplainStepSheet", **image, **predictions, ranges=2),
        "explore": node("SDExplainExplore", **image, **predictions),
        "verdict": node("SDExplainVerdict", **predictions),
        "agreement": node("SDExplainAgreement", first=["sum", 0], second=["sum", 0]),
        "save": node("SDExplainSavePredictions", **predictions, filename_prefix="tests/all", precision="float32"),
        "rivals": node(
            "SDExplainRivals", model=["load", 0], clip=["load", 1], noised=["noise", 0], **image, labels="zebra\nhorse\nmouse"
        ),
    }


def filled(graph: dict[str, Any], client: Client) -> dict[str, Any]:
    """The graph with the defaults of all inputs that it leaves out, as the page sends it."""
    for entry in graph.values():
        info = client.object_info(entry["class_type"])[entry["class_type"]]["input"]
        for name, (kind, *rest) in info.get("required", {}).items():
            options = rest[0] if rest else {}
            choices = kind if isinstance(kind, list) else options.get("options")
            default = options.get("default", choices[0] if choices else None)
            if default is not None:
                entry["inputs"].setdefault(name, default)
    return graph


def test_a_whole_graph_reaches_no_other_machine_and_writes_only_where_comfyui_does(
    client: Client, nothing_happened: Path
) -> None:
    graph = filled(everything(), client)
    ran = client.run(graph, timeout=400)
    assert set(ran.ran) == set(graph)
    name = ran.outputs["save"]["text"][0].partition(",")[0]
    client.run({"load": node("SDExplainLoadPredictions", file=name), "about": node("PreviewAny", source=["load", 2])}, timeout=60)


def test_the_watch_sees_what_it_is_there_for(watched: tuple[Server, Path], client: Client) -> None:
    """Else the test above would pass with a blind one: the pack's own files are on record."""
    lines = [json.loads(line) for line in watched[1].read_text(encoding="utf-8").splitlines()]
    assert any(event == "open" and "tests" in what and what.endswith((".safetensors", ".part")) for event, what in lines) or any(
        event == "open" and "all_" in what for event, what in lines
    )


def test_labels_reach_neither_file_names_nor_metadata(client: Client, nothing_happened: Path) -> None:
    client.run(filled(everything(LABEL, LABEL[::-1]), client), timeout=400)
    files = [file for folder in ("output", "temp") for file in (nothing_happened / folder).rglob("*") if file.is_file()]
    assert files
    for file in files:
        relative = file.relative_to(nothing_happened).as_posix()
        assert "alert" not in relative and "script" not in relative and relative.isprintable()
        if file.suffix == ".png":
            with Image.open(file) as picture:
                texts = dict(picture.text)
            # ComfyUI's own two, JSON both; the pack adds nothing
            assert set(texts) <= {"prompt", "workflow"}, file
            assert all(json.loads(text) is not None for text in texts.values())


@pytest.mark.parametrize("kind", ["SDExplainLoadDiffusers", "SDExplainLoadPredictions"])
def test_no_name_leads_a_loader_out_of_comfyuis_folders(client: Client, nothing_happened: Path, kind: str) -> None:
    from sdexplain.tools.client import ComfyUIError

    (name,) = client.object_info(kind)[kind]["input"]["required"]
    (nothing_happened / "secret").mkdir(exist_ok=True)
    shutil.copy(ROOT / "bundled" / "model" / "model_index.json", nothing_happened / "secret" / "model_index.json")
    (nothing_happened / "secret.safetensors").write_bytes(b"x")
    for outside in OUTSIDE:
        for tried in (outside, f"{outside}.safetensors"):
            graph = {"load": node(kind, **{name: tried}), "show": node("PreviewAny", source=["load", 0])}
            with pytest.raises(ComfyUIError) as refused:
                client.run(graph, timeout=60)
            assert "root:" not in str(refused.value)


def test_no_name_leads_saving_out_of_comfyuis_folders(client: Client, nothing_happened: Path) -> None:
    from sdexplain.tools.client import ComfyUIError, NodeFailed

    graph = filled(everything(), client)
    graph = {name: graph[name] for name in ("picture", "load", "encode", "noise", "zebra", "horse", "predict", "save")}
    for outside in OUTSIDE:
        graph["save"]["inputs"]["filename_prefix"] = outside
        before = {file for file in nothing_happened.rglob("*.safetensors")}
        try:
            client.run(graph, timeout=100)  # some are odd, but names all the same
        except NodeFailed as refused:
            assert "filename_prefix" in str(refused), outside
        except ComfyUIError:
            pass  # refused by ComfyUI before it ran
        made = {file for file in nothing_happened.rglob("*.safetensors")} - before
        assert all(file.resolve().is_relative_to((nothing_happened / "output").resolve()) for file in made), outside


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def hostile(folder: Path, marker: Path) -> None:
    """A copy of the bundled model in which everything that could be executed makes a file."""
    shutil.copytree(ROOT / "bundled" / "model", folder)
    code = (
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass CLIPTokenizer: pass\nclass UNet2DConditionModel: pass\n"
    )
    for name in ("pipeline.py", "unet/modeling_evil.py", "tokenizer/evil.py", "text_encoder/evil.py", "setup.py", "__init__.py"):
        (folder / name).write_text(code, encoding="utf-8")
    bomb = io.BytesIO()
    pickle.dump(Bomb(marker), bomb)
    for name in (
        "unet/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.bin",
        "text_encoder/pytorch_model.bin",
        "tokenizer/x.pkl",
    ):
        (folder / name).write_bytes(bomb.getvalue())
    for name, settings in {
        "tokenizer/tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.CLIPTokenizer", "evil.CLIPTokenizer"]}},
        "text_encoder/config.json": {"auto_map": {"AutoModel": "evil.CLIPTextModel"}},
        "unet/config.json": {"auto_map": {"AutoModel": "modeling_evil.UNet2DConditionModel"}},
    }.items():
        file = folder / name
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        file.write_text(json.dumps(known | settings), encoding="utf-8")


def test_no_code_and_no_pickle_of_a_pipeline_folder_is_run(client: Client, nothing_happened: Path) -> None:
    from sdexplain.tools.client import NodeFailed

    marker = nothing_happened / "was here"
    models = nothing_happened / "models" / "diffusers"
    hostile(models / "hostile", marker)
    hostile(models / "pickled", marker)
    (models / "pickled" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    hostile(models / "custom", marker)
    index = models / "custom" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": ["pipeline", "Evil"]}), encoding="utf-8")

    def load(folder: str) -> dict[str, Any]:
        return {"load": node("SDExplainLoadDiffusers", folder=folder), "show": node("PreviewAny", source=["load", 0])}

    client.run(load("hostile"), timeout=120)
    with pytest.raises(NodeFailed, match="pickles.* are never loaded"):
        client.run(load("pickled"), timeout=120)
    with pytest.raises(NodeFailed, match="pipeline.*Evil.*this node can"):
        client.run(load("custom"), timeout=120)
    assert not marker.exists()


def test_the_marker_would_be_made(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "made")))  # noqa: S301
    assert (tmp_path / "made").exists()


# ------------------------------------------------------------------------------------------------------------- the audit


def test_the_audit_says_what_it_could_not_look_up_and_fails_for_what_an_update_mends() -> None:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    audit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(audit)
    clean = {"name": "a", "version": "1.0", "vulns": []}
    open_ended = {"name": "b", "version": "2.0", "vulns": [{"id": "CVE-1", "fix_versions": []}]}
    mended = {"name": "c", "version": "3.0", "vulns": [{"id": "CVE-2", "fix_versions": ["3.1"]}]}
    unknown = {"name": "d", "skip_reason": "not found"}
    assert audit.judge({"dependencies": [clean]}) == (["1 of 1 packages were audited."], False)
    lines, bad = audit.judge({"dependencies": [clean, open_ended, unknown]})
    assert not bad and "b 2.0: CVE-1, not mended yet" in lines and any(line.startswith("NOT AUDITED: 1 ") for line in lines)
    lines, bad = audit.judge({"dependencies": [mended]})
    assert bad and lines[0] == "c 3.0: CVE-2, mended in 3.1"
