"""Nodes of a graph in the API's form, as the tests send them to a real server.

The parts name their neighbours: "load" (Load Diffusers Model), "encode" (VAE Encode), "noise", "zebra" and "horse" (the prompts).
"""

from __future__ import annotations

from typing import Any

from .workflow_file import Prompt

Node = dict[str, Any]


def node(kind: str, **inputs: Any) -> Node:
    return {"class_type": kind, "inputs": inputs}


def prompt(text: str) -> Node:
    return node("CLIPTextEncode", text=text, clip=["load", 1])


def noising(model: str, steps: int, **changes: Any) -> Node:
    """Noise Latent Across Schedule with the model of the node `model`."""
    settings = {"scheduler": "normal", "seed": 0, "samples": 1, "step_noise": "fresh per step"} | changes
    return node("SDExplainNoiseLatent", model=[model, 0], latent=["encode", 0], steps=steps, **settings)


def zebra_against_horse(model: str, **changes: Any) -> dict[str, Node]:
    """Both prompts, and as "predict" Collect Noise Predictions with the model of the node `model`."""
    labels = {"target_label": "zebra", "contrast_label": "horse"} | changes
    links = {"noised": ["noise", 0], "target": ["zebra", 0], "contrast": ["horse", 0]}
    return {
        "zebra": prompt("a photo of a zebra"),
        "horse": prompt("a photo of a horse"),
        "predict": node("SDExplainPredictNoise", model=[model, 0], **links, **labels),
    }


def rivals(model: str, labels: str, **changes: Any) -> Node:
    """Rival Labels with the model of the node `model`: labels a line each, asked as "a photo of a …"."""
    links = {"model": [model, 0], "clip": ["load", 1], "noised": ["noise", 0], "image": ["picture", 0]}
    asked = {"labels": labels, "template": "a photo of a {}", "target": "", "contrast": ""}
    early = {"stop_early": False, "confidence": 0.99}
    return node(
        "SDExplainRivals", **links, **asked | early | {"reading": "evidence", "weighting": "information"} | LOOK | changes
    )


LOOK = {"colour_map": "automatic", "percentile": 99.5, "opacity": 0.8, "background": "grey", "interpolation": "smooth"}


def summing(**changes: Any) -> Node:
    """Sum Noise Difference of what "predict" gives: the plain difference over all steps."""
    settings = {"start": 0, "end": -1, "reading": "difference", "weighting": "uniform"}
    of_latent = {"latent_direction": "target - contrast", "latent_base": "difference alone", "latent_strength": 1.0}
    return node("SDExplainSumDifference", predictions=["predict", 0], **settings | of_latent | changes)


def short(prompt: Prompt, steps: int) -> Prompt:
    """The same graph with few steps, and as few ranges and frames as these allow: it is changed in place and given back."""
    few = {"steps": steps, "ranges": min(steps, 2), "window": min(steps, 2)}
    for step in prompt.values():
        if step["class_type"].startswith("SDExplain"):
            given = step["inputs"]  # a share, which is no whole number, may have the name of a count
            given |= {name: few[name] for name in few.keys() & given.keys() if not isinstance(given[name], float)}
    return prompt
