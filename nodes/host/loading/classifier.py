"""An image classifier from a file or a folder in `models/classifiers`.

The file format
---------------
One safetensors file. Its tensors are the state_dict of the architecture, in float32, float16 or bfloat16; it runs in float32.
Its metadata has the entry "classifier", a JSON object as text:

    {
      "library": "torchvision",               or "timm"
      "architecture": "shufflenet_v2_x0_5",   torchvision.models.get_model(architecture, weights=None, num_classes=len(classes))
                                              timm.create_model(architecture, pretrained=False, num_classes=len(classes))
      "classes": ["cat", "dog"],              the names of the logits, in their order
      "resize": [64, 64],                     height and width that every picture is resized to, whatever its shape; or one
                                              number: the shorter side is resized to it, and the shape is kept
      "input_size": [64, 64],                 height and width that are then cut out of the middle
      "interpolation": "bilinear",            or "bicubic"; antialiased, as torchvision.transforms.v2.Resize does it
      "mean": [0.485, 0.456, 0.406],          of red, green and blue in 0..1: the network gets (value - mean) / std
      "std": [0.229, 0.224, 0.225]
    }

All entries are needed, and others are ignored. A grey picture is given as three equal channels.

A folder with a `config.json` is opened as well: one that timm saved (`push_to_hf_hub`, `save_for_hf`), or one that transformers
saved of a model for image classification (with its `preprocessor_config.json`). Nothing but safetensors is read, and no code of a
folder is run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import folder_paths
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ...maths.method.classifier import Classifier
from ...maths.method.preprocessing import Preprocessing
from .diffusers_files import Settings, load_weights, read_settings, read_weights
from .folders import fingerprint as folder_fingerprint
from .transformers_classifier import is_transformers, load_transformers

BUNDLED_FOLDER = Path(__file__).resolve().parents[3] / "bundled" / "classifiers"
BUNDLED = "bundled: "
ZERO_SHOT = "CLIP zero-shot"
ENTRY = "classifier"
NEEDED = ("library", "architecture", "classes", "resize", "input_size", "interpolation", "mean", "std")
IMAGENET_CLASSES = 1000
WEIGHTS = "model.safetensors"


def classifier_files() -> dict[str, Path]:
    """The bundled classifiers, then the files and folders below ComfyUI's `models/classifiers`, by name."""
    found = {f"{BUNDLED}{file.stem}": file for file in sorted(BUNDLED_FOLDER.glob("*.safetensors"))}
    default = os.path.join(folder_paths.models_dir, "classifiers")  # newer hosts know it by themselves
    for base in folder_paths.folder_names_and_paths.get("classifiers", ([default], set()))[0]:
        for root, subfolders, files in os.walk(base, followlinks=True):
            subfolders.sort()
            place = Path(root)
            if "config.json" in files:
                subfolders.clear()
                found.setdefault(place.relative_to(base).as_posix(), place)
                continue
            for file in sorted(files):
                if file.endswith(".safetensors"):
                    found.setdefault((place / file).relative_to(base).as_posix(), place / file)
    return found


def find_classifier(name: str) -> Path:
    """The path of a listed classifier; a ValueError for any other, so that no path outside is read."""
    files = classifier_files()
    if name not in files:
        raise ValueError(
            f"There is no classifier {name!r}: expected one of {', '.join(files) or 'none, since there is none yet'}. Put a "
            ".safetensors file, or a folder with a config.json, into ComfyUI's models/classifiers; press R to list new ones."
        )
    return files[name]


def fingerprint(name: str) -> str:
    """A digest of a listed classifier that changes when a file of it does."""
    path = find_classifier(name)
    stat = path.stat()
    return folder_fingerprint(path) if path.is_dir() else f"{stat.st_size} {stat.st_mtime_ns}"


def load_classifier(name: str) -> Classifier:
    """A listed classifier, in float32, ready to be brought to ComfyUI's device.

    Raises:
        ValueError: no such classifier, files that are missing, damaged or don't fit, a library that is not there.
    """
    path = find_classifier(name)
    with torch.inference_mode(False):  # tensors of inference mode have no gradients
        if path.is_file():
            network, classes, preprocessing = open_file(path)
        elif is_transformers(path):
            network, classes, preprocessing = load_transformers(path)
        else:
            network, classes, preprocessing = open_timm_folder(path)
        return managed(network, classes, preprocessing, Path(name.removeprefix(BUNDLED)).name.removesuffix(".safetensors"))


def managed(network: nn.Module, classes: tuple[str, ...], preprocessing: Preprocessing, name: str) -> Classifier:
    """A classifier whose network ComfyUI brings to its device when it is needed, and away when others need the memory."""
    held = nn.Module()  # a network may have a `device` of its own, which ComfyUI would have to set
    held.network = network.float().train(False).requires_grad_(False)
    device, offload_device = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    patcher = comfy.model_patcher.ModelPatcher(held.to(offload_device), load_device=device, offload_device=offload_device)

    def load() -> torch.device:
        with torch.inference_mode(False):
            comfy.model_management.load_models_gpu([patcher])
        return device

    return Classifier(network, classes, preprocessing, name, load)


def open_file(path: Path) -> tuple[nn.Module, tuple[str, ...], Preprocessing]:
    """The network of one file, see this module, or of a timm file with timm's config.json beside it.

    Raises:
        ValueError: an entry of the metadata is missing, or the classes are not two names or more.
    """
    described = describe(path)
    missing = [entry for entry in NEEDED if entry not in described]
    if missing:
        raise ValueError(f"{path} doesn't state {', '.join(missing)} in its metadata. Save it again with all entries.")
    classes = described["classes"]
    if not isinstance(classes, list) or len(classes) < 2 or not all(isinstance(each, str) for each in classes):
        raise ValueError(f"{path} states the classes {str(classes)[:80]}; expected a list of two or more names.")
    network = build(described["library"], described["architecture"], len(classes), path)
    load_weights(network, read_weights(path), {})
    return network, tuple(classes), stated_preprocessing(described, path)


def describe(path: Path) -> Settings:
    """What the metadata of a classifier's file says.

    Raises:
        ValueError: a file that is damaged, or has no such entry.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or not a safetensors file ({error}). Download or save it again.") from error
    if ENTRY not in metadata:
        raise ValueError(
            f"{path} doesn't say which network its weights are of: its metadata has no entry {ENTRY!r}. Put timm's or "
            "transformers' folder with its config.json into models/classifiers, or save the file with "
            "`training.own --classifier`."
        )
    try:
        described = json.loads(metadata[ENTRY])
    except ValueError as error:
        raise ValueError(f"The entry {ENTRY!r} in the metadata of {path} is not JSON ({error}). Save the file again.") from error
    if not isinstance(described, dict):
        raise ValueError(f"The entry {ENTRY!r} in the metadata of {path} is not an object. Save the file again.")
    return described


def stated_preprocessing(described: Settings, source: Path) -> Preprocessing:
    """The preprocessing that a file states.

    Raises:
        ValueError: values of another kind.
    """
    resize = described["resize"]
    try:
        return Preprocessing(
            resize=int(resize) if isinstance(resize, (int, float)) else _pair(resize),
            input_size=_pair(described["input_size"]),
            interpolation=described["interpolation"],
            mean=tuple(float(each) for each in described["mean"]),  # type: ignore[arg-type]
            std=tuple(float(each) for each in described["std"]),  # type: ignore[arg-type]
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"The preprocessing that {source} states can't be used: {error}") from error


def _pair(sides: Any) -> tuple[int, int]:
    height, width = sides
    return int(height), int(width)


def build(library: str, architecture: str, classes: int, source: Path) -> nn.Module:
    """A network of a library's architecture, without weights.

    Raises:
        ValueError: another library, one that is not installed, or an architecture that it does not have.
    """
    makers: dict[str, Callable[[str, int], nn.Module]] = {"torchvision": _of_torchvision, "timm": _of_timm}
    if library not in makers:
        raise ValueError(f"{source} states the library {library!r}; expected one of {', '.join(makers)}.")
    try:
        return makers[library](architecture, classes)
    except ImportError as error:
        raise ValueError(
            f"{source} is a network of {library}, which is not installed: python -m pip install {library} (with ComfyUI's own "
            "Python), then restart ComfyUI."
        ) from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"{library} can't make the architecture {architecture!r} that {source} states: {error}. Install a newer {library}, "
            "or save the file again."
        ) from error


def _of_torchvision(architecture: str, classes: int) -> nn.Module:
    from torchvision import models

    if architecture not in models.list_models(module=models):
        raise ValueError("there is no such model for classifying pictures")
    return models.get_model(architecture, weights=None, num_classes=classes)


def _of_timm(architecture: str, classes: int) -> nn.Module:
    import timm

    if ":" in architecture or not timm.is_model(architecture):  # "hf-hub:..." would be fetched from the net
        raise ValueError("there is no such model")
    return timm.create_model(architecture, pretrained=False, num_classes=classes)


# --------------------------------------------------------------------------------------------------------------- timm's folder


def open_timm_folder(path: Path) -> tuple[nn.Module, tuple[str, ...], Preprocessing]:
    """The network of a folder that timm saved: config.json and model.safetensors.

    Raises:
        ValueError: settings that are missing or can't be mapped, no safetensors weights.
    """
    settings = read_settings(path / "config.json")
    if "architecture" not in settings:
        raise ValueError(
            f"{path / 'config.json'} states neither timm's architecture nor transformers' ...ForImageClassification. Expected "
            "the folder of an image classifier."
        )
    weights = [path / WEIGHTS] if (path / WEIGHTS).is_file() else sorted(path.glob("*.safetensors"))
    if len(weights) != 1:
        raise ValueError(
            f"{path} has {len(weights)} .safetensors files; expected one, {WEIGHTS}. Other formats (.bin, .pth) can run code "
            "when they are opened and are not read."
        )
    stated = settings | settings.get("pretrained_cfg", {})
    classes = class_names(settings, int(stated.get("num_classes", IMAGENET_CLASSES)))
    network = build("timm", settings["architecture"], len(classes), path)
    load_weights(network, read_weights(weights[0]), {})
    return network, classes, timm_preprocessing(stated, path)


def class_names(settings: Settings, count: int) -> tuple[str, ...]:
    """The names that timm's settings state, ImageNet's for a thousand classes, or else their numbers."""
    stated = settings.get("label_names") or settings.get("pretrained_cfg", {}).get("label_names")
    if isinstance(stated, list) and len(stated) == count:
        described = settings.get("label_descriptions") or {}
        return tuple(str(described.get(name, name)) for name in stated)
    if count == IMAGENET_CLASSES:
        from torchvision.models import ResNet18_Weights

        return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
    return tuple(str(number) for number in range(count))


def timm_preprocessing(stated: Settings, source: Path) -> Preprocessing:
    """What timm's `create_transform` does for evaluation: resize by 1 / crop_pct, cut out the middle.

    Raises:
        ValueError: a crop mode or interpolation that is not that.
    """
    channels, height, width = stated.get("input_size", (3, 224, 224))
    share, mode = float(stated.get("crop_pct", 0.875)), stated.get("crop_mode", "center")
    if channels != 3 or mode not in ("center", "squash"):
        raise ValueError(
            f"{source} takes pictures of {channels} channels and the crop mode {mode!r}; expected 3 and 'center' or 'squash'."
        )
    scaled = int(height / share), int(width / share)
    shorter = height == width and mode == "center"
    return stated_preprocessing(
        {
            "resize": scaled[0] if shorter else scaled,
            "input_size": (height, width),
            "interpolation": stated.get("interpolation", "bicubic"),
            "mean": stated.get("mean", (0.485, 0.456, 0.406)),
            "std": stated.get("std", (0.229, 0.224, 0.225)),
        },
        source,
    )
