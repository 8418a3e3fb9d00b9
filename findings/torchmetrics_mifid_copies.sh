#!/usr/bin/env bash
# The memorisation-informed FID of TorchMetrics 1.9.0 (PyPI), of a model that copies its training pictures.
#
# A good guess: FID is divided by how far a generated picture is on average from the nearest training picture, as Bai et al.
# (2021) and the Kaggle contest it comes from define it. If all generated pictures are copies, that is 0, and MIFID is immense.
# What happens: the two are exchanged. It takes how far a training picture is from the nearest generated one, on average over the
# training pictures (_compute_cosine_distance in torchmetrics/image/mifid.py, given the real features first). With more training
# pictures than generated ones, the usual case, most training pictures have no copy, the distance is above the limit of 0.1, and
# there is no penalty at all. With fewer, there is one as soon as every training picture was hit once.
# Seen: 100 generated pictures are copies of 100 of 1,000 training pictures. By the definition the distance is 0; MIFID is the
# FID. Handed over the other way round it is more than a thousand million times as large. Of 1,000 generated pictures 100 are
# copies of 100 training pictures, and the average distance is above 0.1; MIFID is more than a thousand million times the FID.
# Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torch import Tensor
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance

LIMIT = 0.1


def mifid(real: Tensor, generated: Tensor) -> float:
    """MIFID of pictures that are their own features."""
    metric = MemorizationInformedFrechetInceptionDistance(feature=torch.nn.Flatten(), cosine_distance_eps=LIMIT)
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return float(metric.compute())


def fid(real: Tensor, generated: Tensor) -> float:
    """The Frechet distance of two normal distributions with the means and covariances of the pictures."""
    one, other = real.flatten(1).double(), generated.flatten(1).double()
    mixed = torch.linalg.eigvals(one.T.cov() @ other.T.cov()).real.clamp_min(0).sqrt().sum()
    return float((one.mean(0) - other.mean(0)).square().sum() + one.T.cov().trace() + other.T.cov().trace() - 2 * mixed)


def defined(real: Tensor, generated: Tensor) -> float:
    """How far a generated picture is from the nearest training picture, on average."""
    cosines = torch.nn.functional.cosine_similarity(generated.flatten(1)[:, None], real.flatten(1)[None], dim=2)
    return float((1 - cosines.abs()).amin(1).mean())


pictures = torch.randn(1_900, 16, 1, 1, generator=torch.Generator().manual_seed(0))
many, few = pictures[:1_000], pictures[:100]
mixed = torch.cat((few, pictures[1_000:]))
print(f"TorchMetrics {version('torchmetrics')}")
far, near = 1e9, 1e-5
copied, exchanged, plain = mifid(many, few), mifid(few, many), fid(many, few)
print(f"all of 100 are copies from 1,000: distance {defined(many, few):.3f}, FID {plain:.3f}, MIFID {copied:.3f}")
print(f"the same, handed over the other way round: MIFID {exchanged:.3g}")
tenth, tenth_plain = mifid(few, mixed), fid(few, mixed)
print(f"100 of 1,000 are copies from 100: distance {defined(few, mixed):.3f}, FID {tenth_plain:.3f}, MIFID {tenth:.3g}")
unseen = defined(many, few) < near and abs(copied / plain - 1) < 0.001 and exchanged > far * plain
false_alarm = defined(few, mixed) > LIMIT and tenth > far * tenth_plain
sys.exit(not (unseen and false_alarm))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
