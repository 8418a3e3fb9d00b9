"""Deletion and insertion, where it is known which places the answer rests on."""

from __future__ import annotations

import pytest
import torch
from sdexplain.nodes.maths.answers.faithfulness import (
    Covering,
    Curves,
    cover,
    first_places,
    measure,
    plain,
    region_labels,
    region_means,
)
from sdexplain.nodes.maths.method.map import Map
from sdexplain.nodes.maths.pictures.faithfulness_plot import faithfulness_report, faithfulness_sheet
from torch import Tensor

SIZE = 32
SMALL = Covering("grey", regions=4, shares=8, random_orders=20)


def a_map(values: Tensor, signed: bool = True) -> Map:
    rows, columns = values.shape[-2:]
    words = {"positive": "for", "negative": "against", "quantity": "a map", "noun": "map", "unit": "nats", "source": "made up"}
    return Map(
        values=values.reshape(-1, rows, columns),
        signed=signed,
        target_label="cat",
        contrast_label="dog",
        latent_size=(rows, columns),
        downscale=SIZE // rows,
        floor=0.0,
        **words,
    )


def weights() -> Tensor:
    """How much each of 4×4 regions speaks for the cat: five do, two for the dog, the rest says nothing."""
    out = torch.zeros(16)
    out[[1, 6, 8, 13, 15]] = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0])
    out[[0, 3]] = -1.0
    return out.view(4, 4)


def linear(pictures: Tensor) -> Tensor:
    """A judge that adds up brightness over grey, region by region."""
    return (region_means(pictures.mean(-1) - 0.5, region_labels((SIZE, SIZE), 4)) * weights().flatten()).sum(1)


WHITE = torch.ones(1, SIZE, SIZE, 3)


def test_the_right_order_takes_the_answer_away_as_fast_as_any_can() -> None:
    """The judge is linear in the regions, so the curves are sums of the sorted weights."""
    curves = measure(WHITE, a_map(weights()), linear, SMALL)
    ordered = weights().flatten().sort(descending=True).values / 2
    lost = torch.cat([torch.zeros(1), ordered.cumsum(0)])[::2]
    torch.testing.assert_close(curves.insertion[0], lost, atol=1e-5, rtol=0)
    torch.testing.assert_close(curves.deletion[0], ordered.sum() - lost, atol=1e-5, rtol=0)
    assert curves.gain(0) > curves.random_interval(0)[1] and "finds what the answer rests on" in curves.sentence(0)


def test_the_opposite_map_is_worse_than_chance_and_a_random_one_is_no_better() -> None:
    assert "worse than chance" in measure(WHITE, a_map(-weights()), linear, SMALL).sentence(0)
    generator = torch.Generator().manual_seed(3)
    sentences = [measure(WHITE, a_map(torch.randn(4, 4, generator=generator)), linear, SMALL).sentence(0) for _ in range(20)]
    assert sum("no better than a random order" in sentence for sentence in sentences) >= 16


def test_random_orders_gain_nothing_on_average() -> None:
    gains = measure(WHITE, a_map(weights()), linear, Covering("grey", 4, 8, 200)).random_gains(0)
    assert abs(float(gains.mean())) < 3 * float(gains.std()) / 200**0.5


def test_where_the_picture_speaks_for_the_contrast_the_map_is_read_from_its_other_end() -> None:
    """The same map and the opposite answer: what speaks for the dog is covered first."""
    curves = measure(WHITE, a_map(weights()), lambda pictures: -linear(pictures), SMALL)
    other = measure(WHITE, a_map(-weights()), lambda pictures: -linear(pictures), SMALL)
    assert curves.gain(0) < 0 < other.gain(0)
    dark = measure(torch.zeros_like(WHITE), a_map(-weights()), linear, SMALL)
    assert "finds" in dark.sentence(0)


def test_a_batch_is_its_pictures_and_the_seed_decides_the_random_orders() -> None:
    maps = torch.stack([weights(), -weights()])
    batch = measure(WHITE.expand(2, -1, -1, -1), a_map(maps), linear, SMALL)
    torch.testing.assert_close(batch.deletion[:1], measure(WHITE, a_map(maps[0]), linear, SMALL).deletion)
    again, other = (measure(WHITE, a_map(weights()), linear, Covering("grey", 4, 8, 5, seed)).random_deletion for seed in (0, 1))
    assert torch.equal(again, measure(WHITE, a_map(weights()), linear, Covering("grey", 4, 8, 5)).random_deletion)
    assert not torch.equal(again, other)


def test_an_answer_that_nothing_changes_has_no_areas() -> None:
    curves = measure(WHITE, a_map(weights()), lambda pictures: torch.zeros(len(pictures)), SMALL)
    assert not curves.decided(0) and "nothing can be said" in curves.sentence(0) and curves.mean_gain != curves.mean_gain


def test_covers_and_regions() -> None:
    picture = torch.rand(30, 45, 3, generator=torch.Generator().manual_seed(0))
    labels = region_labels((30, 45), 4)
    assert labels.max() == 4 * 6 - 1 and len(labels.unique()) == 24
    assert (cover(picture, "grey") == 0.5).all()
    torch.testing.assert_close(cover(picture, "mean colour")[3, 4], picture.mean((0, 1)))
    assert cover(picture, "blur").std() < 0.3 * picture.std()
    order = torch.randperm(24)
    half = first_places(labels, order, 0.5)
    assert torch.equal(half, torch.isin(labels, order[:12])) and not first_places(labels, order, 0.0).any()
    shown = plain("grey")(picture)(torch.stack([half, ~half]))
    assert torch.equal((shown == 0.5).all(-1), torch.stack([half, ~half])) and torch.equal(shown[0][~half], picture[~half])
    with pytest.raises(ValueError, match="painted by a diffusion model"):
        plain("inpainted")


def test_a_coverer_of_ones_own_is_asked_for_every_place() -> None:
    """It paints covered places white where all is white already: no order changes anything."""
    curves = measure(
        WHITE, a_map(weights()), linear, SMALL, lambda picture: lambda places: picture.expand(len(places), -1, -1, -1)
    )
    torch.testing.assert_close(curves.deletion, curves.deletion[:, :1].expand_as(curves.deletion))


@pytest.mark.parametrize(
    "wrong", [{"cover": "black"}, {"regions": 1}, {"shares": 17, "regions": 4}, {"random_orders": 2}, {"shares": 1}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Covering(**wrong)


def test_more_shares_than_regions_of_a_small_picture_are_refused() -> None:
    small = torch.ones(1, 3, 3, 3)
    with pytest.raises(ValueError, match="9 regions, fewer than the 16 shares"):
        measure(small, a_map(torch.rand(3, 3)), lambda pictures: torch.zeros(len(pictures)), Covering("grey", 8, 16, 3))


def test_the_sheet_and_the_report_say_it_for_everyone_who_was_asked() -> None:
    map = a_map(weights())
    judged: dict[str, Curves] = {name: measure(WHITE, map, linear, SMALL) for name in ("Classifier small", "Diffusion model")}
    sheet = faithfulness_sheet(WHITE, map, judged, SMALL)
    assert sheet.shape[0] == 1 and sheet.shape[2] == 1024 and sheet.min() < 0.2
    text = faithfulness_report(map, judged)
    assert text.count("finds what the answer rests on") == 2 and "area of deletion" in text
