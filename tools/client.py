"""Drives a running ComfyUI through the API that its own page uses, and reads the workflow files that the page saves."""

from __future__ import annotations

import io
import json
import socket
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import websocket
from PIL import Image

from .workflow_file import Prompt, to_prompt

# Node modes of a saved workflow.


class ComfyUIError(RuntimeError):
    """ComfyUI refused or failed; the message is its own."""


class PromptRejected(ComfyUIError):
    """The prompt did not pass ComfyUI's checks, so nothing ran; `node_errors` holds its answer, by node id."""

    def __init__(self, message: str, node_errors: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.node_errors = node_errors


class NodeFailed(ComfyUIError):
    """A node raised while running; `node`, `kind` (its exception's name) and `trace` say where."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        super().__init__(f"{event['node_type']} (node {event['node_id']}): {event['exception_message'].strip()}")
        self.node = str(event["node_id"])
        self.kind = event["exception_type"]
        self.trace = "".join(event["traceback"])


class Interrupted(ComfyUIError):
    """The run was cancelled."""


@dataclass(frozen=True)
class Progress:
    """Where a run is: `value` of `maximum` within `node`, which is the `started`-th of at most `nodes` to run."""

    node: str
    value: float
    maximum: float
    started: int
    nodes: int


@dataclass(frozen=True)
class Picture:
    """A picture that `node` showed or saved: where the server keeps it."""

    node: str
    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class Run:
    """What a run gave: the nodes that ran, in order (the others came from the cache), and what each node showed."""

    prompt_id: str
    ran: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def pictures(self, node: str | int | None = None) -> list[Picture]:
        """The pictures shown by `node`, or by all nodes."""
        return [
            Picture(shower, image["filename"], image["subfolder"], image["type"])
            for shower, output in self.outputs.items()
            for image in output.get("images", ())
            if node is None or shower == str(node)
        ]


# --------------------------------------------------------------------------------------------------------------- client


class Client:
    """One client of the ComfyUI at `url`; `timeout` in seconds is for each request, not for a run."""

    def __init__(self, url: str, timeout: float = 60) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.id = uuid.uuid4().hex
        self.session = requests.Session()
        self.session.trust_env = False  # a proxy for the outside world must not get what is meant for this machine

    def object_info(self, node: str | None = None) -> dict[str, Any]:
        """The inputs and outputs of every node type, or of one: node type -> its definition."""
        return self._get(f"/object_info/{node}" if node else "/object_info").json()

    def load(self, file: Path) -> Prompt:
        """Read a workflow file as saved by the page and convert it, see `to_prompt`."""
        return to_prompt(json.loads(file.read_text(encoding="utf-8")), self.object_info())

    def run(
        self,
        prompt: Prompt,
        on_progress: Callable[[Progress], None] | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Queue `prompt`, wait until it has run, and return what it gave; cancels it if the wait is interrupted.

        Raises PromptRejected, NodeFailed or Interrupted as ComfyUI says, TimeoutError after `timeout` seconds, and
        ComfyUIError when the connection is lost.
        """
        events = self._listen()  # before queueing: the server sends each event once, to the clients that are connected
        try:
            prompt_id = self._queue(prompt)
            try:
                ran = list(self._follow(events, prompt_id, len(prompt), on_progress, timeout))
            except (KeyboardInterrupt, TimeoutError):
                self._withdraw(prompt_id)
                raise
        finally:
            events.close()
        return Run(prompt_id, ran, self._outputs(prompt_id))

    def cancel(self, prompt_id: str | None = None) -> None:
        """Stop the running prompt, and take `prompt_id` out of the queue if it waits there."""
        if prompt_id:
            self._post("/queue", {"delete": [prompt_id]})
        self._post("/interrupt", {"prompt_id": prompt_id} if prompt_id else {})

    def fetch(self, picture: Picture) -> bytes:
        """The file of `picture`, as it is."""
        place = {"filename": picture.filename, "subfolder": picture.subfolder, "type": picture.type}
        return self._get("/view", place).content

    def image(self, picture: Picture) -> Image.Image:
        return Image.open(io.BytesIO(self.fetch(picture)))

    def upload(self, image: Image.Image | Path, name: str) -> str:
        """Put a picture into the server's input folder in place of one of that name; returns what LoadImage takes."""
        if isinstance(image, Path):
            content = image.read_bytes()
        else:
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            content = buffer.getvalue()
        files = {"image": (name, content), "overwrite": (None, "true")}
        answer = self.session.post(f"{self.url}/upload/image", files=files, timeout=self.timeout)
        answer.raise_for_status()
        stored = answer.json()
        return f"{stored['subfolder']}/{stored['name']}" if stored["subfolder"] else stored["name"]

    # ------------------------------------------------------------------------------------------------------------------

    def _get(self, path: str, parameters: Mapping[str, str] | None = None) -> requests.Response:
        answer = self.session.get(self.url + path, params=parameters, timeout=self.timeout)
        answer.raise_for_status()
        return answer

    def _post(self, path: str, content: Mapping[str, Any]) -> requests.Response:
        return self.session.post(self.url + path, json=content, timeout=self.timeout)

    def _listen(self) -> websocket.WebSocket:
        address = urllib.parse.urlsplit(self.url)
        line = socket.create_connection((address.hostname, address.port), self.timeout)  # given, so that no proxy is asked
        return websocket.create_connection(f"ws://{address.netloc}/ws?clientId={self.id}", timeout=1, socket=line)

    def _queue(self, prompt: Prompt) -> str:
        answer = self._post("/prompt", {"prompt": prompt, "client_id": self.id})
        content = answer.json()
        if answer.ok and not content["node_errors"]:
            return content["prompt_id"]
        if answer.ok:  # queued all the same, for the outputs that do not depend on the nodes with errors
            self._withdraw(content["prompt_id"])
        raise PromptRejected(rejection(content), content["node_errors"])

    def _withdraw(self, prompt_id: str) -> None:
        """Cancel until the prompt is gone: a request that comes just as the server takes it up has no effect."""
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            self.cancel(prompt_id)
            queue = self._get("/queue").json()
            if not any(entry[1] == prompt_id for entry in queue["queue_running"] + queue["queue_pending"]):
                return
            time.sleep(0.05)

    def _follow(
        self,
        events: websocket.WebSocket,
        prompt_id: str,
        nodes: int,
        on_progress: Callable[[Progress], None] | None,
        timeout: float | None,
    ) -> Iterator[str]:
        """Yield the id of each node as it first starts, until the prompt has run: one that waits for others starts again."""
        started: set[str] = set()
        for kind, event in self._events(events, timeout):
            if event.get("prompt_id") != prompt_id:
                continue
            if kind == "execution_success":
                return
            if kind == "execution_error":
                raise NodeFailed(event)
            if kind == "execution_interrupted":
                raise Interrupted(f"The run was cancelled in {event['node_type']} (node {event['node_id']}).")
            if kind == "executing" and event["node"] is not None and str(event["node"]) not in started:
                started.add(str(event["node"]))
                yield str(event["node"])
            if on_progress and started and kind in ("executing", "progress") and event["node"] is not None:
                on_progress(Progress(str(event["node"]), event.get("value", 0), event.get("max", 1), len(started), nodes))

    def _events(self, events: websocket.WebSocket, timeout: float | None) -> Iterator[tuple[str, dict[str, Any]]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is None or time.monotonic() < deadline:
            try:
                message = events.recv()
            except websocket.WebSocketTimeoutException:
                continue
            except (websocket.WebSocketException, OSError) as error:
                raise ComfyUIError(f"The connection to ComfyUI at {self.url} was lost: {error}. Its log says why.") from error
            if isinstance(message, str) and message:  # the binary ones are previews
                content = json.loads(message)
                yield content["type"], content["data"]
            elif not message:
                raise ComfyUIError(f"ComfyUI at {self.url} closed the connection. Its log says why.")
        raise TimeoutError(f"ComfyUI did not finish the prompt within {timeout:g} s; it was cancelled.")

    def _outputs(self, prompt_id: str) -> dict[str, dict[str, Any]]:
        """What the nodes showed, those from the cache too; written down just after the server says that it is done.

        What the parts of a node showed that expands into others stands under the node on which the page shows it; what the page
        shows nowhere is left out.
        """
        deadline = time.monotonic() + self.timeout
        while prompt_id not in (history := self._get(f"/history/{prompt_id}").json()):
            if time.monotonic() > deadline:
                raise ComfyUIError(f"ComfyUI finished the prompt {prompt_id}, but does not list it.")
            time.sleep(0.02)
        entry, outputs = history[prompt_id], {}
        own, told = entry["prompt"][2], entry.get("meta", {})
        for node, output in entry["outputs"].items():
            # nodes of one content share an entry; only the entries of parts say on which node they are shown
            shown = node if node in own else told.get(node, {}).get("display_node", node)
            if shown in own:
                outputs.setdefault(shown, {}).update(output)
        return outputs


def rejection(answer: Mapping[str, Any]) -> str:
    """ComfyUI's reasons for not running a prompt, one a line: which node, what, and the details."""
    lines = [
        f"{node['class_type']} (node {number}): {error['message']}: {error['details']}"
        for number, node in answer["node_errors"].items()
        for error in node["errors"]
    ]
    if not lines:
        lines = [f"{answer['error']['message']}: {answer['error']['details']}"]
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------ saved workflows
