"""Training for some minutes: it goes on where it was, scenes come from other processes, and the pieces make the whole again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from sdexplain.training import architecture, on_gpu

pytestmark = pytest.mark.slow  # networks are trained


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A model so small that a few seconds train it; every line of the training is the real one."""
    build_unet = architecture.build_unet
    monkeypatch.setattr(architecture, "build_unet", lambda: build_unet(widths=(16, 32), groups=8))
    monkeypatch.setattr(on_gpu, "HELD_OUT", 3)
    torch.manual_seed(0)
    vae = architecture.build_vae(widths=(8, 8, 8, 8))
    architecture.save_pipeline(architecture.build_pipeline(vae=vae), tmp_path / "model")
    return tmp_path / "model"


def test_a_run_goes_on_where_the_one_before_ended_and_its_pieces_make_a_pipeline(small: Path, tmp_path: Path) -> None:
    def run() -> on_gpu.Run:
        made = on_gpu.Run(small, tmp_path / "work", 0.05, 2, torch.device("cpu"), size=64)
        made.train(workers=1)
        return made

    first = run()
    steps, seconds, scenes = _state(tmp_path), first.clock.seconds, first.clock.scenes
    assert steps > 0 and 0 < seconds <= 3.5 and scenes > 3 and sorted(first.held) == [0, 1, 2]
    second = run()
    assert _state(tmp_path) > steps and second.clock.seconds > seconds
    assert min(second.indices) >= scenes, "scenes that are new"
    second.save(tmp_path / "made")
    pieces = on_gpu.save_pieces(tmp_path / "made", tmp_path / "pieces", most=100_000)
    assert len(pieces) > 1 and all(piece.stat().st_size <= 100_000 for piece in pieces)
    on_gpu.join(tmp_path / "pieces", tmp_path / "again")
    trained = StableDiffusionPipeline.from_pretrained(tmp_path / "again", dtype=torch.float32, safety_checker=None)
    average = second.average.module.unet.state_dict()
    assert all(torch.equal(value, average[name].float()) for name, value in trained.unet.state_dict().items())
    assert second.verdicts().count("gap") == 3, "of the networks that were saved"


def _state(folder: Path) -> int:
    return int(torch.load(folder / "work" / "on_gpu.pt", weights_only=True)["step"])


def test_pieces_are_not_put_over_a_model_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(SystemExit, match="is there already"):
        on_gpu.join(tmp_path, tmp_path / "there")
