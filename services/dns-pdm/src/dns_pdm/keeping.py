"""Brings zones to what is wanted and takes them away again.

Every verb ensures: done twice, or stopped at any call and done again, it ends the same.

A zone is ours when its account says so, with the number of the life that made it; a zone without our account is never
touched. The delegation of a name inside a pool domain is ours when the zone of that name is, or when there is no such
zone and the delegation leads to exactly our name servers: nobody else's hand leaves that behind.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bus import Refused, TryAgain
from contracts.dns import DsRecord, Record
from dns_pdm import names, zones
from dns_pdm.powerdns import NewZone, SigningKey, Zone, ZoneExists
from dns_pdm.zones import MARK, Change, RecordSet, absolute

_DELEGATION: Final = ("NS", "DS")
SOA_TIMES: Final = "10800 3600 604800 60"
"""Refresh, retry, expire, and how long "no such name" is kept: short, since names appear while people wait."""
POOL_ACCOUNT: Final = f"{MARK}-pool"
NSEC3_NARROW: Final = "1 0 0 -"
"""No iterations, no salt (RFC 9276); narrow mode answers without keeping a chain."""


class NotOurs(Exception):
    """The name is a zone, or is delegated, by somebody else's hand: left as it is."""


class Api(Protocol):
    """The DNS server, as far as zones need it."""

    async def zone(self, fqdn: str) -> Zone | None:
        """The zone with its records, or None."""
        ...

    async def records_at(self, zone: str, name: str) -> tuple[RecordSet, ...] | None:
        """The record sets of one name; None when there is no zone."""
        ...

    async def zone_names(self) -> tuple[str, ...]:
        """Every zone of the server."""
        ...

    async def create(self, new: NewZone) -> None:
        """Make a zone; ZoneExists when there is one."""
        ...

    async def secure(self, fqdn: str, nsec3: str) -> None:
        """Sign a zone."""
        ...

    async def assign(self, fqdn: str, account: str) -> None:
        """Write another account on a zone."""
        ...

    async def change(self, fqdn: str, changes: Iterable[Change]) -> None:
        """Apply changes, all or none."""
        ...

    async def delete(self, fqdn: str) -> None:
        """Remove a zone; absent is fine."""
        ...

    async def signing_keys(self, fqdn: str) -> tuple[SigningKey, ...]:
        """The active keys."""
        ...


class Parents(Protocol):
    """Where pool zones hand names on: large zones, of which one name is changed."""

    async def delegate(self, pool: str, fqdn: str, found: Iterable[RecordSet], changes: Iterable[Change]) -> None:
        """Apply changes at one name, all or none, if it still holds exactly what was found; TryAgain when not."""
        ...


@dataclass(frozen=True)
class Hosting:
    """How our zones are made."""

    nameservers: tuple[str, ...]
    """Host names, without the final dot."""
    hostmaster: str
    glue: dict[str, tuple[str, ...]]
    """Addresses of those name servers that lie in a pool domain of ours."""
    nsec3: bool = True
    delegation_ttl_s: int = 300
    ds_ttl_s: int = 60
    """Decommission waits this long between DS and NS."""
    certificate_issuers: tuple[str, ...] = ("letsencrypt.org",)

    @property
    def ns_content(self) -> tuple[str, ...]:
        """The NS set as records hold it."""
        return tuple(sorted(absolute(host) for host in self.nameservers))


@dataclass(frozen=True)
class Reserved:
    """A zone that exists and is signed."""

    zone: str
    nameservers: tuple[str, ...]
    ds: tuple[DsRecord, ...]


@dataclass(frozen=True)
class Published:
    """What a zone holds after a publication, read back."""

    serial: int
    records: tuple[Record, ...]
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class ZoneKeeper:
    """All that is done to zones, on one DNS server."""

    api: Api
    parents: Parents
    hosting: Hosting
    rules: names.Rules

    async def ensure_pools(self) -> None:
        """Make the pool zones that are missing; one that is there is left as it is, whoever made it."""
        for pool in self.rules.pools:
            if await self.api.zone(pool) is None:
                try:
                    await self.api.create(self._new(pool, POOL_ACCOUNT, extra=self._glue(pool)))
                except ZoneExists:
                    continue

    async def ensure(self, fqdn: str, life: int) -> Reserved:
        """The Sovereign's zone: made, signed, and in a pool delegated. NotOurs when somebody else has the name."""
        there = await self.api.zone(fqdn)
        await self._refuse_foreign_delegation(fqdn, ours=there is not None and _life_of(there) is not None)
        zone = await self._ensure_zone(fqdn, life, there)
        if not zone.signed or (self.hosting.nsec3 and not zone.nsec3):
            await self.api.secure(fqdn, self._nsec3)
        if zone.nameservers != self.hosting.ns_content:
            await self.api.change(fqdn, [_replacing(self._ns(fqdn))])
        ds = tuple(ds for key in await self.api.signing_keys(fqdn) for ds in key.ds)
        if not ds:
            raise TryAgain(f"{fqdn}: PowerDNS shows no signing key yet")
        await self._ensure_delegation(fqdn, ds)
        return Reserved(fqdn, self.hosting.nameservers, ds)

    async def publish(self, fqdn: str, ipv4: str, ipv6: str, *, ttl_s: int) -> Published:
        """Write what differs, read it back, compare."""
        target = zones.wanted(
            fqdn, ipv4, ipv6, ttl_s=ttl_s, certificate_issuers=self.hosting.certificate_issuers
        )  # fmt: skip
        zone = await self._there(fqdn)
        found = zones.difference(target, zone.records, fqdn)
        if found.changes:
            await self.api.change(fqdn, found.changes)
            zone = await self._there(fqdn)
            if wrong := zones.unsettled(found.changes, zone.records):
                raise TryAgain(f"{fqdn}: written, but reads back otherwise: {', '.join(wrong)}")
        places = {item.place for item in target}
        records = sorted(item for item in zone.records if item.place in places)
        return Published(zone.serial, tuple(item.record() for item in records), found.foreign)

    async def withdraw(self, fqdn: str, life: int) -> None:
        """DS and every record gone; zone and NS stay, so that resolvers which still hold the DS see a signed zone."""
        zone = await self.api.zone(fqdn)
        if zone is not None and _life_of(zone) != life:
            return
        await self._undelegate(fqdn, ("DS",), ours=zone is not None)
        await self.empty(fqdn, life)

    async def empty(self, fqdn: str, life: int) -> None:
        """Every record gone; zone, keys and delegation stay as they are."""
        zone = await self._own_zone(fqdn, life)
        if zone is not None and (changes := zones.emptying(zone.records, fqdn)):
            await self.api.change(fqdn, changes)
            zone = await self._there(fqdn)
            if wrong := zones.unsettled(changes, zone.records):
                raise TryAgain(f"{fqdn}: removed, but still there: {', '.join(wrong)}")

    async def hand_on(self, fqdn: str, life: int) -> None:
        """The zone of a life that ends is the next one's, with its keys: whoever holds its DS can go on."""
        await self.empty(fqdn, life)
        if await self._own_zone(fqdn, life) is not None:
            await self.api.assign(fqdn, f"{MARK}/{life + 1}")

    async def take_back(self, fqdn: str, life: int) -> None:
        """A zone that was handed on is this life's again: its owner wants to leave after all, before the next began."""
        if await self._own_zone(fqdn, life + 1) is not None:
            await self.api.assign(fqdn, f"{MARK}/{life}")

    async def release(self, fqdn: str, life: int) -> None:
        """NS gone from the pool, zone gone from the server, both looked at again."""
        zone = await self.api.zone(fqdn)
        if zone is not None and _life_of(zone) != life:
            return
        await self._undelegate(fqdn, _DELEGATION, ours=zone is not None)
        if zone is None:
            return
        await self.api.delete(fqdn)
        if await self.api.zone(fqdn) is not None:
            raise TryAgain(f"{fqdn}: the zone was deleted, but is still there")

    async def neighbours(self, fqdn: str) -> tuple[str, ...]:
        """Every zone of the server: who could nest with this name."""
        return tuple(zone for zone in await self.api.zone_names() if zone != fqdn)

    @property
    def _nsec3(self) -> str:
        return NSEC3_NARROW if self.hosting.nsec3 else ""

    async def _ensure_zone(self, fqdn: str, life: int, zone: Zone | None) -> Zone:
        if zone is not None and (made_in := _life_of(zone)) != life:
            if made_in is None:
                raise NotOurs(f"{fqdn} is a zone on our server that is no Sovereign's")
            if made_in > life:
                raise Refused(f"{fqdn}: life {life} is over, the zone is of life {made_in}")
            # An ended life left its zone behind: its records point at addresses that are somebody else's by now.
            await self._undelegate(fqdn, _DELEGATION, ours=True)
            await self.api.delete(fqdn)
            zone = None
        if zone is None:
            try:
                await self.api.create(self._new(fqdn, f"{MARK}/{life}"))
            except ZoneExists:
                raise TryAgain(f"{fqdn}: somebody made the zone just now") from None
            zone = await self._there(fqdn)
        return zone

    async def _there(self, fqdn: str) -> Zone:
        zone = await self.api.zone(fqdn)
        if zone is None:
            raise TryAgain(f"{fqdn}: the zone is not there")
        return zone

    async def _own_zone(self, fqdn: str, life: int) -> Zone | None:
        zone = await self.api.zone(fqdn)
        return zone if zone is not None and _life_of(zone) == life else None

    async def _refuse_foreign_delegation(self, fqdn: str, *, ours: bool) -> None:
        pool = names.pool_of(fqdn, self.rules)
        if pool is None:
            return
        found = await self.api.records_at(pool, fqdn)
        if found is None:
            raise TryAgain(f"the pool zone {pool} is not on the DNS server")
        own = _DELEGATION if ours or self._leads_to_us(found) else ()
        if foreign := [item.type for item in found if item.type not in own]:
            raise NotOurs(f"{fqdn} has records in {pool} that are not ours: {', '.join(foreign)}")

    async def _ensure_delegation(self, fqdn: str, ds: Sequence[DsRecord]) -> None:
        pool = names.pool_of(fqdn, self.rules)
        if pool is None:
            return
        target = (self._ns(fqdn, self.hosting.delegation_ttl_s), self._ds(fqdn, ds))
        found = await self.api.records_at(pool, fqdn) or ()
        held = {item.type: item for item in found}
        changes = [_replacing(item) for item in target if item.type not in held or not item.same_as(held[item.type])]
        await self._change_parent(pool, fqdn, found, changes)

    async def _undelegate(self, fqdn: str, kinds: tuple[str, ...], *, ours: bool) -> None:
        pool = names.pool_of(fqdn, self.rules)
        if pool is None or fqdn in self.rules.pools:
            return
        found = await self.api.records_at(pool, fqdn) or ()
        if ours or self._leads_to_us(found):
            changes = [Change(item.name, item.type) for item in found if item.type in kinds]
            await self._change_parent(pool, fqdn, found, changes)

    async def _change_parent(
        self, pool: str, fqdn: str, found: Sequence[RecordSet], changes: Sequence[Change]
    ) -> None:  # fmt: skip
        if not changes:
            return
        await self.parents.delegate(pool, fqdn, found, changes)
        if wrong := zones.unsettled(changes, await self.api.records_at(pool, fqdn) or ()):
            raise TryAgain(f"{pool}: changed, but reads back otherwise: {', '.join(wrong)}")

    def _leads_to_us(self, found: Iterable[RecordSet]) -> bool:
        return any(item.type == "NS" and item.content == self.hosting.ns_content for item in found)

    def _new(self, fqdn: str, account: str, extra: tuple[RecordSet, ...] = ()) -> NewZone:
        apex, first = absolute(fqdn), self.hosting.ns_content[0]
        soa = RecordSet(apex, "SOA", 60, (f"{first} {absolute(self.hosting.hostmaster)} 0 {SOA_TIMES}",))
        return NewZone(fqdn, account, (soa, self._ns(fqdn), *extra), signed=True, nsec3=self._nsec3)

    def _ns(self, fqdn: str, ttl_s: int | None = None) -> RecordSet:
        return RecordSet(absolute(fqdn), "NS", ttl_s or self.hosting.delegation_ttl_s, self.hosting.ns_content)

    def _ds(self, fqdn: str, ds: Sequence[DsRecord]) -> RecordSet:
        content = tuple(sorted(f"{one.key_tag} {one.algorithm} {one.digest_type} {one.digest}" for one in ds))
        return RecordSet(absolute(fqdn), "DS", self.hosting.ds_ttl_s, content)

    def _glue(self, pool: str) -> tuple[RecordSet, ...]:
        return tuple(
            RecordSet(absolute(host), kind, self.hosting.delegation_ttl_s, found)
            for host, addresses in self.hosting.glue.items()
            for kind, version in (("A", 4), ("AAAA", 6))
            if host.endswith(f".{pool}")
            and (found := tuple(text for text in addresses if ipaddress.ip_address(text).version == version))
        )


def _replacing(item: RecordSet) -> Change:
    return Change(item.name, item.type, item)


def _life_of(zone: Zone) -> int | None:
    prefix, _, life = zone.account.partition("/")
    return int(life) if prefix == MARK and life.isdigit() else None
