"""Where to try next when the cloud is full, and what of it stays."""

from decimal import Decimal
from typing import Any

from contracts.request import Topology
from contracts.tofu import TofuRelocated
from tofu_runner.placement import Offer, next_choice, placed

SHARED = ("x86", "shared")


def offer(name: str, cores: int, price: str, *places: str, kind: tuple[str, str] = SHARED) -> Offer:
    return Offer(name, cores, cores * 2.0, kind, {place: Decimal(price) for place in places})


OFFERS = (
    offer("cpx22", 2, "7"),
    offer("cpx32", 4, "14", "fsn1", "nbg1", "ash"),
    offer("cx33", 4, "6", "fsn1", "hel1"),
    offer("cx13", 1, "1", "fsn1", "nbg1"),
    offer("ccx23", 4, "2", "fsn1", kind=("x86", "dedicated")),
    offer("cax21", 4, "2", "fsn1", kind=("arm", "shared")),
)


def topology(fallback: str, **more: Any) -> Topology:
    return Topology.model_validate({"region": "fsn1", "placement_fallback": fallback} | more)


def chosen(fallback: str, *tried: tuple[str, str], may_move: bool = True) -> tuple[str, str] | None:
    found = next_choice(topology(fallback), "control_plane", OFFERS, tried, may_move=may_move)
    return (found.to_type, found.to_location) if found else None


def test_without_permission_nothing_is_chosen() -> None:
    assert chosen("none") is None


def test_the_cheapest_type_of_the_class_that_is_not_smaller_comes_first() -> None:
    assert chosen("type") == ("cx33", "fsn1")
    assert chosen("type", ("cx33", "fsn1")) == ("cpx32", "fsn1")
    assert chosen("type", ("cx33", "fsn1"), ("cpx32", "fsn1")) is None


def test_then_come_the_other_locations_of_the_zone_and_no_others() -> None:
    here = (("cx33", "fsn1"), ("cpx32", "fsn1"))
    assert chosen("location", *here) == ("cx33", "hel1")
    assert chosen("location", *here, ("cx33", "hel1")) == ("cpx32", "nbg1")
    assert chosen("location", *here, ("cx33", "hel1"), ("cpx32", "nbg1")) is None
    assert chosen("location", *here, may_move=False) is None, "what exists is not moved"


def choice(role: str, from_type: str, to_type: str, to_location: str = "fsn1") -> TofuRelocated:
    return TofuRelocated(
        address=role,
        from_type=from_type,
        to_type=to_type,
        from_location="fsn1",
        to_location=to_location,
        reason="full",
    )


def test_choices_stay_until_something_else_is_asked_for() -> None:
    choices = [choice("control_plane", "cpx22", "cx33"), choice("worker", "cpx32", "cpx42", "nbg1")]
    found = placed(topology("location"), choices)
    assert (found.control_plane_type, found.worker_type, found.region) == ("cx33", "cpx42", "nbg1")
    other = placed(topology("location", control_plane_type="cpx52", worker_type="cpx62"), choices)
    assert (other.control_plane_type, other.worker_type, other.region) == ("cpx52", "cpx62", "fsn1")
