"""The loopback server of one run: its state backend and its view of the cloud on one port, gone with the run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tofu_runner.stateversions import MAX_BYTES


@asynccontextmanager
async def served(*routes: web.RouteDef) -> AsyncIterator[int]:
    """Serve the routes on a free port of 127.0.0.1."""
    app = web.Application(client_max_size=MAX_BYTES)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()
