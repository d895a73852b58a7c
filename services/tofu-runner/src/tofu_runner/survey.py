"""What a cloud project and its catalogue look like now: the looks that preflight and prices need, through the SDK."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hcloud import Client

from contracts.fit import Size
from contracts.questions import Price
from tofu_runner.inventory import OWNER_LABEL

_KINDS = ("servers", "load_balancers", "networks", "firewalls", "placement_groups", "ssh_keys")


@dataclass(frozen=True)
class Place:
    """A server type in one location."""

    available: bool
    """It can be had at this moment."""
    ends_at: datetime | None = None
    """From then on no new server of this type is made there."""


@dataclass(frozen=True)
class Type:
    """A server type."""

    architecture: str
    places: Mapping[str, Place]
    size: Size = field(default_factory=lambda: Size(0, 0, 0))


@dataclass(frozen=True)
class Named:
    """Something of the project that has a name."""

    name: str
    sovereign: str
    """By its label; empty for what is none of ours."""
    fingerprint: str = ""


@dataclass(frozen=True)
class Survey:
    """The project and the catalogue."""

    types: Mapping[str, Type] = field(default_factory=dict)
    balancer_types: frozenset[str] = frozenset()
    images: frozenset[tuple[str, str]] = frozenset()
    """(name, architecture) of what is not deprecated."""
    there: Mapping[str, tuple[Named, ...]] = field(default_factory=dict)
    """By kind, as the API calls it."""


def survey(client: Client) -> Survey:
    """Look once at everything; blocks, and raises the SDK's exceptions."""
    there = {}
    for kind in _KINDS:
        found = getattr(client, kind).get_all()
        there[kind] = tuple(
            Named(item.name or "", (item.labels or {}).get(OWNER_LABEL, ""), getattr(item, "fingerprint", None) or "")
            for item in found
        )
    return Survey(
        types={str(found.name): _type(found) for found in client.server_types.get_all()},
        balancer_types=frozenset(str(found.name) for found in client.load_balancer_types.get_all()),
        images=frozenset(
            (str(image.name), str(image.architecture)) for image in client.images.get_all(type=["system"])
        ),
        there=there,
    )


def _type(found: Any) -> Type:
    return Type(
        found.architecture,
        {
            where.location.name: Place(
                where.available is not False, where.deprecation.unavailable_after if where.deprecation else None
            )
            for where in found.locations or ()
        },
        Size(found.cores or 0, found.memory or 0, found.disk or 0),
    )


def prices(client: Client) -> tuple[Price, ...]:
    """Every server type and load balancer type in every location; blocks, and raises the SDK's exceptions."""
    rows = []
    for found in client.server_types.get_all():
        places = _type(found).places
        for price in found.prices or ():
            place = places.get(price["location"], Place(available=False))
            rows.append(_price("server", str(found.name), price, place))
    for balancer in client.load_balancer_types.get_all():
        rows += [
            _price("load-balancer", str(balancer.name), price, Place(available=True)) for price in balancer.prices or ()
        ]
    return tuple(rows)


def _price(kind: Any, name: str, price: Mapping[str, Any], place: Place) -> Price:
    return Price(
        kind=kind,
        name=name,
        location=price["location"],
        monthly=str(price["price_monthly"]["net"]),
        hourly=str(price["price_hourly"]["net"]),
        available=place.available,
        deprecated=place.ends_at is not None,
    )
