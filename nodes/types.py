"""The types of SDExplain's own links: what ComfyUI matches when an output is dragged onto an input."""

from __future__ import annotations

from comfy_api.latest import io

NoisedLatents = io.Custom("NOISED_LATENTS")
"""Carries `maths.method.noising.NoisedLatents`."""

NoisePredictions = io.Custom("NOISE_PREDICTIONS")
"""Carries `maths.method.prediction.NoisePredictions`."""

NoiseDifference = io.Custom("NOISE_DIFFERENCE")
"""Carries `maths.method.difference.NoiseDifference`."""

ImageClassifier = io.Custom("IMAGE_CLASSIFIER")
"""Carries `maths.method.classifier.Classifier`."""

ExplanationMap = io.Custom("EXPLANATION_MAP")
"""Carries `maths.method.map.Map`."""

MAPS = [NoiseDifference, ExplanationMap]
"""What a map can be made of: a summed difference, or a map as it is; see `maths.method.reading.as_map`."""
