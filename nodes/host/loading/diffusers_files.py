"""The files of a diffusers pipeline folder: their settings and weights, and what can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

# Pipelines whose UNet is Stable Diffusion's own: they sample in another way, or bring a further network that MODEL leaves out.
PIPELINES = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionInpaintPipelineLegacy",
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionControlNetInpaintPipeline",
    "StableDiffusionAdapterPipeline",
    "StableDiffusionDiffEditPipeline",
    "StableDiffusionAttendAndExcitePipeline",
    "StableDiffusionModelEditingPipeline",
    "StableDiffusionPanoramaPipeline",
    "StableDiffusionParadigmsPipeline",
    "StableDiffusionPipelineSafe",
    "StableDiffusionPix2PixZeroPipeline",
    "StableDiffusionSAGPipeline",
    "StableDiffusionPAGPipeline",
    "StableDiffusionPAGImg2ImgPipeline",
    "StableDiffusionPAGInpaintPipeline",
    "StableDiffusionControlNetPAGPipeline",
    "StableDiffusionControlNetPAGInpaintPipeline",
    "CycleDiffusionPipeline",
    "LEditsPPPipelineStableDiffusion",
    "SemanticStableDiffusionPipeline",
)
# The classes that model_index.json may name for each component.
COMPONENTS = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
# Each component's settings file, and what must be stated there; for the rest, diffusers' defaults are used.
SETTINGS = {
    "unet": ("unet/config.json", ("block_out_channels", "down_block_types", "up_block_types", "cross_attention_dim")),
    "vae": ("vae/config.json", ("block_out_channels", "down_block_types", "up_block_types", "latent_channels")),
    "text_encoder": ("text_encoder/config.json", ("hidden_size", "vocab_size")),
    "scheduler": ("scheduler/scheduler_config.json", ("beta_schedule", "beta_start", "beta_end")),
}
WEIGHT_STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
# In this order: where a folder holds several, the most exact one is taken.
WEIGHT_SUFFIXES = (
    ".safetensors",
    ".safetensors.index.json",
    ".fp16.safetensors",
    ".safetensors.index.fp16.json",
    ".bf16.safetensors",
    ".safetensors.index.bf16.json",
)
POINTER = b"version https://git-lfs.github.com/spec/"
"""How a git-lfs pointer starts: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md."""
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
LISTED_AT_MOST = 5

Settings = dict[str, Any]


@dataclass(frozen=True)
class PipelineFolder:
    """A pipeline folder whose components are all there, with their settings; weights are read when asked for."""

    path: Path
    unet: Settings = field(default_factory=dict)
    vae: Settings = field(default_factory=dict)
    text_encoder: Settings = field(default_factory=dict)
    scheduler: Settings = field(default_factory=dict)

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer"

    def weights(self, component: str) -> Weights:
        return read_weights(weight_file(self.path, component))


@dataclass(frozen=True)
class Weights:
    """Tensors by diffusers' names, and the file that they came from, for the words of errors."""

    tensors: dict[str, Tensor]
    source: Path


def read_pipeline(path: Path) -> PipelineFolder:
    """Return the folder's settings after checking that its class can be mapped and every file is there.

    Raises:
        ValueError: no pipeline, a class that can't be mapped, missing files or settings, no safetensors.
    """
    index = path / "model_index.json"
    if not index.is_file():
        raise ValueError(
            f"{path} is not a diffusers pipeline: it has no model_index.json. Choose the folder that "
            "save_pretrained wrote, or that was downloaded whole: model_index.json beside unet, vae, text_encoder, "
            "tokenizer and scheduler."
        )
    _require_classes(path, read_settings(index))
    _require_files(path)
    return PipelineFolder(path, **{name: _stated(path / file, names) for name, (file, names) in SETTINGS.items()})


def _stated(file: Path, names: tuple[str, ...]) -> Settings:
    settings = read_settings(file)
    missing = [name for name in names if name not in settings]
    kind = settings.get("_class_name", "of no stated class")
    if missing:
        raise ValueError(
            f"{file} ({kind}) doesn't state {', '.join(missing)}: expected the settings of a Stable Diffusion 1.x or "
            "2.x pipeline. Load flow and EDM models with CheckpointLoaderSimple."
        )
    return settings


def read_settings(path: Path) -> Settings:
    """Return the JSON object that the file holds; raises ValueError where it holds none."""
    require_content(path)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read as JSON ({error}). Download or save the file again.") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} holds a JSON {type(settings).__name__}, expected an object. Download or save the file again.")
    return settings


def require_content(file: Path) -> None:
    """Refuse a git-lfs pointer, which a clone without git-lfs leaves in place of a file; a missing file is not looked at.

    Raises:
        ValueError: as above.
    """
    if not file.is_file():
        return
    with file.open("rb") as opened:
        start = opened.read(len(POINTER))
    if start == POINTER:
        raise ValueError(
            f"{file} is a git-lfs pointer ({file.stat().st_size} bytes): it only names the file that belongs there. Run "
            "`git lfs pull` in the folder that was cloned, or download the file itself."
        )


def _require_classes(path: Path, index: Settings) -> None:
    pipeline = str(index.get("_class_name"))
    if pipeline not in PIPELINES:
        raise ValueError(
            f"{path} is a {pipeline}; this node can map {PIPELINES[0]} and its relatives with the same UNet (image to image, "
            "inpaint, ControlNet, adapter, DiffEdit, PAG ...) to MODEL, CLIP and VAE. For SDXL, Flux and other families load the "
            "checkpoint with CheckpointLoaderSimple, or its parts with ComfyUI's own loaders."
        )
    for component, classes in COMPONENTS.items():
        entry = index.get(component)
        name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if name is not None and name not in classes:
            raise ValueError(
                f"The {component} of {path} is a {name}; this node can map {' or '.join(classes)}. Load the model's "
                "checkpoint with CheckpointLoaderSimple instead."
            )


def _require_files(path: Path) -> None:
    missing = [file for file, _ in SETTINGS.values() if not (path / file).is_file()]
    if not any(all((path / "tokenizer" / name).is_file() for name in names) for names in TOKENIZER_FILES):
        missing.append("tokenizer/tokenizer.json (or tokenizer/vocab.json with tokenizer/merges.txt)")
    require_weights(path, list(WEIGHT_STEMS), missing)


def require_weights(path: Path, components: list[str], missing: Sequence[str] = ()) -> None:
    """Refuse a folder that lacks the weights of one of the components, or has them as pickles only.

    Raises:
        ValueError: as above; it names whatever else is `missing`.
    """
    missing, pickles = list(missing), []
    for component in components:
        if weight_file(path, component) is None:
            pickle_names = sorted(f"{component}/{file.name}" for file in (path / component).glob("*.bin"))
            pickles += pickle_names
            missing += [] if pickle_names else [f"{component}/{_stem(component)}.safetensors"]
    if missing:
        raise ValueError(
            f"{path} is incomplete: {', '.join(missing)} missing. Download the missing files, or save the pipeline "
            "again with save_pretrained."
        )
    if pickles:
        raise ValueError(
            f"{path} has weights as {', '.join(pickles)} only. Such files are pickles, which can run any program, and "
            "are never loaded: save the pipeline as safetensors with save_pretrained(folder, safe_serialization=True), "
            "or download its .safetensors files."
        )


def weight_file(path: Path, component: str) -> Path | None:
    """Return the component's safetensors file, or the index of its parts; None if there is neither."""
    candidates = (path / component / f"{_stem(component)}{suffix}" for suffix in WEIGHT_SUFFIXES)
    return next((file for file in candidates if file.is_file()), None)


def _stem(component: str) -> str:
    return WEIGHT_STEMS.get(component, "diffusion_pytorch_model")


def read_weights(file: Path) -> Weights:
    """Return the tensors of a safetensors file, or of all the parts that an index lists.

    Raises:
        ValueError: a file that is truncated, a git-lfs pointer or not safetensors, or a part that isn't beside its index.
    """
    parts = _parts(file) if file.suffix == ".json" else [file]
    tensors: dict[str, Tensor] = {}
    for part in parts:
        require_content(part)
        try:
            tensors |= load_file(part)
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{part} ({part.stat().st_size} bytes) is truncated or not a safetensors file ({error}). "
                "Download or save it again."
            ) from error
    return Weights(tensors, file)


def _parts(index: Path) -> list[Path]:
    weight_map = read_settings(index).get("weight_map")
    names = sorted(set(map(str, weight_map.values()))) if isinstance(weight_map, dict) else []
    # A part lies beside its index: a name with a folder in it could point anywhere on the disk.
    missing = [name for name in names if Path(name).name != name or not (index.parent / name).is_file()]
    if missing or not names:
        raise ValueError(
            f"{index} lists the parts {', '.join(missing) or 'none'}, expected files beside it. Download them again."
        )
    return [index.parent / name for name in names]


def require_settings(settings: Settings, legal: dict[str, tuple[Any, ...]], source: Path) -> None:
    """Raise a ValueError for the first setting that is stated and isn't one of its legal values."""
    for name, values in legal.items():
        if name in settings and settings[name] not in values:
            raise ValueError(
                f"{source} sets {name} to {settings[name]!r}, but ComfyUI's own network computes only "
                f"{' or '.join(map(repr, values))}. Choose another model, or load its checkpoint with "
                "CheckpointLoaderSimple."
            )


def rename(key: str, names: dict[str, str]) -> str:
    """Return the key with its longest prefix of whole parts that is in names replaced by what names gives for it."""
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        prefix = ".".join(parts[:end])
        if prefix in names:
            return ".".join([names[prefix], *parts[end:]])
    return key


def load_weights(module: torch.nn.Module, weights: Weights, names: dict[str, str]) -> None:
    """Load the weights into ComfyUI's module, every one and no other; names maps diffusers' module names to its own.

    Raises:
        ValueError: weights are missing, unexpected, or of another shape than the settings call for.
    """
    diffusers_names = {native: name for name, native in names.items()}
    expected = {rename(key, diffusers_names): tuple(value.shape) for key, value in module.state_dict().items()}
    missing = sorted(expected.keys() - weights.tensors.keys())
    unexpected = sorted(weights.tensors.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(
            f"{weights.source} doesn't fit its config.json: missing weights: {_shortened(missing)}; unexpected "
            f"weights: {_shortened(unexpected)}. Both files must come from one model: download or save them again."
        )
    for name, shape in expected.items():
        found = tuple(weights.tensors[name].shape)
        if found != shape:
            raise ValueError(
                f"{weights.source} doesn't fit its config.json: {name} has the shape {found}, expected {shape}. Both "
                "files must come from one model: download or save them again."
            )
    module.load_state_dict({rename(name, names): tensor for name, tensor in weights.tensors.items()})


def _shortened(names: list[str]) -> str:
    rest = len(names) - LISTED_AT_MOST
    return ", ".join(names[:LISTED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "") if names else "none"
