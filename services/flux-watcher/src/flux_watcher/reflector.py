"""Keeps the picture of one kind true: list, then watch from there, for ever.

A list replaces what was known. A watch runs for a bounded, jittered time and is resumed from the last version that an
event or a bookmark carried; 410 lists anew; a broken or silent connection is tried again after a growing, jittered
pause, from the same version. A kind that is not served yet counts as an empty list and is asked for again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from flux_watcher.api import Api, ApiTrouble, Denied, Expired, Forbidden, NotServed
from flux_watcher.objects import Kind, Seen, seen

log = logging.getLogger(__name__)

PAGE: Final = 500
MOST: Final = 5000
"""More objects of one kind than this no Sovereign has; what is beyond is not read."""


class Sink(Protocol):
    """Who is told what was seen."""

    def listed(self, kind: Kind, objects: list[Seen]) -> None:
        """The whole of a kind."""
        ...

    def changed(self, kind: Kind, seen: Seen) -> None:
        """One object appeared or changed."""
        ...

    def deleted(self, kind: Kind, seen: Seen) -> None:
        """One object went."""
        ...

    def unserved(self, kind: Kind) -> None:
        """The cluster does not know this kind."""
        ...

    def trouble(self, kind: Kind, error: ApiTrouble | None) -> None:
        """The API failed, or answered again."""
        ...


@dataclass(frozen=True)
class Pace:
    """Times of a reflector, in seconds."""

    watch_s: int = 270
    """A watch is asked for this long, give or take a tenth."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    unserved_s: float = 5.0
    """How often a kind that is not served is asked for again."""


@dataclass
class Reflector:
    """One kind of one cluster."""

    kind: Kind
    api: Api
    sink: Sink
    pace: Pace = field(default_factory=Pace)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    lists: asyncio.Semaphore | None = None
    """Bounds how many lists run at once over all clusters of this process."""
    _version: str = ""
    _failures: int = 0
    _anew: bool = False

    def list_anew(self) -> None:
        """List again at the next turn, whatever is known."""
        self._anew = True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.turn()
                self._failures = 0
            except Expired:
                self._version = ""
            except NotServed:
                self._version = ""
                self.sink.unserved(self.kind)
                self.sink.trouble(self.kind, None)
                await self.sleep(self._jittered(self.pace.unserved_s))
            except Forbidden as error:
                # We may not read it: as good as not served, and said once in the log.
                log.warning(
                    "not allowed", extra={"action": "watch-forbidden", "kind": self.kind.name, "why": str(error)}
                )
                self._version = ""
                self.sink.unserved(self.kind)
                await self.sleep(self._jittered(self.pace.longest_pause_s))
            except ApiTrouble as error:
                self.sink.trouble(self.kind, error)
                await self.sleep(self._pause(error))

    async def turn(self) -> None:
        """One list if needed, one watch."""
        if not self._version or self._anew:
            self._anew = False
            await self.read()
        seconds = max(1, int(self._jittered(self.pace.watch_s)))
        async for happened in self.api.watch(self.kind, version=self._version, seconds=seconds):
            self._version = happened.version or self._version
            self._failures = 0
            self.sink.trouble(self.kind, None)
            if happened.change == "BOOKMARK":
                continue
            record = seen(self.kind, happened.object)
            if record is None:
                continue
            if happened.change == "DELETED":
                self.sink.deleted(self.kind, record)
            else:
                self.sink.changed(self.kind, record)
            if self._anew:
                return
        self.sink.trouble(self.kind, None)

    async def read(self) -> None:
        """Read the whole kind, page by page, and replace what was known."""
        if self.lists is None:
            await self._read()
            return
        async with self.lists:
            await self._read()

    async def _read(self) -> None:
        objects: list[Seen] = []
        more = ""
        while True:
            page = await self.api.page(self.kind, limit=PAGE, more=more)
            objects.extend(record for item in page.items if (record := seen(self.kind, item)) is not None)
            more = page.more
            if not more or len(objects) >= MOST:
                break
        self._version = page.version
        self.sink.listed(self.kind, objects[:MOST])
        self.sink.trouble(self.kind, None)

    def _pause(self, error: ApiTrouble) -> float:
        self._failures = min(self._failures + 1, 16)
        if isinstance(error, Denied):
            return self._jittered(self.pace.longest_pause_s / 2)
        return self._jittered(min(self.pace.first_pause_s * 2 ** (self._failures - 1), self.pace.longest_pause_s))

    @staticmethod
    def _jittered(seconds: float) -> float:
        return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
