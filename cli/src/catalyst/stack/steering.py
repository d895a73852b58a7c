"""A running stack takes orders by a socket in its folder: what runs, and how many replicas of a service.

The folder is its owner's alone (0700), so whoever reaches the socket may also stop the processes. One JSON line asks,
one JSON line answers. A socket's path may have some hundred characters only; it is reached through the folder's
descriptor, so that the folder may lie anywhere.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

SOCKET: Final = "steering.sock"
_WITHIN_S: Final = 120.0

Order = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NotRunning(Exception):
    """No stack runs in this folder."""


@asynccontextmanager
async def steered(folder: Path, order: Order) -> AsyncIterator[None]:
    """Take orders for as long as the block lasts."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                found = await order(json.loads(await reader.readline()))
                writer.write(json.dumps(found).encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()

    (folder / SOCKET).unlink(missing_ok=True)
    with _short(folder) as path:
        server = await asyncio.start_unix_server(answer, path)
    (folder / SOCKET).chmod(0o600)
    try:
        yield
    finally:
        server.close()
        (folder / SOCKET).unlink(missing_ok=True)


async def steer(folder: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Give an order to the stack that runs in a folder; NotRunning when none does."""
    try:
        with _short(folder) as path:
            reader, writer = await asyncio.open_unix_connection(path)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"nothing runs in {folder}") from None
    try:
        async with asyncio.timeout(_WITHIN_S):
            writer.write(json.dumps(order).encode() + b"\n")
            line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise NotRunning(f"what runs in {folder} gave no answer; its logs tell why")
    answer: dict[str, Any] = json.loads(line)
    return answer


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
