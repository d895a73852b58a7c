"""The hub: one reader of the stream per process, any number of viewers.

The reader appends each event to the channel of everything and, if somebody looks at its Sovereign, to that one's. The
pump then writes to whoever is not at the end: coalesced, joined once, never waiting for anybody. A viewer whose
transport is full is left where it is; one that takes nothing for too long is closed and resumes by its token.

History and live meet without gap or duplicate: a channel exists before its history is read, live events are appended
to what was read by sequence, and a subscription's place is an index into that one log.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

from contracts.sovereign import SovereignRequested
from gateway.channel import Channel, Filter, Subscription, Viewer
from gateway.frames import EVERYTHING, Frame, said, token

log = logging.getLogger(__name__)

COALESCE_S: Final = 0.005
VIEW_EVERY_S: Final = 0.25
HIGH_WATER: Final = 256 * 1024
"""Bytes in a transport's buffer above which nothing more is written to it."""
_PASS_BYTES: Final = 1024 * 1024
"""At most so many bytes to one viewer before the others have their turn."""
_RECENT_BYTES: Final = 16 * 1024 * 1024


class Trail(Protocol):
    """Where events come from."""

    async def epoch(self) -> str:
        """Names the stream's lifetime."""

    async def newest(self) -> int:
        """The newest sequence of the stream."""

    async def history(self, sovereign: str, *, after: int = 0, limit: int | None = None) -> Sequence[Frame]:
        """Stored events of one Sovereign, oldest first."""

    def live(self, *, after: int) -> AsyncIterator[Frame]:
        """Everything after a sequence, then whatever comes, in order."""

    async def owner_of(self, sovereign: str) -> str | None:
        """Who owns the current life."""


class Hub:
    """Channels, their viewers, and the two loops that serve them."""

    def __init__(self, trail: Trail, *, cache_bytes: int, slow_s: float) -> None:
        self._trail = trail
        self._cache_bytes, self._slow_s = cache_bytes, slow_s
        self._channels: dict[str, Channel] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._owners: dict[str, str] = {}
        self._dirty: set[Subscription] = set()
        """Places that are not at their channel's end, or whose view is not the newest."""
        self._grown: set[Channel] = set()
        """Channels with news since the last pass: their places become dirty then, once for many events."""
        self._work = asyncio.Event()
        self._viewed_at = 0.0
        self.epoch = ""
        self.position = 0
        self.last_at: float | None = None
        """When the newest event reached us (monotonic clock)."""
        self.last_fact = ""
        self.recent = Channel(EVERYTHING, "")

    async def start(self) -> None:
        """Learn where the stream is; before any viewer."""
        self.epoch = await self._trail.epoch()
        self.position = await self._trail.newest()
        self.recent = Channel(EVERYTHING, self.epoch, last=self.position)

    async def read(self) -> None:
        """The one reader of the stream; for ever."""
        async for frame in self._trail.live(after=self.position):
            self.take(frame)

    def take(self, frame: Frame) -> None:
        """One event that was just said."""
        if not self.recent.append(frame):
            return
        self.recent.drop_oldest(_RECENT_BYTES)
        self.position, self.last_at, self.last_fact = frame.sequence, time.monotonic(), frame.fact
        if frame.fact == SovereignRequested.fact:
            self._owners[frame.sovereign] = frame.owner
        channel = self._channels.get(frame.sovereign)
        if channel is not None and channel.append(frame):
            self._grow(channel)
        self._grow(self.recent)

    def _grow(self, channel: Channel) -> None:
        if channel.subscriptions:
            self._grown.add(channel)
            self._work.set()

    async def owner_of(self, sovereign: str) -> str | None:
        """Who owns the current life of a Sovereign; None when there is none."""
        if sovereign not in self._owners:
            owner = await self._trail.owner_of(sovereign)
            if owner is None:
                return None
            self._owners[sovereign] = owner
        return self._owners[sovereign]

    async def channel(self, sovereign: str) -> Channel:
        """The channel of a Sovereign with its whole history; read once however many ask."""
        async with self._loading.setdefault(sovereign, asyncio.Lock()):
            found = self._channels.get(sovereign)
            if found is None:
                found = await self._load(sovereign)
        found.used_at = time.monotonic()
        return found

    async def owned_since(self, sovereign: str, owner: str) -> str:
        """When the present owner's first fact of this name was said (RFC 3339): nothing older of it is theirs."""
        since = ""
        for frame in reversed((await self.channel(sovereign)).frames):
            if frame.owner != owner:
                break
            since = frame.said_at or since
        return since

    async def _load(self, sovereign: str) -> Channel:
        channel = Channel(sovereign, self.epoch)
        for frame in await self._trail.history(sovereign):
            channel.append(frame)
        # What was said while we read: the reader holds it, and no await separates this from the next event.
        for frame in self.recent.frames:
            if frame.sovereign == sovereign:
                channel.append(frame)
        self._channels[sovereign] = channel
        self._evict()
        return channel

    def _evict(self) -> None:
        idle = sorted((c for c in self._channels.values() if not c.subscriptions), key=lambda c: c.used_at)
        total = sum(channel.size for channel in self._channels.values())
        for channel in idle[:-1]:
            if total <= self._cache_bytes:
                return
            total -= channel.size
            del self._channels[channel.name]
            self._loading.pop(channel.name, None)

    async def subscribe(
        self, viewer: Viewer, name: str, *, after: int, only: Filter, with_view: bool = False
    ) -> Subscription:
        """Give a viewer a place in a channel; the pump does the rest."""
        channel = self.recent if name == EVERYTHING else await self.channel(name)
        place = channel.index_after(after)
        subscription = Subscription(viewer, channel, place, only, with_view and name != EVERYTHING)
        channel.subscriptions.add(subscription)
        self._dirty.add(subscription)
        self._work.set()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a viewer's place."""
        subscription.channel.subscriptions.discard(subscription)
        subscription.channel.used_at = time.monotonic()
        self._dirty.discard(subscription)

    @property
    def viewers(self) -> int:
        """How many places are taken."""
        return sum(len(c.subscriptions) for c in self._channels.values()) + len(self.recent.subscriptions)

    async def pump(self) -> None:
        """Write to everybody who is not at the end; for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            self.flush()
            await asyncio.sleep(COALESCE_S)
            if self._dirty:
                self._work.set()

    def flush(self) -> None:
        """One pass over those who have something to get."""
        now = time.monotonic()
        views_due = now - self._viewed_at >= VIEW_EVERY_S
        if views_due:
            self._viewed_at = now
        views: dict[tuple[str, str], bytes] = {}
        self._dirty.update(*(channel.subscriptions for channel in self._grown))
        self._grown.clear()
        for subscription in tuple(self._dirty):
            if self._advance(subscription, now) and self._show(subscription, views, due=views_due):
                self._dirty.discard(subscription)

    def _advance(self, subscription: Subscription, now: float) -> bool:
        """Write what fits; whether the viewer is at the end."""
        channel, viewer, written = subscription.channel, subscription.viewer, 0
        if subscription.cursor < channel.base:
            self._close(subscription, "too far behind: resume from the last id")
            return True
        while subscription.cursor < channel.end:
            if viewer.buffered() > HIGH_WATER:
                subscription.behind_since = subscription.behind_since or now
                if now - subscription.behind_since > self._slow_s:
                    self._close(subscription, "too slow: resume from the last id")
                    return True
                return False
            if written > _PASS_BYTES:
                return False
            blob, subscription.cursor = channel.blob(subscription)
            if blob:
                viewer.write(blob)
                written += len(blob)
        subscription.behind_since = None
        if not subscription.live:
            subscription.live = True
            at = max(channel.last, self.position)
            viewer.write(said(viewer.kind, "live", {"channel": channel.name, "id": token(self.epoch, at)}))
        return True

    def _show(self, subscription: Subscription, views: dict[tuple[str, str], bytes], *, due: bool) -> bool:
        """Send the view if it is wanted and has changed; whether nothing is left to do."""
        channel, viewer = subscription.channel, subscription.viewer
        if not subscription.with_view or subscription.viewed == channel.last:
            return True
        if channel.view().owner != subscription.filter.owner:
            return True  # the name has passed to another owner since
        if not due and subscription.viewed >= 0:
            return False
        key = (channel.name, viewer.kind)
        if key not in views:
            body = f'{{"channel":"{channel.name}","view":{channel.view().model_dump_json()}}}'
            views[key] = said(viewer.kind, "view", body)
        viewer.write(views[key])
        subscription.viewed = channel.last
        return True

    def _close(self, subscription: Subscription, why: str) -> None:
        log.info("viewer closed", extra={"action": "viewer-closed", "why": why, "channel": subscription.channel.name})
        self.unsubscribe(subscription)
        subscription.viewer.close(why)
