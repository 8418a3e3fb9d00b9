"""Labelled pictures of your own: which files there are, what each shows, and which are held out.

Odd files are no reason to stop: each is left out, or taken as well as it can be, and a note says so in words.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS
from tqdm import tqdm

TRAINING_NAMES = ("train", "training")
HELD_OUT_NAMES = ("test", "val", "valid", "validation", "held_out")
TEST_SHARE = 0.2
TRAINED_ON = "trained_on.txt"
NAMED = 5  # files that a note names at most
SUFFIXES = (*IMG_EXTENSIONS, ".gif", ".jfif", ".avif")
"""Files with other endings are not read; those with one of these are opened to see whether they can be."""


@dataclass(frozen=True)
class LabelledPicture:
    """One file, the number of its class, and whether it is kept from all training."""

    file: Path
    label: int
    held_out: bool


@dataclass(frozen=True)
class Pictures:
    """All pictures that can be used, and what is to be said about the others."""

    classes: tuple[str, ...]
    """The names of the classes as words, in the order of their numbers."""
    items: tuple[LabelledPicture, ...]
    notes: tuple[str, ...]

    @property
    def train(self) -> tuple[LabelledPicture, ...]:
        return tuple(item for item in self.items if not item.held_out)

    @property
    def held_out(self) -> tuple[LabelledPicture, ...]:
        return tuple(item for item in self.items if item.held_out)

    def summary(self) -> str:
        """How many pictures each class has: for training, and held out."""
        counts = Counter((item.label, item.held_out) for item in self.items)
        each = [f"{name}: {counts[n, False]} + {counts[n, True]} held out" for n, name in enumerate(self.classes)]
        return f"{len(self.items)} pictures of {len(self.classes)} classes ({'; '.join(each)})"


@dataclass(frozen=True)
class _Found:
    """A file as the folder or the table names it; held_out is None where nothing is said about it."""

    file: Path
    name: str
    held_out: bool | None


def read(source: Path, seed: int = 0, test_share: float = TEST_SHARE) -> Pictures:
    """Read a folder with a folder for each class, a folder with these in `train` and `test`, or a CSV of file, label and split.

    Where no split is given, `test_share` of each class is held out, the same for the same seed and files.

    Raises:
        ValueError: no such folder or table, less than two classes with pictures, or a class without any for training.
    """
    if not source.exists():
        raise ValueError(f"{source} does not exist. Give a folder with a folder of pictures for each class, or a CSV table.")
    notes: list[str] = []
    found = list(_from_table(source) if source.is_file() else _from_folder(source, notes))
    usable = _checked(found, notes)
    names = _classes(found, usable, notes)
    items = [LabelledPicture(one.file, names[one.name], held_out) for one, held_out in _split(usable, seed, test_share)]
    _require_training(items, list(names), source, notes)
    return Pictures(tuple(words(name) for name in names), tuple(items), tuple(notes))


def trained_on(work: Path) -> set[Path]:
    """The pictures that the training in a folder has used, also before a file was added or taken away; none if it is unknown."""
    file = work / TRAINED_ON
    return {Path(line) for line in file.read_text(encoding="utf-8").splitlines()} if file.exists() else set()


def note_trained(pictures: Pictures, work: Path) -> None:
    """Add the pictures that are trained on to those of the training in a folder."""
    used = trained_on(work) | {item.file.resolve() for item in pictures.train}
    (work / TRAINED_ON).write_text("".join(f"{file}\n" for file in sorted(used)), encoding="utf-8")


def keep_apart(pictures: Pictures, trained: set[Path]) -> Pictures:
    """The same without held-out pictures that were trained on: a file that is added or taken away changes who is held out."""
    known = [item for item in pictures.held_out if item.file.resolve() in trained]
    if not known:
        return pictures
    items = tuple(replace(item, held_out=False) if item in known else item for item in pictures.items)
    files = _named(item.file.name for item in known)
    note = f"Not held out, because they were trained on when the folder had other files: {files}."
    return replace(pictures, items=items, notes=(*pictures.notes, note))


def words(name: str) -> str:
    """A folder's name as a prompt has it: golden_retriever becomes golden retriever."""
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def load(file: Path) -> Image.Image:
    """Open a picture as ComfyUI's Load Image does: upright, the first of several frames, RGB without its alpha channel.

    Raises:
        OSError, ValueError, SyntaxError: what Pillow raises for a file that is broken or not a picture.
    """
    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):
            picture = picture.point(lambda value: value * (1 / 255))
        return picture.convert("RGB")


def _from_table(file: Path) -> Iterator[_Found]:
    try:
        file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a CSV table in UTF-8. Give such a table, or a folder of pictures.") from error
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{file} has the columns {rows.fieldnames}; expected file, label, and split if you like.")
        for row in rows:
            split = (row.get("split") or "").strip().lower()
            if split and split not in TRAINING_NAMES + HELD_OUT_NAMES:
                raise ValueError(f"{file}, line {rows.line_num}: the split is {split!r}; expected train, test or nothing.")
            yield _Found(file.parent / row["file"].strip(), row["label"].strip(), split in HELD_OUT_NAMES if split else None)


def _from_folder(folder: Path, notes: list[str]) -> Iterator[_Found]:
    inside = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    splits = {name: inside[name] for name in TRAINING_NAMES + HELD_OUT_NAMES if name in inside}
    if set(splits) != set(inside):
        splits = {name: entry for name, entry in splits.items() if _has_folders(entry)}
    if set(splits) & set(TRAINING_NAMES):
        others = [entry.name for name, entry in inside.items() if name not in splits]
        if others:
            notes.append(f"Beside {', '.join(splits)}, these folders are not used: {_named(others)}.")
        for name, entry in splits.items():
            has_test = bool(set(splits) & set(HELD_OUT_NAMES))
            yield from _from_class_folders(entry, name in HELD_OUT_NAMES if has_test else None, notes)
    else:
        yield from _from_class_folders(folder, None, notes)


def _has_folders(folder: Path) -> bool:
    """Whether a folder is a split, with a folder for each class; if not it is a class itself, such as locomotives in `train`."""
    return any(entry.is_dir() for entry in folder.iterdir())


def _from_class_folders(folder: Path, held_out: bool | None, notes: list[str]) -> Iterator[_Found]:
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            continue
        files = [file for file in sorted(entry.rglob("*")) if file.is_file() and not file.name.startswith(".")]
        others = [file.name for file in files if file.suffix.lower() not in SUFFIXES]
        if others:
            notes.append(f"{entry.name}: left out, by their endings no pictures that can be read: {_named(others)}.")
        pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
        if not pictures:
            notes.append(f"The folder {entry.relative_to(folder.parent)} has no pictures: it is left out.")
        yield from (_Found(file, entry.name, held_out) for file in pictures)
    beside = [file.name for file in sorted(folder.iterdir()) if file.is_file() and file.suffix.lower() in SUFFIXES]
    if beside:
        notes.append(f"Left out, because they lie in no class's folder: {_named(beside)}.")


def _checked(found: list[_Found], notes: list[str]) -> list[_Found]:
    """Those that can be opened; the notes say which can't, and which are not plain colour pictures."""
    usable, kinds, sizes, broken = [], Counter(), Counter(), []
    for one in tqdm(found, "checking", unit="picture", leave=False):
        try:
            with Image.open(one.file) as opened:
                own = list(_kinds(opened))
                opened.load()
                sizes[opened.size] += 1
        except Exception as error:  # Pillow's readers raise what they like for broken files
            broken.append(f"{one.file.name} ({_reason(error)})")
            continue
        kinds.update(own)
        usable.append(one)
    notes += _notes_on_files(broken, kinds, sizes)
    return usable


def _kinds(picture: Image.Image) -> Iterator[str]:
    """What is odd about an opened picture: alpha, grey, several frames."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        yield "alpha"
    elif picture.mode in ("1", "L", "F") or picture.mode.startswith("I"):
        yield "grey"
    if getattr(picture, "is_animated", False):
        yield "frames"


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return " ".join(str(error).split("'")[0].split()) or type(error).__name__


def _notes_on_files(broken: list[str], kinds: Counter[str], sizes: Counter[tuple[int, int]]) -> Iterator[str]:
    if broken:
        yield f"Left out, because they can't be read: {_named(broken)}."
    if kinds["grey"]:
        yield f"Grey pictures: {kinds['grey']}. Each is taken as three equal channels."
    if kinds["alpha"]:
        yield f"Pictures with an alpha channel: {kinds['alpha']}. It is dropped, as ComfyUI's Load Image drops it."
    if kinds["frames"]:
        yield f"Pictures of several frames: {kinds['frames']}. The first frame is taken."
    if len(sizes) > 1:
        (usual, count), all_of_them = sizes.most_common(1)[0], sizes.total()
        yield (
            f"The pictures have {len(sizes)} different sizes; {count} of {all_of_them} are {usual[0]} × {usual[1]}. "
            "Each is scaled by its shorter side, and its middle is cut out."
        )


def _named(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _classes(found: list[_Found], usable: list[_Found], notes: list[str]) -> dict[str, int]:
    """The number of each class, by the name of its folder; classes that are the same in words are one."""
    kept = {one.name for one in usable}
    for name in sorted({one.name for one in found} - kept):
        notes.append(f"No picture of the class {name!r} can be read: the class is left out.")
    spelled = sorted({words(name) for name in kept})
    return {name: spelled.index(words(name)) for name in sorted(kept, key=lambda name: (words(name), name))}


def _split(usable: list[_Found], seed: int, test_share: float) -> Iterator[tuple[_Found, bool]]:
    """Each file with whether it is held out: as given, else `test_share` of its class, at least one of two."""
    for name in sorted({one.name for one in usable}):
        own = [one for one in usable if one.name == name]
        unsaid = [one for one in own if one.held_out is None]
        order = np.random.default_rng((seed, *name.encode())).permutation(len(unsaid))
        count = min(max(1, round(test_share * len(unsaid))), len(unsaid) - 1) if test_share > 0 else 0
        chosen = {id(unsaid[n]) for n in order[: max(count, 0)]}
        yield from ((one, id(one) in chosen if one.held_out is None else one.held_out) for one in own)


def _require_training(items: list[LabelledPicture], names: list[str], source: Path, notes: list[str]) -> None:
    said = "".join(f"\n- {note}" for note in notes)
    if len({item.label for item in items}) < 2:
        raise ValueError(
            f"{source} has pictures of {len(names)} classes; expected two or more, each in a folder of its own.{said}"
        )
    trained = {item.label for item in items if not item.held_out}
    if missing := [name for name in names if name not in {names[n] for n in trained}]:
        raise ValueError(
            f"{source} has no pictures to train on of {', '.join(missing)}: put some there, or leave the class out.{said}"
        )
    for label, name in enumerate(names):
        if not any(item.held_out for item in items if item.label == label):
            notes.append(f"The class {name!r} has no held-out pictures: no verdict on it is measured.")
