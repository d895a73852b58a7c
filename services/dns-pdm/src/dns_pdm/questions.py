"""What dns-pdm answers: is a name free, what does a zone hold."""

from dataclasses import dataclass
from typing import Protocol

from bus import Answer
from contracts.errors import trouble
from contracts.history import History
from contracts.identity import fqdn_of, sovereign_id
from contracts.questions import Asker, Name, NameReply, OfSovereign, ZoneReply
from dns_pdm import names
from dns_pdm.powerdns import Zone


class Journal(Protocol):
    """What is known of Sovereigns."""

    async def fold(self, sovereign: str) -> History:
        """The last event of each kind."""
        ...


class Api(Protocol):
    """The zones that exist."""

    async def zone(self, fqdn: str) -> Zone | None:
        """The zone with its records, or None."""
        ...

    async def zone_names(self) -> tuple[str, ...]:
        """Every zone."""
        ...


@dataclass(frozen=True)
class Answers:
    """Answers from the rules, the stream and the zones."""

    rules: names.Rules
    journal: Journal
    api: Api

    async def name(self, request: Name, asker: Asker | None) -> NameReply:
        """Free, or why not. Who holds a name is told to its holder only."""
        verdict = names.judge(request.fqdn, request.mode, self.rules)
        if verdict.kind == "free":
            verdict = await self._among_others(verdict, asker)
        return NameReply(fqdn=verdict.fqdn, verdict=verdict.kind, reason=verdict.reason)

    async def zone(self, request: OfSovereign, asker: Asker | None) -> ZoneReply:
        """The zone as it is now, to its owner and to administrators."""
        history = await self.journal.fold(request.sovereign)
        fqdn = fqdn_of(request.sovereign)
        mine = asker is None or "admin" in asker.roles or asker.owner == history.owner
        zone = await self.api.zone(fqdn) if history.alive and mine else None
        if zone is None:
            raise Answer(trouble("unknown-sovereign", attempted="show the zone", on=fqdn))
        records = tuple(item.record() for item in sorted(zone.records))
        return ZoneReply(zone=fqdn, serial=zone.serial, records=records)

    async def _among_others(self, verdict: names.Verdict, asker: Asker | None) -> names.Verdict:
        history = await self.journal.fold(sovereign_id(verdict.fqdn))
        if history.alive:
            mine = asker is not None and asker.owner == history.owner
            reason = f"it is your Sovereign, in life {history.life}" if mine else "another owner holds it"
            return names.Verdict(verdict.fqdn, "taken", reason)
        zones = await self.api.zone_names()
        if verdict.fqdn in zones:
            return names.Verdict(verdict.fqdn, "reserved", "it is a zone on our servers that is no Sovereign's")
        return names.nested(verdict.fqdn, zones, self.rules) or verdict
