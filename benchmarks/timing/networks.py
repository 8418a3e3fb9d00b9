"""The networks whose speed is measured: the bundled model, and SD 1.5 and SDXL at their true sizes with random weights.

How long a network takes does not depend on what it has learned, as long as its values stay ordinary numbers. The large ones
are in bfloat16, so that they fit; they are not saved. Call `graph.start` first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from ..ground_truth.diffedit import as_diffedit

BUNDLED, SD15, SDXL = "bundled model, 256 px", "SD 1.5, 512 px", "SDXL, 1024 px"
PROMPTS = ("a photo of a zebra", "a photo of a horse", "")
TIMESTEP = 500.0
CONFIGS: dict[str, dict[str, Any]] = {  # what diffusers' unet/config.json of the public models says
    SD15: {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    SDXL: {
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


@dataclass(frozen=True, eq=False)
class Network:
    """One network in ComfyUI, and the same weights in diffusers."""

    name: str
    model: Any
    """ComfyUI's MODEL."""
    prompts: list[Tensor]
    """[1,tokens,width] the target's, the contrast's and the empty prompt's, in the network's number format."""
    latent: tuple[int, int, int]
    """(C, h, w)."""
    diffedit: Any
    """diffusers' StableDiffusionDiffEditPipeline, or None if the memory can't hold the weights twice."""
    told: dict[str, Any] = field(default_factory=dict)
    """What a conditioning says besides its prompt, such as "pooled_output" [1,n] or "guidance"."""
    asks: dict[str, Tensor] = field(default_factory=dict)
    """[1,…] what ComfyUI makes of that for the bare network."""

    @property
    def dtype(self) -> torch.dtype:
        return self.prompts[0].dtype

    def conditioning(self, prompt: int) -> list:
        """A prompt as ComfyUI's CONDITIONING."""
        return [[self.prompts[prompt].float().cpu(), dict(self.told)]]

    def forward(self, batch: int) -> Tensor:
        """Ask the bare network once for so many noised latents."""
        device = self.prompts[0].device
        x = torch.randn(batch, *self.latent, dtype=self.dtype, device=device)
        arguments = {name: value.expand(batch, *value.shape[1:]) for name, value in self.asks.items()}
        context = self.prompts[0].expand(batch, -1, -1)
        timesteps = torch.full((batch,), TIMESTEP, device=device)
        return self.model.model.diffusion_model(x, timesteps, context=context, **arguments)


def build(name: str) -> Network:
    """The network of a name."""
    return bundled() if name == BUNDLED else random_weights(name)


def bundled() -> Network:
    from ...nodes.host.loading.diffusers_folder import load_pipeline

    folder = Path(__file__).resolve().parents[2] / "bundled" / "model"
    model, clip, _ = load_pipeline(folder, [])
    prompts = [clip.encode_from_tokens_scheduled(clip.tokenize(text))[0][0] for text in PROMPTS]
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, safety_checker=None, local_files_only=True)
    size = pipeline.unet.config.sample_size
    return Network(BUNDLED, model, prompts, (4, size, size), silent(as_diffedit(pipeline)))


def random_weights(name: str) -> Network:
    import comfy.ops
    import comfy.sd

    config = CONFIGS[name]
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    shapes = {key: tensor.shape for key, tensor in unet.state_dict().items()}
    # the memory can't hold SDXL's weights twice: ComfyUI gets zeros that take no memory, and its own copy is filled
    zero = torch.zeros((), dtype=torch.bfloat16)
    weights = {key: zero.expand(shape) if name == SDXL else random_weight(key, shape) for key, shape in shapes.items()}
    options = {"dtype": torch.bfloat16, "custom_operations": comfy.ops.disable_weight_init}
    model = comfy.sd.load_diffusion_model_state_dict(dict(weights), model_options=options)
    model.model.manual_cast_dtype = None  # ComfyUI would widen bfloat16 to float32 on a CPU, in every call
    prompts = [torch.randn(1, 77, config["cross_attention_dim"], dtype=torch.bfloat16) for _ in PROMPTS]
    latent = (4, config["sample_size"], config["sample_size"])
    if name == SDXL:
        for key, weight in model.model.diffusion_model.state_dict().items():
            fill(key, weight)
        asks = {"y": torch.randn(1, model.model.adm_channels, dtype=torch.bfloat16)}
        return Network(name, model, prompts, latent, None, {"pooled_output": torch.randn(1, 1280)}, asks)
    unet.load_state_dict(weights, assign=True)
    small = AutoencoderKL(
        block_out_channels=[32] * 4, down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4
    )
    pipeline = StableDiffusionPipeline(
        vae=small.to(torch.bfloat16),  # not run: the pipeline is given latents
        text_encoder=None,
        tokenizer=None,
        unet=unet.eval(),
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return Network(name, model, prompts, latent, silent(as_diffedit(pipeline)))


def random_weight(name: str, shape: torch.Size) -> Tensor:
    """Random, of the size that keeps what comes out as large as what went in; norms do nothing."""
    return fill(name, torch.empty(shape, dtype=torch.bfloat16))


def fill(name: str, weight: Tensor) -> Tensor:
    """Fill a weight or bias in place, as `random_weight` says."""
    if weight.ndim < 2:
        return weight.fill_(float(name.endswith(("weight", "scale"))))
    return weight.normal_(0, weight[0].numel() ** -0.5)


def silent(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
