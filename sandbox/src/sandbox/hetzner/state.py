"""The cloud's memory: per project, tables of records in the API's own shape, with indices by name and by label.

A record is a plain JSON object as the API shows it, except that what it refers to stands by id or name, and that keys
with a leading underscore are ours (what a pending action will do, which private addresses are taken). Handlers change
records freely and say so with `touch`; at the end of each request or finished action `Cloud.commit` hands everything
that changed to the journal in one piece, and the effects (created, deleted) to the ledger.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any, Final, Literal

from sandbox.hetzner.catalogue import Catalogue
from sandbox.hetzner.errors import limit_exceeded, not_found, not_unique
from sandbox.hetzner.labels import Selector

Record = dict[str, Any]

SINGULAR: Final = {
    "actions": "action",
    "certificates": "certificate",
    "firewalls": "firewall",
    "images": "image",
    "load_balancers": "load_balancer",
    "networks": "network",
    "placement_groups": "placement_group",
    "primary_ips": "primary_ip",
    "servers": "server",
    "ssh_keys": "ssh_key",
    "volumes": "volume",
}
"""Each kind of resource by its path, with its name in answers."""

DEFAULT_LIMITS: Final = {
    "servers": 5000,
    "primary_ips": 10000,
    "load_balancers": 2000,
    "networks": 2000,
    "volumes": 5000,
    "placement_groups": 2000,
    "firewalls": 2000,
    "ssh_keys": 5000,
    "certificates": 2000,
    "images": 500,
}
"""A roomy project, so that a crowd of runs may share one; a real new account has far less. Set per project."""

_DOCUMENTATION_IPV6: Final = int(IPv6Address("2001:db8::"))


@dataclass(frozen=True, slots=True)
class Effect:
    """Something came into being or went."""

    what: Literal["created", "deleted"]
    project: str
    kind: str
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """What the cloud wants of the half that runs machines."""

    verb: Literal["on", "off", "remove"]
    server_id: int


@dataclass(kw_only=True)
class Outside:
    """Whom the cloud tells about changes; each call only notes it and returns."""

    order: Callable[[MachineOrder], None] = lambda _: None
    rebalance: Callable[[int], None] = lambda _: None
    journal: Callable[[list[tuple[str, str, int, Record | None]]], None] = lambda _: None


@dataclass(kw_only=True)
class Capacity:
    """How many more servers of a type a location takes, and how it refuses the next one."""

    remaining: int
    code: str = "resource_unavailable"
    message: str = "error during placement"


class Project:
    """Everything of one project."""

    def __init__(self, name: str, cloud: "Cloud") -> None:
        self.name = name
        self.cloud = cloud
        self.tables: dict[str, dict[int, Record]] = {kind: {} for kind in SINGULAR}
        self.limits: dict[str, int] = dict(DEFAULT_LIMITS)
        self._names: dict[tuple[str, str], int] = {}
        self._labels: dict[tuple[str, str, str], set[int]] = {}

    def find(self, kind: str, reference: str) -> Record | None:
        """A record by id, else by name."""
        table = self.tables[kind]
        if reference.isdigit() and (found := table.get(int(reference))):
            return found
        return table.get(self._names.get((kind, reference), -1))

    def get(self, kind: str, record_id: int) -> Record:
        """A record by id; none is the caller's 404."""
        found = self.tables[kind].get(record_id)
        if found is None:
            raise not_found(f"{SINGULAR[kind].replace('_', ' ')} with ID '{record_id}'")
        return found

    def selected(self, kind: str, selector: Selector) -> list[Record]:
        """All records whose labels match, oldest first."""
        table = self.tables[kind]
        if exact := selector.exact():
            candidates: Iterable[Record] = (table[i] for i in sorted(self._labels.get((kind, *exact), ())))
        else:
            candidates = table.values()
        return [record for record in candidates if selector.matches(record["labels"])]

    def ensure_free_name(self, kind: str, name: str, *, of: int | None = None) -> None:
        """Refuse a name that another record of this kind has."""
        if self._names.get((kind, name), of) != of:
            raise not_unique("name", f"{SINGULAR[kind].replace('_', ' ')} name is already used")

    def ensure_room(self, kind: str, more: int = 1) -> None:
        """Refuse what is beyond the project's quota."""
        if len(self.tables[kind]) + more > self.limits.get(kind, more + len(self.tables[kind])):
            raise limit_exceeded(f"{SINGULAR[kind]}_limit")

    def add(self, kind: str, record: Record) -> Record:
        """Take a new record in, with its id and time of creation."""
        record = {"id": self.cloud.next_id(), **record}
        record.setdefault("created", now())
        self.restore(kind, record)
        self.cloud.effects.append(Effect("created", self.name, kind, record["id"], record.get("name") or ""))
        self.touch(kind, record)
        return record

    def restore(self, kind: str, record: Record) -> None:
        """Take a record in as it is, into the table and the indices."""
        record_id = record["id"]
        self.tables[kind][record_id] = record
        if kind == "actions":
            return
        if record.get("name"):
            self._names[kind, record["name"]] = record_id
        self._index(kind, record, record.get("labels") or {})
        self.cloud.home[record_id] = self

    def touch(self, kind: str, record: Record) -> None:
        """Note that a record changed."""
        self.cloud.changed[self.name, kind, record["id"]] = record

    def rename(self, kind: str, record: Record, name: str) -> None:
        """Give a record another name."""
        self._names.pop((kind, record["name"]), None)
        record["name"] = name
        self._names[kind, name] = record["id"]
        self.touch(kind, record)

    def relabel(self, kind: str, record: Record, labels: dict[str, str]) -> None:
        """Replace all labels of a record."""
        self._unindex(kind, record)
        record["labels"] = labels
        self._index(kind, record, labels)
        self.touch(kind, record)

    def drop(self, kind: str, record: Record) -> None:
        """Let a record go."""
        record_id = record["id"]
        if self.tables[kind].pop(record_id, None) is None:
            return
        self._unindex(kind, record)
        if self._names.get((kind, record.get("name") or "")) == record_id:
            del self._names[kind, record["name"]]
        self.cloud.home.pop(record_id, None)
        self.cloud.changed[self.name, kind, record_id] = None
        self.cloud.effects.append(Effect("deleted", self.name, kind, record_id, record.get("name") or ""))

    def _index(self, kind: str, record: Record, labels: dict[str, str]) -> None:
        for key, value in labels.items():
            self._labels.setdefault((kind, key, value), set()).add(record["id"])

    def _unindex(self, kind: str, record: Record) -> None:
        for key, value in (record.get("labels") or {}).items():
            ids = self._labels.get((kind, key, value), set())
            ids.discard(record["id"])
            if not ids:
                self._labels.pop((kind, key, value), None)


@dataclass
class Cloud:
    """All projects, and what they share: the catalogue, capacity, ids and addresses."""

    catalogue: Catalogue
    outside: Outside
    ipv4_range: IPv4Network
    projects: dict[str, Project] = field(default_factory=dict)
    home: dict[int, Project] = field(default_factory=dict)
    capacity: dict[tuple[str, str], Capacity] = field(default_factory=dict)
    changed: dict[tuple[str, str, int], Record | None] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    def project(self, name: str) -> Project:
        """A project; it comes into being when it is first spoken of."""
        found = self.projects.get(name)
        if found is None:
            found = self.projects[name] = Project(name, self)
        return found

    def next_id(self) -> int:
        """Ids are unique in the whole cloud and never come again."""
        return self._count("id", 10_000_000)

    def next_ipv4(self) -> str:
        """An address that nobody else has; a sandbox begins anywhere in the range, so that two may run at once."""
        size = self.ipv4_range.num_addresses
        while True:
            offset = self._count("ipv4", random.randrange(size)) % size  # noqa: S311 - spreads sandboxes, no secret
            address = self.ipv4_range[offset]
            if int(address) & 0xFF not in {0, 255}:
                return str(address)

    def next_ipv6(self) -> str:
        """A /64 of the documentation prefix: nothing ever listens there."""
        number = self._count("ipv6", 1)
        return f"{IPv6Address(_DOCUMENTATION_IPV6 + (number << 64))}/64"

    def commit(self) -> list[Effect]:
        """Hand what changed to the journal; the effects go to whoever called."""
        if self.changed:
            self.outside.journal([(*key, record) for key, record in self.changed.items()])
            self.changed.clear()
        if not self.effects:
            return []
        effects, self.effects = self.effects, []
        return effects

    def _count(self, name: str, start: int) -> int:
        value = self.counters.get(name, start) + 1
        self.counters[name] = value
        self.changed["", name, 0] = {"value": value}
        return value


def now() -> str:
    """The present in the API's notation."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(record: Record) -> Record:
    """A record without our own keys."""
    return {key: value for key, value in record.items() if key[0] != "_"}


def first_ipv4(network: IPv4Network) -> str:
    """The first address after the network's own."""
    return str(IPv4Address(int(network.network_address) + 1))
