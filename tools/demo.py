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
DRAWN = 1_000_027
"""The seed of the picture in thumbnails of workflows that need a download."""


def run_examples(host: Host, thumbnails: bool = False) -> None:
    """Run every workflow that needs no download, save what its nodes show to `output/`, and say what they show.

    `thumbnails` also writes each workflow's own overlay picture beside it, as the page's template list shows it; of those that
    need a download it is one of the bundled model's own pictures.
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
        asked: dict[Path, int] = {}
        with tqdm(total=sum(map(len, prompts.values())), bar_format="{l_bar}{bar}| {elapsed}") as bar:
            for file, prompt in prompts.items():
                run = run_one(client, file.stem, prompt, bar)
                saved[file], asked[file] = save_pictures(client, file.stem, prompt, run), evaluations(run, prompt)
                if thumbnails:
                    pictures = thumbnail(prompt, run, about(workflows[file]).get("thumbnail"))
                    save_thumbnail([client.image(picture) for picture in pictures], file)
        for place, name in enumerate(left_out if thumbnails else ()):
            file = WORKFLOWS / f"{name}.json"
            prompt = on_bundled_model(to_prompt(workflows[file], object_info), object_info, place)
            pictures = client.run(prompt).pictures(about(workflows[file])["thumbnail"])
            save_thumbnail([client.image(picture) for picture in pictures], file)
    for file, pictures in saved.items():
        print(f"\n{file.stem}: {about(workflows[file]).get('shows', '')} ({asked[file]} evaluations of the network)")
        print("\n".join(f"    {picture}" for picture in pictures))
    for name, missing in left_out.items():
        print(f"\n{name}: not run, it needs a download: {', '.join(missing)}")
    print(
        f"\nDone in {time.monotonic() - began:.0f} s, with {sum(asked.values())} evaluations of the network. To open the same "
        "graphs in ComfyUI's page: python dev.py ui, then Templates in its left bar, Extensions > sdexplain."
    )


def find_workflow(name: str) -> Path:
    """The workflow whose file's name begins so: the words that follow are there for the search in the page's list."""
    (file,) = WORKFLOWS.glob(f"{name}*.json")
    return file


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


def on_bundled_model(prompt: Prompt, object_info: Mapping[str, Any], place: int = 0) -> Prompt:
    """The same graph with the bundled model in the place of its loaders, asked about a picture of its own.

    `place` chooses the class of that picture. The prompt is changed in place and given back.
    """
    parts = ("MODEL", "CLIP", "VAE")
    label, twin = pair(object_info, place)
    outputs = {number: object_info[node["class_type"]]["output"] for number, node in prompt.items()}
    loaders = {number for number, kinds in outputs.items() if kinds and set(kinds) <= set(parts)}
    for number in loaders:
        prompt[number] = {"class_type": "SDExplainLoadDiffusers", "inputs": {"folder": "bundled model"}}
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[0] in loaders:
                node["inputs"][name] = [value[0], parts.index(outputs[value[0]][value[1]])]
            if isinstance(value, str):
                node["inputs"][name] = value.replace(" cat", f" {label}").replace(" dog", f" {twin}")
        if node["class_type"] == "LoadImage":
            node |= {"class_type": "SDExplainExamplePicture", "inputs": {"class_name": label, "seed": DRAWN, "size": 256}}
        if node["class_type"] == "ImageScale":
            node["inputs"] |= {"width": 256, "height": 256}
    return prompt


def pair(object_info: Mapping[str, Any], place: int) -> tuple[str, str]:
    """The class at `place` and its twin: the node lists them in pairs."""
    kind, *rest = object_info["SDExplainExamplePicture"]["input"]["required"]["class_name"]
    classes = kind if isinstance(kind, list) else rest[0]["options"]
    place %= len(classes)
    return classes[place], classes[place ^ 1]


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


def evaluations(run: Run, prompt: Prompt) -> int:
    """How many noised latents the model was asked about, under one prompt each, as the nodes that asked say it.

    Core's nodes that show such a text say it a second time.
    """
    shows = {number for number, node in prompt.items() if not node["class_type"].startswith("SDExplain")}
    own = (output for number, output in run.outputs.items() if number not in shows)
    said = (text for output in own for text in output.get("text", ()) if isinstance(text, str))
    found = (re.findall(r"\bPredicted (\d+) of \d+|\bnoise samples, (\d+) predictions\b", text) for text in said)
    return sum(int(number) for pairs in found for pair in pairs for number in pair if number)


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
