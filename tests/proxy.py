"""A TCP proxy between client and server: it cuts, delays, half-opens, and puts words into the server's mouth."""

import asyncio
from types import TracebackType
from typing import Self

_CHUNK = 64 * 1024


class _Link:
    """One proxied connection. A direction flows while its event is set; bytes wait, as they do on a dead network."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.up, self.down = asyncio.Event(), asyncio.Event()
        self.up.set()
        self.down.set()


class Proxy:
    """Listens on loopback and passes everything on to ``port``.

    ``delay_s`` holds each chunk back for so long. ``refusing`` closes new connections at once.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._links: set[_Link] = set()
        self._pumping: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.delay_s = 0.0
        self.refusing = False
        self.accepted = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        # Ended by their sockets, not cancelled: asyncio's streams report a cancelled connection as an error.
        await asyncio.gather(*self._pumping)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection with a reset; what was on its way is lost."""
        for link in self._links:
            link.client.transport.abort()
            link.server.transport.abort()
        self.thaw()

    def freeze(self, *, answers_only: bool = False) -> None:
        """Half-open: the connections of now stay, nothing passes (only no answers). New ones flow."""
        for link in self._links:
            link.down.clear()
            if not answers_only:
                link.up.clear()

    def thaw(self) -> None:
        """Everything that waited passes."""
        for link in self._links:
            link.up.set()
            link.down.set()

    def say(self, words: bytes) -> None:
        """Write to every client as if the server had, between two of its messages (the caller sees to quiet)."""
        for link in self._links:
            link.client.write(words)

    async def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumping.add(task)
        task.add_done_callback(self._pumping.discard)
        if self.refusing:
            to_client.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            to_client.transport.abort()
            return
        self.accepted += 1
        link = _Link(to_client, to_server)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(from_client, to_server, link.up))
                group.create_task(self._pump(from_server, to_client, link.down))
        finally:
            self._links.discard(link)
            to_client.transport.abort()
            to_server.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
        try:
            while chunk := await source.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await flowing.wait()
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()
