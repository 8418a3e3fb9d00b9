"""Deletion and insertion as a picture: what was covered, and what the answer became."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ..answers.faithfulness import Coverer, Covering, Curves, first_places, plain, region_labels
from ..images import match_pictures, resize, to_image
from ..method.map import Map
from ..wording import quoted
from .comparison_sheet import map_words
from .lettering import paragraph
from .paper import INK, MUTED, PAPER, as_batch, draw_paragraphs, stack
from .plot import BAND, LENGTHS, SPEAKS_FOR, draw_key, draw_plot, dress

SHOWN = (0.0, 0.125, 0.25, 0.5)
PANELS = 230
Judged = dict[str, Curves]
"""The curves of each who was asked, by what to call it."""


def faithfulness_sheet(pictures: Tensor, map: Map, judged: Judged, covering: Covering, coverer: Coverer | None = None) -> Tensor:
    """Each picture's sheet, [B,H,1024,3]: the first parts that are covered, and both curves of everyone who was asked."""
    pictures = match_pictures(pictures, len(map.values), map.latent_size, map.downscale)
    coverer = coverer or plain(covering.cover)
    orders = next(iter(judged.values())).orders
    shown = [show_covered(picture, orders[image], covering, coverer) for image, picture in enumerate(pictures)]
    return as_batch([draw_sheet(each, map, judged, covering, image) for image, each in enumerate(shown)])


def show_covered(picture: Tensor, order: Tensor, covering: Covering, coverer: Coverer) -> Tensor:
    """The picture with more and more of its strongest regions covered, [4,H,W,3]."""
    labels = region_labels(tuple(picture.shape[:2]), covering.regions)
    return coverer(picture)(torch.stack([first_places(labels, order, share) for share in SHOWN]))


def draw_sheet(shown: Tensor, map: Map, judged: Judged, covering: Covering, image: int) -> Image.Image:
    """One picture's sheet."""
    parts = [draw_words([f"The strongest regions of the map are covered first ({covering.cover})."], 14, True)]
    parts.append(draw_covered(shown))
    for name, curves in judged.items():
        parts.append(draw_words([f"{name}: {curves.sentence(image)}"], 14, True))
        parts.append(draw_plot(LENGTHS(PANELS), lambda figure, curves=curves: draw_curves(figure, curves, image)))  # type: ignore[misc]
    parts.append(draw_key([(SPEAKS_FOR, "in the map’s order"), (BAND, "95 % of random orders")]))
    parts.append(draw_words([f"Map: {map_words(map)}"], 11, False))
    return stack(parts)


def draw_words(texts: list[str], size: int, bold: bool) -> Image.Image:
    """Texts below each other on a strip of the sheet's width."""
    words = [paragraph(text, LENGTHS(size), LENGTHS.width - 2 * LENGTHS(16), lines=4, bold=bold) for text in texts]
    strip = Image.new("RGB", (LENGTHS.width, sum(each.height for each in words) + LENGTHS(14)), PAPER)
    draw_paragraphs(strip, words, LENGTHS(16), LENGTHS(8), INK if bold else MUTED)
    return strip


def draw_covered(shown: Tensor) -> Image.Image:
    """The covered pictures [4,H,W,3] side by side, with how much is covered."""
    gap = LENGTHS(8)
    width = (LENGTHS.width - 2 * LENGTHS(16) - (len(SHOWN) - 1) * gap) // len(SHOWN)
    height = min(round(width * shown.shape[1] / shown.shape[2]), 2 * width)
    strip = Image.new("RGB", (LENGTHS.width, height + LENGTHS(22)), PAPER)
    for column, (share, picture) in enumerate(zip(SHOWN, resize(shown, (height, width)), strict=True)):
        left = LENGTHS(16) + column * (width + gap)
        strip.paste(to_image(picture), (left, 0))
        words = paragraph(f"{share:.1%} covered".replace(".0%", "%") if share else "the picture", LENGTHS(11), width)
        draw_paragraphs(strip, [words], left, height + LENGTHS(2), MUTED)
    return strip


def draw_curves(figure: Figure, curves: Curves, image: int) -> None:
    """Deletion to the left, insertion to the right, on one scale."""
    left, right = figure.subplots(1, 2, sharey=True)
    draw_curve(left, curves.deletion[image], curves.random_deletion[image], "share covered")
    draw_curve(right, curves.insertion[image], curves.random_insertion[image], "share uncovered")
    dress(left, "nats for the target")
    dress(right, "")


def draw_curve(axes: Axes, curve: Tensor, random: Tensor, label: str) -> None:
    """One curve over the band of 95 % of the random ones."""
    shares = np.linspace(0, 1, len(curve))
    mean, spread = random.mean(0).numpy(), 1.96 * random.std(0).numpy()
    axes.fill_between(shares, mean - spread, mean + spread, color=BAND, alpha=0.3, linewidth=0, zorder=1)
    axes.plot(shares, mean, color=BAND, linestyle="--", zorder=2)
    axes.plot(shares, curve.numpy(), color=SPEAKS_FOR, zorder=4)
    axes.set_xlim(0, 1)
    axes.set_xlabel(label)


def faithfulness_report(map: Map, judged: Judged) -> str:
    """What each who was asked says of each picture, in plain text."""
    lines = [f"Map: {map_words(map)}", f"Nats are for {quoted(map.target_label)}."]
    for name, curves in judged.items():
        lines += ["", name]
        for image in range(len(curves.deletion)):
            lines.append(f"Image {image + 1}: {curves.sentence(image)}")
            if curves.decided(image):
                areas = [float(curves.area(each[image], image)) for each in (curves.deletion, curves.insertion)]
                lines.append(f"  area of deletion {areas[0]:.3f} (less is better), of insertion {areas[1]:.3f} (more is better)")
    return "\n".join(lines).replace(" -", " −")
