"""A folder or a table of labelled pictures is read as it is; odd files are left out with a clear word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sdexplain.training.own_pictures import reading
from sdexplain.training.own_pictures.pictures import PictureSet, evenly


def picture(file: Path, size: tuple[int, int] = (16, 16), mode: str = "RGB", seed: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        for number in range(10):
            picture(tmp_path / name / f"{number}.png", seed=number)
    return tmp_path


def test_a_folder_for_each_class_is_split_alike_every_time(folder: Path) -> None:
    pictures = reading.read(folder, test_share=0.2)
    assert pictures.classes == ("cat", "dog")
    assert [sum(item.label == label for item in pictures.held_out) for label in (0, 1)] == [2, 2]
    assert len(pictures.train) == 16 and not pictures.notes
    assert reading.read(folder, test_share=0.2) == pictures != reading.read(folder, seed=1, test_share=0.2)


def test_what_was_trained_on_is_never_held_out_again(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A picture that is added changes who is held out: of those, none that a training has seen before counts."""
    work = tmp_path_factory.mktemp("work")
    before = reading.read(folder)
    assert reading.keep_apart(before, reading.trained_on(work)) == before
    reading.note_trained(before, work)
    for number in range(10, 15):
        picture(folder / "cat" / f"{number}.png", seed=number)
    plain = reading.read(folder)
    used = {item.file for item in before.train}
    assert used & {item.file for item in plain.held_out}
    after = reading.keep_apart(plain, reading.trained_on(work))
    assert after.held_out and not used & {item.file for item in after.held_out} and "trained on" in after.notes[-1]
    assert {item.file for item in after.items} == {item.file for item in plain.items}


def test_given_splits_are_kept(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("test", 2)):
        for name in ("a_b", "c"):
            for number in range(count):
                picture(tmp_path / split / name / f"{number}.png")
    pictures = reading.read(tmp_path)
    assert pictures.classes == ("a b", "c")
    assert {item.file.parts[-3] for item in pictures.held_out} == {"test"}
    assert (len(pictures.train), len(pictures.held_out)) == (6, 4)


def test_a_class_may_be_called_train(folder: Path) -> None:
    for number in range(5):
        picture(folder / "train" / f"{number}.png")
    pictures = reading.read(folder)
    assert pictures.classes == ("cat", "dog", "train") and len(pictures.items) == 25 and not pictures.notes


def test_splits_without_classes_are_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / split / "0.png")
    with pytest.raises(ValueError, match="two or more"):
        reading.read(tmp_path)


def test_a_table_names_file_label_and_split(tmp_path: Path) -> None:
    lines = ["file,label,split"]
    for number, split in enumerate(["train", "train", "test", ""]):
        for name in ("x", "y"):
            picture(tmp_path / f"{name}{number}.png")
            lines.append(f"{name}{number}.png,{name},{split}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    pictures = reading.read(tmp_path / "table.csv")
    assert sorted(item.file.name for item in pictures.held_out) == ["x2.png", "y2.png"]


def test_odd_files_are_left_out_or_taken_with_a_word(folder: Path) -> None:
    picture(folder / "cat" / "wide.png", (40, 20))
    picture(folder / "cat" / "grey.png", mode="L")
    picture(folder / "dog" / "clear.png", mode="RGBA")
    (folder / "dog" / "broken.jpg").write_bytes(b"no picture at all")
    (folder / "dog" / "notes.txt").write_text("hello")
    (folder / "bird").mkdir()
    picture(folder / "loose.png")
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "dog" / "film.gif", save_all=True, append_images=frames[1:])
    pictures = reading.read(folder)
    told = "\n".join(pictures.notes)
    for words in (
        "bird has no pictures",
        "broken.jpg",
        "notes.txt",
        "Grey pictures: 1.",
        "alpha channel: 1.",
        "several frames: 1.",
        "in no class's folder: loose.png.",
        "2 different",
    ):
        assert words in told
    assert pictures.classes == ("cat", "dog") and len(pictures.items) == 24
    film = next(item.file for item in pictures.items if item.file.suffix == ".gif")
    assert reading.load(film).getpixel((0, 0)) == (255, 0, 0)
    stacked, labels = PictureSet(pictures.items, 8).stack()
    assert stacked.shape == (24, 3, 8, 8) and len(labels) == 24


def test_a_truncated_picture_is_broken(folder: Path) -> None:
    whole = picture(folder / "cat" / "half.png", (64, 64)).read_bytes()
    (folder / "cat" / "half.png").write_bytes(whole[: len(whole) // 2])
    assert any("half.png" in note and "can't be read" in note for note in reading.read(folder).notes)


@pytest.mark.parametrize(("names", "words"), [((), "two or more"), (("cat",), "two or more")], ids=["no class", "one class"])
def test_less_than_two_classes_are_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    for name in names:
        picture(tmp_path / name / "0.png")
    with pytest.raises(ValueError, match=words):
        reading.read(tmp_path)


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        reading.read(tmp_path / "nothing")


def test_a_table_with_an_unknown_split_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("file,label,split\na.png,x,perhaps\n")
    with pytest.raises(ValueError, match="line 2.*perhaps"):
        reading.read(tmp_path / "table.csv")


def test_a_picture_is_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a CSV table"):
        reading.read(picture(tmp_path / "a.png"))


def test_few_pictures_are_chosen_evenly_from_all_classes(folder: Path) -> None:
    items = reading.read(folder).train
    chosen = [items[index].label for index in evenly(items, 6)]
    assert chosen.count(0) == chosen.count(1) == 3
