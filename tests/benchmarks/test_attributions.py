"""Attribution methods on classifiers whose answer is known: a linear one, one that sees a single square, and any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sdexplain.benchmarks.ground_truth import attributions
from sdexplain.benchmarks.ground_truth.attributions import BASELINES, METHODS, Question, Variant
from sdexplain.benchmarks.ground_truth.classifier import Classifier, as_input
from sdexplain.bundled.scenes import CLASSES
from torch import Tensor, nn

pytestmark = pytest.mark.slow  # networks of diffusers and hundreds of questions

OWN, TWIN = "zebra", "horse"
ROW, COLUMN = 40, 84  # of the planted feature, in pixels of 128
SIGNED = [name for name in METHODS if not name.startswith("LayerCAM")]


class Linear(nn.Module):
    """Logits are weighted sums of pixels: the margin's attribution is (pixel − baseline) · weight, exactly."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight  # [6,3,128,128]

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", x, self.weight)


class SeesRed(nn.Module):
    """A network with the real one's layers whose one channel is redness above grey; `OWN` is how much there is of it."""

    def __init__(self) -> None:
        super().__init__()
        redness = nn.Conv2d(3, 1, 1, bias=False)
        redness.weight.data = torch.tensor([1.0, -0.5, -0.5]).view(1, 3, 1, 1)
        self.fine = nn.Sequential(redness, nn.ReLU(), nn.AvgPool2d(4))
        self.coarse = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        logits = x.new_zeros(len(x), len(CLASSES))
        logits[:, CLASSES.index(OWN)] = self.coarse(self.fine(x)).mean((1, 2, 3))
        return logits


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (128, 128, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> Classifier:
    torch.manual_seed(0)
    return Classifier().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def linear() -> Linear:
    return Linear(torch.randn(6, 3, 128, 128, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def spot() -> Linear:
    """Knows its class by the red of one pixel."""
    weight = torch.zeros(6, 3, 128, 128)
    weight[CLASSES.index(OWN), 0, ROW, COLUMN] = 2.0
    return Linear(weight)


@pytest.fixture(autouse=True)
def few_backgrounds(monkeypatch: pytest.MonkeyPatch) -> None:
    background = torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(attributions, "background", lambda: background)


def ask(classifier: nn.Module, picture: np.ndarray) -> Question:
    return Question(classifier, as_input(picture[None]), CLASSES.index(OWN), CLASSES.index(TWIN))


def margin_weight(linear: Linear) -> Tensor:
    return linear.weight[CLASSES.index(OWN)] - linear.weight[CLASSES.index(TWIN)]


@pytest.mark.parametrize("baseline", BASELINES)
def test_integrated_gradients_of_a_linear_classifier_are_known(linear: Linear, picture: np.ndarray, baseline: str) -> None:
    question = ask(linear, picture)
    expected = (question.x - BASELINES[baseline](question.x)) * margin_weight(linear)
    torch.testing.assert_close(attributions.integrated_gradients(question, baseline), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("baseline", BASELINES)
def test_integrated_gradients_add_up_to_what_the_margin_gains(network: Classifier, picture: np.ndarray, baseline: str) -> None:
    question = ask(network, picture)
    values = attributions.integrated_gradients(question, baseline)
    with torch.no_grad():
        gained = question.margin(question.x) - question.margin(BASELINES[baseline](question.x))
    scale = values.abs().sum() / values.numel() ** 0.5
    assert abs(values.sum() - gained) < 0.05 * max(gained.abs().item(), scale.item())


def test_gradient_shap_of_a_linear_classifier_with_one_background_is_known(
    linear: Linear, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    question, background = ask(linear, picture), torch.full((1, 3, 128, 128), 0.25)
    monkeypatch.setattr(attributions, "background", lambda: background)
    expected = (question.x - 0.25) * margin_weight(linear)
    torch.testing.assert_close(attributions.gradient_shap(question), expected, atol=1e-4, rtol=1e-4)


def test_occlusion_of_a_spot_is_its_whole_worth_there_and_nothing_a_window_away(spot: Linear, picture: np.ndarray) -> None:
    question = ask(spot, picture)
    values = attributions.occlusion(question, 16, "black")[0]
    worth = 2.0 * (question.x[0, 0, ROW, COLUMN] + 1)
    torch.testing.assert_close(values[:, ROW, COLUMN], worth.expand(3))
    y, x = np.mgrid[:128, :128]
    away = (abs(y - ROW) >= 16) | (abs(x - COLUMN) >= 16)
    assert (values[:, away] == 0).all()


@pytest.mark.parametrize("method", [name for name in METHODS if "CAM" in name])
def test_class_activation_maps_point_at_the_only_thing_the_network_sees(method: str) -> None:
    picture = np.full((128, 128, 3), 128, np.uint8)
    picture[ROW : ROW + 8, COLUMN : COLUMN + 8] = (255, 0, 0)
    values = METHODS[method](ask(SeesRed(), picture))[0, 0].detach().numpy()
    y, x = np.unravel_index(values.argmax(), values.shape)
    assert ROW <= y < ROW + 8 and COLUMN <= x < COLUMN + 8
    assert values[ROW + 24 :].max() < 0.01 * values.max() and values[:, : COLUMN - 24].max() < 0.01 * values.max()


@pytest.mark.parametrize("method", ["Grad-CAM 16", "HiResCAM 32", "Integrated Gradients, black", "Gradient SHAP"])
def test_what_speaks_for_either_label_is_all_that_speaks(network: Classifier, picture: np.ndarray, method: str) -> None:
    positive, magnitude = Variant(method, "positive", 0.0), Variant(method, "magnitude", 0.0)
    found = attributions.attributions(network, picture, OWN, TWIN, (positive, magnitude))
    swapped = attributions.attributions(network, picture, TWIN, OWN, (positive,))
    largest = found[magnitude.name].max()
    both = found[positive.name] + swapped[positive.name]
    np.testing.assert_allclose(both, found[magnitude.name], atol=1e-4 * largest)


def test_every_method_gives_maps_of_the_inputs_size_that_are_nowhere_negative(network: Classifier, picture: np.ndarray) -> None:
    variants = [Variant(method, "positive", 2.0) for method in METHODS if not method.startswith("Occlusion 16")]
    found = attributions.attributions(network, np.kron(picture, np.ones((2, 2, 1), np.uint8)), OWN, TWIN, variants)
    assert list(found) == [variant.name for variant in variants]
    for values in found.values():
        assert values.shape == (128, 128) and values.dtype == np.float32
        assert np.isfinite(values).all() and values.min() >= 0 < values.max()


def test_the_seed_alone_decides_what_is_drawn_and_other_generators_are_left_alone(
    network: Classifier, picture: np.ndarray
) -> None:
    (variant,) = [v for v in attributions.VARIANTS if v.name == "Gradient SHAP, magnitude, blur 2"]
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, again, other = (
        attributions.attributions(network, picture, OWN, TWIN, (variant,), seed)[variant.name] for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again) and not np.allclose(first, other)
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(before[1], torch.get_rng_state())


def test_each_method_runs_once_for_all_its_variants(
    network: Classifier, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setitem(METHODS, "Grad-CAM 16", lambda question: calls.append(1) or torch.ones(1, 1, 128, 128))
    variants = [Variant("Grad-CAM 16", "positive", sigma) for sigma in (0.0, 1.0, 2.0)]
    assert len(attributions.attributions(network, picture, OWN, TWIN, variants)) == 3
    assert len(calls) == 1


def test_opposite_signs_cancel_in_the_net_map_alone() -> None:
    values = np.zeros((3, 128, 128), np.float32)
    values[0, 64, 64], values[1, 64, 64] = 1.0, -1.0
    assert Variant("Gradient SHAP", "net", 2.0).finish(values).max() == 0
    assert Variant("Gradient SHAP", "magnitude", 2.0).finish(values).sum() == pytest.approx(2, rel=1e-4)
    assert Variant("Gradient SHAP", "positive", 2.0).finish(values).sum() == pytest.approx(1, rel=1e-4)


def test_the_variants_names_tell_them_apart() -> None:
    names = [variant.name for variant in attributions.VARIANTS]
    assert len(set(names)) == len(names)
    assert {variant.method for variant in attributions.VARIANTS} == set(METHODS)


def test_baselines_know_the_picture_only_by_its_colour_or_its_blur() -> None:
    x = as_input(np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3)).astype(np.uint8))
    assert (BASELINES["black"](x) == -1).all()
    torch.testing.assert_close(BASELINES["mean colour"](x)[0, :, 5, 9], x[0].mean((1, 2)))
    blurred = BASELINES["blurred"](x)
    assert blurred.std() < 0.1 * x.std()
    torch.testing.assert_close(blurred.mean(), x.mean(), atol=0.02, rtol=0)
