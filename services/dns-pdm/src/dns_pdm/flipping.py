"""byo-api: the way from what a registrar holds to our name servers, one safe step at a time.

What stood there first is read before anything is changed and said with ``dns.reserved``; every change is said as
``dns.flipped`` with it, so that the way back is known whatever happens in between. The order is the one in which no
resolver that validates ever sees a broken chain: a DS of the former servers goes first and is left to expire, then the
name servers are changed (only once our zone holds its records), and our DS comes when nobody can still be asking the
former servers.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bus import CannotOpen, TryAgain
from contracts.dns import Delegation, DnsFlipped, DnsReleased, DnsReserved, DsRecord
from contracts.errors import Trouble
from contracts.event import About
from contracts.history import History, Recorded
from contracts.identity import fqdn_of
from contracts.sovereign import SovereignRequested
from dns_pdm.delegation import Report
from dns_pdm.keeping import Reserved
from dns_pdm.ports import Dns
from dns_pdm.registrars.port import Registrar, RegistrarBusy, RegistrarRefused

_ARRIVES_WITHIN: Final = timedelta(seconds=30)
"""A request's secrets are stored right after its fact: until then they may still be on their way."""
_LOOKED_FOR_EVERY: Final = timedelta(seconds=1)
REGISTRAR_TOKEN: Final = "registrar-token"  # noqa: S105 - the name of a secret, not a secret


@dataclass(frozen=True)
class Step:
    """What was done at the registrar, and what is waited for."""

    flipped: DnsFlipped | None = None
    waiting: str = ""
    trouble: Trouble | None = None
    """The registrar says no: somebody has to act."""
    not_before: datetime | None = None
    """Nothing can change earlier."""


def registrar_of(history: History) -> str | None:
    """The registrar of a byo-api Sovereign."""
    asked = history.data(SovereignRequested)
    return asked.shape.domain.registrar if asked else None


@asynccontextmanager
async def account(about: About, registrar: str, *, dns: Dns) -> AsyncIterator[Registrar]:
    """The Sovereign's account at its registrar; RegistrarRefused when we hold no credentials any more."""
    try:
        token = await dns.secrets.open(about.sovereign, about.life, REGISTRAR_TOKEN)
    except KeyError:
        raise RegistrarRefused("credential-required", f"no credentials for {registrar} are held any more") from None
    except CannotOpen as error:
        raise RegistrarRefused("credential-required", f"the credentials for {registrar}: {error}") from None
    async with dns.registrars.open(registrar, token) as opened:
        yield opened


async def survey(about: About, history: History, registrar: str, *, dns: Dns) -> Delegation | Trouble:
    """What stood at the registrar before anything of ours, read with the credentials; or why they do not do."""
    said = history.data(DnsReserved) or _carried(history)
    fqdn = fqdn_of(about.sovereign)
    try:
        async with account(about, registrar, dns=dns) as opened:
            held = await opened.validate(fqdn)
    except RegistrarRefused as refusal:
        asked = history.last(SovereignRequested)
        if refusal.code == "credential-required" and asked and dns.clock() < asked.event.time + _ARRIVES_WITHIN:
            raise TryAgain(refusal.message, after=_LOOKED_FOR_EVERY) from None
        return refusal.trouble("read the delegation at the registrar", fqdn)
    return said.registrar if said and said.registrar and is_ours(held, dns.hosting.nameservers) else held


def _carried(history: History) -> DnsReserved | None:
    """What the life before had read at the registrar, where it was reprovisioned: the way back is still that one."""
    facts = [item.event.data for item in history.recorded if item.event.life == history.life - 1]
    released = next((fact for fact in reversed(facts) if isinstance(fact, DnsReleased)), None)
    if released is None or not released.kept:
        return None
    return next((fact for fact in reversed(facts) if isinstance(fact, DnsReserved)), None)


async def step(about: About, history: History, zone: Reserved, report: Report, *, dns: Dns) -> Step:
    """Do what can be done now towards our name servers; a repeat does and says the same."""
    registrar = registrar_of(history)
    if registrar is None:
        return Step()
    reserved = history.data(DnsReserved)
    course = _Course(registrar, zone, report, history.last(DnsFlipped), reserved.registrar if reserved else None)
    try:
        async with account(about, registrar, dns=dns) as opened:
            return await course.advance(opened, now=dns.clock())
    except RegistrarBusy as busy:
        return Step(waiting=f"{registrar}: {busy.reason}", not_before=dns.clock() + busy.after if busy.after else None)
    except RegistrarRefused as refusal:
        return Step(trouble=refusal.trouble("change the delegation at the registrar", zone.zone))


@dataclass(frozen=True)
class _Course:
    """Where one domain stands on the way."""

    registrar: str
    zone: Reserved
    report: Report
    last: Recorded | None
    """The last ``dns.flipped``."""
    surveyed: Delegation | None
    """What stood there at first, as ``dns.reserved`` says."""

    async def advance(self, opened: Registrar, *, now: datetime) -> Step:
        """One step."""
        held = await opened.get(self.zone.zone)
        former = self._former(held)
        if self._is_ours(held):
            said = self.last.event.data if self.last else None
            # An attempt that changed them and could not say so is said now.
            unsaid = former is not None and (said is None or set(said.after) != set(self.zone.nameservers))
            return Step(
                _flipped(self.registrar, former, self.zone, self.report) if former and unsaid else None,
                waiting=self._follows,
            )
        former = former or held
        if self._foreign(held) or (self.last is None and self._foreign(former)):
            await opened.set_ds(self.zone.zone, ())
            gone = _flipped(self.registrar, former, self.zone, self.report).model_copy(
                update={"after": held.nameservers, "ds": ()}
            )
            return Step(gone, waiting="the DS of the former servers is taken away; caches keep it for a while")
        if tags := self._foreign_tags():
            return Step(waiting=f"the parent zone has a DS that is not ours ({tags}): it has to go first")
        clear = self.last.event.time + timedelta(seconds=self.last.event.data.cached_for_s) if self.last else now
        if clear > now:
            return Step(waiting=f"the former DS may be cached until {clear.isoformat()}", not_before=clear)
        await opened.set(self.zone.zone, self.zone.nameservers)
        return Step(_flipped(self.registrar, former, self.zone, self.report), waiting=self._follows)

    @property
    def _follows(self) -> str:
        return f"{self.registrar} has our name servers; the parent zone follows"

    def _former(self, held: Delegation) -> Delegation | None:
        """What a decommission puts back: what stands there, or what stood there before us."""
        said = self.last.event.data.former if self.last else self.surveyed
        # While only the DS is gone, the former name servers still stand there, but not all that stood there.
        if not self._is_ours(held) and (said is None or set(said.nameservers) != set(held.nameservers)):
            return held
        return said if said is not None and not self._is_ours(said) else None

    def _is_ours(self, held: Delegation) -> bool:
        return is_ours(held, self.zone.nameservers)

    def _foreign(self, held: Delegation) -> bool:
        return not _identities(held.ds) <= _identities(self.zone.ds)

    def _foreign_tags(self) -> str:
        seen = {tag for said in self.report.servers if said.side == "parent" for tag in said.ds_key_tags}
        return ", ".join(str(tag) for tag in sorted(seen - {one.key_tag for one in self.zone.ds}))


def unsaid(history: History, zone: Reserved, report: Report) -> DnsFlipped | None:
    """The change that an attempt made and could not say, once the parent zone shows it."""
    registrar, reserved, last = registrar_of(history), history.data(DnsReserved), history.data(DnsFlipped)
    former = last.former if last else reserved.registrar if reserved else None
    if registrar is None or former is None or is_ours(former, zone.nameservers):
        return None
    if last is not None and set(last.after) == set(zone.nameservers):
        return None
    return _flipped(registrar, former, zone, report)


def sign_at(history: History, zone: Reserved, now_said: DnsFlipped | None, now: datetime) -> datetime | None:
    """When our DS may be set; None when it is not ours to set, or is set already."""
    last, reserved = history.last(DnsFlipped), history.data(DnsReserved)
    known = reserved.registrar if reserved else None
    flipped, since = (now_said, now) if now_said else (last.event.data, last.event.time) if last else (None, now)
    if flipped is None or known is None or known.ds is None:
        return None
    if flipped.ds is not None and _identities(flipped.ds) == _identities(zone.ds):
        return None
    return since + timedelta(seconds=flipped.cached_for_s)


async def sign(about: About, history: History, zone: Reserved, *, dns: Dns) -> list[DnsFlipped]:
    """Set our DS: parent and child agree, and nobody asks the former servers any more."""
    registrar, said = registrar_of(history), history.data(DnsFlipped)
    if registrar is None or said is None or sign_at(history, zone, None, dns.clock()) is None:
        return []
    try:
        async with account(about, registrar, dns=dns) as opened:
            await opened.set_ds(zone.zone, zone.ds)
    except RegistrarRefused:
        # Handed over meanwhile, or refused: the zone works without; the owner was told the DS to paste.
        return []
    return [said.model_copy(update={"before": said.after, "ds": zone.ds})]


async def unsign(about: About, history: History, *, dns: Dns) -> None:
    """Decommission: our DS goes from the registrar, before anything else of the delegation does."""
    registrar, said = registrar_of(history), history.data(DnsFlipped)
    if registrar is None or said is None or not said.ds:
        return
    async with account(about, registrar, dns=dns) as opened:
        await opened.set_ds(fqdn_of(about.sovereign), ())


async def restore(about: About, former: Delegation, history: History, *, dns: Dns) -> None:
    """Put back what stood there before us."""
    if (registrar := registrar_of(history)) is not None:
        async with account(about, registrar, dns=dns) as opened:
            await opened.rollback(fqdn_of(about.sovereign), former)


def undo_by_hand(history: History, why: str = "") -> str:
    """What the owner still has to change at the registrar."""
    said = history.data(DnsFlipped)
    back = ", ".join(said.former.nameservers) if said and said.former else ""
    told = f"the parent still delegates to our name servers: put back {back or 'your own'} at the registrar"
    return f"{told} ({why})" if why else told


def _flipped(registrar: str, former: Delegation, zone: Reserved, report: Report) -> DnsFlipped:
    cached = (said.cached_for_s for said in report.servers if said.side == "parent")
    return DnsFlipped(
        registrar=registrar,
        before=former.nameservers,
        after=zone.nameservers,
        former=former,
        cached_for_s=max(cached, default=0),
    )


def _identities(ds: tuple[DsRecord, ...] | None) -> set[tuple[int, int, int, str]]:
    return {one.identity for one in ds or ()}


def is_ours(held: Delegation, nameservers: tuple[str, ...]) -> bool:
    """Whether a registrar names exactly our name servers."""
    return set(held.nameservers) == set(nameservers)
