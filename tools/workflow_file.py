"""From the page's workflow files to prompts for the server's API, as the page converts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Prompt = dict[str, dict[str, Any]]
"""What the server runs: node id -> {"class_type": …, "inputs": {name: value, or [node id, output number]}}."""
# Nodes that exist only in the page; the server does not know them.
MUTED, BYPASSED = 2, 4
NOTES = ("Note", "MarkdownNote")
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def to_prompt(workflow: Mapping[str, Any], object_info: Mapping[str, Any]) -> Prompt:
    """Convert a workflow as the page saves it (format 0.4 or 1) to what the server runs, as the page does on Run.

    Muted nodes are left out, bypassed ones passed through by type, reroutes and primitives resolved, notes ignored.
    Raises ValueError for a node type that is not in `object_info`, subgraphs included.
    """
    graph = Graph(workflow)
    prompt: Prompt = {}
    for number, node in graph.nodes.items():
        if node["type"] in (*NOTES, "Reroute", "PrimitiveNode") or node.get("mode") in (MUTED, BYPASSED):
            continue
        if node["type"] not in object_info:
            raise ValueError(
                f"Node {number} has the type {node['type']!r}, which this ComfyUI does not have: "
                "install its pack, or unpack it if it is a subgraph."
            )
        definition = object_info[node["type"]]
        inputs = widget_values(node, definition)
        for slot in node.get("inputs", ()):
            if source := graph.source(slot.get("link"), slot["type"]):
                inputs[slot["name"]] = source
        title = node.get("title") or definition.get("display_name") or node["type"]
        prompt[str(number)] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return prompt


def widget_values(node: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the widgets of `node`, by input name; the file lists them in the widgets' order only."""
    saved = node.get("widgets_values") or []
    if isinstance(saved, dict):
        return dict(saved)
    declared = definition["input"].get("required", {}) | definition["input"].get("optional", {})
    has_widget = {slot["name"] for slot in node.get("inputs", ()) if "widget" in slot}
    values, position = {}, 0
    for name, (kind, *rest) in declared.items():
        options = rest[0] if rest else {}
        kind = "COMBO" if isinstance(kind, list) else kind
        if name not in has_widget and (kind not in WIDGET_TYPES or options.get("forceInput")):
            continue
        if position < len(saved):
            value = saved[position]
        else:  # saved before the node had this input: the page shows its default
            value = options.get("default", next(iter(options.get("options", ())), None))
            if value is None:
                continue
        # the page wraps lists, which would look like links
        values[name] = {"__value__": value} if isinstance(value, list) else value
        position += 1 + controls_after(name, kind, options)
    return values


def controls_after(name: str, kind: str, options: Mapping[str, Any]) -> int:
    """How many widgets of its own the page puts after this one ("control after generate", and for lists its filter)."""
    if kind == "INT":
        return int(bool(options.get("control_after_generate", name in ("seed", "noise_seed"))))
    return 2 if kind == "COMBO" and options.get("control_after_generate") else 0


class Graph:
    """The nodes and links of a saved workflow."""

    def __init__(self, workflow: Mapping[str, Any]) -> None:
        self.nodes = {node["id"]: node for node in workflow["nodes"]}
        # id -> (from node, from output); format 0.4 has lists, format 1 objects
        self.links = dict(map(link_ends, workflow["links"]))

    def source(self, link: int | None, kind: str) -> list[Any] | None:
        """What feeds an input of type `kind` by `link`: [node id, output number], or None if nothing that runs does."""
        if link is None or link not in self.links:
            return None
        number, slot = self.links[link]
        node = self.nodes[number]
        inputs = node.get("inputs", [])
        if node["type"] == "PrimitiveNode" or node.get("mode") == MUTED:
            return None  # a primitive's value stands in the widget that it feeds, too
        if node["type"] == "Reroute":
            return self.source(inputs[0].get("link"), kind)
        if node.get("mode") == BYPASSED:
            # the input at the same place if it has the type, else the first that has it
            fitting = [entry for entry in [*inputs[slot : slot + 1], *inputs] if entry["type"] == kind]
            return self.source(fitting[0].get("link"), kind) if fitting else None
        return [str(number), slot]


def link_ends(link: list[Any] | Mapping[str, Any]) -> tuple[int, tuple[int, int]]:
    if isinstance(link, list):
        return link[0], (link[1], link[2])
    return link["id"], (link["origin_id"], link["origin_slot"])
