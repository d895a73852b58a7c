"""Are the services themselves well: replicas, backlog, redeliveries, dead letters, sizes. For operators.

Nothing here is about one Sovereign, so whoever operates any may see it. The figures are asked for at most every few
seconds, however many look.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from aiohttp import web

from bus import TryAgain
from bus.survey import StreamRow
from contracts.catalogue import SERVICES
from contracts.topology import DLQ
from gateway.access import require
from gateway.heartbeat import Replicas
from gateway.problems import refuse

FRESH_S: Final = 2.0
ALARM_SHARE: Final = 0.7
"""Of a stream's room; from there on it is shown as filling up (design: alarm at 70 %)."""


@dataclass
class Well:
    """What the route stands on."""

    replicas: Replicas
    standing: Callable[[], Awaitable[Sequence[StreamRow]]]
    _known: dict[str, Any] = field(default_factory=dict)
    _until: float = 0.0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[web.RouteDef]:
        """One read."""
        return [web.get("/api/v1/health", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Everything at once."""
        require(request, "operator")
        return web.json_response(await self.look(), headers={"Cache-Control": "no-store"})

    async def look(self) -> dict[str, Any]:
        """The figures, no older than a moment; Problem when the bus does not tell them."""
        async with self._asking:
            if time.monotonic() >= self._until:
                try:
                    rows = await self.standing()
                    services = [{"name": name, "replicas": list(await self.replicas(name))} for name in SERVICES]
                except (TryAgain, TimeoutError) as error:
                    raise refuse("nobody-answers", attempted="look at the services", message=str(error)) from None
                self._known = {"services": services, **_told(rows)}
                self._until = time.monotonic() + FRESH_S
            return self._known


def _told(rows: Sequence[StreamRow]) -> dict[str, Any]:
    streams = [{**asdict(row), "filling_up": row.used_share >= ALARM_SHARE} for row in rows]
    return {"streams": streams, "dead_letters": next((row.messages for row in rows if row.name == DLQ), 0)}
