"""What exists in the cloud, read through the official SDK: the adapter for everything that is not OpenTofu.

The SDK is synchronous, so each look runs in a thread. It talks to the run's pass-through like OpenTofu does, so its
calls are counted and paced with the rest, and it never has the real token.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from hcloud import APIException, Client
from hcloud.actions import ActionException
from requests import RequestException

from tofu_runner.placement import Offer

OWNER_LABEL = "catalyst-zero/sovereign"
_APPLICATION = "catalyst-zero"
_TIMEOUT_S = (10.0, 60.0)

CLUSTERS_OWN = ("hcloud-ccm/service-uid", "pvc-name")
"""Labels by which the cluster's cloud controller and its CSI driver know what they made."""

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
    foreign: bool = False
    """Hangs on ours, but neither we nor the cluster made it."""
    parts: tuple[str, ...] = ()
    """What hangs on it: subnets of a network, ``network:<id>``, ``target:<server id>`` and ``service:<port>`` of a
    balancer.
    """


@dataclass(frozen=True)
class Inventory:
    """What is labelled as one Sovereign's, and what hangs on its network and servers without a label."""

    ours: tuple[Found, ...] = ()
    attached: tuple[Found, ...] = ()
    """Load balancers in our network or before our servers, volumes at our servers: made by the cluster, or foreign."""
    other_keys: Mapping[str, int] = field(default_factory=dict)
    """Ids of the project's other SSH keys by fingerprint: a project takes a key once, so they are used, and left."""

    def named(self, kind: str, name: str) -> Found | None:
        """One of ours."""
        return next((found for found in self.ours if (found.kind, found.name) == (kind, name)), None)

    @property
    def everything(self) -> tuple[Found, ...]:
        """Ours and what hangs on it."""
        return (*self.ours, *self.attached)

    @property
    def kept(self) -> tuple[Found, ...]:
        """What a decommission leaves: protected or foreign."""
        return tuple(found for found in self.everything if found.protected or found.foreign)


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

    async def look(self, what: str, look: Callable[[Client], T]) -> T:
        """Any other look; CloudRefused when it fails."""
        return await self._look(what, lambda: look(self._client))

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
        keys = client.ssh_keys.get_all()
        balancers, volumes = client.load_balancers.get_all(), client.volumes.get_all()
        ours = [
            *(_found("hcloud_network", n, tuple(f"subnet:{s.ip_range}" for s in n.subnets or ())) for n in networks),
            *(
                _found("hcloud_server", s, tuple(f"network:{p.network.id}" for p in s.private_net or ()))
                for s in servers
            ),
            *(_found("hcloud_load_balancer", b, _balancer_parts(b)) for b in balancers if _labelled(b, sovereign)),
            *(_found("hcloud_volume", v) for v in volumes if _labelled(v, sovereign)),
            *(_found("hcloud_firewall", f) for f in client.firewalls.get_all(label_selector=selector)),
            *(_found("hcloud_ssh_key", k) for k in keys if _labelled(k, sovereign)),
            *(_found("hcloud_placement_group", g) for g in client.placement_groups.get_all(label_selector=selector)),
        ]
        places = {*(f"network:{n.id}" for n in networks), *(f"target:{s.id}" for s in servers)}
        server_ids = {s.id for s in servers}
        attached = [
            *(
                _attached("hcloud_load_balancer", b)
                for b in balancers
                if not _labelled(b, sovereign) and places.intersection(_balancer_parts(b))
            ),
            *(
                _attached("hcloud_volume", v)
                for v in volumes
                if not _labelled(v, sovereign) and v.server is not None and v.server.id in server_ids
            ),
        ]
        others = {k.fingerprint or "": k.id or 0 for k in keys if not _labelled(k, sovereign)}
        return Inventory(tuple(ours), tuple(attached), others)

    def _prices(self, location: str, server_types: frozenset[str], balancer_type: str) -> Prices:
        listed = self._client.request(method="GET", url="/pricing")["pricing"]
        monthly: dict[tuple[str, str], str] = {}
        for row in listed["server_types"]:
            if row["name"] in server_types:
                _add_price(monthly, "server", row["name"], row["prices"], location)
        for row in listed["load_balancer_types"]:
            if row["name"] == balancer_type:
                _add_price(monthly, "load_balancer", balancer_type, row["prices"], location)
        for row in listed["primary_ips"]:
            _add_price(monthly, "primary_ip", row["type"], row["prices"], location)
        return Prices(monthly, listed["currency"])

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
    return Found(kind, resource.id, resource.name or "", bool(protection.get("delete")), parts=parts)


def _labelled(resource: Any, sovereign: str) -> bool:
    return (resource.labels or {}).get(OWNER_LABEL) == sovereign


def _attached(kind: str, resource: Any) -> Found:
    return replace(_found(kind, resource), foreign=not any(label in CLUSTERS_OWN for label in resource.labels or {}))


def _balancer_parts(balancer: Any) -> tuple[str, ...]:
    return (
        *(f"network:{private.network.id}" for private in balancer.private_net or ()),
        *(f"target:{target.server.id}" for target in balancer.targets or () if target.type == "server"),
        *(f"service:{service.listen_port}" for service in balancer.services or ()),
    )


def _add_price(
    monthly: dict[tuple[str, str], str], kind: str, name: str, prices: Iterable[Mapping[str, Any]], location: str
) -> None:
    for price in prices:
        if price.get("location") == location:
            monthly[(kind, name)] = str(price["price_monthly"]["net"])
