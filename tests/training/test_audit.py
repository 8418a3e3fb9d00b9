"""An audit finds the place where a classifier looks and the data does not, goes on after a stop, and writes page and tables."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sdexplain.nodes.maths.method.classifier import Classifier
from sdexplain.nodes.maths.method.preprocessing import Preprocessing
from sdexplain.training import audit
from sdexplain.training.auditing import gallery, grouping, kept, maps
from sdexplain.training.finished import Model
from sdexplain.training.own_pictures.pictures import PictureSet
from sdexplain.training.own_pictures.reading import LabelledPicture
from torch import Tensor, nn

SIZE, REGIONS = 16, 4
CORNER = 3  # row 1, column 4


class CornerNetwork(nn.Module):
    """Says "b" where the upper right corner is bright; its last layer keeps places."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(SIZE // REGIONS)

    def forward(self, x: Tensor) -> Tensor:
        bright = self.cells(x).mean(1)[:, 0, -1]
        return torch.stack([5 - 10 * bright, 10 * bright - 5], 1)


@pytest.fixture
def corner() -> Classifier:
    plain = Preprocessing((SIZE, SIZE), (SIZE, SIZE), mean=(0, 0, 0), std=(1, 1, 1))
    return Classifier(CornerNetwork().eval(), ("a", "b"), plain, "corner")


@pytest.fixture
def auditor(corner: Classifier, monkeypatch: pytest.MonkeyPatch) -> maps.Auditor:
    """The data's map is the same everywhere but in the lower left corner, where there is nothing."""
    known = torch.ones(SIZE, SIZE)
    known[12:, :4] = 0
    monkeypatch.setattr(maps.Auditor, "ask_model", lambda self, picture, names, seed: (known, 1.0))
    return maps.Auditor(corner, Model(Path("nowhere")), REGIONS)


def picture(bright: bool, seed: int) -> Tensor:
    values = torch.randint(0, 6, (3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    if bright:
        values[:, :4, 12:] = 255
    return values


def test_the_region_that_decides_is_found(auditor: maps.Auditor) -> None:
    dark = torch.stack([picture(False, seed) for seed in (1, 2, 3)])
    answer = auditor(picture(True, 0), 1, dark, 0)
    assert (answer.called, answer.other, answer.region, answer.changed) == (1, 0, CORNER, 1.0)
    assert answer.classifier_nats > 0 and 0.5 < answer.parted <= 1
    np.testing.assert_allclose([answer.classifier_map.sum(), answer.data_map.sum()], 1, rtol=1e-5)


def test_a_replaced_region_that_does_not_matter_changes_nothing(auditor: maps.Auditor) -> None:
    bright = torch.stack([picture(True, seed) for seed in (1, 2)])
    assert auditor.change(picture(True, 0), 1, bright, CORNER) == 0
    assert auditor.change(picture(True, 0), 1, 0 * bright, region=0) == 0


def answer(**changes: Any) -> maps.Answer:
    even = np.full((8, 8), 1 / 64)
    values = {"label": 0, "called": 0, "other": 1, "classifier_nats": 1.0, "data_nats": 1.0}
    values |= {"classifier_map": even, "data_map": even, "region": 0, "changed": 1.0}
    return maps.Answer(**(values | changes))


def test_maps_agree_wholly_or_not_at_all() -> None:
    left, right = np.zeros((8, 8)), np.zeros((8, 8))
    left[:, :4], right[:, 4:] = 1 / 32, 1 / 32
    assert answer(classifier_map=left, data_map=left).parted == 0
    assert answer(classifier_map=left, data_map=left).agreement(2) == pytest.approx(1)
    assert answer(classifier_map=left, data_map=right).parted == 1
    assert answer(classifier_map=left, data_map=right).agreement(2) == pytest.approx(-1)
    assert answer().agreement(2) == 0


@pytest.mark.parametrize(
    ("regions", "changed", "expected"),
    [([5] * 18 + [1, 2], 1.0, True), ([5] * 18 + [1, 2], 0.1, False), ([5] * 11 + [1] * 9, 1.0, False)],
    ids=["always there, and decisive", "decides nothing", "no more often than chance allows"],
)
def test_only_a_place_that_comes_back_and_decides_is_conspicuous(regions: list[int], changed: float, expected: bool) -> None:
    (group,) = grouping.group([answer(region=region, changed=changed) for region in regions], 4)
    assert (group.region, group.conspicuous) == (5, expected)


def test_groups_are_those_of_the_called_class() -> None:
    found = grouping.group([answer(region=2)] * 3 + [answer(called=1, other=0, region=7)] * 2, 4)
    assert {(one.called, one.region, one.pictures) for one in found} == {(0, 2, 3), (1, 7, 2)}


def test_regions_cover_every_pixel_once() -> None:
    counted = np.zeros((10, 10))
    for region in range(9):
        counted[maps.window(region, 3, 10)] += 1
    assert (counted == 1).all()


def test_answers_are_kept_until_the_settings_change(tmp_path: Path) -> None:
    store = kept.Answers(tmp_path / "answers", {"classifier": "1"})
    store.put(7, answer(region=3))
    again = kept.Answers(tmp_path / "answers", {"classifier": "1"})
    assert again.has(7) and not again.has(8)
    assert again.get(7).region == 3 and again.get(7).classifier_map.shape == (8, 8)
    assert not kept.Answers(tmp_path / "answers", {"classifier": "2"}).has(7)


def test_page_and_tables_begin_with_the_largest_disagreement(tmp_path: Path) -> None:
    import pandas

    items = []
    for number in range(3):
        Image.fromarray(np.full((8, 8, 3), 80 * number, np.uint8)).save(tmp_path / f"{number}.png")
        items.append(LabelledPicture(tmp_path / f"{number}.png", 0, True))
    apart = np.zeros((8, 8))
    apart[0, 0] = 1
    answers = {0: answer(), 1: answer(classifier_map=apart), 2: answer()}
    gallery.write(tmp_path, answers, PictureSet(items, 8), ("a", "<b>"), ("c", "m"), 2)
    frame = pandas.read_parquet(tmp_path / "audit.parquet")
    assert Path(frame["file"][0]).name == "1.png" and frame["parted"].is_monotonic_decreasing
    assert list(pandas.read_csv(tmp_path / "audit.csv")["called"]) == ["a"] * 3
    with (tmp_path / "regions.csv").open() as stream:
        assert [row["called"] for row in csv.DictReader(stream)] == ["a"]
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "not &lt;b&gt;" in page and page.count("<figure>") == 3


def test_pictures_of_other_classes_are_lent(tmp_path: Path) -> None:
    items = []
    for number in range(6):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
        items.append(LabelledPicture(tmp_path / f"{number}.png", number % 2, True))
    lent = audit.others(PictureSet(items, 8), list(range(6)), 0)
    assert sorted(lent[:, 0, 0, 0].tolist()) == [1, 3, 5]
    assert torch.equal(lent, audit.others(PictureSet(items, 8), list(range(6)), 0))
