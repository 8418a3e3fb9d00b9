"""All methods on the same pictures: what is counted how, on records whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sdexplain.benchmarks import attributions_table
from sdexplain.benchmarks.ground_truth.all_methods import FINISHES, NAMES, OURS
from sdexplain.benchmarks.ground_truth.subjects import differs_from_nearest

pytestmark = pytest.mark.slow  # diffusers and scikit-learn


def record(split: str, scale: float, area: float) -> dict[str, object]:
    """A picture whose every map finds 0.6 of the truth, information 0.9 and occlusion 0.8, with one area for all maps."""
    found = {"information": 0.9, "occlusion": 0.8}
    truth = {name: dict.fromkeys(FINISHES, (found.get(name, 0.6), 0.5)) for name in NAMES}
    areas = {"whole": scale, "nothing": 0.0} | {name: [area, 1 - area] for name in NAMES}
    alike = {name: dict.fromkeys(OURS, found.get(name, 0.1)) for name in NAMES}
    said = {"classifier": areas, "diffusion": areas | {"whole": scale - 2}}
    return {"split": split, "truth": truth, "agreement": alike, "areas": said}


RECORDS = [record("choice", 1, 0.5), *(record("report", scale, area) for scale, area in ((3.0, 0.2), (1.0, 0.6)) * 5)]


def test_a_picture_counts_in_an_area_by_what_covering_it_takes_away() -> None:
    found, weights = attributions_table.values(RECORDS)
    auroc, _, deletion, insertion, *_ = attributions_table.weighted(found["information"], weights)
    assert auroc.value == pytest.approx(0.9) and deletion.value == pytest.approx((3 * 0.2 + 0.6) / 4)
    assert insertion.value == pytest.approx(1 - deletion.value) and deletion.low < deletion.value < deletion.high
    found["information"][0, 2] = np.nan
    kept = attributions_table.weighted(found["information"], weights)[2].value
    assert kept == pytest.approx((12 * 0.2 + 5 * 0.6) / 17)


def test_our_best_is_chosen_on_other_pictures_and_held_against_the_best_attribution() -> None:
    table = attributions_table.leads("drawings", RECORDS)
    first, third = table.rows[0], table.rows[2]
    assert first[2:5] == ["information", "occlusion", "ahead"] and third[4] == "not apart"


def test_a_map_is_compared_with_our_best_and_both_are_asked_what_they_see() -> None:
    last = {row[1]: row[-1].value for row in attributions_table.methods("drawings", RECORDS).rows}
    assert last["occlusion"] == pytest.approx(0.8) and last["random"] == pytest.approx(0.1)
    (*_, of_classifier), (*_, of_diffusion) = attributions_table.answers("drawings", RECORDS).rows
    assert of_classifier.value == 1 and of_diffusion.value == 0.5


def test_the_rows_of_other_data_stay_in_the_file(tmp_path: Path) -> None:
    for data in ("drawings", "digits", "drawings"):
        attributions_table.methods(data, RECORDS).among_others(tmp_path).write_csv(tmp_path)
    lines = (tmp_path / "attributions.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["data", *["drawings"] * len(NAMES), *["digits"] * len(NAMES)]


def test_the_truth_of_a_digit_is_where_it_differs_from_the_nearest_of_the_other_class() -> None:
    shown = torch.zeros(3, 8, 8, dtype=torch.uint8)
    near = shown.clone()
    near[:, 2:4, 5] = 200
    others = torch.stack([near, near, near, torch.full_like(shown, 255)])
    truth = differs_from_nearest(shown, others)
    assert truth.sum() == 2 and truth[2:4, 5].all()
