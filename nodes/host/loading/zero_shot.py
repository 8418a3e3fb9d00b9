"""CLIP as a classifier: each label is a prompt, and its logit is how near the prompt is to the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...maths.method.classifier import Classifier
from ...maths.method.preprocessing import Preprocessing
from .classifier import ZERO_SHOT, managed

if TYPE_CHECKING:
    from comfy.clip_vision import ClipVisionModel
    from comfy.sd import CLIP

SCALE = 100.0
"""What CLIP multiplies similarities by: all released ones end at this limit of their training."""


class ZeroShot(nn.Module):
    """Scaled cosines between a picture's embedding and those of the labels."""

    def __init__(self, vision: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.vision = vision
        self.register_buffer("labels", labels)

    def forward(self, x: Tensor) -> Tensor:
        return SCALE * F.normalize(self.vision(pixel_values=x).image_embeds, dim=-1) @ self.labels.T


def load_zero_shot(clip: CLIP | None, clip_vision: ClipVisionModel | None, prompts: dict[str, str]) -> Classifier:
    """A classifier of labels, given with the prompt for each.

    Raises:
        ValueError: an encoder that is missing, of another kind, or that does not belong to the other; fewer than two labels.
    """
    if clip is None or clip_vision is None:
        raise ValueError("CLIP zero-shot needs a clip and a clip_vision. Connect both, from CLIPLoader and CLIPVisionLoader.")
    if len(prompts) < 2:
        raise ValueError("CLIP zero-shot needs two labels or more: write one in each line of labels.")
    with torch.inference_mode(False):
        vision = as_transformers(clip_vision)
        labels = torch.cat([embed(clip, prompt) for prompt in prompts.values()])
        width = vision.config.projection_dim
        if labels.shape[1] != width:
            raise ValueError(
                f"The CLIP gives {labels.shape[1]} numbers for a prompt and the CLIP_VISION {width} for a picture: they were not "
                "trained together. Connect both parts of one CLIP, such as ViT-L/14 or ViT-bigG/14."
            )
        side = int(clip_vision.image_size)
        seen = Preprocessing(side, (side, side), "bicubic", tuple(clip_vision.image_mean), tuple(clip_vision.image_std))
        return managed(ZeroShot(vision, F.normalize(labels, dim=-1)), tuple(prompts), seen, ZERO_SHOT)


def embed(clip: CLIP, prompt: str) -> Tensor:
    """A prompt's embedding in the space that pictures share, float32 [1,D].

    Raises:
        ValueError: a text encoder without the projection into that space.
    """
    encoder = getattr(clip.cond_stage_model, getattr(clip.cond_stage_model, "clip", ""), None)
    if encoder is None and hasattr(clip.cond_stage_model, "clip_g"):
        encoder = clip.cond_stage_model.clip_g
    projection = getattr(getattr(encoder, "transformer", None), "text_projection", None)
    if projection is None or _is_identity(projection.weight):
        raise ValueError(
            "This CLIP has no projection into the space of pictures, as in checkpoints of Stable Diffusion 1.x: they leave it "
            "out. Load the whole text encoder of a CLIP with CLIPLoader."
        )
    _, pooled = clip.encode_from_tokens(clip.tokenize(prompt), return_pooled=True)
    return pooled.detach().clone().float().cpu()


def _is_identity(weight: Tensor) -> bool:
    return weight.shape[0] == weight.shape[1] and bool((weight == torch.eye(len(weight)).to(weight)).all())


def as_transformers(clip_vision: ClipVisionModel) -> Any:
    """The same vision encoder as transformers' own network, in float32: no gradient passes what ComfyUI's own changes in place.

    Raises:
        ValueError: another kind of encoder than CLIP's.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    weights = {name: tensor.detach().clone().float() for name, tensor in clip_vision.get_sd().items()}
    try:
        first = clip_vision.model.vision_model.encoder.layers[0]
        patches = weights["vision_model.embeddings.patch_embedding.weight"]
        config = CLIPVisionConfig(
            hidden_size=patches.shape[0],
            patch_size=patches.shape[-1],
            image_size=int(clip_vision.image_size),
            projection_dim=weights["visual_projection.weight"].shape[0],
            intermediate_size=first.mlp.fc1.weight.shape[0],
            num_attention_heads=first.self_attn.heads,
            num_hidden_layers=len(clip_vision.model.vision_model.encoder.layers),
            hidden_act="gelu" if first.mlp.activation is F.gelu else "quick_gelu",
        )
    except (AttributeError, KeyError, IndexError) as error:
        raise ValueError(
            f"The CLIP_VISION is not CLIP's own vision encoder (it lacks {error}). SigLIP and DINO won't do."
        ) from error
    vision = CLIPVisionModelWithProjection(config)
    missing, _ = vision.load_state_dict(weights, strict=False)
    if missing:
        raise ValueError(f"The CLIP_VISION lacks {', '.join(missing[:3])}. Load another file.")
    return vision
