"""What exists in the cloud, read through the official SDK: the adapter for everything that is not OpenTofu.

The SDK is synchronous, so each look runs in a thread. It talks to the run's pass-through like OpenTofu does, so its
calls are counted and paced with the rest, and it never has the real token.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from hcloud import APIException, Client
from hcloud.actions import ActionException
from requests import RequestException

from tofu_runner.placement import Offer

OWNER_LABEL = "catalyst-zero/sovereign"
_APPLICATION = "catalyst-zero"
_TIMEOUT_S = (10.0, 60.0)

_PARTS = {
    "hcloud_load_balancer": "load_balancers",
    "hcloud_server": "servers",
    "hcloud_volume": "volumes",
    "hcloud_firewall": "firewalls",
    "hcloud_placement_group": "placement_groups",
    "hcloud_ssh_key": "ssh_keys",
    "hcloud_network": "networks",
}
"""Where the SDK has them; in the order in which they can go: each once those before it are gone."""
REMOVAL_ORDER = tuple(_PARTS)

T = TypeVar("T")


class CloudRefused(Exception):
    """The cloud answered with an error."""

    def __init__(self, code: str, message: str, *, what: str) -> None:
        super().__init__(f"{what}: {message} ({code})")
        self.code, self.message, self.what = code, message, what


@dataclass(frozen=True)
class Found:
    """One resource that exists."""

    kind: str
    cloud_id: int
    name: str
    protected: bool = False
    parts: tuple[str, ...] = ()
    """What hangs on it: subnets of a network, ``network:<id>``, ``target:<server id>`` and ``service:<port>`` of a
    balancer.
    """


@dataclass(frozen=True)
class Inventory:
    """What is labelled as one Sovereign's, and what hangs on its network and servers without a label."""

    ours: tuple[Found, ...] = ()
    attached: tuple[Found, ...] = ()
    """Made by the cluster itself: load balancers in our network, volumes at our servers."""

    def named(self, kind: str, name: str) -> Found | None:
        """One of ours."""
        return next((found for found in self.ours if (found.kind, found.name) == (kind, name)), None)

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not self.ours and not self.attached


@dataclass(frozen=True)
class Prices:
    """Net price per month of what a Sovereign is made of, by (kind, type), in one location."""

    monthly: dict[tuple[str, str], str] = field(default_factory=dict)
    currency: str = "EUR"


class Cloud:
    """The cloud's API behind one endpoint and credential."""

    def __init__(self, endpoint: str, credential: str) -> None:
        self._client = Client(
            token=credential, api_endpoint=endpoint, application_name=_APPLICATION, poll_interval=1, timeout=_TIMEOUT_S
        )
        # One session per client: looks run one after another.
        self._one_at_a_time = asyncio.Lock()

    async def inventory(self, sovereign: str) -> Inventory:
        """What exists of a Sovereign."""
        return await self._look("take inventory", lambda: self._inventory(sovereign))

    async def prices(self, location: str, server_types: frozenset[str], balancer_type: str) -> Prices:
        """What the account pays in a location."""
        return await self._look("read prices", lambda: self._prices(location, server_types, balancer_type))

    async def offers(self) -> tuple[Offer, ...]:
        """Server types as the account can have them now."""
        return await self._look("read server types", self._offers)

    async def remove(self, found: Found) -> None:
        """Take away one resource; absent is fine."""
        await self._look(f"remove {found.kind} {found.cloud_id}", lambda: self._remove(found))

    async def _look(self, what: str, look: Callable[[], T]) -> T:
        async with self._one_at_a_time:
            try:
                return await asyncio.to_thread(look)
            except APIException as error:
                raise CloudRefused(str(error.code), error.message, what=what) from None
            except RequestException as error:
                raise CloudRefused("unavailable", f"no answer ({type(error).__name__})", what=what) from None

    def _inventory(self, sovereign: str) -> Inventory:
        selector = f"{OWNER_LABEL}={sovereign}"
        client = self._client
        networks = client.networks.get_all(label_selector=selector)
        servers = client.servers.get_all(label_selector=selector)
        balancers = client.load_balancers.get_all()
        mine = [b for b in balancers if (b.labels or {}).get(OWNER_LABEL) == sovereign]
        ours = [
            *(_found("hcloud_network", n, tuple(f"subnet:{s.ip_range}" for s in n.subnets or ())) for n in networks),
            *(
                _found("hcloud_server", s, tuple(f"network:{p.network.id}" for p in s.private_net or ()))
                for s in servers
            ),
            *(_found("hcloud_load_balancer", b, _balancer_parts(b)) for b in mine),
            *(_found("hcloud_firewall", f) for f in client.firewalls.get_all(label_selector=selector)),
            *(_found("hcloud_ssh_key", k) for k in client.ssh_keys.get_all(label_selector=selector)),
            *(_found("hcloud_placement_group", g) for g in client.placement_groups.get_all(label_selector=selector)),
        ]
        network_ids, server_ids = {n.id for n in networks}, {s.id for s in servers}
        attached = [
            _found("hcloud_load_balancer", b)
            for b in balancers
            if b not in mine and any(p.network.id in network_ids for p in b.private_net or ())
        ]
        if server_ids and any(s.volumes for s in servers):
            attached += [
                _found("hcloud_volume", v, (f"server:{v.server.id}",))
                for v in client.volumes.get_all()
                if v.server is not None and v.server.id in server_ids
            ]
        return Inventory(tuple(ours), tuple(attached))

    def _prices(self, location: str, server_types: frozenset[str], balancer_type: str) -> Prices:
        monthly: dict[tuple[str, str], str] = {}
        for name in sorted(server_types):
            found = self._client.server_types.get_by_name(name)
            _add_price(monthly, "server", name, found, location)
        _add_price(
            monthly,
            "load_balancer",
            balancer_type,
            self._client.load_balancer_types.get_by_name(balancer_type),
            location,
        )
        return Prices(monthly)

    def _offers(self) -> tuple[Offer, ...]:
        return tuple(_offer(found) for found in self._client.server_types.get_all())

    def _remove(self, found: Found) -> None:
        part = getattr(self._client, _PARTS[found.kind])
        try:
            resource = part.get_by_id(found.cloud_id)
            if found.kind == "hcloud_volume" and resource.server is not None:
                resource.detach().wait_until_finished()
            action = part.delete(resource)
            # Most kinds answer with nothing, or with True; a server's deletion is an action.
            if hasattr(action, "wait_until_finished"):
                action.wait_until_finished()
        except ActionException as error:
            raise CloudRefused("action_failed", str(error), what=f"remove {found.kind} {found.cloud_id}") from None
        except APIException as error:
            if error.code != "not_found":
                raise


def _offer(found: Any) -> Offer:
    places = {
        where.location.name
        for where in found.locations or ()
        if where.available is not False and (where.deprecation is None or where.deprecation.unavailable_after is None)
    }
    prices = {
        price["location"]: Decimal(price["price_monthly"]["net"])
        for price in found.prices or ()
        if price["location"] in places
    }
    return Offer(found.name, int(found.cores), float(found.memory), (found.architecture, found.cpu_type), prices)


def _found(kind: str, resource: Any, parts: tuple[str, ...] = ()) -> Found:
    protection = getattr(resource, "protection", None) or {}
    return Found(kind, resource.id, resource.name or "", bool(protection.get("delete")), parts)


def _balancer_parts(balancer: Any) -> tuple[str, ...]:
    return (
        *(f"network:{private.network.id}" for private in balancer.private_net or ()),
        *(f"target:{target.server.id}" for target in balancer.targets or () if target.type == "server"),
        *(f"service:{service.listen_port}" for service in balancer.services or ()),
    )


def _add_price(monthly: dict[tuple[str, str], str], kind: str, name: str, found: Any, location: str) -> None:
    for price in (found.prices if found else None) or ():
        if price.get("location") == location:
            monthly[(kind, name)] = str(price["price_monthly"]["net"])
