"""What a contest of labels gave, as a table and as a sheet with a map for each rival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..answers.rivals import Contest, Standing
from ..images import match_pictures
from ..method.choices import AUTOMATIC_SCALE, EVIDENCE_IN_NATS, Quantity, Scaling
from ..method.difference import NoiseDifference, Weighting, join_images, sum_steps
from ..method.heatmap import Heatmap, make_heatmap
from ..method.prediction import NoisePredictions, part_of, predictions_shape
from ..method.reading import read_map
from ..wording import NATS, WEIGHTING_WORDS, format_value, format_with_error, plain_text, quoted, shorten, with_assumed
from .colours import colour_map_name
from .lettering import paragraph
from .overlay import USUAL, Appearance, overlay
from .paper import INK, PAPER, as_batch
from .sheet import Grid, Row, cell_size, columns_per_band, draw_sheet, speak_for_all

LONGEST_LABEL = 40  # characters, in the table
COLUMN_GAP = "   "
EXTREME = 1e-3  # probabilities nearer to 0 or 1 are written as less or more than this


# ----------------------------------------------------------------------------------------------------------------- table


def report(contest: Contest) -> str:
    """Each image's table in plain text, aligned for letters of one width, and how to read it."""
    blocks = [
        "\n".join([headline(contest, image), *recognition(contest, image), "", *table_lines(contest, image)])
        for image in range(contest.noised.images)
    ]
    return "\n\n".join([*blocks, reading_rule(contest)])


def headline(contest: Contest, image: int) -> str:
    """The winner in one sentence, with the rivals that are not ruled out."""
    number = f"Image {image + 1}: t" if contest.noised.images > 1 else "T"
    winner, *others = contest.standings(image)
    if contest.is_strange(image):
        return f"{number}he model’s answer means nothing here; {quoted(short_label(contest, winner))} is ahead."
    if contest.fits_none(image):
        none = "one of the labels describes this picture better than no words at all"
        n = "n" if contest.noised.images > 1 else "N"
        return f"{number[:-1]}{n}{none}; {quoted(short_label(contest, winner))} is ahead."
    if not contest.tested:
        taken = "pair of opposite samples" if contest.noised.antithetic else "noise sample"
        return f"{number}he label ahead is {quoted(short_label(contest, winner))}; one {taken} can’t tell how surely."
    doubtful = [quoted(short_label(contest, other)) for other in others if not other.out and other.error is not None]
    doubt = f"; {', '.join(doubtful)} {'are' if len(doubtful) > 1 else 'is'} not ruled out" if doubtful else ""
    return f"{number}he model prefers {quoted(short_label(contest, winner))}{doubt}."


def recognition(contest: Contest, image: int) -> list[str]:
    """Whether the model knows the labels and the picture, and whether several labels fit, as far as that was asked."""
    fitting = [] if contest.is_strange(image) else [quoted(plain_text(label)) for label in contest.fitting(image)]
    several = f"Better than no words at all: {', '.join(fitting)}." if len(fitting) > 1 else ""
    known = [known.words(0) for known in contest.familiarity[image : image + 1]]
    return [contest.unseen] * bool(contest.unseen) + known + [several] * bool(several)


def table_lines(contest: Contest, image: int) -> list[str]:
    """A header and a line for each label, the winner first."""
    asked, likely = contest.without is not None, tells_probability(contest, image)
    rows = [("label", "log-odds", *["against no words"] * asked, *["probability"] * likely, "samples", "")]
    for place, standing in enumerate(contest.standings(image)):
        rows.append(
            (
                short_label(contest, standing),
                log_odds_words(standing) if place else "0",
                *[against_none(contest, standing, image)] * asked,
                *[probability_words(standing.probability)] * likely,
                str(standing.samples),
                status(standing, contest.noised.steps)
                if place
                else ("winner" if contest.tested and not is_unsure(contest, image) else "ahead"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = range(2, len(widths) - 1)
    return [
        COLUMN_GAP.join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def log_odds_words(standing: Standing) -> str:
    """A label's log-odds against the winner with their standard error, and how many of these nats are assumed."""
    return with_assumed(format_with_error(standing.log_odds, standing.error), standing.assumed, standing.log_odds)


def against_none(contest: Contest, standing: Standing, image: int) -> str:
    """How much better than no words at all a label describes an image, if that was asked."""
    odds = contest.against_none(standing.label, image)
    return "" if odds is None else format_with_error(odds.mean, odds.error)


def is_unsure(contest: Contest, image: int) -> bool:
    """Whether nobody wins: the model does not know picture or words, or no label fits."""
    return contest.is_strange(image) or contest.fits_none(image)


def tells_probability(contest: Contest, image: int) -> bool:
    """Whether an image has probabilities: log-odds as they are, at temperature 1, are far too sure for that."""
    return contest.temperature != 1 and not is_unsure(contest, image)


def status(standing: Standing, all_steps: int) -> str:
    """What the test said of a label that did not win."""
    if standing.out:
        return f"ruled out after {asked_of(standing, all_steps)}"
    return "not ruled out" if standing.error is not None else "error unknown"


def asked_of(standing: Standing, all_steps: int) -> str:
    """Over how many samples a label was compared, and at how many steps, if not at all of them."""
    samples = f"{standing.samples} sample{'s' * (standing.samples > 1)}"
    return samples if standing.steps == all_steps else f"{samples} at {standing.steps} steps"


def reading_rule(contest: Contest) -> str:
    """What the numbers are, and when a label is out."""
    noised = contest.noised
    pairs = " in antithetic pairs (the same noise with + and −)" if noised.antithetic else ""
    count = f"{noised.samples} noise sample{'s' * (noised.samples > 1)}{pairs}"
    unsure = not contest.tested or all(is_unsure(contest, image) for image in range(noised.images))
    first = "label ahead" if unsure else "winner"
    sentences = [f"Log-odds against the {first} in nats, over all {noised.steps} steps and up to {count}. {NATS}"]
    opposite = " (an antithetic pair counts as one)" if noised.antithetic else ""
    scattered = "" if noised.estimates > 1 else ", from how the steps scatter"
    if not contest.tested:
        sentences.append(
            f"No standard error and no test: that takes 2 independent samples or more{opposite}, "
            "or 3 steps or more with fresh noise per step."
        )
    else:
        sentences.append(
            f"± is one standard error{scattered}. Out: behind with {100 * contest.certainty:g} % confidence for all labels and "
            "rounds together (paired t tests)."
        )
        if len(contest.looks) > 1:
            sentences.append("A label that is out gets no more samples.")
        if bool(contest.early.any()):
            sentences.append(
                f"Labels far behind were out before they were asked at all {noised.steps} steps. Their log-odds are rough: ± "
                "counts the noise, and not the steps that were left out."
            )
    if any(tells_probability(contest, image) for image in range(noised.images)):
        sentences.append(f"Probabilities at temperature {format_value(contest.temperature)}.")
    return " ".join(sentences)


def short_label(contest: Contest, standing: Standing) -> str:
    """A label as it stands in the table, in one line."""
    label = plain_text(contest.labels[standing.label])
    return label if len(label) <= LONGEST_LABEL else shorten(label, LONGEST_LABEL)


def probability_words(probability: float) -> str:
    """In per cent; what is nearer to 0 or 1 than these numbers deserve is written as < or >."""
    if EXTREME <= probability <= 1 - EXTREME:
        return f"{probability:.1%}"
    return f"< {EXTREME:.1%}" if probability < 0.5 else f"> {1 - EXTREME:.1%}"


# ----------------------------------------------------------------------------------------------------------------- sheet


def rivals_sheet(
    pictures: Tensor,
    contest: Contest,
    predictions: Sequence[Tensor],
    targets: Sequence[int],
    quantity: Quantity = EVIDENCE_IN_NATS,
    *,
    scaling: Scaling = AUTOMATIC_SCALE,
    appearance: Appearance = USUAL,
) -> Tensor:
    """A sheet for each picture with a heatmap of its target against every rival, the strongest first, [B,H,W,3].

    predictions: each label's [R,S,B,C,h,w]. targets: each image's label to explain. All maps of all sheets share one scale;
    each is the mean over the samples that count for both of its labels.

    Raises:
        ValueError: what `sum_steps`, `make_heatmap` and `overlay` refuse.
    """
    noised = contest.noised
    pictures = match_pictures(pictures, noised.images, tuple(noised.x0.shape[-2:]), noised.downscale)
    rivals = [contest.rivals(target, image) for image, target in enumerate(targets)]
    pairs = [(target, rivals[image][place], image) for place in range(len(rivals[0])) for image, target in enumerate(targets)]
    summed = join_images([mean_sum(contest.pair(predictions, *pair), quantity) for pair in pairs])
    heatmap = make_heatmap(read_map(summed, quantity.scalar), **asdict(scaling))
    size = cell_size(pictures.shape[1:3], columns_per_band(len(rivals[0])))
    cells = overlay(pictures.repeat(len(rivals[0]), 1, 1, 1), heatmap, appearance, size).unflatten(0, (-1, noised.images))
    sheets = []
    for image, target in enumerate(targets):
        shown = name_sides(heatmap, contest, target, rivals[image], quantity.weighting, scaling.threshold)
        row = Row(f"{shown.quantity} for {quoted(contest.labels[target])} against each rival, over the picture", cells)
        headers = [rival_header(contest, target, rival, image) for rival in rivals[image]]
        sheet = draw_sheet(shown, headers, [row], image, appearance)
        sheets.append(add_title(headline(contest, image), sheet, Grid(len(headers), size)))
    return as_batch(sheets)


def check_sheet(pictures: Tensor, contest: Contest, quantity: Quantity, scaling: Scaling, appearance: Appearance) -> None:
    """Refuse what `rivals_sheet` would refuse, before the model is asked for all that it shows.

    Raises:
        ValueError: a picture of another shape, a colour map, scale or reliability that maps of this kind can't have.
    """
    noised = contest.noised
    match_pictures(pictures, noised.images, tuple(noised.x0.shape[-2:]), noised.downscale)
    nothing = torch.zeros(()).expand(predictions_shape(noised))
    pair = NoisePredictions(noised, nothing, nothing, contest.labels[0], contest.labels[1])
    pair = part_of(pair, [noised.steps - 1], noised.samples)  # one step tells what all would
    heatmap = make_heatmap(read_map(mean_sum(pair, quantity), quantity.scalar), **asdict(scaling))
    colour_map_name(appearance.colour_map, heatmap.signed)


def mean_sum(pair: NoisePredictions, quantity: Quantity) -> NoiseDifference:
    """The sum over all steps for one image; its mean in place of its samples, since each pair has a number of its own."""
    summed = sum_steps(pair, reading=quantity.reading, weighting=quantity.weighting)
    return replace(summed, values=summed.mean[None])


def name_sides(
    heatmap: Heatmap, contest: Contest, target: int, rivals: list[int], weighting: Weighting, threshold: float
) -> Heatmap:
    """The heatmap with the words for one image's target and all its rivals, without the findings of single maps."""
    label = contest.labels[target]
    names = "”, “".join(contest.labels[rival].strip() for rival in rivals)  # the legend puts the outer quotation marks
    evidence = heatmap.positive.startswith("speaks for")
    out = "; out: clearly behind after that many samples" if bool(contest.out.any()) else ""
    has = "the steps and samples that it has" if bool(contest.early.any()) else "the samples that it has"
    return replace(
        speak_for_all(heatmap, threshold, "Maps"),
        target_label=label,
        contrast_label=names,
        positive=f"speaks for {quoted(label)}" if evidence else heatmap.positive,
        negative="speaks for the rival" if evidence else heatmap.negative,
        source=f"All {contest.noised.steps} steps, {WEIGHTING_WORDS[weighting]}, each rival over {has}{out}",
    )


def rival_header(contest: Contest, target: int, rival: int, image: int) -> tuple[str, str]:
    """What stands above a map: the rival, the log-odds of the target against it, and after how many samples it was out."""
    odds = contest.log_odds(target, rival, image)
    sign = "+" if odds.mean > 0 else ""
    standing = next(each for each in contest.standings(image) if each.label == rival)
    out = f", ruled out by {asked_of(standing, contest.noised.steps)}" if standing.out else ""
    nats = with_assumed(f"{sign}{format_with_error(odds.mean, odds.error)} nats", odds.assumed, odds.mean)
    return f"vs {quoted(contest.labels[rival])}", f"{nats}{out}"


def add_title(title: str, sheet: Image.Image, grid: Grid) -> Image.Image:
    """The sheet with a line above it."""
    lengths = grid.lengths
    text = paragraph(title, lengths(15), sheet.width - 2 * grid.left(0), lines=2, bold=True)
    titled = Image.new("RGB", (sheet.width, sheet.height + text.height + lengths(14)), PAPER)
    text.draw(ImageDraw.Draw(titled), grid.left(0), lengths(14), INK)
    titled.paste(sheet, (0, titled.height - sheet.height))
    return titled
