"""How every run must end: with consistent results, or with an error that names the input and the remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from ..client import Client, ComfyUIError, Interrupted, NodeFailed, PromptRejected, Run
from ..workflow_file import Prompt
from .graphs import TESTED, Definition, Input

REMEDY = re.compile(
    r"\b(expected|choose|connect|take|give|use|make|draw|encode|leave|load|run|save|start|copy|update|write|put|press|lower|raise"
    r"|flip|check|noise|let|add|name|increase|decrease|shorten|must be|smaller than min|bigger than max|not in list"
    r"|required input|mismatch|failed to convert)\b",
    re.IGNORECASE,
)
ERRORS = ("ValueError", "OSError")


class WordlessClient(Client):
    """Sends NaN and infinity, which JSON does not have, as Python writes them; ComfyUI reads that."""

    def _post(self, path: str, content: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        return self.session.post(self.url + path, data=json.dumps(content), headers=headers, timeout=self.timeout)


def outcome(client: Client, prompt: Prompt, timeout: float) -> Run | ComfyUIError | TimeoutError:
    try:
        return client.run(prompt, timeout=timeout)
    except (NodeFailed, PromptRejected, Interrupted, TimeoutError) as error:
        return error


def complaints(ended: Run | ComfyUIError | TimeoutError, definition: Definition, tried: Collection[Input]) -> list[str]:
    """What is wrong with the way a run of the node ended; `tried` are the inputs that were changed."""
    if isinstance(ended, Run):
        return wrong_outputs(ended, definition)
    if isinstance(ended, TimeoutError):
        return []  # it was a lot of work, and could be cancelled
    if isinstance(ended, NodeFailed):
        if ended.node != TESTED:
            return [f"failed in another node: {ended}"]
        if ended.kind not in ERRORS:
            return [f"{ended.kind}, not a ValueError: {ended}"]
    if isinstance(ended, PromptRejected) and set(ended.node_errors) != {TESTED}:
        return [f"rejected for another node: {ended}"]
    return wrong_words(str(ended), tried)


def wrong_outputs(ran: Run, definition: Definition) -> list[str]:
    outputs = list(zip(definition["output_name"], definition["output"], definition["output_tooltips"], strict=True))
    # a row of numbers is explained at its first
    first_number = next((tooltip for _, kind, tooltip in outputs if kind == "FLOAT"), "")
    return [
        f"output {name!r}: {complaint}"
        for place, (name, kind, tooltip) in enumerate(outputs)
        for facts in ran.outputs[f"report {place}"]["facts"]
        for complaint in wrong_with(facts, kind, may_be_nan=kind == "FLOAT" and "nan" in f"{tooltip} {first_number}")
    ]


def wrong_words(message: str, tried: Collection[Input]) -> list[str]:
    said = message.lower()
    missing = [] if any(name in said for given in tried for name in given.spoken) else ["does not name the input"]
    missing += [] if REMEDY.search(message) else ["names no remedy"]
    return [f"{' and '.join(missing)}: {message}"] if missing else []


def wrong_with(facts: Mapping[str, Any], kind: str, may_be_nan: bool) -> list[str]:
    shapes, wrong = facts["shapes"], []
    if not facts["finite"] and not may_be_nan:
        wrong.append("NaN or infinity")
    if kind in ("IMAGE", "MASK"):
        (shape,) = shapes
        if len(shape) != {"IMAGE": 4, "MASK": 3}[kind] or 0 in shape or (kind == "IMAGE" and shape[-1] != 3):
            wrong.append(f"shape {shape}")
        if not (0 <= facts["lowest"] and facts["highest"] <= 1):
            wrong.append(f"values from {facts['lowest']:g} to {facts['highest']:g}")
    if kind == "LATENT" and (len(shapes) != 1 or len(shapes[0]) not in (4, 5) or 0 in shapes[0]):
        wrong.append(f"shapes {shapes}")
    if kind == "STRING" and not str(facts["value"] or "").strip():
        wrong.append("no words")
    if kind.startswith("NOISE") and not shapes:
        wrong.append("holds nothing")
    return wrong
