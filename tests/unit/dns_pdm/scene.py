"""A small world for dns-pdm's handlers: zones in memory, name servers that answer from them, hashes and sealed secrets.

The zones behave as PowerDNS's do where it matters (tests/integration/dns_pdm/test_conformance.py holds them to it).
Every call on any of the parties is counted, and the party can be made to fail just before or just after one of them.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from bus import Conflict, SealKeys, TryAgain, Value, Wake
from bus.seal import digest
from contracts import About, Event, Fact, History
from contracts.dns import Delegation, DsRecord, ServerSays
from contracts.identity import fqdn_of
from contracts.request import SealedSecret, SecretRef
from dns_pdm.credentials import ZoneCredentials
from dns_pdm.delegation import Report
from dns_pdm.keeping import Hosting, ZoneKeeper
from dns_pdm.names import Rules, pool_of
from dns_pdm.ports import Dns
from dns_pdm.powerdns import NewZone, SigningKey, Zone, ZoneExists
from dns_pdm.registrars.port import Registrar, RegistrarBusy, RegistrarRefused, parts_of
from dns_pdm.zones import Change, RecordSet, absolute
from tests.deliver import said

POOL = "omani.works"
NS = ("ns1.omani.works", "ns2.omani.works")
RULES = Rules(pools=(POOL,))
OWN_KEYS = SealKeys.generate("dns-pdm")
TOFU_KEYS = SealKeys.generate("tofu-runner")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Crash(TryAgain):
    """The party failed at this call: the message comes back."""


@dataclass
class Failing:
    """Counts calls; fails at one of them, once."""

    at: int = 0
    after: bool = False
    calls: int = 0

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        self.calls += 1
        mine = self.calls == self.at
        if mine and not self.after:
            raise Crash("failed before the call")
        yield
        if mine and self.after:
            raise Crash("failed after the call")


@dataclass
class MemoryDns:
    """Zones in memory."""

    failing: Failing = field(default_factory=Failing)
    zones: dict[str, Zone] = field(default_factory=dict)
    updaters: dict[str, set[str]] = field(default_factory=dict)
    """Which TSIG keys may change which zone."""

    async def zone(self, fqdn: str) -> Zone | None:
        async with self.failing.call():
            return self.zones.get(absolute(fqdn))

    async def records_at(self, zone: str, name: str) -> tuple[RecordSet, ...] | None:
        async with self.failing.call():
            found = self.zones.get(absolute(zone))
            return tuple(r for r in found.records if r.name == absolute(name)) if found else None

    async def zone_names(self) -> tuple[str, ...]:
        async with self.failing.call():
            return tuple(name.removesuffix(".") for name in self.zones)

    async def create(self, new: NewZone) -> None:
        async with self.failing.call():
            name = absolute(new.name)
            if name in self.zones:
                raise ZoneExists(name)
            self.zones[name] = Zone(name, new.account, 1, new.signed, new.nsec3 if new.signed else "", new.records)

    async def secure(self, fqdn: str, nsec3: str) -> None:
        async with self.failing.call():
            self._replace(fqdn, signed=True, nsec3=nsec3)

    async def assign(self, fqdn: str, account: str) -> None:
        async with self.failing.call():
            self._replace(fqdn, account=account)

    async def change(self, fqdn: str, changes: Iterable[Change]) -> None:
        async with self.failing.call():
            self._change(fqdn, changes)

    async def delegate(self, pool: str, fqdn: str, found: Iterable[RecordSet], changes: Iterable[Change]) -> None:
        async with self.failing.call():
            there = {r.place: r.content for r in self.zones[absolute(pool)].records if r.name == absolute(fqdn)}
            if there != {item.place: item.content for item in found}:
                raise TryAgain(f"{fqdn}: changed by somebody else")
            self._change(pool, changes)

    async def delete(self, fqdn: str) -> None:
        async with self.failing.call():
            self.zones.pop(absolute(fqdn), None)

    async def signing_keys(self, fqdn: str) -> tuple[SigningKey, ...]:
        async with self.failing.call():
            found = self.zones.get(absolute(fqdn))
            ds = DsRecord(key_tag=len(fqdn), algorithm=13, digest_type=2, digest="ab" * 32)
            return (SigningKey("257 3 13 key", (ds,)),) if found and found.signed else ()

    async def admit_updates(self, fqdn: str, keys: Mapping[str, SecretStr], names: Iterable[str]) -> None:
        async with self.failing.call():
            assert set(keys) <= set(names)
            self.updaters[fqdn] = set(names)

    async def refuse_updates(self, fqdn: str, keys: Iterable[str]) -> None:
        async with self.failing.call():
            self.updaters.pop(fqdn, None)

    def _change(self, fqdn: str, changes: Iterable[Change]) -> None:
        zone = self.zones[absolute(fqdn)]
        kept = {item.place: item for item in zone.records}
        for change in changes:
            kept.pop((change.name, change.type), None)
            if change.records is not None:
                kept[change.name, change.type] = change.records
        self._replace(fqdn, records=tuple(kept.values()), serial=zone.serial + 1)

    def _replace(self, fqdn: str, **changes: Any) -> None:
        self.zones[absolute(fqdn)] = replace(self.zones[absolute(fqdn)], **changes)

    def holding(self) -> dict[str, set[tuple[str, str, tuple[str, ...], int]]]:
        """What all zones hold, serials aside."""
        return {
            name: {(r.name, r.type, r.content, r.ttl_s) for r in zone.records if r.type != "SOA"}
            for name, zone in self.zones.items()
        }


@dataclass
class MemoryWorld:
    """Name servers that answer from the zones in memory; customers paste into ``pasted``."""

    dns: MemoryDns
    pasted: set[str] = field(default_factory=set)
    ds_tags: tuple[int, ...] = ()

    async def check(self, zone: str, nameservers: Iterable[str], *, ds_required: bool) -> Report:
        async with self.dns.failing.call():
            agrees = zone in self.pasted or self._in_pool(zone)
            return Report((
                ServerSays(
                    server="parent", side="parent", nameservers=NS if agrees else ("ns1.old.test",),
                    ds_key_tags=self.ds_tags, verdict="agrees" if agrees else "differs", cached_for_s=3600,
                ),
                ServerSays(server="child", side="child", verdict="agrees"),
            ))  # fmt: skip

    async def gone(self, zone: str) -> Report:
        async with self.dns.failing.call():
            verdict = "differs" if self._in_pool(zone) else "agrees"
            return Report((ServerSays.model_validate({"server": "parent", "side": "parent", "verdict": verdict}),))

    async def answering(self, nameservers: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
        async with self.dns.failing.call():
            held = {record.name for zone in self.dns.zones.values() for record in zone.records if record.type == "A"}
            return tuple(name for name in names if absolute(name) in held)

    def _in_pool(self, zone: str) -> bool:
        pool = pool_of(zone, RULES)
        held = self.dns.zones[absolute(pool)].records if pool else ()
        return any(item.name == absolute(zone) and item.type == "NS" for item in held)


@dataclass
class MemoryBucket:
    """Keys with revisions."""

    failing: Failing
    values: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    revision: int = 0

    async def get(self, key: str) -> Value | None:
        async with self.failing.call():
            found = self.values.get(key)
            return Value(key, *found) if found and found[0] else None

    async def last_revision(self, key: str) -> int:
        return self.values[key][1] if key in self.values else 0

    async def update(self, key: str, value: bytes, revision: int) -> int:
        async with self.failing.call():
            if await self.last_revision(key) != revision:
                raise Conflict(key)
            self.revision += 1
            self.values[key] = (value, self.revision)
            return self.revision

    async def delete(self, key: str) -> None:
        async with self.failing.call():
            self.revision += 1
            self.values[key] = (b"", self.revision)


@dataclass
class MemorySealed:
    """Sealed secrets by place."""

    failing: Failing
    secrets: dict[tuple[str, str, int, str], SealedSecret] = field(default_factory=dict)

    async def put(self, sovereign: str, life: int, secret: SealedSecret) -> SecretRef:
        async with self.failing.call():
            self.secrets[secret.reader, sovereign, life, secret.name] = secret
            # The ciphertext differs at every sealing, so its digest is left out: deliveries are compared.
            assert digest(secret)
            return SecretRef(reader=secret.reader, name=secret.name, kid=secret.kid, sha256="0" * 64)

    async def open(self, sovereign: str, life: int, name: str) -> bytes:
        async with self.failing.call():
            return OWN_KEYS.open(self.secrets["dns-pdm", sovereign, life, name], bound_to=sovereign, purpose=name)

    async def erase(self, sovereign: str, life: int, name: str) -> None:
        async with self.failing.call():
            self.secrets.pop(("dns-pdm", sovereign, life, name), None)


@dataclass
class MemoryRegistrar:
    """A registrar whose account holds one domain; its parent zone follows when told."""

    world: "MemoryWorld"
    held: Delegation = field(default_factory=lambda: Delegation(nameservers=("ns1.old.test", "ns2.old.test"), ds=()))
    refusing: RegistrarRefused | RegistrarBusy | None = None
    changes: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, registrar: str, token: bytes) -> AsyncIterator[Registrar]:
        parts_of(registrar, token, ("key",))
        yield self

    async def validate(self, fqdn: str) -> Delegation:
        return await self.get(fqdn)

    async def get(self, fqdn: str) -> Delegation:
        async with self.world.dns.failing.call():
            if self.refusing is not None:
                raise self.refusing
            return self.held

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        async with self.world.dns.failing.call():
            self._hold(fqdn, self.held.model_copy(update={"nameservers": nameservers}))

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:
        async with self.world.dns.failing.call():
            self._hold(fqdn, self.held.model_copy(update={"ds": ds}))

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        async with self.world.dns.failing.call():
            self._hold(fqdn, former)

    def _hold(self, fqdn: str, wanted: Delegation) -> None:
        if wanted != self.held:
            self.changes.append(f"{len(wanted.ds or ())} DS at {wanted.nameservers[0]}")
        self.held = wanted

    def publish(self, fqdn: str) -> None:
        """The registry puts it into the parent zone."""
        self.world.ds_tags = tuple(one.key_tag for one in self.held.ds or ())
        if self.changes:
            self.world.pasted.discard(fqdn)
        if self.held.nameservers == NS:
            self.world.pasted.add(fqdn)


@dataclass
class Scene:
    """The world and what has been said in it."""

    about: About
    failing: Failing = field(default_factory=Failing)
    now: datetime = NOW
    events: list[Event[Any]] = field(default_factory=list)
    wakes: list[Wake] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tofu = TOFU_KEYS
        self.zones = MemoryDns(self.failing)
        self.world = MemoryWorld(self.zones)
        self.bucket = MemoryBucket(self.failing)
        self.sealed = MemorySealed(self.failing)
        self.registrar = MemoryRegistrar(self.world)
        hosting = Hosting(nameservers=NS, hostmaster="hostmaster.omani.works", glue={})
        self.keeper = ZoneKeeper(self.zones, self.zones, hosting, RULES)
        self.credentials = ZoneCredentials(
            store=self.bucket,
            updates=self.zones,
            sealed=self.sealed,
            seal_to_tofu=self.tofu.public()[0],
            minting_key=SecretStr("m" * 43),
            public_url="https://zones.example",
            update_server="ns1.omani.works:53",
        )
        self.dns = Dns(
            zones=self.keeper,
            world=self.world,
            public=None,
            credentials=self.credentials,
            secrets=self.sealed,
            registrars=self.registrar,
            alone=_alone,
            rules=RULES,
            hosting=hosting,
            clock=lambda: self.now,
        )
        pool = NewZone(POOL, "catalyst-zero-pool", (), signed=True, nsec3="1 0 0 -")
        self.zones.zones[absolute(POOL)] = Zone(absolute(POOL), pool.account, 1, True, pool.nsec3, ())

    @property
    def history(self) -> History:
        return History.of(self.about.sovereign, zip(itertools.count(1), self.events, strict=False))

    def say(self, fact: Fact, about: About | None = None, *, cause: Event[Any] | None = None) -> Event[Any]:
        """Somebody said this just now."""
        event = said(fact, about or self.about, cause=cause.id if cause else None)
        event = event.model_copy(update={"time": self.now})
        if event.id not in {known.id for known in self.events}:
            self.events.append(event)
        return event

    async def hear(self, handler: Callable[..., Any], event: Event[Any], *, deliveries: int = 2) -> list[Fact | Wake]:
        """Deliver until it succeeds, then again for good measure; what followed is said once."""
        results: list[list[Fact | Wake]] = []
        for _ in range(deliveries + 2):
            try:
                results.append(list(await handler(event, self.history, dns=self.dns)))
            except Crash:
                continue
            if len(results) == deliveries:
                break
        assert all(result == results[0] for result in results), results
        for item in results[0]:
            if isinstance(item, Wake):
                self.wakes.append(item)
            else:
                self.say(item, event.about, cause=event)
        await self._wakes_again(handler, event, results[0])
        return results[0]

    async def _wakes_again(self, handler: Callable[..., Any], event: Event[Any], followed: list[Fact | Wake]) -> None:
        """Facts are stored before timers are set: a repeat after a crash in between must set the same ones."""
        wakes = [item for item in followed if isinstance(item, Wake)]
        if wakes:
            with suppress(Crash):  # the one failure of a test may hit this delivery as well as any other
                again = await handler(event, self.history, dns=self.dns)
                assert [item for item in again if isinstance(item, Wake)] == wakes

    def pass_time(self, by: timedelta) -> None:
        self.now += by
        self.registrar.publish(fqdn_of(self.about.sovereign))

    def facts(self, fact: type[Fact]) -> list[Any]:
        return [event.data for event in self.events if isinstance(event.data, fact)]


@asynccontextmanager
async def _alone(_key: str) -> AsyncIterator[None]:
    yield
