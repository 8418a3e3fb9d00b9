"""Classifiers from files and folders: what they answer is what their own library answers, and nothing but safetensors is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models
from torchvision.transforms import v2

if TYPE_CHECKING:
    from sdexplain.nodes.maths.method.classifier import Classifier

STATED: dict[str, Any] = {
    "library": "torchvision",
    "architecture": "shufflenet_v2_x0_5",
    "classes": ["cat", "dog", "fox"],
    "resize": [64, 64],
    "input_size": [64, 64],
    "interpolation": "bilinear",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
}


@pytest.fixture
def folder(comfy_host: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "classifiers", ([str(tmp_path)], {""}))
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Callable[[str], Classifier]:
    from sdexplain.nodes.host.loading.classifier import load_classifier

    return load_classifier


def picture(height: int = 90, width: int = 70) -> np.ndarray:
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    return (np.stack([y, x, 0.5 + 0.5 * np.sin(9 * x + 5 * y)], axis=-1) * 255).round().astype(np.uint8)


def answer(of: Classifier, shown: np.ndarray) -> torch.Tensor:
    of.load()
    with torch.no_grad():
        return of.network(of.preprocessing.prepare(torch.from_numpy(shown)[None].float() / 255))[0]


def write(file: Path, **changes: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    network = models.get_model(STATED["architecture"], weights=None, num_classes=3).eval()
    described = {name: value for name, value in (STATED | changes).items() if value is not None}
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()}
    save_file(half, file, {"classifier": json.dumps(described)})
    return network.half().float()


def test_a_file_answers_as_torchvision_does(folder: Path, load: Callable[[str], Classifier]) -> None:
    network = write(folder / "own.safetensors")
    steps = [v2.ToImage(), v2.Resize((64, 64), antialias=True), v2.ToDtype(torch.float32, scale=True)]
    x = v2.Compose([*steps, v2.Normalize([0.5] * 3, [0.25] * 3)])(Image.fromarray(picture()))
    of = load("own.safetensors")
    torch.testing.assert_close(answer(of, picture()), network(x[None])[0].detach(), atol=2e-3, rtol=0.02)
    assert of.classes == ("cat", "dog", "fox") and of.name == "own"
    assert {tensor.dtype for tensor in of.network.parameters()} == {torch.float32}
    assert not any(module.training for module in of.network.modules())


def test_a_folder_of_timms_answers_as_timm_does(folder: Path, load: Callable[[str], Classifier]) -> None:
    network = timm.create_model("test_resnet", pretrained=False, num_classes=4).eval()
    stated = {**network.pretrained_cfg, "num_classes": 4}
    (folder / "of_timm").mkdir()
    config = {"architecture": "test_resnet", "num_classes": 4, "label_names": list("abcd"), "pretrained_cfg": stated}
    (folder / "of_timm" / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "of_timm" / "model.safetensors")
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=network))
    expected = network(transform(Image.fromarray(picture(200, 300)))[None])[0].detach()
    of = load("of_timm")
    torch.testing.assert_close(answer(of, picture(200, 300)), expected, atol=0.01, rtol=0.02)
    assert of.classes == tuple("abcd")


def test_a_thousand_classes_without_names_are_imagenets(comfy_host: Path) -> None:
    from sdexplain.nodes.host.loading.classifier import class_names

    assert class_names({}, 1000)[:3] == ("tench", "goldfish", "great white shark")
    assert class_names({}, 3) == ("0", "1", "2")
    assert class_names({"label_names": ["n1", "n2"], "label_descriptions": {"n1": "cat"}}, 2) == ("cat", "n2")


def save_vit(place: Path, **processor: Any) -> Any:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    labels = {"id2label": {0: "cat", 1: "dog"}, "label2id": {"cat": 0, "dog": 1}}
    model = ViTForImageClassification(ViTConfig(**sizes, image_size=32, patch_size=8, **labels)).eval()
    model.save_pretrained(place)
    ViTImageProcessor(**({"size": {"height": 32, "width": 32}} | processor)).save_pretrained(place)
    return model


def test_a_folder_of_transformers_answers_as_transformers_does(folder: Path, load: Callable[[str], Classifier]) -> None:
    from sdexplain.nodes.maths.method.attribution import attribute
    from transformers import ViTImageProcessor

    model = save_vit(folder / "vit")
    x = ViTImageProcessor.from_pretrained(folder / "vit")(picture(), return_tensors="pt")["pixel_values"]
    of = load("vit")
    torch.testing.assert_close(answer(of, picture()), model(x).logits[0].detach(), atol=0.01, rtol=0.02)
    assert of.classes == ("cat", "dog")
    found = attribute(of, torch.from_numpy(picture())[None].float() / 255, "cat", "dog")
    assert found.values.any() and "4×4 cells" in found.source


def test_a_folder_whose_preprocessing_is_another_is_refused(folder: Path, load: Callable[[str], Classifier]) -> None:
    save_vit(folder / "vit", do_rescale=False)
    with pytest.raises(ValueError, match="prepares pictures in another way"):
        load("vit")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"library": "keras"}, "library 'keras'; expected one of torchvision, timm"),
        ({"architecture": "resnet_of_mine"}, "no such model"),
        ({"library": "timm", "architecture": "hf-hub:some/model"}, "no such model"),
        ({"architecture": "fcn_resnet50"}, "no such model"),
        ({"classes": ["cat", "dog"]}, "has the shape"),
        ({"classes": "cat"}, "two or more names"),
        ({"mean": None}, "doesn't state mean"),
        ({"resize": "big"}, "preprocessing that"),
        ({"resize": 32}, "more than there is"),
        ({"interpolation": "nearest"}, "interpolation is 'nearest'"),
    ],
)
def test_what_a_file_states_wrongly_is_said(
    folder: Path, load: Callable[[str], Classifier], changes: dict[str, Any], said: str
) -> None:
    write(folder / "own.safetensors", **changes)
    with pytest.raises(ValueError, match=said):
        load("own.safetensors")


def test_a_damaged_file_and_one_without_a_description_are_refused(folder: Path, load: Callable[[str], Classifier]) -> None:
    write(folder / "own.safetensors")
    whole = (folder / "own.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    save_file({"weight": torch.zeros(1)}, folder / "plain.safetensors")
    save_file({"weight": torch.zeros(1)}, folder / "text.safetensors", {"classifier": "a cat"})
    for name, said in (("cut", "truncated"), ("plain", "no entry 'classifier'"), ("text", "is not JSON")):
        with pytest.raises(ValueError, match=said):
            load(f"{name}.safetensors")


def test_nothing_but_safetensors_and_nothing_outside_is_read(folder: Path, load: Callable[[str], Classifier]) -> None:
    """A pickle beside the settings would run when it is opened."""
    (folder / "own").mkdir()
    (folder / "own" / "pytorch_model.bin").write_bytes(b"pickle")
    for config, said in (
        ({"architecture": "test_resnet"}, "0 .safetensors"),
        ({"architectures": ["AForImageClassification"]}, "no .saf"),
    ):
        (folder / "own" / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=said):
            load("own")
    for name in ("../own", "/etc/passwd", "other.safetensors"):
        with pytest.raises(ValueError, match="There is no classifier"):
            load(name)


def test_a_missing_timm_is_named(folder: Path, load: Callable[[str], Classifier], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    write(folder / "own.safetensors", library="timm", architecture="test_resnet")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match="pip install timm"):
        load("own.safetensors")


def test_weights_loaded_and_moved_in_inference_mode_still_have_gradients(folder: Path, load: Callable[[str], Classifier]) -> None:
    from sdexplain.nodes.maths.method.attribution import attribute

    write(folder / "own.safetensors")
    with torch.inference_mode():
        of = load("own.safetensors")
        found = attribute(of, torch.rand(1, 40, 50, 3), "cat", "dog")
    assert found.values.any() and found.values.shape == (1, 40, 50)


# ------------------------------------------------------------------------------------------------------------------------- CLIP


def tiny_clip_vision(width: int = 16) -> tuple[Any, Any]:
    """ComfyUI's own CLIP_VISION with small random weights, and transformers' of the same."""
    from comfy.clip_vision import ClipVisionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    theirs = CLIPVisionModelWithProjection(
        CLIPVisionConfig(**sizes, image_size=32, patch_size=8, projection_dim=width, hidden_act="quick_gelu")
    ).eval()
    return theirs, (ClipVisionModel, sizes | {"image_size": 32, "patch_size": 8, "projection_dim": width, "num_channels": 3})


class Encoder(torch.nn.Module):
    def __init__(self, width: int, identity: bool) -> None:
        super().__init__()
        self.transformer = torch.nn.Module()
        self.transformer.text_projection = torch.nn.Linear(width, width, bias=False)
        if identity:
            torch.nn.init.eye_(self.transformer.text_projection.weight)


class Text:
    """A CLIP that gives each prompt an embedding of its own."""

    def __init__(self, width: int = 16, identity: bool = False) -> None:
        self.cond_stage_model = torch.nn.Module()
        self.cond_stage_model.clip = "clip_l"
        self.cond_stage_model.clip_l = Encoder(width, identity)
        self.width = width

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens(self, tokens: str, return_pooled: bool) -> tuple[None, torch.Tensor]:
        return None, torch.randn(1, self.width, generator=torch.Generator().manual_seed(len(tokens)))


@pytest.fixture
def vision(comfy_host: Path, tmp_path: Path) -> tuple[Any, Any]:
    theirs, (kind, config) = tiny_clip_vision()
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_act": "quick_gelu", "model_type": "clip_vision_model"}))
    with torch.inference_mode():  # as CLIPVisionLoader runs
        ours = kind(str(tmp_path / "config.json"))
        ours.load_sd({name.replace("post_layernorm", "post_layernorm"): tensor for name, tensor in theirs.state_dict().items()})
    return theirs, ours


def test_clip_zero_shot_is_the_scaled_cosine_of_picture_and_prompts(vision: tuple[Any, Any]) -> None:
    from comfy.clip_vision import clip_preprocess
    from sdexplain.nodes.host.loading.zero_shot import load_zero_shot
    from sdexplain.nodes.maths.method.attribution import Choices, attribute

    prompts = {"cat": "a photo of a cat", "horse": "a photo of a horse"}
    with torch.inference_mode():
        of = load_zero_shot(Text(), vision[1], prompts)
        shown = torch.from_numpy(picture())[None].float() / 255
        image = vision[1].encode_image(shown)["image_embeds"]
        found = {name: attribute(of, shown, "cat", "horse", Choices(name)) for name in ("Grad-CAM", "occlusion")}
    x = clip_preprocess(shown, 32)
    torch.testing.assert_close(of.preprocessing.prepare(shown), x, atol=0.03, rtol=0)
    texts = torch.cat([Text().encode_from_tokens(prompt, True)[1] for prompt in prompts.values()])
    expected = 100 * torch.nn.functional.cosine_similarity(image.clone().float(), texts)
    torch.testing.assert_close(of.network(x)[0].detach(), expected, atol=0.05, rtol=0.01)
    assert all(map.values.any() for map in found.values()) and "4×4 cells" in found["Grad-CAM"].source


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lambda: None, "needs a clip and a clip_vision"),
        (lambda: Text(identity=True), "no projection"),
        (lambda: Text(width=24), "24 numbers for a prompt and the CLIP_VISION 16"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(vision: tuple[Any, Any], text: Callable[[], Any], said: str) -> None:
    from sdexplain.nodes.host.loading.zero_shot import load_zero_shot

    with pytest.raises(ValueError, match=said):
        load_zero_shot(text(), vision[1], {"cat": "cat", "horse": "horse"})
