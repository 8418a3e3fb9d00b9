"""Write locales/en: the nodes' English texts in the form that ComfyUI's page takes translations in, and the Explorer's own.

`python dev.py run tools.locales` takes them from the nodes and their wording, and says what the other languages lack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..nodes.maths.files import explorer, explorer_words
from ..nodes.maths.method.noising import NoisedLatents
from ..nodes.maths.method.prediction import NoisePredictions
from ..nodes.maths.pictures.colours import DIVERGING, SEQUENTIAL
from ..nodes.maths.wording import RECOGNITION, SENTENCES
from .client import Client
from .environment import ROOT, find_host
from .server import Server

LOCALES = ROOT / "locales"
NODES, PAGE = "nodeDefs.json", "main.json"
PREFIX = "SDExplain"


def english(object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of the pack's nodes: node id -> display_name, description, inputs and outputs with name and tooltip."""
    return {name: of_node(node) for name, node in sorted(object_info.items()) if name.startswith(PREFIX)}


def of_node(node: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {
        name: {"name": options.get("display_name") or name, "tooltip": options["tooltip"]}
        for group in ("required", "optional")
        for name, (_, options) in node["input"].get(group, {}).items()
    }
    outputs = {
        str(place): {"name": name, "tooltip": tooltip}
        for place, (name, tooltip) in enumerate(zip(node["output_name"], node["output_tooltips"], strict=True))
    }
    return {
        "display_name": node["display_name"],
        "description": node["description"],
        "inputs": inputs,
        "outputs": outputs,
    }


def of_the_page() -> dict[str, Any]:
    """The texts of the Explorer's page, see js/explorer/texts.js, which are no messages of vue-i18n."""
    said = explorer.words(_labelled("{target}", "{contrast}"))
    meanings = {
        entry["reading"] + (f", {entry['scalar']}" if entry["reading"] == "difference" else ""): {
            part: entry[part] for part in ("positive", "negative", "quantity", "noun")
        }
        for entry in said
    }
    colours = {*(end for ends in DIVERGING.values() for end in ends), *SEQUENTIAL.values(), "clear"}
    units = dict.fromkeys(unit for entry in said for unit in (entry["unit"], entry["summed_unit"]))
    words = {
        "texts": explorer_words.TEXTS,
        "views": explorer_words.VIEWS,
        "fields": explorer_words.FIELDS,
        "options": explorer_words.OPTIONS,
        "sentences": {
            name: text for name, text in (SENTENCES | RECOGNITION | explorer_words.PAGE_SENTENCES).items() if name != "source"
        },
        "meanings": meanings,
        "units": {unit: unit for unit in units},
        "colours": {colour: colour for colour in sorted(colours)},
    }
    return {"sdexplain": words}


def _labelled(target: str, contrast: str) -> NoisePredictions:
    """The smallest predictions that there can be, with these labels."""
    noised = NoisedLatents(*(torch.ones(shape) for shape in ((1, 4, 2, 2), (1, 1, 4, 2, 2), (1,), (1,), (4,), (4,))))
    answers = torch.zeros(1, 1, 1, 4, 2, 2)
    return NoisePredictions(noised, answers, answers, target, contrast)


def paths(texts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its path, such as SDExplainHeatmap.inputs.sign.tooltip."""
    for key, value in texts.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def read(language: str, name: str = NODES) -> dict[str, Any]:
    return json.loads((LOCALES / language / name).read_text(encoding="utf-8"))


def main() -> None:
    with Server(find_host()) as server:
        write(NODES, english(Client(server.url).object_info()))
    write(PAGE, of_the_page())


def write(name: str, texts: Mapping[str, Any]) -> None:
    """Write a file of English texts, and say which translations to look at."""
    file = LOCALES / "en" / name
    before = dict(paths(read("en", name))) if file.exists() else {}
    now = dict(paths(texts))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(texts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    changed = [path for path in now if before.get(path, now[path]) != now[path]]
    print(f"{file}: {len(now)} texts" + "".join(f"\nchanged, look at its translations: {path}" for path in changed))
    for folder in sorted(LOCALES.iterdir()):
        there = dict(paths(read(folder.name, name))) if (folder / name).exists() else {}
        print("".join(f"{folder.name} lacks {path}\n" for path in now if path not in there), end="")
        print("".join(f"{folder.name} has no use for {path}\n" for path in there if path not in now), end="")
