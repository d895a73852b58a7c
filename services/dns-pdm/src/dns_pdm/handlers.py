"""What dns-pdm does when it hears of a Sovereign.

Each handler decides from the history whether its event still matters (another run or life may have begun, a cancel or
a decommission may have come), ensures, and says what followed. Waiting for a delegation is a fact and a timer: one
check per firing, at growing distance, until it holds, the run is over, or nobody wants the Sovereign any more.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from bus import Fired, TryAgain, Wake
from contracts.catalogue import DELEGATION_CHECK
from contracts.dns import (
    DnsAwaitingDelegation,
    DnsDelegated,
    DnsPublished,
    DnsRefused,
    DnsReleased,
    DnsReserved,
    DnsWithdrawn,
    ServerSays,
)
from contracts.event import About, Event, Fact
from contracts.flux import FluxReleased
from contracts.history import History
from contracts.identity import fqdn_of
from contracts.request import SecretRef
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignReady,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuDestroyed
from dns_pdm import names
from dns_pdm.delegation import Report
from dns_pdm.keeping import Hosting, NotOurs, Published, Reserved
from dns_pdm.zones import LABELS, READY_TTL_S, RUN_TTL_S

RELEASE: Final = "release"
"""Key of the timer that fires when the DS is out of every cache."""
REGISTRAR_TOKEN: Final = "registrar-token"  # noqa: S105 - the name of a secret, not a secret
_PROBE_LABEL: Final = "any-name"
"""What the wildcard is asked for."""

Effects = Iterable[Fact | Wake]


class Zones(Protocol):
    """Where zones are made and taken away."""

    async def ensure(self, fqdn: str, life: int) -> Reserved:
        """The Sovereign's zone, signed and in a pool delegated; NotOurs when somebody else has the name."""
        ...

    async def publish(self, fqdn: str, ipv4: str, ipv6: str, *, ttl_s: int) -> Published:
        """Its records, written and read back."""
        ...

    async def withdraw(self, fqdn: str, life: int) -> None:
        """DS and records gone."""
        ...

    async def release(self, fqdn: str, life: int) -> None:
        """NS and zone gone."""
        ...

    async def neighbours(self, fqdn: str) -> tuple[str, ...]:
        """Every other zone."""
        ...


class World(Protocol):
    """What name servers say."""

    async def check(self, zone: str, nameservers: tuple[str, ...], *, ds_required: bool) -> Report:
        """Ask parent and child servers."""
        ...

    async def gone(self, zone: str) -> Report:
        """Ask parent servers whether they know the zone no more."""
        ...

    async def answering(self, nameservers: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
        """Which names still have addresses."""
        ...


class Credentials(Protocol):
    """The Sovereigns' own keys to their zones."""

    async def issue(self, sovereign: str, life: int) -> SecretRef:
        """Make valid and seal to tofu-runner."""
        ...

    async def revoke(self, sovereign: str, life: int) -> None:
        """Take back."""
        ...

    async def forget(self, sovereign: str, life: int) -> None:
        """Keep nothing of it."""
        ...


class Secrets(Protocol):
    """Secrets sealed to this service."""

    async def erase(self, sovereign: str, life: int, name: str) -> None:
        """Remove one; absent is fine."""
        ...


@dataclass(frozen=True, kw_only=True)
class Dns:
    """The ports and rules that the handlers share."""

    zones: Zones
    world: World
    credentials: Credentials
    secrets: Secrets
    alone: Callable[[str], AbstractAsyncContextManager[object]]
    """One writer per zone: a lease on the Sovereign's id."""
    rules: names.Rules
    hosting: Hosting
    first_check: timedelta = timedelta(seconds=15)
    slowest_check: timedelta = timedelta(minutes=15)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


async def reserve(event: Event[SovereignRequested], history: History, *, dns: Dns) -> Effects:
    """Give the Sovereign its zone and its own key to it, or say why it cannot have the name."""
    if not wanted(event.about, history):
        return []
    fqdn, domain = fqdn_of(event.subject), event.data.shape.domain
    verdict = names.judge(fqdn, domain.mode, dns.rules)
    if verdict.kind == "free" and domain.mode != "pool":
        verdict = names.nested(fqdn, await dns.zones.neighbours(fqdn), dns.rules) or verdict
    if verdict.kind != "free":
        return [DnsRefused(trouble=verdict.trouble())]
    async with dns.alone(event.subject):
        try:
            zone = await dns.zones.ensure(fqdn, event.life)
        except NotOurs as error:
            return [DnsRefused(trouble=names.Verdict(fqdn, "reserved", str(error)).trouble())]
        credential = await dns.credentials.issue(event.subject, event.life)
    reserved = DnsReserved(zone=zone.zone, nameservers=zone.nameservers, ds=zone.ds, credential=credential)
    if domain.mode == "pool":
        return [reserved]
    # A customer's own domain: tell at once what to paste, so that it can be done while the cloud is being built.
    return [reserved, *await _first_look(event, history, zone, dns=dns)]


async def publish(event: Event[TofuApplied], history: History, *, dns: Dns) -> Effects:
    """Write the Sovereign's records, read them back, and look whether the world is sent to them."""
    if not wanted(event.about, history):
        return []
    fqdn = fqdn_of(event.subject)
    async with dns.alone(event.subject):
        zone = await dns.zones.ensure(fqdn, event.life)
        facts = await _publish(event.about, history, event.data, RUN_TTL_S, dns=dns)
    return [*facts, *await _first_look(event, history, zone, dns=dns)]


async def settle(event: Event[SovereignReady], history: History, *, dns: Dns) -> Effects:
    """The addresses will stay: let resolvers keep them for longer."""
    applied = history.data(TofuApplied)
    if not wanted(event.about, history) or applied is None:
        return []
    async with dns.alone(event.subject):
        return await _publish(event.about, history, applied, READY_TTL_S, dns=dns)


async def forget_registrar(event: Event[SovereignHandedOver], _history: History, *, dns: Dns) -> Effects:
    """The Sovereign stands on its own: its registrar token is ours no more."""
    await dns.secrets.erase(event.subject, event.life, REGISTRAR_TOKEN)
    return []


async def stand_down(_event: Event[SovereignCancelRequested], _history: History) -> Effects:
    """Nothing is in hand between events: a pending check sees the cancel when it fires; the zone stays for a retry."""
    return []


async def withdraw(event: Event[FluxReleased], history: History, *, dns: Dns) -> Effects:
    """Decommission: take back the key, DS and records, before the addresses become somebody else's."""
    if not leaving(event.about, history):
        return []
    async with dns.alone(event.subject):
        return [await _withdraw(event.about, history, dns=dns)]


async def release(event: Event[TofuDestroyed], history: History, *, dns: Dns) -> Effects:
    """Decommission: once the cloud is gone, and the DS out of every cache, zone, NS and name go."""
    if not leaving(event.about, history):
        return []
    withdrawn = history.last(DnsWithdrawn)
    async with dns.alone(event.subject):
        if withdrawn is None:
            # The cloud went first: nobody had anything to withdraw, or it took too long.
            said = await _withdraw(event.about, history, dns=dns)
            return [said, Wake(DELEGATION_CHECK, timedelta(seconds=dns.hosting.ds_ttl_s), RELEASE)]
        uncached = withdrawn.event.time + timedelta(seconds=dns.hosting.ds_ttl_s)
        if uncached > dns.clock():
            return [Wake(DELEGATION_CHECK, max(uncached - event.time, timedelta(0)), RELEASE)]
        return [await _release(event.about, history, dns=dns)]


async def look_again(fired: Fired, history: History, *, dns: Dns) -> Effects:
    """A timer fired: check the delegation once more, or finish a release."""
    if fired.key == RELEASE:
        if not leaving(fired.about, history) or history.last(DnsReleased) is not None:
            return []
        async with dns.alone(fired.about.sovereign):
            return [await _release(fired.about, history, dns=dns)]
    reserved = history.last(DnsReserved)
    if reserved is None or not wanted(fired.about, history) or history.last(DnsDelegated, run=fired.about.run):
        return []
    waiting = history.data(DnsAwaitingDelegation, run=fired.about.run)
    if waiting is not None and waiting.next_check_at > fired.due + timedelta(seconds=1):
        return []  # another check has looked since and set its own time
    said = reserved.event.data
    return await _look(fired.about, history, fired.due, Reserved(said.zone, said.nameservers, said.ds), dns=dns)


def wanted(about: About, history: History) -> bool:
    """Whether this run is the Sovereign's current one and nobody asked for its end."""
    return (
        history.alive
        and about.life == history.life
        and about.run == history.run
        and history.last(SovereignCancelRequested, run=about.run) is None
        and history.last(SovereignDecommissionRequested) is None
    )


def leaving(about: About, history: History) -> bool:
    """Whether this life is being decommissioned."""
    return (
        history.alive and about.life == history.life and history.last(SovereignDecommissionRequested) is not None
    )  # fmt: skip


async def _publish(about: About, history: History, applied: TofuApplied, ttl_s: int, *, dns: Dns) -> list[Fact]:
    said = history.data(DnsPublished, run=about.run)
    zone = fqdn_of(about.sovereign)
    done = await dns.zones.publish(zone, applied.load_balancer_ipv4, applied.load_balancer_ipv6, ttl_s=ttl_s)
    fact = DnsPublished(zone=zone, serial=done.serial, records=done.records, foreign=done.foreign)
    return [] if said == fact else [fact]


async def _first_look(event: Event[Fact], history: History, zone: Reserved, *, dns: Dns) -> list[Fact | Wake]:
    said = history.last(DnsAwaitingDelegation, run=event.run)
    if said is not None and said.event.causationid == event.id:
        # Delivered again: it has been looked, what remains is to be woken at the time that was said.
        return [Wake(DELEGATION_CHECK, said.event.data.next_check_at - event.time)]
    return await _look(event.about, history, event.time, zone, dns=dns)


async def _look(about: About, history: History, since: datetime, zone: Reserved, *, dns: Dns) -> list[Fact | Wake]:
    if history.last(DnsDelegated, run=about.run):
        return []
    in_pool = names.pool_of(zone.zone, dns.rules) is not None
    report = await dns.world.check(zone.zone, zone.nameservers, ds_required=in_pool)
    if report.holds:
        return [DnsDelegated(servers=report.servers)]
    before = history.data(DnsAwaitingDelegation, run=about.run)
    check = before.check + 1 if before else 1
    pause = min(dns.first_check * 2 ** min(check - 1, 16), dns.slowest_check)
    due = max(since, dns.clock() - pause / 2) + pause
    waiting = DnsAwaitingDelegation(
        nameservers=zone.nameservers, ds=zone.ds, servers=report.servers, check=check, next_check_at=due
    )  # fmt: skip
    return [waiting, Wake(DELEGATION_CHECK, due - since)]


async def _withdraw(about: About, history: History, *, dns: Dns) -> DnsWithdrawn:
    zone = fqdn_of(about.sovereign)
    await dns.credentials.revoke(about.sovereign, about.life)
    await dns.zones.withdraw(zone, about.life)
    if history.last(DnsReserved):
        asked = tuple(f"{label}.{zone}" if label else zone for label in (*LABELS[2:], "", _PROBE_LABEL))
        if still := await dns.world.answering(dns.hosting.nameservers, asked):
            raise TryAgain(f"{zone}: withdrawn, but still answered: {', '.join(still)}")
    return DnsWithdrawn(removed=_said_to_be_there(history))


def _said_to_be_there(history: History) -> tuple[str, ...]:
    """What stood in zone and parent by our own words: the same at every repeat, unlike what one attempt removes."""
    published, reserved = history.data(DnsPublished), history.data(DnsReserved)
    records = {f"{record.name} {record.type}" for record in published.records} if published else set()
    foreign = set(published.foreign) if published else set()
    signed = {f"{reserved.zone} DS"} if reserved and reserved.ds else set()
    return tuple(sorted(records | foreign | signed))


async def _release(about: About, history: History, *, dns: Dns) -> DnsReleased:
    zone = fqdn_of(about.sovereign)
    await dns.zones.release(zone, about.life)
    proof: tuple[ServerSays, ...] = ()
    if names.pool_of(zone, dns.rules) is not None and history.last(DnsReserved):
        report = await dns.world.gone(zone)
        if not report.holds:
            raise TryAgain(f"{zone}: released, but {'; '.join(f'{s.server} {s.said}' for s in report.servers)}")
        proof = report.servers
    await dns.credentials.forget(about.sovereign, about.life)
    await dns.secrets.erase(about.sovereign, about.life, REGISTRAR_TOKEN)
    return DnsReleased(zone=zone, proof=_digest(proof) if proof else None)


def _digest(servers: tuple[ServerSays, ...]) -> str:
    told = "\n".join(sorted(said.model_dump_json() for said in servers))
    return hashlib.sha256(told.encode()).hexdigest()
