"""Training: a run that was stopped and goes on ends where an uninterrupted one does,
and whitening the latents changes no picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sdexplain.training import architecture, train_denoiser, train_vae
from sdexplain.training.tokenizer import build_tokenizer
from sdexplain.training.train_denoiser import PromptSampler, draw_timesteps, for_twins
from sdexplain.training.training_data import TwinPictures, training_scene, twin_pictures

pytestmark = pytest.mark.slow  # networks are trained


@pytest.fixture
def pictures() -> TwinPictures:
    return TwinPictures(np.random.default_rng(0).integers(0, 255, (6, 2, 64, 64, 3), np.uint8))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks and batches small enough for a test; every line of the training is the real one."""
    build_vae, build_unet = architecture.build_vae, architecture.build_unet
    monkeypatch.setattr(architecture, "build_vae", lambda: build_vae(widths=(8, 8, 8, 8)))
    monkeypatch.setattr(architecture, "build_unet", lambda: build_unet(widths=(16, 32), groups=8))
    monkeypatch.setattr(train_vae, "CROP", 32)
    monkeypatch.setattr(train_vae, "SAVE_EVERY", 2)
    monkeypatch.setattr(train_denoiser, "SCENES_PER_BATCH", 2)
    monkeypatch.setattr(train_denoiser, "SAVE_EVERY", 2)


class Stopped(Exception):
    pass


def stop_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int) -> None:
    """Let the `call`-th call of the function raise, as a power cut would."""
    original, calls = getattr(module, name), []

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == call:
            raise Stopped
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, counted)


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.usefixtures("small")
def test_a_stopped_vae_run_goes_on_to_the_same_weights(
    tmp_path: Path, pictures: TwinPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: str) -> torch.nn.Module:
        torch.manual_seed(0)
        (tmp_path / folder).mkdir(exist_ok=True)
        return train_vae.train_vae(tmp_path / folder, pictures, steps=4)

    whole = run("whole")
    with monkeypatch.context() as patch:
        stop_at(patch, train_vae, "random_crops", call=4)
        with pytest.raises(Stopped):
            run("stopped")
    assert torch.equal(weights(run("stopped")), weights(whole))


@pytest.mark.usefixtures("small")
def test_a_stopped_denoiser_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = torch.randn(9, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def run(folder: str) -> torch.nn.Module:
        torch.manual_seed(0)
        (tmp_path / folder).mkdir(exist_ok=True)
        return train_denoiser.train_denoiser(tmp_path / folder, latents[:6], latents[6:], steps=4)

    whole = run("whole")
    with monkeypatch.context() as patch:
        stop_at(patch, train_denoiser, "draw_timesteps", call=4)
        with pytest.raises(Stopped):
            run("stopped")
    assert torch.equal(weights(run("stopped")), weights(whole))


def test_whitening_gives_uncorrelated_unit_latents_and_the_same_pictures(tmp_path: Path, pictures: TwinPictures) -> None:
    torch.manual_seed(0)
    vae = architecture.build_vae(widths=(8, 8, 8, 8)).eval()
    picture = train_vae.to_model_range(pictures.pictures[0])
    with torch.no_grad():
        decoded = vae.decode(vae.encode(picture).latent_dist.mean).sample
    latents = train_vae.whiten(vae, train_vae.encode(vae, pictures, tmp_path / "latents.pt"))
    assert latents.shape == (6, 2, 4, 8, 8)
    flat = latents.movedim(2, 0).flatten(1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(flat.cov(), torch.eye(4), atol=1e-3, rtol=0)
    with torch.no_grad():
        encoded = vae.encode(picture).latent_dist.mean
        torch.testing.assert_close(vae.decode(encoded).sample, decoded, atol=1e-3, rtol=0)
        # the latents were encoded in bfloat16, as for training
        assert torch.corrcoef(torch.stack([encoded.flatten(), latents[0].flatten()]))[0, 1] > 0.95


def test_pictures_are_drawn_once_and_again_when_the_request_changes(tmp_path: Path) -> None:
    first = twin_pictures(tmp_path, scenes=3, size=64).pictures
    written = (tmp_path / "pictures.npy").stat().st_mtime_ns
    again = twin_pictures(tmp_path, scenes=3, size=64).pictures
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == written
    assert np.array_equal(first, again)
    assert np.array_equal(twin_pictures(tmp_path, scenes=2, size=64).pictures, first[:2])
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == written  # the first of them are there already
    assert twin_pictures(tmp_path, scenes=4, size=64).pictures.shape == (4, 2, 64, 64, 3)
    assert twin_pictures(tmp_path, scenes=2, size=32).pictures.shape == (2, 2, 32, 32, 3)


def test_latents_are_made_again_for_another_vae_or_other_pictures(tmp_path: Path) -> None:
    vae, file = architecture.build_vae((8, 16), groups=4), tmp_path / "latents.pt"
    pictures = TwinPictures(np.random.default_rng(0).integers(0, 256, (2, 2, 16, 16, 3), dtype=np.uint8))
    first = train_vae.encode(vae, pictures, file)
    written = file.stat().st_mtime_ns
    assert torch.equal(train_vae.encode(vae, pictures, file), first) and file.stat().st_mtime_ns == written
    assert len(train_vae.encode(vae, TwinPictures(pictures.pictures[:1]), file)) == 1
    with torch.no_grad():
        vae.quant_conv.bias += 1
    assert not torch.allclose(train_vae.encode(vae, TwinPictures(pictures.pictures[:1]), file), first[:1])


def test_training_scenes_take_the_pairs_in_turn() -> None:
    assert [training_scene(index).pair for index in range(3)] == [("horse", "zebra"), ("mouse", "rat"), ("sports car", "taxi")]


def test_twins_share_template_and_emptiness_and_ask_for_their_own_class() -> None:
    tokenizer = build_tokenizer()
    prompts = PromptSampler(tokenizer)
    drawn = prompts.draw(np.arange(300), np.random.default_rng(0)).unflatten(0, (300, 2))
    empty = (drawn == prompts.empty).all(-1)
    assert torch.equal(empty[:, 0], empty[:, 1])
    assert 0.05 < empty[:, 0].float().mean() < 0.2
    texts = [[tokenizer.decode(ids, skip_special_tokens=True) for ids in twins] for twins in drawn[~empty[:, 0]].tolist()]
    assert all(first != second for first, second in texts)
    assert "zebra" in " ".join(second for _, second in texts[:3])


def test_timesteps_cover_the_schedule_and_favour_its_middle() -> None:
    timesteps = draw_timesteps(20_000, np.random.default_rng(0))
    assert timesteps.min() >= 0 and timesteps.max() <= 999
    # Half uniform over 1000, half uniform over 300..850: 0.5 * 0.55 + 0.5.
    middle = ((timesteps >= 300) & (timesteps < 850)).float().mean()
    assert middle == pytest.approx(0.775, abs=0.015)


def test_loss_weights_are_those_of_v_prediction() -> None:
    """|v - v'|^2 = |e - e'|^2 / alpha^2 at the same noisy latent, with v = alpha * e - sigma * x0."""
    scheduler = architecture.build_scheduler()
    timesteps = torch.tensor([10, 400, 999])
    alpha, sigma = scheduler.alphas_cumprod[timesteps].sqrt(), (1 - scheduler.alphas_cumprod[timesteps]).sqrt()
    noisy, first, second = 0.7, 0.3, -0.4

    def v(noise: float) -> torch.Tensor:
        return alpha * noise - sigma * (noisy - sigma * noise) / alpha

    expected = ((v(first) - v(second)) / (first - second)) ** 2
    weights = train_denoiser.loss_weights(scheduler, timesteps)
    torch.testing.assert_close(weights[:2], expected[:2], rtol=1e-4, atol=0)
    assert weights[2] == train_denoiser.LARGEST_WEIGHT < expected[2]


def test_for_twins_repeats_each_scene_twice_in_a_row() -> None:
    assert for_twins(torch.tensor([1, 2])).tolist() == [1, 1, 2, 2]


@pytest.mark.usefixtures("small")
def test_a_finished_model_is_trained_on_from_its_own_weights(tmp_path: Path) -> None:
    pipeline = architecture.build_pipeline(unet=architecture.build_unet())
    before = {name: value.clone() for name, value in pipeline.unet.state_dict().items()}
    networks = train_denoiser.networks_of(pipeline)
    latents = torch.randn(9, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    trained = train_denoiser.train_denoiser(tmp_path, latents[:6], latents[6:], 1, networks, learning_rate=1e-6)
    moved = [(trained.unet.state_dict()[name] - value).abs().max() for name, value in before.items()]
    assert 0 < max(moved) < 1e-4
