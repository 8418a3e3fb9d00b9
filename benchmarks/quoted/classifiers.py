"""docs/classifiers.md: attributions of a classifier beside the maps, planted marks, and models of one's own pictures."""

from __future__ import annotations

from .results import Figure, Results
from .writing import number, percent, share_with_interval, table, with_interval

AGREEMENT = "agreement with ours"
ATTRIBUTED = ("drawings", "digits", "photographs")
AREAS = ("deletion, classifier", "insertion, classifier", "deletion, diffusion", "insertion, diffusion")
MARKED_DATA = {"digits": "handwritten digits, ten classes", "photos": "photographs, four classes"}


def all_methods(data: str) -> Figure:
    """Every method on the pictures of one kind, a row each."""

    def found(results: Results) -> str:
        columns = ("AUROC", "IoU", *AREAS, AGREEMENT)
        rows = [
            [row["map"], *(with_interval(row, column) for column in columns)] for row in results.where("attributions", data=data)
        ]
        return table(["map", *columns], rows)

    return found


def not_ahead(data: str) -> Figure:
    """On which measures our best map is not surely ahead of the best attribution, with the lead."""

    def found(results: Results) -> str:
        rows = [row for row in results.where("attributions_leads", data=data) if row["says"] != "ahead"]
        said = [
            f"{row['measure']} ({row['says']}: {with_interval(row, 'lead')} against {row['best attribution']})" for row in rows
        ]
        return "; ".join(said) or "none"

    return found


def of_attributions(data: str, column: str) -> Figure:
    return lambda results: results.where("attributions" if column == "pictures" else "attributions_leads", data=data)[0][column]


def answer_of(data: str, who: str) -> Figure:
    """For how many pictures the classifier, or the diffusion model, prefers the label that is explained."""
    return lambda results: share_with_interval(results.row("attributions_answers", data=data, **{"of the": who}), "for the label")


def marks(results: Results) -> str:
    """The trials with planted marks: what an audit finds after a training with a mark, and after a clean one."""
    shares = ("named first", "caught", "false alarms", "caught, and unknown to the data", "false alarms, unknown to the data")
    rows = [
        [
            MARKED_DATA[row["data"]],
            percent(row["accuracy"], 0),
            f"{row['learned']} of {row['marked']}",
            *(share_with_interval(row, column) for column in shares),
        ]
        for row in results.rows("classifier_audit")
        if row["data"] in MARKED_DATA
    ]
    head = (
        *("pictures", "right after a clean training", "learned the mark", "named first", "caught", "false alarms"),
        *("caught, and the data's model says no", "false alarms, and the data's model says no"),
    )
    return table(head, rows)


def marks_at(results: Results) -> str:
    """What both maps, and the model's own answers, say of a mark."""
    columns = (
        "flips",
        "clean flips",
        "overlap",
        "told before",
        "data follows",
        "classifier's share at the mark",
        "data's share at the mark",
        "area",
    )
    rows = [
        [MARKED_DATA[row["data"]], *(percent(row[column], 0) for column in columns)]
        for row in results.rows("classifier_audit")
        if row["data"] in MARKED_DATA
    ]
    head = (
        *("pictures", "answers that the place turns", "the same after a clean training", "overlap of place and mark"),
        *(
            "the data's model tells the pictures apart",
            "its answers that the place turns",
            "classifier's map at the mark",
            "data's map at the mark",
            "area of the mark",
        ),
    )
    return table(head, rows)


def own_photos(classes: str) -> Figure:
    """How many verdicts on held-out photographs are right, out of these classes."""
    return lambda results: share_with_interval(results.row("own_training_photos", classes=classes), "right")


def own_curve(name: str) -> Figure:
    """How the verdicts on some held-out pictures got better while a model was trained."""

    def found(results: Results) -> str:
        rows = [
            [number(row["minutes"], 0), row["steps"], row["judged"], share_with_interval(row, "right")]
            for row in results.rows(f"own_curve_{name}")
        ]
        return table(["minutes", "steps", "held-out pictures asked about", "right"], rows)

    return found


def own_verdicts(results: Results) -> str:
    """How many held-out digits each calls right, with exact intervals."""
    said: dict[str, dict[str, str]] = {}
    for row in results.rows("own_verdicts"):
        interval = f"{percent(row['right'])} of {row['pictures']} [{percent(row['right low'])}, {percent(row['right high'])}]"
        said.setdefault(row["classes"], {})[row["of the"]] = interval
    rows = [[classes, of["diffusion model"], of["classifier"]] for classes, of in said.items()]
    return table(["out of", "diffusion model", "classifier"], rows)


def own_digits(column: str) -> Figure:
    return lambda results: results.row("own_training_digits", classes="all")[column]


def own_digits_interval(results: Results) -> str:
    row = results.row("own_training_digits", classes="all")
    return f"{percent(row['right low'])} to {percent(row['right high'])}"
