"""Fields of newer ComfyUIs: used where the host knows them, left out where it does not."""

from __future__ import annotations

import dataclasses
import inspect
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sdexplain.tools.client import Client


@dataclasses.dataclass
class OldSchema:
    node_id: str
    inputs: list[Any]


@dataclasses.dataclass
class NewSchema(OldSchema):
    search_aliases: list[str] = dataclasses.field(default_factory=list)
    has_intermediate_output: bool = False


@pytest.mark.parametrize("known", [OldSchema, NewSchema])
def test_what_the_host_does_not_know_is_left_out(comfy_host: Path, monkeypatch: pytest.MonkeyPatch, known: type) -> None:
    from sdexplain.nodes.inputs import schema

    monkeypatch.setattr(schema, "io", SimpleNamespace(Schema=known))
    made = schema.schema(node_id="a", inputs=[], search_aliases=["b"], has_intermediate_output=True)
    assert made == (OldSchema("a", []) if known is OldSchema else NewSchema("a", [], ["b"], True))


@pytest.mark.parametrize("known", [OldSchema, NewSchema])
def test_a_misspelt_field_is_not_swallowed(comfy_host: Path, monkeypatch: pytest.MonkeyPatch, known: type) -> None:
    from sdexplain.nodes.inputs import schema

    monkeypatch.setattr(schema, "io", SimpleNamespace(Schema=known))
    with pytest.raises(TypeError, match="search_alias"):
        schema.schema(node_id="a", inputs=[], search_alias=["b"])


def test_inputs_are_advanced_only_where_inputs_can_be(comfy_host: Path) -> None:
    from sdexplain.nodes.inputs.schema import schema

    old, new, plain = (
        SimpleNamespace(id="old"),
        SimpleNamespace(id="new", advanced=None),
        SimpleNamespace(id="plain", advanced=None),
    )
    schema(node_id="a", inputs=[old, new, plain], advanced=["old", "new"])
    assert not hasattr(old, "advanced") and new.advanced and not plain.advanced


def test_every_node_is_found_by_other_words_where_the_host_searches_them(comfyui: Client, comfy_host: Path) -> None:
    from comfy_api.latest import io

    known = {field.name for field in dataclasses.fields(io.Schema)}
    nodes = {name: node for name, node in comfyui.object_info().items() if name.startswith("SDExplain")}
    for name, node in nodes.items():
        assert bool(node.get("search_aliases")) == ("search_aliases" in known), name
    if "has_intermediate_output" in known:
        assert nodes["SDExplainExplore"]["has_intermediate_output"]
    if "search_aliases" in known:
        assert {name for name in nodes if "explain" in nodes[name]["search_aliases"]} >= {"SDExplainHeatmap", "SDExplainVerdict"}


def test_only_inputs_that_are_there_are_called_advanced(comfyui: Client) -> None:
    """A host that knows the field carries it on exactly these; an older one on none."""
    heatmap = comfyui.object_info("SDExplainHeatmap")["SDExplainHeatmap"]["input"]
    folded = {name for group in heatmap.values() for name, (_, *rest) in group.items() if rest and rest[0].get("advanced")}
    assert folded in (set(), {"percentile", "background", "interpolation"})


# --------------------------------------------------------------------------------------------------------- shared inputs


def test_shared_inputs_come_in_the_order_that_they_are_asked_for(comfy_host: Path) -> None:
    from sdexplain.nodes.inputs.shared import SHARED, shared

    names = list(SHARED)[::-1]
    assert [given.id for given in shared(*names)] == names
    first, again = shared("opacity")[0], shared("opacity")[0]
    assert first is not again, "a node that changes its own would change all"


def test_values_are_carried_by_the_dataclass_with_fields_of_their_names(comfy_host: Path) -> None:
    """Optional inputs that an older workflow lacks keep the field's default, which is the input's."""
    from sdexplain.nodes.inputs.shared import collect, shared
    from sdexplain.nodes.maths.method.choices import Quantity, Scaling

    given = {"scale": 2.0, "weighting": "uniform", "percentile": 90.0, "reading": "evidence"}
    quantity, scaling = collect(given, Quantity, Scaling)
    assert quantity == Quantity("evidence", "uniform", "channel norm")
    assert scaling == Scaling(percentile=90.0, scale=2.0)
    for optional in shared("reliability", "threshold"):
        assert optional.optional and getattr(scaling, optional.id) == optional.default


def test_an_input_that_nothing_takes_is_named(comfy_host: Path) -> None:
    from sdexplain.nodes.inputs.shared import collect
    from sdexplain.nodes.maths.method.choices import Quantity

    with pytest.raises(TypeError, match="Nothing takes the inputs opactiy, sign; expected some of reading, scalar, weighting"):
        collect({"opactiy": 1, "sign": "both"}, Quantity)
    with pytest.raises(TypeError, match="weighting"):
        collect({"reading": "evidence"}, Quantity)


def test_what_a_scaling_carries_is_what_a_heatmap_takes(comfy_host: Path) -> None:
    from sdexplain.nodes.maths.method.choices import Scaling
    from sdexplain.nodes.maths.method.heatmap import make_heatmap

    taken = {name: each.default for name, each in inspect.signature(make_heatmap).parameters.items() if name != "map"}
    assert dataclasses.asdict(Scaling()) == taken
