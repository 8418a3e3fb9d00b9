"""Load Image Classifier: what the attribution methods explain, from a file, a folder, or CLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from . import types
from .host.loading.classifier import ZERO_SHOT, classifier_files, fingerprint, load_classifier
from .host.loading.zero_shot import load_zero_shot
from .inputs.schema import schema
from .maths.answers.labels import fill_template, split_labels

if TYPE_CHECKING:
    from comfy.clip_vision import ClipVisionModel
    from comfy.sd import CLIP


class LoadClassifier(io.ComfyNode):
    """Lists the classifiers and passes the chosen one on to the loader."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        choices = [*classifier_files(), ZERO_SHOT]
        return schema(
            node_id="SDExplainLoadClassifier",
            display_name="Load Image Classifier",
            category="SDExplain",
            description="Loads an image classifier, to explain it beside the diffusion model: a file or folder of timm, "
            "torchvision or transformers, or CLIP, which takes any labels.",
            search_aliases=["classifier", "timm", "torchvision", "ResNet", "ViT", "CLIP zero-shot", "ImageNet"],
            inputs=[
                io.Combo.Input(
                    "classifier",
                    options=choices,
                    default=choices[0],
                    tooltip="A .safetensors file of training.own --classifier, or a folder that timm or transformers saved, in "
                    "ComfyUI's models/classifiers. Its preprocessing is its own. CLIP zero-shot takes the labels below. timm's "
                    "architectures need timm: pip install timm.",
                ),
                io.String.Input(
                    "labels",
                    default="zebra\nhorse",
                    multiline=True,
                    tooltip="Only for CLIP zero-shot: the classes, one in each line.",
                ),
                io.String.Input(
                    "template",
                    default="a photo of a {}",
                    tooltip="Only for CLIP zero-shot: the prompt for each label, which takes the place of the two braces.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="Only for CLIP zero-shot: the whole text encoder of a CLIP, from CLIPLoader. That of a Stable "
                    "Diffusion 1.x checkpoint lacks the projection.",
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="Only for CLIP zero-shot: the vision encoder of the same CLIP, from CLIPVisionLoader.",
                ),
            ],
            outputs=[
                types.ImageClassifier.Output(
                    display_name="classifier", tooltip="The network with its class names, for Attribution and others."
                ),
                io.String.Output(display_name="classes", tooltip="The names of its classes, one in each line."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, classifier: str, labels: str = "", template: str = "", **_: object) -> str:
        return f"{labels}\n{template}" if classifier == ZERO_SHOT else fingerprint(classifier)

    @classmethod
    def execute(
        cls,
        classifier: str,
        labels: str,
        template: str,
        clip: CLIP | None = None,
        clip_vision: ClipVisionModel | None = None,
    ) -> io.NodeOutput:
        if classifier == ZERO_SHOT:
            names = split_labels(labels)
            prompts = dict(zip(names, fill_template(template, names), strict=True))
            loaded = load_zero_shot(clip, clip_vision, prompts)
        else:
            loaded = load_classifier(classifier)
        return io.NodeOutput(loaded, "\n".join(loaded.classes))
