"""Runs the example workflows in a real ComfyUI and saves their pictures: the body of `python dev.py demo`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from .client import Client, Picture, Progress, Run
from .environment import ROOT, Host
from .server import Server
from .workflow_file import Prompt, to_prompt

WORKFLOWS = ROOT / "workflows"
OUTPUT = ROOT / "output"
THUMBNAIL_WIDTH = 512
OVERLAY_NODE = "SDExplainHeatmap"


def run_examples(host: Host, thumbnails: bool = False) -> None:
    """Run every workflow that needs no download, save what its nodes show to `output/`, and say what they show.

    `thumbnails` also writes each workflow's own overlay picture beside it, as the page's template list shows it.
    """
    began = time.monotonic()
    print("Starting ComfyUI …", flush=True)
    with Server(host) as server:
        client = Client(server.url)
        object_info = client.object_info()
        workflows = {file: json.loads(file.read_text(encoding="utf-8")) for file in sorted(WORKFLOWS.glob("*.json"))}
        left_out = {file.stem: missing for file, workflow in workflows.items() if (missing := downloads(workflow, object_info))}
        prompts = {file: to_prompt(workflow, object_info) for file, workflow in workflows.items() if file.stem not in left_out}
        saved: dict[Path, list[Path]] = {}
        with tqdm(total=sum(map(len, prompts.values())), bar_format="{l_bar}{bar}| {elapsed}") as bar:
            for file, prompt in prompts.items():
                run = run_one(client, file.stem, prompt, bar)
                saved[file] = save_pictures(client, file.stem, prompt, run)
                if thumbnails:
                    pictures = thumbnail(prompt, run, about(workflows[file]).get("thumbnail"))
                    save_thumbnail([client.image(picture) for picture in pictures], file)
    for file, pictures in saved.items():
        print(f"\n{file.stem}: {about(workflows[file]).get('shows', '')}")
        print("\n".join(f"    {picture}" for picture in pictures))
    for name, missing in left_out.items():
        print(f"\n{name}: not run, it needs a download: {', '.join(missing)}")
    print(
        f"\nDone in {time.monotonic() - began:.0f} s. To open the same graphs in ComfyUI's page: python dev.py ui, "
        "then Templates in its left bar, Extensions > sdexplain."
    )


def downloads(workflow: Mapping[str, Any], object_info: Mapping[str, Any]) -> list[str]:
    """The addresses of the models that `workflow` names in its loaders' properties and this ComfyUI does not offer."""
    offered = {name for node in workflow["nodes"] for name in choices(object_info.get(node["type"], {}))}
    named = [model for node in workflow["nodes"] for model in node.get("properties", {}).get("models", ())]
    return [model["url"] for model in named if model["name"] not in offered]


def choices(definition: Mapping[str, Any]) -> set[str]:
    """All choices of the lists of a node."""
    found: set[str] = set()
    for kind, *rest in definition.get("input", {}).get("required", {}).values():
        options = kind if isinstance(kind, list) else rest[0].get("options", ()) if rest else ()
        found.update(option for option in options if isinstance(option, str))
    return found


def about(workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the workflow's own file says of its pictures, `extra.sdexplain`.

    `shows` is one line on what they show, `thumbnail` the id of the node whose picture stands for the workflow.
    """
    return workflow.get("extra", {}).get("sdexplain", {})


def run_one(client: Client, name: str, prompt: Prompt, bar: tqdm) -> Run:
    begin = bar.n
    bar.set_description(name)

    def advance(progress: Progress) -> None:
        within = progress.value / progress.maximum if progress.maximum else 0
        bar.n = begin + min(progress.started - 1 + within, progress.nodes)
        bar.refresh()

    run = client.run(prompt, advance)
    bar.n = begin + len(prompt)
    bar.refresh()
    return run


def save_pictures(client: Client, name: str, prompt: Prompt, run: Run) -> list[Path]:
    """Save what the nodes showed as `<workflow>_<node's title>.png`, numbered where a title has several."""
    OUTPUT.mkdir(exist_ok=True)
    stems = [f"{name}_{slug(prompt[picture.node]['_meta']['title'])}" for picture in run.pictures()]
    files: list[Path] = []
    for place, (stem, picture) in enumerate(zip(stems, run.pictures(), strict=True)):
        number = f"_{stems[: place + 1].count(stem)}" if stems.count(stem) > 1 else ""
        files.append(OUTPUT / f"{stem}{number}{Path(picture.filename).suffix}")
        files[-1].write_bytes(client.fetch(picture))
    return files


def slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def save_thumbnail(pictures: list[Image.Image], workflow: Path) -> None:
    """Write pictures of one size side by side, as a JPEG beside the workflow under its name;
    of a film the frame in its middle."""
    for picture in pictures:
        picture.seek(getattr(picture, "n_frames", 1) // 2)
    height = round(pictures[0].height * THUMBNAIL_WIDTH / pictures[0].width)
    sheet = Image.new("RGB", (THUMBNAIL_WIDTH * len(pictures), height))
    for place, picture in enumerate(pictures):
        small = picture.convert("RGB").resize((THUMBNAIL_WIDTH, height), Image.Resampling.LANCZOS)
        sheet.paste(small, (THUMBNAIL_WIDTH * place, 0))
    sheet.save(workflow.with_suffix(".jpg"), quality=88)


def thumbnail(prompt: Prompt, run: Run, node: str | int | None = None) -> list[Picture]:
    """The pictures of `node`, else those of the first node that shows an overlay: a heatmap node or one that it feeds."""
    if node is not None:
        return run.pictures(node)
    for picture in run.pictures():
        shower = prompt[picture.node]
        firsts = [value[0] for value in shower["inputs"].values() if isinstance(value, list) and value[1] == 0]
        if OVERLAY_NODE in (shower["class_type"], *(prompt[first]["class_type"] for first in firsts)):
            return run.pictures(picture.node)
    raise ValueError(f"No node of this workflow shows the overlay of a {OVERLAY_NODE}: connect a Preview Image to it.")
