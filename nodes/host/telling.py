"""What a node has to say while it runs, in the log and on the node itself."""

from __future__ import annotations

import logging

from server import PromptServer


def tell(words: str, node_id: str) -> None:
    """Write to the log, and onto the node in the page; what a node returns as text, only those see who ask the API."""
    logging.info("SDExplain: %s", words)
    PromptServer.instance.send_progress_text(words, node_id)
