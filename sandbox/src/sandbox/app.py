"""The one process: the simulated cloud, whatever runs on its servers, and the simulated registrars."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from sandbox.hetzner.api import BASE, SERVER, Inspect
from sandbox.hetzner.control import PREFIX, Control
from sandbox.hetzner.simulation import Options, Simulation
from sandbox.hetzner.tokens import read_file
from sandbox.registrars import Registrars
from sandbox.settings import Settings
from sandbox.world import World, world

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up."""

    simulation: Simulation
    url: str

    @property
    def endpoint(self) -> str:
        """What provider and SDK are pointed at."""
        return self.url + BASE

    @property
    def control(self) -> str:
        """Where the control API is."""
        return self.url + PREFIX


@contextlib.asynccontextmanager
async def sandbox(settings: Settings, *, inspect: Inspect | None = None) -> AsyncIterator[Sandbox]:
    """Bring the whole sandbox up; it goes down, keeping its state, when the context ends."""
    settings.dir.mkdir(parents=True, exist_ok=True)
    async with (
        _remembered(settings, inspect) as simulation,
        world(settings, simulation.directory) as around,
        _serving(simulation, around, settings) as url,
        asyncio.TaskGroup() as group,
    ):
        life = group.create_task(simulation.run(around.machines), name="simulation")
        up = Sandbox(simulation, url)
        _say_ready(settings.dir / "ready.json", up)
        try:
            yield up
        finally:
            life.cancel()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until told to stop."""
    async with sandbox(settings) as up:
        log.info("simulated Hetzner Cloud is up", extra={"endpoint": up.endpoint, "control": up.control})
        await stop.wait()


@contextlib.asynccontextmanager
async def _remembered(settings: Settings, inspect: Inspect | None) -> AsyncIterator[Simulation]:
    options = Options(
        directory=settings.dir,
        ipv4_range=settings.ipv4_range,
        rate_limit=settings.rate_limit,
        rate_per_second=settings.rate_per_second,
        durations={"default": settings.action_s, **settings.durations},
    )
    simulation = Simulation(options, inspect)
    try:
        for token in read_file(settings.tokens_file) if settings.tokens_file else []:
            simulation.tokens.add(token)
        simulation.cloud.commit()
        yield simulation
    finally:
        simulation.close()


@contextlib.asynccontextmanager
async def _serving(simulation: Simulation, around: World, settings: Settings) -> AsyncIterator[str]:
    application = web.Application(handler_args={"access_log": None})
    application.add_routes([*Control(simulation).routes(), *around.routes, *Registrars().routes()])
    application.router.add_route("*", BASE + "/{rest:.*}", simulation.api.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def _say_ready(path: Path, up: Sandbox) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"what": SERVER, "url": up.url, "endpoint": up.endpoint, "control": up.control}))
    part.replace(path)
