"""What dns-pdm answers: is a name free, what does a zone hold, do credentials open a domain at its registrar."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from bus import Answer, CannotOpen
from contracts import questions as asked
from contracts.errors import trouble
from contracts.history import History
from contracts.identity import fqdn_of, sovereign_id
from contracts.questions import Asker, MailReply, Name, NameReply, OfSovereign, RegistrarReply, ZoneReply
from contracts.request import SealedSecret
from dns_pdm import names
from dns_pdm.flipping import REGISTRAR_TOKEN
from dns_pdm.powerdns import Zone
from dns_pdm.registrars.port import Registrar, RegistrarBusy, RegistrarRefused

_TRY: Final = "read the domain at the registrar"


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


class Registrars(Protocol):
    """Accounts at registrars."""

    def open(self, registrar: str, token: bytes) -> AbstractAsyncContextManager[Registrar]:
        """An account; RegistrarRefused when the credentials lack a part."""
        ...


class Sealed(Protocol):
    """Our own seal keys."""

    def open_sealed(self, secret: SealedSecret, *, bound_to: str, purpose: str | None = None) -> bytes:
        """The plaintext; CannotOpen when it is not for us."""
        ...


class Mails(Protocol):
    """What DNS says of mail domains."""

    async def judge(self, address: str) -> MailReply:
        """Whether mail can be sent there, or why not."""
        ...


@dataclass(frozen=True)
class Answers:
    """Answers from the rules, the stream and the zones."""

    rules: names.Rules
    journal: Journal
    api: Api
    registrars: Registrars
    sealed: Sealed
    mails: Mails

    async def name(self, request: Name, asker: Asker | None) -> NameReply:
        """Free, or why not. Who holds a name is told to its holder only."""
        verdict = names.judge(request.fqdn, request.mode, self.rules)
        if verdict.kind == "free":
            verdict = await self._among_others(verdict, asker)
        why = verdict.trouble() if verdict.kind != "free" else None
        return NameReply(fqdn=verdict.fqdn, verdict=verdict.kind, reason=verdict.reason, trouble=why)

    async def mail(self, request: asked.Mail, _asker: Asker | None) -> MailReply:
        """Whether mail can reach an address, as far as DNS tells."""
        return await self.mails.judge(request.address)

    async def registrar(self, request: asked.Registrar, _asker: Asker | None) -> RegistrarReply:
        """Whether these credentials open this domain at the registrar; nothing is changed."""
        verdict = names.judge(request.domain, "byo-api", self.rules)
        reply = RegistrarReply(registrar=request.registrar, domain=request.domain, valid=False)
        if verdict.kind != "free":
            return reply.model_copy(update={"trouble": verdict.trouble()})
        secret = request.secret
        try:
            token = self.sealed.open_sealed(secret, bound_to=secret.bound_to, purpose=REGISTRAR_TOKEN)
            async with self.registrars.open(request.registrar, token) as account:
                held = await account.validate(verdict.fqdn)
        except CannotOpen as error:
            raise Answer(trouble("credential-required", attempted=_TRY, on=verdict.fqdn, message=str(error))) from None
        except RegistrarRefused as refusal:
            # These two say that the registrar knows the caller.
            valid = refusal.code in {"registrar-domain-missing", "registrar-unsupported"}
            return reply.model_copy(update={"valid": valid, "trouble": refusal.trouble(_TRY, verdict.fqdn)})
        except RegistrarBusy as busy:
            return reply.model_copy(update={"trouble": busy.trouble(_TRY, verdict.fqdn)})
        note = "" if held.ds is not None else "its API knows no DS: paste the DS at the registrar for DNSSEC"
        seen = {"valid": True, "in_account": True, "can_change": True, "nameservers": held.nameservers, "note": note}
        return reply.model_copy(update=seen)

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
