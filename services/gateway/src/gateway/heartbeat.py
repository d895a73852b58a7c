"""The heartbeat: tells "nothing new" from "broken", and says which services are alive.

Encoded once per beat and kind of transport, written to every open connection.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from bus import TryAgain
from contracts.catalogue import SERVICES
from gateway.channel import Viewer
from gateway.frames import Kind, said, token
from gateway.hub import Hub

log = logging.getLogger(__name__)

Replicas = Callable[[str], Awaitable[Sequence[str]]]


class Heartbeat:
    """Beats for every viewer that joined."""

    def __init__(self, hub: Hub, replicas: Replicas, *, every_s: float) -> None:
        self._hub, self._replicas, self._every_s = hub, replicas, every_s
        self._viewers: set[Viewer] = set()
        self._last_fact_at: datetime | None = None
        self._position = 0
        self.services: dict[str, int] = {}
        """Live replicas per service."""

    def join(self, viewer: Viewer) -> None:
        """From now on, and once at once."""
        self._viewers.add(viewer)
        viewer.write(said(viewer.kind, "heartbeat", self.body()))

    def leave(self, viewer: Viewer) -> None:
        """No more."""
        self._viewers.discard(viewer)

    def close_all(self, why: str) -> None:
        """Say goodbye to everybody: this process ends."""
        for viewer in tuple(self._viewers):
            viewer.close(why)

    @property
    def viewers(self) -> int:
        """How many connections are open."""
        return len(self._viewers)

    def body(self) -> dict[str, Any]:
        """What a heartbeat says."""
        return {
            "at": datetime.now(UTC).isoformat(),
            "last_fact": self._hub.last_fact,
            "last_fact_at": self._last_fact_at.isoformat() if self._last_fact_at else None,
            "position": token(self._hub.epoch, self._hub.position),
            "services": self.services,
            "every_s": self._every_s,
        }

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            await self._look()
            frames: dict[Kind, bytes] = {kind: said(kind, "heartbeat", self.body()) for kind in ("ws", "sse")}
            for viewer in tuple(self._viewers):
                viewer.write(frames[viewer.kind])
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        if self._hub.position != self._position:
            self._position, self._last_fact_at = self._hub.position, datetime.now(UTC)
        try:
            async with asyncio.timeout(self._every_s):
                for service in SERVICES:
                    self.services[service] = len(await self._replicas(service))
        except (TryAgain, TimeoutError) as error:
            self.services = {}
            log.warning("presence not read", extra={"action": "presence-unread", "why": str(error)})
