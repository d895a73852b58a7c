"""One question to one server, over UDP and TCP after truncation: a name server itself, or a resolver, recursively."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

ASK_WITHIN_S = 2.0
_ATTEMPTS = 2
_AT_ONCE = 8
_PAYLOAD = 1232
"""What passes everywhere without fragments (DNS flag day 2020)."""
DNS_PORT = 53


@dataclass(frozen=True)
class Server:
    """A name server: what it is called and where it listens."""

    name: str
    address: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        return f"{self.name} ({self.address if self.port == DNS_PORT else f'{self.address}:{self.port}'})"


@dataclass(frozen=True)
class Asking:
    """A round of questions, a few at once."""

    recursive: bool = False
    """False asks a server for what it holds itself; True asks a resolver to find out."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def ask(self, server: Server, name: str, kind: str) -> dns.message.Message | None:
        """The answer, whatever it says; None when none came."""
        query = dns.message.make_query(name, kind, want_dnssec=True, payload=_PAYLOAD)
        if not self.recursive:
            query.flags &= ~dns.flags.RD
        for _ in range(_ATTEMPTS):
            try:
                async with self.slots:
                    answer, _by_tcp = await dns.asyncquery.udp_with_fallback(
                        query, server.address, timeout=ASK_WITHIN_S, port=server.port
                    )
            except (dns.exception.DNSException, OSError, EOFError):
                continue
            return answer
        return None

    async def ask_all(self, server: Server, name: str, kinds: Sequence[str]) -> list[dns.message.Message | None]:
        """Several types of one name."""
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self.ask(server, name, kind)) for kind in kinds]
        return [task.result() for task in asked]


def record_set(message: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    """The record set of this name and type in answer or authority: a parent refers in the latter."""
    owner = dns.name.from_text(name)
    for section in (message.answer, message.authority):
        if found := message.get_rrset(section, owner, dns.rdataclass.IN, kind):
            return found
    return None
