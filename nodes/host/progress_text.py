"""What a node says while it runs, in the log and on the node itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from server import PromptServer

from .caveats import caveats

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

    from .kept import Effort
    from .prediction import Conditioning


def show_text(words: str, node_id: str) -> None:
    """Write to the log, and onto the node in the page; the page does not show the text that a node returns."""
    logging.info("SDExplain: %s", words)
    PromptServer.instance.send_progress_text(words, node_id)


def show_effort(effort: Effort, model: ModelPatcher, prompts: dict[str, Conditioning], node_id: str, stopped: str = "") -> str:
    """Say what predicting took, where it stopped, and what to know about prompts and model; returns the words."""
    words = "\n\n".join(filter(None, [str(effort), stopped, *caveats(model, prompts)]))
    show_text(words, node_id)
    return words
