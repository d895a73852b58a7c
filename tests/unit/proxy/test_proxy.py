"""The proxy does to a connection what its methods say, so that tests through it mean what they say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.proxy import Proxy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


class _Talk:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hear(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), 10)

    async def say(self, line: bytes) -> bytes:
        self.writer.write(line)
        return await self.hear()

    async def silent(self) -> bool:
        """Whether nothing comes, for long enough that an open loopback would have brought it."""
        try:
            await asyncio.wait_for(self.reader.readline(), 0.2)
        except TimeoutError:
            return True
        return False


@contextlib.asynccontextmanager
async def _talking() -> AsyncIterator[tuple[Proxy, _Talk]]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with Proxy(server.sockets[0].getsockname()[1]) as proxy:
        talk = _Talk(*await asyncio.open_connection("127.0.0.1", proxy.port))
        assert await talk.say(b"hello\n") == b"hello\n"
        try:
            yield proxy, talk
        finally:
            talk.writer.close()
            server.close()


async def test_it_passes_everything_on_and_delays_when_told() -> None:
    async with _talking() as (proxy, talk):
        proxy.delay_s = 0.1
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await talk.say(b"late\n") == b"late\n"
        assert loop.time() - began >= 0.2
        assert proxy.accepted == 1


async def test_a_cut_ends_the_connection_and_a_new_one_may_come() -> None:
    async with _talking() as (proxy, talk):
        proxy.cut()
        with contextlib.suppress(ConnectionError):
            assert await talk.hear() == b""
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.close()


async def test_a_half_open_connection_stays_and_brings_nothing_until_it_thaws() -> None:
    async with _talking() as (proxy, talk):
        proxy.freeze()
        talk.writer.write(b"waits\n")
        assert await talk.silent()
        fresh = _Talk(*await asyncio.open_connection("127.0.0.1", proxy.port))
        assert await fresh.say(b"new\n") == b"new\n"
        fresh.writer.close()
        proxy.thaw()
        assert await talk.hear() == b"waits\n"


async def test_without_answers_the_server_still_hears() -> None:
    heard = asyncio.Event()

    async def server_of_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        heard.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(server_of_one, "127.0.0.1", 0)
    async with Proxy(server.sockets[0].getsockname()[1]) as proxy:
        talk = _Talk(*await asyncio.open_connection("127.0.0.1", proxy.port))
        async with asyncio.timeout(10):
            while not proxy.accepted:
                await asyncio.sleep(0.01)
        proxy.freeze(answers_only=True)
        talk.writer.write(b"stored\n")
        await asyncio.wait_for(heard.wait(), 10)
        assert await talk.silent()
        talk.writer.close()
    server.close()


async def test_it_refuses_and_speaks_for_the_server() -> None:
    async with _talking() as (proxy, talk):
        proxy.say(b"-ERR\n")
        assert await talk.hear() == b"-ERR\n"
        proxy.refusing = True
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 10) == b""
        writer.close()
