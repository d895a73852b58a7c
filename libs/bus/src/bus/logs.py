"""Chatter beside the facts: log lines on ``log.<id>.<source>.<run>``, kept seven days, lost without harm.

Lines are masked by the caller and bounded here; publishing is not confirmed, so that chatter never holds up work.
"""

import json
from collections.abc import Sequence

from bus.connection import Connection
from bus.scan import secret_in

MAX_CHUNK_BYTES = 16 * 1024
_MAX_LINE = 2000


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
