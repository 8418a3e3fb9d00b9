"""Write locales/en/nodeDefs.json, the nodes' English texts in the form that ComfyUI's page takes translations in.

`python dev.py run tools.locales` takes them from the nodes themselves, and says what the other languages lack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .client import Client
from .environment import ROOT, find_host
from .server import Server

LOCALES = ROOT / "locales"
PREFIX = "SDExplain"


def english(object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of the pack's nodes: node id -> display_name, description, inputs and outputs with name and tooltip."""
    return {name: of_node(node) for name, node in sorted(object_info.items()) if name.startswith(PREFIX)}


def of_node(node: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {
        name: {"name": escape(options.get("display_name") or name), "tooltip": escape(options["tooltip"])}
        for group in ("required", "optional")
        for name, (_, options) in node["input"].get(group, {}).items()
    }
    outputs = {
        str(place): {"name": escape(name), "tooltip": escape(tooltip)}
        for place, (name, tooltip) in enumerate(zip(node["output_name"], node["output_tooltips"], strict=True))
    }
    return {
        "display_name": escape(node["display_name"]),
        "description": escape(node["description"]),
        "inputs": inputs,
        "outputs": outputs,
    }


def escape(text: str) -> str:
    """`text` as a message of vue-i18n, in which {, }, @, | and $ have a meaning of their own."""
    return re.sub(r"[{}@|$]", lambda found: f"{{'{found[0]}'}}", text)


def paths(texts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its path, such as SDExplainHeatmap.inputs.sign.tooltip."""
    for key, value in texts.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def read(language: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))


def main() -> None:
    with Server(find_host()) as server:
        texts = english(Client(server.url).object_info())
    file = LOCALES / "en" / "nodeDefs.json"
    before = dict(paths(read("en"))) if file.exists() else {}
    now = dict(paths(texts))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(texts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    changed = [path for path in now if before.get(path, now[path]) != now[path]]
    print(f"{file}: {len(now)} texts" + "".join(f"\nchanged, look at its translations: {path}" for path in changed))
    for folder in sorted(LOCALES.iterdir()):
        there = dict(paths(read(folder.name)))
        print("".join(f"{folder.name} lacks {path}\n" for path in now if path not in there), end="")
        print("".join(f"{folder.name} has no use for {path}\n" for path in there if path not in now), end="")
