"""A server of their own for the tests that try to break it, and how much they try.

By default it is what a minute or two allows. SDEXPLAIN_FUZZ=10 tries ten times as much, of values, cases, cancels and failures;
every value of `trials` on every input of every node has had its turn at about 24.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from sdexplain.nodes.maths.files.archive import pack
from sdexplain.tools.environment import ROOT, find_host
from sdexplain.tools.server import Server
from sdexplain.tools.trials.contract import WordlessClient
from sdexplain.tools.trials.graphs import good_runs
from sdexplain.tools.trials.predictions import made_predictions

FACTOR = int(os.environ.get("SDEXPLAIN_FUZZ", "1"))
hypothesis.settings.register_profile(
    "fuzz",
    max_examples=30 * FACTOR,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=tuple(hypothesis.HealthCheck),
)


@pytest.fixture(scope="session")
def factor() -> int:
    return FACTOR


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Writes a line below the results: how many cases there were, and how they ended."""
    return lambda words: record_property("told", words)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    for report in reports:
        for name, words in report.user_properties:
            if name == "told" and report.when == "call":
                terminalreporter.write_line(f"{report.location[2]}: {words}")


@pytest.fixture(scope="session")
def besieged() -> Iterator[Server]:
    with Server(find_host(), packs={"sdexplain_probe": ROOT / "tools" / "probe_pack"}) as server:
        (server.base / "input" / "saved.safetensors").write_bytes(pack(made_predictions()))
        yield server


@pytest.fixture(scope="session")
def client(besieged: Server) -> WordlessClient:
    return WordlessClient(besieged.url)


@pytest.fixture(scope="session")
def info(client: WordlessClient) -> dict[str, Any]:
    return client.object_info()


@pytest.fixture(scope="session")
def unshaken(client: WordlessClient, info: dict[str, Any]) -> Iterator[None]:
    """Good runs on the server that has just been started, and again after all tests: they give the same, to the last bit."""
    fresh = good_runs(client, info)
    yield
    assert good_runs(client, info) == fresh
