"""Runs the workflows of another checkout with its pack and with this one's, and says what differs.

`python dev.py run tools.compare_versions FOLDER [--steps N] [--only NAME]`: the workflow files and the blueprint are the other
checkout's for both. Every value of the pack's outputs has to be the same to the last bit: masks, latents, numbers, predictions,
and pictures without words. Pictures with words may differ in their words, which are black and grey on white. Everything in
colour, and the whole picture above a legend, must be the same. Pictures that differ are put side by side in output/compare.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from ..nodes.maths.images import to_image
from .client import Client, ComfyUIError
from .demo import downloads, slug
from .environment import ROOT, find_host
from .graphs import node, short
from .server import Server
from .workflow_file import Prompt, to_prompt

OUTPUT = ROOT / "output" / "compare"
PACK_NODES = "SDExplain"
KINDS = ("IMAGE", "MASK", "LATENT", "FLOAT", "INT", "BOOLEAN", "STRING")
WORDLESS = ("image", "twin", "heatmap", "decoded")
"""The pack's pictures without words."""
NEUTRAL = 24 / 255
"""Ink, paper and rules of the sheets have colour channels that lie no farther apart."""
LONGEST_LINE = 200
BLUEPRINT_LINKS = {"image": ["picture", 0], "model": ["load", 0], "clip": ["load", 1], "vae": ["load", 2]}

Info = Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """What one output gave: its tensors by name, and the rest as JSON."""

    tensors: dict[str, Tensor]
    plain: dict[str, str]


@dataclass
class Finding:
    """How one output compares; `wrong` where something else than words differs, `lines` are those of a text that changed."""

    said: str = "identical"
    wrong: bool = False
    lines: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------------------- what runs


def prompts_of(checkout: Path, info: Info, only: str | None, steps: int | None) -> dict[str, Prompt]:
    """The checkout's workflows that need no download, and its blueprints, with what keeps all their outputs."""
    prompts = {}
    for file in sorted((checkout / "workflows").glob("*.json")):
        workflow = json.loads(file.read_text(encoding="utf-8"))
        if not downloads(workflow, info):
            prompts[file.stem] = to_prompt(workflow, info)
    for file in sorted((checkout / "subgraphs").glob("*.json")):
        prompts[f"blueprint {file.stem}"] = unpack_blueprint(json.loads(file.read_text(encoding="utf-8")), info)
    chosen = {name: prompt for name, prompt in prompts.items() if only is None or only in name}
    return {name: short(prompt, steps) if steps else prompt for name, prompt in chosen.items()}


def unpack_blueprint(file: Mapping[str, Any], info: Info) -> Prompt:
    """The nodes inside of a blueprint's only node, with that node's values, the bundled model and an example picture."""
    (outer,), (inner,) = file["nodes"], file["definitions"]["subgraphs"]
    names = [slot["name"] for slot in outer["inputs"] if "widget" in slot]
    values = BLUEPRINT_LINKS | dict(zip(names, outer["widgets_values"], strict=True))
    links = [link for link in inner["links"] if link["origin_id"] > 0]
    prompt = to_prompt({"nodes": inner["nodes"], "links": links}, info)
    slots = {(part["id"], place): slot["name"] for part in inner["nodes"] for place, slot in enumerate(part["inputs"])}
    for link in inner["links"]:
        if link["origin_id"] == inner["inputNode"]["id"]:
            name = slots[link["target_id"], link["target_slot"]]
            prompt[str(link["target_id"])]["inputs"][name] = values[inner["inputs"][link["origin_slot"]]["name"]]
    prompt["picture"] = node("SDExplainExamplePicture", class_name="zebra", seed=1_000_000, size=256)
    prompt["load"] = node("SDExplainLoadDiffusers", folder="bundled model")
    return prompt


def outputs_of(prompt: Prompt, info: Info) -> dict[tuple[str, int], str]:
    """The outputs to compare, (node id, place) -> type: those of the pack's nodes, and pictures that the VAE decodes."""
    return {
        (number, place): kind
        for number, part in prompt.items()
        if part["class_type"].startswith(PACK_NODES) or part["class_type"] == "VAEDecode"
        for place, kind in enumerate(info[part["class_type"]]["output"])
        if kind in (*KINDS, "NOISE_PREDICTIONS")
    }


def keeping(outputs: Mapping[tuple[str, int], str], folder: str) -> Prompt:
    """Nodes that write every output to a file, predictions as the pack saves them; in a new folder, so that all run."""
    prompt = {}
    for (number, place), kind in outputs.items():
        if kind == "NOISE_PREDICTIONS":
            saved = {"predictions": [number, place], "filename_prefix": f"{folder}/{number}-{place}", "precision": "float32"}
            prompt[f"keep {number} {place}"] = node("SDExplainSavePredictions", **saved)
        else:
            prompt[f"keep {number} {place}"] = node(
                "ProbeKeep", value=[number, place], file=f"{folder}/{number}-{place}.safetensors"
            )
    return prompt


def run(server: Server, name: str, prompt: Prompt, outputs: Mapping[tuple[str, int], str]) -> dict[tuple[str, int], Kept]:
    """Run a prompt and read what was kept of every output."""
    folder = server.base / "output" / slug(name)
    Client(server.url).run(prompt | keeping(outputs, folder.name))
    kept = {output: read_kept(folder, *output) for output in outputs}
    shutil.rmtree(folder)
    return kept


def read_kept(folder: Path, number: str, place: int) -> Kept:
    file, predictions = folder / f"{number}-{place}.safetensors", folder / f"{number}-{place}_00001_.safetensors"
    with safe_open(file if file.exists() else predictions, "pt") as content:
        tensors, plain = {name: content.get_tensor(name) for name in content.keys()}, dict(content.metadata() or {})
    plain.pop("checksum", None)  # of predictions: it covers what is compared one by one
    return Kept(tensors, plain if file.exists() else {name: json.dumps(text) for name, text in plain.items()})


# ------------------------------------------------------------------------------------------------------------- comparing


def compare(old: Kept, new: Kept, has_words: bool, picture_height: int) -> Finding:
    """How an output compares: to the last bit, or where it has words, in all but them."""
    found = Finding()
    if old.plain != new.plain:
        compare_words(old.plain, new.plain, found)
    if old.tensors.keys() != new.tensors.keys():
        found.said, found.wrong = "OTHER TENSORS", True
    elif not all(same_bits(part, new.tensors[key]) for key, part in old.tensors.items()):
        (before, *more), (after, *_) = old.tensors.values(), new.tensors.values()
        if has_words and not more:
            compare_pictures(before, after, picture_height, found)
        else:
            found.said, found.wrong = f"VALUES DIFFER by up to {largest_change(old.tensors, new.tensors)}", True
    return found


def same_bits(one: Tensor, other: Tensor) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    return torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))


def largest_change(old: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> str:
    pairs = [(part, new[name]) for name, part in old.items()]
    if any(one.shape != other.shape for one, other in pairs):
        return f"their shapes: {[list(one.shape) for one, _ in pairs]} and {[list(other.shape) for _, other in pairs]}"
    return f"{max(float((one.double() - other.double()).abs().max()) for one, other in pairs):.3g}"


def compare_words(old: Mapping[str, str], new: Mapping[str, str], found: Finding) -> None:
    """What words say may change, but not the numbers in them: every decimal number has to be there still."""
    texts = [
        [line for name in sorted(side) for line in f"{name} {json.loads(side[name])}".splitlines() if line.strip()]
        for side in (old, new)
    ]
    numbers = [Counter(re.findall(r"\d+\.\d+", "\n".join(text))) for text in texts]
    strings = all(value.startswith('"') for value in old.values())
    found.wrong = bool(numbers[0] - numbers[1]) or not strings
    found.said = "NUMBERS DIFFER" if found.wrong else "words alone"
    changed = difflib.unified_diff(*texts, lineterm="", n=0)
    found.lines = [line[:LONGEST_LINE] for line in changed if line[:2] not in ("--", "++", "@@")]


def compare_pictures(old: Tensor, new: Tensor, height: int, found: Finding) -> None:
    """Pictures with words [B,H,W,3]: the first `height` rows must be the same, and below them everything in colour."""
    if old.shape[0] != new.shape[0] or old.shape[2] != new.shape[2]:
        found.said, found.wrong = f"PICTURES DIFFER in size: {list(old.shape)} and {list(new.shape)}", True
        return
    differs = (padded(old, new) != padded(new, old)).any(-1)
    rows, columns = differs.any(0).any(1).nonzero(), differs.any(0).any(0).nonzero()
    box = f"{columns.min()},{rows.min()} to {columns.max() + 1},{rows.max() + 1} of {old.shape[2]}×{old.shape[1]}"
    same = torch.equal(old[:, :height], new[:, :height])
    same = same and all(torch.equal(coloured_rows(one), coloured_rows(other)) for one, other in zip(old, new, strict=True))
    size = "" if old.shape == new.shape else f", height {old.shape[1]} to {new.shape[1]}"
    found.wrong = not same
    found.said = f"{'words alone' if same else 'PICTURE DIFFERS'}: {differs.double().mean():.2%} of pixels, in {box}{size}"


def padded(picture: Tensor, other: Tensor) -> Tensor:
    """A picture [B,H,W,3] with white below it, up to the height of the other if that is higher."""
    missing = max(0, other.shape[1] - picture.shape[1])
    return torch.nn.functional.pad(picture, (0, 0, 0, 0, 0, missing), value=1.0)


def coloured_rows(picture: Tensor) -> Tensor:
    """The parts of a picture [H,W,3] that are neither ink nor paper: greys become 0, rows with nothing else are left out."""
    coloured = (picture.amax(-1) - picture.amin(-1)) > NEUTRAL
    return (picture * coloured[..., None])[coloured.any(1)]


def side_by_side(old: Tensor, new: Tensor, file: Path) -> None:
    """Before, after, and in red where they differ."""
    old, new = padded(old, new), padded(new, old)
    where = (old != new).any(-1, keepdim=True) if old.shape == new.shape else torch.ones_like(old[..., :1], dtype=torch.bool)
    marked = torch.where(where, torch.tensor([0.8, 0.0, 0.0]), 0.7 + 0.3 * old)
    file.parent.mkdir(parents=True, exist_ok=True)
    for number, parts in enumerate(zip(old, new, marked, strict=False)):
        pictures = [to_image(part) for part in parts]
        sheet = Image.new("RGB", (sum(part.width for part in pictures), max(part.height for part in pictures)), "white")
        for place, part in enumerate(pictures):
            sheet.paste(part, (sum(before.width for before in pictures[:place]), 0))
        sheet.save(file.with_stem(f"{file.stem}_{number}"))


# -------------------------------------------------------------------------------------------------------------- the whole


def compare_workflow(name: str, prompts: tuple[Prompt, Prompt], servers: tuple[Server, Server], info: Info) -> list[Finding]:
    """Run one workflow on both, print what differs, and return how its outputs compare."""
    outputs, began = outputs_of(prompts[0], info), time.monotonic()
    try:
        old, new = (run(server, name, prompt, outputs) for server, prompt in zip(servers, prompts, strict=True))
    except ComfyUIError as error:
        print(f"{name}: FAILED: {error}", flush=True)
        return [Finding("FAILED", wrong=True)]
    found: dict[str, Finding] = {}
    for (number, place), kind in outputs.items():
        part = prompts[0][number]
        names = info[part["class_type"]]["output_name"]
        words = kind == "IMAGE" and part["class_type"].startswith(PACK_NODES) and names[place] not in WORDLESS
        plain = old.get((number, names.index("heatmap"))) if words and "heatmap" in names else None
        height = next(iter(plain.tensors.values())).shape[1] if plain else 0
        label = f"{part.get('_meta', {}).get('title', part['class_type'])} ({number}), {names[place]}"
        found[label] = compare(old[number, place], new[number, place], words, height)
        if kind == "IMAGE" and found[label].said != "identical":
            (before,), (after,) = old[number, place].tensors.values(), new[number, place].tensors.values()
            side_by_side(before, after, OUTPUT / f"{slug(f'{name} {label}')}.png")
    same = sum(finding.said == "identical" for finding in found.values())
    print(f"{name}: {same} of {len(found)} outputs identical ({time.monotonic() - began:.0f} s)")
    for label, finding in found.items():
        if finding.said != "identical":
            print("\n        ".join([f"    {label}: {finding.said}", *finding.lines]), flush=True)
    return list(found.values())


def main() -> int:
    """Compare; 1 where anything but words differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="the folder of another checkout, an older one for example")
    parser.add_argument("--steps", type=int, help="only so many steps, to be quick")
    parser.add_argument("--only", help="only workflows with this in their name")
    options = parser.parse_args()
    host, more = find_host(), {"sdexplain_probe": Path(__file__).with_name("probe_pack")}
    with Server(host, pack=options.checkout.resolve(), packs=more) as before, Server(host, packs=more) as after:
        infos = [Client(server.url).object_info() for server in (before, after)]
        old, new = (prompts_of(options.checkout, info, options.only, options.steps) for info in infos)
        found = [
            finding
            for name, prompt in old.items()
            for finding in compare_workflow(name, (prompt, new[name]), (before, after), infos[0])
        ]
    wrong, same = sum(finding.wrong for finding in found), sum(finding.said == "identical" for finding in found)
    print(
        f"\n{len(old)} workflows, {len(found)} outputs: {same} identical, {len(found) - same - wrong} differ in words alone, ",
        end="",
    )
    print(f"{wrong} IN MORE THAN WORDS" if wrong else "0 in more than words")
    return int(wrong > 0)
