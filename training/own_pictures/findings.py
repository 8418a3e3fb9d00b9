"""What is measured on a finished model: verdicts on held-out pictures, the temperature of its log-odds, and familiarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from ...nodes.maths.method.familiarity import measure_prompts
from ...nodes.maths.method.own_pictures import SHARES, OwnPictures
from .. import about
from ..familiarity import TIMESTEPS as FAMILIARITY_TIMESTEPS
from ..familiarity import summary
from ..finished import PROMPT, Model
from ..intervals import Interval, share
from ..temperature import fit_temperature, log_loss
from ..tokenizer import words_of
from .pictures import PictureSet, to_model_range
from .subjects import TEMPLATES
from .verdicts import Scores

FEWEST_FOR_TEMPERATURE = 20  # log-odds


@dataclass(frozen=True)
class Findings:
    """What the report says and what is saved with the model."""

    scores: Scores
    temperature: float | None
    """Fitted on every second picture; None if there are too few."""
    calibration: tuple[float, float] | None
    """The log loss of the other pictures' log-odds in nats, before and after the division by the temperature."""
    own: OwnPictures | None

    @property
    def right(self) -> Interval:
        """How many verdicts are right, with the exact interval."""
        return share(self.scores.right)

    @property
    def doubt(self) -> str:
        """That the verdicts may be guesses, "" if they are surely better."""
        return doubt(self.right, self.scores.nats.shape[1])


def doubt(right: Interval, classes: int) -> str:
    """What is said behind the share of right answers among so many classes: "" if it is surely more than guessing."""
    guess = ": that may be guessing. Train longer, or with more pictures, before you believe its maps"
    return guess if right.guess(classes) else ""


def measure(scores: Scores, own: OwnPictures | None) -> Findings:
    """The temperature is fitted on one half of the pictures and judged on the other."""
    fitted, judged = (scores.part(slice(start, None, 2)).log_odds() for start in (0, 1))
    if min(len(fitted), len(judged)) < FEWEST_FOR_TEMPERATURE:
        return Findings(scores, None, None, own)
    temperature = fit_temperature(fitted)
    losses = log_loss(judged), log_loss(judged, temperature)
    return Findings(scores, temperature, losses, own)


def own_pictures(folder: Path, pictures: PictureSet, indices: Sequence[int], classes: Sequence[str]) -> OwnPictures | None:
    """Familiarity of held-out pictures, each under its own class, as `training.familiarity` measures the bundled model's.

    None if it can't be measured, or if the model is no better than smoothing: its own pictures are then no scale for others.
    """
    model, found = Model(folder), []
    for index in tqdm(indices, "measuring familiarity", unit="picture"):
        picture, label = pictures[index]
        noised = model.noise(model.encode(to_model_range(picture[None])), index, FAMILIARITY_TIMESTEPS)
        found.append(measure_prompts(noised, [model.predict(noised, FAMILIARITY_TIMESTEPS, PROMPT.format(classes[label]))]))
    unknown = all(one.ratios is None for one in found) or min(float(one.structure.min()) for one in found) <= 0
    own = None if unknown else summary(found)
    return own if own and own.ratios[SHARES.index(0.5)] < 1 else None


def save(folder: Path, findings: Findings, classes: Sequence[str]) -> None:
    """Write into the model's folder what the nodes use: temperature, familiarity, and the words that it was taught."""
    entries: dict[str, object] = {"vocabulary": words_of(TEMPLATES, classes)}
    if findings.temperature is not None:
        entries["temperature"] = round(findings.temperature, 3)
    if findings.own is not None:
        entries["familiarity"] = asdict(findings.own)
    about.write(folder, **entries)
