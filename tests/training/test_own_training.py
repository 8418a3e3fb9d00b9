"""Training on labelled pictures: resumed it comes to the same weights, and what it writes is what ComfyUI loads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sdexplain.training.own_pictures import classifier, denoiser, findings, lora, pixel_vae, reading, run, subjects, verdicts
from sdexplain.training.own_pictures.pictures import PictureSet

pytestmark = pytest.mark.slow
SIZE = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve of scikit-learn's handwritten digits, six threes and six eights."""
    from sklearn.datasets import load_digits

    folder, digits = tmp_path_factory.mktemp("digits"), load_digits()
    for label in (3, 8):
        (folder / str(label)).mkdir()
        for number, picture in enumerate(digits.images[digits.target == label][:6]):
            Image.fromarray((picture * 255 / 16).round().astype(np.uint8)).save(folder / str(label) / f"{number}.png")
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subjects, "_widths", lambda cells: ((8, 16), 1))


def train(folder: Path, work: Path, *stops: int) -> dict[str, torch.Tensor]:
    """The averaged weights after training up to each of the steps in turn, each time from the checkpoint."""
    pictures = reading.read(folder)
    options = run.Options(folder, work, size=SIZE, batch=4, seed=3)
    for stop in stops:
        torch.manual_seed(3)
        subject = run.subject_of(options, pictures)
        plan = replace(options.plan(), steps=stop)
        training = denoiser.Training(subject, PictureSet(pictures.train, SIZE), pictures.classes, plan, work)
        training.run(lambda progress: "")
    with training.averaged() as networks:
        return {name: value.clone() for name, value in networks.state_dict().items()}


@pytest.mark.usefixtures("small")
def test_a_stopped_training_comes_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    """Eight training pictures make two batches: both stops lie within an epoch, or at its end."""
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole, parts = train(folder, tmp_path / "whole", 5), train(folder, tmp_path / "parts", 1, 2, 5)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_pixel_vae_gives_back_every_picture(tmp_path: Path) -> None:
    pictures = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pictures[:, 1] *= 0.3
    vae = pixel_vae.build_pixel_vae(12, *pixel_vae.colours(pictures))
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist.mean
        torch.testing.assert_close(vae.decode(latents).sample, pictures, atol=2e-5, rtol=0)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_scores_prefer_the_class_of_smaller_error() -> None:
    errors = torch.tensor([[[3.0, 1.0], [1.0, 2.0]]] * 3)  # [T,B,K]
    found = verdicts._scores(subjects.architecture.build_scheduler(), errors, (701, 401, 101), torch.tensor([1, 1]))
    assert found.predicted.tolist() == [1, 0] and found.right.tolist() == [True, False]
    assert found.confusion().tolist() == [[0, 0], [1, 1]]
    # log-odds = the whole log SNR axis times half the difference of the errors
    axis = float(
        np.ptp(np.log([a / (1 - a) for a in subjects.architecture.build_scheduler().alphas_cumprod[[701, 101]].tolist()]))
    )
    np.testing.assert_allclose(found.log_odds(), [axis, -axis / 2], rtol=1e-5)


def test_the_temperature_is_fitted_on_one_half() -> None:
    generator = np.random.default_rng(0)
    nats = np.zeros((400, 2))
    nats[:, 0] = 20 * generator.normal(1, 1, 400)
    found = findings.measure(verdicts.Scores(nats, nats, np.zeros(400, int)), None)
    assert found.calibration[1] < found.calibration[0]
    assert findings.measure(verdicts.Scores(nats[:4], nats[:4], np.zeros(4, int)), None).temperature is None


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `training.own` leaves behind: a model of few steps, a LoRA of it, and a classifier."""
    out = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subjects, "_widths", lambda cells: ((16, 32), 1))
        run.run(run.Options(folder, out / "model", size=SIZE, steps=2, batch=4, judged=4))
        run.run(run.Options(folder, out / "tuned", start=out / "model", lora=2, steps=2, batch=4, judged=2))
    run.run(run.Options(folder, out / "known", size=SIZE, steps=40, classifier=classifier.ARCHITECTURE))
    return out


class TestResult:
    def test_report_and_tables(self, made: Path) -> None:
        """What is written may be read by whoever may read any new file, as a ComfyUI of another user must."""
        work = made / "model_training"
        written = [*made.glob("*.safetensors"), *made.glob("model/**/*.safetensors"), *made.glob("tuned/*.safetensors")]
        assert len(written) == 5 and {file.stat().st_mode for file in written} == {(work / "curve.csv").stat().st_mode}
        page = (work / "report.html").read_text(encoding="utf-8")
        assert "held-out pictures are called by their own class" in page and "data:image/png;base64," in page
        assert len((work / "confusion.csv").read_text().splitlines()) == 3
        about = json.loads((made / "model" / "sdexplain.json").read_text())
        assert {"3", "8"} <= set(about["vocabulary"])
        assert "familiarity" not in about and "no better than smoothing" in page  # after two steps it knows nothing

    def test_a_training_of_something_else_is_refused_in_plain_words(self, made: Path, folder: Path) -> None:
        for changed, said in (({"size": 16}, "size was 8, now 16"), ({"classifier": "resnet18"}, "now resnet18")):
            with pytest.raises(SystemExit, match=said):
                run.run(run.Options(folder, made / "model", **{"size": SIZE} | changed))
        with pytest.raises(SystemExit, match="does not exist"):
            run.run(run.Options(folder / "nowhere", made / "model"))
        for changed in ({"start": folder}, {"vae": folder}):
            with pytest.raises(SystemExit, match="Check the path"):
                run.run(run.Options(folder, made / "other", **changed))

    def test_the_classifier_knows_the_digits_that_it_was_trained_on(self, made: Path, folder: Path) -> None:
        known = classifier.read(made / "known.safetensors")
        shown, labels = PictureSet(reading.read(folder).train, SIZE).stack()
        assert known.classes == ("3", "8") and (classifier.logits(known, shown).argmax(1) == labels).float().mean() >= 0.9

    def test_comfyui_loads_it_and_its_vae_gives_back_pictures(self, made: Path, comfy_host: Path) -> None:
        model, clip, vae = load(made / "model")
        picture = torch.rand(1, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(0))
        latent = vae.encode(picture)
        assert latent.shape == (1, 3, SIZE, SIZE)
        torch.testing.assert_close(vae.decode(latent), picture, atol=1e-4, rtol=0)
        assert clip.encode_from_tokens(clip.tokenize("a photo of a 8")).shape[-1] == subjects.TEXT_WIDTH

    def test_comfyui_applies_every_pair_of_a_lora(self, made: Path, comfy_host: Path) -> None:
        import comfy.sd

        model, clip, _ = load(made / "model")
        weights = load_file(made / "tuned" / lora.FILE)
        pairs = {name.rpartition(".lora_down")[0] for name in weights if ".lora_down" in name}
        assert {name.split("_")[1] for name in pairs} == {"unet", "te"}
        assert all({f"{name}.lora_up.weight", f"{name}.alpha"} <= set(weights) for name in pairs)
        patched, patched_clip = comfy.sd.load_lora_for_models(model, clip, weights, 1.0, 1.0)
        assert len(patched.patches) + len(patched_clip.patcher.patches) == len(pairs) > 0


def load(folder: Path) -> tuple[Any, Any, Any]:
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline

    return load_pipeline(folder, [])


def test_a_classifier_is_read_as_it_was_trained(tmp_path: Path) -> None:
    recipe = classifier.Recipe(("a", "b"), 64, steps=3)
    pictures = torch.randint(0, 255, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = classifier.batches(pictures, torch.tensor([0, 1] * 3), 4, 0, lambda picture: picture)
    assert all(torch.equal(one, other) for one, other in zip(batch(1), batch(1), strict=True))
    assert not torch.equal(batch(1)[0], batch(2)[0])
    network = classifier.train(recipe, batch, tmp_path / "work.pt")
    classifier.save(network, recipe, tmp_path / "c.safetensors")
    read = classifier.read(tmp_path / "c.safetensors")
    assert read.classes == ("a", "b") and read.preprocessing.input_size == (64, 64)
    expected = classifier.logits(classifier.of(network, recipe, "c"), pictures)
    torch.testing.assert_close(classifier.logits(read, pictures), expected)


def test_a_size_that_does_not_fit_is_refused() -> None:
    mean, deviation = torch.zeros(3), torch.ones(3)
    with pytest.raises(ValueError, match="--vae"):
        subjects.new(("a", "b"), 128, mean, deviation)
    with pytest.raises(ValueError, match="multiple of"):
        subjects.new(("a", "b"), 31, mean, deviation)
