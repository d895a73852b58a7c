"""Can mail reach an address: what DNS says about its domain, before anybody depends on it.

A domain that does not exist takes no mail (NXDOMAIN), nor one that says so by a null MX (RFC 7505), nor one with
neither an MX nor an address of its own (RFC 5321, section 5.1: the address stands in for the MX). Whether the
mailbox itself exists only its server knows: nobody is sent a mail to find out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import dns.message
import dns.rcode
import dns.rdatatype
import idna

from contracts.errors import trouble
from contracts.questions import MailReply
from dns_pdm.asking import Asking, Server, record_set

Verdict = Literal["deliverable", "undeliverable", "invalid", "not-checked"]

_LOCAL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_DOMAIN: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_KINDS: Final = ("MX", "A", "AAAA")
_ANSWERED: Final = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


@dataclass(frozen=True)
class MailDomains:
    """Judges addresses by what resolvers say; without resolvers only their syntax."""

    resolvers: tuple[Server, ...] = ()

    async def judge(self, address: str) -> MailReply:
        """Whether mail can be sent there, or why not."""
        domain, wrong = domain_of(address)
        if wrong:
            return reply_of("invalid", domain or address[:100], wrong)
        asking = Asking(recursive=True)
        for resolver in self.resolvers:
            answers = await asking.ask_all(resolver, domain, _KINDS)
            if all(answer is not None and answer.rcode() in _ANSWERED for answer in answers):
                return verdict_of(domain, [answer for answer in answers if answer is not None])
        return reply_of("not-checked", domain, "no resolver answered")


def domain_of(address: str) -> tuple[str, str]:
    """The domain of an address as DNS knows it, and what is wrong with the address; nothing when it is well-formed."""
    local, at, domain = address.strip().rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        return "", "no address: it looks like admin@example.org"
    try:
        ascii_domain = idna.encode(domain.rstrip("."), uts46=True).decode("ascii")
    except idna.IDNAError:
        return "", f"{domain[:100]} is no domain name"
    if not _DOMAIN.fullmatch(ascii_domain):
        return "", f"{domain[:100]} is no domain name"
    return ascii_domain, ""


def verdict_of(domain: str, answers: Sequence[dns.message.Message]) -> MailReply:
    """What MX, A and AAAA answers of one resolver amount to."""
    mx, *addresses = answers
    if mx.rcode() == dns.rcode.NXDOMAIN:
        return reply_of("undeliverable", domain, f"the domain {domain} does not exist")
    found = record_set(mx, domain, dns.rdatatype.MX)
    exchangers = [] if found is None else sorted((row.preference, str(row.exchange)) for row in found)
    if [exchange for _, exchange in exchangers] == ["."]:
        return reply_of("undeliverable", domain, f"{domain} says that it takes no mail (null MX)")
    if exchangers:
        names = tuple(exchange.rstrip(".") for _, exchange in exchangers)
        return reply_of("deliverable", domain, exchangers=names)
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    if any(record_set(answer, domain, kind) for answer, kind in zip(addresses, kinds, strict=True)):
        return reply_of("deliverable", domain, exchangers=(domain,))
    return reply_of("undeliverable", domain, f"{domain} has neither an MX record nor an address")


def reply_of(verdict: Verdict, domain: str, reason: str = "", exchangers: tuple[str, ...] = ()) -> MailReply:
    """The answer, with what to do where mail cannot be sent."""
    why = None
    if verdict in {"undeliverable", "invalid"}:
        why = trouble("mail-undeliverable", attempted="look up where mail goes", on=domain, message=reason)
    return MailReply(domain=domain, verdict=verdict, reason=reason, exchangers=exchangers, trouble=why)
