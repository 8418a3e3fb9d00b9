"""ComfyUI's own executor in this process, with the pack's nodes in it: a graph costs what it costs there, without the page.

Call `start` first; before it, ComfyUI can't be imported.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import tempfile
from types import SimpleNamespace
from typing import Any

from ...tools.environment import find_host

Prompt = dict[str, dict[str, Any]]

SILENT = SimpleNamespace(
    client_id=None, last_node_id=None, send_sync=lambda *message: None, send_progress_text=lambda *message: None
)
"""A server without a page."""

_given: dict[str, Any] = {}
_taken: dict[str, Any] = {}


def start(cpu: bool = True) -> None:
    """Put ComfyUI on the import path, with empty folders, and the pack's nodes among its own; on the CPU, or where it likes."""
    sys.path.append(str(find_host().folder))  # last: ComfyUI's `utils`, `app` and `server` must hide nobody's
    from comfy.cli_args import args

    args.cpu = cpu
    args.use_pytorch_cross_attention = True  # what ComfyUI chooses by itself on a GPU
    args.base_directory = tempfile.mkdtemp(prefix="sdexplain-benchmark-")
    importlib.import_module("utils.install_util")  # before nodes.py puts a folder with another `utils` in front
    import server

    import nodes

    server.PromptServer.instance = SILENT

    pack = importlib.import_module(__package__.rsplit(".", 2)[0])
    extension = asyncio.run(pack.comfy_entrypoint())
    for node in asyncio.run(extension.get_node_list()):
        nodes.NODE_CLASS_MAPPINGS[node.GET_SCHEMA().node_id] = node
    nodes.NODE_CLASS_MAPPINGS |= {"Given": Given, "Taken": Taken}
    gc.collect()
    gc.freeze()  # every measurement begins with a search for garbage: what was imported is none


class Given:
    """A node that gives what this process holds under a name."""

    RETURN_TYPES, FUNCTION = ("*",), "give"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"name": ("STRING",)}}

    def give(self, name: str) -> tuple[Any]:
        return (_given[name],)


class Taken:
    """A node that hands over what it is given."""

    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "take", True

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"value": ("*",)}}

    def take(self, value: Any) -> tuple:
        _taken["value"] = value
        return ()


class Graph:
    """Runs graphs one after the other as a server does; nodes whose inputs did not change are not run again."""

    def __init__(self) -> None:
        from execution import PromptExecutor

        self.executor = PromptExecutor(SILENT, cache_args={"lru": 0, "ram": 0.0})

    def run(self, prompt: Prompt, value: list, **given: Any) -> Any:
        """The output `value` ([node, number]) of a graph, in which ["name", 0] stands for what is `given` under a name.

        Raises:
            RuntimeError: a node failed.
        """
        _given.update(given)
        sources = {name: {"class_type": "Given", "inputs": {"name": name}} for name in given}
        taken = {"taken": {"class_type": "Taken", "inputs": {"value": value}}}
        self.executor.execute({**sources, **prompt, **taken}, "benchmark", {}, ["taken"])
        _given.clear()  # a model that stayed here would keep its memory
        if not self.executor.success:
            _, told = self.executor.status_messages[-1]
            raise RuntimeError(f"{told['node_type']}: {told.get('exception_message', 'interrupted')}")
        return _taken.pop("value")
