"""Make the pictures of the nodes' help pages, js/docs/*.webp: every node of the pack is run in a real ComfyUI.

The Explorer's picture is moving: see film.py.

`python dev.py run tools.docs` takes a few minutes on a laptop; with names of nodes behind it, only their pictures are made.
"""

from __future__ import annotations

import argparse
from typing import Any

from PIL import Image

from ..bundled.scenes import CLASSES
from ..nodes.maths.pictures.lettering import paragraph
from ..nodes.maths.pictures.paper import INK, PAPER, draw_paragraphs
from .client import Client, Picture, Run
from .environment import ROOT, find_host
from .server import Server

DOCS = ROOT / "js" / "docs"
WIDTH = 720
QUALITIES, LARGEST = (80, 75, 70, 60), 60_000
"""WebP's, the first with which a picture is smaller than so many bytes."""
SEED = 1_000_031
STEPS, SAMPLES = 25, 4
NATS = {"reading": "evidence", "weighting": "information"}
METHODS = ("Grad-CAM", "LayerCAM", "Integrated Gradients", "Gradient SHAP", "occlusion")
CAPTIONS = {"SDExplainAttribution": ("the picture", *METHODS)}
"""What stands above the pictures of a page; these lie in rows of `COLUMNS`."""
COLUMNS = 3


class Graph:
    """A prompt under construction: `add` takes a node's inputs as values or links and returns its id; the rest is default."""

    def __init__(self, object_info: dict[str, Any]) -> None:
        self.object_info = object_info
        self.prompt: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, **inputs: Any) -> str:
        groups = self.object_info[kind]["input"].values()
        defaults = {
            name: rest[0]["default"] for group in groups for name, (_, *rest) in group.items() if rest and "default" in rest[0]
        }
        number = str(len(self.prompt) + 1)
        self.prompt[number] = {"class_type": kind, "inputs": defaults | inputs}
        return number

    def show(self, *images: list[Any]) -> list[str]:
        return [self.add("PreviewImage", images=image) for image in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="*", help="ids such as SDExplainAttribution; without any all are made")
    named = parser.parse_args().nodes
    DOCS.mkdir(parents=True, exist_ok=True)
    with Server(find_host()) as server:
        client = Client(server.url)
        for build in (before_saving, after_saving):
            graph = Graph(client.object_info())
            shown = {name: nodes for name, nodes in build(graph).items() if name in (named or [name])}
            if not shown:
                continue
            run = client.run(needed(graph.prompt, sum(shown.values(), [])) if named else graph.prompt)
            for name, nodes in shown.items():
                save(name, [client.image(picture) for node in nodes for picture in chosen(run, node)])


def needed(prompt: dict[str, dict[str, Any]], nodes: list[str]) -> dict[str, dict[str, Any]]:
    """The part of a prompt that some nodes take."""
    found: dict[str, dict[str, Any]] = {}
    wanted = list(nodes)
    while wanted:
        number = wanted.pop()
        if number not in found:
            found[number] = prompt[number]
            wanted += [value[0] for value in prompt[number]["inputs"].values() if isinstance(value, list) and value]
    return found


def before_saving(graph: Graph) -> dict[str, list[str]]:
    """Everything but Load Noise Predictions: node id of the pack -> the nodes that show its pictures, from left to right."""
    add, show = graph.add, graph.show
    picture = add("SDExplainExamplePicture", seed=SEED)
    image, twin = [picture, 0], [picture, 1]
    loaded = add("SDExplainLoadDiffusers")
    model, clip, vae = [loaded, 0], [loaded, 1], [loaded, 2]
    latent = [add("VAEEncode", pixels=image, vae=vae), 0]
    noising = add("SDExplainNoiseLatent", model=model, latent=latent, steps=STEPS, samples=SAMPLES)
    noised = [noising, 0]

    def encode(text: str) -> list[Any]:
        return [add("CLIPTextEncode", clip=clip, text=text), 0]

    def predict(contrast: str, label: str) -> list[Any]:
        return [
            add(
                "SDExplainPredictNoise",
                model=model,
                noised=noised,
                target=encode("a photo of a zebra"),
                contrast=encode(contrast),
                target_label="zebra",
                contrast_label=label,
            ),
            0,
        ]

    def decode(samples: list[Any]) -> list[Any]:
        return [add("VAEDecode", samples=samples, vae=vae), 0]

    def total(predictions: list[Any], **inputs: Any) -> str:
        return add("SDExplainSumDifference", predictions=predictions, **inputs)

    def heatmap(difference: str, **inputs: Any) -> str:
        return add("SDExplainHeatmap", image=image, difference=[difference, 0], percentile=99.0, **inputs)

    def mask(output: list[Any]) -> list[Any]:
        return [add("MaskToImage", mask=output), 0]

    predictions = predict("a photo of a horse", "horse")
    evidence = total(predictions, **NATS)
    magnitude = total(predictions, reading="absolute")
    scaled = heatmap(magnitude)
    questions = [
        heatmap(total(predict(contrast, label), reading="absolute"), scale=[scaled, 4])
        for contrast, label in (("", "anything"), ("a photo of a zebra", "zebra"))
    ]
    drawn = heatmap(evidence, legend=False)
    for precision in ("float32", "float16"):
        add("SDExplainSavePredictions", predictions=predictions, precision=precision, filename_prefix=precision)
    sanity = add(
        "SDExplainSanity",
        model=model,
        noised=noised,
        target=encode("a photo of a zebra"),
        contrast=encode("a photo of a horse"),
        image=image,
        target_label="zebra",
        contrast_label="horse",
        target_paraphrase=encode("a drawing of a zebra"),
        contrast_paraphrase=encode("a drawing of a horse"),
        no_words=encode(""),
    )
    explained = add(
        "SDExplainExplain", model=model, clip=clip, vae=vae, image=image, steps=STEPS, samples=SAMPLES, percentile=99.0
    )
    classifier = [add("SDExplainLoadClassifier"), 0]
    asked = {method: add("SDExplainAttribution", classifier=classifier, image=image, method=method) for method in METHODS}
    grad_cam = [asked["Grad-CAM"], 0]
    bare = [add("SDExplainHeatmap", image=image, difference=[node, 0], percentile=99.0, legend=False) for node in asked.values()]
    film = add("SDExplainStepAnimation", image=image, predictions=predictions, percentile=99.0)
    classes = [[add("SDExplainExamplePicture", class_name=name, seed=SEED), 0] for name in CLASSES]
    return {
        "SDExplainExamplePicture": show(image, twin, mask([picture, 2])),
        "SDExplainLoadDiffusers": show(*classes),
        "SDExplainExplain": [explained, *show(mask([explained, 2]), [explained, 4])],
        "SDExplainLoadClassifier": [asked["Grad-CAM"], asked["occlusion"]],
        "SDExplainAttribution": [*show(image), *bare],
        "SDExplainFaithfulness": [add("SDExplainFaithfulness", image=image, map=grad_cam, classifier=classifier)],
        "SDExplainMapSheet": [add("SDExplainMapSheet", image=image, first=[evidence, 0], second=grad_cam)],
        "SDExplainStepAnimation": [
            *show(*([add("ImageFromBatch", image=[film, 0], batch_index=place, length=1), 0] for place in (2, 10, STEPS - 5)))
        ],
        "SDExplainNoiseLatent": show(decode([noising, 1])),
        "SDExplainPredictNoise": [scaled, *questions],
        "SDExplainRivals": [
            add("SDExplainRivals", model=model, clip=clip, noised=noised, image=image, labels="zebra\nhorse\nrat\ntaxi")
        ],
        "SDExplainSumDifference": show(
            decode([total(predictions), 1]), decode([total(predictions, latent_base="added to the image"), 1])
        ),
        "SDExplainHeatmap": [drawn, *show([drawn, 1], mask([drawn, 2]), mask([drawn, 3]))],
        "SDExplainStepSheet": [add("SDExplainStepSheet", image=image, predictions=predictions, vae=vae)],
        "SDExplainSanity": [sanity],
        "SDExplainVerdict": [add("SDExplainVerdict", predictions=predictions)],
        "SDExplainAgreement": [
            add("SDExplainAgreement", first=[magnitude, 0], second=[picture, 2], image=image, scalar="channel norm")
        ],
    }


def after_saving(graph: Graph) -> dict[str, list[str]]:
    """What is made of saved predictions, without the model."""
    image = [graph.add("SDExplainExamplePicture", seed=SEED), 0]
    loaded = {
        precision: [graph.add("SDExplainLoadPredictions", file=f"{precision}_00001_.safetensors [output]"), 0]
        for precision in ("float32", "float16")
    }

    def overlay(precision: str, **inputs: Any) -> str:
        difference = [graph.add("SDExplainSumDifference", predictions=loaded[precision], **inputs), 0]
        return graph.add("SDExplainHeatmap", image=image, difference=difference, percentile=99.0)

    return {
        "SDExplainSavePredictions": [overlay("float32", **NATS), overlay("float16", **NATS)],
        "SDExplainLoadPredictions": [overlay("float32", reading="absolute"), overlay("float32", **NATS, start=5, end=15)],
    }


def chosen(run: Run, node: str) -> list[Picture]:
    """What a node showed: all of it, or five of many from the first to the last."""
    pictures = run.pictures(node)
    return pictures if len(pictures) <= 5 else [pictures[round(place * (len(pictures) - 1) / 4)] for place in range(5)]


def save(name: str, pictures: list[Image.Image]) -> None:
    """Write pictures side by side, or in rows below their captions, as wide as a help page."""
    captions = CAPTIONS.get(name, ())
    columns = COLUMNS if captions else len(pictures)
    width = WIDTH // columns
    small = [
        picture.convert("RGB").resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        for picture in pictures
    ]
    head = 24 if captions else 0
    high = head + max(picture.height for picture in small)
    sheet = Image.new("RGB", (width * columns, high * -(-len(small) // columns)), PAPER)
    for place, picture in enumerate(small):
        left, top = place % columns * width, place // columns * high
        if captions:
            draw_paragraphs(sheet, [paragraph(captions[place], 15, width - 8)], left + 4, top + 2, INK)
        sheet.paste(picture, (left, top + head))
    file = DOCS / f"{name}.webp"
    for quality in QUALITIES:
        sheet.save(file, quality=quality, method=6)
        if file.stat().st_size < LARGEST:
            break
    print(f"{file}: {sheet.width} x {sheet.height}, {file.stat().st_size / 1000:.0f} kB", flush=True)
