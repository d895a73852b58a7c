"""What dns-pdm does when it hears of a Sovereign.

Each handler decides from the history whether its event still matters (another run or life may have begun, a cancel or
a decommission may have come), ensures, and says what followed. Waiting for a delegation is a fact and a timer: one
check per firing, at growing distance, until it holds, the run is over, or nobody wants the Sovereign any more.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus import Fired, TryAgain, Wake
from bus.timers import fired_id
from contracts.catalogue import DELEGATION_CHECK, DS_DUE, PROPAGATION_CHECK
from contracts.dns import (
    Delegation,
    DnsAwaitingDelegation,
    DnsDelegated,
    DnsFailed,
    DnsFlipped,
    DnsPropagated,
    DnsPublished,
    DnsRefused,
    DnsReleased,
    DnsReserved,
    DnsWithdrawn,
    ServerSays,
)
from contracts.errors import Trouble
from contracts.event import About, Event, Fact
from contracts.flux import FluxReleased
from contracts.history import History
from contracts.identity import fqdn_of
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignReady,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuDestroyed
from dns_pdm import flipping, names
from dns_pdm.keeping import NotOurs, Reserved
from dns_pdm.ports import Dns
from dns_pdm.registrars.port import RegistrarRefused
from dns_pdm.zones import LABELS, READY_TTL_S, RUN_TTL_S

RELEASE: Final = "release"
"""Key of the timer that fires when the DS is out of every cache."""
_LONGEST_PROPAGATION: Final = timedelta(hours=48)
"""The longest that registries let resolvers keep a delegation."""
_PROBE_LABEL: Final = "any-name"
"""What the wildcard is asked for."""

Effects = Iterable[Fact | Wake]


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
    registrar: Delegation | None = None
    if domain.registrar is not None:
        surveyed = await flipping.survey(event.about, history, domain.registrar, dns=dns)
        if isinstance(surveyed, Trouble):
            return [DnsRefused(trouble=surveyed)]
        registrar = surveyed
    async with dns.alone(event.subject):
        try:
            zone = await dns.zones.ensure(fqdn, event.life)
        except NotOurs as error:
            return [DnsRefused(trouble=names.Verdict(fqdn, "reserved", str(error)).trouble())]
        credential = await dns.credentials.issue(event.subject, event.life)
    reserved = DnsReserved(
        zone=zone.zone, nameservers=zone.nameservers, ds=zone.ds, credential=credential, registrar=registrar
    )
    if domain.mode == "pool":
        return [reserved]
    # A customer's own domain: tell at once what to paste, so that it can be done while the cloud is being built.
    # Where a registrar does it for us, nobody is sent here before the records are there.
    return [reserved, *await _first_look(event, history, zone, dns=dns)]


async def publish(event: Event[TofuApplied], history: History, *, dns: Dns) -> Effects:
    """Write the Sovereign's records, read them back, and look whether the world is sent to them."""
    if not wanted(event.about, history):
        return []
    fqdn = fqdn_of(event.subject)
    async with dns.alone(event.subject):
        zone = await dns.zones.ensure(fqdn, event.life)
        facts = await _publish(event.about, history, event.data, RUN_TTL_S, dns=dns)
    return [*facts, *await _first_look(event, history, zone, dns=dns, flip=True)]


async def settle(event: Event[SovereignReady], history: History, *, dns: Dns) -> Effects:
    """The addresses will stay: let resolvers keep them for longer."""
    applied = history.data(TofuApplied)
    if not wanted(event.about, history) or applied is None:
        return []
    async with dns.alone(event.subject):
        return await _publish(event.about, history, applied, READY_TTL_S, dns=dns)


async def forget_registrar(event: Event[SovereignHandedOver], history: History, *, dns: Dns) -> Effects:
    """The Sovereign stands on its own: its registrar token is ours no more, but for one that was brought since."""
    asked, handed = history.last(SovereignRequested), history.last(SovereignHandedOver)
    since = asked is not None and handed is not None and asked.sequence > handed.sequence
    if since or history.data(SovereignDecommissionRequested) is not None:
        return []
    await dns.secrets.erase(event.subject, event.life, flipping.REGISTRAR_TOKEN)
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
        if kept(history):
            first = [] if withdrawn else [await _withdraw(event.about, history, dns=dns)]
            return [*first, await _release(event.about, history, dns=dns)]
        if withdrawn is None:
            # The cloud went first: nobody had anything to withdraw, or it took too long.
            said = await _withdraw(event.about, history, dns=dns)
            return [said, Wake(DELEGATION_CHECK, timedelta(seconds=said.cached_for_s), RELEASE)]
        uncached = withdrawn.event.time + timedelta(seconds=withdrawn.event.data.cached_for_s)
        if uncached > dns.clock():
            return [Wake(DELEGATION_CHECK, max(uncached - event.time, timedelta(0)), RELEASE)]
        return [await _release(event.about, history, dns=dns)]


async def look_again(fired: Fired, history: History, *, dns: Dns) -> Effects:
    """A timer fired: check the delegation once more, or finish a release."""
    if fired.key == RELEASE:
        return await _finish_release(fired, history, dns=dns)
    about, reserved = fired.about, history.last(DnsReserved)
    if reserved is None or not wanted(about, history):
        return []
    zone = _zone_of(reserved.event.data)
    if again := _repeated(fired_id(fired), about, history, fired.due, zone, dns=dns):
        return again
    failed = history.data(DnsFailed, run=about.run)
    if history.last(DnsDelegated, run=about.run) or (failed is not None and not failed.trouble.retryable):
        return []  # nothing is left to wait for; or somebody has to act, and then asks for another run
    waiting = history.data(DnsAwaitingDelegation, run=about.run)
    if waiting is not None and waiting.next_check_at > fired.due + timedelta(seconds=1):
        return []  # another check has looked since and set its own time
    flip = history.last(DnsPublished) is not None
    return await _look(about, history, fired.due, zone, dns=dns, flip=flip)


async def _finish_release(fired: Fired, history: History, *, dns: Dns) -> Effects:
    if not leaving(fired.about, history) or history.last(DnsReleased) is not None:
        return []
    async with dns.alone(fired.about.sovereign):
        return [await _release(fired.about, history, dns=dns)]


async def sign(fired: Fired, history: History, *, dns: Dns) -> Effects:
    """byo-api: nobody can be asking the former servers any more, so our DS may stand at the registrar."""
    reserved = history.data(DnsReserved)
    if reserved is None or not wanted(fired.about, history):
        return []
    async with dns.alone(fired.about.sovereign):
        return await flipping.sign(fired.about, history, _zone_of(reserved), dns=dns)


async def look_around(fired: Fired, history: History, *, dns: Dns) -> Effects:
    """Ask resolvers what the public sees, until all see it or no cache can be to blame any more."""
    delegated = history.last(DnsDelegated, run=fired.about.run)
    if dns.public is None or delegated is None or not wanted(fired.about, history):
        return []
    since = fired.due - delegated.event.time
    again = [Wake(PROPAGATION_CHECK, min(max(since, dns.first_check), dns.slowest_check))]
    published = history.data(DnsPublished, run=fired.about.run)
    if published is None:
        return again
    seen = await dns.public.see(published.records, published.zone)
    said = history.data(DnsPropagated, run=fired.about.run)
    facts = [] if said is not None and said.key == seen.key else [seen]
    return facts if seen.seen_by == seen.asked or since > _LONGEST_PROPAGATION else [*facts, *again]


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


def kept(history: History) -> bool:
    """Whether zone and delegation outlast this life: it is reprovisioned."""
    asked = history.data(SovereignDecommissionRequested)
    return asked is not None and asked.reprovision


async def _publish(about: About, history: History, applied: TofuApplied, ttl_s: int, *, dns: Dns) -> list[Fact]:
    said = history.data(DnsPublished, run=about.run)
    zone = fqdn_of(about.sovereign)
    done = await dns.zones.publish(zone, applied.load_balancer_ipv4, applied.load_balancer_ipv6, ttl_s=ttl_s)
    fact = DnsPublished(zone=zone, serial=done.serial, records=done.records, foreign=done.foreign)
    return [] if said == fact else [fact]


async def _first_look(
    event: Event[Fact], history: History, zone: Reserved, *, dns: Dns, flip: bool = False
) -> list[Fact | Wake]:
    if again := _repeated(event.id, event.about, history, event.time, zone, dns=dns):
        return again
    return await _look(event.about, history, event.time, zone, dns=dns, flip=flip)


def _repeated(
    cause: UUID, about: About, history: History, since: datetime, zone: Reserved, *, dns: Dns
) -> list[Fact | Wake]:
    """Delivered again: the look was taken and said; what remains are the timers that a crash may have cut off."""
    waiting = history.last(DnsAwaitingDelegation, run=about.run)
    if waiting is not None and waiting.event.causationid == cause:
        return [Wake(DELEGATION_CHECK, waiting.event.data.next_check_at - since)]
    delegated = history.last(DnsDelegated, run=about.run)
    if delegated is not None and delegated.event.causationid == cause:
        return _once_delegated(history, zone, None, since, dns=dns)
    return []


def _once_delegated(
    history: History, zone: Reserved, now_said: DnsFlipped | None, since: datetime, *, dns: Dns
) -> list[Fact | Wake]:
    """What is to be woken for: to set our DS at the registrar, and to ask what resolvers see."""
    sign_at = flipping.sign_at(history, zone, now_said, since)
    sign = [Wake(DS_DUE, max(sign_at - since, timedelta(0)))] if sign_at else []
    look = [Wake(PROPAGATION_CHECK, timedelta(0))] if dns.public is not None else []
    return [*sign, *look]


async def _look(
    about: About, history: History, since: datetime, zone: Reserved, *, dns: Dns, flip: bool
) -> list[Fact | Wake]:
    """Ask everybody once; where that does not hold, do what can be done (``flip``: at the registrar) and wait."""
    if history.last(DnsDelegated, run=about.run):
        return []
    in_pool = names.pool_of(zone.zone, dns.rules) is not None
    report = await dns.world.check(zone.zone, zone.nameservers, ds_required=in_pool)
    if report.holds:
        unsaid = flipping.unsaid(history, zone, report) if flip else None
        then = _once_delegated(history, zone, unsaid, since, dns=dns)
        return [*([unsaid] if unsaid else []), DnsDelegated(servers=report.servers), *then]
    done = flipping.Step()
    if flip:
        async with dns.alone(about.sovereign):
            done = await flipping.step(about, history, zone, report, dns=dns)
    if done.trouble is not None:
        return [DnsFailed(trouble=done.trouble, servers=report.servers)]
    before = history.data(DnsAwaitingDelegation, run=about.run)
    check = before.check + 1 if before else 1
    pause = min(dns.first_check * 2 ** min(check - 1, 16), dns.slowest_check)
    due = max(since, dns.clock() - pause / 2) + pause
    if done.not_before is not None:
        due = max(due, min(done.not_before, due + dns.slowest_check))
    waiting = DnsAwaitingDelegation(
        nameservers=zone.nameservers, ds=zone.ds, servers=report.servers, registrar=done.waiting,
        cached_for_s=report.cached_for_s, check=check, next_check_at=due,
    )  # fmt: skip
    return [*([done.flipped] if done.flipped else []), waiting, Wake(DELEGATION_CHECK, due - since)]


def _zone_of(said: DnsReserved) -> Reserved:
    return Reserved(said.zone, said.nameservers, said.ds)


async def _withdraw(about: About, history: History, *, dns: Dns) -> DnsWithdrawn:
    zone, flipped = fqdn_of(about.sovereign), history.data(DnsFlipped)
    await dns.credentials.revoke(about.sovereign, about.life)
    if kept(history):
        await dns.zones.empty(zone, about.life)
    else:
        with suppress(RegistrarRefused):  # what still stands at the registrar is looked at, and told, in the end
            await flipping.unsign(about, history, dns=dns)
        await dns.zones.take_back(zone, about.life)
        await dns.zones.withdraw(zone, about.life)
    if history.last(DnsReserved):
        asked = tuple(f"{label}.{zone}" if label else zone for label in (*LABELS[2:], "", _PROBE_LABEL))
        if still := await dns.world.answering(dns.hosting.nameservers, asked):
            raise TryAgain(f"{zone}: withdrawn, but still answered: {', '.join(still)}")
    signed_s = flipped.cached_for_s if flipped and flipped.ds else 0
    cached_s = 0 if kept(history) else max(signed_s, dns.hosting.ds_ttl_s)
    return DnsWithdrawn(removed=_said_to_be_there(history), cached_for_s=cached_s)


def _said_to_be_there(history: History) -> tuple[str, ...]:
    """What stood in zone and parent by our own words: the same at every repeat, unlike what one attempt removes."""
    published, reserved = history.data(DnsPublished), history.data(DnsReserved)
    records = {f"{record.name} {record.type}" for record in published.records} if published else set()
    foreign = set(published.foreign) if published else set()
    signed = {f"{reserved.zone} DS"} if reserved and reserved.ds and not kept(history) else set()
    return tuple(sorted(records | foreign | signed))


async def _hand_on(about: About, *, dns: Dns) -> DnsReleased:
    """A reprovision: the next life goes on with the zone as it is delegated now."""
    zone = fqdn_of(about.sovereign)
    await dns.zones.hand_on(zone, about.life)
    await dns.credentials.forget(about.sovereign, about.life)
    await dns.secrets.erase(about.sovereign, about.life, flipping.REGISTRAR_TOKEN)
    return DnsReleased(zone=zone, kept=True)


async def _release(about: About, history: History, *, dns: Dns) -> DnsReleased:
    if kept(history):
        return await _hand_on(about, dns=dns)
    zone = fqdn_of(about.sovereign)
    released = DnsReleased(zone=zone)
    if names.pool_of(zone, dns.rules) is None and history.last(DnsReserved):
        released = await _leave_own_domain(about, history, dns=dns)
    await dns.zones.take_back(zone, about.life)
    await dns.zones.release(zone, about.life)
    if names.pool_of(zone, dns.rules) is not None and history.last(DnsReserved):
        report = await dns.world.gone(zone)
        if not report.holds:
            raise TryAgain(f"{zone}: released, but {'; '.join(f'{s.server} {s.said}' for s in report.servers)}")
        released = DnsReleased(zone=zone, proof=_digest(report.servers))
    await dns.credentials.forget(about.sovereign, about.life)
    await dns.secrets.erase(about.sovereign, about.life, flipping.REGISTRAR_TOKEN)
    return released


async def _leave_own_domain(about: About, history: History, *, dns: Dns) -> DnsReleased:
    """Put the owner's name servers back where that was asked for, and see what the parent's servers say then."""
    zone, refused = fqdn_of(about.sovereign), ""
    asked, flipped = history.data(SovereignDecommissionRequested), history.data(DnsFlipped)
    former = flipped.former if flipped and asked and asked.restore_nameservers else None
    if former is not None:
        try:
            await flipping.restore(about, former, history, dns=dns)
        except RegistrarRefused as refusal:
            refused = refusal.message
    report = await dns.world.check(zone, dns.hosting.nameservers, ds_required=False)
    ours = set(dns.hosting.nameservers)
    still = [said.server for said in report.servers if said.side == "parent" and ours & set(said.nameservers)]
    if still and former is not None and not refused:
        raise TryAgain(f"{zone}: put back at the registrar, but still delegated to us by {', '.join(still)}")
    if still:
        return DnsReleased(zone=zone, left=flipping.undo_by_hand(history, refused))
    return DnsReleased(zone=zone, restored=former.nameservers if former else (), proof=_digest(report.servers))


def _digest(servers: tuple[ServerSays, ...]) -> str:
    told = "\n".join(sorted(said.model_dump_json() for said in servers))
    return hashlib.sha256(told.encode()).hexdigest()
