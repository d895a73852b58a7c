"""Log lines for those who look: a channel of their own beside the facts, and the first to be dropped.

What is heard on the bus only says that there is something to read; it is read from the stream once per Sovereign, in
order, and written to whoever looks. A viewer whose transport holds more than a little gets no lines until it has
caught up, and is told how many it missed: facts never wait for chatter. The newest lines stay in memory while somebody
looks.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bus import LogChunk, TryAgain
from gateway.channel import Viewer
from gateway.frames import said

log = logging.getLogger(__name__)

KEPT_LINES: Final = 2000
"""So many of a Sovereign's newest lines are shown to who comes later."""
HIGH_WATER: Final = 64 * 1024
"""Bytes in a viewer's buffer above which it gets no lines: a quarter of what stops facts."""
COALESCE_S: Final = 0.1
LOOK_AGAIN_S: Final = 2.0
"""So long after chatter was heard the stream is read again: it stores chatter a little later than it passes it on."""
_BATCH: Final = 400
_AGAIN_S: Final = 1.0

Line = dict[str, Any]


class LogSource(Protocol):
    """Where log lines come from."""

    def after(self, sovereign: str, sequence: int) -> AsyncIterator[LogChunk]:
        """What was said after a sequence of the stream of chatter, oldest first."""

    def heard(self) -> AsyncIterator[str]:
        """Of which Sovereign something was just said; for ever."""


@dataclass(eq=False)
class LogPlace:
    """A viewer's place: what it has got, and what it missed."""

    viewer: Viewer
    channel: "LogChannel"
    since: str
    """Nothing older is shown: the life in which the viewer's organisation owns the name began then."""
    last: int = 0
    dropped: int = 0


@dataclass(eq=False)
class LogChannel:
    """One Sovereign's newest lines."""

    sovereign: str
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    last: int = 0
    places: set[LogPlace] = field(default_factory=set)
    look_until: float = 0.0
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read_on(self, source: LogSource) -> None:
        """Read what is new."""
        async with self.loading:
            async for chunk in source.after(self.sovereign, self.last):
                self.last = chunk.sequence
                self.lines.extend(lines_of([chunk]))


def lines_of(chunks: Iterable[LogChunk]) -> list[Line]:
    """One row per line."""
    return [
        {"id": chunk.sequence, "at": chunk.at, "source": chunk.source, "run": chunk.run, "text": text}
        for chunk in chunks
        for text in chunk.lines
    ]


class Logbook:
    """The channels that somebody looks at."""

    def __init__(self, source: LogSource) -> None:
        self._source = source
        self._channels: dict[str, LogChannel] = {}
        self._work = asyncio.Event()

    async def tail(self, sovereign: str, *, since: str, after: int = 0) -> list[Line]:
        """The newest kept lines, once; TryAgain when they cannot be read."""
        newest: deque[Line] = deque(maxlen=KEPT_LINES)
        async for chunk in self._source.after(sovereign, after):
            if chunk.at >= since:
                newest.extend(lines_of([chunk]))
        return list(newest)

    async def look(self, viewer: Viewer, sovereign: str, *, since: str, after: int = 0) -> LogPlace:
        """Give a viewer the newest lines, and what comes."""
        channel = self._channels.setdefault(sovereign, LogChannel(sovereign))
        place = LogPlace(viewer, channel, since, last=after)
        channel.places.add(place)
        channel.look_until = time.monotonic() + LOOK_AGAIN_S
        self._work.set()
        return place

    def leave(self, place: LogPlace) -> None:
        """Forget a place; the last one takes the channel with it."""
        place.channel.places.discard(place)
        if not place.channel.places:
            self._channels.pop(place.channel.sovereign, None)

    async def listen(self) -> None:
        """Hear of which Sovereigns there is something new; for ever."""
        async for sovereign in self._source.heard():
            channel = self._channels.get(sovereign)
            if channel is not None:
                channel.look_until = time.monotonic() + LOOK_AGAIN_S
                self._work.set()

    async def pump(self) -> None:
        """Read and write for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self._pass()
            now = time.monotonic()
            if any(channel.look_until > now for channel in self._channels.values()):
                self._work.set()
            await asyncio.sleep(COALESCE_S)

    async def _pass(self) -> None:
        now = time.monotonic()
        for channel in [one for one in self._channels.values() if one.look_until > now]:
            try:
                await channel.read_on(self._source)
            except (TryAgain, TimeoutError) as error:
                log.warning("log not read", extra={"action": "log-unread", "why": str(error)})
                channel.look_until = time.monotonic() + _AGAIN_S
            for place in tuple(channel.places):
                self._write(channel, place)

    def _write(self, channel: LogChannel, place: LogPlace) -> None:
        fresh = [line for line in channel.lines if line["id"] > place.last and line["at"] >= place.since]
        if not fresh:
            return
        place.last = channel.last
        if place.viewer.buffered() > HIGH_WATER:
            place.dropped += len(fresh)
            return
        for start in range(0, len(fresh), _BATCH):
            body = {"channel": channel.sovereign, "lines": fresh[start : start + _BATCH], "dropped": place.dropped}
            place.viewer.write(said(place.viewer.kind, "log", body))
            place.dropped = 0
