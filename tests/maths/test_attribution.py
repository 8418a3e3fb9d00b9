"""Attributions of a classifier: held to captum, to closed forms, and to what a picture that a person trusts must not do."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerAttribution, LayerGradCam
from sdexplain.nodes.maths.method import attribution
from sdexplain.nodes.maths.method.attribution import Choices, attribute
from sdexplain.nodes.maths.method.classifier import ANY_OTHER, Classifier, ask, undisturbed
from sdexplain.nodes.maths.method.map import Map
from sdexplain.nodes.maths.method.preprocessing import Preprocessing
from torch import Tensor, nn

SIZE = 16
PLAIN = Preprocessing((SIZE, SIZE), (SIZE, SIZE), mean=(0, 0, 0), std=(1, 1, 1))
METHODS = ("Grad-CAM", "LayerCAM", "Integrated Gradients", "Gradient SHAP", "occlusion")


class Small(nn.Module):
    """Two convolutions with an in-place ReLU, its own pooling called twice, and a head."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.pool = nn.AvgPool2d(2)
        self.features = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, classes)
        self.unused = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(self.pool(self.pool(self.first(x))))
        return self.head(self.average(x).flatten(1))


class Linear(nn.Module):
    """Logits that are linear in the pixels: all sums have closed forms."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * SIZE * SIZE, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))


class Steep(nn.Module):
    """The logit difference rises within a thousandth of the way from the baseline to the picture, or within nothing at all."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        level = (x.mean((1, 2, 3)) - 0.4) / self.width
        rise = torch.sigmoid(level) if self.width > 1e-4 else (level > 0) + 0 * level
        return torch.stack([8 * rise, 0 * rise], dim=1)


def classifier(network: nn.Module, classes: tuple[str, ...] = ("cat", "dog", "fox"), seen: Preprocessing = PLAIN) -> Classifier:
    return Classifier(network, classes, seen, "a small one")


def small(seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return classifier(Small().eval())


def linear() -> Classifier:
    torch.manual_seed(1)
    return classifier(Linear().eval(), ("cat", "dog"))


def pictures(count: int = 1, seed: int = 2) -> Tensor:
    return torch.rand(count, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(seed))


def margin(of: Classifier, picture: Tensor) -> float:
    logits = of.network(of.preprocessing.prepare(picture))
    return float((logits[:, 0] - logits[:, 1]).detach())


# ------------------------------------------------------------------------------------------------------------- class activation


def test_grad_cam_is_captums_without_relu() -> None:
    of, picture = small(), pictures()
    found = attribute(of, picture, "cat", "dog", Choices("Grad-CAM", layer="features.0"))
    x = of.preprocessing.prepare(picture)
    cells = LayerGradCam(lambda x: of.network(x) @ torch.tensor([1.0, -1.0, 0.0]), of.network.features[0]).attribute(x)
    expected = LayerAttribution.interpolate(cells, (SIZE, SIZE), "bilinear")[:, 0]
    torch.testing.assert_close(found.values, expected.detach(), atol=1e-6, rtol=1e-4)
    assert (found.values < 0).any() and found.signed


def test_a_layer_before_one_that_works_in_place_is_read_as_it_was() -> None:
    """BatchNorm's output is changed by the ReLU behind it; the map must not see that."""
    of, picture = small(), pictures()
    found = attribute(of, picture, "cat", "dog", Choices("LayerCAM", layer="features.1"))
    x = of.preprocessing.prepare(picture)
    inside = of.network.features[:2](of.network.pool(of.network.pool(of.network.first(x)))).detach().requires_grad_()
    logits = of.network.head(inside.relu().mean((2, 3)))
    (gradient,) = torch.autograd.grad((logits[:, 0] - logits[:, 1]).sum(), inside)
    cells = (gradient * inside).sum(1, keepdim=True).detach()
    torch.testing.assert_close(found.values, F.interpolate(cells, (SIZE, SIZE), mode="bilinear")[:, 0], atol=1e-6, rtol=1e-4)


def test_the_default_layer_is_the_last_that_keeps_space() -> None:
    found = attribute(small(), pictures(), "cat", "dog")
    assert "layer features," in found.source and "4×4 cells (bilinear)" in found.source
    torch.testing.assert_close(found.values, attribute(small(), pictures(), "cat", "dog", Choices(layer="features.2")).values)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("pool", "called 2 times"),
        ("unused", "never called"),
        ("average", "has no places"),
        ("head", "3 or 4 dimensions"),
        ("feature", "no layer 'feature'. Did you mean features"),
    ],
)
def test_a_layer_that_has_no_single_map_is_refused(layer: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attribute(small(), pictures(), "cat", "dog", Choices(layer=layer))


def test_a_network_without_places_says_so() -> None:
    with pytest.raises(ValueError, match="no layer that keeps places"):
        attribute(linear(), pictures(), "cat", "dog")


class Tokens(nn.Module):
    """A transformer's shape: patches of 4 pixels as tokens, a class token before them, an answer from the class token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.start = nn.Parameter(torch.zeros(1, 1, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.last = nn.LayerNorm(8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.start.expand(len(x), -1, -1), self.patches(x).flatten(2).transpose(1, 2)], dim=1)
        return self.head(self.last(self.block(tokens))[:, 0])


def test_of_a_transformer_the_last_layer_counts_whose_places_matter() -> None:
    """After the last attention only the class token is read: a map of that layer would be 0 everywhere."""
    torch.manual_seed(0)
    of = classifier(Tokens().eval(), ("cat", "dog"))
    found = attribute(of, pictures(), "cat", "dog")
    assert found.values.any() and "4×4 cells" in found.source
    assert "layer patches" in found.source
    empty = attribute(of, pictures(), "cat", "dog", Choices(layer="last"))
    assert not empty.values.any() and "0 everywhere" in empty.doubts[0]


# -------------------------------------------------------------------------------------------------------------------- all methods


@pytest.mark.parametrize("method", METHODS)
def test_swapping_the_classes_gives_the_negative(method: str) -> None:
    first, second = (attribute(small(), pictures(), *names, Choices(method)) for names in (("cat", "dog"), ("dog", "cat")))
    torch.testing.assert_close(first.values, -second.values, atol=1e-6, rtol=1e-4)
    assert (first.positive, first.negative) == ("speaks for “cat”", "speaks for “dog”") == (second.negative, second.positive)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_pictures_one_by_one(method: str) -> None:
    batch = attribute(small(), pictures(2), "cat", "dog", Choices(method))
    for number in range(2):
        alone = attribute(small(), pictures(2)[number : number + 1], "cat", "dog", Choices(method))
        torch.testing.assert_close(batch.values[number : number + 1], alone.values, atol=1e-6, rtol=1e-4)
        assert batch.totals[number] == alone.totals[0]


@pytest.mark.parametrize("method", METHODS)
def test_gradients_flow_in_inference_mode(method: str) -> None:
    with torch.inference_mode():
        inside = attribute(small(), pictures().clone(), "cat", "dog", Choices(method))
    torch.testing.assert_close(inside.values, attribute(small(), pictures(), "cat", "dog", Choices(method)).values)


def test_weights_that_were_moved_in_inference_mode_are_made_ordinary() -> None:
    of = small()
    expected = attribute(of, pictures(), "cat", "dog").values
    with torch.inference_mode():
        of.network.double().float()
    assert any(tensor.is_inference() for tensor in of.network.parameters())
    torch.testing.assert_close(attribute(of, pictures(), "cat", "dog").values, expected)


def test_without_a_second_class_all_others_are_against_the_first() -> None:
    """log p - log(1 - p): of two classes that is their logits' difference."""
    of, picture = linear(), pictures()
    alone, both = (attribute(of, picture, "cat", other, Choices("Integrated Gradients")) for other in ("", "dog"))
    torch.testing.assert_close(alone.values, both.values)
    assert alone.contrast_label == ANY_OTHER
    three = small()
    odds = torch.softmax(three.network(PLAIN.prepare(picture)), 1)[0, 0].detach()
    with undisturbed(three.network):
        asked = float(ask(three, "cat").margin(PLAIN.prepare(picture)).detach())
    assert asked == pytest.approx(float(odds.log() - (1 - odds).log()), abs=1e-5)


# ------------------------------------------------------------------------------------------------------------------- what adds up


@pytest.mark.parametrize("method", ["Integrated Gradients", "Gradient SHAP"])
def test_of_a_linear_network_the_attribution_is_weight_times_difference(method: str) -> None:
    of, picture = linear(), pictures()
    found = attribute(of, picture, "cat", "dog", Choices(method, baseline="grey"))
    weights = (of.network.head.weight[0] - of.network.head.weight[1]).view(3, SIZE, SIZE).detach()
    # a picture has float32 rounding only; Gradient SHAP's random points all have the same gradient
    expected = (weights * (picture[0].movedim(-1, 0) - 0.5)).sum(0)
    torch.testing.assert_close(found.values[0], expected, atol=1e-5, rtol=1e-4)
    change = margin(of, picture) - margin(of, torch.full_like(picture, 0.5))
    assert float(found.values.sum()) == pytest.approx(change, abs=1e-4)


def test_occlusion_is_what_the_log_odds_lose() -> None:
    of, picture = linear(), pictures()
    found = attribute(of, picture, "cat", "dog", Choices("occlusion", baseline="black", window=1.0))
    expected = margin(of, picture) - margin(of, torch.zeros_like(picture))
    torch.testing.assert_close(found.values, torch.full_like(found.values, expected), atol=1e-4, rtol=1e-4)
    assert "16×16 of 16×16 pixels" in found.source


@pytest.mark.parametrize("width", [0.1, 0.001])
def test_integrated_gradients_raises_its_steps_until_little_is_missing(width: float) -> None:
    """The narrower the rise, the more steps it takes; captum itself is asked what 32 of them leave."""
    of = classifier(Steep(width), ("cat", "dog"))
    found = attribute(of, torch.ones(1, SIZE, SIZE, 3), "cat", "dog", Choices("Integrated Gradients", baseline="black"))
    steps = int(found.source.split(", ")[-1].split()[0])
    assert (steps == 32) == (width == 0.1)
    assert float(found.values.sum()) == pytest.approx(8, rel=0.05)
    assert "from a black baseline" in found.source and re.search("of (8|7.84) nats", found.totals[0]) and "gap" in found.totals[0]
    assert "not enough" not in found.totals[0] and found.values.dtype == torch.float32


def test_integrated_gradients_says_if_no_number_of_steps_is_enough() -> None:
    """A jump has no gradient anywhere."""
    of = classifier(Steep(0.0 + 1e-5), ("cat", "dog"))
    found = attribute(of, torch.ones(1, SIZE, SIZE, 3), "cat", "dog", Choices("Integrated Gradients", baseline="black"))
    assert f"gap 100.0%; {attribution.MOST_STEPS} steps were not enough" in found.totals[0]


# ----------------------------------------------------------------------------------------------------------------- Gradient SHAP


EXPLAINED = small()


def shap(seed: int, samples: int = 32) -> Map:
    return attribute(EXPLAINED, pictures(), "cat", "dog", Choices("Gradient SHAP", samples=samples, seed=seed), pictures(5, 9))


def test_gradient_shap_repeats_with_its_seed_and_leaves_the_callers_random_numbers() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first = shap(1)
    assert torch.equal(torch.random.get_rng_state(), before[0]) and np.array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(first.values, shap(1).values) and not torch.equal(first.values, shap(2).values)
    assert "32 samples, seed 1" in first.source and "from 5 pictures" in first.source


def test_gradient_shaps_standard_error_is_how_far_other_seeds_are() -> None:
    runs = [shap(seed) for seed in range(12)]
    spread = torch.stack([run.values for run in runs]).std(0)
    told = torch.stack([run.error for run in runs]).mean(0)
    assert float((spread / told).median()) == pytest.approx(1, abs=0.2)
    assert runs[0].compared == 8 and int(runs[0].agreeing) == 8
    assert "±" in runs[0].totals[0] and "gap" in runs[0].totals[0]


# ----------------------------------------------------------------------------------------------------- signs, said and kept


def test_a_map_of_one_sign_is_not_lost_and_said() -> None:
    """All weights speak for the dog: with a ReLU nothing at all would be left."""
    of = linear()
    with torch.no_grad():
        of.network.head.weight[0] = -0.01
        of.network.head.weight[1] = 0.01
    found = attribute(of, pictures(), "cat", "dog", Choices("Integrated Gradients", baseline="black"))
    assert (found.values < 0).all()
    assert "All of one sign: nothing speaks for “cat”" in found.totals[0]
    mixed = attribute(linear(), pictures(), "cat", "dog", Choices("Integrated Gradients", baseline="black"))
    assert "one sign" not in mixed.totals[0]


# ------------------------------------------------------------------------------------------------------------- left as it was


class Cancelled(BaseException):
    pass


def state(network: nn.Module) -> list[object]:
    flags = [module.training for module in network.modules()]
    gradients = [parameter.grad for parameter in network.parameters()]
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    hooks = [list(found.values()) for module in network.modules() for name, found in vars(module).items() if "_hooks" in name]
    return [flags, [id(gradient) for gradient in gradients], wanted, hooks]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("after", [None, 0, 1, 2])
def test_the_network_is_as_it_was_also_after_an_error_or_a_cancel(method: str, after: int | None) -> None:
    of = small()
    of.network.train()
    of.network.features.eval()
    of.network.first.weight.grad = torch.ones_like(of.network.first.weight)
    of.network.head.register_forward_hook(lambda module, given, output: None)
    numbers = {name: buffer.clone() for name, buffer in of.network.state_dict().items()}
    before, calls = state(of.network), []

    def called(count: int) -> None:
        calls.append(count)
        if after is not None and len(calls) > after:
            raise Cancelled

    if after is None:
        attribute(of, pictures(), "cat", "dog", Choices(method), called=called)
    else:
        with pytest.raises(Cancelled):
            attribute(of, pictures(), "cat", "dog", Choices(method), called=called)
    assert state(of.network) == before
    assert all(torch.equal(numbers[name], buffer) for name, buffer in of.network.state_dict().items())
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def test_a_device_that_runs_out_of_memory_gets_fewer_pictures_at_a_time() -> None:
    sizes = []

    def called(count: int) -> None:
        sizes.append(count)
        if count > 4:
            raise torch.OutOfMemoryError("too many")

    choices = Choices("Integrated Gradients")
    found = attribute(small(), pictures(), "cat", "dog", choices, called=called)
    torch.testing.assert_close(found.values, attribute(small(), pictures(), "cat", "dog", choices).values, atol=1e-6, rtol=1e-4)
    assert 16 in sizes and sizes[-1] <= 4


# --------------------------------------------------------------------------------------------------- classes and answers


def test_classes_are_found_by_name_by_part_of_it_and_by_number() -> None:
    of = classifier(Small(), ("tabby, tabby cat", "Dog", "7"))
    assert [of.index(name) for name in ("tabby cat", " dog ", "7", "0", "tabby, tabby cat")] == [0, 1, 2, 0, 0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("do", "Did you mean dog"),
        ("zebra", "has no class 'zebra'. Some of its 3 classes: cat, dog, fox"),
        ("3", "0 to 2"),
        ("-1", "0 to 2"),
        ("", "no class ''"),
    ],
)
def test_a_class_that_there_is_not_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask(small(), name, "cat")


def test_twice_the_same_class_and_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Both classes are 'cat'"):
        ask(small(), "cat", "0")
    with pytest.raises(ValueError, match="2 classes 'crane', numbers 0, 2"):
        ask(classifier(Small(), ("crane", "dog", "crane")), "crane", "dog")
    with pytest.raises(ValueError, match="has 1 class;"):
        ask(classifier(Small(1), ("cat",)), "cat")


def test_a_network_whose_answer_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"answered 1 pictures with \[1, 3\]; expected \[1, 2\]"):
        attribute(classifier(Small().eval(), ("cat", "dog")), pictures(), "cat", "dog")
    broken = small()
    with torch.no_grad():
        broken.network.head.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN or infinity"):
        attribute(broken, pictures(), "cat", "dog")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"method": "SHAP"}, "method"),
        ({"baseline": "pink"}, "baseline"),
        ({"samples": 3}, "16 or more"),
        ({"window": 0}, "window"),
    ],
)
def test_choices_are_checked(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Choices(**wrong)
