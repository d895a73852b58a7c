"""The API on every control plane: a light cluster listens at one address, and the others pass connections on to it.

So a load balancer finds each control plane healthy while it is on, and the cluster outlives the server that began it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

_CHUNK: Final = 64 * 1024
_CONNECT_S: Final = 5.0


class Relay:
    """Passes TCP connections from one address on to another, same port."""

    def __init__(self, target: str, port: int) -> None:
        self._target = target
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, address: str) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._pass_on, address, self._port)

    def close(self) -> None:
        """Listen no longer, and end what is open."""
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(self._target, self._port)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, far_writer))
                group.create_task(_copy(far_reader, writer))
            self._writers.discard(far_writer)
        writer.close()
        self._writers.discard(writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side ends; an end by force is an end."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
