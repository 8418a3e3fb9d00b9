"""Measure how true this pack's maps are: a known answer, twins, other methods, their cost, and where the maps fail.

`python benchmarks/truth.py` asks the bundled model about held-out scenes (about two hours of one processor core), then
writes tables (CSV, Markdown) and figures (PNG). Stopped, it goes on where it was; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: give it its place in the package (PEP 366)
    sys.path.append(str(ROOT.parent))
    __package__ = f"{ROOT.name}.benchmarks"
    importlib.import_module(__package__)
    importlib.import_module(f"{ROOT.name}.demo.environment").enter(__file__)

from .collect import collect  # noqa: E402
from .questions import Extent, Setting, fingerprint_of, parts  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="which held-out scenes, and which noise")
    parser.add_argument("--scenes", type=int, default=200, help="scenes a pair to report on; each is drawn as both classes")
    parser.add_argument("--choice-scenes", type=int, default=40, help="other scenes a pair, to choose ranges and defaults by")
    parser.add_argument("--deep-scenes", type=int, default=10, help="scenes a pair to report on with 16 noise samples")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--output", type=Path, default=ROOT / "output" / "truth", help="answers, tables and figures")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes, of one thread each")
    parser.add_argument("--collect-only", action="store_true", help="ask the model and write no tables")
    options = parser.parse_args()
    setting = Setting(options.model, options.steps, fingerprint_of(options.model))
    extent = Extent(options.scenes, options.choice_scenes, options.deep_scenes, options.seed)
    collect(setting, parts(extent), options.output / "answers", options.workers)


if __name__ == "__main__":
    main()
