"""Another type or location where the cloud has no capacity. Pure.

What was chosen is a fact, and every later plan keeps to it. A request allows none, another type of the same class, or
another location of the same network zone too. A type that is chosen has at least the cores and memory of the one asked
for. Nothing that exists is ever moved: a role is placed anew only while it has no server, and the location changes only
while there is none at all.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from contracts.history import History
from contracts.request import NETWORK_ZONES, Topology
from contracts.tofu import TofuRelocated

Role = Literal["control_plane", "worker"]


@dataclass(frozen=True)
class Offer:
    """A server type as the account can have it now."""

    name: str
    cores: int
    memory: float
    kind: tuple[str, str]
    """Architecture, and shared or dedicated: what may stand in for what."""
    prices: dict[str, Decimal]
    """Per location where it can be had now."""


def type_of(topology: Topology, role: Role) -> str:
    """The type of a role's servers."""
    return topology.control_plane_type if role == "control_plane" else topology.worker_type


def relocations(history: History) -> tuple[TofuRelocated, ...]:
    """Every choice of this life, oldest first; wants the whole history."""
    return tuple(item.event.data for item in history if isinstance(item.event.data, TofuRelocated))


def placed(topology: Topology, choices: Iterable[TofuRelocated]) -> Topology:
    """The topology with the choices that still fit it: a later request for something else overrides them."""
    for choice in choices:
        role: Role = "worker" if choice.address == "worker" else "control_plane"
        if (type_of(topology, role), topology.region) != (choice.from_type, choice.from_location):
            continue
        field = "worker_type" if role == "worker" else "control_plane_type"
        changed = {field: choice.to_type, "region": choice.to_location}
        topology = Topology.model_validate(topology.model_dump() | changed)
    return topology


def next_choice(
    topology: Topology, role: Role, offers: Collection[Offer], tried: Collection[tuple[str, str]], *, may_move: bool
) -> TofuRelocated | None:
    """Where to try next: types in this location first, then the locations of the zone; None when nothing is left."""
    if topology.placement_fallback == "none":
        return None
    wanted = type_of(topology, role)
    asked = next((offer for offer in offers if offer.name == wanted), None)
    if asked is None:
        return None
    places: list[str] = [topology.region]
    if topology.placement_fallback == "location" and may_move:
        zone = NETWORK_ZONES[topology.region]
        places += sorted(place for place, other in NETWORK_ZONES.items() if other == zone and place != topology.region)
    for place in places:
        for offer in sorted(_standing_in(asked, offers, place), key=lambda offer: (offer.prices[place], offer.name)):
            if (offer.name, place) not in tried and (offer.name, place) != (wanted, topology.region):
                return TofuRelocated(
                    address=role,
                    from_type=wanted,
                    to_type=offer.name,
                    from_location=topology.region,
                    to_location=place,
                    reason=f"no capacity for {wanted} in {topology.region}",
                )
    return None


def _standing_in(asked: Offer, offers: Iterable[Offer], place: str) -> list[Offer]:
    return [
        offer
        for offer in offers
        if place in offer.prices
        and offer.kind == asked.kind
        and offer.cores >= asked.cores
        and offer.memory >= asked.memory
    ]
