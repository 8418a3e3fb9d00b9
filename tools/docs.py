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


class Zebra:
    """The example picture and the bundled model in a graph, with what several nodes' pictures are made of; all as links."""

    def __init__(self, graph: Graph) -> None:
        self.add, self.show = graph.add, graph.show
        picture, loaded = self.add("SDExplainExamplePicture", seed=SEED), self.add("SDExplainLoadDiffusers")
        self.image, self.twin, self.truth = ([picture, output] for output in range(3))
        self.model, self.clip, self.vae = ([loaded, output] for output in range(3))
        latent = [self.add("VAEEncode", pixels=self.image, vae=self.vae), 0]
        noising = self.add("SDExplainNoiseLatent", model=self.model, latent=latent, steps=STEPS, samples=SAMPLES)
        self.noised, self.noisy_latents = [noising, 0], [noising, 1]
        self.predictions = self.predict("a photo of a horse", "horse")
        self.evidence, self.magnitude = self.sum(**NATS), self.sum(reading="absolute")

    def encode(self, text: str) -> list[Any]:
        return [self.add("CLIPTextEncode", clip=self.clip, text=text), 0]

    def decode(self, samples: list[Any]) -> list[Any]:
        return [self.add("VAEDecode", samples=samples, vae=self.vae), 0]

    def predict(self, contrast: str, label: str) -> list[Any]:
        prompts = {"target": self.encode("a photo of a zebra"), "contrast": self.encode(contrast)}
        labels = {"target_label": "zebra", "contrast_label": label}
        return [self.add("SDExplainPredictNoise", model=self.model, noised=self.noised, **prompts, **labels), 0]

    def sum(self, predictions: list[Any] | None = None, **inputs: Any) -> list[Any]:
        return [self.add("SDExplainSumDifference", predictions=predictions or self.predictions, **inputs), 0]

    def heatmap(self, difference: list[Any], **inputs: Any) -> str:
        return self.add("SDExplainHeatmap", image=self.image, difference=difference, percentile=99.0, **inputs)

    def mask(self, output: list[Any]) -> list[Any]:
        return [self.add("MaskToImage", mask=output), 0]


def before_saving(graph: Graph) -> dict[str, list[str]]:
    """Everything but Load Noise Predictions: node id of the pack -> the nodes that show its pictures, from left to right."""
    zebra = Zebra(graph)
    for precision in ("float32", "float16"):
        zebra.add("SDExplainSavePredictions", predictions=zebra.predictions, precision=precision, filename_prefix=precision)
    return {**of_inputs(zebra), **of_maps(zebra), **of_steps(zebra), **of_answers(zebra), **of_classifiers(zebra)}


def of_inputs(zebra: Zebra) -> dict[str, list[str]]:
    classes = [[zebra.add("SDExplainExamplePicture", class_name=name, seed=SEED), 0] for name in CLASSES]
    return {
        "SDExplainExamplePicture": zebra.show(zebra.image, zebra.twin, zebra.mask(zebra.truth)),
        "SDExplainLoadDiffusers": zebra.show(*classes),
        "SDExplainNoiseLatent": zebra.show(zebra.decode(zebra.noisy_latents)),
    }


def of_maps(zebra: Zebra) -> dict[str, list[str]]:
    explained = zebra.add(
        "SDExplainExplain",
        model=zebra.model,
        clip=zebra.clip,
        vae=zebra.vae,
        image=zebra.image,
        steps=STEPS,
        samples=SAMPLES,
        percentile=99.0,
    )
    scaled = zebra.heatmap(zebra.magnitude)
    others = (("", "anything"), ("a photo of a zebra", "zebra"))
    asked = [zebra.sum(zebra.predict(contrast, label), reading="absolute") for contrast, label in others]
    drawn = zebra.heatmap(zebra.evidence, legend=False)
    plain, added = zebra.sum(), zebra.sum(latent_base="added to the image")
    return {
        "SDExplainExplain": [explained, *zebra.show(zebra.mask([explained, 2]), [explained, 4])],
        "SDExplainPredictNoise": [scaled, *(zebra.heatmap(difference, scale=[scaled, 4]) for difference in asked)],
        "SDExplainSumDifference": zebra.show(*(zebra.decode([difference[0], 1]) for difference in (plain, added))),
        "SDExplainHeatmap": [drawn, *zebra.show([drawn, 1], zebra.mask([drawn, 2]), zebra.mask([drawn, 3]))],
    }


def of_steps(zebra: Zebra) -> dict[str, list[str]]:
    given = {"image": zebra.image, "predictions": zebra.predictions}
    film = zebra.add("SDExplainStepAnimation", **given, percentile=99.0)
    frames = [[zebra.add("ImageFromBatch", image=[film, 0], batch_index=place, length=1), 0] for place in (2, 10, STEPS - 5)]
    return {
        "SDExplainStepAnimation": zebra.show(*frames),
        "SDExplainStepSheet": [zebra.add("SDExplainStepSheet", **given, vae=zebra.vae)],
    }


def of_answers(zebra: Zebra) -> dict[str, list[str]]:
    given = {"model": zebra.model, "noised": zebra.noised, "image": zebra.image}
    prompts = {
        "target": "a photo of a zebra",
        "contrast": "a photo of a horse",
        "target_paraphrase": "a drawing of a zebra",
        "contrast_paraphrase": "a drawing of a horse",
        "no_words": "",
    }
    encoded = {name: zebra.encode(text) for name, text in prompts.items()}
    compared = {"first": zebra.magnitude, "second": zebra.truth, "image": zebra.image, "scalar": "channel norm"}
    return {
        "SDExplainRivals": [zebra.add("SDExplainRivals", **given, clip=zebra.clip, labels="zebra\nhorse\nrat\ntaxi")],
        "SDExplainSanity": [zebra.add("SDExplainSanity", **given, **encoded, target_label="zebra", contrast_label="horse")],
        "SDExplainVerdict": [zebra.add("SDExplainVerdict", predictions=zebra.predictions)],
        "SDExplainAgreement": [zebra.add("SDExplainAgreement", **compared)],
    }


def of_classifiers(zebra: Zebra) -> dict[str, list[str]]:
    classifier = [zebra.add("SDExplainLoadClassifier"), 0]
    asked = {
        method: zebra.add("SDExplainAttribution", classifier=classifier, image=zebra.image, method=method) for method in METHODS
    }
    grad_cam = [asked["Grad-CAM"], 0]
    bare = [zebra.heatmap([node, 0], legend=False) for node in asked.values()]
    return {
        "SDExplainLoadClassifier": [asked["Grad-CAM"], asked["occlusion"]],
        "SDExplainAttribution": [*zebra.show(zebra.image), *bare],
        "SDExplainFaithfulness": [zebra.add("SDExplainFaithfulness", image=zebra.image, map=grad_cam, classifier=classifier)],
        "SDExplainMapSheet": [zebra.add("SDExplainMapSheet", image=zebra.image, first=zebra.evidence, second=grad_cam)],
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
