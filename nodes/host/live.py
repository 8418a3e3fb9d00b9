"""Explorers that follow a run: while the model is being asked, their page is given what is known by then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from server import PromptServer

from ..maths.answers.settled import Stability
from ..maths.images import match_pictures
from ..maths.method.difference import Reading
from ..maths.method.prediction import NoisePredictions
from . import explorer

if TYPE_CHECKING:
    from comfy_execution.graph import DynamicPrompt
    from torch import Tensor

EVENT = "sdexplain.live"
"""What the page is told by; `js/explorer.js` listens."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """An Explorer that has its picture, and waits for its predictions."""

    image: Tensor
    reading: Reading
    workflow: str | None
    """The id of the workflow that runs, by which the page knows its own."""


_waiting: dict[str, dict[str, Waiting]] = {}  # the prompt that is under way -> its explorers


def wait(image: Tensor, reading: Reading, png_info: Mapping[str, Any] | None) -> None:
    """Note that the executing Explorer waits for the predictions of this picture."""
    prompt, node = explorer.executing()
    if prompt not in _waiting:
        _waiting.clear()
    explorer.forget_live(node)
    workflow = (png_info or {}).get("workflow") or {}
    _waiting.setdefault(prompt, {})[node] = Waiting(image, reading, workflow.get("id"))


@dataclass(frozen=True, eq=False)
class Followers:
    """The Explorers that wait for what a node collects."""

    explorers: Mapping[str, Waiting]

    @classmethod
    def of(cls, graph: DynamicPrompt, node_id: str) -> Followers:
        """Those that are linked to this node, or to the node that was expanded into it; none where no page is open."""
        if PromptServer.instance.client_id is None:
            return cls({})
        sources = {node_id, graph.get_display_node_id(node_id)}
        waiting = _waiting.get(explorer.executing()[0], {})
        return cls({name: told for name, told in waiting.items() if graph.get_node(name)["inputs"]["predictions"][0] in sources})

    def tell(self, predictions: NoisePredictions, found: Stability, done: int, wanted: int) -> None:
        """Give them what is known: of `wanted` evaluations, `done` are there."""
        noised, agreement = predictions.noised, float(found.agreement[0])
        told = {"done": done, "wanted": wanted, "agreement": agreement if math.isfinite(agreement) else None}
        for name, waiting in self.explorers.items():
            try:
                pictures = match_pictures(waiting.image, noised.images, tuple(noised.x0.shape[2:]), noised.downscale)
                folder = explorer.publish_live(name, predictions, pictures, waiting.reading)
            except (OSError, ValueError):  # the Explorer itself will say what is wrong; the run goes on
                continue
            place = {"subfolder": folder, "type": "temp", "live": told | {"reading": waiting.reading}}
            server = PromptServer.instance
            server.send_sync(EVENT, {"node": name, "workflow": waiting.workflow, "place": place}, server.client_id)
