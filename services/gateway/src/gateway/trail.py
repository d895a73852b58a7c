"""The stream, as the hub and the reads need it: raw events by sequence. The only module here that reads the bus."""

from collections.abc import AsyncIterator

from bus import Bus, reading
from contracts.topology import PROV
from gateway.frames import Frame


class BusTrail:
    """Events of ``PROV``, unparsed."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def epoch(self) -> str:
        """Names the stream's lifetime."""
        return await self._bus.journal.stream_epoch()

    async def newest(self) -> int:
        """The newest sequence of the stream."""
        return await self._bus.journal.last_sequence()

    async def history(self, sovereign: str, *, after: int = 0, limit: int | None = None) -> list[Frame]:
        """Stored events of one Sovereign, oldest first."""
        frames: list[Frame] = []
        messages = reading.everything(self._bus.connection, PROV, f"*.*.{sovereign}", after=after)
        async for message in messages:
            frames.append(Frame.of(message.sequence, message.subject, message.data))
            if limit is not None and len(frames) >= limit:
                break
        return frames

    async def live(self, *, after: int) -> AsyncIterator[Frame]:
        """Everything after a sequence, then whatever comes, in order."""
        async for item in self._bus.feed(after=after):
            yield Frame.of(item.sequence, item.subject, item.raw)

    async def owner_of(self, sovereign: str) -> str | None:
        """Who owns the current life."""
        return (await self._bus.journal.fold(sovereign)).owner
