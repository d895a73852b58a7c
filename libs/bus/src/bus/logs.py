"""Chatter beside the facts: log lines on ``log.<id>.<source>.<run>``, kept seven days, lost without harm.

Lines are masked by the caller and bounded here; publishing is not confirmed, so that chatter never holds up work. Who
reads follows the stream, which knows the order; what is heard live only says that there is something to read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from nats.aio.msg import Msg

from bus import reading
from bus.connection import Connection
from bus.scan import masked, secret_in
from contracts.topology import LOGS

MAX_CHUNK_BYTES = 16 * 1024
_MAX_LINE = 2000
_HEARD = 1000
_TOKENS = 4
"""Of a log subject: log, Sovereign, source, run."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Some lines that one source said at once."""

    sequence: int
    """In the stream of chatter."""
    at: str
    source: str
    run: int
    lines: tuple[str, ...]


class Logs:
    """Publishes log chunks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sequence = 0
        self.dropped = 0

    async def say(self, sovereign: str, source: str, run: int, lines: Sequence[str]) -> None:
        """Publish lines in chunks of at most 16 KiB; a line with a secret in it is dropped and counted."""
        chunk: list[str] = []
        size = 0
        for line in lines:
            text = line[:_MAX_LINE]
            if secret_in(text.encode()):
                self.dropped += 1
                continue
            if chunk and size + len(text) > MAX_CHUNK_BYTES:
                await self._publish(sovereign, source, run, chunk)
                chunk, size = [], 0
            chunk.append(text)
            size += len(text) + 4
        if chunk:
            await self._publish(sovereign, source, run, chunk)

    async def _publish(self, sovereign: str, source: str, run: int, lines: list[str]) -> None:
        self._sequence += 1
        body = json.dumps({"sequence": self._sequence, "lines": lines}).encode()
        await self._connection.client.publish(f"log.{sovereign}.{source}.{run}", body)


class LogTrail:
    """Reads log chunks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def after(self, sovereign: str, sequence: int) -> AsyncIterator[LogChunk]:
        """What a Sovereign's sources said after a sequence, oldest first; TryAgain when the stream is not read."""
        async for message in reading.everything(self._connection, LOGS, f"log.{sovereign}.>", after=sequence):
            chunk = _chunk(message)
            if chunk is not None:
                yield chunk

    async def heard(self) -> AsyncIterator[str]:
        """Of which Sovereign something was just said, for ever; what comes too fast is left out."""
        queue: asyncio.Queue[str] = asyncio.Queue(_HEARD)

        async def take(message: Msg) -> None:
            tokens = message.subject.split(".")
            if len(tokens) == _TOKENS and not queue.full():
                queue.put_nowait(tokens[1])

        subscription = await self._connection.client.subscribe("log.>", cb=take)
        try:
            while True:
                yield await queue.get()
        finally:
            if not self._connection.client.is_closed:
                await subscription.unsubscribe()


def _chunk(message: reading.Stored) -> LogChunk | None:
    """The stored message, if it is one of ours; a line that seems secret after all is masked."""
    try:
        _log, _sovereign, source, run = message.subject.split(".")
        lines = json.loads(message.data)["lines"]
        return LogChunk(message.sequence, message.at, source, int(run), tuple(masked(str(line)) for line in lines))
    except (ValueError, KeyError, TypeError):
        return None
