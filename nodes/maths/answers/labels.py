"""The labels that are compared: as a person writes them, as prompts, and which of them are explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LABELS = 20


@dataclass(frozen=True)
class Sides:
    """Which label to explain, and which one to compare it with, by name; an empty name leaves it to the contest."""

    target: str
    contrast: str

    def among(self, labels: Sequence[str]) -> tuple[int | None, int | None]:
        """Their numbers, None for an empty name.

        Raises:
            ValueError: a name that is not a label, or the same label twice.
        """
        sides = choose(self.target, labels, "target"), choose(self.contrast, labels, "contrast")
        check_sides(*sides, labels)
        return sides


def split_labels(text: str) -> list[str]:
    """The labels of a text with one in each line; empty lines do not count.

    Raises:
        ValueError: fewer than 2 labels, too many, or the same one twice.
    """
    labels = [label for line in text.splitlines() if (label := line.strip())]
    check_count(labels)
    twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    if twice is not None:
        raise ValueError(f"The labels contain {twice!r} twice. Leave one of them out: a label can't be compared with itself.")
    return labels


def check_count(labels: Sequence[str]) -> None:
    """Refuse a contest of one label or none, or of too many.

    Raises:
        ValueError: as above.
    """
    if not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(f"The number of labels is {len(labels)}; expected 2 to {MOST_LABELS}, one in each line.")


def fill_template(template: str, labels: Sequence[str]) -> list[str]:
    """The prompt of each label: the template with the label in place of every {}.

    Raises:
        ValueError: a template without {}.
    """
    if "{}" not in template:
        raise ValueError(
            f"The template is {template!r}; expected a prompt with {{}} where the label goes, for example 'a photo of a {{}}'."
        )
    return [template.replace("{}", label) for label in labels]


def choose(name: str, labels: Sequence[str], what: str) -> int | None:
    """The number of the label with this name, or None for an empty name; `what` says which input it came from.

    Raises:
        ValueError: a name that is not a label.
    """
    if not name.strip():
        return None
    if name.strip() not in labels:
        raise ValueError(f"The {what} is {name.strip()!r}; expected one of the labels {', '.join(labels)}, or nothing.")
    return labels.index(name.strip())


def check_sides(target: int | None, contrast: int | None, labels: Sequence[str]) -> None:
    """Refuse a label against itself.

    Raises:
        ValueError: as above.
    """
    if target is not None and target == contrast:
        raise ValueError(
            f"The target and the contrast are both {labels[target]!r}. Choose another label for one of them; an empty target is "
            "the winner, an empty contrast the target's strongest rival."
        )
