"""A folder that transformers saved of a model for image classification, as a network with class names and preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...maths.method.preprocessing import Preprocessing
from .diffusers_files import Settings, read_settings

RESAMPLING = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters, as preprocessor_config.json states them."""
CLOSE = 0.1
"""How far an input may be from what transformers itself makes, in standard deviations: 8-bit rounding is about 0.03."""
CHECKED = (70, 90)


class Logits(nn.Module):
    """The network's logits alone, of its input alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(pixel_values=x).logits


def is_transformers(path: Path) -> bool:
    """Whether a folder's config.json is one of transformers' models for image classification."""
    return any(
        str(each).endswith("ForImageClassification") for each in read_settings(path / "config.json").get("architectures", ())
    )


def load_transformers(path: Path) -> tuple[nn.Module, tuple[str, ...], Preprocessing]:
    """The folder's network, its classes and preprocessing; only safetensors are read, and no code of the folder's own is run.

    Raises:
        ValueError: files that are missing, damaged or don't fit, or preprocessing that is not resize, crop and normalise.
    """
    if not list(path.glob("*.safetensors")):
        raise ValueError(
            f"{path} has no .safetensors file. Other formats (.bin, .pth) can run code when they are opened and are not read: "
            "save the model again with save_pretrained."
        )
    from transformers import AutoModelForImageClassification

    try:
        model = AutoModelForImageClassification.from_pretrained(
            path, use_safetensors=True, dtype=torch.float32, low_cpu_mem_usage=False, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"transformers can't open {path}: {error}. Download or save the folder again.") from error
    names = tuple(str(name) for _, name in sorted(model.config.id2label.items()))
    preprocessing = read_preprocessing(path)
    check_against(path, preprocessing)
    return Logits(model), names, preprocessing


def read_preprocessing(path: Path) -> Preprocessing:
    """What the folder's preprocessor_config.json says.

    Raises:
        ValueError: no such file, or settings that are not resize, crop and normalise.
    """
    file = path / "preprocessor_config.json"
    if not file.is_file():
        raise ValueError(
            f"{path} has no preprocessor_config.json, which says how pictures are resized. Download the whole folder."
        )
    settings = read_settings(file)
    size, cut = _sides(settings.get("size", 224)), settings.get("crop_size")
    if settings.get("image_processor_type", "").startswith("ConvNext"):
        size, cut = _of_convnext(size, settings)
    resampling = settings.get("resample", 2)
    if resampling not in RESAMPLING:
        raise ValueError(f"{file} states the resampling {resampling}; expected 2 (bilinear) or 3 (bicubic).")
    whole = _sides(cut) if cut and settings.get("do_center_crop", True) else size
    return Preprocessing(
        resize=size,
        input_size=(whole, whole) if isinstance(whole, int) else whole,
        interpolation=RESAMPLING[resampling],  # type: ignore[arg-type]
        mean=tuple(settings.get("image_mean", (0.5, 0.5, 0.5))),
        std=tuple(settings.get("image_std", (0.5, 0.5, 0.5))),
    )


def _sides(size: Any) -> int | tuple[int, int]:
    """A size as transformers states it: a number and a shortest edge are the shorter side, height and width both."""
    if isinstance(size, dict):
        return int(size["shortest_edge"]) if "shortest_edge" in size else (int(size["height"]), int(size["width"]))
    return (int(size), int(size))


def _of_convnext(size: int | tuple[int, int], settings: Settings) -> tuple[int | tuple[int, int], int]:
    """ConvNeXt's: below 384 pixels enlarged by 1 / crop_pct and cut, from there on squashed."""
    side = size if isinstance(size, int) else size[0]
    return (int(side / settings.get("crop_pct", 224 / 256)) if side < 384 else (side, side)), side


def check_against(path: Path, preprocessing: Preprocessing) -> None:
    """Refuse a folder whose own preprocessing gives something else than ours.

    Raises:
        ValueError: as above.
    """
    from transformers import AutoImageProcessor

    y, x = torch.meshgrid(*(torch.linspace(0, 1, side) for side in CHECKED), indexing="ij")
    picture = (torch.stack([y, x, (y + x) / 2], dim=-1) * 255).round().byte()
    try:
        processor = AutoImageProcessor.from_pretrained(path, local_files_only=True)
        theirs = processor(picture.numpy(), return_tensors="pt")["pixel_values"]
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ValueError(f"transformers can't prepare pictures for {path}: {error}") from error
    ours = preprocessing.prepare(picture[None].float() / 255)
    if theirs.shape != ours.shape or float((theirs - ours).abs().max()) > CLOSE:
        raise ValueError(
            f"{path} prepares pictures in another way than resize, cut out the middle and normalise, so its answers here would "
            "be wrong. Save it as a folder of timm's, or as a file of `training.own --classifier`."
        )
