from pathlib import Path
from typing import Any

import pytest

from flux_watcher.expected import BadKit, kit_of, load_kit, same_version

CATALOGUE = Path(__file__).parents[3] / "deploy" / "kit" / "catalogue.yaml"


def row(name: str, *needs: str, tier: str = "mandatory") -> dict[str, Any]:
    return {"name": name, "namespace": name, "tier": tier, "dependsOn": list(needs), "chart": {"version": "1.0.0"}}


def test_the_kit_of_this_repository_is_a_set_in_dependency_order() -> None:
    names = load_kit(CATALOGUE).expected().names
    assert len(names) == 12
    assert names[0] == "bp-cilium"
    assert names[-1] == "bp-catalyst-platform"


def test_dependencies_come_first_whatever_the_order_of_the_file() -> None:
    kit = kit_of({"components": [row("c", "b"), row("b", "a"), row("a")]})
    assert kit.expected().names == ("a", "b", "c")


def test_an_optional_component_is_expected_with_what_it_needs_once_it_is_chosen() -> None:
    kit = kit_of({"components": [row("a"), row("bp-x", "y", tier="optional"), row("y", tier="optional")]})
    assert kit.expected().names == ("a",)
    assert set(kit.expected(["x"]).names) == {"a", "bp-x", "y"}
    with pytest.raises(BadKit, match="not in the kit"):
        kit.expected(["nothing"])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"components": [row("a", "b"), row("b", "a")]}, "cycle among a, b"),
        ({"components": [row("a", "ghost")]}, "a depends on ghost"),
        ({"components": [row("a"), row("a")]}, "twice"),
        ({"components": [{"name": "a"}]}, "incomplete"),
        ({"components": []}, "no components"),
        ([], "no components"),
    ],
)
def test_a_kit_that_cannot_be_expected_is_an_error_before_anything_boots(raw: Any, why: str) -> None:
    with pytest.raises(BadKit, match=why):
        kit_of(raw)


def test_versions_are_compared_without_their_decoration() -> None:
    assert same_version("1.1.3+32359d0f97a6", "1.1.3")
    assert same_version("v1.21.2", "1.21.2")
    assert not same_version("1.21.2", "1.21.3")
    assert not same_version("", "")
