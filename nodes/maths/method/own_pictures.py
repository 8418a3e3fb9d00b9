"""What a model made of pictures such as it was made for: the scale on which another picture is familiar to it or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

SHARES = (0.01, 0.1, 0.5, 0.9, 0.99)
"""The quantiles that are kept of a model's own pictures; its limits are reckoned from the outer two at each end."""


@dataclass(frozen=True)
class OwnPictures:
    """What a model's own held-out pictures gave: pictures such as it was made for, and that it was not trained on."""

    count: int
    """How many there were."""
    levels: tuple[float, float]
    """The range of log SNR that they were measured over."""
    ratios: tuple[float, ...]
    """The quantiles SHARES of their ratios, see `Familiarity`."""
    structures: tuple[float, ...]
    """The quantiles SHARES of how much there is in them, see `Familiarity`."""

    def __post_init__(self) -> None:
        for name in ("ratios", "structures"):
            values = getattr(self, name)
            if len(values) != len(SHARES) or not 0 < values[0] or sorted(values) != list(values) or not values[-1] < math.inf:
                raise ValueError(
                    f"The {name} of the model's own pictures are {list(values)}; expected the {len(SHARES)} quantiles "
                    f"{', '.join(map(str, SHARES))}, rising and above 0. Measure them again."
                )

    @property
    def limit(self) -> float:
        """The ratio that about one in a thousand of them exceeds."""
        return beyond(self.ratios[-2], self.ratios[-1])

    @property
    def structure_limits(self) -> tuple[float, float]:
        """Between these lies how much there is in all but about two in a thousand of them."""
        return beyond(self.structures[1], self.structures[0]), beyond(self.structures[-2], self.structures[-1])


def beyond(common: float, rare: float) -> float:
    """As far beyond the 99 % quantile as that lies beyond the 90 %, in logarithms: the 99.9 % of an exponential tail."""
    return rare**2 / common
