"""The catalogue as it is read, and what any selection of it amounts to."""

import json
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts.fit import Size, fit
from contracts.kit import BadKit, Need, kit_of
from contracts.request import Location, Topology

CATALOGUE = Path(__file__).parents[3] / "deploy" / "kit" / "catalogue.yaml"
KIT = kit_of(yaml.safe_load(CATALOGUE.read_text()))
TYPES: list[dict[str, Any]] = json.loads(resources.files("intake").joinpath("cloud.json").read_text())["server_types"]
SIZES = {row["name"]: Size(row["cores"], row["memory_gib"], row["disk_gib"], float(row["monthly"])) for row in TYPES}
MANDATORY = {component.name for component in KIT.mandatory}
chosen = st.lists(st.sampled_from([component.name for component in KIT.components]), unique=True)
topologies = st.builds(
    Topology,
    region=st.sampled_from(get_args(Location)),
    control_plane_type=st.sampled_from(list(SIZES)),
    control_plane_count=st.sampled_from([1, 3]),
    worker_type=st.sampled_from(list(SIZES)),
    worker_count=st.integers(0, 6),
)


def row(name: str, *needs: str, tier: str = "mandatory", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": name,
        "tier": tier,
        "dependsOn": list(needs),
        "chart": {"version": "1.0.0"},
        **more,
    }


@given(chosen)
def test_any_selection_installs_each_component_after_what_it_needs(names: list[str]) -> None:
    selection = [component.name for component in KIT.selection(names)]
    assert {*names, *MANDATORY} <= set(selection)
    for index, name in enumerate(selection):
        assert set(KIT.by_name[name].depends_on) <= set(selection[:index])


@given(chosen)
def test_a_selection_holds_nothing_that_nobody_chose_or_needs(names: list[str]) -> None:
    wanted = {*names, *MANDATORY}
    for component in KIT.selection(names):
        assert component.name in wanted or any(component.name in KIT.needs(name) for name in wanted)


@given(chosen.filter(bool))
def test_leaving_one_out_takes_only_what_nothing_else_needs(names: list[str]) -> None:
    before, after = ({each.name for each in KIT.selection(kept)} for kept in (names, names[1:]))
    gone = before - after
    assert not gone & MANDATORY
    assert gone <= {names[0], *KIT.needs(names[0])}


@given(chosen, st.integers(1, 9))
def test_sizes_add_up(names: list[str], servers: int) -> None:
    whole, alone = KIT.need(names, servers), KIT.need((), servers)
    more = [component for component in KIT.selection(names) if component.tier != "mandatory"]
    for amount in ("cpu", "memory", "disk"):
        of_each = sum(getattr(each.asks, amount) + servers * getattr(each.per_node, amount) for each in more)
        assert getattr(whole, amount) == getattr(alone, amount) + of_each


@given(chosen, topologies)
def test_what_does_not_fit_says_by_how_much_and_what_would(names: list[str], topology: Topology) -> None:
    found = fit(KIT, names, topology, SIZES)
    assert found.fits == (found.lacking == Need())
    assert found.fits != ("lacks" in found.message)
    if not found.fits:
        count, word = found.instead.split(" ")[:2]
        kind = found.instead.rsplit(" ", 1)[1]
        change: dict[str, Any] = (
            {"worker_count": int(count)}
            if count.isdigit()
            else {"worker_type": kind}
            if count == "worker"
            else {"control_plane_type": kind}
        )
        assert word
        assert fit(KIT, names, topology.model_copy(update=change), SIZES).fits


def test_the_default_topology_holds_everything_that_is_recommended_and_the_smallest_server_alone_does_not() -> None:
    recommended = [component.name for component in KIT.components if component.tier == "recommended"]
    assert recommended
    assert fit(KIT, recommended, Topology(region="fsn1"), SIZES).fits
    alone = fit(KIT, (), Topology(region="fsn1", worker_count=0), SIZES)
    assert "with control plane type" in alone.message


def test_whatever_a_mandatory_component_needs_is_mandatory_too() -> None:
    kit = kit_of({"components": [row("a", "b"), row("b", "c", tier="optional"), row("c", tier="optional")]})
    assert {component.name: component.tier for component in kit.components} == dict.fromkeys("abc", "mandatory")


def test_a_name_counts_with_and_without_its_prefix() -> None:
    assert KIT.selection(["harbor"]) == KIT.selection(["bp-harbor"])
    with pytest.raises(BadKit, match="not in the kit"):
        KIT.selection(["nothing"])


def test_dependencies_come_first_whatever_the_order_of_the_file() -> None:
    kit = kit_of({"components": [row("c", "b"), row("b", "a"), row("a")]})
    assert [component.name for component in kit.components] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"components": [row("a", "b"), row("b", "a")]}, "cycle among a, b"),
        ({"components": [row("a", "ghost")]}, "a depends on ghost"),
        ({"components": [row("a"), row("a")]}, "twice"),
        ({"components": [{"name": "a"}]}, "components.0.namespace"),
        ({"components": [row("a", asks={"memory": "a lot"})]}, "components.0.asks.memory"),
        ({"components": [row("a", tier="wished for")]}, "components.0.tier"),
        ({"components": []}, "no components"),
        ([], "no components"),
    ],
)
def test_a_catalogue_that_is_wrong_says_where_before_anything_boots(raw: Any, why: str) -> None:
    with pytest.raises(BadKit, match=why):
        kit_of(raw)
