"""What a model's folder says is read with clear errors, and goes where the MODEL goes without changing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ENTRY = {"count": 40, "ratios": [0.2, 0.22, 0.3, 0.36, 0.4], "structures": [0.15, 0.2, 0.3, 0.4, 0.5]}


@pytest.fixture
def about(comfy_host: Path) -> Any:
    from sdexplain.nodes.host.loading import about_model

    return about_model


def write(folder: Path, **content: Any) -> Path:
    (folder / "sdexplain.json").write_text(json.dumps({"version": 1} | content))
    return folder


def test_a_folder_without_the_file_says_nothing(about: Any, tmp_path: Path) -> None:
    assert about.read(tmp_path) is None


def test_what_stands_in_the_file_is_read(about: Any, tmp_path: Path) -> None:
    levels = list(about.LEVELS)
    read = about.read(write(tmp_path, familiarity=ENTRY | {"levels": levels}, temperature=9.5, vocabulary=["a", "zebra"]))
    assert read.own_pictures.ratios == tuple(ENTRY["ratios"]) and read.own_pictures.count == 40
    assert read.temperature == 9.5 and read.vocabulary == {"a", "zebra"}
    assert about.read(write(tmp_path)) == about.AboutModel()


def test_quantiles_over_other_levels_are_left_out(about: Any, tmp_path: Path) -> None:
    assert about.read(write(tmp_path, familiarity=ENTRY | {"levels": [-1, 1]})).own_pictures is None


@pytest.mark.parametrize(
    "content",
    [{"version": 2}, {"familiarity": {}}, {"familiarity": ENTRY | {"levels": 3}}, {"temperature": 0}, {"temperature": "hot"}],
)
def test_a_file_that_cannot_be_read_is_named(about: Any, tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="sdexplain.json can't be read"):
        about.read(write(tmp_path, **content))


def test_the_bundled_model_says_it_knows_its_pictures_and_words(about: Any) -> None:
    from sdexplain.nodes.host.loading.folders import BUNDLED_FOLDER

    read = about.read(BUNDLED_FOLDER)
    assert read.own_pictures.count >= 100 and read.own_pictures.limit < 0.7
    assert {"horse", "zebra", "taxi"} <= read.vocabulary and "cat" not in read.vocabulary


def test_it_goes_with_clones_but_not_with_patched_weights_and_leaves_the_digest(about: Any, tmp_path: Path) -> None:
    import torch
    from comfy.model_patcher import ModelPatcher
    from families import FAMILIES, build
    from sdexplain.nodes.host import fingerprint

    model = build(FAMILIES[0])
    assert isinstance(model, ModelPatcher) and about.about_model(model) == about.AboutModel()
    before = fingerprint.of_model(model)
    about.attach(model, write(tmp_path, temperature=2.0))
    assert fingerprint.of_model(model) == before
    clone = model.clone().clone()
    assert about.about_model(clone).temperature == 2
    name = next(iter(model.model.state_dict()))
    clone.add_patches({name: (torch.zeros(1),)})
    assert about.about_model(clone) == about.AboutModel()
