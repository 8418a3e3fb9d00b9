"""The legend says what the picture shows, in any size, for any label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from differences import a_difference, evidence, random_difference
from sdexplain.nodes.maths.method.heatmap import Heatmap, make_heatmap, show_only
from sdexplain.nodes.maths.method.reading import read_map
from sdexplain.nodes.maths.pictures import lettering
from sdexplain.nodes.maths.pictures.colours import AUTOMATIC, colours
from sdexplain.nodes.maths.pictures.legend import (
    add_legend,
    draw_bar,
    draw_legend,
    end_words,
    finding_lines,
    legend_lengths,
    readable_size,
    scale_numbers,
    title_lines,
)
from sdexplain.nodes.maths.pictures.overlay import Appearance
from sdexplain.nodes.maths.pictures.paper import Lengths

LENGTHS = Lengths(512, 1.0)
LONG = "a photo of a large grazing {} on a wide green meadow in front of some distant mountains, golden hour, 85 mm lens"


def signed_heatmap(target: str = "zebra", contrast: str = "horse", images: int = 1) -> Heatmap:
    difference = random_difference(images=images, target_label=target, contrast_label=contrast)
    return make_heatmap(read_map(difference, "channel mean"))


def joined(lines: tuple[str, ...]) -> str:
    return " ".join(lines)


def titles(heatmap: Heatmap) -> str:
    return " ".join(joined(text.lines) for text in title_lines(heatmap, LENGTHS))


def colourfulness(legend: np.ndarray) -> int:
    """The largest distance between a pixel's channels; the letters are nearly grey."""
    return int((legend.max(-1).astype(int) - legend.min(-1)).max())


# ----------------------------------------------------------------------------------------------------------------- words


def test_the_legend_names_both_prompts_and_what_each_colour_means() -> None:
    heatmap = signed_heatmap()
    low, high = end_words(heatmap, LENGTHS, AUTOMATIC)
    assert titles(heatmap) == "“zebra” vs “horse”"
    assert (joined(low.lines), joined(high.lines)) == ("blue: lower mean as “zebra”", "red: higher mean as “zebra”")
    low, high = end_words(heatmap, LENGTHS, "PuOr")
    assert (low.lines[0].split(":")[0], high.lines[0].split(":")[0]) == ("orange", "purple")


def test_an_unsigned_legend_claims_no_side() -> None:
    heatmap = make_heatmap(read_map(random_difference(), "channel norm"))
    low, high = end_words(heatmap, LENGTHS, AUTOMATIC)
    assert (joined(low.lines), joined(high.lines)) == ("clear: no difference", "yellow: predictions differ most")


@pytest.mark.parametrize(
    ("sign", "words", "shares"),
    [
        ("both", ("blue: lower mean as “zebra”", "red: higher mean as “zebra”"), [0, 0.5, 1]),
        ("positive", ("clear: no difference", "red: higher mean as “zebra”"), [0, 1]),
        ("negative", ("blue: lower mean as “zebra”", "clear: no difference"), [0, 1]),
    ],
)
def test_one_sign_alone_has_half_the_bar(sign: str, words: tuple[str, str], shares: list[float]) -> None:
    heatmap = show_only(signed_heatmap(), sign)
    assert tuple(joined(text.lines) for text in end_words(heatmap, LENGTHS, AUTOMATIC)) == words
    assert [share for share, _ in scale_numbers(heatmap, 0)] == shares


def test_the_numbers_are_the_scale_and_say_what_lies_beyond_it() -> None:
    values = torch.tensor([0.0, 1.0, -2.0, 0.5]).view(1, 1, 1, 2, 2)
    heatmap = make_heatmap(read_map(a_difference(-values), "channel mean"), scale=1.25)
    assert scale_numbers(heatmap, 0) == [(0.0, "≤ −1.25"), (0.5, "0"), (1.0, "1.25")]
    unsigned = make_heatmap(read_map(a_difference(values), "channel norm"), percentile=100)
    assert scale_numbers(unsigned, 0) == [(0.0, "0"), (1.0, "2")]


def batch_of(*sizes: float) -> torch.Tensor:
    """One sample of images whose largest value is of these sizes, [1,B,4,6,5]."""
    one = torch.rand(1, 1, 4, 6, 5, generator=torch.Generator().manual_seed(0)) / 2
    one[..., 2, 2] = 1
    return one * torch.tensor(sizes)[None, :, None, None, None]


def test_an_image_that_is_faint_on_the_scale_of_the_batch_says_so() -> None:
    heatmap = make_heatmap(read_map(a_difference(batch_of(1, 1 / 400, 0.5)), "channel mean"), percentile=100)
    found = [" ".join(joined(text.lines) for text in finding_lines(heatmap, image, LENGTHS)) for image in range(3)]
    assert found[1].endswith("One scale for all 3 images; this one reaches 0.25% of it.")
    assert not any("One scale" in found[image] for image in (0, 2))
    legends = [np.asarray(draw_legend(heatmap, image, LENGTHS)) for image in range(3)]
    assert len({legend.shape for legend in legends}) == 1


@pytest.mark.parametrize(
    ("sizes", "settings"), [((1, 1 / 400), {"shared": False}), ((1 / 400,), {"scale": 1.0}), ((1, 0), {}), ((0, 0), {})]
)
def test_nothing_is_said_of_a_scale_of_its_own_a_single_image_or_one_without_difference(
    sizes: tuple[float, ...], settings: dict[str, Any]
) -> None:
    heatmap = make_heatmap(read_map(a_difference(batch_of(*sizes)), "channel mean"), **settings)
    lines = [text for image in range(len(sizes)) for text in finding_lines(heatmap, image, LENGTHS)]
    assert not any("One scale" in joined(text.lines) for text in lines)


def test_each_image_has_the_numbers_of_its_own_scale() -> None:
    heatmap = replace(signed_heatmap(images=2), limits=torch.tensor([10.0, 20.0]))
    assert [scale_numbers(heatmap, image)[-1][1] for image in (0, 1)] == ["10", "20"]


def test_long_prompts_keep_the_word_that_tells_them_apart() -> None:
    heatmap = signed_heatmap(LONG.format("zebra"), LONG.format("horse"))
    for text in end_words(heatmap, LENGTHS, AUTOMATIC):
        assert "zebra" in joined(text.lines)
    title = titles(heatmap)
    assert title.index("zebra") < title.index("vs “") < title.index("horse")


@pytest.mark.parametrize("words", [20, 200])
def test_long_prompts_leave_the_picture_more_than_half_of_its_sheet(words: int) -> None:
    """And break no sentence: where the standard error is unknown, a person should read what gives one."""
    labels = (f"{'a wide green meadow at noon ' * (words // 5)}with a {name} in it" for name in ("zebra", "horse"))
    difference = a_difference(torch.ones(1, 1, 4, 32, 32), target_label=next(labels), contrast_label=next(labels))
    heatmap = make_heatmap(read_map(replace(difference, reading="evidence", weighting="information"), "channel norm"))
    assert draw_legend(heatmap, 0, LENGTHS).height < 0.6 * LENGTHS.width
    told = " ".join(joined(text.lines) for text in finding_lines(heatmap, 0, LENGTHS))
    assert (
        "standard error unknown. Take 4 samples or more at quality exact, or 3 steps or more with fresh noise per step." in told
    )


@pytest.mark.parametrize(
    "label",
    [
        "<img src=x onerror=alert(1)> & \"quotes\" 'single'",
        "\U0001f993\U0001f40e zebra",
        "\u05d6\u05d1\u05e8\u05d4",
        "\u062d\u0645\u0627\u0631 \u0648\u062d\u0634\u064a",
        "two\nlines\r\n\x00\x1b[0m",
        "\u202egnirts",
        "\u6591\u9a6c",
        "",
        " \n ",
        "zebra " * 2000,
        "x" * 10_000,
        "$\\frac{1}{2}$ %s {0} {target}",
    ],
    ids=[
        "html",
        "emoji",
        "hebrew",
        "arabic",
        "control",
        "bidi control",
        "chinese",
        "empty",
        "blank",
        "words",
        "one word",
        "tex",
    ],
)
def test_any_label_is_drawn_as_plain_text_in_characters_that_the_font_has(label: str) -> None:
    heatmap = signed_heatmap(label, label)
    paragraphs = [*title_lines(heatmap, LENGTHS), *end_words(heatmap, LENGTHS, AUTOMATIC)]
    for text in paragraphs:
        assert text.lines and all(text.font.getlength(line) <= LENGTHS.inner for line in text.lines)
        assert all(lettering.draws(text.font, character) for line in text.lines for character in line)
    legend = draw_legend(heatmap, 0, LENGTHS)
    assert legend.width == 512 and legend.height < 300
    assert np.asarray(legend).min() < 60


def test_markup_emoji_and_right_to_left_words_appear_as_they_should() -> None:
    assert "“<b>zebra</b> [zebra face]”" in titles(signed_heatmap("<b>zebra</b> \U0001f993"))
    assert titles(signed_heatmap("\u05d6\u05d1\u05e8\u05d4", "horse")) == "“\u05d4\u05e8\u05d1\u05d6” vs “horse”"
    assert titles(signed_heatmap("", "horse")) == "an unnamed prompt vs “horse”"


# ------------------------------------------------------------------------------------------------------------------- bar


@pytest.mark.parametrize("colour_map", [AUTOMATIC, "PRGn"])
def test_the_bar_shows_the_overlays_colours_over_white(colour_map: str) -> None:
    bar = torch.from_numpy(np.array(draw_bar(signed_heatmap(), 201, 3, Appearance(colour_map, 0.6)))) / 255
    assert torch.allclose(bar[1, 100], torch.ones(3), atol=0.01), "0 is clear"
    for column, level in ((0, -1.0), (200, 1.0)):
        expected = 0.4 + 0.6 * colours(torch.tensor(level), True, colour_map)
        assert torch.allclose(bar[1, column], expected, atol=0.01)


def test_the_bar_of_one_sign_starts_clear() -> None:
    positive, negative = (np.array(draw_bar(show_only(signed_heatmap(), s), 50, 1)) for s in ("positive", "negative"))
    assert (positive[0, 0] == 255).all() and (negative[0, -1] == 255).all()
    assert positive[0, -1, 0] > positive[0, -1, 2] and negative[0, 0, 2] > negative[0, 0, 0], "red, and blue"


# --------------------------------------------------------------------------------------------------------- no difference


def test_no_difference_is_said_and_has_no_bar() -> None:
    nothing = make_heatmap(read_map(a_difference(torch.zeros(1, 1, 4, 6, 5)), "channel mean"))
    something = np.asarray(draw_legend(signed_heatmap(), 0, LENGTHS))
    legend = np.asarray(draw_legend(nothing, 0, LENGTHS))
    assert colourfulness(legend) < 30 < 100 < colourfulness(something)
    assert legend.min() < 60, "words"


def test_an_image_without_difference_among_others_has_a_legend_of_the_same_size() -> None:
    difference = random_difference(images=2)
    difference.values[:, 1] = 0
    heatmap = make_heatmap(read_map(difference, "channel mean"))
    sheet = add_legend(torch.full((2, 512, 512, 3), 0.5), heatmap)
    assert colourfulness((255 * sheet[0].numpy()).astype(int)) > 100
    assert colourfulness((255 * sheet[1].numpy()).astype(int)) < 30


# ----------------------------------------------------------------------------------------------------------------- sizes


def test_findings_of_any_length_leave_the_legends_of_a_batch_one_size() -> None:
    """The total, what it lacks and how many cells are reliable: none, one line or two."""
    heatmap = replace(
        signed_heatmap(images=3),
        totals=("Whole picture: 4 ± 2 nats for “zebra”", "one two three four five six seven eight nine ten " * 3, ""),
        reliability=("", "Beyond 3 standard errors: 412 of 1024 cells (about 3 by chance)", ""),
    )
    legends = [np.asarray(draw_legend(heatmap, image, LENGTHS)) for image in range(3)]
    assert len({legend.shape for legend in legends}) == 1
    lines = [sum(len(text.lines) for text in finding_lines(heatmap, image, LENGTHS)) for image in range(3)]
    assert lines == [1, 3, 0]
    plain = np.asarray(draw_legend(replace(heatmap, totals=(), reliability=()), 0, LENGTHS))
    assert len(legends[0]) > len(plain)


def test_a_total_is_told_whole_with_all_that_it_lacks() -> None:
    """Of two steps in the middle of the schedule: how much is assumed, that the error is unknown, and why."""
    label = "a drawing of a horse in the high grass at noon"
    difference = evidence(torch.rand(1, 1, 4, 4), target_label=label, assumed=torch.full((1,), 10.0))
    (said,) = read_map(difference).totals
    assert "of them assumed, standard error unknown. Take 4 samples" in said and said.endswith(" Quality exact asks there.")
    first, *_ = finding_lines(make_heatmap(read_map(difference)), 0, LENGTHS)
    assert " ".join(first.lines) == said


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((64, 64), (512, 512)),
        ((256, 256), (512, 512)),
        ((1024, 1024), (1024, 1024)),
        ((512, 2048), (512, 2048)),
        ((320, 480), (341, 512)),
        ((768, 192), (1024, 256)),
        ((2000, 100), (2000, 100)),
        ((2, 1), (1024, 512)),
    ],
)
def test_small_pictures_are_enlarged_to_be_read_and_no_further(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert readable_size(*size) == drawn


@pytest.mark.parametrize(("height", "width"), [(512, 512), (300, 1600), (1024, 256), (2000, 100)])
def test_the_picture_stands_unchanged_above_the_legend(height: int, width: int) -> None:
    pictures = torch.rand(2, height, width, 3)
    sheet = add_legend(pictures, signed_heatmap(images=2))
    left = (sheet.shape[2] - width) // 2
    assert sheet.shape[2] == max(width, 512)
    assert torch.equal(sheet[:, :height, left : left + width], pictures)
    assert (sheet[:, :height, :left] == 1).all() and (sheet[:, :height, left + width :] == 1).all()
    assert sheet[:, height:].min() < 0.3


def test_letters_grow_with_the_picture_but_not_with_a_panoramas_width() -> None:
    assert legend_lengths(512, 512).unit == 1
    assert legend_lengths(1024, 1024).unit == 2
    assert legend_lengths(256, 4096).unit == 1
    assert legend_lengths(64, 64).unit == 1
    assert legend_lengths(256, 4096).inner < 1000 < 4096
