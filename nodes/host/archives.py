"""Where files of noise predictions lie: below ComfyUI's input and output folders, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

ENDING = ".safetensors"


def list_archives() -> dict[str, Path]:
    """The safetensors files below the input and the output folder, by name; the latter's end in " [output]", as ComfyUI has it.

    Links that lead out of these folders are left out.
    """
    folders = {"": folder_paths.get_input_directory(), " [output]": folder_paths.get_output_directory()}
    found = {}
    for mark, folder in folders.items():
        for root, subfolders, names in os.walk(folder):
            subfolders.sort()
            for file in (Path(root, name) for name in sorted(names) if name.endswith(ENDING)):
                if file.is_file() and is_inside(file, folder):
                    found[file.relative_to(folder).as_posix() + mark] = file
    return found


def find_archive(name: str) -> Path:
    """The path of a listed file; any other file is refused.

    Raises:
        ValueError: any other name.
    """
    file = list_archives().get(str(name).removesuffix(" [input]"))
    if file is None:
        raise ValueError(
            f"There is no file {name!r} below ComfyUI's input and output folders. "
            "Choose one of the list; press R to see new ones."
        )
    return file


def new_archive(prefix: str) -> Path:
    """The path of a new, numbered file below the output folder, which is made where it is missing.

    Raises:
        ValueError: a prefix that is empty, leads out of the output folder, or can't be a file's name.
    """
    output = folder_paths.get_output_directory()
    remedy = "Choose a name like predictions/zebra, below ComfyUI's output folder."
    try:
        if Path(prefix).name in ("", ".."):
            raise ValueError("it has no file name")
        if not is_inside(Path(output, prefix), output):
            raise ValueError("it leads out of the output folder")
        folder, name, counter, _, _ = folder_paths.get_save_image_path(prefix, output)
        if not is_inside(Path(folder, name), output):
            raise ValueError("it leads out of the output folder")
    except (ValueError, OSError) as error:
        raise ValueError(f"The filename_prefix {prefix[:80]!r} can't be used: {error}. {remedy}") from error
    return Path(folder, f"{name}_{counter:05}_{ENDING}")


def is_inside(path: Path, folder: str | Path) -> bool:
    """Whether a path lies below a folder, links and dots followed to where they lead."""
    return path.resolve().is_relative_to(Path(folder).resolve())
