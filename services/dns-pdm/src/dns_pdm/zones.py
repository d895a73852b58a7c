"""What a Sovereign's zone should hold, and what it takes to get there from what it holds now.

A record set is ours by its name and type (the seven names of a Sovereign, A and AAAA, and the CAA of the apex) or by
our mark, which is the comment account that PowerDNS keeps beside a record set. Everything else is foreign: left as it
is, and named. NS and SOA of the apex belong to the zone itself and are nobody's record.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contracts.dns import Record

MARK: Final = "catalyst-zero"
LABELS: Final = ("", "*", "console", "gitea", "admin", "api", "harbor")
"""The names of a Sovereign below its FQDN; the empty one is the FQDN itself."""
RUN_TTL_S: Final = 60
"""While a run lives an address may still change."""
READY_TTL_S: Final = 300
_ADDRESSES: Final = {"A": 4, "AAAA": 6}
_EXCLUSIVE: Final = frozenset({"CNAME", "ALIAS", "DNAME"})


@dataclass(frozen=True, order=True)
class RecordSet:
    """All records of one name and type. ``name`` is absolute and ends with a dot."""

    name: str
    type: str
    ttl_s: int
    content: tuple[str, ...]
    mark: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """What of it is unique in a zone."""
        return self.name, self.type

    def same_as(self, other: "RecordSet") -> bool:
        """Whether both say the same, however they are spelled."""
        return (self.place, self.ttl_s, self.canonical) == (other.place, other.ttl_s, other.canonical)

    @property
    def canonical(self) -> frozenset[str]:
        """The contents in one spelling: servers from 5.1 on normalise what they are given."""
        return frozenset(_canonical(self.type, text) for text in self.content)

    def record(self) -> Record:
        """As events and answers carry it: names without the final dot."""
        return Record(
            name=self.name.removesuffix("."), type=self.type, ttl_s=self.ttl_s, content=tuple(sorted(self.content))
        )


@dataclass(frozen=True)
class Change:
    """One entry of an atomic change: replace a record set, or delete it when ``records`` is None."""

    name: str
    type: str
    records: RecordSet | None = None


@dataclass(frozen=True)
class Difference:
    """What to change, and which names are not ours."""

    changes: tuple[Change, ...]
    foreign: tuple[str, ...]


def absolute(fqdn: str) -> str:
    """The name with its final dot, as PowerDNS wants it."""
    return fqdn if fqdn.endswith(".") else f"{fqdn}."


def wanted(fqdn: str, ipv4: str, ipv6: str, *, ttl_s: int, certificate_issuers: Iterable[str]) -> tuple[RecordSet, ...]:
    """The record sets of a Sovereign behind this load balancer."""
    apex = absolute(fqdn)
    addresses = [(kind, text) for kind, text in (("A", ipv4), ("AAAA", ipv6)) if text]
    if not addresses:
        raise ValueError(f"{fqdn}: the load balancer has no address")
    sets = [
        RecordSet(f"{label}.{apex}" if label else apex, kind, ttl_s, (str(ipaddress.ip_address(text)),), MARK)
        for label in LABELS
        for kind, text in addresses
    ]
    if issuers := tuple(f'0 issue "{issuer}"' for issuer in certificate_issuers):
        sets.append(RecordSet(apex, "CAA", ttl_s, issuers, MARK))
    return tuple(sets)


def difference(wanted: Iterable[RecordSet], present: Iterable[RecordSet], fqdn: str) -> Difference:
    """The fewest changes that bring the zone to what is wanted; foreign records stay and are named."""
    apex = absolute(fqdn)
    there = {found.place: found for found in present if not _of_the_zone(found, apex)}
    occupied = {found.name for found in there.values() if found.type in _EXCLUSIVE and found.mark != MARK}
    asked = {target.place: target for target in wanted if target.name not in occupied}
    changes = [
        Change(target.name, target.type, target)
        for place, target in asked.items()
        if place not in there or not there[place].same_as(target)
    ]
    changes += [
        Change(found.name, found.type) for place, found in there.items() if place not in asked and found.mark == MARK
    ]
    foreign = sorted(f"{name.removesuffix('.')} {kind}"
        for (name, kind), found in there.items()
                     if (name, kind) not in asked and found.mark != MARK)  # fmt: skip
    return Difference(tuple(changes), tuple(foreign))


def emptying(present: Iterable[RecordSet], fqdn: str) -> tuple[Change, ...]:
    """What takes every record away, foreign ones too.

    The zone itself is about to go, and names in it may point at addresses that are about to be somebody else's.
    """
    apex = absolute(fqdn)
    return tuple(Change(found.name, found.type) for found in present if not _of_the_zone(found, apex))


def unsettled(changes: Iterable[Change], present: Iterable[RecordSet]) -> tuple[str, ...]:
    """After a change: which places do not read back as they were written."""
    there = {found.place: found for found in present}
    wrong = []
    for change in changes:
        found = there.get((change.name, change.type))
        if found != change.records and not (found and change.records and found.same_as(change.records)):
            wrong.append(f"{change.name} {change.type}")
    return tuple(wrong)


def _of_the_zone(found: RecordSet, apex: str) -> bool:
    return found.name == apex and found.type in {"SOA", "NS"}


def _canonical(kind: str, text: str) -> str:
    if kind in _ADDRESSES:
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            return text
    if kind == "DS":
        return " ".join(text.split()).lower()
    return text.lower() if kind in {"NS", "CNAME"} else text
