"""Graphs around every node of the pack, made from what the server says of them,
so that new nodes and inputs are included automatically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..client import Client
from ..graphs import Node, node, noising, summing, zebra_against_horse
from ..workflow_file import Prompt

Definition = Mapping[str, Any]
Info = Mapping[str, Definition]

TESTED = "tested"
"""The id of the node that a graph is about."""

SMALL = {"steps": 2, "samples": 2, "size": 64, "ranges": 2, "frames": 3, "window": 2, "shares": 2, "random_orders": 3}
"""Small values for what costs time, unless it is what is tried."""

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")

GOOD = {
    "MODEL": ["load", 0],
    "CLIP": ["load", 1],
    "VAE": ["load", 2],
    "IMAGE": ["picture", 0],
    "MASK": ["picture", 2],
    "LATENT": ["encode", 0],
    "CONDITIONING": ["zebra", 0],
    "SIGMAS": ["sigmas", 0],
    "NOISE": ["random", 0],
    "NOISED_LATENTS": ["noise", 0],
    "NOISE_PREDICTIONS": ["predict", 0],
    "NOISE_DIFFERENCE": ["sum", 0],
}

NEEDED = {"SDExplainFaithfulness": ("classifier", "model", "vae", "target", "contrast")}
"""Optional inputs without which a node has nothing to do, or that go together."""


def neighbours(cells: int = 8, steps: int = 2, samples: int = 4, seed: int = 0) -> Prompt:
    """Nodes that give a good value of every type, with as little work for the model as there can be."""
    return {
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "picture": node("SDExplainExamplePicture", class_name="zebra", seed=1_000_000, size=8 * cells),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        "sigmas": node("BasicScheduler", model=["load", 0], scheduler="normal", steps=steps, denoise=1.0),
        "random": node("RandomNoise", noise_seed=seed),
        "noise": noising("load", steps, seed=seed, samples=samples),
        **zebra_against_horse("load"),
        "sum": summing(),
    }


@dataclass(frozen=True)
class Input:
    """An input as the server describes it."""

    name: str
    kind: str
    """Link type, several separated by commas, or one of `WIDGETS`."""
    options: Mapping[str, Any] = field(hash=False)
    required: bool = True

    @property
    def is_widget(self) -> bool:
        return self.kind in WIDGETS

    @property
    def choices(self) -> list[Any]:
        return list(self.options.get("options", ()))

    @property
    def spoken(self) -> set[str]:
        """What people may call it, in lower case."""
        names = {self.name, self.name.replace("_", " "), self.options.get("display_name") or self.name}
        return {name.lower() for name in names}


def inputs_of(definition: Definition) -> list[Input]:
    found = []
    for group in ("required", "optional"):
        for name, (kind, *rest) in definition["input"].get(group, {}).items():
            options = dict(rest[0]) if rest else {}
            if isinstance(kind, list):
                kind, options = "COMBO", options | {"options": kind}
            found.append(Input(name, kind, options, group == "required"))
    return found


def pack_nodes(info: Info) -> list[str]:
    return sorted(name for name in info if name.startswith("SDExplain"))


def good_value(given: Input, info: Info) -> Any:
    """A widget's default or a link to a good value; None for an optional input that is to stay open."""
    if given.is_widget:
        default = given.options.get("default", given.choices[0] if given.choices else "")
        small = SMALL.get(given.name, default)
        return max(small, given.options.get("min", small)) if given.kind == "INT" else default
    if not given.required:
        return None
    if given.name.startswith("contrast"):
        return ["horse", 0]
    return good_link(given.kind, info)


def good_link(kinds: str, info: Info) -> list[Any]:
    for kind in kinds.split(","):
        if kind in GOOD:
            return list(GOOD[kind])
    for name in pack_nodes(info):  # a type of a newer node's
        if kinds in info[name]["output"]:
            return [f"source {name}", info[name]["output"].index(kinds)]
    raise ValueError(f"Nothing gives {kinds}; add it to GOOD.")


def good_inputs(name: str, info: Info) -> dict[str, Any]:
    given_all = inputs_of(info[name])
    given_all = [replace(given, required=given.required or given.name in NEEDED.get(name, ())) for given in given_all]
    values = {given.name: good_value(given, info) for given in given_all}
    return {given: value for given, value in values.items() if value is not None}


def around(name: str, info: Info, changes: Mapping[str, Any], removed: tuple[str, ...] = (), **size: int) -> Prompt:
    """The node with its inputs changed, everything that feeds it, and a report on each of its outputs.

    A change to a dict is what ProbeValue makes a value from; it comes by a link of a type that fits everywhere.
    """
    prompt = neighbours(**size)
    inputs = good_inputs(name, info)
    for number, (given, value) in enumerate(changes.items()):
        if isinstance(value, dict) and "__value__" not in value:
            prompt[f"made {number}"] = node("ProbeValue", made_from=json.dumps(value))
            value = [f"made {number}", 0]
        inputs[given] = value
    prompt[TESTED] = node(name, **{given: value for given, value in inputs.items() if given not in removed})
    for link in [value for value in inputs.values() if isinstance(value, list)]:
        if str(link[0]).startswith("source "):
            prompt[link[0]] = node(link[0].removeprefix("source "), **good_inputs(link[0].removeprefix("source "), info))
    for place in range(len(info[name]["output"])):
        prompt[f"report {place}"] = report(f"report {place}", [TESTED, place])
    return prompt | keeping_loaded()


def keeping_loaded() -> Prompt:
    """Reports that keep the good values in the server's cache from one graph to the next."""
    kept = {kind: link for kind, link in GOOD.items() if kind not in ("SIGMAS", "NOISE")}
    return {f"keep {kind}": report(f"keep {kind}", link) for kind, link in kept.items()}


def report(name: str, link: list[Any]) -> Node:
    return node("ProbeReport", value=link, name=name)


NEW_NAMES = {"SDExplainSavePredictions"}
"""Nodes whose outputs are new at every run."""


def good_runs(client: Client, info: Info) -> dict[str, list[str]]:
    """Every node of the pack with good inputs, and digests of all its outputs, with nothing left in memory from before."""
    free(client)
    found = {}
    for name in pack_nodes(info):
        ran = client.run(around(name, info, {}), timeout=120)
        reports = [ran.outputs[f"report {place}"]["facts"] for place in range(len(info[name]["output"]))]
        found[name] = [facts["digest"] for report in reports for facts in report if name not in NEW_NAMES]
    return found


def free(client: Client) -> None:
    """Let the server forget models, results and predictions, before the next run."""
    client._post("/free", {"unload_models": True, "free_memory": True}).raise_for_status()
