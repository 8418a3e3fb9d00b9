"""The nodes that Explain Image expands into: the pack's own and core's, as one would connect them by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from comfy_execution.graph_utils import GraphBuilder, Node

from .prompt_words import differing_words, inputs_of, is_link

if TYPE_CHECKING:
    from comfy.sd import CLIP, VAE
    from comfy_execution.graph import DynamicPrompt
    from torch import Tensor

Link = list[Any]
"""[node id, number of the output]."""
Value = Link | str | int | float | bool
"""What a node is given: a link, or a widget's value."""

FAR_OUTSIDE = 1e3
"""A picture has values from 0 to 1. From this one on they are refused: VAEs make infinity of much larger ones."""


@dataclass(frozen=True)
class Part:
    """A node of the open graph, with where each of its inputs comes from."""

    node: str
    """Its class."""
    given: tuple[str, ...] = ()
    """Inputs that Explain Image has under the same name."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Inputs that Explain Image has under another name."""
    linked: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Inputs that an earlier part gives, by its name and the number of its output."""
    fixed: Mapping[str, Value] = field(default_factory=dict)
    """Inputs that are always the same."""


PARTS = {
    "encode": Part("VAEEncode", ("vae",), renamed={"pixels": "image"}),
    "noise": Part(
        "SDExplainNoiseLatent",
        ("model", "steps", "seed", "samples"),
        linked={"latent": ("encode", 0)},
        fixed={"scheduler": "normal", "step_noise": "fresh per step"},
    ),
    "target": Part("CLIPTextEncode", ("clip",), renamed={"text": "target_prompt"}),
    "contrast": Part("CLIPTextEncode", ("clip",), renamed={"text": "contrast_prompt"}),
    "no words": Part("CLIPTextEncode", ("clip",), fixed={"text": ""}),
    "predict": Part(
        "SDExplainPredictNoise",
        ("model", "target_label", "contrast_label", "quality"),
        linked={"noised": ("noise", 0), "target": ("target", 0), "contrast": ("contrast", 0), "no_words": ("no words", 0)},
    ),
    "sum": Part(
        "SDExplainSumDifference",
        ("start", "end", "reading", "weighting"),
        linked={"predictions": ("predict", 0)},
        fixed={"latent_direction": "target - contrast", "latent_base": "difference alone", "latent_strength": 1.0},
    ),
    "decode": Part("VAEDecode", ("vae",), linked={"samples": ("sum", 1)}),
    "verdict": Part("SDExplainVerdict", ("start", "end"), linked={"predictions": ("predict", 0)}, fixed={"temperature": 1.0}),
    "heatmap": Part(
        "SDExplainHeatmap",
        ("image", "colour_map", "percentile", "opacity", "background", "interpolation", "legend"),
        linked={"difference": ("sum", 0)},
        fixed={"scalar": "channel norm", "sign": "both", "scale": 0.0, "shared_scale": True},
    ),
}
"""By name, in the order of the data."""

OUTPUTS = (*(("heatmap", output) for output in range(4)), ("decode", 0), ("verdict", 0), ("predict", 0))
"""What Explain Image gives: overlay, heatmap, both masks, decoded difference, verdict, predictions."""
DECODED = OUTPUTS.index(("decode", 0))


def used_outputs(graph: DynamicPrompt, node: str) -> set[int]:
    """The numbers of a node's outputs that other nodes are given."""
    values = (value for other in graph.all_node_ids() for value in inputs_of(graph, other).values())
    return {value[1] for value in values if is_link(value) and value[0] == node}


def open_graph(given: Mapping[str, Value], used: Collection[int]) -> tuple[GraphBuilder, list[Link | None]]:
    """The nodes that do the work, and what they give; `given` are Explain Image's inputs as they stand in the graph.

    A difference that is not among the `used` outputs is not decoded, since a VAE takes as long as several model calls.
    """
    graph, made = GraphBuilder(), {}
    labels = differing_words(given["target_prompt"], given["contrast_prompt"])
    own = {name: given[name] or label for name, label in zip(("target_label", "contrast_label"), labels, strict=True)}
    left_out = {name for name, kept in (("no words", given["ask_no_words"]), ("decode", DECODED in used)) if not kept}
    for name, part in PARTS.items():
        if name in left_out:
            continue
        made[name] = add_part(graph, name, part, {**given, **own}, made)
    # its plot would replace the overlay on the node, so it is hidden (for itself, ComfyUI would look for ever)
    made["verdict"].set_override_display_id(f"{made['verdict'].id}.unseen")
    return graph, [made[name].out(output) if name in made else None for name, output in OUTPUTS]


def add_part(graph: GraphBuilder, name: str, part: Part, given: Mapping[str, Value], made: Mapping[str, Node]) -> Node:
    """The node of a part, connected to those that are made."""
    inputs = {input: given[input] for input in part.given}
    inputs |= {input: given[other] for input, other in part.renamed.items()}
    inputs |= {input: made[other].out(output) for input, (other, output) in part.linked.items() if other in made}
    return graph.node(part.node, name, **inputs, **part.fixed)


def check_sources(clip: CLIP | None, vae: VAE | None, image: Tensor) -> None:
    """Refuse, in plain words, what would make the first nodes fail.

    Raises:
        ValueError: a missing CLIP or VAE, a picture that is too small to encode or holds what is not a colour.
    """
    for name, part, loader in (("CLIP", clip, "CLIPLoader"), ("VAE", vae, "VAELoader")):
        if part is None:
            raise ValueError(
                f"The {name} is missing: the file of the model holds none. Connect one that belongs to the model, from {loader}."
            )
    if image.ndim != 4 or 0 in image.shape or image.shape[-1] < 3:
        raise ValueError(f"The image has shape {list(image.shape)}; expected [images, height, width, 3]. Connect an IMAGE.")
    cell = vae.spacial_compression_encode()
    height, width = image.shape[1:3]
    if min(height, width) < cell:
        raise ValueError(
            f"The image has {width}×{height} pixels; the VAE takes {cell}×{cell} or more. Connect a larger picture, best at the "
            "size that the model was trained for."
        )
    if not image.abs().max() < FAR_OUTSIDE:  # nor NaN
        raise ValueError("The image contains NaN, infinity or values far outside 0 to 1. Connect another picture.")
