"""The ordered live feed: every event of ``PROV``, in order, without gap or duplicate, with no consumer to lose.

The stream repeats each stored event on ``live.<subject>`` with its sequence. One core subscription reads that; since
nothing is ever deleted from the stream, sequences are contiguous, so a hole is seen at once and read from the stream.
A quiet feed is checked against the stream's last sequence, so that a lost tail is found too.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nats.aio.msg import Msg

from bus import reading
from bus.connection import Connection
from bus.outcome import TryAgain
from bus.waiting import still_wanted
from contracts.topology import LIVE, PROV

log = logging.getLogger(__name__)

_CHECK_S = 2.0
_QUEUE = 100_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """One stored event, as bytes."""

    sequence: int
    subject: str
    raw: bytes
    at: str


class Feed:
    """Everything after a sequence, then whatever comes."""

    def __init__(self, connection: Connection, *, after: int | None = None) -> None:
        self._connection = connection
        self._after = after
        self.last = after or 0
        self.gaps = 0
        """How many holes were closed by reading the stream."""

    async def __aiter__(self) -> AsyncIterator[Delivered]:
        """Iterate for ever; with ``after=None`` from now on."""
        queue: asyncio.Queue[Msg] = asyncio.Queue(_QUEUE)

        async def take(message: Msg) -> None:
            if queue.full():
                # The reader is far behind: forget what is waiting, the hole is read from the stream later.
                while not queue.empty():
                    queue.get_nowait()
            queue.put_nowait(message)

        # No flush: the reads below follow the subscription on the same connection, and a flush of the client that is
        # cancelled ends its reader (nats-py 2.16 sets the result of a PONG whose future is gone: test_client_traps).
        subscription = await self._connection.client.subscribe(f"{LIVE}.>", cb=take)
        try:
            if self._after is None:
                self.last = await self._stream_last()
            async for item in self._catch_up():
                yield item
            while True:
                still_wanted()
                message = None if queue.empty() else queue.get_nowait()
                found = _delivered(message) if message is not None else None
                if found is not None and found.sequence == self.last + 1:
                    # The usual case, without a timer and a task switch for each event.
                    self.last = found.sequence
                    yield found
                    continue
                async for item in self._newer(message or await self._next(queue)):
                    yield item
        finally:
            if not self._connection.client.is_closed:
                await subscription.unsubscribe()

    async def _newer(self, message: Msg | None) -> AsyncIterator[Delivered]:
        """What a live message adds, with the hole before it; on silence, the tail that was lost."""
        if message is None:
            if await self._stream_last() > self.last:
                async for item in self._catch_up():
                    yield item
            return
        found = _delivered(message)
        if found.sequence > self.last + 1:
            self.gaps += 1
            async for item in self._catch_up(upto=found.sequence - 1):
                yield item
        if found.sequence > self.last:
            self.last = found.sequence
            yield found

    async def _next(self, queue: "asyncio.Queue[Msg]") -> Msg | None:
        try:
            async with asyncio.timeout(_CHECK_S):
                return await queue.get()
        except TimeoutError:
            return None

    async def _catch_up(self, *, upto: int | None = None) -> AsyncIterator[Delivered]:
        while True:
            try:
                async for message in reading.everything(self._connection, PROV, ">", after=self.last):
                    if upto is not None and message.sequence > upto:
                        return
                    self.last = message.sequence
                    yield Delivered(message.sequence, message.subject, message.data, message.at)
            except TryAgain as error:
                log.warning("the feed waits for the stream", extra={"action": "feed-waits", "why": str(error)})
                await asyncio.sleep(0.5)
                continue
            return

    async def _stream_last(self) -> int:
        while True:
            try:
                info = await self._connection.api(f"$JS.API.STREAM.INFO.{PROV}")
                return int(info["state"]["last_seq"])
            except (TryAgain, KeyError) as error:
                log.warning("the feed waits for the stream", extra={"action": "feed-waits", "why": str(error)})
                await asyncio.sleep(0.5)


def _delivered(message: Msg) -> Delivered:
    headers = message.headers or {}
    return Delivered(
        int(headers["Nats-Sequence"]), headers["Nats-Subject"], message.data, headers.get("Nats-Time-Stamp", "")
    )
