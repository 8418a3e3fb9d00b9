"""A diffusers folder's CLIP text encoder and tokenizer of any size as ComfyUI's CLIP."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.clip_model
import comfy.model_management
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.utils
import torch
import transformers
from transformers import CLIPTextConfig, CLIPTokenizer, PreTrainedTokenizerBase

from .diffusers_files import PipelineFolder, Weights, load_weights, require_content, require_settings

LEGAL_TEXT_ENCODER = {"hidden_act": tuple(comfy.clip_model.ACTIVATIONS), "layer_norm_eps": (1e-5,)}
MODULE_NAMES = {name: f"text_model.{name}" for name in ("embeddings", "encoder", "final_layer_norm")}


class TextEncoder(comfy.sd1_clip.SDClipModel):
    """ComfyUI's CLIP text model with the folder's sizes, vocabulary and special tokens."""

    def __init__(
        self,
        settings: CLIPTextConfig,
        special_tokens: dict[str, int],
        max_length: int,
        device: Any,
        dtype: Any,
        model_options: dict,
    ) -> None:
        super().__init__(
            device=device,
            dtype=dtype,
            max_length=max_length,
            textmodel_json_config=settings.to_dict(),
            special_tokens=special_tokens,
            return_projected_pooled=False,
            model_options=model_options,
        )
        # Core's model always has the 49408 tokens of CLIP's own vocabulary.
        embedding = self.operations.Embedding(settings.vocab_size, settings.hidden_size, dtype=dtype, device=device)
        self.transformer.set_input_embeddings(embedding)


def load_clip(folder: PipelineFolder, embedding_directories: list[str]) -> comfy.sd.CLIP:
    """Return the folder's text encoder with its own tokenizer, in the type and on the devices that ComfyUI chooses.

    Raises:
        ValueError: a setting or weight without a counterpart in ComfyUI, or a tokenizer that doesn't fit.
    """
    require_settings(folder.text_encoder, LEGAL_TEXT_ENCODER, folder.path / "text_encoder" / "config.json")
    settings = CLIPTextConfig.from_dict(folder.text_encoder)
    tokenizer = _read_tokenizer(folder, settings)
    weights = _text_weights(folder.weights("text_encoder"), settings.hidden_size)
    max_length = min(tokenizer.model_max_length, settings.max_position_embeddings)
    special_tokens = {"start": tokenizer.bos_token_id, "end": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id}
    encoder = partial(TextEncoder, settings=settings, special_tokens=special_tokens, max_length=max_length)
    native_tokenizer = partial(
        comfy.sd1_clip.SDTokenizer,
        tokenizer_path=str(folder.tokenizer),
        tokenizer_class=type(tokenizer),
        max_length=max_length,
        pad_token=tokenizer.pad_token_id,
        embedding_size=settings.hidden_size,
    )
    target = comfy.supported_models_base.ClipTarget(
        partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=native_tokenizer),
        partial(comfy.sd1_clip.SD1ClipModel, clip_model=encoder),
    )
    clip = comfy.sd.CLIP(
        target,
        embedding_directory=embedding_directories,
        parameters=comfy.utils.calculate_parameters(weights.tensors),
        model_options=_model_options(weights),
    )
    load_weights(clip.cond_stage_model.clip_l.transformer, weights, MODULE_NAMES)
    return clip


def _model_options(weights: Weights) -> dict[str, torch.dtype]:
    # On a CPU core keeps text encoders in float16 and computes in float32. The file's own type costs no accuracy there.
    on_cpu = comfy.model_management.is_device_cpu(comfy.model_management.text_encoder_device())
    return {"dtype": comfy.utils.weight_dtype(weights.tensors)} if on_cpu else {}


def _tokenizer_class(folder: PipelineFolder) -> type[PreTrainedTokenizerBase]:
    """The class that reads the folder's files: before version 5, CLIPTokenizer itself read no tokenizer.json."""
    has_both = all((folder.tokenizer / name).is_file() for name in ("vocab.json", "merges.txt"))
    return CLIPTokenizer if has_both else getattr(transformers, "CLIPTokenizerFast", CLIPTokenizer)


def _read_tokenizer(folder: PipelineFolder, settings: CLIPTextConfig) -> PreTrainedTokenizerBase:
    for file in sorted(folder.tokenizer.iterdir()):
        require_content(file)
    try:
        tokenizer = _tokenizer_class(folder).from_pretrained(folder.tokenizer, local_files_only=True)
    except Exception as error:  # the tokenizers library raises no narrower exception
        raise ValueError(f"{folder.tokenizer} can't be read ({error}). Download or save the folder again.") from error
    largest = max(tokenizer.get_vocab().values())
    if largest >= settings.vocab_size:
        raise ValueError(
            f"The tokenizer of {folder.path} has tokens up to number {largest}, but its text encoder knows "
            f"{settings.vocab_size}: expected no more tokens than that. Take both folders from the same model."
        )
    return tokenizer


def _text_weights(weights: Weights, width: int) -> Weights:
    """Return the weights without the prefix of older files, and with the projection that ComfyUI's model has on top."""
    names = {name: name.removeprefix("text_model.") for name in weights.tensors}
    tensors = {names[name]: tensor for name, tensor in weights.tensors.items()}
    tensors.pop("embeddings.position_ids", None)  # 0, 1, 2 …: not a weight
    # SD's pipelines use no projection. Identity, so that nothing uninitialised is left in the model.
    tensors["text_projection.weight"] = torch.eye(width)
    return Weights(tensors, weights.source)
