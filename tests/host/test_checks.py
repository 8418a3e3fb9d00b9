"""What the nodes refuse before they run, wherever it comes from."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("comfy_host")


def given(name: str, optional: bool = False) -> Any:
    from comfy_api.latest import io

    kinds = {
        "steps": io.Int.Input("steps", min=1, max=1000),
        "opacity": io.Float.Input("opacity", display_name="strength of the colour", min=0.0, max=1.0),
        "any number": io.Float.Input("any number"),
        "label": io.String.Input("label"),
        "legend": io.Boolean.Input("legend"),
        "reading": io.Combo.Input("reading", options=["a", "b"]),
        "image": io.Image.Input("image", optional=optional),
    }
    return kinds[name]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 0, "a whole number from 1 to 1000"),
        ("steps", 1001, "a whole number from 1 to 1000"),
        ("steps", 2.5, "a whole number from 1 to 1000"),
        ("steps", "many", "a whole number from 1 to 1000"),
        ("steps", None, "a whole number from 1 to 1000"),
        ("opacity", math.nan, "a number from 0.0 to 1.0"),
        ("opacity", -0.1, "a number from 0.0 to 1.0"),
        ("any number", math.inf, "a number from -inf to inf"),
        ("label", 3, "text of whole characters"),
        ("label", "zebra \ud83e", "text of whole characters"),
        ("legend", "maybe", "true or false"),
        ("reading", 3, "one of its choices, as text"),
        ("image", 3, "a link of type IMAGE"),
    ],
)
def test_what_an_input_does_not_take_is_refused_by_its_name(name: str, value: Any, expected: str) -> None:
    from sdexplain.nodes.inputs.checks import check

    shown = "strength of the colour" if name == "opacity" else name
    with pytest.raises(ValueError, match=f"The input {shown} is .*; expected {expected}. Change it"):
        check(given(name), value)


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 1), ("steps", 1000), ("opacity", 1), ("any number", -3.5), ("label", ""), ("label", "🦓 \x00")]
)
def test_what_an_input_takes_passes(name: str, value: Any) -> None:
    from sdexplain.nodes.inputs.checks import check

    check(given(name), value)


def test_only_an_optional_input_may_be_open() -> None:
    from sdexplain.nodes.inputs.checks import check

    check(given("image", optional=True), None)
    check(given("image"), object())
    with pytest.raises(ValueError, match="image"):
        check(given("image", optional=True), "a name")


def test_a_checked_node_runs_as_before() -> None:
    from sdexplain.nodes.example_picture import ExamplePicture
    from sdexplain.nodes.inputs.checks import checked

    before = ExamplePicture.execute(class_name="rat", seed=1, size=64)

    class Checked(ExamplePicture):
        pass

    node = checked(Checked)
    assert node.execute(class_name="rat", seed=1, size=64)[3] == before[3] == "rat"
    assert node.execute("rat", 1, 64)[3] == "rat"
    with pytest.raises(ValueError, match="The input size is 63"):
        node.execute(class_name="rat", seed=1, size=63)
