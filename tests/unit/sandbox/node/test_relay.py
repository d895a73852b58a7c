import asyncio
from collections.abc import AsyncIterator

import pytest

from sandbox.node.relay import Relay

HERE, THERE = "127.64.78.1", "127.64.78.2"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server on one address which says each line back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, HERE, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_what_is_said_there_is_answered_from_here(port: int) -> None:
    relay = Relay(HERE, port)
    await relay.open(THERE)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(THERE, port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    relay.close()


async def test_a_closed_relay_ends_its_connections_and_takes_no_more(port: int) -> None:
    relay = Relay(HERE, port)
    await relay.open(THERE)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(THERE, port)
        writer.write(b"hello\n")
        await reader.readline()
        relay.close()
        assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(THERE, port)
    writer.close()


async def test_a_target_that_is_not_there_ends_the_connection(port: int) -> None:
    relay = Relay("127.64.78.3", port)
    await relay.open(THERE)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(THERE, port)
        assert await reader.read() == b""
    writer.close()
    relay.close()
