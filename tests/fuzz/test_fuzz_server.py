"""Every input of every node in a real server, given whatever can be given:
each run ends right or in words, and the server lives."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable

import pytest
from sdexplain.tools.client import ComfyUIError, Run
from sdexplain.tools.trials import contract
from sdexplain.tools.trials.contract import WordlessClient
from sdexplain.tools.trials.graphs import Info, around, pack_nodes
from sdexplain.tools.trials.values import MISSING, Trial, trials_of

LONGEST = 5
"""Seconds until a run counts as large, and is cancelled."""
TRIALS = 120
"""That many of all trials are tried by default, evenly spread over them."""


def attempt(client: WordlessClient, info: Info, tried: list[Trial]) -> tuple[str, list[str]]:
    """How a run with these trials on one node ended, and what is wrong with that."""
    name = tried[0].node
    changes = {trial.given.name: trial.value for trial in tried if trial.value is not MISSING}
    removed = tuple(trial.given.name for trial in tried if trial.value is MISSING)
    ended = contract.outcome(client, around(name, info, changes, removed), LONGEST)
    found = contract.complaints(ended, info[name], [trial.given for trial in tried])
    wrong = [f"{' + '.join(map(str, tried))}: {complaint}" for complaint in found]
    for complaint in wrong:
        logging.warning(complaint)  # at once: a long run need not be waited for
    return type(ended).__name__, wrong


def test_every_input_at_and_past_its_limits(client: WordlessClient, info: Info, factor: int, tell: Callable[[str], None]) -> None:
    trials = [trial for name in pack_nodes(info) for trial in trials_of(name, info)]
    chosen = random.Random(0).sample(trials, min(len(trials), TRIALS * factor))
    ends, wrong = Counter[str](), list[str]()
    for trial in chosen:
        end, complaints = attempt(client, info, [trial])
        ends[end] += 1
        wrong += complaints
    tell(f"{len(chosen)} of {len(trials)} trials: {dict(ends)}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(chosen)}", *wrong])


def test_several_inputs_at_once(client: WordlessClient, info: Info, factor: int, tell: Callable[[str], None]) -> None:
    chance, ends, wrong = random.Random(1), Counter[str](), list[str]()
    for number in range(30 * factor):
        names = pack_nodes(info)
        by_input: dict[str, list[Trial]] = {}
        for trial in trials_of(names[number % len(names)], info):
            by_input.setdefault(trial.given.name, []).append(trial)
        inputs = chance.sample(sorted(by_input), min(len(by_input), chance.randint(2, 4)))
        end, complaints = attempt(client, info, [chance.choice(by_input[given]) for given in inputs])
        ends[end] += 1
        wrong += complaints
    tell(f"{sum(ends.values())} runs: {dict(ends)}")
    assert not wrong, "\n".join(wrong)


def test_the_contract_tells_good_errors_from_bad_ones(info: Info) -> None:
    (opacity,) = (trial.given for trial in trials_of("SDExplainHeatmap", info) if str(trial).endswith("opacity: min"))
    assert not contract.wrong_words("The opacity is nan; expected 0 to 1.", [opacity])
    assert contract.wrong_words("The opacity is nan.", [opacity])
    assert contract.wrong_words("Something is wrong; expected 0 to 1.", [opacity])


@pytest.mark.parametrize("ended", [ComfyUIError("x"), Run("1")], ids=["error", "result"])
def test_the_contract_sees_what_is_wrong(ended: ComfyUIError | Run, info: Info) -> None:
    """A wrong picture and a wordless error are both found."""
    facts = {"shapes": [[1, 8, 8, 3]], "finite": False, "lowest": 0.0, "highest": 2.0, "value": None}
    if isinstance(ended, Run):
        ended = Run("1", [], {"report 0": {"facts": [facts]}})
    assert contract.complaints(ended, {"output": ["IMAGE"], "output_name": ["picture"], "output_tooltips": ["a picture"]}, [])
