"""An audit finds the place where a classifier looks and the data does not, goes on after a stop, and writes page and tables."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sdexplain.nodes.maths.method.classifier import Classifier
from sdexplain.nodes.maths.method.preprocessing import Preprocessing
from sdexplain.training import audit, digests
from sdexplain.training.auditing import gallery, kept, maps, transplant
from sdexplain.training.auditing.transplant import Finding, Transplants
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
        return torch.stack([6 - 10 * bright, 10 * bright - 6], 1)


class WholeNetwork(nn.Module):
    """Says "b" where the whole picture is bright."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x.mean((1, 2, 3))
        return torch.stack([0.2 - bright, bright - 0.2], 1)


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


def pictures(share: float, count: int = 80) -> tuple[Tensor, Tensor]:
    """Dark pictures of "a" and "b", of which this share of "b" has the bright corner."""
    labels = torch.arange(count) % 2
    shown = [picture(bool(label) and number < share * count, number) for number, label in enumerate(labels)]
    return torch.stack(shown), labels


@pytest.fixture
def marked(corner: Classifier) -> Transplants:
    return Transplants(corner, *pictures(0.95))


@pytest.fixture
def bright(marked: Transplants) -> Finding:
    """What is found for "b"; that "a" has nothing there decides as well."""
    return next(one for one in marked.find() if one.called == 1)


def test_an_audit_says_where_the_pictures_are_too_few(bright: Finding) -> None:
    """Of five pictures even five flips are not surely more than half."""
    few = replace(bright, **{name: getattr(bright, name)[:5] for name in ("flipped", "control", "elsewhere")})
    assert gallery.verdict(few) == "Too few pictures to tell: 5 were counted."
    assert bright.tells and not few.tells and not few.conspicuous


def rows(right: int, count: int = 28) -> list[dict[str, Any]]:
    shared = {"label": "a", "called": "a", "other": "b", "right": True}
    return [shared | {"data_nats": 1.0 if number < right else -1.0} for number in range(count)]


def test_an_audit_says_who_may_be_guessing() -> None:
    assert "no evidence" in gallery.model_words(rows(15)) and "54 %" in gallery.model_words(rows(15))
    assert "no evidence" not in gallery.model_words(rows(26))
    wrong = [row | {"called": "b", "other": "a", "right": False} for row in rows(26)]
    assert "7 %" in gallery.model_words(wrong)  # it agrees with the classifier, which is wrong
    assert gallery.model_words([row | {"label": "c", "right": False} for row in rows(1)]) == ""
    assert "guessing" in gallery.classifier_words(rows(3)[:2], 4) and "guessing" not in gallery.classifier_words(rows(28), 4)


def test_a_window_that_decides_is_found_and_made_no_larger_than_it_need_be(bright: Finding) -> None:
    area = bright.place.mask(SIZE)
    assert bright.conspicuous and bright.flips.value > 0.9 and not bright.control.any()
    assert area[:4, 12:].sum() == area.sum() == 16
    assert not bright.unknown_to_data  # before the data's model is asked


def test_a_classifier_that_goes_by_no_single_place_has_none(corner: Classifier) -> None:
    whole = Classifier(WholeNetwork().eval(), *(getattr(corner, name) for name in ("classes", "preprocessing", "name")))
    labels = torch.arange(80) % 2
    shown = (100 * labels[:, None, None, None]).expand(-1, 3, SIZE, SIZE).to(torch.uint8)
    assert not any(one.conspicuous for one in Transplants(whole, shown, labels).find())


def test_pictures_too_few_for_pairs_have_no_place_that_decides(corner: Classifier) -> None:
    shown, labels = pictures(0.95)
    two = [int((labels == label).nonzero()[0]) for label in (0, 1)]
    assert Transplants(corner, shown[two], labels[two]).find() == []


def test_what_any_other_picture_does_as_well_is_not_conspicuous(bright: Finding) -> None:
    """Classifiers that are unsure answer otherwise whatever is put in."""
    assert not replace(bright, control=bright.flipped).conspicuous
    assert not replace(bright, elsewhere=bright.flipped).conspicuous
    assert not replace(bright, flipped=bright.flipped & (np.arange(len(bright.flipped)) % 4 == 0)).conspicuous


@pytest.mark.parametrize(("follows", "unknown"), [(False, True), (True, False)])
def test_it_is_no_difference_of_the_data_if_its_model_does_not_follow(
    marked: Transplants, bright: Finding, follows: bool, unknown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_odds(model: Model, pictures: Tensor, names: tuple[str, str]) -> Tensor:
        assert names == ("b", "a")
        return pictures[:, 0, 0, -1].float() - 100 if follows else torch.full((len(pictures),), -1.0)

    monkeypatch.setattr(transplant, "log_odds", log_odds)
    asked = marked.ask_data(bright, Model(Path("nowhere")))
    assert asked.data is not None and (asked.data.value > 0.9) == follows and asked.unknown_to_data == unknown


def test_windows_and_frame_cover_the_picture_and_pairs_are_of_two_classes(marked: Transplants) -> None:
    covered = sum(place.mask(SIZE).int() for place in transplant.candidates(SIZE))
    assert covered.min() >= 2 and transplant.Place(0, 0, SIZE, 2).mask(SIZE).sum() == SIZE**2 - (SIZE - 4) ** 2
    pairs = marked.pairs(1, marked.halves[0], 1000)
    assert (marked.labels[pairs.donors] == 1).all() and (marked.labels[pairs.receivers] == 0).all()
    assert len(set(pairs.receivers)) == len(pairs.receivers) == 20


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
    files = [Path(__file__), Path(audit.__file__)]
    assert digests.of_files(files) == digests.of_files(files) != digests.of_files(files[::-1])


def test_page_and_tables_begin_with_what_matters_most(tmp_path: Path, marked: Transplants, bright: Finding) -> None:
    import pandas

    items = []
    for number in range(3):
        Image.fromarray(np.full((8, 8, 3), 80 * number, np.uint8)).save(tmp_path / f"{number}.png")
        items.append(LabelledPicture(tmp_path / f"{number}.png", 0, True))
    apart = np.zeros((8, 8))
    apart[0, 0] = 1
    answers = {0: answer(), 1: answer(classifier_map=apart), 2: answer()}
    findings = [bright, replace(bright, asked=32, followed=np.zeros(30, bool))]
    marked.classifier = replace(marked.classifier, classes=("a", "<b>"))
    gallery.write(tmp_path, answers, PictureSet(items, 8), ("c", "m"), 2, marked, findings)
    frame = pandas.read_parquet(tmp_path / "audit.parquet")
    assert Path(frame["file"][0]).name == "1.png" and frame["parted"].is_monotonic_decreasing
    assert list(pandas.read_csv(tmp_path / "audit.csv")["called"]) == ["a"] * 3
    with (tmp_path / "regions.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [(row["called"], row["unknown to data"]) for row in table] == [("<b>", "False"), ("<b>", "True")]
    assert float(table[0]["flips low"]) <= float(table[0]["flips"]) <= float(table[0]["flips high"])
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "not &lt;b&gt;" in page and page.count("<figure>") == 3
    assert page.count('class="alarm"') == 2 and "told 30 of 32" in page and page.count('class="pairs"') == 2


def test_pictures_of_other_classes_are_lent(tmp_path: Path) -> None:
    items = []
    for number in range(6):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
        items.append(LabelledPicture(tmp_path / f"{number}.png", number % 2, True))
    lent = audit.others(PictureSet(items, 8), list(range(6)), 0)
    assert sorted(lent[:, 0, 0, 0].tolist()) == [1, 3, 5]
    assert torch.equal(lent, audit.others(PictureSet(items, 8), list(range(6)), 0))
