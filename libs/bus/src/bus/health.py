"""/healthz, /readyz and /metrics of every service, from one place.

Alive: the event loop is not late and a round trip to the bus succeeded lately. Ready: alive, and every check of the
service passes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web
from prometheus_client import generate_latest

from bus.connection import Connection
from bus.metrics import Metrics

Check = Callable[[], Awaitable[None]]
"""Passes by returning; fails by raising, the message says what is missing."""

_LATE_S = 5.0
_SILENT_S = 30.0
_ROUND_TRIP_S = 5.0
_CHECK_WITHIN_S = 5.0


class Health:
    """What is known of this process's health."""

    def __init__(self, connection: Connection, metrics: Metrics, checks: Mapping[str, Check]) -> None:
        self._connection = connection
        self._metrics = metrics
        self._checks = checks
        self._answered_at = asyncio.get_running_loop().time()
        self._late_s = 0.0

    async def watch(self) -> None:
        """Measure the loop and the bus for ever; run it as a background task."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_loop())
            group.create_task(self._watch_bus())

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(1)
            self._late_s = max(0.0, loop.time() - before - 1)
            self._metrics.lag_s.set(self._late_s)

    async def _watch_bus(self) -> None:
        while True:
            with suppress(Exception):  # whatever it is, silence is what the probe reports
                async with asyncio.timeout(_ROUND_TRIP_S):
                    await self._connection.round_trip_s()
                self._answered_at = asyncio.get_running_loop().time()
            await asyncio.sleep(_ROUND_TRIP_S)

    def problems(self) -> list[str]:
        """Why this process is not alive; empty when it is."""
        found = []
        silent = asyncio.get_running_loop().time() - self._answered_at
        if self._late_s > _LATE_S:
            found.append(f"the event loop is {self._late_s:.1f} s late")
        if silent > _SILENT_S:
            found.append(f"the bus has not answered for {silent:.0f} s")
        return found

    async def unready(self) -> list[str]:
        """Why this process should get no work; empty when it should."""
        found = self.problems()
        if not self._connection.client.is_connected:
            found.append("not connected to the bus")
        for name, check in self._checks.items():
            try:
                async with asyncio.timeout(_CHECK_WITHIN_S):
                    await check()
            except Exception as error:  # noqa: BLE001 - a check fails by raising whatever it likes
                found.append(f"{name}: {error}")
        return found


def health_app(health: Health, metrics: Metrics) -> web.Application:
    """The HTTP side."""

    def answer(problems: list[str]) -> web.Response:
        body: dict[str, Any] = {"ok": not problems, "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def healthz(_request: web.Request) -> web.Response:
        return answer(health.problems())

    async def readyz(_request: web.Request) -> web.Response:
        return answer(await health.unready())

    async def metrics_page(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics_page)])
    return app
