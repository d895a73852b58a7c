"""One Sovereign's events in memory while somebody looks: appended once, read by every viewer through a cursor.

A viewer holds no queue of its own, only a position, so a slow one costs nothing but its transport's buffer. What is
written to several viewers at the same position is joined once. The view (``contracts.progress``) is folded on demand.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus import codec
from contracts.progress import Progress
from contracts.view import View
from gateway.frames import Frame, Kind

BLOB_BYTES: Final = 256 * 1024
_BLOBS: Final = 32


class Viewer(Protocol):
    """The writing half of a connection."""

    kind: Kind

    def buffered(self) -> int:
        """Bytes that wait in the transport."""

    def write(self, blob: bytes) -> None:
        """Hand bytes to the transport; never waits."""

    def close(self, why: str) -> None:
        """End the connection and say why; the client resumes."""


@dataclass(frozen=True)
class Filter:
    """What of a channel a viewer gets; the owner is part of it, since a name can pass to another in its next life."""

    owner: str
    wanted: frozenset[str] = frozenset()
    """Facts and domains; empty: all."""

    def passes(self, frame: Frame) -> bool:
        """Whether this frame may be seen and is wanted."""
        if frame.owner != self.owner:
            return False
        return not self.wanted or frame.fact in self.wanted or frame.domain in self.wanted


@dataclass(eq=False)
class Subscription:
    """A viewer's place in a channel."""

    viewer: Viewer
    channel: "Channel"
    cursor: int
    filter: Filter
    with_view: bool = False
    live: bool = False
    viewed: int = -1
    """Sequence of the last view that was sent."""
    behind_since: float | None = None


@dataclass(eq=False)
class Channel:
    """The log of one channel; ``base`` is the index of the first frame that is still held."""

    name: str
    epoch: str
    frames: list[Frame] = field(default_factory=list)
    base: int = 0
    size: int = 0
    last: int = 0
    """Sequence of the newest frame."""
    subscriptions: set[Subscription] = field(default_factory=set)
    used_at: float = field(default_factory=time.monotonic)
    _blobs: "OrderedDict[tuple[Kind, Filter, int, int], tuple[bytes, int]]" = field(default_factory=OrderedDict)
    _progress: Progress | None = None
    _folded: int = 0

    @property
    def end(self) -> int:
        """Index after the newest frame."""
        return self.base + len(self.frames)

    def append(self, frame: Frame) -> bool:
        """Add a frame unless it is known; in order, so that a cursor never has to look back."""
        if frame.sequence <= self.last:
            return False
        self.frames.append(frame)
        self.last = frame.sequence
        self.size += len(frame.raw)
        return True

    def drop_oldest(self, limit: int) -> None:
        """Forget the oldest frames above a size: for the channel of everything, which is no history."""
        if self.size <= limit:
            return
        gone = 0
        while self.size > limit * 3 // 4:
            self.size -= len(self.frames[gone].raw)
            gone += 1
        del self.frames[:gone]
        self.base += gone

    def index_after(self, sequence: int) -> int:
        """Index of the first held frame after this sequence."""
        low, high = 0, len(self.frames)
        while low < high:
            middle = (low + high) // 2
            if self.frames[middle].sequence <= sequence:
                low = middle + 1
            else:
                high = middle
        return self.base + low

    def blob(self, subscription: Subscription) -> tuple[bytes, int]:
        """The next bytes for a subscription and the cursor after them, joined once for all at this place."""
        kind = subscription.viewer.kind
        key = (kind, subscription.filter, subscription.cursor, self.end)
        found = self._blobs.get(key)
        if found is None:
            found = self._join(kind, subscription)
            self._blobs[key] = found
            if len(self._blobs) > _BLOBS:
                self._blobs.popitem(last=False)
        return found

    def _join(self, kind: Kind, subscription: Subscription) -> tuple[bytes, int]:
        parts, size, index = [], 0, subscription.cursor
        while index < self.end and size < BLOB_BYTES:
            frame = self.frames[index - self.base]
            index += 1
            if subscription.filter.passes(frame):
                parts.append(frame.encoded(kind, self.name, self.epoch))
                size += len(parts[-1])
        return b"".join(parts), index

    def view(self) -> View:
        """What a person sees now; each frame is folded once."""
        if self._progress is None:
            self._progress = Progress(self.name)
        fold(self._progress, self.frames[self._folded :])
        self._folded = len(self.frames)
        return self._progress.view

    def view_at(self, sequence: int) -> View:
        """What a person saw then, by the same fold."""
        progress = Progress(self.name)
        fold(progress, self.frames[: self.index_after(sequence) - self.base])
        return progress.view


def fold(progress: Progress, frames: Iterable[Frame]) -> None:
    """Take frames in; one that is no readable event is shown raw and folded as nothing."""
    for frame in frames:
        try:
            progress.take(frame.sequence, codec.decode(f"{frame.fact}.{frame.sovereign}", frame.raw))
        except codec.Unreadable:
            continue
