"""What a person chooses of a map: what its numbers are, and how far its colours reach."""

from __future__ import annotations

from dataclasses import dataclass

from .difference import Reading, Weighting
from .reliability import Reliability
from .scalar import Scalar


@dataclass(frozen=True)
class Quantity:
    """What the numbers of a map are: see `sum_steps` for the first two, `read_map` for the last."""

    reading: Reading
    weighting: Weighting
    scalar: Scalar = "channel norm"


WHERE_THEY_DIFFER = Quantity("information", "uniform")
EVIDENCE_IN_NATS = Quantity("evidence", "information")


@dataclass(frozen=True)
class Scaling:
    """Which values of a map are shown, and which of them in full colour: what `make_heatmap` takes beside the map."""

    percentile: float = 99.5
    scale: float = 0.0
    shared: bool = True
    reliability: Reliability = "all"
    threshold: float = 3.0


AUTOMATIC_SCALE = Scaling()
