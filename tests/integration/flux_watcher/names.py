"""A name server on loopback that answers every name with one address: real DNS over UDP for the probes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, server: "NameServer") -> None:
        self.server = server
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport is no subclass of the class that it documents.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        question = query.question[0]
        if not self.server.address:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", self.server.address))
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(), addr)


class NameServer:
    """Answers with ``address``; says that no name exists while it is empty."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.port = 0


@asynccontextmanager
async def name_server(address: str) -> AsyncIterator[NameServer]:
    server = NameServer(address)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(server), local_addr=("127.0.0.1", 0))
    server.port = transport.get_extra_info("sockname")[1]
    try:
        yield server
    finally:
        transport.close()
