"""Predictions that version 0.1.0 saved give the maps and log-odds that it made of them, to the last bit.

The files in tests/data are its own: the bundled model's predictions of zebra against horse, saved by Save Noise Predictions, and
what its maths made of them. Another torch or another kind of processor may add in another order: there they agree within
rounding.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from sdexplain.nodes.maths.answers.verdict import judge
from sdexplain.nodes.maths.files.archive import read
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.heatmap import make_heatmap
from sdexplain.nodes.maths.method.prediction import NoisePredictions
from sdexplain.nodes.maths.method.reading import read_map
from torch import Tensor

DATA = Path(__file__).resolve().parent.parent / "data"
FILES = ("antithetic", "shared_noise")
INTERVALS = ("reach", "sums_reach")
"""How wide a verdict's intervals are is estimated in another way since, on purpose."""
with safe_open(DATA / "released_maps.safetensors", "pt") as maps:
    RECORDED = {name: maps.get_tensor(name) for name in maps.keys()}
    RECORDED_WITH = maps.metadata()


def decode(latents: Tensor) -> Tensor:
    """What stood for a decoder when the maps were recorded."""
    return latents[:, :3].movedim(1, -1).mul(0.25).add(0.5).clamp(0, 1)


def recorded(file: str, verdict: bool) -> dict[tuple[str, ...], Tensor]:
    """What version 0.1.0 made of a file, verdicts or maps: the names split at the slash, without the file's."""
    split = {tuple(name.split("/")): value for name, value in RECORDED.items()}
    return {name[1:]: value for name, value in split.items() if name[0] == file and ("verdict" in name) == verdict}


def require_same(made: Tensor, kept: Tensor, name: tuple[str, ...]) -> None:
    assert (made.shape, made.dtype) == (kept.shape, kept.dtype), name
    if (torch.__version__, torch.backends.cpu.get_cpu_capability()) == (RECORDED_WITH["torch"], RECORDED_WITH["cpu"]):
        assert torch.equal(made, kept), name
    else:
        torch.testing.assert_close(made, kept, rtol=1e-6, atol=1e-6 * float(kept.abs().max()), msg=str(name))


def limits_of(span: str) -> tuple[int, int]:
    start, end = span.split("-")
    return int(start), int(end)


@pytest.fixture(scope="module", params=FILES)
def saved(request: pytest.FixtureRequest) -> tuple[str, NoisePredictions]:
    return request.param, read(DATA / f"released_{request.param}.safetensors")


def test_sums_and_heatmaps_are_those_that_were_released(saved: tuple[str, NoisePredictions]) -> None:
    file, predictions = saved
    kept = recorded(file, verdict=False)
    assert len({name[1:3] for name in kept}) == 8  # all readings and weightings
    for name, value in kept.items():
        span, reading, weighting, *drawn, what = name
        if what in ("degrees", "variance") or (drawn and drawn[1] != "all"):
            continue  # which cells are reliable is judged in another way since, on purpose
        summed = sum_steps(predictions, *limits_of(span), reading, weighting)
        if drawn:
            scalar, reliability = drawn
            read_out = read_map(summed, scalar, decode)
            made = make_heatmap(read_out, shared=reading != "evidence", reliability=reliability, threshold=1.5)
        require_same(getattr(made if drawn else summed, what), value, name)


def test_verdicts_are_those_that_were_released(saved: tuple[str, NoisePredictions]) -> None:
    file, predictions = saved
    for name, value in recorded(file, verdict=True).items():
        span, _, what = name
        if what not in INTERVALS:
            require_same(getattr(judge(predictions, *limits_of(span)), what), value, name)
