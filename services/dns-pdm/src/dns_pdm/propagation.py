"""What the public sees: resolvers are asked as anybody's computer asks them, caches and validation included.

This is told beside the delegation and decides nothing: a resolver that still remembers "no such name" is right to do
so, for as long as it was told to. One that answers SERVFAIL while the name servers agree usually finds the chain of
trust broken.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from contracts.dns import DnsPropagated, Record, ServerSays
from dns_pdm.asking import ASK_WITHIN_S, Asking, Server, record_set

Verdict = Literal["agrees", "differs", "lame", "silent"]


@dataclass(frozen=True)
class Resolvers:
    """The resolvers that stand for the public."""

    servers: tuple[Server, ...]

    async def see(self, records: Iterable[Record], zone: str) -> DnsPropagated:
        """Whether each of them gives the console's addresses as they were published."""
        host = f"console.{zone}"
        wanted = {record.type: set(record.content) for record in records if record.name == host}
        asking = Asking(recursive=True)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask(asking, server, host, wanted)) for server in self.servers]
        said = tuple(task.result() for task in asked)
        seen = sum(one.verdict == "agrees" for one in said)
        old = (one.cached_for_s for one in said if one.verdict != "agrees")
        return DnsPropagated(
            servers=said,
            seen_by=seen,
            asked=len(said),
            percent=100 * seen // len(said),
            cached_for_s=max(old, default=0),
        )


async def _ask(asking: Asking, server: Server, host: str, wanted: dict[str, set[str]]) -> ServerSays:
    kinds = tuple(wanted)
    answers = await asking.ask_all(server, host, kinds)
    silent = f"no answer within {ASK_WITHIN_S:g} s"
    said = [
        (silent, 0) if answer is None else _difference(answer, host, kind, wanted[kind])
        for kind, answer in zip(kinds, answers, strict=True)
    ]
    wrong = [text for text, _ttl in said if text]
    verdict: Verdict = "agrees" if not wrong else "silent" if None in answers else "differs"
    return ServerSays(
        server=str(server),
        side="resolver",
        verdict=verdict,
        cached_for_s=max((ttl for _text, ttl in said), default=0),
        said="; ".join(dict.fromkeys(wrong)),
    )


def _difference(answer: dns.message.Message, host: str, kind: str, wanted: set[str]) -> tuple[str, int]:
    """What is wrong with an answer (nothing: empty), and for how long it will be given."""
    rdtype = dns.rdatatype.from_text(kind)
    found = record_set(answer, host, rdtype)
    if answer.rcode() == dns.rcode.SERVFAIL:
        return "answers SERVFAIL: it cannot reach the name servers, or finds the chain of trust broken", 0
    if found is None:
        soa = next((one for one in answer.authority if one.rdtype == dns.rdatatype.SOA), None)
        kept_s = min(soa.ttl, soa[0].minimum) if soa else 0
        return f"knows no {kind} of {host} ({dns.rcode.to_text(answer.rcode())})", kept_s
    held = {str(one) for one in found}
    return ("" if held == wanted else f"still has {', '.join(sorted(held))} as {kind} of {host}", found.ttl)
